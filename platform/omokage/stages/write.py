"""Finished pictures to a shard on disk."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omokage import schema
from omokage.shards import write_shard
from omokage.stages import base
from omokage.storage import Folder


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteConfig:
    """Where shards go."""

    dataset: str
    """Path or URL of the dataset."""
    dim: int
    """Length of an embedding."""


class Write:
    """Write a batch as one shard. The last stage: it returns the shard's mark in place of the rows."""

    def __init__(self, config: WriteConfig) -> None:
        self.folder = Folder.at(config.dataset)
        self.dim = config.dim

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return one row: the mark of the shard that now holds the batch, as JSON."""
        start = time.time()
        pictures, faces = split(batch, self.dim)
        began = float(pc.min(batch["read_at"]).as_py() or start)
        shard = write_shard(self.folder, pictures, faces, base.total_seconds(batch), began)
        shard.seconds["write"] = time.time() - start
        return pa.table({"mark": [json.dumps(asdict(shard))]})


def split(batch: pa.Table, dim: int) -> tuple[pa.Table, pa.Table]:
    """Return the picture rows (``MANIFEST``) and the face rows (``face(dim)``) of a pipeline table."""
    ok = base.good(batch)
    reasons = batch["reason"].to_pylist()
    status = ["ok" if r is None else "no_face" if r in schema.NO_FACE else "failed" for r in reasons]
    count_N = np.where(ok, schema.counts(batch), 0)
    new = {"status": pa.array(status, pa.string()), "kept": pa.array(count_N, pa.int32())}
    columns = [new[name] if name in new else batch[name] for name in schema.MANIFEST.names]
    return pa.table(columns, schema=schema.MANIFEST), _faces(batch.filter(pa.array(ok)), dim)


def _faces(batch: pa.Table, dim: int) -> pa.Table:
    count_N = schema.counts(batch)
    owner_F = pa.array(np.repeat(np.arange(len(count_N)), count_N))
    number_F = np.concatenate([np.arange(0), *(np.arange(n) for n in count_N)])
    columns = {name: pc.take(batch[name], owner_F) for name in ("uri", "sha256", "identity")}
    columns["face_id"] = pa.array(
        [
            face_id(sha, uri, int(k))
            for sha, uri, k in zip(columns["sha256"].to_pylist(), columns["uri"].to_pylist(), number_F, strict=True)
        ],
        pa.string(),
    )
    return pa.table(
        [columns[f.name] if f.name in columns else schema.flat(batch[f.name]) for f in schema.face(dim)],
        schema=schema.face(dim),
    )


def face_id(sha256: str, uri: str, number: int) -> str:
    """Return a face's id: 24 hexadecimal digits of what the picture is, where it lies, and which face of it.

    The place is part of it, so that the same file in two folders is two faces: that is a finding, not a clash.
    """
    return hashlib.sha256(f"{sha256}\n{uri}\n{number}".encode()).hexdigest()[:24]
