"""Imports and exports behind a URL give what they give on a disk."""

import hashlib
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import buckets
from omokage.bridge.npknown_in import NpKnownConfig, import_npknown
from omokage.bridge.npknown_out import NpKnownOutConfig, export_npknown
from omokage.bridge.parquet_in import ParquetConfig, import_parquet
from omokage.bridge.parquet_out import ParquetOutConfig, export_parquet
from omokage.bridge.webdataset import WebDatasetConfig, export_webdataset
from omokage.card.sample import CardConfig
from omokage.card.write import write
from omokage.curate.decided import Decided
from omokage.store import Dataset

BUCKET = "bridges"


@pytest.fixture(scope="module")
def files():
    with buckets.bucket(BUCKET) as files:
        yield files


def sums(place: str) -> dict[str, str]:
    """Return the sha256 of every file, by its place below."""
    files, root = fsspec.core.url_to_fs(place, use_listings_cache=False)
    root = root.rstrip("/")
    return {
        path.removeprefix(root): hashlib.sha256(files.cat_file(path)).hexdigest()
        for path in files.find(root)
        if not path.endswith((".lock", "index.json"))
    }


def test_parquet_and_webdataset(files, tmp_path):
    rng = np.random.default_rng(0)
    given = pa.table(
        {
            "uri": [f"人 {n % 3}/{n} +%#?.jpg" for n in range(9)],
            "identity": [f"人 {n % 3}" for n in range(9)],
            "embedding": rng.standard_normal((9, 5)).tolist(),
            "chip": [b"\xff\xd8" + bytes([n]) for n in range(9)],
        }
    )
    pq.write_table(given, tmp_path / "in.parquet")
    files.put_file(str(tmp_path / "in.parquet"), f"{BUCKET}/in/in.parquet")
    near, far = str(tmp_path / "data"), f"s3://{BUCKET}/data"
    import_parquet(str(tmp_path / "in.parquet"), near, ParquetConfig(encoder_name="x"))
    import_parquet(f"s3://{BUCKET}/in", far, ParquetConfig(encoder_name="x"))
    assert Dataset.open(far).check() == []
    one, two = Decided.at(near)[0], Decided.at(far)[0]
    assert one.version.equals(two.version)
    for faces, place in ((one, str(tmp_path / "wds")), (two, f"s3://{BUCKET}/wds")):
        for _ in range(2):
            export_webdataset(faces, None, place, WebDatasetConfig(shard_faces=4))
    assert sums(str(tmp_path / "wds")) == sums(f"s3://{BUCKET}/wds") != {}
    for _ in range(2):
        export_parquet(two, None, f"s3://{BUCKET}/out/faces.parquet", ParquetOutConfig())
    back = pq.read_table(f"s3://{BUCKET}/out/faces.parquet".removeprefix("s3://"), filesystem=files)
    assert sorted(back["face_id"].to_pylist()) == two.version["face_id"].to_pylist()
    write(far, f"s3://{BUCKET}/cards/card.html", CardConfig())
    assert files.exists(f"{BUCKET}/cards/card.md")


def test_npknown(files, tmp_path):
    root = tmp_path / "root"
    for person in ("a", "面 影"):
        (root / person).mkdir(parents=True)
        for name in ("0.png", "1 +%#.jpg"):
            (root / person / name).write_bytes(f"{person} {name}".encode())
        vectors = np.random.default_rng(0).standard_normal((2, 1, 512)).astype(np.float32)
        np.savez(root / person / "npKnown", name=["0.png", "1 +%#.jpg"], efficientnetv2_arcface=vectors)
    for path in Path(root).rglob("*.*"):
        files.put_file(str(path), f"{BUCKET}/root/{path.relative_to(root)}")
    near = import_npknown(str(root), str(tmp_path / "data"), NpKnownConfig())
    far = import_npknown(f"s3://{BUCKET}/root", f"s3://{BUCKET}/npknown", NpKnownConfig())
    assert (near.faces, near.identities) == (far.faces, far.identities) == (4, 2)
    one, two = Decided.at(near.dataset)[0], Decided.at(far.dataset)[0]
    assert one.version.equals(two.version)
    export_npknown(one, None, str(root), NpKnownOutConfig(overwrite=True))
    export_npknown(two, None, f"s3://{BUCKET}/root", NpKnownOutConfig(overwrite=True))
    assert sums(str(root)) == sums(f"s3://{BUCKET}/root")
