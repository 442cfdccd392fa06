import numpy as np
import pytest
import tiny_encoder
from tiny_encoder import Shape

from omokage.vision.embedder import Embedder
from omokage.vision.runtimes import load


class Eavesdropper:
    """A runtime that keeps what reaches the network, and answers what it was told to."""

    name = "eavesdropper"

    def __init__(self, answer: np.ndarray) -> None:
        self.answer = answer
        self.heard: np.ndarray | None = None

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.heard = batch
        return self.answer

    def close(self) -> None: ...


@pytest.mark.parametrize(("colour", "red_place"), [("RGB", 0), ("BGR", 2)])
def test_red_reaches_the_network_in_its_place(colour, red_place):
    runtime = Eavesdropper(np.ones((2, 4), np.float32))
    spec = tiny_encoder.spec("net.onnx", input_size=6, dim=4, colour=colour, scale=1.0, mean=(0,) * 3, std=(1,) * 3)
    red = np.zeros((2, 6, 6, 3), np.uint8)
    red[..., 0] = 200
    Embedder(spec, runtime)(red)
    assert runtime.heard is not None
    for place in range(3):
        assert (runtime.heard[:, place] == (200 if place == red_place else 0)).all()


def test_vectors_are_those_of_the_slow_version_at_length_one(tmp_path):
    spec = tiny_encoder.spec(tiny_encoder.write(tmp_path / "net.onnx", Shape(side=32)), input_size=32)
    crops = np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    runtime = load("onnxruntime", spec)
    vectors, usable = Embedder(spec, runtime)(crops)
    runtime.close()
    assert usable.all()
    for crop, vector in zip(crops, vectors, strict=True):
        face = (crop / 255.0 - np.array(spec.mean)) / np.array(spec.std)
        wanted = tiny_encoder.slow(face.transpose(2, 0, 1))
        np.testing.assert_allclose(vector, wanted / np.linalg.norm(wanted), atol=1e-6)
        assert np.linalg.norm(vector.astype(np.float64)) == pytest.approx(1, abs=1e-6)


def test_a_face_without_a_usable_vector_is_marked_and_the_others_kept():
    answer = np.array([[0, 0], [3, 4], [np.nan, 1], [np.inf, 0]], np.float32)
    spec = tiny_encoder.spec("net.onnx", input_size=6, dim=2)
    vectors, usable = Embedder(spec, Eavesdropper(answer))(np.zeros((4, 6, 6, 3), np.uint8))
    assert usable.tolist() == [False, True, False, False]
    np.testing.assert_allclose(vectors, [[0, 0], [0.6, 0.8], [0, 0], [0, 0]], atol=1e-7)


def test_no_faces_give_no_vectors(tmp_path):
    spec = tiny_encoder.spec(tiny_encoder.write(tmp_path / "net.onnx", Shape(side=32)), input_size=32)
    runtime = load("onnxruntime", spec)
    vectors, usable = Embedder(spec, runtime)(np.empty((0, 32, 32, 3), np.uint8))
    runtime.close()
    assert vectors.shape == (0, 512)
    assert usable.shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((1, 6, 6, 3), np.float32), np.zeros((1, 7, 7, 3), np.uint8), np.zeros((1, 3, 6, 6), np.uint8)],
)
def test_faces_of_a_wrong_kind_are_refused(wrong):
    embed = Embedder(tiny_encoder.spec("net.onnx", input_size=6, dim=2), Eavesdropper(np.ones((1, 2), np.float32)))
    with pytest.raises(ValueError, match=r"takes uint8 faces of shape \(N, 6, 6, 3\)"):
        embed(wrong)
