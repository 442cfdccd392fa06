"""How good a face's pixels are, in figures that mean the same for every face and every detector.

Sharpness and exposure are measured on one fixed view: the inner face at the scale of an ArcFace chip of 224 px (eyes
70 px apart), cut from the source. So a figure depends neither on the picture's size nor on how chips are framed; a face
smaller than that is enlarged, and comes out less sharp, as it is.

Shape key: 5 landmarks, 2 x and y, 4 box corners, H W picture, S view.
"""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage.vision import geometry, pose
from omokage.vision.geometry import Template

VIEW: Final = Template(name="arcface", size=224)
"""The scale that is looked at."""

INNER: Final = (32, 60, 160)
"""Left, top and side of the square of the view from brow to chin: what lies behind a head does not count."""

ROUNDING: Final = 1 / 6
"""Mean square of the difference of two neighbours that comes from rounding each to 8 bits alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """Figures of one face; the fields are the columns of a face row."""

    side: float
    """Shorter side of the box, source px."""
    sharpness: float
    """0 (no detail at all) to 1; see ``sharpness``."""
    exposure: float
    """Mean brightness, 0 (black) to 1 (white); see ``exposure``."""
    yaw: float
    """Degrees, > 0 with the nose to the right of the picture."""
    pitch: float
    """Degrees, > 0 looking up."""
    roll: float
    """Degrees, > 0 turned clockwise as seen."""


def measure(picture: NDArray[np.uint8], landmarks_52: NDArray[np.floating], box_4: NDArray[np.floating]) -> Quality:
    """Return the quality of one face.

    Args:
        picture: RGB, shape (H, W, 3).
        landmarks_52: Source px. Shape (5, 2).
        box_4: Source px. Shape (4,).

    Raises:
        GeometryError: The landmarks are of no face: not finite, in one place, or on one line.
    """
    seen = pose.estimate(landmarks_52)
    left, top, side = INNER
    matrix_23 = geometry.matrix(VIEW, landmarks_52, box_4) - np.array([[0, 0, left], [0, 0, top]])
    # Outermost pixels repeated: the edge of a picture is no edge of a face, and what is not there is not dark.
    view = geometry.warp(picture, matrix_23, side, outside="edge")
    grey_SS = np.asarray(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), np.uint8)
    return Quality(
        side=float(min(box_4[2] - box_4[0], box_4[3] - box_4[1])),
        sharpness=sharpness(grey_SS),
        exposure=exposure(grey_SS),
        yaw=seen.yaw,
        pitch=seen.pitch,
        roll=seen.roll,
    )


def sharpness(grey_SS: NDArray[np.uint8]) -> float:
    """Return how much of the fine contrast a further blur takes away.

    Contrast is the root mean square of the gradient; the blur is a Gaussian of 1.5 px. What is already blurred loses
    little, what is sharp loses most. As a ratio it does not depend on light or on the contrast of a skin. Noise and
    coarse JPEG blocks count as detail.

    Args:
        grey_SS: Luminance of the inner face at the view's scale.

    Returns:
        In [0, 1]; 0 for an even surface.

    Source:
        Crete et al. 2007, "The blur effect": perception and estimation with a new no-reference perceptual blur
        metric, whose idea it is to blur again; simplified to gradients of both directions together.
    """
    fine_SS = grey_SS.astype(np.float32)
    # Without the share of the rounding, a strong blur would seem to get sharper again: only the steps would be left.
    before = max(0.0, _contrast(fine_SS) - ROUNDING)
    after = _contrast(np.asarray(cv2.GaussianBlur(fine_SS, (9, 9), 1.5), np.float32))
    return max(0.0, 1 - math.sqrt(after / before)) if before > 0 else 0.0


def exposure(grey_SS: NDArray[np.uint8]) -> float:
    """Return the mean luminance, in [0, 1].

    Around 0.35 to 0.65 for well-lit faces of most skins; below 0.15 or above 0.85 there is little left to see. Dark
    skin is darker: compare within a person, or look for the extremes.
    """
    return float(cv2.mean(grey_SS)[0]) / 255


def _contrast(grey_SS: NDArray[np.float32]) -> float:
    """Return the mean square of the difference of two neighbours, in rows and in columns."""
    across = cv2.norm(grey_SS[:, 1:], grey_SS[:, :-1], cv2.NORM_L2SQR)
    down = cv2.norm(grey_SS[1:], grey_SS[:-1], cv2.NORM_L2SQR)
    return float(across + down) / (2 * grey_SS.size)
