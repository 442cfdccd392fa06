"""Where a face goes in a chip, and how its pixels get there.

Pixel convention: the centre of the first pixel is (0, 0), in pictures and in chips, so a chip of S pixels reaches
from -0.5 to S - 0.5. Points are seen as complex numbers inside the fit, where a similarity is one multiplication and
one addition.

Shape key: 5 landmarks (left eye, right eye, nose tip, left and right mouth corner as seen), 2 x and y,
4 box corners x0 y0 x1 y1, H W picture, S chip.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError

SMALLEST: Final = 16
LARGEST: Final = 2048
"""Sides that a chip can have, px."""

Placement = Callable[["Template", NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Template, landmarks (5, 2) and box (4,) in source pixels to the matrix (2, 3) from source to chip pixels."""


class GeometryError(Exception):
    """Landmarks or a box that no chip can be cut by: not finite, or all in one place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """How a chip frames a face."""

    name: str = "dlib"
    """One of ``TEMPLATES``."""
    size: int = 224
    """Side of the chip, px; 16 to 2048."""
    padding: float = 0.0
    """Added on each side, as a share of the unpadded side; 0 to 4. The face gets smaller, the chip does not grow."""

    def __post_init__(self) -> None:
        """Reject what no chip could be cut with."""
        if self.name not in TEMPLATES:
            raise ConfigError(f"align.template must be one of {', '.join(TEMPLATES)}, got {self.name!r}")
        if not SMALLEST <= self.size <= LARGEST:
            raise ConfigError(f"align.size must lie in {SMALLEST} to {LARGEST} px, got {self.size}")
        if not 0 <= self.padding <= 4:
            raise ConfigError(f"align.padding must lie in 0 to 4, got {self.padding}")

    @property
    def version(self) -> str:
        """Name and number; the number goes up whenever the same face would give other pixels."""
        return TEMPLATES[self.name][0]

    @property
    def tag(self) -> str:
        """Everything that decides on a chip's pixels, such as ``dlib-1/224/0.1``."""
        return f"{self.version}/{self.size}/{self.padding:g}"


ARCFACE_52: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""The five points of the ArcFace and InsightFace line of models in a chip of 112 px."""

DLIB_CORNERS_52: Final = np.array(
    [
        [0.8595674596, 0.2134981538],
        [0.6460604764, 0.2289674388],
        [0.1205750621, 0.2137274527],
        [0.3340850614, 0.2290642403],
        [0.4901123136, 0.6277975316],
    ]
)
"""dlib's five points in a unit square: outer and inner corner of the eye at the right of the picture, of the other
eye, and the base of the nose."""

NOSE_BASE_SHARE: Final = 0.37
"""Where the base of the nose lies on the way from its tip to the middle of the mouth. MediaPipe's canonical face gives
0.365 seen from the front; ArcFace's five points, laid on dlib's by the eyes, give 0.346."""

NOSE_WEIGHT: Final = 0.775
"""Weight of the base of the nose beside 2 for each eye. Four separate eye corners hold scale and turn a little better
than their two centres with weight 2 do, which makes up for it."""


def dlib_points(size: int, padding: float) -> NDArray[np.float64]:
    """Return where dlib puts its own five points in a chip, (5, 2) in px, in the order of ``DLIB_CORNERS_52``."""
    return (DLIB_CORNERS_52 + padding) / (2 * padding + 1) * size


def matrix(template: Template, landmarks_52: NDArray[np.floating], box_4: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the matrix (2, 3) that takes source pixels to chip pixels.

    Of all turns, scales and shifts (never a mirror image) the one with the least squared distance, in chip pixels,
    between the moved landmarks and the template's points. Collinear landmarks have an answer too.

    Args:
        template: How to frame the face.
        landmarks_52: Source px. Shape (5, 2).
        box_4: Source px; only ``margin`` looks at it. Shape (4,).

    Raises:
        GeometryError: A value is not finite, all landmarks are in one place or fit no turn, or the box has no area.
    """
    if not (np.isfinite(landmarks_52).all() and np.isfinite(box_4).all()):
        raise GeometryError("landmarks or box are not finite")
    place = TEMPLATES[template.name][1]
    return place(template, np.asarray(landmarks_52, np.float64), np.asarray(box_4, np.float64))


def cut(
    template: Template, picture: NDArray[np.uint8], landmarks_52: NDArray[np.floating], box_4: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Return the chip of a face of an RGB picture, shape (S, S, 3); arguments and errors as of ``matrix``."""
    return warp(picture, matrix(template, landmarks_52, box_4), template.size)


def warp(
    picture: NDArray[np.uint8],
    matrix_23: NDArray[np.float64],
    size: int,
    outside: Literal["black", "edge"] = "black",
) -> NDArray[np.uint8]:
    """Return the chip that ``matrix_23`` cuts out of ``picture``.

    Bilinear. Where the source is more than twice as fine as the chip, it is first averaged over whole blocks of
    pixels, so that what is finer than the chip does not alias; the matrix is corrected for the blocks' centres.

    Args:
        picture: RGB, shape (H, W, 3).
        matrix_23: From source to chip pixels.
        size: Side of the chip, px.
        outside: What lies beyond the picture: black, or its outermost pixels repeated.

    Returns:
        C-contiguous, shape (S, S, 3). A chip wholly outside the picture is black.

    Raises:
        GeometryError: The matrix has no inverse.
    """
    scale = math.sqrt(abs(float(np.linalg.det(matrix_23[:, :2])))) if np.isfinite(matrix_23).all() else 0.0
    if scale < 1e-9:
        raise GeometryError("the matrix has no inverse")
    block = max(1, math.floor(1 / scale + 1e-9))
    x0, y0, x1, y1 = _region(matrix_23, size, block, picture.shape)
    if x0 >= x1 or y0 >= y1:
        return np.zeros((size, size, 3), np.uint8)
    border = cv2.BORDER_CONSTANT if outside == "black" else cv2.BORDER_REPLICATE
    region = picture[y0:y1, x0:x1]
    if block > 1:
        region = _average_blocks(region, block, border)
    to_source_33 = np.array([[block, 0, x0 + (block - 1) / 2], [0, block, y0 + (block - 1) / 2], [0, 0, 1]])
    chip = cv2.warpAffine(region, matrix_23 @ to_source_33, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(chip, np.uint8)


def _region(matrix_23: NDArray[np.float64], size: int, block: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the x0 y0 x1 y1 of the picture that a chip is made of; empty where it lies outside.

    Two blocks more than the chip on each side, of which up to one goes again to make whole blocks of the rest.
    """
    corner_42 = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - 0.5
    source_42 = np.linalg.solve(matrix_23[:, :2], (corner_42 - matrix_23[:, 2]).T).T
    limit_2 = np.array([shape[1], shape[0]])
    low_2 = np.clip(np.floor(source_42.min(axis=0)) - 2 * block, 0, limit_2)
    high_2 = np.clip(np.ceil(source_42.max(axis=0)) + 2 * block + 1, 0, limit_2)
    high_2 -= np.where(high_2 < limit_2, (high_2 - low_2) % block, 0)
    return int(low_2[0]), int(low_2[1]), int(high_2[0]), int(high_2[1])


def _average_blocks(region: NDArray[np.uint8], block: int, border: int) -> NDArray[np.uint8]:
    """Return the means over blocks of ``block`` by ``block`` pixels, filled up where the picture ends before them."""
    height, width = region.shape[:2]
    below, right = -height % block, -width % block
    if below or right:
        region = np.asarray(cv2.copyMakeBorder(region, 0, below, 0, right, border), np.uint8)
    smaller = ((width + right) // block, (height + below) // block)
    return np.asarray(cv2.resize(region, smaller, interpolation=cv2.INTER_AREA), np.uint8)


def _fit(
    source_N2: NDArray[np.float64], target_N2: NDArray[np.float64], weight_N: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the least-squares similarity without reflection, (2, 3).

    Source: Umeyama 1991, equations 40 to 42, which in the plane come down to one complex quotient.
    """
    weight_N = weight_N / weight_N.sum()
    source_N = source_N2 @ (1, 1j)
    target_N = target_N2 @ (1, 1j)
    source_mean, target_mean = weight_N @ source_N, weight_N @ target_N
    spread = float(weight_N @ np.abs(source_N - source_mean) ** 2)
    common = weight_N @ (np.conj(source_N - source_mean) * (target_N - target_mean))
    wanted = float(weight_N @ np.abs(target_N - target_mean) ** 2)
    if spread < 1e-6 or abs(common) < 1e-3 * math.sqrt(spread * wanted):
        raise GeometryError("landmarks lie in one place, or fit the template in no turn")
    turn = common / spread
    shift = target_mean - turn * source_mean
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _place_arcface(
    template: Template, landmarks_52: NDArray[np.float64], _: NDArray[np.float64]
) -> NDArray[np.float64]:
    # The half pixel keeps the framing the same at every size: a chip of 224 px, halved, is the chip of 112 px.
    unit_52 = (ARCFACE_52 + 0.5) / 112
    target_52 = (unit_52 + template.padding) / (2 * template.padding + 1) * template.size - 0.5
    return _fit(landmarks_52, target_52, np.ones(5))


def _place_dlib(template: Template, landmarks_52: NDArray[np.float64], _: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit our five points to dlib's framing.

    dlib knows eye corners and the base of the nose, a detector of ours eye centres, nose tip and mouth corners. Both
    eye centres and a base of the nose between nose tip and mouth, so weighted, give dlib's own framing to 1 px of 224
    (root mean square over the face; MediaPipe's canonical face, yaw to 60 and pitch to 20 degrees). All five
    points through a template derived from ArcFace's: 11 px; the eyes and the nose tip: 10 px.
    """
    target_52 = dlib_points(template.size, template.padding)
    target_32 = np.stack([target_52[2:4].mean(axis=0), target_52[:2].mean(axis=0), target_52[4]])
    nose_2, mouth_2 = landmarks_52[2], landmarks_52[3:].mean(axis=0)
    base_2 = nose_2 + NOSE_BASE_SHARE * (mouth_2 - nose_2)
    return _fit(np.vstack([landmarks_52[:2], base_2]), target_32, np.array([2.0, 2.0, NOSE_WEIGHT]))


def _place_margin(template: Template, _: NDArray[np.float64], box_4: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre an upright square, as long as the box's longer side, padded."""
    low_2, high_2 = box_4[:2], box_4[2:]
    if not (high_2 > low_2).all():
        raise GeometryError(f"the box has no area: {box_4.tolist()}")
    side = float((high_2 - low_2).max()) * (1 + 2 * template.padding)
    scale = template.size / side
    shift_2 = (template.size - 1) / 2 - scale * (low_2 + high_2) / 2
    return np.array([[scale, 0, shift_2[0]], [0, scale, shift_2[1]]])


TEMPLATES: Final[dict[str, tuple[str, Placement]]] = {
    "arcface": ("arcface-1", _place_arcface),
    "dlib": ("dlib-1", _place_dlib),
    "margin": ("margin-1", _place_margin),
}
"""Name to version and placement."""
