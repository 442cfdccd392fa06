"""Which faces of a split are all but the same: compared here where that takes seconds, else as ``find`` found them.

Shape key: N faces of the split, F of the dataset.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.curate import proposals
from omokage.ledger.book import Ledger
from omokage.ledger.fold import fold
from omokage.store import Dataset
from omokage.train.near import joined, tied

NEAR: Final = 0.95
"""Similarity of faces that are all but the same."""

PAIRS: Final = 5e9
"""Most pairs that are compared here: a minute's work of two cores, 100,000 faces if all are compared with all."""

HELD: Final = 1 << 30
"""Most bytes of vectors that are held for it."""

REPORT: Final = f"{proposals.FOLDER}/report.json"
"""What ``find`` says of its last run."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Alike:
    """Who hangs together."""

    group_N: Ints
    """Faces of one number do: of people, or, within people, of pictures."""
    notes: tuple[str, ...] = ()
    """Set where it could not be looked at exactly."""


def places(values: pa.ChunkedArray, known: pa.Array | pa.ChunkedArray) -> Ints:
    """Return the place of each value among the known ones, -1 for none."""
    found = pc.index_in(values, value_set=schema.whole(known)).fill_null(-1)
    return np.array(found.to_numpy(), np.int64)


def alike(data: Dataset, ids: pa.ChunkedArray, person_N: Ints, across: bool) -> Alike:
    """Return who hangs together by faces that are all but the same.

    Args:
        data: The dataset.
        ids: Faces, by face_id.
        person_N: Person of each, numbered from 0.
        across: People, with all their faces, by faces that are like one of somebody else's; else faces, by those of
            the same person that they are like.
    """
    size = len(ids)
    pairs = size**2 / 2 if across else float((np.bincount(person_N).astype(np.float64) ** 2).sum() / 2)
    if pairs <= PAIRS and 4 * size * data.dim <= HELD:
        vectors_ND = _vectors(data, ids)
        if across:
            return Alike(tied(vectors_ND, person_N, NEAR))
        return Alike(tied(vectors_ND, np.arange(size), NEAR, person_N))
    return _colliding(data, ids, person_N) if across else _same_face(data, ids)


def doubles(data: Dataset, table: pa.Table) -> list[tuple[str, str]]:
    """Return pairs of people in two parts of a split who are one person as ``find`` has it, and nobody decided."""
    pairs = proposals.read(data.folder, "collision_pairs")
    pairs = pairs.filter(pc.equal(pairs["verdict"], "same_person"))
    if not pairs.num_rows:
        return []
    decided = fold(Ledger.of(data.folder).table())
    part = dict(zip(table["identity"].to_pylist(), table["part"].to_pylist(), strict=True))
    both = zip(pairs["identity_a"].to_pylist(), pairs["identity_b"].to_pylist(), strict=True)
    names = [(min(pair), max(pair)) for pair in ((decided.name(a), decided.name(b)) for a, b in both)]
    known = ((a, b) for a, b in names if a in part and b in part and (a, b) not in decided.different)
    return [(a, b) for a, b in known if part[a] != part[b]]


def _vectors(data: Dataset, ids: pa.ChunkedArray) -> NDArray[np.float32]:
    """Return the faces' embeddings."""
    known = pa.chunked_array([chunk for t in data.faces(["face_id"]) for chunk in t["face_id"].chunks], pa.string())
    row_F = places(known, ids)
    vectors_ND, first = np.zeros((len(ids), data.dim), np.float32), 0
    for table in data.faces(["embedding"]):
        row_M = row_F[first : first + table.num_rows]
        mine_MD = schema.vectors(schema.whole(table["embedding"]), data.dim)
        vectors_ND[row_M[row_M >= 0]] = mine_MD[row_M >= 0]
        first += table.num_rows
    return vectors_ND


def _colliding(data: Dataset, ids: pa.ChunkedArray, person_N: Ints) -> Alike:
    """Return what the collisions say that ``find`` wrote."""
    if not proposals.there(data.folder, ["collisions"]):
        return Alike(person_N, (_unknown(len(ids), "of different people", "nobody is kept with their double"),))
    table = proposals.read(data.folder, "collisions")
    table = table.filter(pc.greater_equal(table["similarity"], NEAR))
    a, b = places(table["face_a"], ids), places(table["face_b"], ids)
    both = (a >= 0) & (b >= 0)
    return Alike(joined(person_N, a[both], b[both]), _as_found(data, len(ids)))


def _same_face(data: Dataset, ids: pa.ChunkedArray) -> Alike:
    """Return what the clusters say that ``find`` wrote."""
    alone_N = np.arange(len(ids))
    if not proposals.there(data.folder, ["same_face"]):
        return Alike(alone_N, (_unknown(len(ids), "of a person", "they may be in two parts"),))
    table = proposals.read(data.folder, "same_face")
    row, cluster = places(table["face_id"], ids), table["cluster"].to_numpy()
    row, cluster = row[row >= 0], cluster[row >= 0]
    _, first, number = np.unique(cluster, return_index=True, return_inverse=True)
    return Alike(joined(alone_N, row, row[first][number]), _as_found(data, len(ids)))


def _unknown(size: int, whose: str, so: str) -> str:
    return (
        f"near-duplicates {whose} were not looked for, and {so}: {size:,} faces are too many to compare here, and "
        "there are no findings. Run omokage find before"
    )


def _as_found(data: Dataset, size: int) -> tuple[str, ...]:
    """Return what there is to say of findings that are taken in place of comparing."""
    try:
        report: dict[str, Any] = json.loads(data.folder.read(REPORT))
        threshold = float((report.get("collisions") or {}).get("threshold", NEAR))
        when = f"when it looked at {report['plan']['faces']:,} faces"
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        threshold, when = NEAR, "when it ran last"
    notes = [f"{size:,} faces are too many to compare here: near-duplicates are those that omokage find found {when}"]
    if threshold > NEAR:
        notes.append(f"it listed pairs from {threshold:.4f}, so those from {NEAR} to there are not known")
    return tuple(notes)
