"""Altered copies as files: where they lie, that they are told apart, that a killed run is finished."""

import hashlib
import json
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import buckets
from children import CHILDREN
from crowd import Crowd
from omokage.apply.asked import Asked
from omokage.apply.augmented import augmented
from omokage.apply.out import OnDisk
from omokage.augment.copies import CopiesConfig
from omokage.bridge.parquet_in import ParquetConfig, import_parquet
from omokage.cli import augmenting
from omokage.errors import ConfigError, WorkError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.version import freeze
from omokage.source import written
from omokage.vision import codec
from trees import HOSTILE, files, known, plant

FEW = CopiesConfig(lens="-0.1:0.1:0.1", jitter=2)
BUCKET = "augmented"
CLAIM, LIST = "omokage-augment.json", "omokage-augment.parquet"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    crowd = Crowd(folders=4, faces=5, dim=4, chips=True, repeats=0, strangers=0, splits=0)
    data = crowd.write(str(tmp_path_factory.mktemp("augmented") / "data"))
    freeze(data, "whole", "a test")
    faces = pa.concat_tables(data.faces()).sort_by("uri")["face_id"].to_pylist()
    decided = [
        Decision(do="drop_face", faces=(faces[0],)),
        Decision(do="merge", person="000001 人物", into="000002 人物"),
        Decision(do="relabel", faces=(faces[15],), into='../<b>"x'),
    ]
    Ledger.of(data.folder).append(decided, "a test")
    return data


@pytest.fixture
def bucket():
    with buckets.bucket(BUCKET) as files:
        yield files


def to(out, data, config=FEW, at="", **more):
    return augmented(Asked.at(data.folder.url + at), str(out), config, **more)


def listed(out):
    return pq.read_table(Path(out) / LIST).to_pylist()


def sums(out):
    return {name: hashlib.sha256((Path(out) / name).read_bytes()).hexdigest() for name in files(out)}


def test_every_kept_face_gets_its_copies_and_the_list_says_what_they_are(data, tmp_path):
    out = tmp_path / "out"
    report = to(out, data)
    assert (report.faces, report.copies, report.files, report.written, report.people) == (19, 4, 76, 76, 4)
    assert report.left_out["faces that were dropped"] == 1
    rows = listed(out)
    assert {row["path"] for row in rows} | {CLAIM, LIST} == files(out)
    faces = {row["face_id"]: row for table in data.faces() for row in table.to_pylist()}
    assert {row["identity"] for row in rows} == {"000000 人物", "000002 人物", "000003 人物", '../<b>"x'}
    folders = {row["path"].split("/")[0] for row in rows}
    assert {"000000 人物", "000002 人物", "000003 人物"} < folders and len(folders) == 4
    assert set(report.renamed) == {'../<b>"x'}
    for row in rows:
        assert row["path"].count("/") == 1
        assert row["uri"] == faces[row["face_id"]]["uri"]
        assert row["sha256"] == hashlib.sha256((out / row["path"]).read_bytes()).hexdigest()
        assert (row["seed"] is None) == (row["change"] == "lens") == (row["coefficient"] is not None)
        assert row["coefficient"] in (None, -0.1, 0.1)
        picture, chip = (codec.decode(d) for d in ((out / row["path"]).read_bytes(), faces[row["face_id"]]["chip"]))
        assert picture.shape == chip.shape
        assert not np.array_equal(picture, chip)


def test_the_same_bytes_every_time_whatever_the_threads_and_other_faces(data, tmp_path):
    to(tmp_path / "a", data)
    again = to(tmp_path / "a", data)
    assert (again.written, again.files) == (0, 76)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    to(tmp_path / "b", data, at="@whole")
    assert torch.get_num_threads() == 3
    torch.set_num_threads(threads)
    one, two = sums(tmp_path / "a"), sums(tmp_path / "b")
    both = {name.split("/")[1]: digest for name, digest in one.items() if "/" in name}
    assert len(both) == 76
    assert both.items() <= {name.split("/")[1]: digest for name, digest in two.items() if "/" in name}.items()


class Stop(BaseException):
    """What a kill looks like from within."""


def test_a_stopped_run_is_finished_and_no_other_takes_its_place(data, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    to(whole, data)

    def stop(done, of, what):
        if done:
            raise Stop

    with pytest.raises(Stop):
        to(out, data, on_progress=stop)
    assert LIST not in files(out) and CLAIM in files(out)
    for path in sorted(out.rglob("*_lens-0.1.jpg"))[::2]:
        path.unlink()
    for other, word in ((CopiesConfig(jitter=2), "settings"), (FEW, "faces")):
        with pytest.raises(ConfigError, match=f"copies of other .*{word}"):
            to(out, data, other, at="@whole" if word == "faces" else "")
    report = to(out, data)
    assert 0 < report.written < report.files
    assert sums(out) == sums(whole)


@pytest.mark.long
def test_killed_by_kill_9_it_is_finished_by_the_same_command(data, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    config = CopiesConfig(lens="-0.2:0.2:0.05", corners=True)
    to(whole, data, config)
    for wait in (0, 200):
        process = CHILDREN.Process(target=augmented, args=(Asked.at(data.folder.url), str(out), config))
        process.start()
        while process.is_alive() and len(list(out.rglob("*.jpg"))) <= wait:
            time.sleep(0.001)
        process.kill()
        process.join()
        assert process.exitcode == -9, "too quick to be killed"
    (out / "000000 人物" / f".{'0' * 32}.part").write_bytes(b"of others")
    to(out, data, config)
    (out / "000000 人物" / f".{'0' * 32}.part").unlink()
    assert sums(out) == sums(whole)


def test_never_over_files_of_others_nor_in_the_dataset_or_the_source(data, tmp_path):
    for place in ("mine", "claimed"):
        (tmp_path / place).mkdir()
    (tmp_path / "mine" / "x.jpg").write_bytes(b"x")
    (tmp_path / "claimed" / CLAIM).write_text("[]")
    (tmp_path / "file").write_bytes(b"x")
    for place, why in (("mine", "other files"), ("claimed", "not ours"), ("file", "is a file")):
        with pytest.raises(ConfigError, match=why):
            to(tmp_path / place, data)
    assert files(tmp_path / "mine") == {"x.jpg"}
    source = plant(tmp_path / "pictures", "A/1.jpg")
    made = known(source, tmp_path / "data")
    for place in (source / "A", source, tmp_path / "data" / "x", tmp_path):
        with pytest.raises(ConfigError, match="must be apart"):
            to(place, made)
    with pytest.raises(ConfigError, match="must be apart"):
        to(data.folder.place("augmented"), data)


def test_a_file_in_the_tree_is_never_written_again(data, tmp_path):
    out = tmp_path / "out"
    to(out, data)
    edited = sorted(out.rglob("*.jpg"))[3]
    edited.write_bytes(b"edited")
    assert to(out, data).written == 0
    assert edited.read_bytes() == b"edited"
    by_path = {row["path"]: row["sha256"] for row in listed(out)}
    assert by_path[str(edited.relative_to(out))] == hashlib.sha256(b"edited").hexdigest()


def test_any_names(tmp_path):
    names = [written(name.decode(errors="surrogateescape") if isinstance(name, bytes) else name) for name in HOSTILE]
    _, chip = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8))
    table = pa.table(
        {
            "uri": names,
            "identity": ["../..", ".", "a/b", "a_b", "a\0b", "n" * 300, "Anna", "anna", CLAIM, LIST, "\n"],
            "embedding": [[1.0, 0.0]] * len(names),
            "chip": [chip.tobytes()] * (len(names) - 2) + [b"no picture", None],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    import_parquet(str(tmp_path / "in.parquet"), str(tmp_path / "data"), ParquetConfig())
    report = augmented(Asked.at(str(tmp_path / "data")), str(tmp_path / "deep/out"), FEW)
    assert report.faces == len(names) - 2
    assert report.left_out["faces without a chip"] == report.left_out["faces whose chip cannot be read"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"in.parquet", "data", "deep"}
    found = listed(tmp_path / "deep/out")
    assert len({row["path"].casefold() for row in found}) == len(found) == 4 * report.faces
    assert len(files(tmp_path / "deep/out")) == len(found) + 2


def test_nothing_to_copy(tmp_path):
    pq.write_table(pa.table({"uri": ["a"], "embedding": [[1.0, 0]]}), tmp_path / "x.parquet")
    import_parquet(str(tmp_path / "x.parquet"), str(tmp_path / "data"), ParquetConfig())
    with pytest.raises(ConfigError, match="no kept face"):
        augmented(Asked.at(str(tmp_path / "data")), str(tmp_path / "out"), FEW)


def test_a_full_disk_says_how_to_go_on(data, tmp_path, monkeypatch):
    monkeypatch.setattr(OnDisk, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(WorkError, match="same command goes on from here"):
        to(tmp_path / "out", data)


def test_behind_a_url_as_on_a_disk(data, tmp_path, bucket):
    to(tmp_path / "out", data)
    for written_now in (76, 0):
        report = augmented(Asked.at(data.folder.url), f"s3://{BUCKET}/out", FEW)
        assert (report.files, report.written) == (76, written_now)
    found = {path.removeprefix(f"{BUCKET}/out/"): bucket.cat_file(path) for path in bucket.find(f"{BUCKET}/out")}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in found.items()} == sums(tmp_path / "out")
    with pytest.raises(ConfigError, match="copies of other"):
        augmented(Asked.at(data.folder.url), f"s3://{BUCKET}/out", CopiesConfig(jitter=1))


def test_the_verb(data, tmp_path):
    words = [f"{data.folder.url}@whole", str(tmp_path / "out"), "--lens", "-0.1:0.1:0.05", "--jitter", "1", "--json"]
    found = json.loads(augmenting.augment(words))
    assert (found["faces"], found["copies"], found["files"], found["version"]) == (20, 5, 100, "whole")
    assert len(list((tmp_path / "out").rglob("*_lens-0.05.jpg"))) == 20
    text = augmenting.augment(words[:-1])
    assert "5 copies of each of 20 faces of 4 people, 100 files, 0 of them written now" in text
    with pytest.raises(ConfigError, match="nothing is asked for"):
        augmenting.augment(words[:2])
