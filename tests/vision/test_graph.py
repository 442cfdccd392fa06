import numpy as np
import onnx
import pytest
import tiny_encoder
from tiny_encoder import Shape

from omokage.errors import ConfigError, WeightsError
from omokage.vision import graph, silence


def batch_of(model: onnx.ModelProto) -> list[int | str]:
    values = [model.graph.input[0], model.graph.output[0]]
    return [value.type.tensor_type.shape.dim[0].dim_value or "any" for value in values]


@pytest.mark.parametrize("batch", [1, 8, "n"])
def test_the_batch_is_set_in_memory_and_the_result_is_a_good_graph(tmp_path, batch):
    file = tiny_encoder.write(tmp_path / "net.onnx", Shape(batch=batch))
    before = file.read_bytes()
    alone = graph.read(tiny_encoder.spec(file), dynamic=False)
    free = graph.read(tiny_encoder.spec(file), dynamic=True)
    assert batch_of(alone.model) == [1, 1]
    assert batch_of(free.model) == ["any", "any"]
    for one in (alone, free):
        onnx.checker.check_model(one.serialized(), full_check=True)
        assert (one.input_name, one.output_name) == ("face", "vector")
    assert file.read_bytes() == before


def test_another_output_can_be_named(tmp_path):
    file = tiny_encoder.write(tmp_path / "net.onnx")
    assert graph.read(tiny_encoder.spec(file, output_name="flat", dim=8), dynamic=False).output_name == "flat"
    with pytest.raises(ConfigError, match="output_name of 'tiny' is 'fc1', but its graph has vector, flat"):
        graph.read(tiny_encoder.spec(file, output_name="fc1"), dynamic=False)
    with pytest.raises(ConfigError, match=r"input_name of 'tiny' is 'data', but its graph has face$"):
        graph.read(tiny_encoder.spec(file, input_name="data"), dynamic=False)


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        (Shape(side=112), {}, "takes ?x3x112x112, but its description says ?x3x224x224"),
        (Shape(layout=(224, 224, 3)), {}, "takes ?x224x224x3, but its description says ?x3x224x224"),
        (Shape(layout=(224, 224)), {}, "takes ?x224x224, but"),
        (Shape(), {"dim": 128}, "gives 512 numbers a face, its description says 128"),
        (Shape(batch=8), {"batch": "fixed"}, "takes 8 faces at once; export it with a batch of 1"),
        (Shape(kind=onnx.TensorProto.FLOAT16), {}, "takes FLOAT16; only float32"),
    ],
)
def test_a_graph_that_is_not_as_described_is_refused(tmp_path, shape, changes, message):
    file = tiny_encoder.write(tmp_path / "net.onnx", shape)
    with pytest.raises(ConfigError) as caught:
        graph.read(tiny_encoder.spec(file, **changes), dynamic=False)
    assert message in str(caught.value)


def test_open_sides_are_taken_from_the_description(tmp_path):
    file = tiny_encoder.write(tmp_path / "net.onnx", Shape(layout=(3, 0, 0)))
    read = graph.read(tiny_encoder.spec(file, input_size=96), dynamic=False)
    assert [dim.dim_value for dim in read.model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 96, 96]


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 no graph at all", b"<!DOCTYPE html>" * 9])
def test_a_file_that_is_no_graph_is_refused(tmp_path, content):
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="ONNX file"):
        graph.read(tiny_encoder.spec(file), dynamic=False)


def test_weights_in_other_files_are_refused(tmp_path):
    # one sha256 could not vouch for them
    file = tiny_encoder.write(
        tmp_path / "net.onnx", save_as_external_data=True, location="net.onnx.data", size_threshold=0
    )
    with pytest.raises(WeightsError, match="keeps its weights in other files"):
        graph.read(tiny_encoder.spec(file), dynamic=False)


@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_faces_are_prepared_as_the_formula_says(colour):
    rng = np.random.default_rng(1)
    crops = rng.integers(0, 256, (3, 5, 5, 3), dtype=np.uint8)
    spec = tiny_encoder.spec("net.onnx", input_size=5, colour=colour, scale=0.5, mean=(1, 2, 3), std=(4, 5, 6))
    prepared = graph.prepare(spec, crops)
    assert prepared.dtype == np.float32
    assert prepared.shape == (3, 3, 5, 5)
    assert prepared.flags.c_contiguous
    for n in range(3):
        for row in range(5):
            for column in range(5):
                for place, letter in enumerate(colour):
                    value = float(crops[n, row, column, "RGB".index(letter)])
                    wanted = (value * 0.5 - (1, 2, 3)[place]) / (4, 5, 6)[place]
                    assert prepared[n, place, row, column] == pytest.approx(wanted, rel=1e-6)


def test_imagenet_figures_agree_with_float64():
    crops = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    prepared = graph.prepare(tiny_encoder.spec("net.onnx", input_size=16), crops)
    wanted = (crops / 255.0 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(prepared, wanted.transpose(0, 3, 1, 2), atol=1e-6)


def test_noise_is_always_the_same_and_varied():
    spec = tiny_encoder.spec("net.onnx", input_size=50, scale=1.0, mean=(0, 0, 0), std=(1, 1, 1))
    noise = graph.noise(spec, 3)
    assert noise.shape == (3, 3, 50, 50)
    np.testing.assert_array_equal(noise, graph.noise(spec, 3))
    assert noise.min() >= 0
    assert noise.max() <= 255
    assert noise.std(axis=(1, 2, 3)).min() > 30
    assert not np.array_equal(noise[0], noise[1])


def test_rows_are_brought_to_length_one_and_bad_ones_are_marked():
    rows = np.array(
        [
            [3, 4, 0],
            [0, 0, 0],
            [np.nan, 1, 1],
            [1, np.inf, 1],
            [1e30, 1e30, 0],  # its square is no float32
            [1e-30, 0, 0],
            [-1e-5, 0, 0],
        ],
        np.float32,
    )
    vectors, usable = graph.to_unit(rows)
    assert usable.tolist() == [True, False, False, False, True, False, True]
    root = np.sqrt(0.5)
    wanted = [[0.6, 0.8, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [root, root, 0], [0, 0, 0], [-1, 0, 0]]
    np.testing.assert_allclose(vectors, wanted, atol=1e-7)
    assert vectors.dtype == np.float32
    empty, none = graph.to_unit(np.empty((0, 5), np.float32))
    assert empty.shape == (0, 5)
    assert none.shape == (0,)


def test_sface_lists_its_constants_as_inputs_and_is_read_all_the_same():
    from omokage.vision.encoder import load_spec

    read = graph.read(load_spec("sface"), dynamic=True)
    session = silence.import_onnxruntime().InferenceSession(read.serialized(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"data": np.zeros((3, 3, 112, 112), np.float32)})[0].shape == (3, 128)
