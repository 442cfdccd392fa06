"""Faces after the decisions, against a slow join."""

import pyarrow as pa
import pytest

from crowd import Crowd
from omokage.curate.decided import Decided
from omokage.errors import DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.version import freeze


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    data = Crowd(folders=130, faces=2, dim=4).write(str(tmp_path_factory.mktemp("decided") / "data"))
    ids = sorted(face for table in data.faces(["face_id"]) for face in table["face_id"].to_pylist())
    decided = [
        Decision(do="drop_face", faces=tuple(ids[::7])),
        Decision(do="relabel", faces=tuple(ids[3::50]), into="新"),
        Decision(do="merge", person="000001 人物", into="000002 人物"),
    ]
    Ledger.of(data.folder).append(decided, "me")
    return data


@pytest.mark.parametrize("kept", [True, False])
def test_each_face_meets_its_own_decisions(data, kept):
    faces, name = Decided.at(data.folder.url)
    assert name is None
    after = {row["face_id"]: row for row in faces.version.to_pylist()}
    columns = ["uri", "identity", "status", "embedding", "face_id"]
    found, rows = {}, []
    for table, row_F in faces.numbered(columns, kept):
        assert table.column_names == columns
        found |= {row["face_id"]: row for row in table.to_pylist()}
        rows += zip(table["face_id"].to_pylist(), row_F.tolist(), strict=True)
    stored = {row["face_id"]: row for table in data.faces() for row in table.to_pylist()}
    assert set(found) == {face for face, row in after.items() if row["status"] == "kept" or not kept}
    for face, row in found.items():
        assert (row["identity"], row["status"]) == (after[face]["identity"], after[face]["status"])
        assert (row["uri"], row["embedding"]) == (stored[face]["uri"], stored[face]["embedding"])
    assert all(faces.version["face_id"][row].as_py() == face for face, row in rows)
    assert faces.kept == sum(row["status"] == "kept" for row in after.values())
    owners = [row["identity"] for row in after.values() if row["status"] == "kept"]
    assert sorted(faces.faces_per_person().tolist()) == sorted(owners.count(name) for name in set(owners))


def test_a_version_stays_what_it_was_and_misses_what_is_gone(data):
    freeze(data, "v1", "me")
    faces, name = Decided.at(f"{data.folder.url}@v1")
    assert (name, faces.present() is faces) == ("v1", True)
    lacking = Decided(data, faces.version.slice(10))
    assert sum(table.num_rows for table in lacking.faces(["uri"])) == lacking.kept
    strange = pa.concat_tables([faces.version.slice(0, 5), faces.version.slice(0, 1)])
    strange = strange.set_column(0, "face_id", pa.array([*strange["face_id"].to_pylist()[:5], "zz longer than all"]))
    assert Decided(data, strange).present().version.num_rows == 5
    with pytest.raises(DatasetError, match="no version v2"):
        Decided.at(f"{data.folder.url}@v2")


def test_a_version_of_nothing(data):
    faces = Decided(data, Decided.at(data.folder.url)[0].version.slice(0, 0))
    assert (faces.kept, faces.faces_per_person().tolist()) == (0, [])
    assert sum(table.num_rows for table in faces.faces(["uri", "identity"])) == 0
