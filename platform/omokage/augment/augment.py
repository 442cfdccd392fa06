"""A batch of pictures, altered: each picture by numbers of its own, all drawn from one generator.

Shape key: B pictures, C channels (red, green, blue), H rows, W columns.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from omokage.augment import blur, colour, geometry, jpeg, occlusion
from omokage.augment.batch import Change, Some, changed
from omokage.augment.config import AugmentConfig
from omokage.errors import ConfigError

HUE: Final = 0.1
"""Largest turn of the colours, in turns, for a jitter of 1."""

SIGMA: Final = (0.004, 0.015)
"""Least and largest standard deviation of a blur, in smaller sides of the picture."""

QUALITY: Final = (20.0, 90.0)
"""Least and best quality of a JPEG."""

AREA: Final = (0.02, 0.2)
"""Least and largest share of a picture that a rectangle covers."""

ASPECT: Final = (1 / 3, 3.0)
"""Least and largest width over height of a rectangle."""

_GEOMETRY: Final = ("flip", "turn", "zoom", "shift_x", "shift_y", "lens", "centre_x", "centre_y")
_LIGHT: Final = ("brightness", "contrast", "saturation", "hue")
_COVER: Final = ("area", "aspect", "x", "y", "red", "green", "blue")
_DRAWN: Final = (*_GEOMETRY, *_LIGHT, "occlusion", *_COVER, "blur", "sigma", "jpeg", "quality")
"""What is drawn for each picture, whether it is used or not: so a change left out does not change the others."""


class Augment:
    """Alters batches of pictures for training."""

    def __init__(self, config: AugmentConfig) -> None:
        self.config = config

    def __call__(self, pixels_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return the pictures altered, in a new tensor.

        Picture by picture: mirrored, turned, zoomed, shifted and bent in one interpolation; then lit, covered, blurred,
        stored as JPEG; all in float32, also under autocast. The numbers are drawn in the CPU's memory, so that a seed
        means the same on every device.

        Args:
            pixels_BCHW: Red, green and blue: floats in [0, 1], or uint8.
            generator: Of the CPU. Each call draws the same count of numbers a picture from it, whatever the settings.

        Returns:
            Same shape and device, in [0, 1]; of the same type, float32 for uint8.

        Raises:
            ConfigError: The tensor is no batch of colour pictures.
        """
        kind = pixels_BCHW.dtype
        if pixels_BCHW.ndim != 4 or pixels_BCHW.shape[1] != 3 or not (kind.is_floating_point or kind == torch.uint8):
            raise ConfigError(
                f"pictures to augment are floats or uint8 of shape (B, 3, H, W), got {kind} of shape "
                f"{tuple(pixels_BCHW.shape)}"
            )
        changes = self.drawn(pixels_BCHW.shape, generator)
        with torch.autocast(pixels_BCHW.device.type, enabled=False):  # 8 bits of a number are no 8 bits of a colour
            return changed(pixels_BCHW, changes).to(kind if kind.is_floating_point else torch.float32)

    def drawn(self, shape: Sequence[int], generator: torch.Generator) -> list[Change]:
        """Return what becomes of the pictures of a batch, when they are altered one by one.

        Args:
            shape: Of the batch: B, C, H, W.
            generator: As for a call, which draws the same numbers.
        """
        table = torch.rand(len(_DRAWN), shape[0], generator=generator, dtype=torch.float64)
        if not self.config.strength or not math.prod(shape):
            return []
        return self.changes(dict(zip(_DRAWN, table, strict=True)), *shape[2:])

    def changes(self, draw: dict[str, Tensor], height: int, width: int) -> list[Change]:
        """Return what becomes of pictures of a size, by numbers drawn for each of them from 0 to 1."""
        return [self._place(draw, height, width), *self._light(draw), *self._some(draw, min(height, width))]

    def _place(self, draw: dict[str, Tensor], height: int, width: int) -> Change:
        """Return how the pictures are mirrored, turned, zoomed, shifted and bent."""
        config = self.config
        place = geometry.drawn(
            draw,
            flip=config.share("flip"),
            rotate=config.amount("rotate"),
            crop=config.amount("crop"),
            lens=config.amount("lens"),
            frame=config.lens_frame,
        )
        return geometry.Place(place, height, width)

    def _light(self, draw: dict[str, Tensor]) -> Iterator[Change]:
        """Yield in what light all of the pictures are, if in another one."""
        amount = self.config.amount("jitter")
        if amount:
            brightness_B, contrast_B, saturation_B, hue_B = (amount * (2 * draw[name] - 1) for name in _LIGHT)
            mix = colour.mixed(1 + brightness_B, 1 + contrast_B, 1 + saturation_B, HUE * hue_B)
            yield Some(list(range(len(hue_B))), colour.product, colour.transformed, *mix)

    def _some(self, draw: dict[str, Tensor], side: int) -> Iterator[Change]:
        """Yield how some of the pictures are covered, blurred, and stored as JPEG."""
        rows = self._rows("occlusion", draw)
        area, aspect, x, y, *paint = (draw[name][rows] for name in _COVER)
        box_B4 = occlusion.boxes(_between(AREA, area), _between(ASPECT, aspect), x, y)
        yield Some(rows, occlusion.covered, occlusion.painted, box_B4, torch.stack(paint, 1))
        rows = self._rows("blur", draw)
        yield Some(rows, blur.product, blur.filtered, _between(SIGMA, draw["sigma"][rows]) * side)
        rows, (low, high) = self._rows("jpeg", draw), QUALITY
        yield Some(rows, jpeg.by_blocks, jpeg.by_file, low + (high - low) * draw["quality"][rows])

    def _rows(self, name: str, draw: dict[str, Tensor]) -> list[int]:
        """Return the pictures that a change is made to."""
        rows: list[int] = torch.nonzero(draw[name] < self.config.share(name))[:, 0].tolist()
        return rows


def _between(ends: tuple[float, float], draw_B: Tensor) -> Tensor:
    """Return numbers between two ends, drawn so that each doubling is as likely as any other."""
    low, high = ends
    return torch.exp(math.log(low) + draw_B * (math.log(high) - math.log(low)))
