import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import COPIES, PEOPLE, SHOTS, content, run
from omokage import weights
from omokage.store import Dataset
from omokage.synth.draw import DrawConfig, draw

pytestmark = pytest.mark.ray

PLANTED = {  # what a planted fault must become
    "no_face": ("no_face", "none_found"),
    "truncated": ("failed", "truncated"),
    "empty": ("failed", "empty"),
    "not_a_picture": ("failed", "not_a_picture"),
    "other_file": ("failed", "not_a_picture"),
}


def test_every_picture_is_accounted_for(undisturbed):
    manifest = Dataset.open(str(undisturbed)).manifest()
    assert manifest.num_rows == len(PEOPLE) * SHOTS * COPIES
    assert manifest["status"].to_pylist().count("ok") >= 0.97 * manifest.num_rows
    assert set(manifest["identity"].to_pylist()) == set(PEOPLE)
    assert len(content(undisturbed)) == sum(manifest["kept"].to_pylist())


def test_vectors_tell_people_apart(undisturbed):
    rows = list(content(undisturbed).values())
    vector_ND = np.array([row[2] for row in rows], np.float32)
    np.testing.assert_allclose(np.linalg.norm(vector_ND, axis=1), 1, atol=1e-5)
    person_N = np.array([PEOPLE.index(row[1]) for row in rows])
    similarity_NN = vector_ND @ vector_ND.T
    same_NN = person_N[:, None] == person_N
    assert np.median(similarity_NN[same_NN]) > np.quantile(similarity_NN[~same_NN], 0.95)


def test_drawn_faults_become_what_they_are(tmp_path):
    truth = draw(DrawConfig(people=6, pictures=4, size=256, seed=5), tmp_path)
    ran = run("ingest", tmp_path / "pictures", tmp_path / "dataset", "--json")
    assert ran.status == 0, ran.err
    manifest = {row["uri"]: row for row in Dataset.open(str(tmp_path / "dataset")).manifest().to_pylist()}
    assert set(manifest) == {file.path for file in truth.files}
    assert sum(ran.report["status"].values()) == ran.report["pictures"] == len(truth.files)
    for file in truth.files:
        row = manifest[file.path]
        assert row["identity"] == file.folder
        if file.fault in PLANTED:
            assert (row["status"], row["reason"]) == PLANTED[file.fault], file
        elif file.fault != "group":
            assert (row["status"], row["found"]) == ("ok", 1), file


def test_changes_and_only_changes_are_done(pictures, undisturbed, tmp_path):
    source, dataset = tmp_path / "source", tmp_path / "dataset"
    shutil.copytree(pictures, source)
    shutil.copytree(undisturbed, dataset)
    moved = run("ingest", source, dataset, "--moved", "--json")
    assert moved.status == 0, moved.err
    assert moved.report["done"] == 0, "copytree keeps the times, so nothing changed"

    before = content(dataset)
    Path(source / "Jane" / "00-0.jpg").unlink()
    shutil.copy(source / "_x" / "00-0.jpg", source / "_x" / "new.jpg")
    os.utime(source / "_x" / "new.jpg", (1, 1))
    (source / "_x" / "01-0.jpg").write_bytes((source / "_x" / "02-0.jpg").read_bytes())
    again = run("ingest", source, dataset, "--json")
    assert again.status == 0, again.err
    assert [again.report[name] for name in ("done", "new", "changed", "removed")] == [2, 1, 1, 1]
    after = content(dataset)
    gone = {row[0] for row in before.values()} - {row[0] for row in after.values()}
    assert gone == {"Jane/00-0.jpg"}
    assert {row[0] for face, row in after.items() if face not in before} == {"_x/new.jpg", "_x/01-0.jpg"}
    assert all(after[face] == row for face, row in before.items() if face in after)
    assert run("check", dataset).status == 0


def test_an_unchanged_source_is_quick(pictures, undisturbed):
    start = time.monotonic()
    ran = run("ingest", pictures, undisturbed, "--json")
    assert ran.status == 0, ran.err
    assert ran.report["done"] == 0
    assert ran.report["workers"] == {}, "Ray was started for nothing"
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("words", [["--cpus", "1"], ["--cpus", "8", "--workers", "3"]])
def test_the_same_faces_whatever_the_cores(words, pictures, undisturbed, runtime, tmp_path):
    """And it comes to an end: actors that book every core would wait for ever."""
    words = [*words, "--runtime", runtime, "--object-store-mb", "128"]
    ran = run("ingest", pictures, tmp_path, *words, "--json")
    assert ran.status == 0, ran.err
    assert content(tmp_path) == content(undisturbed)


def test_cards_are_shared_and_one_that_cannot_be_used_is_named(pictures, undisturbed, tmp_path):
    """The cards are Ray's book-keeping only: nothing is there, so the encoder falls back and says so."""
    shutil.copytree(pictures / "Jane", tmp_path / "source" / "Jane")
    ran = run("ingest", tmp_path / "source", tmp_path / "dataset", "--gpus", "2", "--json")
    assert ran.status == 0, ran.err
    assert ran.report["faces"] == sum(row[1] == "Jane" for row in content(undisturbed).values())
    assert (ran.report["workers"]["encode"], ran.report["workers"]["encode_gpus"]) == (4, 0.5)
    assert "GPU is not used" in ran.report["warnings"][0]


@pytest.mark.parametrize("name", ["mine", "sface"])
def test_another_encoder_is_refused_with_both_names(name, pictures, undisturbed, tmp_path):
    """One that is only fed otherwise is another one too: its vectors are not those of the same pictures."""
    description = tmp_path / "mine.toml"
    description.write_text(
        f'name = "{name}"\nscale = 0.5\nlicence = "none"\n'
        f'weights = "{weights.path("sface")}"\n'
        'dim = 128\ninput_size = 112\ncolour = "RGB"\ntemplate = "arcface"\n'
    )
    ran = run("ingest", pictures, undisturbed, "--encoder", description)
    assert ran.status == 1
    assert '"name": "sface"' in ran.err and f'"name": "{name}"' in ran.err and "Traceback" not in ran.err


def test_errors_are_one_object_with_json(tmp_path):
    ran = run("ingest", tmp_path / "nowhere", tmp_path / "dataset", "--json")
    assert ran.status == 1
    assert "nowhere" in json.loads(ran.out)["error"]
    assert not (tmp_path / "dataset").exists()


@pytest.mark.long
def test_a_full_disk_loses_nothing(pictures, undisturbed, runtime, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=True)
    try:
        full = run("ingest", pictures, tmp_path / "dataset", "--runtime", runtime)
        assert full.status == 1
        assert full.err.strip().startswith("omokage ingest: OSError: [Errno 28]"), full.err
        assert "Traceback" not in full.err
        subprocess.run(["mount", "-o", "remount,size=64m", tmp_path], check=True)
        ran = run("ingest", pictures, tmp_path / "dataset", "--json")
        assert ran.status == 0, ran.err
        assert ran.report["done"] < ran.report["pictures"]
        assert content(tmp_path / "dataset") == content(undisturbed)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_crop_writes_beside_and_never_into_the_source(pictures, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in pictures.rglob("*")}
    ran = run("crop", pictures, tmp_path / "out", "--size", "128", "--padding", "0.25", "--json")
    assert ran.status == 0, ran.err
    written = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.jpg")}
    assert len(written) == ran.report["files"] >= 0.97 * ran.report["pictures"]
    assert Path("山田 花子/00-0.jpg-0.jpg") in written
    assert {path: path.stat().st_mtime_ns for path in pictures.rglob("*")} == before
    assert run("crop", pictures, pictures / "Jane").status == 1
