"""YuNet against OpenCV's own decoder, and its decoding against a slow obvious version."""

import math

import cv2
import numpy as np
import onnx
import pytest
from drawn_faces import portraits

from omokage import weights
from omokage.errors import ConfigError
from omokage.vision import detector, silence, yunet
from omokage.vision.detector import DetectConfig, Faces

onnxruntime = silence.import_onnxruntime()
has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.fixture(scope="module")
def detect():
    return detector.load(DetectConfig(name="yunet", min_score=0.6))


def opencv(picture):
    """Boxes, landmarks and scores of cv2.FaceDetectorYN, best score first."""
    size = picture.shape[1::-1]
    reference = cv2.FaceDetectorYN.create(str(weights.path("yunet")), "", size, 0.6, 0.3, 5000)
    _, rows = reference.detect(np.ascontiguousarray(picture[:, :, ::-1]))
    rows = np.zeros((0, 15), np.float32) if rows is None else rows[np.argsort(-rows[:, 14], kind="stable")]
    box = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    return box, rows[:, 4:14].reshape(-1, 5, 2), rows[:, 14]


def group():
    tiles = [one.picture for one in portraits(320, 32)[::6][:4]]
    return np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])


@pytest.mark.parametrize("size", [(320, 320), (300, 200), (181, 417), (640, 480), (33, 31)])
def test_agrees_with_opencv(detect, size):
    pictures = [cv2.resize(one.picture, size) for one in portraits(320, 32)[::8]] + [cv2.resize(group(), size)]
    faces_seen = 0
    for picture, faces in zip(pictures, detect(pictures), strict=True):
        box, landmarks, score = opencv(picture)
        faces_seen += len(score)
        assert len(faces.score_F) == len(score)
        np.testing.assert_allclose(faces.box_F4, box, atol=0.01)
        np.testing.assert_allclose(faces.landmarks_F52, landmarks, atol=0.01)
        np.testing.assert_allclose(faces.score_F, score, atol=1e-4)
    assert faces_seen >= 6 or max(size) < 100


def slow_decode(outputs, shape, min_score):
    faces = []
    for stride, (cls, obj, box, points) in zip((8, 16, 32), outputs, strict=True):
        columns = shape[1] // stride
        for cell in range(len(cls)):
            score = math.sqrt(min(max(cls[cell, 0], 0), 1) * min(max(obj[cell, 0], 0), 1))
            if score < min_score:
                continue
            row, column = cell // columns, cell % columns
            x, y = (column + box[cell, 0]) * stride, (row + box[cell, 1]) * stride
            width, height = math.exp(box[cell, 2]) * stride, math.exp(box[cell, 3]) * stride
            five = [
                ((column + points[cell, 2 * k]) * stride, (row + points[cell, 2 * k + 1]) * stride) for k in range(5)
            ]
            faces.append((score, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), five))
    faces.sort(key=lambda face: (-face[0], *face[1][:2]))
    kept = []
    for face in faces:
        if all(overlap(face[1], other[1]) <= 0.3 for other in kept):
            kept.append(face)
    return kept


def overlap(a, b):
    inner = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def test_decode():
    rng = np.random.default_rng(5)
    shape = (96, 160)
    outputs = []
    for stride in (8, 16, 32):
        cells = shape[0] // stride * (shape[1] // stride)
        scores = rng.uniform(-0.2, 1.2, (2, cells, 1)).astype(np.float32)  # the network may leave [0, 1] a little
        box = rng.normal(0, 0.7, (cells, 4)).astype(np.float32)
        outputs.append((*scores, box, rng.normal(0, 2, (cells, 10)).astype(np.float32)))
    expected = slow_decode(outputs, shape, 0.5)
    faces = yunet.decode(outputs, shape, 0.5)
    assert len(expected) > 30
    np.testing.assert_allclose(faces.score_F, [face[0] for face in expected], rtol=1e-5)
    np.testing.assert_allclose(faces.box_F4, [face[1] for face in expected], atol=1e-3)
    np.testing.assert_allclose(faces.landmarks_F52, [face[2] for face in expected], atol=1e-3)


def test_any_size_changes_nothing_but_the_sizes():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    original = onnxruntime.InferenceSession(weights.path("yunet"), options, providers=["CPUExecutionProvider"])
    model = yunet.any_size(onnx.load(weights.path("yunet")))
    onnx.checker.check_model(model)
    changed = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    pictures = np.stack([np.asarray(one.picture) for one in portraits(640, 3)])
    blob = pictures[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    together = changed.run(None, {"input": blob})
    for number in range(3):
        alone = original.run(None, {"input": blob[number : number + 1]})
        for expected, found in zip(alone, together, strict=True):
            np.testing.assert_allclose(found[number], expected[0], atol=1e-4)


def test_batches_are_put_back_in_order():
    # As on a graphics card: several pictures in one run.
    single, batched = (detector.load(DetectConfig(name="yunet")) for _ in range(2))
    batched._batch = 4
    pictures = [cv2.resize(one.picture, size) for one in portraits(320, 32)[::4] for size in ((320, 320), (250, 300))]
    for one, other in zip(single(pictures), batched(pictures), strict=True):
        assert len(one.score_F) == 1
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=0.01)


def test_a_shrunk_picture_is_scaled_back():
    # A box from the corner of pixel (2, 4) to that of (10, 20) covers the same part of a picture four times as large.
    faces = Faces(
        np.array([[1.5, 3.5, 9.5, 19.5]], np.float32), np.full((1, 5, 2), 3, np.float32), np.ones(1, np.float32)
    )
    back = yunet._scaled(faces, (50, 40, 3), (100, 160, 3))
    np.testing.assert_allclose(back.box_F4, [[7.5, 7.5, 39.5, 39.5]])
    np.testing.assert_allclose(back.landmarks_F52, np.tile([13.5, 6.5], (1, 5, 1)))


@pytest.mark.skipif(has_cuda, reason="this onnxruntime has CUDA")
def test_a_missing_card_is_an_error_not_a_slow_run():
    with pytest.raises(ConfigError, match="cuda"):
        detector.load(DetectConfig(name="yunet", device="cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not has_cuda, reason="this onnxruntime has no CUDA")
def test_a_card_gives_the_same_faces():
    pictures = [cv2.resize(one.picture, size) for one in portraits(320, 32) for size in ((320, 320), (250, 300))]
    expected = detector.load(DetectConfig(name="yunet"))(pictures)
    for faces, wanted in zip(detector.load(DetectConfig(name="yunet", device="cuda"))(pictures), expected, strict=True):
        np.testing.assert_allclose(faces.score_F, wanted.score_F, atol=0.01)
        np.testing.assert_allclose(faces.landmarks_F52, wanted.landmarks_F52, atol=1)
