"""What trains from a real object store: a split of it, and its chips on the disk of each machine that trains."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

import s3_server
from crowd import Crowd
from omokage.errors import StorageError
from omokage.store import Dataset
from omokage.train.chips import Chips
from omokage.train.split import SplitConfig, split

CROWD = Crowd(folders=12, faces=6, dim=16, chips=True)


@pytest.fixture(scope="module")
def bucket(server):
    s3_server.client(server).mkdir("chips")


@pytest.fixture
def place(bucket, address):
    return f"s3://chips/面影 {uuid.uuid4().hex}"


def test_workers_that_begin_together_have_the_chips_of_a_split(place, tmp_path):
    data = CROWD.write(place)
    config = SplitConfig(val_share=0.2, test_share=0.2)
    table = split(data, None, config, 0).table
    assert table == split(CROWD.write(str(tmp_path / "local")), None, config, 0).table

    def worker(_):
        chips = Chips(Dataset.open(place), table, tmp_path / "cache")
        return b"".join(bytes(chips[row]) for row in range(len(chips)))

    with ThreadPoolExecutor(3) as pool:  # a lock keeps threads apart as it does processes: each opens the file
        answers = list(pool.map(worker, range(3)))
    faces = pa.concat_tables(data.faces(["face_id", "chip"])).sort_by("face_id")
    assert answers == [b"".join(faces["chip"].to_pylist())] * 3
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name != ".lock"]
    assert sorted(path.name for path in kept) == sorted(f"{shard.name}.faces.arrow" for shard in data.head.shards)


def test_a_storage_that_refuses_us_is_told(place, tmp_path, monkeypatch):
    data = CROWD.write(place)
    table = pa.concat_tables(data.faces(["face_id"]))
    monkeypatch.setattr(data.folder.files, "get_file", lambda *_: (_ for _ in ()).throw(PermissionError("Forbidden")))
    with pytest.raises(StorageError, match=r"cannot use s3://chips/.*Forbidden; check the address and the credentials"):
        Chips(data, table, tmp_path)
    assert not list(tmp_path.rglob("*.arrow*"))
