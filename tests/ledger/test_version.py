import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from crowd import Crowd
from omokage import schema
from omokage.errors import ConfigError, DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.diff import SAID, diff
from omokage.ledger.version import Version, current, faces_of, freeze, opened, parse, versions
from omokage.shards import arrow_bytes, read_table
from omokage.storage import Folder
from omokage.store import Dataset

CROWD = Crowd(folders=4, faces=5, dim=8, splits=0, strangers=0, repeats=0)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return CROWD.write(str(tmp_path / "data"))


def ids(data: Dataset) -> list[str]:
    return sorted(face for table in data.faces(["face_id"]) for face in table["face_id"].to_pylist())


def decide(data: Dataset, *decisions: Decision) -> range:
    return Ledger.of(data.folder).append(decisions, "me")


def rows(table: pa.Table) -> dict[str, dict]:
    return {row["face_id"]: row for row in table.to_pylist()}


def without(data: Dataset, uri: str) -> Dataset:
    """Return the dataset after an ingest of a source that no longer has a picture."""
    manifest = data.manifest()
    return data.commit(manifest.filter(pc.not_equal(manifest["uri"], uri)), data.head.shards)


def test_nothing_decided(data):
    table = current(data)
    assert table.schema == schema.VERSION
    assert table["face_id"].to_pylist() == ids(data)
    assert table["was"].to_pylist() == table["identity"].to_pylist()
    assert set(table["status"].to_pylist()) == {"kept"}
    assert table["line"].null_count == table["reason"].null_count == 20


def test_a_dataset_without_faces(tmp_path):
    data = Crowd(folders=1, faces=1, dim=8, splits=0).write(str(tmp_path / "data"))
    empty = data.commit(data.manifest().slice(0, 0), [])
    decide(empty, Decision(do="keep", faces=("gone",)))
    assert current(empty).equals(schema.VERSION.empty_table())
    assert freeze(empty, "v1").faces().num_rows == 0


def test_labels_come_first_then_people(data):
    faces, name = ids(data), CROWD.name
    decide(
        data,
        Decision(do="relabel", faces=(faces[0],), into=name(1)),
        Decision(do="merge", person=name(1), into=name(2)),
        Decision(do="split", faces=(faces[1],), person=name(0), into="new <b>"),
        Decision(do="drop_face", faces=(faces[2], faces[5])),
        Decision(do="drop_duplicate", faces=(faces[3],), into=faces[4]),
        Decision(do="keep", faces=(faces[5],)),
        Decision(do="relabel", faces=(faces[6],), into=name(3)),
        Decision(do="keep", faces=("gone",)),
    )
    got = rows(current(data))
    said = {face: tuple(got[face][key] for key in ("was", "identity", "status", "line", "reason")) for face in got}
    assert said[faces[0]] == (name(0), name(2), "kept", 2, "merge")
    assert said[faces[1]] == (name(0), "new <b>", "kept", 3, "split")
    assert said[faces[2]] == (name(0), name(0), "dropped", 4, "drop_face")
    assert said[faces[3]] == (name(0), name(0), "duplicate", 5, "drop_duplicate")
    assert said[faces[4]] == (name(0), name(0), "kept", None, None)
    assert said[faces[5]] == (name(1), name(2), "kept", 6, "keep")
    assert said[faces[6]] == (name(1), name(3), "kept", 7, "relabel")
    assert said[faces[7]] == (name(1), name(2), "kept", 2, "merge")
    assert said[faces[10]] == (name(2), name(2), "kept", None, None)
    assert "gone" not in got and len(got) == 20


def test_a_face_of_nobody_stays_nobodys_until_it_is_given_to_somebody(tmp_path):
    data = CROWD.write(str(tmp_path / "data"))
    shard = data.head.shards[0]
    table = read_table(data.folder, shard.file("faces"))
    nobody = pa.array([None] * table.num_rows, pa.string())
    place = table.column_names.index("identity")
    data.folder.write(shard.file("faces"), arrow_bytes(table.set_column(place, "identity", nobody)))
    faces = ids(data)
    decide(data, Decision(do="relabel", faces=(faces[0],), into="A"), Decision(do="merge", person="A", into="B"))
    got = rows(current(data))
    assert (got[faces[0]]["identity"], got[faces[1]]["identity"], got[faces[1]]["line"]) == ("B", None, None)


def test_a_version_stays_what_it_was(data):
    faces = ids(data)
    decide(data, Decision(do="drop_face", faces=(faces[0],)))
    frozen = freeze(data, "v1", "花子", "before the merge\n<b>")
    before = frozen.faces()
    assert before.equals(current(data))
    decide(data, Decision(do="undo", undoes=1), Decision(do="merge", person=CROWD.name(0), into=CROWD.name(1)))
    opened = Version.open(Dataset.open(data.folder.url), "v1")
    assert opened == frozen
    assert opened.faces().equals(before)
    assert opened.statuses == {"kept": 19, "dropped": 1, "duplicate": 0}
    assert (opened.generation, opened.lines, opened.people, opened.who) == (1, 1, 4, "花子")
    assert opened.why == "before the merge\n<b>"
    assert not current(data).equals(before)


def test_freezing_twice_gives_the_same_bytes_and_never_the_same_name(data):
    decide(data, Decision(do="drop_face", faces=(ids(data)[0],)))
    first, second = freeze(data, "v1"), freeze(data, "v2")
    assert first.sha256 == second.sha256
    old = data.folder.read("versions/v1.json")
    decide(data, Decision(do="undo", undoes=1))
    with pytest.raises(DatasetError, match="there is a version v1 already"):
        freeze(data, "v1")
    assert data.folder.read("versions/v1.json") == old
    assert freeze(data, "v3").sha256 != first.sha256
    assert [each.name for each in versions(data)] == ["v1", "v2", "v3"]


def test_what_a_killed_freeze_left_is_in_nobodys_way(data):
    frozen = freeze(data, "v1")
    data.folder.remove("versions/v1.json")  # written last
    assert versions(data) == []
    decide(data, Decision(do="drop_face", faces=(ids(data)[0],)))
    assert freeze(data, "v1").sha256 != frozen.sha256
    assert Version.open(data, "v1").faces().equals(current(data))


@pytest.mark.parametrize("said", [{"who": "b\udcffc"}, {"why": "b\udcffc"}])
def test_words_that_are_no_text_are_refused(data, said):
    with pytest.raises(ConfigError, match="must be text"):
        freeze(data, "v1", **said)
    assert versions(data) == []


def test_of_two_who_freeze_one_name_one_is_told(data, monkeypatch):
    """The other one is done between our look whether the name is free and our writing of it."""
    monkeypatch.setattr(Folder, "exists", lambda self, name: False)
    first = freeze(data, "v1", "me")
    decide(data, Decision(do="drop_face", faces=(ids(data)[0],)))
    with pytest.raises(DatasetError, match="v1 already"):
        freeze(data, "v1", "you")
    monkeypatch.undo()
    assert Version.open(data, "v1").faces().equals(first.faces())


def test_damage_is_noticed(data):
    frozen = freeze(data, "v1")
    data.folder.write(frozen.file, data.folder.read(frozen.file)[:-1] + b"?")
    with pytest.raises(DatasetError, match="damaged"):
        frozen.faces()
    data.folder.remove(frozen.file)
    with pytest.raises(DatasetError, match="missing"):
        frozen.faces()
    for text in ("{", "[]", "{}", json.dumps({"format": 1, "name": "v1"})):
        data.folder.write("versions/v1.json", text.encode())
        with pytest.raises(DatasetError, match=r"versions/v1\.json is damaged"):
            Version.open(data, "v1")
    data.folder.write("versions/v1.json", b'{"format": 2}')
    with pytest.raises(DatasetError, match="another version of omokage"):
        Version.open(data, "v1")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "é", "-x", "x" * 65, "v1\n", "a@b"])
def test_a_name_that_is_no_file_name_is_refused(data, name):
    for verb in (freeze, Version.open):
        with pytest.raises(ConfigError, match="name"):
            verb(data, name)


def test_there_is_no_such_version(data):
    freeze(data, "v1")
    freeze(data, "v2")
    with pytest.raises(DatasetError, match="no version v3; there are: v1, v2"):
        Version.open(data, "v3")


def test_a_version_whose_pictures_are_gone_says_how_many(data):
    frozen = freeze(data, "v1")
    assert frozen.missing(data) == 0
    smaller = without(data, data.manifest()["uri"][7].as_py())
    assert Version.open(smaller, "v1").missing(smaller) == 1
    assert Version.open(smaller, "v1").faces().num_rows == 20


def test_addresses(tmp_path, data):
    freeze(data, "v1")
    decide(data, Decision(do="drop_face", faces=(ids(data)[0],)))
    url = data.folder.url
    assert parse(f"{url}@v1") == (url, "v1")
    assert parse(url) == (url, None)
    assert parse("s3://a@b/c") == ("s3://a@b/c", None)
    assert parse("@v1") == ("@v1", None)
    assert faces_of(*opened(url)).equals(current(data))
    assert not faces_of(*opened(f"{url}@v1")).equals(current(data))
    odd = CROWD.write(str(tmp_path / "me@home"))
    freeze(odd, "v9")
    assert parse(odd.folder.url) == (odd.folder.url, None)
    assert parse(f"{odd.folder.url}@v9") == (odd.folder.url, "v9")
    with pytest.raises(DatasetError, match="no version v2"):
        faces_of(*opened(f"{url}@v2"))


def test_the_file_is_one_that_others_can_read(data):
    frozen = freeze(data, "v1")
    table = pq.read_table(data.folder.place(frozen.file))
    assert table.column_names == schema.VERSION.names


def changed(report) -> dict[str, int]:
    return {reason: count for reason, count in report.changes.items() if count}


def test_what_changed_is_counted_by_reason(data):
    faces, name = ids(data), CROWD.name
    decide(
        data,
        Decision(do="drop_face", faces=(faces[0],)),
        Decision(do="relabel", faces=(faces[1],), into=name(3)),
        Decision(do="merge", person=name(2), into=name(3)),
        Decision(do="drop_duplicate", faces=(faces[2],), into=faces[3]),
    )
    freeze(data, "v1")
    assert changed(diff(data, "v1")) == {}
    decide(
        data,
        Decision(do="undo", undoes=1),
        Decision(do="undo", undoes=2),
        Decision(do="undo", undoes=3),
        Decision(do="drop_face", faces=(faces[2], faces[4])),
        Decision(do="drop_duplicate", faces=(faces[5],), into=faces[6]),
        Decision(do="split", faces=(faces[7], faces[8]), person=name(1), into="new"),
        Decision(do="merge", person="new", into="newer"),
        Decision(do="merge", person=name(0), into=name(1)),
    )
    smaller = without(data, f"{name(3)}/00000.jpg")
    freeze(smaller, "v2")
    report = diff(smaller, "v1", "v2")
    assert changed(report) == {
        "removed": 1,
        "dropped": 1,
        "duplicate": 1,
        "out_otherwise": 1,
        "brought_back": 1,
        "relabelled": 1,  # faces[1] is its source's again, and that was merged; one reason is told
        "split": 2,
        "merged": 4,
        "unmerged": 5,
    }
    assert report.faces["split"] == faces[7:9]
    assert report.faces["removed"] == [faces[15]]
    assert (report.before.name, report.after.name, report.after.faces, report.after.generation) == ("v1", "v2", 19, 2)
    back = diff(smaller, "v2", "v1")
    assert changed(back) == {
        "added": 1,
        "brought_back": 2,
        "out_otherwise": 1,
        "dropped": 1,
        "relabelled": 1,
        "split": 2,
        "merged": 5,
        "unmerged": 4,
    }
    assert changed(diff(smaller, "v2")) == {}
    for reason in report.faces:
        assert SAID[reason] in report.text()
    assert json.loads(report.json())["changes"]["split"] == 2


def test_a_ledger_that_is_shorter_than_a_version_says_is_noticed(data):
    decide(data, Decision(do="drop_face", faces=(ids(data)[0],)))
    freeze(data, "v1")
    data.folder.remove("ledger/000000000001.jsonl")
    with pytest.raises(DatasetError, match="v1 rests on 1 decisions, and the ledger has 0"):
        diff(data, "v1")
