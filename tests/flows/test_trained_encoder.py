"""A trained model goes out by export, and in by ingest."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finished
from conftest import PEOPLE, run
from omokage.store import Dataset
from omokage.train import export, trained
from omokage.vision import codec
from omokage.vision.crop import Crop
from omokage.vision.encoder import EncoderSpec, load_spec
from omokage.vision.shrink import square

pytestmark = pytest.mark.ray


def test_ingest_with_an_exported_model_gives_the_vectors_that_torch_gives(pictures, tmp_path):
    finished.training(str(tmp_path / "run"), finished.dataset(str(tmp_path / "data")), finished.network())
    export.export(str(tmp_path / "run"), str(tmp_path / "out"))
    source = tmp_path / "source"
    for person in PEOPLE:
        (source / person).mkdir(parents=True)
        for shot in range(2):
            shutil.copy(pictures / person / f"{shot:02d}-0.jpg", source / person)
    options = ("--encoder", tmp_path / "out" / "model.onnx", "--align", "dlib", "--padding", "0.1", "--json")
    ran = run("ingest", source, tmp_path / "dataset", *options)
    assert ran.status == 0, ran.err

    spec = load_spec(str(tmp_path / "out" / "model.onnx"))
    found = Dataset.open(str(tmp_path / "dataset"))
    origin = found.head.recipe["encoder"]
    assert (origin["name"], origin["sha256"], origin["crop"]) == ("run", spec.sha256(), "dlib-1/224/0.1>64")
    assert "training pictures: unknown" in ran.report["licences"]["run"]
    rows = [row for table in found.faces() for row in table.to_pylist()]
    assert len(rows) >= 9
    vector_NE = np.array([row["embedding"] for row in rows], np.float32)
    net = trained.load(str(tmp_path / "run")).embedder

    def torchs(faces: list[np.ndarray]) -> np.ndarray:
        return export.embed(net, torch.from_numpy(np.stack(faces))).numpy()

    assert np.abs(vector_NE - torchs([cut(source / row["uri"], row, spec) for row in rows])).max() <= 1e-4
    # training sees a face as its chip shows it: a picture in JPEG, made smaller
    chips = [square(codec.decode(row["chip"]), spec.input_size) for row in rows]
    at_once = [cut(source / row["uri"], row, dataclasses.replace(spec, cut=None)) for row in rows]
    wanted_NE = torchs(chips)
    middle_E = wanted_NE.mean(axis=0)  # a network of random numbers gives all faces much of one direction

    def alike(vectors_NE: np.ndarray) -> np.ndarray:
        one, other = (each - middle_E for each in (wanted_NE, vectors_NE))
        return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)

    seen_N, other_N = alike(vector_NE), alike(torchs(at_once))
    assert seen_N.min() >= 0.99, seen_N
    assert 1 - other_N.min() > 3 * (1 - seen_N.min()), other_N  # or this test would show nothing


def cut(file: Path, row: dict[str, Any], spec: EncoderSpec) -> np.ndarray:
    """Return the face as the encoder is to see it, cut by its landmarks."""
    landmarks_52 = np.array(row["landmarks"], np.float32).reshape(5, 2)
    return Crop.of(spec)(codec.decode(file.read_bytes()), landmarks_52, np.array(row["box"], np.float32))
