"""omokage calibrate, verify and identify on drawn people, one after the other, as a user runs them.

A threshold is found on five people whom a real ingest has encoded. New pictures of them and of strangers are told
apart by it, one to one and one to many.
"""

import csv
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import crowd
import held
import looked
from conftest import PEOPLE, SHOTS, run
from omokage import schema
from omokage.errors import ConfigError, DatasetError, SourceError
from omokage.flows import identify as flow
from omokage.flows.calibrate import CalibrateConfig, calibrate
from omokage.flows.encoded import EncodedConfig
from omokage.flows.identify import IdentifyConfig, identify
from omokage.flows.look import Sight, looking, seen
from omokage.source import Source
from omokage.stages.write import face_id
from omokage.store import Dataset
from omokage.vision.encoder import load_spec
from omokage.vision.origin import origin

pytestmark = pytest.mark.ray  # the dataset that they share is made by an ingest

STRANGERS = (20, 21, 22)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return looked.own_weights(tmp_path_factory.mktemp("cache") / "weights")


@pytest.fixture(autouse=True)
def own_weights(weights, monkeypatch):
    monkeypatch.setenv("OMOKAGE_WEIGHTS", str(weights))


@pytest.fixture(scope="module")
def calibrated(undisturbed, weights):
    """What ``omokage calibrate`` reports; the calibration then lies beside the weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMOKAGE_WEIGHTS", str(weights))
        ran = run("calibrate", undisturbed, "--fmr", "0.01", "--json")
    assert ran.status == 0, ran.err
    return ran.report


@pytest.fixture(scope="module")
def probes(tmp_path_factory) -> Path:
    """New pictures of the five people and of strangers, and what else lies in a folder. Names say who it is."""
    root = tmp_path_factory.mktemp("probes")
    for person, name in enumerate(PEOPLE):
        for shot in range(SHOTS, SHOTS + 2):
            looked.saved(root / f"in {name}" / f"{shot}.png", looked.drawn(person, shot))
    for person in STRANGERS:
        looked.saved(root / "out" / f"{person}.png", looked.drawn(person, 0))
    looked.saved(root / "group.png", looked.group((0, SHOTS + 2), (STRANGERS[0], 1)))
    looked.saved(root / "grey.png", np.full((90, 120, 3), 127, np.uint8))
    (root / "notes.txt").write_text("who is who")
    return root


def test_what_calibrate_finds_is_kept_with_the_encoder(calibrated, weights, undisturbed):
    found = calibrated["calibration"]
    assert calibrated["file"] == str(weights / "face_recognition_sface_2021dec.onnx.calibration.json")
    kept = json.loads(Path(calibrated["file"]).read_text())
    assert kept["calibration"] == found and kept["dataset"] == str(undisturbed)
    assert kept["encoder"] == Dataset.open(str(undisturbed)).head.recipe["encoder"]
    assert (found["people"], found["fmr"]) == (5, 0.01) and 0.3 < found["threshold"]["value"] < 0.8
    assert found["no_match_below"] <= found["match_from"] and found["likelihood"]["cllr"] < 0.5


def test_pairs_of_other_pictures_are_told_apart(calibrated, probes, tmp_path):
    """The likelihood ratio speaks for the truth, and nobody is taken for somebody else."""
    pictures = {path: path.parent.name for path in sorted(probes.glob("*/*.png"))}
    pairs = list(itertools.combinations(pictures, 2))
    listing = tmp_path / "pairs.csv"
    with listing.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("a", "b"), *pairs])
    ran = run("verify", "--list", listing, "--json")
    assert ran.status == 0, ran.err
    same = [pictures[a] == pictures[b] != "out" for a, b in pairs]
    said = [pair["answer"] for pair in ran.report["results"]]
    assert len(said) == len(same) == 78 and sum(same) == 5
    genuine = [answer for answer, truth in zip(said, same, strict=True) if truth]
    others = [answer for answer, truth in zip(said, same, strict=True) if not truth]
    assert genuine.count("match") >= 4 and "no match" not in genuine
    assert others.count("match") <= 2 and others.count("no match") >= 40
    ratios = [pair["log_likelihood_ratio"] for pair in ran.report["results"]]
    right = [(ratio > 0) == truth for ratio, truth in zip(ratios, same, strict=True)]
    assert sum(right) >= 74


def test_people_in_and_not_in_the_gallery(calibrated, probes, undisturbed, tmp_path):
    out = tmp_path / "answers 表.csv"
    ran = run("identify", probes, "--gallery", undisturbed, "--top", "2", "--csv", out, "--json")
    assert ran.status == 0, ran.err
    report = ran.report
    assert (report["pictures"], report["faces"], report["people"]) == (16, 15, 5) and report["results"] == []
    assert report["reasons"] == {"none_found": 1, "not_a_picture": 1} and sum(report["answers"].values()) == 15
    assert not any("gallery has" in warning for warning in report["basis"]["warnings"])
    assert report["chance"] == pytest.approx(1 - 0.99 ** report["enrolled"])
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first = {(row["picture"], row["face"]): row for row in rows if row["rank"] in ("", "1")}
    assert len(first) == 17 and len(rows) == 2 * 15 + 2
    for name in PEOPLE:
        for shot in range(SHOTS, SHOTS + 2):
            row = first[f"in {name}/{shot}.png", "1"]
            assert row["identity"] == name and float(row["similarity"]) > 0.5 and row["same_file"] == "0"
            assert int(row["faces"]) == SHOTS * 4 or name == "_x" or int(row["faces"]) > 30
            assert int(row["above"]) <= int(row["faces"])
            assert float(row["mean_of_best"]) <= float(row["similarity"]) + 1e-6
    ins = [row["answer"] for (picture, _), row in first.items() if picture.startswith("in ")]
    outs = [first[f"out/{person}.png", "1"]["answer"] for person in STRANGERS]
    assert ins.count("match") >= 8 and "nobody in the gallery" not in ins
    assert "match" not in outs
    left, right = first["group.png", "1"], first["group.png", "2"]
    assert float(left["x1"]) < float(right["x0"]) and left["identity"] == PEOPLE[0]
    assert left["answer"] != "nobody in the gallery" and right["answer"] != "match"
    assert first["grey.png", ""]["answer"] == "cannot say" and first["notes.txt", ""]["reason"] == "not_a_picture"


def test_one_picture_is_answered_with_its_evidence(calibrated, pictures, undisturbed, tmp_path):
    file = tmp_path / "probe.jpg"
    shutil.copy(pictures / "Jane" / "04-2.jpg", file)
    ran = run("identify", file, "--gallery", undisturbed)
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert ": match" in lines[0] and "Jane" in lines[1] and "THE SAME FILE" in lines[1] and "04-2.jpg" in lines[1]
    assert "1 face searched for in pictures that the gallery has, too" in ran.out
    assert "log LR" in lines[1] and "%" not in lines[1] and "Calibrated on 5 people" in ran.out


def test_a_stopped_folder_is_gone_on_with(calibrated, probes, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr("omokage.stages.read.PICTURES_AT_ONCE", 2)
    monkeypatch.setattr(flow, "TOGETHER", 2)

    def stop_at(end: int):
        def stop(done: int, of: int, what: str = "") -> None:
            if done >= end:
                raise KeyboardInterrupt

        return stop

    where, out = (str(probes), str(undisturbed), IdentifyConfig()), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        identify(*where, str(out), stop_at(8))
    assert not out.exists()
    seen_done: list[int] = []
    with pytest.raises(KeyboardInterrupt):  # all is answered, and the file has not its name yet
        identify(*where, str(out), lambda done, *rest: (seen_done.append(done), stop_at(16)(done, *rest)))
    assert seen_done == [8, 12, 16] and not out.exists()
    again = identify(*where, str(out))
    plain = identify(*where, str(tmp_path / "plain.csv"))
    assert out.read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert (again.answers, again.reasons, again.pictures) == (plain.answers, plain.reasons, 16)


def test_a_picture_is_seen_as_an_ingest_saw_it(pictures, undisturbed):
    """The same faces and, to what two programs differ by, the same vectors."""
    data = Dataset.open(str(undisturbed))
    known = {row["face_id"]: row for table in data.faces() for row in table.to_pylist()}
    source = Source.at(str(pictures))
    listing = source.listing().slice(40, 24)
    found = 0
    with looking(Sight.like(data), len(listing)) as eyes:
        assert eyes.runtime == data.head.runtime
        for table in eyes.look(listing, source.root.url):
            for row in seen(table, data.dim):
                for number in range(len(row.score_F)):
                    wanted = known[face_id(row.sha256, row.uri, number)]
                    assert np.abs(row.vector_FE[number] - np.array(wanted["embedding"])).max() <= 1e-6
                    assert np.allclose(row.box_F4[number], wanted["box"], atol=1e-3)
                    found += 1
    assert found == sum(row["uri"] in set(listing["uri"].to_pylist()) for row in known.values()) >= 20


def test_without_a_calibration_people_are_ranked_and_nothing_is_claimed(probes, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("OMOKAGE_WEIGHTS", str(looked.own_weights(tmp_path / "bare")))
    report = identify(str(probes / "in Jane" / f"{SHOTS}.png"), str(undisturbed), IdentifyConfig())
    [[probe]] = [searched.faces for searched in report.results]
    assert probe.answer == "cannot say" and "omokage calibrate" in probe.why and report.chance is None
    assert (
        probe.people[0].identity == "Jane"
        and (probe.people[0].above, probe.people[0].log_likelihood_ratio) == (None,) * 2
    )


def test_what_stops_the_command_is_said(probes, undisturbed, tmp_path):
    picture = str(probes / "out" / f"{STRANGERS[0]}.png")
    with pytest.raises(SourceError, match="there is nothing at"):
        identify(str(tmp_path / "gone"), str(undisturbed), IdentifyConfig())
    with pytest.raises(DatasetError, match="is no dataset"):
        identify(picture, str(tmp_path), IdentifyConfig())
    with pytest.raises(ConfigError, match="lies among the pictures"):
        identify(str(probes), str(undisturbed), IdentifyConfig(), str(probes / "out" / "answers.csv"))
    with pytest.raises(ConfigError, match="top must be at least 1"):
        IdentifyConfig(top=0)
    held.kept(tmp_path / "other.json")
    with pytest.raises(ConfigError, match="of another encoder than sface"):
        identify(picture, str(undisturbed), IdentifyConfig(calibration=str(tmp_path / "other.json")))
    crowd.Crowd(folders=4, faces=3).write(str(tmp_path / "crowd"))
    with pytest.raises(DatasetError, match="not made from pictures"):
        identify(picture, str(tmp_path / "crowd"), IdentifyConfig())
    other = tmp_path / "other.toml"
    other.write_text(
        f'name = "other"\nweights = "{tmp_path}/bare.onnx"\nlicence = "x"\ndim = 128\ninput_size = 112\n'
        'colour = "BGR"\ntemplate = "arcface"\n'
    )
    shutil.copy(load_spec("sface").weights_file(), tmp_path / "bare.onnx")
    with pytest.raises(DatasetError, match=r"was encoded by sface .* and not by .*other\.toml"):
        identify(picture, str(undisturbed), IdentifyConfig(encoder=str(other)))


def test_calibrating_on_generated_people(tmp_path):
    """Where an encoder's weights are not known, the calibration needs a file of its own; and data have their limits."""
    data = crowd.Crowd(folders=60, faces=8, splits=0, strangers=0).write(str(tmp_path / "crowd"))
    with pytest.raises(DatasetError, match="--out"):
        calibrate(data.folder.url, CalibrateConfig())
    out = str(tmp_path / "crowd.json")
    with pytest.raises(ConfigError, match="cannot show an FMR of 1e-06"):
        calibrate(data.folder.url, CalibrateConfig(fmr=1e-6, out=out))
    assert not Path(out).exists()
    with pytest.raises(ConfigError, match="fmr must lie between 0 and 1"):
        CalibrateConfig(fmr=1.0)
    with pytest.raises(ConfigError, match="name the encoder"):
        CalibrateConfig(encoding=EncodedConfig(from_chips=True))
    (tmp_path / "mine.txt").write_text("notes")
    with pytest.raises(ConfigError, match="is there already"):
        calibrate(data.folder.url, CalibrateConfig(out=str(tmp_path / "mine.txt")))
    report = calibrate(data.folder.url, CalibrateConfig(fmr=1e-2, out=out))
    vectors = np.concatenate(
        [schema.vectors(schema.whole(t["embedding"]), data.dim) for t in data.faces(["embedding"])]
    )
    names = np.concatenate([t["identity"].to_numpy() for t in data.faces(["identity"])])
    row, column = np.triu_indices(len(names), 1)
    score, same = (vectors @ vectors.T)[row, column], (names[:, None] == names)[row, column]
    told = report.made.calibration
    assert (told.genuine, told.impostor) == (int(same.sum()), int((~same).sum()))
    assert np.mean(score[~same] >= told.threshold.value) == pytest.approx(told.counted_fmr, abs=1e-5)
    assert told.counted_fmr <= 0.01
    assert np.mean(score[same] >= told.threshold.value) == pytest.approx(told.tar.value, abs=1e-3)
    assert report.made.detector is None and "match at" in report.text()
    assert origin(load_spec("sface")) != report.made.encoder
