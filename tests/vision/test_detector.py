"""What holds for every detector, on drawn people with known landmarks and on pictures that should do no harm."""

import subprocess
import sys
from functools import cache

import cv2
import numpy as np
import pytest
from drawn_faces import eye_distance, portraits

from omokage.errors import ConfigError
from omokage.vision import blazeface, detector
from omokage.vision.detector import DetectConfig, Detector, Faces

QUICK = ("mediapipe", "yunet")


@cache
def load(name) -> Detector:
    return detector.load(DetectConfig(name=name))


@pytest.fixture(params=QUICK)
def detect(request):
    return load(request.param)


def check(faces: Faces) -> None:
    """What every answer is like, whatever the picture."""
    count = len(faces.score_F)
    assert faces.box_F4.shape == (count, 4) and faces.landmarks_F52.shape == (count, 5, 2)
    assert all(values.dtype == np.float32 and np.isfinite(values).all() for values in faces)
    assert (faces.box_F4[:, 2:] > faces.box_F4[:, :2]).all()
    assert ((faces.score_F >= 0.5) & (faces.score_F <= 1)).all()
    assert (np.diff(faces.score_F) <= 0).all()


def test_finds_drawn_people(detect):
    drawn = portraits(320, 32)
    found = detect([one.picture for one in drawn])
    for faces in found:
        check(faces)
    counts = [len(faces.score_F) for faces in found]
    assert np.mean([count >= 1 for count in counts]) >= 0.98
    assert max(counts) == 1
    for one, faces in zip(drawn, found, strict=True):
        if len(faces.score_F):
            x0, y0, x1, y1 = faces.box_F4[0]
            middle = one.landmarks.mean(axis=0)
            assert x0 < middle[0] < x1 and y0 < middle[1] < y1
            assert 1.2 < (x1 - x0) / eye_distance(one) < 3.5


def test_a_box_means_the_same_to_all():
    pictures = [one.picture for one in portraits(320, 32)]
    overlaps = [
        blazeface.iou(faces.box_F4[:1], other.box_F4[0])[0]
        for faces, other in zip(load("mediapipe")(pictures), load("yunet")(pictures), strict=True)
        if len(faces.score_F) and len(other.score_F)
    ]
    assert len(overlaps) >= 30
    assert np.median(overlaps) > 0.75


@pytest.mark.parametrize(("name", "side"), [("mediapipe", 40), ("yunet", 16)])
def test_finds_small_faces_in_a_wide_view(name, side):
    found = 0
    for one in portraits(320, 32)[:16]:
        scale = side / (2.1 * eye_distance(one))  # a face is about 2.1 times as wide as its eyes are apart
        small = cv2.resize(one.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        view = np.full((640, 640, 3), 120, np.uint8)
        view[200 : 200 + len(small), 300 : 300 + len(small)] = small
        middle = one.landmarks.mean(axis=0) * scale + np.array([300, 200])
        faces = load(name)([view])[0]
        found += any(np.abs(points.mean(axis=0) - middle).max() < side / 3 for points in faces.landmarks_F52)
    assert found >= 15


# Share of the eyes' distance by which half of the points may be off: what was seen is 0.03 and 0.10.
@pytest.mark.parametrize(("name", "limit"), [("mediapipe", 0.05), ("yunet", 0.13)])
def test_landmarks_are_where_they_were_drawn(name, limit):
    drawn = portraits(320, 32)
    errors = [
        np.linalg.norm(faces.landmarks_F52[0] - one.landmarks, axis=1) / eye_distance(one)
        for one, faces in zip(drawn, load(name)([one.picture for one in drawn]), strict=True)
        if len(faces.score_F)
    ]
    assert np.median(errors) < limit
    assert np.median(errors, axis=0).max() < 2 * limit  # no two points swapped: the eyes are 1.0 apart


def test_a_mirrored_picture_has_mirrored_landmarks():
    # The names follow the picture's sides, not the person's; and a half-pixel error would show as 1 px.
    # YuNet itself is off by up to 3 px, to the same side in both.
    drawn = portraits(320, 32)
    straight = load("mediapipe")([one.picture for one in drawn])
    mirrored = load("mediapipe")([np.ascontiguousarray(one.picture[:, ::-1]) for one in drawn])
    offsets = []
    for faces, other in zip(straight, mirrored, strict=True):
        if len(faces.score_F) and len(other.score_F):
            back = other.landmarks_F52[0][[1, 0, 2, 4, 3]]
            back[:, 0] = 319 - back[:, 0]
            offsets.append(faces.landmarks_F52[0] - back)
    assert np.abs(np.median(offsets, axis=(0, 1))).max() < 0.25


def test_every_face_of_a_group_is_reported_best_first(detect):
    height, width = 640, 960
    group = np.full((height, width, 3), 128, np.uint8)
    truth = []
    for number, one in enumerate(portraits(320, 32)[::5][:6]):
        y, x = divmod(number, 3)
        group[y * 320 : y * 320 + 320, x * 320 : x * 320 + 320] = one.picture
        truth.append(one.landmarks + np.array([x * 320, y * 320], np.float32))
    faces = detect([group])[0]
    check(faces)
    assert len(faces.score_F) == 6
    nearest = [int(np.argmin([np.abs(one - points).max() for one in truth])) for points in faces.landmarks_F52]
    assert sorted(nearest) == list(range(6))


def test_an_answer_does_not_depend_on_the_other_pictures(detect):
    pictures = [portraits(320, 32)[0].picture, np.zeros((50, 70, 3), np.uint8), portraits(320, 32)[1].picture]
    pictures += [cv2.resize(pictures[0], (200, 180)), portraits(320, 32)[2].picture]
    together = detect(pictures)
    for picture, faces in zip(pictures, together, strict=True):
        alone = detect([picture])[0]
        assert all(np.array_equal(a, b) for a, b in zip(alone, faces, strict=True))


@pytest.mark.parametrize("shape", [(1, 1), (20, 20_000), (20_000, 20), (1, 3_000), (480, 640)])
@pytest.mark.parametrize("fill", ["black", "white", "noise"])
def test_pictures_without_a_face(detect, shape, fill):
    picture = np.full((*shape, 3), 255 if fill == "white" else 0, np.uint8)
    if fill == "noise":
        picture = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
    faces = detect([picture])[0]
    check(faces)
    assert len(faces.score_F) == 0


def test_no_pictures_no_answers(detect):
    assert detect([]) == []


def test_two_hundred_faces(detect):
    face = cv2.resize(portraits(320, 32)[0].picture, (64, 64), interpolation=cv2.INTER_AREA)
    faces = detect([np.tile(face, (10, 20, 1))])[0]
    check(faces)
    # Each of them is 32 px of 1280: most are too small for either detector, and none may be made up.
    assert len(faces.score_F) <= 200


def test_yunet_finds_two_hundred_faces():
    face = cv2.resize(portraits(320, 32)[0].picture, (64, 64), interpolation=cv2.INTER_AREA)
    faces = load("yunet")([np.tile(face, (10, 10, 1))])[0]
    check(faces)
    assert len(faces.score_F) == 100


def test_a_face_at_the_edge(detect):
    one = portraits(320, 32)[0]
    middle = int(one.landmarks[2, 0])
    for half in (one.picture[:, :middle], one.picture[:, middle:]):
        check(detect([np.ascontiguousarray(half)])[0])


def test_large_pictures_keep_their_scale(detect):
    one = portraits(640, 2)[0]
    small, large = detect([one.picture, cv2.resize(one.picture, (2560, 2560), interpolation=cv2.INTER_CUBIC)])
    expected = (small.landmarks_F52[0] + 0.5) * 4 - 0.5
    assert np.abs(large.landmarks_F52[0] - expected).max() < 4 * 0.04 * eye_distance(one)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_score": 0.0},
        {"min_score": 1.0},
        {"min_side": 0},
        {"threads": 0},
        {"device": "cuda"},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DetectConfig(**wrong)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"mtcnn.*mediapipe, mediapipe-tasks, yunet"):
        detector.load(DetectConfig(name="mtcnn"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", QUICK)
def test_name_and_weights(name):
    assert load(name).name == name
    assert load(name).weights == detector.WEIGHTS[name]


def test_only_the_chosen_runtime_is_imported():
    program = (
        "import sys; from omokage.vision import detector as d; d.load(d.DetectConfig(name='yunet')); "
        "print({'mediapipe', 'ai_edge_litert', 'torch', 'openvino'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "set()\n", done.stdout + done.stderr
