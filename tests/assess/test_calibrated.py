"""Calibrations: kept with their encoder, and refused for every other one."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

import held
from omokage.assess import calibrated
from omokage.assess.calibrated import Standard, standard
from omokage.errors import ConfigError, DatasetError, WorkError
from omokage.vision.encoder import EncoderSpec
from omokage.vision.origin import origin


@pytest.fixture
def spec(tmp_path: Path) -> EncoderSpec:
    weights = tmp_path / "顔 net.onnx"
    weights.write_bytes(b"a graph")
    return EncoderSpec(
        name="net", weights=str(weights), licence="none", dim=4, input_size=112, colour="RGB", template="arcface"
    )


@pytest.mark.parametrize("ratio", [True, False])
def test_what_is_kept_is_what_is_read(spec, ratio):
    made = held.made(encoder=origin(spec), ratio=ratio)
    file = calibrated.beside(spec)
    assert file.name == "顔 net.onnx.calibration.json" and file.parent == Path(spec.weights).parent
    calibrated.write(file, made)
    assert calibrated.read(file) == made
    other = held.made(0.9, 0.1, encoder=origin(spec))
    calibrated.write(file, other)  # calibrated again
    assert calibrated.read(file) == other
    assert sorted(p.name for p in file.parent.iterdir()) == ["顔 net.onnx", file.name]  # nothing half-written
    assert standard(spec, origin(spec), None, None) == Standard(other)


def test_answers_lie_where_the_thresholds_are():
    found = Standard(held.made(0.6, 0.4))
    said = [found.answer(x) for x in (1.0, 0.6, 0.5999, 0.4, 0.3999, -1.0)]
    assert said == ["match", "match", "cannot say", "cannot say", "no match", "no match"]
    assert found.log_ratio(0.55) == pytest.approx(1) and found.log_ratio(1.0) == 4  # never beyond its limit
    assert Standard(held.made(ratio=False)).log_ratio(0.9) is None
    assert found.plain()["match_from"] == 0.6 and "0.6000" in found.text()


def test_without_a_calibration_nothing_is_said_and_how_to_make_one_is(spec):
    none = standard(spec, origin(spec), "my.toml", None)
    assert [none.answer(x) for x in (1.0, 0.5, -1.0)] == ["cannot say"] * 3 and none.log_ratio(1.0) is None
    assert "omokage calibrate" in none.lacking and "my.toml" in none.lacking and none.plain() is None
    with pytest.raises(ConfigError, match="there is no calibration at"):
        standard(spec, origin(spec), None, str(Path(spec.weights).with_name("gone.json")))


@pytest.mark.parametrize(
    ("part", "value", "word"),
    [
        ("name", "other", "other name"),
        ("sha256", "f" * 64, "other weights"),
        ("crop", "dlib-1/112/0", "other alignment"),
        ("pixels", ["BGR", 1.0, [0.0] * 3, [1.0] * 3], "other preparation"),
    ],
)
def test_a_calibration_of_another_encoder_answers_nothing(spec, tmp_path, part, value, word):
    """Nothing is compared across encoders, nor judged by another one's threshold."""
    file = held.kept(calibrated.beside(spec), encoder=origin(spec) | {part: value})
    found = standard(spec, origin(spec), None, None)
    assert found.made is None and found.answer(1.0) == "cannot say" and word in found.lacking
    with pytest.raises(ConfigError, match=word):
        standard(spec, origin(spec), None, str(file))


@pytest.mark.parametrize("content", ["", "[]", "null", '{"format": 1}', '{"format": 99, "calibration": {}}', "\xff{"])
def test_a_damaged_calibration_is_told(spec, content):
    calibrated.beside(spec).write_bytes(content.encode("latin-1"))
    with pytest.raises(DatasetError, match="calibrate again"):
        standard(spec, origin(spec), None, None)


def test_a_torn_calibration_is_told(spec):
    file = held.kept(calibrated.beside(spec), encoder=origin(spec))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DatasetError, match="calibrate again"):
        calibrated.read(file)


def test_nothing_else_is_written_over(tmp_path):
    for content in ("notes", '{"mine": 1}', "[1]"):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(ConfigError, match="is there already"):
            calibrated.write(tmp_path / "x.json", held.made())
        assert (tmp_path / "x.json").read_text() == content
    with pytest.raises(ConfigError, match="is there already"):
        calibrated.free(tmp_path)  # a folder
    (tmp_path / "file").write_text("")
    with pytest.raises((WorkError, ConfigError)):
        calibrated.write(tmp_path / "file" / "x.json", held.made())


def test_a_threshold_that_is_no_number_is_not_kept(tmp_path):
    with pytest.raises(DatasetError, match="more people"):
        calibrated.write(tmp_path / "x.json", held.with_figure(held.made(), match_from=math.nan))
    assert not (tmp_path / "x.json").exists()


def test_hostile_names_are_kept(tmp_path):
    made = replace(held.made(), dataset="/a\n<b>\u202e", remarks=("'\"\\",))
    calibrated.write(tmp_path / "x.json", made)
    assert calibrated.read(tmp_path / "x.json") == made
    assert json.loads((tmp_path / "x.json").read_text())["dataset"] == made.dataset
