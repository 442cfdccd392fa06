"""Tar shards, read by the webdataset package."""

import hashlib
import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from crowd import Crowd
from omokage.bridge.parquet_in import ParquetConfig, import_parquet
from omokage.bridge.webdataset import WebDatasetConfig, export_webdataset
from omokage.curate.decided import Decided
from omokage.errors import ConfigError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.store import Dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    data = Crowd(folders=70, faces=3, dim=4, chips=True, repeats=0, strangers=0, splits=0).write(
        str(tmp_path_factory.mktemp("wds") / "data")
    )
    faces = pa.concat_tables(data.faces()).sort_by("face_id")
    decided = [
        Decision(do="drop_face", faces=(faces["face_id"][0].as_py(),)),
        Decision(do="merge", person="000001 人物", into="000002 人物"),
        Decision(do="relabel", faces=(faces["face_id"][50].as_py(),), into='<script>"../x'),
    ]
    Ledger.of(data.folder).append(decided, "me")
    return data


def tars(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.tar"))}


def test_the_real_package_reads_what_was_kept(data, tmp_path):
    faces, version = Decided.at(data.folder.url)
    report = export_webdataset(faces, version, str(tmp_path / "out"), WebDatasetConfig(shard_faces=64))
    assert (report.faces, report.files, report.identities) == (209, 4 + 2, 70)
    assert report.left_out["not kept"] == 1
    urls = [str(path) for path in sorted((tmp_path / "out").glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode())
    raw = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    names = json.loads((tmp_path / "out/classes.json").read_text())
    now = {row["face_id"]: row for row in faces.version.to_pylist()}
    chips = {}
    for table in data.faces(["face_id", "chip"]):
        chips |= zip(table["face_id"].to_pylist(), table["chip"].to_pylist(), strict=True)
    assert [sample["__key__"] for sample in samples] == sorted(k for k, row in now.items() if row["status"] == "kept")
    for sample, bare in zip(samples, raw, strict=True):
        row = now[sample["__key__"]]
        assert names[sample["cls"]] == row["identity"] == sample["json"]["identity"]
        assert sample["json"]["uri"] == row["uri"]
        assert bare["jpg"] == chips[sample["__key__"]]
    assert '<script>"../x' in names
    assert "000001 人物" not in names


def test_the_same_bytes_however_the_dataset_is_cut_and_no_owner_or_time(data, tmp_path):
    faces, _ = Decided.at(data.folder.url)
    export_webdataset(faces, None, str(tmp_path / "a"), WebDatasetConfig(shard_faces=100))
    first = tars(tmp_path / "a")
    whole = pa.concat_tables(data.faces())
    other = Decided(Recut(data, [whole.slice(150), whole.slice(0, 150)]), faces.version)
    export_webdataset(other, None, str(tmp_path / "b"), WebDatasetConfig(shard_faces=100))
    assert tars(tmp_path / "b") == first
    with tarfile.open(tmp_path / "a/faces-000000.tar") as tar:
        assert {(t.mtime, t.uid, t.gid, t.uname, t.gname, t.mode) for t in tar} == {(0, 0, 0, "", "", 0o644)}
    assert {tar["sha256"] for tar in json.loads((tmp_path / "a/index.json").read_text())["shards"]} == set(
        first.values()
    )


class Recut(Dataset):
    """The same faces in other shards."""

    def __init__(self, data, tables):
        super().__init__(data.folder)
        self.tables = tables

    def faces(self, columns=None):
        return iter([table.select(columns) for table in self.tables])


def test_again_with_fewer_shards_and_never_over_other_files(data, tmp_path):
    faces, _ = Decided.at(data.folder.url)
    out = tmp_path / "out"
    for size, count in ((20, 11), (100, 3)):
        out.mkdir(exist_ok=True)
        (out / f".{'0' * 32}.part").write_bytes(b"of a killed run")
        export_webdataset(faces, None, str(out), WebDatasetConfig(shard_faces=size))
        assert len(tars(out)) == count
        assert len(list(out.iterdir())) == count + 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/index.json").write_text("[]")
    (tmp_path / "file").write_text("x")
    for place in ("mine", "file"):
        with pytest.raises(ConfigError):
            export_webdataset(faces, None, str(tmp_path / place), WebDatasetConfig())
    assert (tmp_path / "mine/index.json").read_text() == "[]"
    with pytest.raises(ConfigError):
        WebDatasetConfig(shard_faces=0)


def test_faces_without_chips(tmp_path):
    pq.write_table(pa.table({"uri": ["a", "b"], "embedding": [[1.0, 0], [0, 1.0]]}), tmp_path / "x.parquet")
    import_parquet(str(tmp_path / "x.parquet"), str(tmp_path / "data"), ParquetConfig())
    faces, _ = Decided.at(str(tmp_path / "data"))
    with pytest.raises(ConfigError, match="no face with a chip"):
        export_webdataset(faces, None, str(tmp_path / "out"), WebDatasetConfig())
