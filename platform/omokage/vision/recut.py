"""What an encoder would see of a face, cut out of the chip that is stored of it.

A chip and a crop are both cut out of the picture by the face's landmarks, so that one is a turn, scale and shift of the
other. What lies outside the chip is lost: an encoder that wants to see more of a head than the chip shows gets the
chip's outermost pixels, repeated. SFace, given framings that it was not trained on, then has vectors with a mean cosine
to those of the pictures of 0.997 (1 % outside), 0.97 (9 %) and 0.95 (36 %); with black it is 0.993, 0.97 and 0.86.

Pixel convention: that of ``geometry``.

Shape key: 5 landmarks, 2 x and y, 4 box corners x0 y0 x1 y1, C side of a chip, S side of what the encoder takes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.vision import geometry
from omokage.vision.crop import Crop
from omokage.vision.geometry import TEMPLATES, Template
from omokage.vision.shrink import square

ANY_BOX: Final = np.array([0.0, 0.0, 111.0, 111.0])
"""With ``ARCFACE_52`` a face. Two framings by one template differ by the same matrix whatever the face."""

GRID: Final = 64
"""Points along a side by which the part of a crop that lies outside the chip is measured."""


def framed(tag: str | None, align: str | None = None, padding: float | None = None) -> Template:
    """Return how a dataset's chips frame a face.

    Args:
        tag: Its recipe's ``chip``, such as ``arcface-1/224/0``; None where it does not say.
        align: Template to state where the dataset does not say it.
        padding: Of that template.

    Raises:
        ConfigError: It is not known and not stated, or stated against what is known.
    """
    known = template_of(tag)
    if known is not None:
        if align is not None and (align, padding or 0.0) != (known.name, known.padding):
            raise ConfigError(f"the dataset's chips are {known.tag}: leave --align and --padding out")
        return known
    if align is None:
        raise ConfigError(
            f"how the dataset's chips frame a face is not known (chip: {tag or 'not stated'}); "
            f"say it with --align {'|'.join(TEMPLATES)} and --padding, or ingest its pictures with this encoder"
        )
    return Template(name=align, padding=padding or 0.0)


def template_of(tag: str | None) -> Template | None:
    """Return the template of a dataset's chips by its recipe's ``chip``; None where that says none, or an older one.

    Raises:
        ConfigError: It names a template and no framing.
    """
    version, _, rest = (tag or "").partition("/")
    names = [name for name, (current, _) in TEMPLATES.items() if current == version]
    size, _, padding = rest.partition("/")
    if not names:
        return None
    try:
        return Template(name=names[0], size=int(size), padding=float(padding))
    except ValueError as error:
        raise ConfigError(f"the dataset's chips are said to be {tag!r}, which is no framing") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Recut:
    """How what an encoder wants to see is cut out of a chip."""

    chip: Template
    crop: Crop

    @property
    def whole(self) -> bool:
        """Whether the encoder wants to see just what the chip shows."""
        return self.chip.tag == self.crop.template.tag

    def __call__(
        self, chip_CC3: NDArray[np.uint8], landmarks_52: NDArray[np.floating], box_4: NDArray[np.floating]
    ) -> NDArray[np.uint8]:
        """Return a face as the encoder takes it, out of its chip. Shape (S, S, 3).

        Raises:
            GeometryError: No face can be cut by these landmarks or this box.
        """
        if self.whole:
            return square(chip_CC3, self.crop.size)
        cut = geometry.warp(chip_CC3, self.matrix(landmarks_52, box_4), self.crop.template.size, "edge")
        return square(cut, self.crop.size)

    def matrix(self, landmarks_52: NDArray[np.floating], box_4: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the matrix (2, 3) from the chip's pixels to those of the crop before it is made smaller.

        Args:
            landmarks_52: Source px; not looked at where both have the same template. Shape (5, 2).
            box_4: Source px; likewise. Shape (4,).

        Raises:
            GeometryError: No face can be cut by these landmarks or this box.
        """
        if self.chip.name == self.crop.template.name:
            landmarks_52, box_4 = geometry.ARCFACE_52, ANY_BOX
        both = (self.chip, self.crop.template)
        to_chip, to_crop = (_square(geometry.matrix(each, landmarks_52, box_4)) for each in both)
        matrix_23: NDArray[np.float64] = (to_crop @ np.linalg.inv(to_chip))[:2]
        return matrix_23

    def outside(self, matrix_23: NDArray[np.float64]) -> float:
        """Return the share of the crop that lies outside the chip, in [0, 1]."""
        at_G = (np.arange(GRID) + 0.5) / GRID * self.crop.template.size - 0.5
        crop_3G = np.stack([*(axis.ravel() for axis in np.meshgrid(at_G, at_G)), np.ones(GRID * GRID)])
        chip_2G = (np.linalg.inv(_square(matrix_23)) @ crop_3G)[:2]
        inside_G = ((chip_2G >= -0.5 - 1e-6) & (chip_2G <= self.chip.size - 0.5 + 1e-6)).all(axis=0)
        return float(1 - inside_G.mean())

    def enlarged(self, matrix_23: NDArray[np.float64]) -> float:
        """Return how many times longer a line is in what the encoder takes than in the chip."""
        longer = float(np.sqrt(abs(np.linalg.det(matrix_23[:, :2]))))
        return longer * self.crop.size / self.crop.template.size


def _square(matrix_23: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([matrix_23, [0.0, 0.0, 1.0]])
