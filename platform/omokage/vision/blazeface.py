"""MediaPipe's two BlazeFace detectors: what they are fed, and what their outputs mean.

Everything follows MediaPipe's graphs to a few hundredths of a pixel (tests/vision/test_mediapipe_tasks.py), also
where a picture could be sampled with more care, so that the networks see what they were published with.

Shape key: A anchors, F faces, S side of a network's input. Six points: left eye, right eye, nose tip, mouth,
left ear, right ear, as seen in the picture.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage.vision import shrink

SAME_FACE_IOU: Final = 0.3
"""Boxes that overlap by more are one face."""

MAX_SHRINK: Final = 4
"""A longer side is halved until it is at most this many times the input's: a warp looks at four pixels for each
one that it makes, and would skip most of a large picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where a network looks for faces."""

    side: int
    """Of the square input, in pixels."""
    grids: tuple[tuple[int, int], ...]
    """Cells along a side, and anchors in each cell, in the order of the outputs."""


FULL_RANGE: Final = Layout(side=192, grids=((48, 1),))
SHORT_RANGE: Final = Layout(side=128, grids=((16, 2), (8, 6)))


class Found(NamedTuple):
    """Faces of one picture, best score first."""

    box_F4: NDArray[np.float32]
    """x0 y0 x1 y1: brows to chin, about square."""
    points_F62: NDArray[np.float32]
    score_F: NDArray[np.float32]


class Region(NamedTuple):
    """A rectangle, turned about its centre; pixels of a picture."""

    x: float
    y: float
    width: float
    height: float
    turn_rad: float = 0.0
    """From the picture's x axis towards its y axis."""

    def place(self, unit_P2: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the points of the picture for points whose (0, 0) and (1, 1) are the rectangle's corners."""
        return unit_P2 @ self._axes() + np.array(self._corner(), np.float32)

    def warp(self, picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        """Return the rectangle as a square of ``side`` pixels; black where it leaves the picture.

        Pixel (i, j) shows the picture at ``place((i, j) / side)``. That is half a pixel off what is right when
        (0, 0) is the centre of a pixel, and it is what MediaPipe does.
        """
        to_picture_23 = np.column_stack([self._axes().T / side, self._corner()])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(picture, to_picture_23, (side, side), flags=flags), np.uint8)

    def _axes(self) -> NDArray[np.float32]:
        """Return the vectors along the width and along the height, one a row."""
        cos, sin = math.cos(self.turn_rad), math.sin(self.turn_rad)
        return np.array([[cos * self.width, sin * self.width], [-sin * self.height, cos * self.height]], np.float32)

    def _corner(self) -> tuple[float, float]:
        across, down = self._axes() / 2
        return float(self.x - across[0] - down[0]), float(self.y - across[1] - down[1])


def anchors(layout: Layout) -> NDArray[np.float32]:
    """Return the centre of every anchor, x y as shares of the input's side. Shape (A, 2)."""
    parts = []
    for cells, count in layout.grids:
        centre = (np.arange(cells, dtype=np.float32) + np.float32(0.5)) / np.float32(cells)
        x, y = np.meshgrid(centre, centre)
        parts.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(parts)


def letterbox(picture: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], Region]:
    """Return the whole picture in the middle of a square, and the square's place in the picture.

    Args:
        picture: Of any size. Shape (H, W, 3).
        side: Of the square, in pixels.
    """
    height, width = picture.shape[:2]
    shrunk = shrink.halve_above(picture, MAX_SHRINK * side)
    small_height, small_width = shrunk.shape[:2]
    longer = max(small_height, small_width)
    square = Region(small_width / 2, small_height / 2, longer, longer).warp(shrunk, side)
    return square, Region(width / 2, height / 2, max(height, width), max(height, width))


def decode(
    raw_A16: NDArray[np.float32],
    logit_A: NDArray[np.float32],
    anchor_A2: NDArray[np.float32],
    layout: Layout,
    min_score: float,
) -> Found:
    """Return the faces in a network's outputs, as shares of its input's side.

    Args:
        raw_A16: Centre, width and height, then six points; input pixels, counted from the anchor. Shape (A, 16).
        logit_A: Scores before the sigmoid. Shape (A,).
        anchor_A2: From ``anchors``. Shape (A, 2).
        layout: Of the network.
        min_score: Lower ones are left out, in (0, 1).

    Source:
        MediaPipe's TensorsToDetectionsCalculator as its face graphs set it up.
    """
    likely = np.flatnonzero(logit_A >= math.log(min_score / (1 - min_score)))
    pair_A82 = raw_A16[likely].reshape(-1, 8, 2) / np.float32(layout.side)
    half_A2 = pair_A82[:, 1] / 2
    centre_A2 = pair_A82[:, 0] + anchor_A2[likely]
    box_A4 = np.concatenate([centre_A2 - half_A2, centre_A2 + half_A2], axis=1)
    points_A62 = pair_A82[:, 2:] + anchor_A2[likely, None]
    score_A = 1 / (1 + np.exp(-logit_A[likely].clip(-80, 80)))  # exp(80) is still a float32
    real = (half_A2 > 0).all(axis=1)
    return merge(Found(box_A4[real], points_A62[real], score_A[real].astype(np.float32)))


def merge(found: Found) -> Found:
    """Return one face for each group of overlapping boxes: their mean weighted by score, with the best score.

    Source:
        MediaPipe's NonMaxSuppressionCalculator, algorithm WEIGHTED.
    """
    order = np.argsort(-found.score_F, kind="stable")
    box, points, score = (values[order] for values in found)
    faces = []
    while len(score):
        same = iou(box, box[0]) > SAME_FACE_IOU
        same[0] = True
        weight = score[same] / score[same].sum()
        faces.append((weight @ box[same], np.tensordot(weight, points[same], 1), score[0]))
        box, points, score = box[~same], points[~same], score[~same]
    if not faces:
        return found
    boxes, all_points, scores = zip(*faces, strict=True)
    return Found(np.stack(boxes), np.stack(all_points), np.stack(scores))


def iou(box_F4: NDArray[np.float32], other_4: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the intersection over the union of each box with another one. Shape (F,)."""
    inner_F2 = np.minimum(box_F4[:, 2:], other_4[2:]) - np.maximum(box_F4[:, :2], other_4[:2])
    inner_F = inner_F2.clip(min=0).prod(axis=1)
    both_F = (box_F4[:, 2:] - box_F4[:, :2]).prod(axis=1) + (other_4[2:] - other_4[:2]).prod()
    return np.asarray(inner_F / np.maximum(both_F - inner_F, np.finfo(np.float32).tiny), np.float32)


def upright(box_4: NDArray[np.float32], points_62: NDArray[np.float32], expand: float) -> Region:
    """Return the box of a face, turned so that the eyes are level, and expanded about its centre.

    Args:
        box_4: x0 y0 x1 y1, pixels. Shape (4,).
        points_62: Pixels. Shape (6, 2).
        expand: Factor for width and height.

    Source:
        MediaPipe's DetectionsToRectsCalculator and RectTransformationCalculator.
    """
    x0, y0, x1, y1 = box_4.tolist()
    (left_x, left_y), (right_x, right_y) = points_62[:2].tolist()
    turn_rad = math.atan2(right_y - left_y, right_x - left_x)
    return Region((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * expand, (y1 - y0) * expand, turn_rad)
