"""A segment: the lists of some faces on disk, mapped when it is opened. It is written once and never changed.

Rows are ordered by list, so that a list is one run of codes. The vectors lie as they came, so that people are runs.

Shape key: N faces, L lists, D numbers of a vector, E numbers of a code, K probe entries.
"""

import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.index.lists import Probes

ARRAYS: Final = (
    "vectors",
    "source",
    "codes",
    "starts",
    "probe_starts",
    "probe_lists",
    "probe_sims",
    "shards",
    "shard_rows",
    "usable",
)
FACES: Final = "faces.arrow"
"""The faces' table, in the same order; whoever knows tables reads it."""
MARK: Final = "segment.json"


AT_ONCE: Final = 8192
"""Rows that are taken from a mapped array before its pages are given back."""

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Segment:
    """Faces in list order."""

    vectors_ND: NDArray[np.float32]
    """In the order of the source."""
    source_N: NDArray[np.int64]
    """Where each row's vector lies."""
    codes_NE: NDArray[np.int8] | NDArray[np.float32]
    start_L1: NDArray[np.int64]
    """Where each list begins, and the end of the last."""
    probes: Probes
    shard_N: NDArray[np.int32]
    """Number of the shard that a face comes from, in the segment's list of shards."""
    shard_row_N: NDArray[np.int32]
    """Row in that shard."""
    usable_N: NDArray[np.bool_]
    """Whether the vector is one; else it is zeros."""
    error: float
    """How far the furthest code is from its vector."""

    @classmethod
    def open(cls, folder: Path) -> "Segment":
        """Return the segment in a folder, mapped.

        Raises:
            OSError, ValueError, KeyError: It is not whole.
        """
        error = float(json.loads((folder / MARK).read_text())["error"])
        # "c": torch wants memory that it may write to, and nobody does
        arrays = {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in ARRAYS}
        probes = Probes(arrays["probe_starts"], arrays["probe_lists"], arrays["probe_sims"])
        return cls(
            arrays["vectors"],
            arrays["source"],
            arrays["codes"],
            arrays["starts"],
            probes,
            arrays["shards"],
            arrays["shard_rows"],
            arrays["usable"],
            error,
        )

    def __len__(self) -> int:
        """Return how many faces it has."""
        return len(self.vectors_ND)

    def vectors(self, rows: Any) -> NDArray[np.float32]:
        """Return the vectors of an array or slice of rows."""
        return np.asarray(self.vectors_ND[self.source_N[rows]])

    def codes(self, rows: Any) -> torch.Tensor:
        """Return the codes of an array or slice of rows."""
        return torch.from_numpy(np.ascontiguousarray(self.codes_NE[rows]))

    def release(self) -> None:
        """Give mapped pages back to the system, which reads them again when they are needed."""
        for array in (self.vectors_ND, self.codes_NE, self.probes.list_K, self.probes.sim_K):
            released(array)


def taken(array: NDArray[Number], rows: NDArray[np.int64]) -> NDArray[Number]:
    """Return rows of a mapped array, in any order; it is read forward, and its pages are given back on the way."""
    out = np.empty((len(rows), *array.shape[1:]), array.dtype)
    forward = np.argsort(rows, kind="stable")
    for start in range(0, len(rows), AT_ONCE):
        some = forward[start : start + AT_ONCE]
        out[some] = array[rows[some]]
        released(array)
    return out


def released(array: NDArray[Any]) -> None:
    """Give the pages of a mapped file back to the system, which reads them again when they are needed."""
    mapped: Any = array
    while mapped is not None and not isinstance(mapped, mmap.mmap):
        mapped = getattr(mapped, "base", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)
