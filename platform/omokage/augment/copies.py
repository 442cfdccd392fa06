"""The altered copies of one picture that are kept as files: through lenses of stated strength, and at random.

Shape key: H rows, W columns of a picture, C channels (red, green, blue), K copies.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omokage.augment.augment import Augment
from omokage.augment.config import LARGEST_LENS, AugmentConfig
from omokage.augment.geometry import Geometry
from omokage.augment.lens import Lens
from omokage.errors import ConfigError

MOST: Final = 10_000
"""Copies of a picture; more are a slip of the pen."""

CORNERS: Final = {
    "top-left": (1.0, 1.0),
    "top-right": (-1.0, 1.0),
    "bottom-left": (1.0, -1.0),
    "bottom-right": (-1.0, -1.0),
}
"""Where the picture stands in a frame twice as wide, and where the middle of the frame is then, seen from it."""


class Copy(NamedTuple):
    """What one copy is."""

    name: str
    """Different for every copy of a picture; letters, digits, dots and dashes."""
    change: str
    """"lens" or "jitter"."""
    coefficient: float | None
    """Of the lens."""
    corner: str | None
    """Of the frame that the lens saw, where the picture did not fill it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CopiesConfig:
    """Which copies are made of each picture."""

    lens: str | None = None
    """Lens distortions as START:STOP:STEP, or one number; barrel above 0, pincushion below. 0 itself is left out."""

    corners: bool = False
    """With lens: also as if the face stood in each corner of a frame twice as wide, and was aligned after."""

    jitter: int = 0
    """Copies that are mirrored, turned, zoomed, shifted and lit at random."""

    strength: float = 1.0
    """With jitter: multiplies what is changed at random, above 0 to 4."""

    seed: int = 0
    """Of what is random, 0 or more."""

    quality: int = 95
    """Of the JPEG files, 1 to 100."""

    def __post_init__(self) -> None:
        """Reject what gives no copies."""
        if self.corners and self.lens is None:
            raise ConfigError("corners can only be given with lens")
        if not 0 <= self.jitter <= MOST:
            raise ConfigError(f"jitter must lie in 0 to {MOST:,} copies, got {self.jitter}")
        if not 0 < self.strength <= 4:
            raise ConfigError(f"strength must lie above 0 and up to 4, got {self.strength:g}")
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"quality must lie in 1 to 100, got {self.quality}")
        if self.seed < 0:
            raise ConfigError(f"seed must be 0 or more, got {self.seed}")
        if not self.copies():
            raise ConfigError("nothing is asked for: give --lens START:STOP:STEP, --jitter COPIES, or both")

    def copies(self) -> list[Copy]:
        """Return what is made of each picture, always in the same order."""
        return [*self._lenses(), *self._jittered()]

    def _lenses(self) -> Iterator[Copy]:
        for value in coefficients(self.lens) if self.lens is not None else ():
            yield Copy(f"lens{value}", "lens", float(value), None)
            for corner in CORNERS if self.corners else ():
                yield Copy(f"lens{value}-{corner}", "lens", float(value), corner)

    def _jittered(self) -> Iterator[Copy]:
        digits = len(str(self.jitter))
        for number in range(1, self.jitter + 1):
            yield Copy(f"jitter{number:0{digits}}", "jitter", None, None)


def coefficients(text: str) -> list[Decimal]:
    """Return what "START:STOP:STEP" stands for, both ends included and 0 left out, or the one number that is given.

    The numbers are exact, and all have as many digits as the one with the most.

    Raises:
        ConfigError: It is neither, or gives nothing, or no lens has such a distortion.
    """
    try:
        parts = [Decimal(part) for part in text.split(":")]
    except InvalidOperation:
        parts = []
    if len(parts) not in (1, 3) or not all(part.is_finite() for part in parts):
        raise ConfigError(f"lens must be START:STOP:STEP, as in -0.1:0.1:0.01, or one number, got {text!r}")
    start, stop, step = parts if len(parts) == 3 else (parts[0], parts[0], Decimal(1))
    if max(abs(start), abs(stop)) > Decimal(str(LARGEST_LENS)):
        raise ConfigError(f"lens must lie in -{LARGEST_LENS:g} to {LARGEST_LENS:g}, got {text!r}")
    if step == 0 or (stop - start) / step < 0:
        raise ConfigError(f"lens {text!r} never comes from {start} to {stop}: give another step")
    if (stop - start) / step > MOST:
        raise ConfigError(f"lens {text!r} gives more than {MOST:,} copies: give a longer step")
    digits = Decimal(1).scaleb(min(min(int(part.as_tuple().exponent), 0) for part in parts))
    values = [start + number * step for number in range(int((stop - start) / step) + 1)]
    found = [value.quantize(digits) for value in values if value != 0]
    if not found:
        raise ConfigError(f"lens {text!r} is no distortion at all: give other numbers than 0")
    return found


class Copies:
    """Makes the copies."""

    def __init__(self, config: CopiesConfig) -> None:
        self.config = config
        self.wanted = config.copies()
        self._lenses = [copy for copy in self.wanted if copy.change == "lens"]
        self._jitter = Augment(AugmentConfig(blur=0, jpeg=0, occlusion=0, lens=0, strength=config.strength))

    def of(self, picture_HWC: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
        """Return the copies of a picture, in the order of ``wanted``; shape (K, H, W, C).

        Args:
            picture_HWC: RGB.
            name: Of the picture; with the seed it decides what is random.
        """
        pixels_CHW = torch.from_numpy(picture_HWC).permute(2, 0, 1).float() / 255
        made = [self._through_lenses(pixels_CHW)] if self._lenses else []
        if self.config.jitter:
            seed = hashlib.sha256(f"{self.config.seed} {name}".encode("utf-8", "surrogateescape")).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(seed[:8]) >> 1)
            made.append(self._jitter(pixels_CHW.repeat(self.config.jitter, 1, 1, 1), generator))
        copies_KHWC = (torch.cat(made) * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        return np.ascontiguousarray(copies_KHWC.numpy())

    def _through_lenses(self, pixels_CHW: Tensor) -> Tensor:
        """Return a picture through every lens; only what stands in a corner is aligned after."""
        made = []
        for copy in self._lenses:
            centre = CORNERS[copy.corner] if copy.corner is not None else (0.0, 0.0)
            one = torch.ones(1, dtype=torch.float64)
            lens = Lens(
                one * (copy.coefficient or 0.0),
                torch.tensor([centre], dtype=torch.float64),
                one if copy.corner is None else 2 * one,
            )
            place = Geometry(one < 0, 0 * one, one, torch.zeros(1, 2), lens, aligned=copy.corner is not None)
            made.append(place.applied(pixels_CHW[None]))
        return torch.cat(made)
