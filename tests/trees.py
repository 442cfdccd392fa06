"""Sources of files that only look like pictures, the datasets that an ingest would make of them, comparing trees."""

# ruff: noqa: PTH103, PTH115, PTH118, PTH120, PTH123
# Names may be undecodable, so they are handled as bytes.

import hashlib
import os
import stat
from pathlib import Path

import pyarrow as pa

from omokage import schema
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.shards import write_shard
from omokage.source import Source, locate
from omokage.stages.write import face_id
from omokage.storage import Folder
from omokage.store import Dataset, Head

DIM = 4

OLD = 1_600_000_000_123_456_789
"""Time of the first file, ns since 1970; each other one is a little younger."""

HOSTILE = (
    "<script>alert(1)</script>/\"quoted\" 'name'.jpg",
    "new\nline/a\nb.jpg",
    ".hidden/.dot.jpg",
    b"un\xffdecodable/\xfe\xff.jpg",
    "n" * 250 + "/" + "m" * 246 + ".jpg",
    "Anna/x.jpg",
    "anna/x.jpg",
    "file:%41/%20.jpg",
    "https:/x/1.jpg",
    "...//..a/b.jpg",
    "-rf/*.jpg",
)
"""Names that tools trip over."""


def plant(root: Path, *names: str | bytes) -> Path:
    """Make files, each of its own content and time, and give every folder a time of its own."""
    for number, name in enumerate(names):
        place = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(b"picture %d of %b" % (number, os.fsencode(name)))
        os.utime(place, ns=(OLD + number, OLD + number * 1_000_003))
    for number, (folder, _, _) in enumerate(os.walk(os.fsencode(root), topdown=False)):
        os.utime(folder, ns=(OLD, OLD + number * 7_000_007))
    return root


def known(source: Path | str, dataset: Path | str, faces: dict[str, int] | None = None) -> Dataset:
    """Return the dataset that an ingest would make: a face a picture, or as many as ``faces`` says."""
    where = Source.at(str(source))
    pictures, found = [], []
    for row in where.listing().to_pylist():
        folder, place = locate(where.root, row["uri"])
        sha256, count = hashlib.sha256(folder.files.cat_file(place)).hexdigest(), (faces or {}).get(row["uri"], 1)
        of = {"uri": row["uri"], "sha256": sha256, "identity": row["identity"]}
        status = {"status": "ok", "found": count, "kept": count} if count else {"status": "failed", "reason": "empty"}
        pictures.append({name: row.get(name) for name in schema.MANIFEST.names} | of | status)
        found += [_face(of, number) for number in range(count)]
    recipe = {"encoder": {"name": "tiny", "sha256": "0" * 64, "dim": DIM}}
    data = Dataset.open_or_create(Folder.at(str(dataset)), Head(source=where.url, recipe=recipe))
    manifest = pa.Table.from_pylist(pictures, schema.MANIFEST)
    shard = write_shard(data.folder, manifest, pa.Table.from_pylist(found, schema.face(DIM)), {}, 1.0)
    return data.commit(
        manifest.append_column("shard", pa.array([shard.name] * manifest.num_rows, pa.string())), [shard]
    )


def _face(of: dict[str, str], number: int) -> dict[str, object]:
    name = face_id(of["sha256"], of["uri"], number)
    figures = {"score": 0.9, **dict.fromkeys(schema.QUALITY_NAMES, 0.5), "box": [0.0] * 4, "landmarks": [0.0] * 10}
    return of | figures | {"face_id": name, "chip": f"chip of {name}".encode(), "embedding": [1.0] + [0.0] * (DIM - 1)}


def ids(data: Dataset, *uris: str) -> tuple[str, ...]:
    """Return the face_ids of pictures."""
    rows = [row for table in data.faces(["face_id", "uri"]) for row in table.to_pylist()]
    return tuple(row["face_id"] for uri in uris for row in rows if row["uri"] == uri)


def decide(data: Dataset, *decisions: Decision) -> None:
    """Write decisions into the dataset's ledger."""
    Ledger.of(data.folder).append(decisions, "a test")


def drop(data: Dataset, *uris: str) -> None:
    """Decide that pictures go."""
    decide(data, Decision(do="drop_face", faces=ids(data, *uris)))


def relabel(data: Dataset, into: str, *uris: str) -> None:
    """Decide that pictures show somebody else."""
    decide(data, Decision(do="relabel", faces=ids(data, *uris), into=into))


def tree(root: Path | str) -> dict[bytes, tuple[object, ...]]:
    """Return everything below a folder, and itself: kind, mode, time, and the hash of the content."""
    found: dict[bytes, tuple[object, ...]] = {}
    top = os.fsencode(root)
    for folder, folders, files in os.walk(top):
        for name in [b"", *folders, *files] if folder == top else [*folders, *files]:
            place = os.path.join(folder, name)
            info = os.lstat(place)
            if stat.S_ISLNK(info.st_mode):
                content = os.readlink(place)
            elif stat.S_ISDIR(info.st_mode):
                content = b""
            else:
                content = hashlib.sha256(Path(os.fsdecode(place)).read_bytes()).digest()
            found[os.path.relpath(place, top)] = (info.st_mode, info.st_mtime_ns, content)
    return found


def files(root: Path | str) -> set[str]:
    """Return the names of all files below a folder."""
    top = os.fspath(root)
    return {os.path.relpath(os.path.join(f, name), top) for f, _, names in os.walk(top) for name in names}
