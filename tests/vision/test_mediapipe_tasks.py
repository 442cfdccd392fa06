"""MediaPipe's models through LiteRT against MediaPipe itself, on drawn people."""

import cv2
import numpy as np
import pytest
from drawn_faces import eye_distance, portraits

from omokage.vision import blazeface, detector, mesh
from omokage.vision.blazeface import FULL_RANGE
from omokage.vision.detector import DetectConfig


@pytest.fixture(scope="module")
def ours():
    return detector.load(DetectConfig())


@pytest.fixture(scope="module")
def reference():
    tasks = detector.load(DetectConfig(name="mediapipe-tasks"))
    yield tasks
    tasks.close()


def drawn():
    """People at 320 and 640 px, and small in a wide picture."""
    wide = [cv2.copyMakeBorder(one.picture, 40, 40, 160, 200, cv2.BORDER_REPLICATE) for one in portraits(320, 32)[::8]]
    return [one.picture for one in (*portraits(320, 32), *portraits(640, 8))] + wide


def test_the_first_detector_sees_the_same(ours, reference):
    for picture in drawn():
        found = ours._full_range(*blazeface.letterbox(picture, FULL_RANGE.side))
        expected = reference._find(picture)
        if (found.score_F < 0.52).any() or (expected.score_F < 0.52).any():
            continue  # on the edge of being reported
        np.testing.assert_allclose(found.score_F, expected.score_F, atol=0.02)
        side = found.box_F4[:, 2:] - found.box_F4[:, :2]
        assert (np.abs(found.points_F62 - expected.points_F62).max(axis=(1, 2)) < 0.03 * side[:, 0]).all()


def test_five_points_are_the_same_within_a_pixel(ours, reference):
    """On the same crop, which is what makes two answers to one question."""
    compared, worst = 0, []
    for picture in drawn():
        found = ours._full_range(*blazeface.letterbox(picture, FULL_RANGE.side))
        for box_4, points_62 in zip(found.box_F4, found.points_F62, strict=True):
            mine = ours._mesh(picture, ours._face_region(picture, box_4, points_62))
            theirs = reference._mesh(picture, box_4)
            assert (mine is None) == (theirs is None)
            if mine is not None:
                compared += 1
                five = [mesh.landmarks(points) for points in (mine, theirs)]
                worst.append(np.abs(five[0] - five[1]).max())
    assert compared >= 40
    assert max(worst) < 1
    assert np.median(worst) < 0.2


def test_whole_answers_are_the_same(ours, reference):
    """The crops follow from the first detector's boxes, which MediaPipe cuts to whole pixels: when a box lies on the
    edge between two, the crops differ by a pixel, and the landmarks by 1 % of the eyes' distance."""
    people = (*portraits(320, 32), *portraits(640, 8))
    differences = []
    for one in people:
        mine, theirs = ours([one.picture])[0], reference([one.picture])[0]
        if len(mine.score_F) != len(theirs.score_F):
            assert max(*mine.score_F, *theirs.score_F) < 0.52
            continue
        if len(mine.score_F):
            pixels = np.abs(mine.landmarks_F52 - theirs.landmarks_F52).max()
            assert pixels < max(1, 0.025 * eye_distance(one))
            assert np.abs(mine.box_F4 - theirs.box_F4).max() < max(1.5, 0.03 * eye_distance(one))
            differences.append(pixels)
    assert len(differences) >= 38
    assert np.mean(np.array(differences) < 1) >= 0.9


def test_pictures_without_a_face(reference):
    for shape in ((1, 1, 3), (20, 20_000, 3), (480, 640, 3)):
        assert [values.shape for values in reference([np.zeros(shape, np.uint8)])[0]] == [(0, 4), (0, 5, 2), (0,)]


def test_name_and_weights(reference):
    assert reference.name == "mediapipe-tasks"
    assert reference.weights == detector.WEIGHTS["mediapipe-tasks"]
