"""The three networks together: what is refused, and what stands in when one of them sees nothing."""

import cv2
import numpy as np
import pytest
from drawn_faces import eye_distance, portraits

from omokage.vision import blazeface, detector
from omokage.vision.blazeface import FULL_RANGE, Found
from omokage.vision.detector import DetectConfig
from omokage.vision.mediapipe_litert import crop_region, visible


@pytest.fixture(scope="module")
def detect():
    return detector.load(DetectConfig())


def test_a_box_without_a_face_is_refused(detect):
    picture = portraits(320, 32)[0].picture
    background = np.array([5, 5, 45, 45], np.float32)
    points = np.array([[15, 18], [35, 18], [25, 27], [25, 36], [8, 20], [42, 20]], np.float32)
    assert detect._mesh(picture, detect._face_region(picture, background, points)) is None


def test_the_first_detector_stands_in_where_the_second_sees_nothing(detect):
    one = portraits(320, 32)[0]
    found = detect._full_range(*blazeface.letterbox(one.picture, FULL_RANGE.side))
    detect_alone = detector.load(DetectConfig())
    detect_alone._short_range = lambda square, place: Found(
        np.zeros((0, 4), np.float32), np.zeros((0, 6, 2), np.float32), np.zeros(0, np.float32)
    )
    both, alone = detect([one.picture])[0], detect_alone([one.picture])[0]
    assert len(found.score_F) == len(both.score_F) == len(alone.score_F) == 1
    shift = np.abs(both.landmarks_F52 - alone.landmarks_F52).max()
    assert 0 < shift < 0.1 * eye_distance(one)


def test_neighbours_are_told_apart(detect):
    # So close that each one's crop holds both faces.
    left, right = portraits(320, 32)[0], portraits(320, 32)[9]
    pair = np.hstack([left.picture[:, 60:260], right.picture[:, 60:260]])
    truth = [left.landmarks - np.array([60, 0]), right.landmarks + np.array([140, 0])]
    faces = detect([pair])[0]
    assert len(faces.score_F) == 2
    for expected in truth:
        assert min(np.abs(points - expected).max() for points in faces.landmarks_F52) < 15


def test_a_better_seen_neighbour_is_not_taken_for_the_face():
    detect = detector.load(DetectConfig())
    boxes = np.array([[90, 0, 140, 50], [2, 2, 50, 50]], np.float32)
    points = np.zeros((2, 6, 2), np.float32)
    points[:, 1] = [10, 0]
    detect._short_range = lambda square, place: Found(boxes, points, np.array([0.9, 0.6], np.float32))
    picture = np.zeros((200, 200, 3), np.uint8)
    region = detect._face_region(picture, np.array([0, 0, 50, 50], np.float32), points[0])
    assert (region.x, region.y, region.width) == (26, 26, 72)


@pytest.mark.parametrize("angle", [-40, 40])
def test_turned_faces_have_turned_landmarks(detect, angle):
    one = portraits(320, 32)[1]
    turn = cv2.getRotationMatrix2D((159.5, 159.5), angle, 0.8)
    faces = detect([cv2.warpAffine(one.picture, turn, (320, 320), borderValue=(120, 120, 120))])[0]
    expected = one.landmarks @ turn[:, :2].T + turn[:, 2]
    assert len(faces.score_F) == 1
    assert np.linalg.norm(faces.landmarks_F52[0] - expected, axis=1).mean() < 0.1 * eye_distance(one)


def test_visible():
    picture = np.zeros((100, 200, 3), np.uint8)
    boxes = [
        [0, 0, 10, 10],
        [-5, -4, 5, 6],
        [-9, 0, 1, 10],
        [150, 60, 250, 160],
        [300, 0, 310, 10],
        [0, -500, 200, 500],
    ]
    found = Found(np.array(boxes, np.float32), np.zeros((6, 6, 2), np.float32), np.arange(6, dtype=np.float32))
    assert visible(found, picture).score_F.tolist() == [0, 1]


@pytest.mark.parametrize("box", [[10.2, 20.7, 61.9, 71.3], [-30.5, -7, 40, 63.5], [5, 5, 5.5, 5.5]])
def test_a_crop_lies_on_whole_pixels(box):
    region = crop_region(np.array(box, np.float32))
    assert region.width == region.height >= 2
    assert region.width == max(2, 2 * int(max(box[2] - box[0], box[3] - box[1])))
    for length in (region.x - region.width / 2, region.y - region.height / 2):
        assert length == int(length)
    assert abs(region.x - (box[0] + box[2]) / 2) <= 1.5 and abs(region.y - (box[1] + box[3]) / 2) <= 1.5
