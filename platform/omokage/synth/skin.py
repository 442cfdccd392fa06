"""What is painted on a head: skin, brows, beard, freckles and hair, on a sheet rolled round the head's axis.

The sheet is indexed by turn (radians about the vertical axis through AXIS_Z, 0 at the nose, -pi to pi) and height
(decimetres), both of the undeformed head, so that what is painted follows every deformation.

Shape key: H W the sheet, V vertices, P points.
"""

import functools
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage.synth.people import Hair, Person

FloatArray = NDArray[np.float32]

SHEET: Final = (640, 1024)
"""Height and width in pixels; about 185 px a decimetre on the face."""
LOW, HIGH = 5.2, 8.65
"""Heights that the sheet spans, in decimetres; below it are clothes."""
AXIS_Z: Final = 0.45

HAIRLINE: Final = (
    (0.0, 0.45, 0.85, 1.10, 1.26, 1.36, 1.50, 1.75, 2.2, 3.1416),
    (8.02, 8.00, 7.86, 7.62, 7.30, 7.20, 7.42, 7.20, 6.75, 6.60),
)
"""Turn in radians, and the height in decimetres from which hair grows there; the dip is the sideburn."""


def sheet_place(rest_P3: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return column and row on the sheet of points of the undeformed head, each (P,)."""
    height, width = SHEET
    turn_P = np.arctan2(rest_P3[:, 0], rest_P3[:, 2] - np.float32(AXIS_Z))
    column_P = (turn_P + np.float32(np.pi)) * np.float32(width / (2 * np.pi)) - np.float32(0.5)
    row_P = (HIGH - rest_P3[:, 1]) * np.float32(height / (HIGH - LOW)) - np.float32(0.5)
    return column_P, row_P


@functools.lru_cache(maxsize=12)
def sheet(person: Person) -> FloatArray:
    """Return the painted sheet of a person, linear RGB, (H, W, 3); kept for the last few people."""
    rng = np.random.default_rng([person.seed, person.number, 2])
    turn, height = _grid()
    skin = np.array(person.skin, np.float32)
    out = np.broadcast_to(skin, (*SHEET, 3)).copy()
    out *= 1 + 0.05 * _clouds(rng, 24)[..., None] + 0.035 * _clouds(rng, 2.0)[..., None]
    _redden(out, person, turn, height)
    _dot(out, person, rng)
    if person.age > 0.35:
        _wrinkle(out, person, rng)
    hair = np.array(person.hair.colour, np.float32)
    strands = _strands(rng)
    natural = np.array(person.hair.natural, np.float32)
    _blend(out, _brows(person, turn, height, strands), natural * 0.8)
    if person.beard:
        _blend(out, person.beard * _beard(turn, height, rng), natural * 0.7 + skin * 0.08)
    wisps = height + 0.035 * strands + 0.02 * _clouds(rng, 8)
    share = hair_share(person.hair, turn, wisps)
    if person.hair.style != "buzz":
        hair = hair * (1 + 0.45 * strands[..., None])
    _blend(out, share, hair)
    return np.clip(out, 0.003, 1)


@functools.cache
def _grid() -> tuple[FloatArray, FloatArray]:
    """Return turn and height at each pixel of the sheet, each (H, W)."""
    height, width = SHEET
    turn_W = ((np.arange(width) + 0.5) / width * 2 - 1) * np.pi
    height_H = HIGH - (np.arange(height) + 0.5) / height * (HIGH - LOW)
    turn, high = np.meshgrid(turn_W.astype(np.float32), height_H.astype(np.float32))
    return turn, high


def _blend(out: FloatArray, share: FloatArray, colour: FloatArray) -> None:
    out += (colour - out) * share[..., None]


def _clouds(rng: np.random.Generator, size: float) -> FloatArray:
    """Return smooth noise with spots of about ``size`` px, mean 0, standard deviation 1."""
    shrink = max(1, int(size / 2))
    small = rng.standard_normal((SHEET[0] // shrink, SHEET[1] // shrink), dtype=np.float32)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), size / shrink), np.float32)
    small = small / (small.std() + 1e-6)
    return np.asarray(cv2.resize(small, SHEET[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _strands(rng: np.random.Generator) -> FloatArray:
    """Return streaks that run down the sheet, mean 0, standard deviation 1."""
    # streaks are long, so a quarter of the rows is enough to draw them from
    noise = rng.standard_normal((SHEET[0] // 4, SHEET[1]), dtype=np.float32)
    fine = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.9, sigmaY=4.5)
    broad = cv2.GaussianBlur(noise, (0, 0), sigmaX=5, sigmaY=10)
    small = np.asarray(fine + 0.25 * broad, np.float32)
    streak = np.asarray(cv2.resize(small, SHEET[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(streak / (streak.std() + 1e-6), np.float32)


def _spot(turn: FloatArray, height: FloatArray, at: tuple[float, float], size: tuple[float, float]) -> FloatArray:
    """Return a soft spot on both sides of the face: ``at`` and ``size`` are turn (rad) and height (dm)."""
    return np.exp(-(((np.abs(turn) - at[0]) / size[0]) ** 2) - ((height - at[1]) / size[1]) ** 2)


def _redden(out: FloatArray, person: Person, turn: FloatArray, height: FloatArray) -> None:
    """Paint what blood does: cheeks, nose and ears redder, the hollows under the eyes darker."""
    red = _spot(turn, height, (0.52, 6.92), (0.25, 0.2)) + 0.8 * _spot(turn, height, (0.0, 6.92), (0.12, 0.12))
    out *= 1 - person.blush * red[..., None] * np.array([0.15, 1.0, 0.9], np.float32)
    tired = _spot(turn, height, (0.3, 7.12), (0.13, 0.05)) * (0.10 + 0.2 * person.age)
    socket = _spot(turn, height, (0.31, 7.36), (0.16, 0.07)) * 0.14
    out *= 1 - (tired + socket)[..., None] * np.array([0.8, 1.0, 0.95], np.float32)


def _dot(out: FloatArray, person: Person, rng: np.random.Generator) -> None:
    """Paint freckles and moles."""
    shade = np.ones(SHEET, np.float32)
    for _ in range(person.freckles):
        turn, high = rng.normal(0, 0.45), rng.normal(7.05, 0.18)
        _disc(shade, (turn, high), rng.uniform(0.8, 1.8), rng.uniform(0.55, 0.85))
    for _ in range(int(rng.poisson(1.6))):
        _disc(shade, (rng.uniform(-0.8, 0.8), rng.uniform(6.3, 7.8)), rng.uniform(1.8, 4.0), rng.uniform(0.2, 0.5))
    shade = np.asarray(cv2.GaussianBlur(shade, (0, 0), 0.8), np.float32)
    out *= shade[..., None] ** np.array([0.7, 1.0, 1.1], np.float32)


def _disc(shade: FloatArray, at: tuple[float, float], radius: float, value: float) -> None:
    column = (at[0] + np.pi) / (2 * np.pi) * SHEET[1]
    row = (HIGH - at[1]) / (HIGH - LOW) * SHEET[0]
    centre = (round(column * 16), round(row * 16))
    cv2.circle(shade, centre, round(radius * 16), value, -1, cv2.LINE_AA, shift=4)


def _wrinkle(out: FloatArray, person: Person, rng: np.random.Generator) -> None:
    """Paint lines over the forehead and beside the eyes."""
    shade = np.ones(SHEET, np.float32)
    turn_N = np.linspace(-0.55, 0.55, 40)
    for level in np.linspace(7.62, 7.88, 4):
        wave_N = level + 0.02 * np.cos(turn_N * rng.uniform(4, 7) + rng.uniform(-1, 1)) + rng.normal(0, 0.012)
        _line(shade, turn_N * rng.uniform(0.7, 1.0), wave_N)
    for side in (-1, 1):
        for slope in (-0.35, 0.0, 0.3):
            turn_M = np.linspace(0.56, 0.56 + rng.uniform(0.08, 0.16), 12)
            _line(shade, side * turn_M, 7.27 + slope * (turn_M - 0.5))
    shade = np.asarray(cv2.GaussianBlur(shade, (0, 0), 1.6), np.float32)
    out *= 1 - (1 - shade[..., None]) * (person.age - 0.2) * np.array([0.5, 0.7, 0.7], np.float32)


def _line(shade: FloatArray, turn_N: NDArray[np.float64], height_N: NDArray[np.float64]) -> None:
    column_N = (turn_N + np.pi) / (2 * np.pi) * SHEET[1] * 16
    row_N = (HIGH - height_N) / (HIGH - LOW) * SHEET[0] * 16
    points = np.stack([column_N, row_N], axis=1).round().astype(np.int32)
    cv2.polylines(shade, [points], False, 0.0, 2, cv2.LINE_AA, shift=4)


def _brows(person: Person, turn: FloatArray, height: FloatArray, strands: FloatArray) -> FloatArray:
    thick, dense, lift, arch = person.brow
    along = (np.abs(turn) - 0.09) / 0.46  # 0 at the inner end, 1 at the outer
    middle = 7.47 + lift + arch * (0.75 - ((along - 0.5) / 0.7) ** 2)
    half = thick * np.interp(along, (0.0, 0.15, 0.6, 1.0), (0.75, 1.0, 0.8, 0.25)).astype(np.float32)
    inside = 1 / (1 + np.exp(np.clip((np.abs(height - middle) - half) / 0.010, -30, 30)))
    ends = np.clip(along * 12 + 0.5, 0, 1) * np.clip((1 - along) * 8, 0, 1)
    hairs = np.clip(0.92 + 0.13 * strands, 0, 1.2)
    return np.asarray(np.clip(dense * inside * ends * hairs, 0, 1), np.float32)


def _beard(turn: FloatArray, height: FloatArray, rng: np.random.Generator) -> FloatArray:
    away = np.abs(turn)
    upper = np.interp(away, (0.0, 0.2, 0.35, 0.7, 1.1, 1.3), (6.83, 6.80, 6.70, 6.70, 7.0, 7.3)).astype(np.float32)
    share = 1 / (1 + np.exp(np.clip((height - upper) / 0.035, -30, 30)))
    share *= 1 / (1 + np.exp(np.clip((away - 1.45) / 0.05, -30, 30)))
    share *= 1 / (1 + np.exp(np.clip((6.05 - height) / 0.05, -30, 30)))
    chin = _spot(turn, height, (0.0, 6.43), (0.14, 0.05))  # thin below the lip
    return np.asarray(np.clip(share * (1 - 0.5 * chin) * (0.85 + 0.2 * _clouds(rng, 1.5)), 0, 1), np.float32)


def hair_share(hair: Hair, turn: FloatArray, height: FloatArray) -> FloatArray:
    """Return how much hair covers the head at turn (radians) and height (dm): 0 none to 1 full."""
    if hair.style == "bald":
        return np.zeros_like(turn)
    away = np.abs(turn)
    line = np.interp(away, *HAIRLINE).astype(np.float32)
    line += hair.front * np.exp(-((away / 0.75) ** 4))
    line += hair.temple * np.exp(-(((away - 0.75) / 0.3) ** 2))
    if hair.front < -0.1:  # a fringe parts somewhere
        line += 0.18 * np.exp(-(((turn - hair.parting) / 0.12) ** 2))
    if hair.style in ("medium", "long"):
        floor = 6.3 if hair.style == "medium" else 4.0
        drop = 1 / (1 + np.exp(-(away - 1.32) / 0.06))
        line = np.asarray(line * (1 - drop) + np.minimum(line, floor) * drop, np.float32)
    soft = 0.025 if hair.style != "buzz" else 0.06
    share = 1 / (1 + np.exp(-np.clip((height - line) / soft, -30, 30)))
    return np.asarray((share * (0.72 if hair.style == "buzz" else 1.0)), np.float32)
