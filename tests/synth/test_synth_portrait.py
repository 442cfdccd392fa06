"""Portraits: what the truth says is what other programs see."""

import cv2
import numpy as np
import pytest

from omokage import weights
from omokage.synth import people, portrait, scene
from omokage.synth.portrait import Pose

SIZE = 256
FRONT = Pose(0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def yunet():
    return cv2.FaceDetectorYN.create(str(weights.path("yunet")), "", (SIZE, SIZE), 0.6)


def bgr(picture):
    return np.ascontiguousarray(picture[:, :, ::-1])


def eyes_apart(landmarks):
    return float(np.linalg.norm(landmarks[1] - landmarks[0]))


def test_same_numbers_same_pixels():
    first = portrait.portrait(3, 1, 2, 96)
    people.person.cache_clear()
    portrait.portrait(3, 2, 0, 96)  # what was drawn before does not matter
    again = portrait.portrait(3, 1, 2, 96)
    assert np.array_equal(first.picture, again.picture)
    assert np.array_equal(first.landmarks, again.landmarks)
    assert first.pose == again.pose
    assert not np.array_equal(first.picture, portrait.portrait(4, 1, 2, 96).picture)


def test_picture_is_what_the_house_wants():
    picture, landmarks, _ = portrait.portrait(0, 0, 0, 80)
    assert picture.shape == (80, 80, 3) and picture.dtype == np.uint8 and picture.flags.c_contiguous
    assert landmarks.shape == (5, 2) and landmarks.dtype == np.float32


def test_landmarks_are_where_yunet_sees_them(yunet):
    off = []
    for number in range(8):
        drawn = portrait.portrait(0, number, 0, SIZE, pose=FRONT)
        _, found = yunet.detect(bgr(drawn.picture))
        assert found is not None and len(found) == 1
        off.append((found[0, 4:14].reshape(5, 2) - drawn.landmarks) / eyes_apart(drawn.landmarks))
    off_N52 = np.array(off)
    assert np.abs(off_N52.mean(0)).max() < 0.12  # no bias: share of the distance between the eyes
    assert np.median(np.linalg.norm(off_N52, axis=2)) < 0.12


def test_yunet_finds_turned_faces(yunet):
    for number in range(3):
        for yaw in (-45.0, 45.0):
            picture = portrait.portrait(0, number, 1, SIZE, pose=Pose(yaw, 0.0, 0.0)).picture
            _, found = yunet.detect(bgr(picture))
            assert found is not None


def test_signs_of_the_pose():
    def nose(pose):  # of the nose tip from the middle of the eyes, in eye distances
        landmarks = portrait.portrait(0, 0, 0, 128, pose=pose).landmarks
        return (landmarks[2] - landmarks[:2].mean(0)) / eyes_apart(landmarks)

    assert nose(Pose(25.0, 0.0, 0.0))[0] > 0.15 > -0.15 > nose(Pose(-25.0, 0.0, 0.0))[0]
    assert nose(Pose(0.0, 20.0, 0.0))[1] < nose(FRONT)[1] < nose(Pose(0.0, -20.0, 0.0))[1]


@pytest.mark.parametrize("roll", [-20.0, 0.0, 15.0])
def test_roll_is_the_angle_of_the_eyes(roll):
    across = np.diff(portrait.portrait(0, 1, 0, 128, pose=Pose(0.0, 0.0, roll)).landmarks[:2], axis=0)[0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(roll, abs=3)


def test_rotation_turns_the_nose_to_yaw_and_pitch():
    nose = scene.rotation(Pose(30.0, 10.0, 25.0))[:, 2]
    assert np.degrees(np.arctan2(nose[0], nose[2])) == pytest.approx(30, abs=1e-3)
    assert np.degrees(np.arcsin(nose[1])) == pytest.approx(10, abs=1e-3)


def test_landmarks_do_not_depend_on_supersampling(monkeypatch):
    twice = portrait.portrait(0, 2, 0, 200)
    monkeypatch.setattr(portrait, "SUPERSAMPLE_BELOW", 0)
    once = portrait.portrait(0, 2, 0, 200)
    assert np.allclose(twice.landmarks, once.landmarks, atol=1e-3)


def test_crop_and_shrink_move_the_truth():
    drawn = portrait.draw_shot(0, 3, 0, 200, pose=FRONT)
    for changed in (portrait.crop(drawn, 0.9), portrait.shrink(drawn, 0.5)):
        # the patch round the nose tip is the same skin
        x, y = changed.seen.landmarks[2].round().astype(int)
        u, v = drawn.seen.landmarks[2].round().astype(int)
        small = changed.picture[y - 2 : y + 3, x - 2 : x + 3].mean((0, 1))
        assert np.abs(small - drawn.picture[v - 3 : v + 4, u - 3 : u + 4].mean((0, 1))).max() < 14
    shrunk = portrait.shrink(drawn, 0.5)
    assert shrunk.picture.shape == (100, 100, 3)
    assert eyes_apart(shrunk.seen.landmarks) == pytest.approx(eyes_apart(drawn.seen.landmarks) / 2, rel=1e-4)


def test_group_shows_everyone_once(yunet):
    drawn = portrait.group(0, (2, 0, 4), 7, SIZE * 2)
    yunet.setInputSize((SIZE * 2, SIZE * 2))
    _, found = yunet.detect(bgr(drawn[0].picture))
    yunet.setInputSize((SIZE, SIZE))
    assert found is not None and len(found) == 3
    for one in drawn:
        middle = one.seen.landmarks.mean(0)
        inside = (found[:, :2] < middle).all(1) & (middle < found[:, :2] + found[:, 2:4]).all(1)
        assert inside.sum() == 1
    sides = [float(one.seen.box[3] - one.seen.box[1]) for one in drawn]
    assert max(sides) == sides[0]  # whom the picture is filed under is the largest


def test_box_holds_the_landmarks():
    for number in range(3):
        seen = portrait.draw_shot(0, number, 0, 128, pose=FRONT).seen
        assert (seen.landmarks >= seen.box[:2]).all() and (seen.landmarks <= seen.box[2:]).all()
