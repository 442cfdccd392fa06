"""Small datasets made face by face: who it is, which file it is of, what it looks like, and its chip."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.shards import write_shard
from omokage.storage import Folder
from omokage.store import Dataset, Head

DIM = 16


@dataclass(frozen=True)
class Face:
    """One face."""

    identity: str | None
    name: str
    """Of the file; its face_id follows from it."""
    file: str = ""
    """Content of the file, if it is another's too."""
    vector: tuple[float, ...] = ()
    """By default one of its own, like nobody else's."""
    chip: bytes = b""

    @property
    def face_id(self) -> str:
        return hashlib.sha256(f"{self.identity}/{self.name}".encode()).hexdigest()[:24]

    def look(self) -> NDArray[np.float32]:
        if self.vector:
            return np.asarray(self.vector, np.float32)
        chance = np.random.default_rng(list(self.face_id.encode())).standard_normal(DIM)
        return (chance / np.linalg.norm(chance)).astype(np.float32)


def people(counts: dict[str, int]) -> list[Face]:
    """Return so many faces of each person, none like another."""
    return [Face(name, f"{number:04d}") for name, count in counts.items() for number in range(count)]


def turned(vector: NDArray[np.float32], cosine: float, seed: int = 0) -> tuple[float, ...]:
    """Return a unit vector of that similarity to another."""
    other = np.random.default_rng(seed).standard_normal(len(vector))
    other -= other @ vector * vector
    other /= np.linalg.norm(other)
    return tuple((cosine * vector + np.sqrt(1 - cosine**2) * other).tolist())


def album(url: object, faces: Sequence[Face], shards: int = 1) -> Dataset:
    """Return a dataset of these faces, in this order, in so many shards."""
    recipe = {"encoder": {"name": "album", "sha256": "0" * 64, "dim": DIM}}
    data = Dataset.open_or_create(Folder.at(str(url)), Head(source="/albums", recipe=recipe))
    written, manifests = [], []
    for part in np.array_split(np.arange(len(faces)), shards):
        pictures, table = _tables([faces[place] for place in part.tolist()])
        shard = write_shard(data.folder, pictures, table, {}, 0.0)
        written.append(shard)
        manifests.append(pictures.append_column(schema.SHARD, pa.array([shard.name] * len(part), pa.string())))
    return data.commit(pa.concat_tables(manifests), written)


def _tables(faces: Sequence[Face]) -> tuple[pa.Table, pa.Table]:
    count = len(faces)
    uris = [f"{face.identity}/{face.name}.jpg" for face in faces]
    shas = [hashlib.sha256((face.file or face.face_id).encode()).hexdigest() for face in faces]
    identities = [face.identity for face in faces]
    columns = {
        "face_id": [face.face_id for face in faces],
        "uri": uris,
        "sha256": shas,
        "identity": identities,
        "box": schema.fixed(np.tile(np.float32([10, 10, 100, 100]), (count, 1))),
        "landmarks": schema.fixed(np.tile(np.arange(10, dtype=np.float32), (count, 1))),
        **{name: np.zeros(count, np.float32) for name in ("score", *schema.QUALITY_NAMES)},
        "chip": [face.chip for face in faces],
        "embedding": schema.fixed(np.stack([face.look() for face in faces])),
    }
    want = schema.face(DIM)
    table = pa.table([pa.array(columns[name], want.field(name).type) for name in want.names], schema=want)
    rows = [
        {"uri": uri, "identity": who, "size": 9, "stamp": "1", "sha256": sha, "status": "ok", "found": 1, "kept": 1}
        for uri, who, sha in zip(uris, identities, shas, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema.MANIFEST), table
