import dataclasses
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import torch

import finished
from omokage.cli import leaving
from omokage.errors import ConfigError, DatasetError, WeightsError, WorkError
from omokage.train import export, trained
from omokage.train.model import ModelConfig, build
from omokage.vision import embedder as vision
from omokage.vision import runtimes
from omokage.vision.encoder import EncoderSpec, load_spec

RUNTIMES = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A training, and what was exported of it; neither is to be changed."""
    root = tmp_path_factory.mktemp("モデル 1")
    data = finished.dataset(str(root / "data"))
    finished.training(str(root / "run 1"), data, finished.network())
    export.export(str(root / "run 1"), str(root / "out"))
    return root


@pytest.fixture(scope="module")
def spec(place) -> EncoderSpec:
    return load_spec(str(place / "out" / "model.onnx"))


def crops(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)


def torchs(place: Path, crops_NHW3: np.ndarray) -> np.ndarray:
    """The vectors of the network itself, worked out the long way."""
    net = trained.load(str(place / "run 1")).embedder
    rows = []
    for crop in crops_NHW3:
        pixels = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
        mean, std = (torch.tensor(three).reshape(1, 3, 1, 1) for three in (net.input.mean, net.input.std))
        rows.append(net((pixels - mean) / std)[0])
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("count", [1, 5])
def test_ingest_gives_the_vectors_that_torch_gives(place, spec, runtime, count):
    faces = crops(count)
    found, usable = vision.Embedder(spec, runtimes.load(runtime, spec, threads=1))(faces)
    assert usable.all()
    assert np.abs(found - torchs(place, faces)).max() <= 1e-4
    assert len(np.unique(found.round(3), axis=0)) == count  # they are different faces


@pytest.mark.parametrize("count", [1, 5])
def test_the_graph_takes_any_number_of_faces_at_once_and_gives_unit_vectors(place, count):
    session = onnxruntime.InferenceSession(place / "out" / "model.onnx")
    assert [i.shape for i in session.get_inputs()] == [["batch", 3, 64, 64]]
    assert [o.shape for o in session.get_outputs()] == [["batch", 16]]
    faces = crops(count)
    net = trained.load(str(place / "run 1")).embedder
    batch = net.normalised(torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255).numpy()
    (found,) = session.run(None, {"faces": batch})
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    assert np.abs(found - torchs(place, faces)).max() <= 1e-4


def test_openvino_takes_many_faces_at_once(place):
    openvino = pytest.importorskip("openvino")
    compiled = openvino.Core().compile_model(place / "out" / "model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    net = trained.load(str(place / "run 1")).embedder
    for count in (1, 5):
        faces = crops(count)
        batch = net.normalised(torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255).numpy()
        assert np.abs(compiled(batch)[0] - torchs(place, faces)).max() <= 1e-4


def test_the_description_says_how_faces_reach_it(place, spec):
    seen = trained.load(str(place / "run 1")).embedder.input
    assert (spec.name, spec.dim, spec.input_size, spec.colour) == ("run 1", 16, 64, "RGB")
    assert (spec.template, spec.padding, spec.cut, spec.jpeg) == (
        "dlib",
        0.1,
        224,
        95,
    )  # of the chips that it was trained on
    assert (spec.mean, spec.std, spec.batch) == (seen.mean, seen.std, "dynamic")
    assert spec.licence == "starting weights: none: trained from random numbers; training pictures: unknown"
    assert spec.weights_file() == (place / "out" / "model.onnx").resolve()
    assert load_spec(str(place / "out" / "model.toml")) == spec


def test_the_graph_tells_nothing_of_the_machine_that_wrote_it(place):
    data = (place / "out" / "model.onnx").read_bytes()
    for word in (str(Path.home()), "site-packages", str(place), "omokage", ".py"):
        assert word.encode() not in data
    model = onnx.load_from_string(data)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", export.OPSET)]
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.long
@pytest.mark.parametrize("backbone", ["test_vit", "test_efficientnet"])
def test_other_kinds_of_networks(backbone, tmp_path):
    net = finished.network(backbone=backbone, input_size=None, batch_norm=False)
    side = net.input.size
    (tmp_path / "model.onnx").write_bytes(export.graph(net))
    spec = EncoderSpec(
        name="other",
        weights=str(tmp_path / "model.onnx"),
        licence="-",
        dim=16,
        input_size=side,
        colour="RGB",
        template="arcface",
        scale=1 / 255,
        mean=net.input.mean,
        std=net.input.std,
    )
    assert export.check(net, spec) <= 1e-5
    assert export.check(net, spec, "openvino") <= 1e-4


def test_tensors_go_into_a_network_again(place):
    file = place / "out" / "model.safetensors"
    with safetensors.safe_open(file, "pt") as opened:
        said = opened.metadata()
        names = set(opened.keys())
    config = ModelConfig(**json.loads(said["config"]))
    net = build(config)
    net.load_state_dict({name: tensor for name, tensor in safetensors.torch.load_file(file).items()})
    assert names == set(net.state_dict())
    pixels = torch.rand(3, 3, 64, 64)
    assert torch.equal(net.eval()(pixels), trained.load(str(place / "run 1")).embedder(pixels))
    assert json.loads(said["input"]) == dataclasses.asdict(net.input) | {
        "mean": list(net.input.mean),
        "std": list(net.input.std),
    }
    assert json.loads(said["run"])["version_sha256"] == finished.VERSION_SHA256


def test_and_its_backbone_begins_another_training(place):
    file = place / "out" / "model.safetensors"
    net = build(ModelConfig(backbone="test_resnet", weights=str(file), dim=8))
    ours = trained.load(str(place / "run 1")).embedder.backbone.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in net.backbone.state_dict().items())


def test_as_a_verb(place, tmp_path, capsys):
    shutil.copytree(place / "out", tmp_path / "out")  # it is written over an earlier one
    said = json.loads(
        leaving.export(["model", str(place / "run 1"), str(tmp_path / "out"), "--align", "arcface", "--json"])
    )
    assert sorted(said["files"]) == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert (said["best"], said["epoch"], said["dim"], said["template"]) == (True, 7, 16, "arcface")
    spec = load_spec(str(tmp_path / "out" / "model.onnx"))
    assert (spec.sha256(), spec.template, spec.padding) == (said["sha256"], "arcface", 0)
    assert (spec.cut, spec.jpeg, said["cut"]) == (None, None, 64)  # nothing is known of how those chips were kept
    assert 0 <= said["difference"] <= 1e-4
    # the same network gives the same graph, by which its vectors are told from others
    assert (tmp_path / "out" / "model.onnx").read_bytes() == (place / "out" / "model.onnx").read_bytes()
    assert capsys.readouterr() == ("", "")  # the exporter keeps its remarks to itself
    ended, going_on = (export.ModelReport(**said | {"epoch": epoch}).text() for epoch in (7, None))
    assert "best on unseen people, epoch 7" in ended
    assert f"--encoder {tmp_path}/out/model.onnx" in ended
    assert "best on unseen people; the training has not ended" in going_on
    assert re.search(r"The graph differs from the network by \d\.\de-\d+ at most", ended)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chips"], "--chips is not for model"),
        (["--shard-faces", "3"], "--shard-faces is not for model"),
        (["--padding", "0.2"], "--padding can only be given with --align"),
        (["--align", "mtcnn"], "align.template must be one of"),
    ],
)
def test_options_of_others(place, tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        leaving.export(["model", str(place / "run 1"), str(tmp_path / "out"), *words])
    with pytest.raises(ConfigError, match="--align is not for parquet"):
        leaving.export(["parquet", str(place / "data"), str(tmp_path / "out"), "--align", "dlib"])


def test_a_folder_with_other_files_or_folders_is_left_alone(place, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds other files, such as thesis\.txt"):
        export.export(str(place / "run 1"), str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "folders" / "of" / "mine").mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds other files, such as of"):
        export.export(str(place / "run 1"), str(tmp_path / "folders"))


def test_the_last_network_where_none_was_judged(tmp_path):
    data = finished.dataset(str(tmp_path / "data"))
    finished.training(str(tmp_path / "run"), data, finished.network(), best=False)
    found = trained.load(str(tmp_path / "run"))
    assert (found.best, found.epoch, found.figures) == (False, 9, None)
    assert found.people == {"train": 3, "val": 2, "test": 2}
    assert found.faces == {"train": 6, "val": 4, "test": 2}


def test_no_training_or_no_model_yet_or_a_damaged_one(tmp_path):
    with pytest.raises(DatasetError, match=r"holds no training: it has no run\.json"):
        trained.load(str(tmp_path / "run"))
    data = finished.dataset(str(tmp_path / "data"))
    run = finished.training(str(tmp_path / "run"), data, finished.network())
    (tmp_path / "run" / "best.pt").write_bytes((tmp_path / "run" / "best.pt").read_bytes()[:1000])
    with pytest.raises(DatasetError, match=r"best\.pt cannot be used"):
        trained.load(run.folder.url)
    (tmp_path / "run" / "best.pt").unlink()
    with pytest.raises(DatasetError, match="has no model yet"):
        trained.load(run.folder.url)


def test_a_model_of_another_architecture_in_its_place(tmp_path):
    data = finished.dataset(str(tmp_path / "data"))
    run = finished.training(str(tmp_path / "run"), data, finished.network())
    sink = tmp_path / "run" / "best.pt"
    said = torch.load(sink, weights_only=True)
    torch.save(said | {"config": said["config"].replace("test_resnet", "test_efficientnet")}, sink)
    with pytest.raises(DatasetError, match=r"best\.pt cannot be used: it is of another network than .*missing \("):
        trained.load(run.folder.url)


def test_chips_that_nothing_is_known_of_want_a_word(tmp_path):
    for number, (chip, shown) in enumerate({None: "unknown", "the picture, at most 224 px": "the picture"}.items()):
        data = finished.dataset(str(tmp_path / f"data{number}"), chip)
        finished.training(str(tmp_path / f"run{number}"), data, finished.network())
        found = trained.load(str(tmp_path / f"run{number}"))
        with pytest.raises(
            ConfigError, match=rf"not known \(chips: {shown}.*say it with --align arcface\|dlib\|margin"
        ):
            trained.framing(found)
        framed = trained.framing(found, "margin", 0.25)
        assert (framed.template.name, framed.template.padding) == ("margin", 0.25)
        assert (framed.template.size, framed.size) == (64, 64)


@pytest.mark.parametrize("side", [64, 112])
def test_chips_of_the_size_that_the_network_takes_need_no_other_cut(side, tmp_path):
    data = finished.dataset(str(tmp_path / "data"), f"arcface-1/{side}/0")
    finished.training(str(tmp_path / "run"), data, finished.network())
    found = trained.load(str(tmp_path / "run"))
    said = export.description(found, trained.framing(found))
    assert said.cut == (None if side == 64 else side)


def test_a_graph_that_gives_other_vectors_is_not_written(place, spec, tmp_path):
    other = finished.network()
    with torch.no_grad():
        other.head.weight += 0.01 * torch.randn_like(other.head.weight)
    with pytest.raises(WorkError, match="the graph gives other vectors than the network"):
        export.check(other, spec)
    # and a wrong description is found as well
    with pytest.raises(WorkError, match="the graph gives other vectors"):
        export.check(finished.network(), dataclasses.replace(spec, scale=1.0))
    assert math.isfinite(export.check(finished.network(), spec))
    with pytest.raises(WeightsError):
        export.check(other, dataclasses.replace(spec, weights=str(tmp_path / "none.onnx")))
