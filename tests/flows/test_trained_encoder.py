"""A trained model goes out by export, and in by ingest."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import finished
from conftest import PEOPLE, run
from omokage.store import Dataset
from omokage.train import export, trained
from omokage.vision import codec, geometry
from omokage.vision.encoder import load_spec

pytestmark = pytest.mark.ray


def test_ingest_with_an_exported_model_gives_the_vectors_that_torch_gives(pictures, tmp_path):
    finished.training(str(tmp_path / "run"), finished.dataset(str(tmp_path / "data")), finished.network())
    export.export(str(tmp_path / "run"), str(tmp_path / "out"))
    source = tmp_path / "source"
    for person in PEOPLE:
        (source / person).mkdir(parents=True)
        for shot in range(2):
            shutil.copy(pictures / person / f"{shot:02d}-0.jpg", source / person)
    ran = run("ingest", source, tmp_path / "dataset", "--encoder", tmp_path / "out" / "model.onnx", "--json")
    assert ran.status == 0, ran.err

    spec = load_spec(str(tmp_path / "out" / "model.onnx"))
    found = Dataset.open(str(tmp_path / "dataset"))
    origin = found.head.recipe["encoder"]
    assert (origin["name"], origin["sha256"], origin["crop"]) == ("run", spec.sha256(), "dlib-1/64/0.1")
    assert "training pictures: unknown" in ran.report["licences"]["run"]
    net = trained.load(str(tmp_path / "run")).embedder
    rows = [row for table in found.faces() for row in table.to_pylist()]
    assert len(rows) >= 9
    for row in rows:
        crop = cut(source / row["uri"], row, spec)
        wanted_E = export.embed(net, torch.from_numpy(crop)[None])[0].numpy()
        assert np.abs(np.array(row["embedding"]) - wanted_E).max() <= 1e-4


def cut(file: Path, row: dict, spec) -> np.ndarray:
    """Return the face as the encoder is to see it, cut by its landmarks."""
    picture = codec.decode(file.read_bytes())
    frame = geometry.Template(name=spec.template, size=spec.input_size, padding=spec.padding)
    landmarks_52 = np.array(row["landmarks"], np.float32).reshape(5, 2)
    return geometry.warp(picture, geometry.matrix(frame, landmarks_52, np.array(row["box"], np.float32)), frame.size)
