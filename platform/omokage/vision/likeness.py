"""Whether two chips show one shot (saved again, resized, cropped) or two photos of one person.

An encoder cannot tell: it is made to see past what differs. Here the pixels are asked, by what they would have to be.
A shot that was saved again is the other one moved as a whole, turned, scaled, blurred, with another tone and with
JPEG's noise; nothing in it moves by itself. In a second photo, be it a moment later, the head has turned by a degree
and the nose has moved over the cheek, the lids have sunk, the mouth has opened. So one chip is laid over the other by
all that saving again may do, and what is left over is judged twice: does it look as if parts had moved, and is there a
place where the two do not agree?

Pixel convention: a chip reaches from -1 to 1 in both directions, its middle at (0, 0).

Shape key: S side of a level, K regressors, Q = S * S pixels, C cells of a side.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage.vision.codec import PictureError

Map = NDArray[np.float32]
"""Values at pixels or cells, (S, S) or (C, C)."""

SIDE: Final = 112
"""Chips are looked at in this size, px."""

LEVELS: Final = ((56, 1.5, 10), (SIDE, 1.2, 8))
"""Side in px, blur in px (sigma) and most steps of each level, coarse to fine. The blur takes what JPEG and resizing
change the most, and makes room for sub-pixel steps."""

SETTLED: Final = 0.01
"""Step in px at which an alignment is done."""

CELLS: Final = 14
"""Cells a side in which the rest is judged: 8 px, which with their neighbours see a lid or a corner of the mouth."""

NOISE_SHARE: Final = 0.10
"""Of a rest that is noise, local motion explains this much by chance (two unknowns a cell)."""

SAVING_SHARE: Final = 0.10
"""Of what saving as JPEG leaves (up to ``SAVING_NOISE``), local motion explains so much more: in a smooth face it
drops whole waves, which go along with the edges."""

SAVING_NOISE: Final = 0.5
"""Energy of that, in squared grey levels of 255: what a quality of some 50 leaves after our blur."""

TOLERATED: Final = 0.1
"""Local motion in px of the 112 at which the likeness has sunk to half. Saving again moves nothing: 0.00 to 0.03 px
are measured, 0.06 and more where a head has turned by 1 degree (tests/vision/test_likeness.py)."""

SPARED: Final = 3
"""The cell that is taken for the worst, counted from the worst: one or two may be spoilt by the rim."""

FAINTEST: Final = 0.05
"""Contrast of a chip as a share of the other's, below which nothing of the one is in the other."""

GLANCE: Final = 0.5
"""Fit of two small pictures below which nothing is laid over each other. Copies are at 0.94 and more, and at 0.55 where
the landmarks slipped so far that one chip is a fourth bigger than the other; of other photos two thirds are below."""

AGREED: Final = 0.9
"""Share of the contrast of the coarse level that must be explained for the fine one to be looked at."""

FAINT: Final = 0.2
"""Contrast of a cell, as a share of the chip's mean, below which its agreement counts less."""

SAME_SHOT: Final = 0.9
"""Likeness from which two chips are one shot."""


class Likeness(NamedTuple):
    """How alike two chips are."""

    pixels: float
    """The verdict in one figure, in [-1, 1]: ``agreement``, less for ``motion``; ``SAME_SHOT`` and more is one shot."""
    agreement: float
    """Correlation of the detail where the two agree least, in [-1, 1]."""
    motion: float
    """Root mean square of how parts have moved against each other, in px of a chip of 112; noise is taken off."""


UNLIKE: Final = Likeness(-1.0, -1.0, float("inf"))
"""Of chips that cannot be laid over each other."""


@dataclass(frozen=True, slots=True)
class _Template:
    """What a level of a chip can become by being saved again, as a linear model."""

    basis_KQ: Map
    """The level itself, 1, its Laplacian (blur), its gradients (shift, scale, turn), its square and cube (tone)."""
    weighted_KQ: Map
    """The same times the weight."""
    inverse_KK: Map
    """Inverse of the normal equations."""
    dx: Map
    dy: Map


class Look:
    """A chip made ready to be compared; 150 kB, and as much again once it was a template."""

    def __init__(self, chip: bytes) -> None:
        """Decode ``chip``.

        Raises:
            PictureError: It is empty or cannot be decoded.
        """
        grey = cv2.imdecode(np.frombuffer(chip, np.uint8), cv2.IMREAD_GRAYSCALE) if chip else None
        if grey is None:
            raise PictureError("undecodable" if chip else "empty")
        if grey.shape != (SIDE, SIDE):
            smaller = grey.shape[0] > SIDE
            grey = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        whole = np.asarray(grey, np.float32)
        self.detail = float(np.square(cv2.Laplacian(whole, cv2.CV_32F)).mean())
        """Energy of the finest detail; the sharper of two chips is the template."""
        inside = _inside(np.asarray(grey, np.uint8))
        self.levels = [_blurred(_to(whole, side), blur) for side, blur, _ in LEVELS]
        self.inside = WHOLE if inside is None else [_to(inside, side) for side, _, _ in LEVELS]
        self._templates: list[_Template | None] = [None for _ in LEVELS]
        small = cv2.resize(self.levels[0], (CELLS, CELLS), interpolation=cv2.INTER_AREA).reshape(-1)
        small = small - small.mean()
        self.small = np.asarray(small / (np.linalg.norm(small) + 1e-6), np.float32)
        """A small picture of unit length, for ``glance``."""

    def template(self, level: int) -> _Template:
        """Return the model of a level, made at the first call."""
        made = self._templates[level]
        if made is None:
            made = self._templates[level] = _template(self.levels[level], WEIGHTS[level])
        return made


def pixels_alike(chip_a: bytes, chip_b: bytes) -> float:
    """Return how surely two chips of one person are one shot, in [-1, 1]; ``SAME_SHOT`` and more means it is.

    Args:
        chip_a: A JPEG, aligned by landmarks, of any size.
        chip_b: Another one, cut by the same template.

    Raises:
        PictureError: One is empty or cannot be decoded.
    """
    return 1.0 if chip_a == chip_b and chip_a else compare(Look(chip_a), Look(chip_b)).pixels


def try_look(chip: bytes) -> Look | None:
    """Return a chip made ready, or None where it is empty or broken."""
    try:
        return Look(chip)
    except PictureError:
        return None


def glance(look_a: Look, look_b: Look) -> float:
    """Return how well the small pictures of two chips fit as they lie, in [-1, 1]: cheap, and no proof of anything."""
    return float(look_a.small @ look_b.small)


def compare(look_a: Look, look_b: Look) -> Likeness:
    """Return how alike two chips are; in either order the same.

    Source:
        Baker and Matthews 2004, "Lucas-Kanade 20 years on": alignment with a Jacobian that stays, gain and offset
        estimated along. Blur and tone as further columns, and the second, local step as a test, are this project's.
    """
    whole = look_a.inside is WHOLE and look_b.inside is WHOLE  # black would not fit whatever the rest does
    if whole and glance(look_a, look_b) < GLANCE:
        return UNLIKE
    sharp, other = (look_a, look_b) if look_a.detail >= look_b.detail else (look_b, look_a)
    turn, shift = complex(1), complex(0)  # the place z of the one lies at turn * z + shift in the other
    for level, (side, _, steps) in enumerate(LEVELS):
        template = sharp.template(level)
        for _ in range(steps):
            moved, weight = _moved(other, level, (turn, shift), sharp.inside[level])
            fit_K = _fit(template, moved, weight, WEIGHTS[level])
            if not fit_K[0] > FAINTEST:
                return UNLIKE
            step_4 = fit_K[3:7] / fit_K[0]
            x, y, scale, angle = (step_4 * (2 / (side - 1))).tolist()
            turn /= complex(1 + scale, angle)
            shift -= turn * complex(x, y)
            if not 0.5 < abs(turn) < 2:
                return UNLIKE
            if np.abs(step_4).max() < SETTLED:
                break
        if level == 0 and _agreed(template, moved, weight, fit_K) < AGREED:
            return UNLIKE
    if weight.sum() < 0.25 * WEIGHTS[-1].sum():
        return UNLIKE
    return _judge(template, moved, weight, fit_K)


def _agreed(template: _Template, moved: Map, weight: Map, fit_K: Map) -> float:
    """Return the share of a picture's contrast that a fit explains, at most 1."""
    rest_Q = moved.reshape(-1) - fit_K @ template.basis_KQ
    weight_Q = weight.reshape(-1)
    plain_Q = moved.reshape(-1) - (weight_Q @ moved.reshape(-1)) / weight_Q.sum()
    return 1 - float(weight_Q @ rest_Q**2) / (float(weight_Q @ plain_Q**2) + 1e-6)


def _judge(template: _Template, moved: Map, weight: Map, fit_K: Map) -> Likeness:
    """Return what the rest of a fit says."""
    fitted = (fit_K @ template.basis_KQ).reshape(moved.shape)
    rest = (moved - fitted) * (weight > 0)  # else the black beyond an edge would be blurred into what is judged
    dx, dy = template.dx * fit_K[0], template.dy * fit_K[0]
    cell_xx, cell_xy, cell_yy = (_cells(weight * part) for part in (dx * dx, dx * dy, dy * dy))
    cell_x, cell_y = _cells(weight * dx * rest), _cells(weight * dy * rest)
    edges = cell_xx + cell_yy
    hold = np.float32(0.02) * edges.mean() + np.float32(1e-6)  # keeps cells without edges still
    det = (cell_xx + hold) * (cell_yy + hold) - cell_xy**2
    x = ((cell_yy + hold) * cell_x - cell_xy * cell_y) / det
    y = ((cell_xx + hold) * cell_y - cell_xy * cell_x) / det
    share = _cells(weight)
    left = float(_cells(weight * rest * rest).sum())
    chance = NOISE_SHARE * left + SAVING_SHARE * min(left, SAVING_NOISE * float(share.sum()))
    explained = float((x * cell_x + y * cell_y).sum()) - chance
    motion = float(np.sqrt(max(0.0, explained) / (float(edges.sum()) + 1e-6)))
    detail_a, detail_b = fitted - _wide(fitted), moved - _wide(moved)
    coarse = _blurred(rest - _wide(rest), 1.5)
    contrast = _cells(weight * (detail_a**2 + detail_b**2))
    seen = share > 0.5 * share.max()
    apart = 2 * _cells(weight * coarse * coarse) / (contrast + FAINT * contrast[seen].mean() + np.float32(1e-6))
    agreement = max(-1.0, 1 - float(np.sort(apart[seen])[-SPARED]))
    falls = 1 / (1 + (motion / TOLERATED) ** 2)
    return Likeness(agreement * falls if agreement > 0 else agreement, agreement, motion)


def _fit(template: _Template, picture: Map, weight: Map, full: Map) -> Map:
    """Return the coefficients that bring a template nearest to a picture."""
    weighted_KQ, inverse_KK = template.weighted_KQ, template.inverse_KK
    if weight is not full:
        weighted_KQ, inverse_KK = _normal(template.basis_KQ, weight)
    return np.asarray(inverse_KK @ (weighted_KQ @ picture.reshape(-1)), np.float32)


def _moved(look: Look, level: int, warp: tuple[complex, complex], inside: Map) -> tuple[Map, Map]:
    """Return a level seen through a warp, and what of the weight is left where both chips have pixels."""
    turn, shift = warp
    side, half = LEVELS[level][0], (LEVELS[level][0] - 1) / 2
    middle = (1 - turn) * complex(half, half) + shift * half
    matrix_23 = np.array([[turn.real, -turn.imag, middle.real], [turn.imag, turn.real, middle.imag]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(look.levels[level], matrix_23, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    there = cv2.warpAffine(look.inside[level], matrix_23, (side, side), flags=flags) * inside
    full = WEIGHTS[level]
    lost = (there < 0.99) & (full > 0)
    return np.asarray(picture, np.float32), full * ~lost if lost.any() else full


def _template(level: Map, weight: Map) -> _Template:
    side = len(level)
    half = np.float32((side - 1) / 2)
    across = (np.arange(side, dtype=np.float32) - half)[None] / half
    down = across.T
    dx = np.asarray(cv2.Sobel(level, cv2.CV_32F, 1, 0, scale=1 / 8), np.float32)
    dy = np.asarray(cv2.Sobel(level, cv2.CV_32F, 0, 1, scale=1 / 8), np.float32)
    plain = level - level.mean()
    columns = [plain, np.ones_like(level), cv2.Laplacian(level, cv2.CV_32F)]
    columns += [dx, dy, across * dx + down * dy, across * dy - down * dx]
    columns += [plain**2 / 128, plain**3 / 128**2]
    basis_KQ = np.stack(columns).reshape(len(columns), -1).astype(np.float32)
    return _Template(basis_KQ, *_normal(basis_KQ, weight), dx, dy)


def _normal(basis_KQ: Map, weight: Map) -> tuple[Map, Map]:
    """Return the basis times a weight, and the inverse of the normal equations of weighted least squares."""
    weighted_KQ = basis_KQ * weight.reshape(-1)
    normal_KK = (weighted_KQ @ basis_KQ.T).astype(np.float64)
    scale_K = 1 / np.sqrt(np.diag(normal_KK) + 1e-6)  # columns differ a thousandfold in size
    normal_KK = normal_KK * scale_K[:, None] * scale_K + 1e-5 * np.eye(len(scale_K))
    inverse_KK = np.linalg.inv(normal_KK) * scale_K[:, None] * scale_K
    return weighted_KQ, inverse_KK.astype(np.float32)


def _inside(grey: NDArray[np.uint8]) -> Map | None:
    """Return 1 where a chip shows the picture and 0 in the black beyond its edge; None where there is no black."""
    black = cv2.morphologyEx((grey <= 3).astype(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    if not black.any():
        return None
    return np.asarray(1 - cv2.dilate(black, np.ones((9, 9), np.uint8)), np.float32)  # as far as blur spreads it


def _to(picture: Map, side: int) -> Map:
    if len(picture) == side:
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _blurred(picture: Map, sigma: float) -> Map:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _wide(picture: Map) -> Map:
    """Return a picture blurred by some 6 px, by way of a small one: light and shade, no detail."""
    small = cv2.GaussianBlur(cv2.resize(picture, (28, 28), interpolation=cv2.INTER_AREA), (0, 0), 1.4)
    return np.asarray(cv2.resize(small, picture.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _cells(values: Map) -> Map:
    """Return means over cells and, weighing less, their neighbours."""
    cells = cv2.resize(values, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(cells, (3, 3), 0.8), np.float32)


def _face(side: int) -> Map:
    """Return the weight of pixels: an oval that holds the face in all of our templates, soft at its rim."""
    across = np.linspace(-1, 1, side, dtype=np.float32)[None]
    radius = np.sqrt((across / 0.78) ** 2 + (across.T / 0.84) ** 2)
    return np.asarray(np.clip((1.15 - radius) / 0.3, 0, 1), np.float32)


WHOLE: Final = [np.ones((side, side), np.float32) for side, _, _ in LEVELS]
WEIGHTS: Final = [_face(side) for side, _, _ in LEVELS]
