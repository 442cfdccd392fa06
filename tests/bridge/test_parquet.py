"""Embeddings from Parquet and to Parquet."""

import hashlib
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from crowd import Crowd
from omokage import schema
from omokage.bridge.foreign import unit
from omokage.bridge.parquet_in import ParquetConfig, import_parquet
from omokage.bridge.parquet_out import ParquetOutConfig, export_parquet
from omokage.curate.decided import Decided
from omokage.errors import ConfigError, DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.store import Dataset

HOSTILE = ["<script>alert(1)</script>", "../../etc/passwd", "a\nb", "\"'", "人物 😀", ".hidden", ""]


def table(rows: int = 12, dim: int = 6, seed: int = 0, **more: object) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "path": [f"p{n % 4}/{n}.jpg" for n in range(rows)],
            "embedding": pa.array((3 * rng.standard_normal((rows, dim))).tolist(), pa.list_(pa.float64())),
            "identity": [f"p{n % 4}" for n in range(rows)],
            **more,
        }
    )


def imported(tmp_path, given: pa.Table, to: str = "data", **config: object):
    pq.write_table(given, tmp_path / "in.parquet", row_group_size=5)
    return import_parquet(str(tmp_path / "in.parquet"), str(tmp_path / to), ParquetConfig(**config))


def held(data: Dataset) -> pa.Table:
    return pa.concat_tables([schema.face(data.dim).empty_table(), *data.faces()]).sort_by("uri")


@pytest.mark.parametrize("kind", ["list<double>", "fixed", "large", "half", "int"])
def test_vectors_of_any_type_become_unit_length(tmp_path, kind):
    given = table(12)
    rows = np.array(given["embedding"].to_pylist())
    types = {
        "list<double>": pa.list_(pa.float64()),
        "fixed": pa.list_(pa.float32(), 6),
        "large": pa.large_list(pa.float32()),
        "half": pa.list_(pa.float16()),
        "int": pa.list_(pa.int16()),
    }
    if kind == "int":
        rows = np.round(rows * 50)
    values = rows.astype(np.float16 if kind == "half" else np.int16 if kind == "int" else np.float64)
    given = given.set_column(1, "embedding", pa.array([list(row) for row in values], types[kind]))
    report = imported(tmp_path, given)
    assert (report.faces, report.pictures, report.identities, report.dim) == (12, 12, 4, 6)
    faces = held(Dataset.open(report.dataset))
    order = np.argsort(given["path"].to_pylist())
    want = values[order].astype(float)
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(faces["embedding"].to_pylist()), want, atol=1e-6)
    assert faces["identity"].to_pylist() == [given["identity"][n].as_py() for n in order]
    assert not any(faces["chip"].to_pylist())
    assert Dataset.open(report.dataset).check() == []


def test_what_is_no_vector_is_counted_and_left_out(tmp_path):
    bad = [[1.0] * 6, [np.nan] + [1.0] * 5, [0.0] * 6, [1.0] * 5, None, [], [np.inf] * 6, [None] + [1.0] * 5, [2.0] * 6]
    given = table(9).set_column(1, "embedding", pa.array(bad, pa.list_(pa.float64())))
    report = imported(tmp_path, given)
    assert report.faces == 2
    assert report.left_out == {"zero, or not a number": 4, "no vector": 2, "another length": 1}
    assert report.status == {"ok": 2, "no_face": 0, "failed": 7}
    assert report.reasons == {"not_encoded": 7}
    assert report.pictures == 9


def test_rows_that_occur_twice_and_pictures_of_several_faces(tmp_path):
    given = pa.concat_tables([table(4), table(4), table(4, seed=1), table(4)])
    report = imported(tmp_path, given)
    assert (report.faces, report.pictures, report.left_out) == (8, 4, {"repeated": 8})
    manifest = Dataset.open(report.dataset).manifest()
    assert manifest["kept"].to_pylist() == [2] * 4
    assert manifest["found"].to_pylist() == [4] * 4


def test_rows_that_occur_twice_far_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("omokage.bridge.parquet_in.ROWS", 4)
    given = pa.concat_tables([table(10), table(10).slice(0, 3), table(10, seed=2).slice(1, 1)])
    report = imported(tmp_path, given)
    assert (report.faces, report.left_out["repeated"]) == (11, 3)
    assert len(Dataset.open(report.dataset).head.shards) > 2
    assert "counted more than once" in report.warnings[0]


def test_hostile_names_are_only_names(tmp_path):
    given = pa.table({"uri": HOSTILE, "embedding": np.eye(7).tolist(), "identity": HOSTILE})
    report = imported(tmp_path, given)
    assert report.left_out == {"no uri": 1}
    faces = held(Dataset.open(report.dataset))
    assert sorted(faces["identity"].to_pylist()) == sorted(HOSTILE[:-1])
    assert {p.name for p in tmp_path.iterdir()} == {"in.parquet", "data"}


def test_names_may_be_numbers_categories_or_bytes(tmp_path):
    given = {"uri": [b"a", b"b"], "embedding": [[1.0], [-1.0]], "identity": pa.array([7, None])}
    report = imported(tmp_path, pa.table(given))
    assert held(Dataset.open(report.dataset))["identity"].to_pylist() == ["7", None]
    given["identity"] = pa.array(["x", "y"]).dictionary_encode()
    report = imported(tmp_path, pa.table(given), "other")
    assert held(Dataset.open(report.dataset))["identity"].to_pylist() == ["x", "y"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"uri": ["a"]}, "needs the columns embedding"),
        ({"embedding": [[1.0]]}, "needs the columns embedding, and uri or path"),
        ({"uri": ["a"], "embedding": ["text"]}, "lists of numbers"),
        ({"uri": ["a"], "embedding": [["x"]]}, "lists of numbers"),
        ({"uri": pa.array([], pa.string()), "embedding": pa.array([], pa.list_(pa.float32()))}, "no vectors"),
        ({"uri": ["a"], "embedding": [[1.0]], "box": ["x"]}, "cannot be"),
        ({"uri": [b"\xff"], "embedding": [[1.0]]}, "cannot be read as text"),
        ({"uri": ["a"], "embedding": [[1.0]], "identity": [{"a": 1}]}, "cannot be read as text"),
    ],
)
def test_files_that_are_something_else(tmp_path, given, said):
    with pytest.raises(DatasetError, match=said):
        imported(tmp_path, pa.table(given))


def test_no_parquet_at_all(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and then nothing")
    for place, said in (("x.parquet", "cannot be read"), ("none", "nothing at"), ("empty", "no .parquet")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(DatasetError, match=said):
            import_parquet(str(tmp_path / place), str(tmp_path / "data"), ParquetConfig())
    assert not (tmp_path / "data").exists()


def test_again_is_the_same_and_a_folder_of_files_too(tmp_path):
    first = imported(tmp_path, table(30), encoder_name="mine")
    before = sorted(shard.name for shard in Dataset.open(first.dataset).head.shards)
    again = imported(tmp_path, table(30), encoder_name="mine")
    assert sorted(shard.name for shard in Dataset.open(again.dataset).head.shards) == before
    (tmp_path / "many").mkdir()
    for number in range(3):
        pq.write_table(table(30).slice(10 * number, 10), tmp_path / f"many/{number}.parquet")
    many = import_parquet(str(tmp_path / "many"), str(tmp_path / "two"), ParquetConfig(encoder_name="mine"))
    one, two = Dataset.open(first.dataset), Dataset.open(many.dataset)
    assert held(one).equals(held(two))
    assert one.head.recipe == two.head.recipe
    shorter = imported(tmp_path, table(30).slice(0, 7), encoder_name="mine")
    assert (shorter.faces, shorter.pictures) == (7, 7)


def test_another_kind_of_dataset_is_refused(tmp_path):
    Crowd(folders=3, faces=3, dim=6).write(str(tmp_path / "native"))
    with pytest.raises(DatasetError, match="was made with encoder"):
        imported(tmp_path, table(), "native")
    assert sum(shard.faces for shard in Dataset.open(str(tmp_path / "native")).head.shards) == 9
    imported(tmp_path, table(), encoder_name="a")
    with pytest.raises(DatasetError, match="was made with encoder"):
        imported(tmp_path, table(), encoder_name="b")
    with pytest.raises(DatasetError, match="was made with encoder"):
        imported(tmp_path, table(dim=7), encoder_name="a")


def test_a_dataset_goes_out_and_comes_back(tmp_path):
    data = Crowd(folders=6, faces=5, dim=8, chips=True).write(str(tmp_path / "data"))
    ledger = Ledger.of(data.folder)
    faces = held(data)
    gone, renamed = faces["face_id"][0].as_py(), faces["face_id"][7].as_py()
    ledger.append([Decision(do="drop_face", faces=(gone,)), Decision(do="relabel", faces=(renamed,), into="新")], "me")
    decided, version = Decided.at(str(tmp_path / "data"))
    report = export_parquet(decided, version, str(tmp_path / "out.parquet"), ParquetOutConfig(chips=True))
    assert (report.faces, report.identities) == (30, 7)
    out = pq.read_table(tmp_path / "out.parquet").sort_by("uri")
    assert out["face_id"].to_pylist() == faces["face_id"].to_pylist()
    for name in ("chip", "score", "yaw", "side", "sha256"):
        assert out[name].to_pylist() == faces[name].to_pylist()
    np.testing.assert_array_equal(out["embedding"].to_pylist(), faces["embedding"].to_pylist())
    status = dict(zip(out["face_id"].to_pylist(), out["status"].to_pylist(), strict=True))
    assert {face for face, value in status.items() if value != "kept"} == {gone}
    row = out["face_id"].to_pylist().index(renamed)
    assert (out["identity"][row].as_py(), out["was"][row].as_py()) == ("新", faces["identity"][7].as_py())

    back = import_parquet(str(tmp_path / "out.parquet"), str(tmp_path / "back"), ParquetConfig())
    again = held(Dataset.open(back.dataset))
    # Nobody's decision gets lost on the way.
    assert (back.left_out, back.faces) == ({"not kept": 1}, faces.num_rows - 1)
    assert sum(back.status.values()) == back.pictures == faces.num_rows - 1
    faces = faces.filter(pc.not_equal(faces["face_id"], gone))
    for name in ("uri", "sha256", "box", "landmarks", "score", "roll", "chip"):
        assert again[name].to_pylist() == faces[name].to_pylist()
    np.testing.assert_allclose(again["embedding"].to_pylist(), faces["embedding"].to_pylist(), atol=1e-6)


def test_another_file_is_never_written_over(tmp_path):
    data = Crowd(folders=2, faces=2, dim=4).write(str(tmp_path / "data"))
    decided, _ = Decided.at(data.folder.url)
    mine = tmp_path / "mine.parquet"
    pq.write_table(pa.table({"a": [1]}), mine)
    (tmp_path / "text.parquet").write_text("mine")
    before = hashlib.sha256(mine.read_bytes()).digest()
    for name in ("mine.parquet", "text.parquet", "data"):
        with pytest.raises(ConfigError):
            export_parquet(decided, None, str(tmp_path / name), ParquetOutConfig())
    assert hashlib.sha256(mine.read_bytes()).digest() == before
    out = tmp_path / "out.parquet"
    for _ in range(2):
        export_parquet(decided, None, str(out), ParquetOutConfig())
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_lengths_of_vectors():
    given = np.array([[3, 4], [1e-20, 0], [1e30, 1e30], [np.nan, 1]])
    found, good = unit(given)
    np.testing.assert_allclose(found[[0, 2]], [[0.6, 0.8], [2**-0.5, 2**-0.5]], rtol=1e-6)
    assert good.tolist() == [True, False, True, False]


KILLED = """
import os, signal, sys
from omokage.bridge import parquet_in
parquet_in.ROWS = 8
kill = lambda done, of, what: done >= 24 and os.kill(os.getpid(), signal.SIGKILL)
parquet_in.import_parquet(sys.argv[1], sys.argv[2], parquet_in.ParquetConfig(encoder_name="x"), kill)
"""


def test_an_import_that_is_killed_begins_again(tmp_path, monkeypatch):
    monkeypatch.setattr("omokage.bridge.parquet_in.ROWS", 8)
    whole = imported(tmp_path, table(40), "whole", encoder_name="x")
    asked = (str(tmp_path / "in.parquet"), str(tmp_path / "data"))
    assert subprocess.run([sys.executable, "-c", KILLED, *asked], check=False).returncode == -signal.SIGKILL
    left = Dataset.open(asked[1])
    assert (len(left.head.shards), len(left.finished())) == (0, 3)
    after = Dataset.open(import_parquet(*asked, ParquetConfig(encoder_name="x")).dataset)
    assert after.head.shards == Dataset.open(whole.dataset).head.shards
    assert after.manifest().equals(Dataset.open(whole.dataset).manifest())
