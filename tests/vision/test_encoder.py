import hashlib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from omokage import weights
from omokage.errors import ConfigError, WeightsError
from omokage.vision import encoder
from omokage.vision.encoder import EncoderSpec, load_spec

EXAMPLE = Path(encoder.__file__).parent / "encoders" / encoder.EXAMPLE

MINIMAL = {
    "name": '"mine"',
    "weights": '"net.onnx"',
    "licence": '"CC0-1.0"',
    "dim": "512",
    "input_size": "224",
    "colour": '"RGB"',
    "template": '"dlib"',
}


def described(folder: Path, **keys: str) -> str:
    file = folder / "mine.toml"
    file.write_text("".join(f"{key} = {value}\n" for key, value in (MINIMAL | keys).items() if value))
    return str(file)


def test_sface_is_known_by_name():
    spec = load_spec("sface")
    assert (spec.dim, spec.input_size, spec.colour, spec.template, spec.padding) == (128, 112, "RGB", "arcface", 0)
    assert (spec.scale, spec.mean, spec.std) == (1, (0, 0, 0), (1, 1, 1))
    assert spec.sha256() == weights.entry("sface").sha256
    assert spec.licence == weights.entry("sface").licence


def test_the_worked_example_says_what_such_a_network_wants():
    spec = load_spec(str(EXAMPLE))
    assert (spec.dim, spec.input_size, spec.colour, spec.batch) == (512, 224, "RGB", "dynamic")
    assert (spec.template, spec.padding) == ("dlib", 0.1)
    assert spec.scale == pytest.approx(1 / 255, abs=1e-12)
    assert (spec.mean, spec.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert Path(spec.weights) == EXAMPLE.parent.resolve() / "efficientnetv2_arcface.onnx"


def test_where_the_face_is_cut_may_be_said(tmp_path):
    assert load_spec(described(tmp_path, cut="448")).cut == 448
    assert load_spec(described(tmp_path)).cut is None
    with pytest.raises(ConfigError, match="cut must be a whole number"):
        load_spec(described(tmp_path, cut='"448"'))


def test_weights_are_found_beside_the_description(tmp_path, monkeypatch):
    folder = tmp_path / "顔 モデル"
    folder.mkdir()
    (folder / "net.onnx").write_bytes(b"some weights")
    monkeypatch.chdir(tmp_path)
    spec = load_spec(described(folder))
    assert spec.weights_file() == (folder / "net.onnx").resolve()
    assert spec.sha256() == hashlib.sha256(b"some weights").hexdigest()


def test_missing_weights_are_named(tmp_path):
    spec = load_spec(described(tmp_path))
    for ask in (spec.sha256, spec.weights_file):
        with pytest.raises(WeightsError, match=r"'mine' are not at .*net\.onnx"):
            ask()


def test_unknown_key_is_refused_with_the_near_match(tmp_path):
    with pytest.raises(ConfigError, match=r"mine\.toml: an encoder has no key 'colr'; did you mean 'colour'\?"):
        load_spec(described(tmp_path, colr='"RGB"'))
    with pytest.raises(ConfigError, match="no key 'zzz'; known: name, weights"):
        load_spec(described(tmp_path, zzz="1"))


@pytest.mark.parametrize("key", [field.name for field in fields(EncoderSpec)])
def test_wrong_type_is_refused_by_the_name_of_its_key(tmp_path, key):
    with pytest.raises(ConfigError, match=rf"mine\.toml: {key} must be a"):
        load_spec(described(tmp_path, **{key: "{ a = 1 }"}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dim", "true", "dim must be a whole number"),
        ("dim", "512.0", "dim must be a whole number"),
        ("dim", "0", "dim must be at least 1"),
        ("input_size", "-1", "input_size must be at least 1"),
        ("mean", "[1, 2]", "mean must be a list of three numbers"),
        ("std", '["a", 1, 1]', "std must be a list of three numbers"),
        ("std", "[1, 0, 1]", "std must not hold a 0"),
        ("scale", "0.0", "scale must not be 0"),
        ("colour", '"rgb"', 'colour must be "RGB" or "BGR", got "rgb"'),
        ("template", '"mtcnn"', 'template must be "arcface" or "dlib" or "margin"'),
        ("layout", '"NHWC"', "layout must be"),
        ("batch", '"any"', 'batch must be "fixed" or "dynamic"'),
        ("batch", "0", "batch must be at least 1"),
        ("padding", "-0.1", "padding must be at least 0"),
        ("padding", "nan", "padding must be at least 0"),
        ("name", '""', "name must be a text"),
        ("weights", '"sfac"', "got 'sfac'; did you mean 'sface'"),
    ],
)
def test_wrong_value_is_refused(tmp_path, key, value, message):
    with pytest.raises(ConfigError, match=message):
        load_spec(described(tmp_path, **{key: value}))


def test_the_arcface_template_has_no_padding(tmp_path):
    with pytest.raises(ConfigError, match="padding must be 0"):
        load_spec(described(tmp_path, template='"arcface"', padding="0.1"))


@pytest.mark.parametrize("key", [field.name for field in fields(EncoderSpec) if field.default is MISSING])
def test_missing_key_is_named(tmp_path, key):
    with pytest.raises(ConfigError, match=f"needs the key {key}$"):
        load_spec(described(tmp_path, **{key: ""}))


def test_whole_numbers_serve_where_any_number_does(tmp_path):
    spec = load_spec(described(tmp_path, scale="2", mean="[1, 2, 3]", batch="16"))
    assert (spec.scale, spec.mean, spec.batch) == (2, (1.0, 2.0, 3.0), 16)


def test_published_weights_bring_their_licence(tmp_path):
    spec = load_spec(described(tmp_path, weights='"sface"', licence=""))
    assert spec.licence == weights.entry("sface").licence
    assert spec.weights == "sface"


def test_a_bare_onnx_file_tells_how_to_describe_it(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(ConfigError, match="does not say how a face must reach it") as caught:
        load_spec(str(tmp_path / "net.onnx"))
    advice = str(caught.value)
    assert str(tmp_path / "net.toml") in advice
    # what it says to write is a description that can be read
    lines = [line.strip() for line in advice.splitlines() if line.startswith("  ")]
    (tmp_path / "net.toml").write_text("\n".join(lines))
    spec = load_spec(str(tmp_path / "net.toml"))
    assert (spec.name, spec.weights_file()) == ("net", (tmp_path / "net.onnx").resolve())


def test_unknown_name_and_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match="no encoder is called 'sfaec'; give one of sface, or the path of a TOML"):
        load_spec("sfaec")
    with pytest.raises(ConfigError, match=r"cannot read the encoder's description .*No such file"):
        load_spec(str(tmp_path / "none.toml"))
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(ConfigError, match=r"broken\.toml: "):
        load_spec(str(tmp_path / "broken.toml"))
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ConfigError, match=r"latin\.toml: "):
        load_spec(str(tmp_path / "latin.toml"))


def test_an_onnx_file_with_its_description_beside_it(tmp_path, monkeypatch):
    folder = tmp_path / "顔 モデル"
    folder.mkdir()
    (folder / "mine.onnx").write_bytes(b"weights")
    described(folder, weights='"mine.onnx"')
    spec = load_spec(str(folder / "mine.onnx"))
    assert spec == load_spec(str(folder / "mine.toml"))
    assert spec.weights_file() == folder / "mine.onnx"
    monkeypatch.chdir(folder)
    assert load_spec("mine.onnx") == spec


def test_a_description_of_another_file_is_not_taken_for_that_beside_it(tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"weights")
    for other in ("net.onnx", "sface"):
        described(tmp_path, weights=f'"{other}"')
        with pytest.raises(ConfigError, match=rf"mine\.toml describes .*{other}, not .*mine\.onnx"):
            load_spec(str(tmp_path / "mine.onnx"))
