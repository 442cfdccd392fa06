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
    assert (origin["name"], origin["sha256"], origin["crop"]) == ("run", spec.sha256(), "dlib-1/224/0.1+jpeg95>64")
    assert "training pictures: unknown" in ran.report["licences"]["run"]
    rows = [row for table in found.faces() for row in table.to_pylist()]
    assert len(rows) >= 9
    vector_NE = np.array([row["embedding"] for row in rows], np.float32)
    net = trained.load(str(tmp_path / "run")).embedder

    def torchs(faces: list[np.ndarray]) -> np.ndarray:
        return export.embed(net, torch.from_numpy(np.stack(faces))).numpy()

    assert np.abs(vector_NE - torchs([cut(source / row["uri"], row, spec) for row in rows])).max() <= 1e-4
    # and training saw just that: the chip, a picture in JPEG, made smaller
    chips = [square(codec.decode(row["chip"]), spec.input_size) for row in rows]
    at_once = [cut(source / row["uri"], row, dataclasses.replace(spec, cut=None, jpeg=None)) for row in rows]
    wanted_NE = torchs(chips)
    assert np.abs(vector_NE - wanted_NE).max() <= 1e-4
    middle_E = wanted_NE.mean(axis=0)  # a network of random numbers gives all faces much of one direction
    one_NE, other_NE = (each - middle_E for each in (wanted_NE, torchs(at_once)))
    alike_N = (one_NE * other_NE).sum(axis=1) / np.linalg.norm(one_NE, axis=1) / np.linalg.norm(other_NE, axis=1)
    assert alike_N.min() < 0.999, alike_N  # or this test would show nothing


def cut(file: Path, row: dict[str, Any], spec: EncoderSpec) -> np.ndarray:
    """Return the face as the encoder is to see it, cut by its landmarks."""
    landmarks_52 = np.array(row["landmarks"], np.float32).reshape(5, 2)
    return Crop.of(spec)(codec.decode(file.read_bytes()), landmarks_52, np.array(row["box"], np.float32))
