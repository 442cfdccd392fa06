"""A batch of pictures, altered: each picture by numbers of its own, all drawn from one generator.

Shape key: B pictures, C channels (red, green, blue), H rows, W columns.
"""

import math
from typing import Final

import torch
from torch import Tensor

from omokage.augment import blur, colour, geometry, jpeg, occlusion
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
_COVER: Final = ("occlusion", "area", "aspect", "x", "y", "red", "green", "blue")
_DRAWN: Final = (*_GEOMETRY, *_LIGHT, *_COVER, "blur", "sigma", "jpeg", "quality")
"""What is drawn for each picture, whether it is used or not: so a change left out does not change the others."""


class Augment:
    """Alters batches of pictures for training."""

    def __init__(self, config: AugmentConfig) -> None:
        self.config = config

    def __call__(self, pixels_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return the pictures altered; the tensor given is left as it is, and returned itself for a strength of 0.

        Picture by picture: mirrored, turned, zoomed, shifted and bent in one interpolation; then lit, covered, blurred,
        stored as JPEG; all in float32, also under autocast. The numbers are drawn in the CPU's memory, so that a seed
        means the same on every device.

        Args:
            pixels_BCHW: Float in [0, 1], red, green and blue.
            generator: Of the CPU. Each call draws the same count of numbers a picture from it, whatever the settings.

        Returns:
            Same shape, type and device, in [0, 1].

        Raises:
            ConfigError: The tensor is no batch of colour pictures in floats.
        """
        if pixels_BCHW.ndim != 4 or pixels_BCHW.shape[1] != 3 or not pixels_BCHW.is_floating_point():
            raise ConfigError(
                f"pictures to augment are floats of shape (B, 3, H, W), got {pixels_BCHW.dtype} of shape "
                f"{tuple(pixels_BCHW.shape)}"
            )
        table = torch.rand(len(_DRAWN), pixels_BCHW.shape[0], generator=generator, dtype=torch.float64)
        draw = dict(zip(_DRAWN, table, strict=True))
        if self.config.strength == 0 or not pixels_BCHW.numel():
            return pixels_BCHW
        with torch.autocast(pixels_BCHW.device.type, enabled=False):  # 8 bits of a number are no 8 bits of a colour
            return self._altered(pixels_BCHW, draw).to(pixels_BCHW.dtype)

    def _altered(self, pixels_BCHW: Tensor, draw: dict[str, Tensor]) -> Tensor:
        """Return the pictures altered, in float32."""
        out_BCHW = self._lit(self._placed(pixels_BCHW.float(), draw), draw)  # a new tensor: the next steps write to it
        self._cover(out_BCHW, draw)
        self._blur(out_BCHW, draw)
        self._store(out_BCHW, draw)
        return out_BCHW

    def _placed(self, pixels_BCHW: Tensor, draw: dict[str, Tensor]) -> Tensor:
        """Return the pictures mirrored, turned, zoomed, shifted and bent."""
        config = self.config
        place = geometry.drawn(
            draw,
            flip=config.share("flip"),
            rotate=config.amount("rotate"),
            crop=config.amount("crop"),
            lens=config.amount("lens"),
            frame=config.lens_frame,
        )
        return place.applied(pixels_BCHW)

    def _lit(self, pixels_BCHW: Tensor, draw: dict[str, Tensor]) -> Tensor:
        """Return the pictures in other light."""
        amount = self.config.amount("jitter")
        if amount == 0:
            return pixels_BCHW
        brightness_B, contrast_B, saturation_B, hue_B = (amount * (2 * draw[name] - 1) for name in _LIGHT)
        return colour.jittered(pixels_BCHW, 1 + brightness_B, 1 + contrast_B, 1 + saturation_B, HUE * hue_B)

    def _cover(self, pixels_BCHW: Tensor, draw: dict[str, Tensor]) -> None:
        """Cover a part of some of the pictures, in place."""
        if rows := self._rows("occlusion", draw):
            some = {name: draw[name][rows] for name in _COVER}
            box_B4 = occlusion.boxes(
                _between(AREA, some["area"]), _between(ASPECT, some["aspect"]), some["x"], some["y"]
            )
            colour_BC = torch.stack((some["red"], some["green"], some["blue"]), 1)
            pixels_BCHW[rows] = occlusion.covered(pixels_BCHW[rows], box_B4, colour_BC)

    def _blur(self, pixels_BCHW: Tensor, draw: dict[str, Tensor]) -> None:
        """Blur some of the pictures, in place."""
        if rows := self._rows("blur", draw):
            side = min(pixels_BCHW.shape[2:])
            pixels_BCHW[rows] = blur.blurred(pixels_BCHW[rows], _between(SIGMA, draw["sigma"][rows]) * side)

    def _store(self, pixels_BCHW: Tensor, draw: dict[str, Tensor]) -> None:
        """Store some of the pictures as JPEG and read them back, in place."""
        if rows := self._rows("jpeg", draw):
            low, high = QUALITY
            pixels_BCHW[rows] = jpeg.stored(pixels_BCHW[rows], low + (high - low) * draw["quality"][rows])

    def _rows(self, name: str, draw: dict[str, Tensor]) -> list[int]:
        """Return the pictures that a change is made to."""
        rows: list[int] = torch.nonzero(draw[name] < self.config.share(name))[:, 0].tolist()
        return rows


def _between(ends: tuple[float, float], draw_B: Tensor) -> Tensor:
    """Return numbers between two ends, drawn so that each doubling is as likely as any other."""
    low, high = ends
    return torch.exp(math.log(low) + draw_B * (math.log(high) - math.log(low)))
