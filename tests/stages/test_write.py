import hashlib
import json
from dataclasses import replace

import pyarrow as pa
import pytest

from omokage import schema
from omokage.shards import Shard
from omokage.stages.write import Write, WriteConfig, face_id, split
from omokage.storage import Folder
from omokage.store import Dataset
from tables import DIM, head, listed, looked


@pytest.fixture
def batch() -> pa.Table:
    listing = listed(*[(f"p{n % 3}/{n}.jpg", f"p{n % 3}" if n else None, n, str(n)) for n in range(7)])
    return looked(listing, [2, "none_found", 1, "too_small", "truncated", "crashed", 3])


def test_pictures_and_faces_are_the_rows_of_the_batch(batch):
    pictures, faces = split(batch, DIM)
    assert pictures.schema.equals(schema.MANIFEST)
    assert faces.schema.equals(schema.face(DIM))
    for name in ("uri", "identity", "size", "stamp", "sha256", "reason"):
        assert pictures[name].to_pylist() == batch[name].to_pylist()
    assert pictures["status"].to_pylist() == ["ok", "no_face", "ok", "no_face", "failed", "failed", "ok"]
    assert pictures["kept"].to_pylist() == [2, 0, 1, 0, 0, 0, 3]
    wanted = [
        {"uri": row["uri"], "sha256": row["sha256"], "identity": row["identity"]}
        | {name: row[name][k] for name in ("box", "landmarks", "score", *schema.QUALITY_NAMES, "chip", "embedding")}
        for row in batch.to_pylist()
        if row["reason"] is None
        for k in range(len(row["box"]))
    ]
    assert faces.drop_columns(["face_id"]).to_pylist() == wanted


def test_a_row_that_failed_late_leaves_no_face(batch):
    reasons = ["not_encoded", *batch["reason"].to_pylist()[1:]]
    late = batch.set_column(batch.column_names.index("reason"), "reason", pa.array(reasons, pa.string()))
    pictures, faces = split(late, DIM)
    assert pictures["kept"].to_pylist()[0] == 0
    assert "p0/0.jpg" not in faces["uri"].to_pylist()
    assert faces.num_rows == 4


@pytest.mark.parametrize("faces", [[], ["none_found", "crashed"]])
def test_no_faces_at_all(faces):
    listing = listed(*[(f"{n}", None, 1, "1") for n in range(len(faces))])
    pictures, none = split(looked(listing, faces), DIM)
    assert pictures.num_rows == len(faces)
    assert none.num_rows == 0
    assert none.schema.equals(schema.face(DIM))


def test_the_same_content_in_two_folders_is_two_faces_for_ever(batch):
    same = batch.set_column(batch.column_names.index("sha256"), "sha256", pa.array(["one file"] * 7))
    ids = split(same, DIM)[1]["face_id"].to_pylist()
    assert len(set(ids)) == len(ids) == 6
    turned = same.take(list(reversed(range(7))))
    assert sorted(split(turned, DIM)[1]["face_id"].to_pylist()) == sorted(ids)  # whoever its neighbours are
    assert ids[0] == face_id("one file", "p0/0.jpg", 0)
    assert face_id("00", "a", 1) == hashlib.sha256(b"00\na\n1").hexdigest()[:24]  # what datasets hold already
    assert face_id("00", "a\n1", 0) != face_id("00", "a", 10)


def test_the_same_work_done_twice_is_the_same_shard(tmp_path, batch):
    Dataset.open_or_create(Folder.at(str(tmp_path / "d")), head())
    write = Write(WriteConfig(dataset=str(tmp_path / "d"), dim=DIM))
    [first], [second] = (write(b)["mark"].to_pylist() for b in (batch, pa.concat_tables([batch[:3], batch[3:]])))
    mark = Shard(**json.loads(first))
    assert replace(mark, seconds={}) == replace(Shard(**json.loads(second)), seconds={})
    assert mark.seconds.keys() == {"look", "write"}
    assert mark.began == 1e9
    assert mark.seconds["look"] == pytest.approx(2.0)
    [finished] = Dataset.open(str(tmp_path / "d")).finished()
    assert (finished.pictures, finished.faces) == (7, 6)
    assert len(list((tmp_path / "d" / "shards").iterdir())) == 3
    for kind in ("faces", "pictures"):
        data = (tmp_path / "d" / finished.file(kind)).read_bytes()
        assert hashlib.sha256(data).hexdigest() == finished.sha256[kind]
    write(batch.slice(0, 3))
    assert len(Dataset.open(str(tmp_path / "d")).finished()) == 2
