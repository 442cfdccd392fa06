"""How varied each person's faces are, in figures that a look at the folder does not give.

Shape key: N faces of the version, F faces of a shard, P people, D numbers of an embedding, Q quality figures.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.decided import Decided

SPREAD: Final = ("yaw", "pitch", "exposure")
"""Quality figures whose spread within a person says how varied its pictures are."""

MEASURED: Final = ("sharpness", *SPREAD)

BYTES: Final = 1 << 29
"""For sums of embeddings; more people are gone through in several passes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Figures of each person who keeps a face, by name."""

    names: list[str]
    faces_P: NDArray[np.int64]
    within_P: NDArray[np.float64]
    """Mean similarity of two of the person's faces; NaN with one face."""
    again_P: NDArray[np.float64]
    """Share of faces that find proposes to let go as the same shot as another one, in [0, 1]."""
    folders_P: NDArray[np.int64]
    """Folders that the pictures come from."""
    spread: dict[str, NDArray[np.float64]]
    """Standard deviation of each of ``SPREAD``; NaN with one face. Empty where nothing was measured."""
    sharpness_P: NDArray[np.float64] | None
    """Mean, in [0, 1]; None where it was not measured."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.names)


def people(faces: Decided, again: pa.ChunkedArray) -> People:
    """Return the figures of the people in ``faces``; ``again`` has the face_ids that are the same shot as another."""
    version = faces.version
    kept = pc.and_(pc.equal(version["status"], "kept"), pc.is_valid(version["identity"]))
    names: list[str] = sorted(version["identity"].filter(kept).unique().to_pylist())
    label = pc.if_else(kept, pc.index_in(version["identity"], value_set=pa.array(names, pa.string())), -1)
    label_N = np.asarray(label.to_numpy(), np.int64)
    faces_P = np.bincount(label_N[label_N >= 0], minlength=len(names))
    again_N = pc.is_in(version["face_id"], value_set=again).to_numpy()
    quality_NQ = _quality(faces, len(label_N))
    measured = bool(np.any(quality_NQ[label_N >= 0]))
    means = {name: _mean(quality_NQ[:, q], label_N, faces_P) for q, name in enumerate(MEASURED)}
    return People(
        names=names,
        faces_P=faces_P,
        within_P=_within(faces, label_N, faces_P),
        again_P=_mean(again_N, label_N, faces_P),
        folders_P=_folders(version, label_N, len(names)),
        spread={
            name: _spread(quality_NQ[:, MEASURED.index(name)], means[name], label_N, faces_P)
            for name in SPREAD
            if measured
        },
        sharpness_P=means["sharpness"] if measured else None,
    )


def _quality(faces: Decided, count: int) -> NDArray[np.float32]:
    """Return the figures ``MEASURED`` of every face, shape (N, Q)."""
    quality_NQ = np.zeros((count, len(MEASURED)), np.float32)
    for table, row_F in faces.numbered(list(MEASURED)):
        quality_NQ[row_F] = np.stack([table[name].to_numpy() for name in MEASURED], axis=1)
    return quality_NQ


def _mean(
    value_N: NDArray[np.float32] | NDArray[np.bool_], label_N: NDArray[np.int64], faces_P: NDArray[np.int64]
) -> NDArray[np.float64]:
    mine = label_N >= 0
    return np.bincount(label_N[mine], value_N[mine], minlength=len(faces_P)) / np.maximum(faces_P, 1)


def _spread(
    value_N: NDArray[np.float32], mean_P: NDArray[np.float64], label_N: NDArray[np.int64], faces_P: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the standard deviation within each person, shape (P,)."""
    mine = label_N >= 0
    off = (value_N[mine] - mean_P[label_N[mine]]) ** 2
    square_P = np.bincount(label_N[mine], off, minlength=len(faces_P))
    return np.where(faces_P > 1, np.sqrt(square_P / np.maximum(faces_P - 1, 1)), np.nan)


def _within(faces: Decided, label_N: NDArray[np.int64], faces_P: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean similarity of two faces of each person, shape (P,).

    Without comparing pairs: the squared length of a sum of n unit vectors is n plus twice the sum over all pairs.
    """
    square_P = np.zeros(len(faces_P))
    step = max(1, BYTES // (8 * faces.dim))
    for first in range(0, len(faces_P), step):
        sum_PD = np.zeros((min(step, len(faces_P) - first), faces.dim))
        for table, row_F in faces.numbered(["embedding"]):
            label_F = label_N[row_F] - first
            mine = np.flatnonzero((label_F >= 0) & (label_N[row_F] >= 0) & (label_F < len(sum_PD)))
            if len(mine):
                mine = mine[np.argsort(label_F[mine], kind="stable")]
                vectors_FD = schema.vectors(table["embedding"].combine_chunks(), faces.dim)[mine]
                of, start = np.unique(label_F[mine], return_index=True)
                sum_PD[of] += np.add.reduceat(vectors_FD, start, axis=0, dtype=np.float64)
        square_P[first : first + len(sum_PD)] = np.einsum("pd,pd->p", sum_PD, sum_PD)
    pairs_P = faces_P * (faces_P - 1)
    return np.where(pairs_P > 0, (square_P - faces_P) / np.maximum(pairs_P, 1), np.nan)


def _folders(version: pa.Table, label_N: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how many folders each person's pictures come from, shape (P,)."""
    folder = pc.replace_substring_regex(version["uri"], "/?[^/]*$", "")
    rows = pa.table({"label": label_N, "folder": folder}).filter(pc.greater_equal(pc.field("label"), 0))
    found = rows.group_by("label").aggregate([("folder", "count_distinct")])
    folders_P = np.zeros(count, np.int64)
    folders_P[found["label"].to_numpy()] = found["folder_count_distinct"].to_numpy()
    return folders_P
