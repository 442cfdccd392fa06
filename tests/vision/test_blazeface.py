"""The decoding of MediaPipe's detectors against slow obvious versions of it."""

import math

import numpy as np
import pytest

from omokage.vision import blazeface
from omokage.vision.blazeface import FULL_RANGE, SHORT_RANGE, Found, Region


def slow_anchors(side, strides):
    """MediaPipe's own description: one anchor a layer and cell, and one more where a stride occurs again."""
    per_stride = {stride: 2 * strides.count(stride) if len(strides) > 1 else 1 for stride in strides}
    centres = []
    for stride, count in per_stride.items():
        for row in range(side // stride):
            for column in range(side // stride):
                centre = ((column + 0.5) * stride / side, (row + 0.5) * stride / side)
                centres += [centre] * count
    return np.array(centres)


@pytest.mark.parametrize(("layout", "strides", "count"), [(FULL_RANGE, [4], 2304), (SHORT_RANGE, [8, 16, 16, 16], 896)])
def test_anchors(layout, strides, count):
    anchors = blazeface.anchors(layout)
    assert anchors.shape == (count, 2)
    np.testing.assert_allclose(anchors, slow_anchors(layout.side, strides), atol=1e-7)


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inner = max(width, 0) * max(height, 0)
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def slow_merge(faces):
    left = sorted(faces, key=lambda face: -face[2])
    merged = []
    while left:
        best = left[0]
        same = [face for face in left if face is best or slow_iou(face[0], best[0]) > 0.3]
        left = [face for face in left if not any(face is other for other in same)]
        total = sum(face[2] for face in same)
        box = sum(face[0] * face[2] for face in same) / total
        points = sum(face[1] * face[2] for face in same) / total
        merged.append((box, points, best[2]))
    return merged


def test_decode_and_merge():
    rng = np.random.default_rng(3)
    anchors = blazeface.anchors(FULL_RANGE)
    raw = rng.normal(0, 3, (2304, 16)).astype(np.float32)
    raw[:, 2:4] = rng.uniform(-5, 60, (2304, 2))
    logit = rng.normal(-3, 2, 2304).astype(np.float32)
    faces = []
    for number in range(2304):
        score = 1 / (1 + math.exp(-logit[number]))
        x, y = raw[number, :2] / 192 + anchors[number]
        width, height = raw[number, 2:4] / 192
        if score < 0.4 or width <= 0 or height <= 0:
            continue
        points = raw[number, 4:].reshape(6, 2) / 192 + anchors[number]
        box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        faces.append((box, points, score))
    expected = slow_merge(faces)
    found = blazeface.decode(raw, logit, anchors, FULL_RANGE, 0.4)
    assert len(faces) > len(expected) > 10
    np.testing.assert_allclose(found.score_F, [face[2] for face in expected], rtol=1e-5)
    np.testing.assert_allclose(found.box_F4, [face[0] for face in expected], atol=1e-5)
    np.testing.assert_allclose(found.points_F62, [face[1] for face in expected], atol=1e-5)


def test_scores_that_no_float_could_exponentiate():
    logit = np.array([1e4, -1e4, 88.0], np.float32)
    anchors = np.array([[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]], np.float32)
    raw = np.zeros((3, 16), np.float32)
    raw[:, 2:4] = 10
    with np.errstate(all="raise"):
        found = blazeface.decode(raw, logit, anchors, FULL_RANGE, 0.5)
    np.testing.assert_array_equal(found.score_F, [1, 1])


def test_nothing_found():
    found = blazeface.decode(
        np.zeros((2304, 16), np.float32), np.full(2304, -9, np.float32), blazeface.anchors(FULL_RANGE), FULL_RANGE, 0.5
    )
    assert [values.shape for values in found] == [(0, 4), (0, 6, 2), (0,)]


def test_merge_keeps_the_first_of_equal_scores_in_place():
    box = np.array([[0, 0, 1, 1], [5, 5, 6, 6], [0, 0, 1, 1]], np.float32)
    points = np.arange(36, dtype=np.float32).reshape(3, 6, 2)
    found = blazeface.merge(Found(box, points, np.full(3, 0.8, np.float32)))
    np.testing.assert_array_equal(found.box_F4, box[:2])
    np.testing.assert_allclose(found.points_F62[0], points[[0, 2]].mean(axis=0))


def test_iou_of_flat_boxes_is_zero():
    flat = np.array([[1, 1, 1, 1], [0, 0, 2, 2]], np.float32)
    np.testing.assert_array_equal(blazeface.iou(flat, flat[0]), [0, 0])


@pytest.mark.parametrize("turn_rad", [0.0, 0.5, -2.0])
def test_a_warp_shows_what_its_place_says(turn_rad):
    # A picture whose values are its coordinates.
    y, x = np.mgrid[:200, :240]
    picture = np.stack([x, y, np.full_like(x, 7)], axis=2).astype(np.uint8)
    region = Region(120.0, 100.0, 90.0, 60.0, turn_rad)
    square = region.warp(picture, 50)
    steps = np.arange(50, dtype=np.float32) / 50
    unit = np.stack(np.meshgrid(steps, steps), axis=2).reshape(-1, 2)
    np.testing.assert_allclose(square[..., :2].reshape(-1, 2), region.place(unit), atol=0.6)
    assert (square[..., 2] == 7).all()


def test_places_of_a_turned_rectangle():
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]], np.float32)
    region = Region(10.0, 20.0, 4.0, 2.0, math.pi / 2)  # x of the rectangle now points down the picture
    expected = [[11, 18], [11, 22], [9, 22], [9, 18], [10, 20]]
    np.testing.assert_allclose(region.place(corners), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(192, 192), (100, 300), (300, 100), (2000, 3001), (20, 20_000)])
def test_letterbox_shows_the_whole_picture(shape):
    height, width = shape
    picture = np.full((height, width, 3), 200, np.uint8)
    square, place = blazeface.letterbox(picture, 192)
    shown = (square[..., 0] > 100).mean() * 192 * 192
    scale = 192 / max(shape)
    assert shown == pytest.approx(max(1, height * scale) * max(1, width * scale), rel=0.02, abs=2 * 192)
    corners = place.place(np.array([[0, 0], [1, 1]], np.float32))
    longer = max(shape)
    np.testing.assert_allclose(corners[0], [(width - longer) / 2, (height - longer) / 2])
    np.testing.assert_allclose(corners[1], [(width + longer) / 2, (height + longer) / 2])


def test_upright_levels_the_eyes():
    points = np.zeros((6, 2), np.float32)
    points[:2] = [[10, 10], [20, 20]]
    region = blazeface.upright(np.array([0, 0, 30, 40], np.float32), points, 1.5)
    assert region == pytest.approx((15, 20, 45, 60, math.pi / 4))
