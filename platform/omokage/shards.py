"""A shard: the faces of some pictures in files that are written once, with a mark that says that they are whole."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omokage.errors import DatasetError
from omokage.storage import Folder

SHARDS = "shards"
"""Folder of all shards, below the dataset's."""


@dataclass(frozen=True, slots=True)
class Shard:
    """What the mark of a finished shard says."""

    name: str
    pictures: int
    faces: int
    bytes: int
    sha256: dict[str, str]
    """Of the two files, by "faces" and "pictures"."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time that its pictures took, by stage, added up over workers."""
    began: float = 0.0
    """When its first picture was read, in seconds since 1970."""

    def file(self, kind: str) -> str:
        """Return the name of its "faces" or "pictures" file."""
        return f"{SHARDS}/{self.name}.{kind}.arrow"

    @property
    def mark(self) -> str:
        """The name of the file that says that this shard is finished."""
        return f"{SHARDS}/{self.name}.json"


def write_shard(folder: Folder, pictures: pa.Table, faces: pa.Table, seconds: dict[str, float], began: float) -> Shard:
    """Return the shard written from ``pictures`` (``MANIFEST``) and their ``faces``.

    The name comes from the content, so that the same work done twice writes the same files.

    Raises:
        OSError: The disk is full, or writing is not permitted.
    """
    data = {"pictures": arrow_bytes(pictures), "faces": arrow_bytes(faces)}
    sums = {kind: hashlib.sha256(buffer).hexdigest() for kind, buffer in data.items()}
    name = hashlib.sha256("".join(sums.values()).encode()).hexdigest()[:20]
    size = sum(buffer.size for buffer in data.values())
    shard = Shard(name, pictures.num_rows, faces.num_rows, size, sums, seconds, began)
    for kind, buffer in data.items():
        folder.write(shard.file(kind), buffer)
    folder.write(shard.mark, json.dumps(asdict(shard)).encode())
    return shard


def keep_live(folder: Folder, shard: Shard, manifest: pa.Table) -> tuple[Shard, Shard] | None:
    """Return the shard and what it became without rows that are not in the manifest; None if nothing is left."""
    mine = manifest.filter(pc.equal(manifest["shard"], shard.name))["uri"]
    if len(mine) == shard.pictures:
        return shard, shard
    if len(mine) == 0:
        return None
    keep = {}
    for kind in ("pictures", "faces"):
        data = verified(folder, shard.file(kind), shard.sha256[kind])  # or damage would get a new, true checksum
        table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
        keep[kind] = table.filter(pc.is_in(table["uri"], value_set=mine.combine_chunks()))
    return shard, write_shard(folder, keep["pictures"], keep["faces"], shard.seconds, shard.began)


def verified(folder: Folder, name: str, sha256: str | None) -> bytes:
    """Return a file's bytes.

    Raises:
        DatasetError: It is missing, cannot be read, or is not the file that was written.
    """
    try:
        data = folder.read(name)
    except FileNotFoundError as error:
        raise DatasetError(f"{folder.place(name)} is missing") from error
    except OSError as error:
        raise DatasetError(f"{folder.place(name)} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DatasetError(f"{folder.place(name)} is damaged: its bytes are not those that were written")
    return data


def read_table(folder: Folder, name: str, columns: list[str] | None = None) -> pa.Table:
    """Return some columns of a shard's table, or all.

    Raises:
        DatasetError: It is missing, or no table any more.
    """
    try:
        return _table(folder, name, columns)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{folder.place(name)} is missing or damaged: {error}") from error


def _table(folder: Folder, name: str, columns: list[str] | None) -> pa.Table:
    """Return an Arrow IPC file as a table; local files are mapped, of others only the columns are read."""
    if folder.local:
        place = os.fsencode(folder.place(name))  # as bytes, since Arrow encodes strictly
        table = pa.ipc.open_file(pa.memory_map(place)).read_all()
        return table.select(columns) if columns else table
    if columns is None:
        return pa.ipc.open_file(pa.BufferReader(folder.read(name))).read_all()
    with folder.reached(), folder.files.open(folder.place(name), "rb", cache_type="none") as file:
        schema = pa.ipc.open_file(file).schema
        options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(column) for column in columns])
        return pa.ipc.open_file(file, options=options).read_all().select(columns)


def arrow_bytes(table: pa.Table) -> pa.Buffer:
    """Return ``table`` as the bytes of an Arrow IPC file; the same table always gives the same bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()


def parquet_bytes(table: pa.Table) -> pa.Buffer:
    """Return ``table`` as the bytes of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
