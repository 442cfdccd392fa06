"""From a training to a verdict: its network is exported, judged by drawn people, and put beside SFace."""

import json
import shutil
from pathlib import Path

import pytest

import finished
from conftest import run

pytestmark = pytest.mark.ray

CHIP = "arcface-1/224/0"
"""How the chips of an ingest frame a face: the network sees them as they are."""


@pytest.mark.long
def test_a_trained_model_is_judged_and_compared(undisturbed, tmp_path):
    finished.training(str(tmp_path / "run"), finished.dataset(str(tmp_path / "of"), CHIP), finished.network())
    exported = run("export", "model", tmp_path / "run", tmp_path / "out", "--json")
    assert exported.status == 0, exported.err
    encoder = ("--encoder", tmp_path / "out" / "model.onnx", "--trained-on", tmp_path / "run")

    dataset = tmp_path / "dataset"
    shutil.copytree(undisturbed, dataset)
    words = ("evaluate", dataset, "--tracking", "off", "--json")
    mine = run(*words, *encoder)
    theirs = run(*words)
    assert (mine.status, theirs.status) == (0, 0), mine.err + theirs.err
    assert any("made of the stored chips" in warning for warning in mine.report["warnings"])
    again = run(*words, *encoder)
    assert again.status == 0 and not again.report["new"], again.err

    places = [Path(ran.report["folder"]) for ran in (mine, theirs)]
    compared = run("compare", *places, "--out", tmp_path / "compared", "--json")
    assert compared.status == 0, compared.err
    auc = compared.report["differences"][0]
    assert (auc["name"], auc["verdict"], auc["better"]) == ("auc", "higher", "B")
    assert auc["text"].startswith("B's AUC is higher by 0.")
    assert compared.report["unpaired"] == {}
    assert (
        json.loads((tmp_path / "compared" / "report.json").read_text())["differences"] == compared.report["differences"]
    )
    page = (tmp_path / "compared" / "index.html").read_text()
    assert "made of the stored chips" in page and "B is better" in page

    wrong = run("compare", places[0], dataset)
    assert (wrong.status, wrong.out) == (1, "") and "is no evaluation" in wrong.err
