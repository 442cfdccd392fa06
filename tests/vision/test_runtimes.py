import contextlib
import itertools
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_encoder
from tiny_encoder import Shape

from omokage import weights
from omokage.errors import ConfigError, WeightsError
from omokage.vision import engines, graph
from omokage.vision.embedder import Embedder
from omokage.vision.encoder import load_spec
from omokage.vision.runtimes import Batches, choose, load

ON_CPU = list(engines.CPU_LOADERS)


def drawn_faces(count: int) -> np.ndarray:
    """Ovals with eyes and a mouth on noise, RGB, 112 px."""
    rng = np.random.default_rng(5)
    faces = rng.integers(0, 90, (count, 112, 112, 3), dtype=np.uint8)
    for face in faces:
        skin = [int(part) for part in rng.integers(110, 230, 3)]
        cv2.ellipse(face, (56, 60), (int(rng.integers(30, 45)), int(rng.integers(40, 55))), 0, 0, 360, skin, -1)
        for x in (38, 74):
            cv2.circle(face, (x, 52), int(rng.integers(3, 8)), (20, 20, 30), -1)
        cv2.ellipse(face, (56, 90), (int(rng.integers(8, 20)), 5), 0, 0, 360, (150, 40, 50), -1)
    return faces


@pytest.fixture(scope="module")
def judge() -> Callable[[np.ndarray], np.ndarray]:
    """OpenCV's own SFace, which takes BGR, as unit vectors."""
    recognizer = cv2.FaceRecognizerSF.create(str(weights.path("sface")), "")

    def encode(faces: np.ndarray) -> np.ndarray:
        rows = np.concatenate([recognizer.feature(np.ascontiguousarray(face[..., ::-1])).copy() for face in faces])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return encode


@pytest.mark.parametrize("name", ON_CPU)
def test_sface_agrees_with_opencv_and_no_bit_depends_on_batch_or_threads(name, judge):
    spec = load_spec("sface")
    faces = drawn_faces(5)
    one, two = load(name, spec, threads=1), load(name, spec, threads=2)
    embed_1, embed_2 = Embedder(spec, one), Embedder(spec, two)
    together, usable = embed_1(faces)
    assert usable.all()
    assert np.abs(together - judge(faces)).max() < 1e-5  # bfloat16 would be off by 1e-2
    np.testing.assert_array_equal(np.concatenate([embed_1(face[None])[0] for face in faces]), together)
    np.testing.assert_array_equal(embed_2(faces)[0], together)
    np.testing.assert_array_equal(embed_2(faces[::-1])[0][::-1], together)
    np.testing.assert_array_equal(embed_2(faces[1:4])[0], together[1:4])
    # and every face got its own
    assert np.abs(together[0] - together[1]).max() > 0.01
    two.close()
    one.close()


@pytest.mark.parametrize("name", ON_CPU)
def test_any_batch_of_the_file_gives_the_slow_version(tmp_path, name):
    faces = np.random.default_rng(2).normal(size=(3, 3, 32, 32)).astype(np.float32)
    wanted = np.stack([tiny_encoder.slow(face) for face in faces])
    for number, (in_file, described) in enumerate([(1, "fixed"), (1, "dynamic"), ("n", "dynamic"), (8, 2)]):
        file = tiny_encoder.write(tmp_path / f"net{number}.onnx", Shape(batch=in_file, side=32))
        runtime = load(name, tiny_encoder.spec(file, input_size=32, batch=described), threads=2)
        np.testing.assert_allclose(runtime(faces), wanted, rtol=1e-4, atol=1e-4)
        assert runtime(faces[:0]).shape == (0, 512)
        assert runtime.name == name
        runtime.close()


@pytest.mark.parametrize("name", ON_CPU)
def test_the_named_output_is_given(tmp_path, name):
    file = tiny_encoder.write(tmp_path / "net.onnx", Shape(side=32))
    vector = load(name, tiny_encoder.spec(file, input_size=32))
    flat = load(name, tiny_encoder.spec(file, input_size=32, output_name="flat", dim=tiny_encoder.CHANNELS))
    faces = np.random.default_rng(2).normal(size=(2, 3, 32, 32)).astype(np.float32)
    part = tiny_encoder.numbers(512)
    np.testing.assert_allclose(flat(faces) @ part["matrix"] + part["offset"], vector(faces), atol=1e-4)
    flat.close()
    vector.close()


def test_a_batch_written_into_the_graph_is_no_trouble_on_a_cpu_if_it_is_one(tmp_path):
    file = tiny_encoder.write(tmp_path / "one.onnx", Shape(batch=1, hard_batch=True, side=32))
    runtime = load("onnxruntime", tiny_encoder.spec(file, input_size=32, batch="fixed"))
    assert runtime(np.zeros((3, 3, 32, 32), np.float32)).shape == (3, 512)
    runtime.close()
    eight = tiny_encoder.write(tmp_path / "eight.onnx", Shape(batch=8, hard_batch=True, side=32))
    with pytest.raises(ConfigError, match="onnxruntime cannot run the encoder 'tiny': "):
        load("onnxruntime", tiny_encoder.spec(eight, input_size=32))


def test_a_gpu_gets_whole_batches_up_to_the_limit(tmp_path):
    file = tiny_encoder.write(tmp_path / "net.onnx", Shape(batch=1, side=32))
    source = graph.read(tiny_encoder.spec(file, input_size=32), dynamic=True)
    run = engines.load_onnxruntime(source, 1).runs[0]  # the CPU's provider, with the graph that a GPU gets
    faces = np.random.default_rng(2).normal(size=(5, 3, 32, 32)).astype(np.float32)
    wanted = np.stack([tiny_encoder.slow(face) for face in faces])
    for limit, sizes in ((None, [5]), (2, [2, 2, 1]), (1, [1] * 5), (9, [5])):
        seen: list[int] = []

        def counted(batch: np.ndarray, seen: list[int] = seen) -> np.ndarray:
            seen.append(len(batch))
            return run(batch)

        runtime = Batches("counted", counted, 512, limit)
        np.testing.assert_allclose(runtime(faces), wanted, rtol=1e-4, atol=1e-4)
        assert seen == sizes
        assert runtime(faces[:0]).shape == (0, 512)


def test_the_quickest_that_is_right_is_chosen_and_the_others_say_why_not(tmp_path, monkeypatch):
    spec = tiny_encoder.spec(tiny_encoder.write(tmp_path / "net.onnx", Shape(side=64)), input_size=64)

    def planted(change: Callable[[engines.Run], engines.Run]) -> Callable[..., engines.Loaded]:
        return lambda source, threads: engines.Loaded(
            runs=[change(run) for run in engines.load_onnxruntime(source, threads).runs]
        )

    def missing(source: graph.Graph, threads: int) -> engines.Loaded:
        raise ModuleNotFoundError("No module named 'fancy'")

    zero = np.zeros((1, 512), np.float32)
    planted_loaders = {
        "laborious": planted(lambda run: lambda face: max((run(face) for _ in range(20)), key=id)),
        "shifted": planted(lambda run: lambda face: run(face) + 0.1),
        "lazy": planted(lambda run: lambda face: zero),
        "broken": planted(lambda run: lambda face: zero * np.nan),
        "short": planted(lambda run: lambda face: run(face)[:, :9]),
        "missing": missing,
    }
    for name, loader in planted_loaders.items():
        monkeypatch.setitem(engines.CPU_LOADERS, name, loader)
    choice = choose(spec, names=[*planted_loaders, "onnxruntime"])
    assert choice.runtime.name == "onnxruntime"
    found = {trial.name: trial for trial in choice.trials}
    assert list(found) == [*planted_loaders, "onnxruntime"]
    assert not found["laborious"].reason
    assert found["laborious"].milliseconds > 3 * found["onnxruntime"].milliseconds
    for name in ("shifted", "lazy", "broken"):
        assert "its vectors differ from onnxruntime's" in found[name].reason
        assert np.isnan(found[name].milliseconds)
    assert "gives 9 numbers a face" in found["short"].reason
    assert "No module named 'fancy'" in found["missing"].reason
    choice.runtime.close()


def test_openvino_is_chosen_among_the_usual_ones_only_if_it_measured_best(tmp_path):
    spec = tiny_encoder.spec(tiny_encoder.write(tmp_path / "net.onnx"))
    before = cv2.getNumThreads()
    choice = choose(spec, threads=2)
    times = {trial.name: trial.milliseconds for trial in choice.trials if not trial.reason}
    assert set(times) == {"onnxruntime", "openvino", "opencv"}, choice.trials
    assert choice.runtime.name == min(times, key=lambda name: times[name])
    assert all(trial.difference < 1e-5 for trial in choice.trials)
    choice.runtime.close()
    assert cv2.getNumThreads() == before


def test_a_graph_that_gives_no_numbers_is_refused(tmp_path, monkeypatch):
    plain = tiny_encoder.numbers
    monkeypatch.setattr(tiny_encoder, "numbers", lambda dim: {k: v * np.float32(np.nan) for k, v in plain(dim).items()})
    file = tiny_encoder.write(tmp_path / "net.onnx", Shape(side=32))
    with pytest.raises(ConfigError, match="gives no usable numbers"):
        choose(tiny_encoder.spec(file, input_size=32), names=["onnxruntime"])


def test_wrong_names_and_numbers_are_refused(tmp_path):
    spec = tiny_encoder.spec(tmp_path / "none.onnx")
    with pytest.raises(ConfigError, match="no runtime is called 'openvina'; did you mean 'openvino'"):
        load("openvina", spec)
    with pytest.raises(ConfigError, match="no runtime is called 'zzz'; known: openvino, opencv"):
        load("zzz", spec)
    with pytest.raises(ConfigError, match="threads must be at least 1, got 0"):
        load("opencv", spec, threads=0)
    with pytest.raises(ConfigError, match='device must be "cpu" or "cuda"'):
        choose(spec, device="tpu")
    with pytest.raises(WeightsError, match="are not at"):
        choose(spec)


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a card")
def test_without_a_card_the_error_says_what_was_tried(tmp_path):
    spec = tiny_encoder.spec(tiny_encoder.write(tmp_path / "net.onnx", Shape(side=32)), input_size=32)
    with pytest.raises(ConfigError, match=r"on cuda:\n  onnxruntime-cuda: .*\n  torch-half: torch sees no CUDA device"):
        choose(spec, device="cuda")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
def test_openvino_ties_its_threads_to_no_core(tmp_path):
    """Each process would tie them to the same core, and two workers run at the speed of one."""
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        pytest.skip("one core: nothing to be tied to")
    file = tiny_encoder.write(tmp_path / "net.onnx", Shape())
    others = set(os.listdir("/proc/self/task"))  # noqa: PTH208 - of other runtimes, which may be tied
    runtime = load("openvino", tiny_encoder.spec(file), threads=1)
    work = threading.Thread(target=runtime, args=(np.zeros((150, 3, 224, 224), np.float32),))
    work.start()
    seen = set()
    while work.is_alive():  # they are tied only while they run
        for task in set(os.listdir("/proc/self/task")) - others:  # noqa: PTH208 - in a hurry
            with contextlib.suppress(ProcessLookupError):
                seen.add(len(os.sched_getaffinity(int(task))))
    runtime.close()
    assert seen == {cores}


def test_loading_leaves_opencvs_threads_as_they_were(tmp_path):
    file = tiny_encoder.write(tmp_path / "net.onnx", Shape(side=32))
    before = cv2.getNumThreads()
    runtime = load("opencv", tiny_encoder.spec(file, input_size=32), threads=2)
    assert cv2.getNumThreads() == 1
    runtime.close()
    assert cv2.getNumThreads() == before
    with pytest.raises(ConfigError):
        load("opencv", tiny_encoder.spec(file, input_size=64, dim=9, output_name="flat"), threads=2)
    assert cv2.getNumThreads() == before


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs an NVIDIA card")
@pytest.mark.parametrize(("name", "tolerance"), [("onnxruntime-cuda", 1e-4), ("torch-half", 5e-3)])
def test_a_card_gives_what_a_cpu_gives(name, tolerance):
    spec = load_spec("sface")
    faces = drawn_faces(9)
    wanted, _ = Embedder(spec, load("onnxruntime", spec))(faces)
    embed = Embedder(spec, load(name, spec))
    for start, end in itertools.combinations((0, 1, 4, 9), 2):
        assert np.abs(embed(faces[start:end])[0] - wanted[start:end]).max() < tolerance


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs an NVIDIA card")
def test_a_card_is_chosen_for():
    choice = choose(load_spec("sface"), device="cuda")
    assert choice.runtime.name in ("onnxruntime-cuda", "torch-half")
