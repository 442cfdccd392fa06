"""The ledger in a real object store, with several who write at once."""

import uuid

import pytest
import s3fs

import s3_server
from children import CHILDREN, acknowledged, write_lines
from crowd import Crowd
from omokage.curate.undoing import undo
from omokage.errors import DatasetError, StorageError
from omokage.ledger import book
from omokage.ledger.book import GrownError, Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.diff import diff
from omokage.ledger.version import current, faces_of, freeze, opened, versions
from omokage.storage import Folder

KEEP = Decision(do="keep", faces=("a",))


@pytest.fixture(scope="module")
def bucket(server):
    s3_server.client(server).mkdir("ledgers")


@pytest.fixture
def place(bucket, address):
    return f"s3://ledgers/面影 {uuid.uuid4().hex}"


def test_an_update_is_refused_where_another_writer_was_first(place):
    folder, other = Folder.at(place), Folder.at(place)
    turns = []

    def change(old):
        turns.append(old)
        if len(turns) < 4:  # somebody else is quicker: creates the file, changes it, removes it
            other.remove("a") if len(turns) == 3 else other.write("a", b"other %d" % len(turns))
        return (old or b"") + b" ours"

    folder.update("a", change)
    assert turns == [None, b"other 1", b"other 2", None]
    assert folder.read("a") == b" ours"
    folder.update("a", lambda old: None)
    assert folder.read("a") == b" ours"


def test_two_clients_lose_nothing(place, server, tmp_path):
    said = [tmp_path / f"said by {n}" for n in range(2)]
    writers = [CHILDREN.Process(target=write_lines, args=(place, f"w{n}", 30, 3000, said[n], server)) for n in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(100)
    assert [writer.exitcode for writer in writers] == [0, 0]
    ledger = Ledger.of(Folder.at(place))
    faces = [face for (face,) in ledger.table()["faces"].to_pylist()]
    assert sorted(faces) == sorted(
        f"w{n}-{turn}-{k}" for n in range(2) for turn in range(30) for k in range(1 + turn % 3)
    )
    for number, face in (acknowledged(said[0]) | acknowledged(said[1])).items():
        assert faces[number - 1] == face
    assert len(ledger.folder.names("ledger")) > 2


def test_a_book_of_several_files(place, monkeypatch):
    monkeypatch.setattr(book, "FULL", 200)
    ledger = Ledger.of(Folder.at(place))
    assert (ledger.length(), ledger.table().num_rows) == (0, 0)
    for _ in range(5):
        ledger.append([KEEP, KEEP], "me")
    assert ledger.length() == 10
    assert ledger.table(after=3, until=8)["number"].to_pylist() == [4, 5, 6, 7, 8]
    with pytest.raises(GrownError):
        ledger.append([KEEP], "me", length=9)


def test_versions_of_a_dataset(place):
    data = Crowd(folders=2, faces=3, dim=8, splits=0).write(place)
    face = next(data.faces(["face_id"]))["face_id"][0].as_py()
    Ledger.of(data.folder).append([Decision(do="drop_face", faces=(face,))], "me")
    frozen = freeze(data, "v1")
    assert faces_of(*opened(f"{place}@v1")).equals(current(data))
    undo(data)
    assert diff(data, "v1").changes["brought_back"] == 1
    with pytest.raises(DatasetError, match="v1 already"):
        freeze(data, "v1")
    assert [each.sha256 for each in versions(data)] == [frozen.sha256]


def test_a_wrong_key_is_said(place, monkeypatch):
    Ledger.of(Folder.at(place)).append([KEEP], "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError, match="credentials"):
        Ledger.of(Folder.at(place)).append([KEEP], "me")
    s3fs.S3FileSystem.clear_instance_cache()
