"""Small datasets face by face: whose, where, of which file, with which vector, and pictures that gave no face."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from omokage import schema
from omokage.shards import write_shard
from omokage.stages.write import face_id
from omokage.storage import Folder
from omokage.store import Dataset, Head
from omokage.train import run as runs
from omokage.train.recipe import Recipe
from omokage.train.run import Run, RunHead


@dataclass(frozen=True)
class Face:
    """A face of a picture."""

    identity: str | None
    uri: str
    vector: Sequence[float]
    file: str = ""
    """What the file holds; by default something of its own."""
    side: float = 100.0
    number: int = 0
    """Of the face in its picture."""


@dataclass
class Album:
    """A dataset."""

    faces: list[Face] = field(default_factory=list)
    failed: list[tuple[str | None, str, str]] = field(default_factory=list)
    """Identity, uri, and reason."""

    def write(self, url: str, shards: int = 1) -> Dataset:
        """Return the dataset, its pictures dealt out to shards."""
        dim = len(self.faces[0].vector) if self.faces else 4
        recipe = {"encoder": {"name": "toy", "sha256": "e" * 64, "dim": dim}, "chip": "arcface-1/112/0"}
        data = Dataset.open_or_create(Folder.at(url), Head(source="/album", recipe=recipe))
        uris = list(dict.fromkeys(face.uri for face in self.faces))
        made = [self._shard(data.folder, dim, set(uris[n::shards])) for n in range(shards)]
        reasons = [self._failed(data.folder, dim)] if self.failed else []
        return data.commit(pa.concat_tables([m for _, m in [*made, *reasons]]), [s for s, _ in [*made, *reasons]])

    def _shard(self, folder: Folder, dim: int, uris: set[str]):
        mine = [face for face in self.faces if face.uri in uris]
        shas = [_sha(face.file or face.uri) for face in mine]
        columns = {
            "face_id": [face_id(sha, face.uri, face.number) for sha, face in zip(shas, mine, strict=True)],
            "uri": [face.uri for face in mine],
            "sha256": shas,
            "identity": [face.identity for face in mine],
            "score": pa.array([0.9] * len(mine), pa.float32()),
            **{name: pa.array([0.5] * len(mine), pa.float32()) for name in schema.QUALITY_NAMES},
            "side": pa.array([face.side for face in mine], pa.float32()),
            "box": schema.fixed(np.tile(np.float32([10, 10, 100, 100]), (len(mine), 1))),
            "landmarks": schema.fixed(np.tile(np.arange(10, dtype=np.float32), (len(mine), 1))),
            "chip": pa.array([b""] * len(mine), pa.binary()),
            "embedding": schema.fixed(np.array([face.vector for face in mine], np.float32).reshape(-1, dim)),
        }
        want = schema.face(dim)
        first = {face.uri: face for face in mine}
        rows = [(face.identity, uri, _sha(face.file or uri), "ok", None) for uri, face in first.items()]
        shard = write_shard(
            folder, _pictures(rows), pa.table([columns[name] for name in want.names], schema=want), {}, 0.0
        )
        return shard, _pictures(rows).append_column(schema.SHARD, pa.array([shard.name] * len(rows), pa.string()))

    def _failed(self, folder: Folder, dim: int):
        rows = [
            (identity, uri, _sha(uri), "no_face" if reason in schema.NO_FACE else "failed", reason)
            for identity, uri, reason in self.failed
        ]
        shard = write_shard(folder, _pictures(rows), schema.face(dim).empty_table(), {}, 0.0)
        return shard, _pictures(rows).append_column(schema.SHARD, pa.array([shard.name] * len(rows), pa.string()))


def _pictures(rows: Sequence[tuple]) -> pa.Table:
    values = {
        "identity": [row[0] for row in rows],
        "uri": [row[1] for row in rows],
        "sha256": [row[2] for row in rows],
        "status": [row[3] for row in rows],
        "reason": [row[4] for row in rows],
    }
    return pa.table(
        [pa.array(values.get(f.name, [None] * len(rows)), f.type) for f in schema.MANIFEST], schema=schema.MANIFEST
    )


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def crowd(people: int = 8, faces: int = 4, dim: int = 16, noise: float = 0.4, seed: int = 0) -> Album:
    """Return people who are told apart, with as many faces each."""
    rng = np.random.default_rng(seed)
    made = Album()
    for person in range(people):
        centre_E = rng.standard_normal(dim)
        for number in range(faces):
            vector_E = centre_E + noise * rng.standard_normal(dim)
            name = f"person {person:02d}"
            made.faces.append(Face(name, f"{name}/{number:04d}.jpg", vector_E / np.linalg.norm(vector_E)))
    return made


PARTS = {"person 00": "train", "person 01": "train", "person 02": "val", "person 03": "test"}


def trained(place: Path, data: Dataset) -> Run:
    """Write the folder of a training on some of a dataset's people."""
    faces = pa.concat_tables(data.faces(["face_id", "identity"]))
    rows = [(i, name, PARTS[name]) for i, name in zip(*(c.to_pylist() for c in faces), strict=True) if name in PARTS]
    table = pa.table({name: [row[n] for row in rows] for n, name in enumerate(("face_id", "identity", "part"))})
    content, sha256 = runs.table_bytes(table)
    head = RunHead(
        dataset=data.folder.url,
        version=None,
        version_sha256=None,
        generation=1,
        split_sha256=sha256,
        recipe=runs.plain(Recipe()),
        code={"omokage": "0", "commit": None},
        key="0" * 32,
    )
    run = Run.at(str(place))
    run.begin(head, "", content, None)
    return run
