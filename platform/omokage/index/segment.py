"""A segment: some faces and their lists on disk, mapped when it is opened. It is written once and never changed.

Rows lie as they came, so that people are runs and nothing needs to be put into order; a list is the rows of its
members.

Shape key: N faces, L lists, S shards, D numbers of a vector, E numbers of a code, K probe entries.
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
    "codes",
    "starts",
    "members",
    "probe_starts",
    "probe_lists",
    "probe_sims",
    "shards",
    "usable",
)
FACES: Final = "faces.arrow"
"""The faces' table, by row; whoever knows tables reads it."""
MARK: Final = "segment.json"


AT_ONCE: Final = 8192
"""Rows that are taken from a mapped array before its pages are given back."""

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Segment:
    """Faces by row, and the rows of each list."""

    vectors_ND: NDArray[np.float32]
    codes_NE: NDArray[np.int8] | NDArray[np.float32]
    start_L1: NDArray[np.int64]
    """Where each list begins in ``member_N``, and the end of the last."""
    member_N: NDArray[np.int32]
    """The rows at home in the first list, then those in the second …; rising within each."""
    probes: Probes
    shard_S1: NDArray[np.int64]
    """Row where each of the segment's shards begins, and the end of the last."""
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
            arrays["codes"],
            arrays["starts"],
            arrays["members"],
            probes,
            arrays["shards"],
            arrays["usable"],
            error,
        )

    def __len__(self) -> int:
        """Return how many faces it has."""
        return len(self.vectors_ND)

    def vectors(self, rows: Any) -> NDArray[np.float32]:
        """Return the vectors of an array or slice of rows."""
        return np.asarray(self.vectors_ND[rows])

    def codes(self, rows: slice | NDArray[np.int32]) -> torch.Tensor:
        """Return the codes of a slice of rows, or of rising ones; of neighbours they are not copied."""
        if not isinstance(rows, slice) and len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            rows = slice(int(rows[0]), int(rows[-1]) + 1)
        if isinstance(rows, slice):
            return torch.from_numpy(self.codes_NE[rows])
        return torch.from_numpy(np.take(self.codes_NE, rows, axis=0))  # twice as quick as by index

    def members(self, number: int) -> NDArray[np.int32]:
        """Return the rows at home in a list."""
        return np.asarray(self.member_N[slice(*self.start_L1[number : number + 2])])

    def home(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the lists where some rows are at home."""
        return self.probes.list_K[self.probes.start_N1[rows]].astype(np.int64)

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
