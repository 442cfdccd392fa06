"""Vectors of another encoder: by shard, in order, whatever kills the run, and near to those of the pictures."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import encoding
import finished
import s3_server
from conftest import DEADLINE, run, wait_until
from crowd import Crowd
from omokage import schema
from omokage.assess.encoded import Encoded
from omokage.errors import ConfigError, DatasetError
from omokage.flows.encoded import EncodedConfig, encoded
from omokage.store import Dataset
from omokage.train import export
from omokage.vision import codec
from omokage.vision.encoder import load_spec
from omokage.vision.origin import origin
from omokage.vision.shrink import square

pytestmark = pytest.mark.ray

ALIKE = 0.98
"""Cosine of a face's vector made of its chip, and of its picture; 0.99 in the median."""


def start(dataset, runtime, encoder="sface", **settings):
    told = json.dumps({"from_chips": True, "runtime": runtime} | settings)
    words = [sys.executable, encoding.__file__, str(dataset), str(encoder), told]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def made(dataset, runtime, encoder="sface", **settings):
    """Return what encoding a dataset's chips gave."""
    out, err = (process := start(dataset, runtime, encoder, **settings)).communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    return json.loads(out)


def vectors(table: pa.Table) -> np.ndarray:
    return schema.vectors(schema.whole(table["embedding"]), table["embedding"].type.list_size)


@pytest.fixture(scope="module")
def whole(undisturbed, runtime, tmp_path_factory):
    """A dataset of drawn people, whose chips were encoded in one go; and what that gave."""
    dataset = tmp_path_factory.mktemp("whole") / "dataset"
    shutil.copytree(undisturbed, dataset)
    return dataset, made(dataset, runtime)


def opened(dataset, runtime):
    """Return the vectors that are there; none is made."""
    found = encoded(Dataset.open(str(dataset)), "sface", config=EncodedConfig(from_chips=True, runtime=runtime))
    assert found.made == 0
    return found


def test_vectors_of_chips_are_near_those_of_the_pictures_and_in_their_order(whole, runtime):
    dataset, told = whole
    data, found = Dataset.open(str(dataset)), opened(dataset, runtime)
    assert told["made"] == sum(shard.faces for shard in data.head.shards) > 200
    cosines = []
    for mine, own in zip(found.faces(), data.faces(["face_id", "embedding"]), strict=True):
        assert mine["face_id"].equals(own["face_id"])
        cosines += np.einsum("nd,nd->n", vectors(mine), vectors(own)).tolist()
    assert min(cosines) > ALIKE and np.median(cosines) > 0.99, (min(cosines), np.median(cosines))
    assert found.encoder == data.head.recipe["encoder"] and not found.own
    assert "made of the stored chips (arcface-1/224/0, JPEG)" in told["remarks"][0] and len(told["remarks"]) == 1


def test_vectors_that_the_dataset_has_are_not_made(undisturbed):
    data = Dataset.open(str(undisturbed))
    found = encoded(data, "sface")
    assert found.own and found.remarks == () and "Apache" in found.licence
    assert not (undisturbed / "encoded").exists()
    for mine, own in zip(found.faces(), data.faces(["face_id", "embedding"]), strict=True):
        assert mine["face_id"].equals(own["face_id"]) and np.array_equal(vectors(mine), vectors(own))


@pytest.mark.long
def test_a_killed_run_is_finished_by_the_next_to_the_same_bytes(whole, undisturbed, runtime, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "dataset")
    process = start(tmp_path / "dataset", runtime)
    wait_until(lambda: len(list((tmp_path / "dataset").glob("encoded/*/*.arrow"))) >= 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {path.name for path in (tmp_path / "dataset").glob("encoded/*/*.arrow")}
    told = made(tmp_path / "dataset", runtime)
    assert told["files"] == whole[1]["files"]  # their names hold their checksums
    assert kept <= set(told["files"]) and 0 < told["made"] < whole[1]["made"]


def spoil(part: Path, found: Encoded) -> set[str]:
    """Turn a bit of a file, and remove it as the error says; return the ids of the faces in it."""
    faces = set(pa.ipc.open_file(pa.BufferReader(part.read_bytes())).read_all()["face_id"].to_pylist())
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(DatasetError, match=f"{part.name} is damaged: remove it"):
        list(found.faces())
    part.unlink()
    return faces


def test_of_a_later_ingest_only_what_is_new_or_gone_is_encoded(whole, pictures, runtime, tmp_path):
    source, dataset = tmp_path / "source", tmp_path / "dataset"
    shutil.copytree(pictures, source)
    shutil.copytree(whole[0], dataset)
    before = {face: vector for table in opened(dataset, runtime).faces() for face, vector in rows(table)}
    lost = spoil(sorted(dataset.glob("encoded/*/*.arrow"))[3], opened(dataset, runtime))
    (source / "Jane" / "00-0.jpg").unlink()
    shutil.copy(source / "_x" / "00-0.jpg", source / "_x" / "new.jpg")
    ran = run("ingest", source, dataset, "--moved", "--json")
    assert ran.status == 0 and (ran.report["new"], ran.report["removed"]) == (1, 1), ran.err
    told = made(dataset, runtime)
    after = {face: vector for table in opened(dataset, runtime).faces() for face, vector in rows(table)}
    # The picture that went may have been in the lost part: that face is not made again.
    assert told["made"] == len(lost & after.keys()) + len(after.keys() - before.keys())
    assert len(after) == len(before) and len(after.keys() - before.keys()) == 1
    assert all(before[face] == vector for face, vector in after.items() if face in before)
    data = Dataset.open(str(dataset))
    shards = {shard.name for shard in data.head.shards}
    assert {path.name.partition("-")[0] for path in dataset.glob("encoded/*/*.arrow")} == shards, "old ones were left"


def rows(table):
    return zip(table["face_id"].to_pylist(), (vector.tobytes() for vector in vectors(table)), strict=True)


@pytest.mark.usefixtures("address")
def test_on_s3_as_on_a_disk(server, whole, undisturbed, runtime):
    files = s3_server.client(server)
    files.mkdir("encoded-tests")
    files.put(str(undisturbed), "encoded-tests/data sets/一", recursive=True)
    told = made("s3://encoded-tests/data sets/一", runtime)
    assert told["folder"].startswith("s3://encoded-tests/data sets/一/encoded/sface-")
    assert told["files"] == whole[1]["files"]
    found = opened("s3://encoded-tests/data sets/一", runtime)
    assert pa.concat_tables(found.faces()).equals(pa.concat_tables(opened(whole[0], runtime).faces()))


def test_an_exported_model_sees_the_very_chips(tmp_path):
    """Where an encoder wants to see just what a chip shows, nothing is cut."""
    crowd = Crowd(folders=4, faces=4, splits=0, strangers=0, repeats=0, dim=32, chips=True)
    data = crowd.write(str(tmp_path / "data"))
    net = finished.network()
    finished.training(str(tmp_path / "run"), finished.dataset(str(tmp_path / "of"), "dlib-1/112/0.1"), net)
    export.export(str(tmp_path / "run"), str(tmp_path / "out"))
    model, framing = str(tmp_path / "out" / "model.onnx"), {"align": "dlib", "padding": 0.1}
    with pytest.raises(ConfigError, match="say it with --align"):
        encoded(data, model)
    with pytest.raises(ConfigError, match="give align, too"):
        EncodedConfig(padding=0.1)
    assert made(tmp_path / "data", "onnxruntime", model, **framing)["made"] == 16
    found = encoded(data, model, config=EncodedConfig(**framing))
    assert found.made == 0 and found.runtime == "onnxruntime" and found.dim == 16
    assert found.encoder == origin(load_spec(model)) and "training pictures: unknown" in found.licence
    assert Path(found.folder.root).parent == tmp_path / "data" / "encoded"
    chips = [square(codec.decode(chip), 64) for table in data.faces(["chip"]) for chip in table["chip"].to_pylist()]
    wanted_NE = export.embed(net, torch.from_numpy(np.stack(chips))).numpy()
    assert np.abs(np.concatenate([vectors(table) for table in found.faces()]) - wanted_NE).max() <= 1e-4


def test_a_dataset_without_chips_is_told(tmp_path):
    data = Crowd(folders=3, faces=2, dim=16).write(str(tmp_path / "data"))
    with pytest.raises(DatasetError, match="has vectors only and no chips"):
        encoded(data, "sface", config=EncodedConfig(align="arcface", runtime="onnxruntime"))
