"""The faces of several segments, numbered one segment after the other.

Shape key: N faces, n asked for, D numbers of a vector.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.index.lists import Probes
from omokage.index.product import score
from omokage.index.segment import Segment

MAPPED: Final = 1 << 30
"""Bytes of mapped files that may stay in memory where nothing else is said: beyond, their pages are given back. A face
that is read alone brings many of its neighbours with it, so what is read says little of what is mapped; the system
tells."""

LOOK: Final = 1024
"""Faces after which it is asked."""

STATM: Final = Path("/proc/self/statm")


class Faces:
    """What is known of a face by its row."""

    def __init__(self, segments: list[Segment]) -> None:
        self.segments = segments
        self.bounds = np.cumsum([0, *map(len, segments)])
        self.room = MAPPED
        """Bytes of mapped files that may stay in memory."""
        self._taken = 0
        self._others = _mapped()

    @classmethod
    def both(cls, one: "Faces", other: "Faces") -> "Faces":
        """Return the faces of two, one after the other, with the room of the first."""
        faces = cls([*one.segments, *other.segments])
        faces.room = one.room
        return faces

    def __len__(self) -> int:
        """Return how many there are."""
        return int(self.bounds[-1])

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return len(self.segments[0].start_L1) - 1

    @property
    def error(self) -> float:
        """How far the furthest code is from its vector."""
        return max(segment.error for segment in self.segments)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Return the vectors of an array or slice of rows, shape (n, D)."""
        vectors_nD = self._vectors(rows)
        self._taken += len(vectors_nD)
        if self._taken > LOOK:
            self.ease()
        return vectors_nD

    def _vectors(self, rows: Any) -> NDArray[np.float32]:
        if len(self.segments) == 1:
            return self.segments[0].vectors(rows)
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        out_nD = np.empty((len(rows), self.segments[0].vectors_ND.shape[1]), np.float32)
        for segment, mine, local in self._by_segment(rows):
            out_nD[mine] = segment.vectors(local)
        return out_nD

    def alike(self, a_M: NDArray[np.int64], b_M: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the similarity of each pair of rows; each row's vector is read once."""
        one, at_a = np.unique(a_M, return_inverse=True)
        other, at_b = np.unique(b_M, return_inverse=True)
        return score(self[one], self[other], at_a, at_b)

    def home(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the lists where some faces are at home."""
        out = np.empty(len(rows), np.int64)
        for segment, mine, local in self._by_segment(rows):
            out[mine] = segment.home(local)
        return out

    def probes(self, rows: NDArray[np.int64]) -> Probes:
        """Return the probes of some faces; rows must be sorted."""
        return Probes.join([segment.probes.take(local) for segment, _, local in self._by_segment(rows)])

    def sizes(self) -> NDArray[np.int64]:
        """Return how many members each list has, shape (L,)."""
        return np.asarray(sum(np.diff(segment.start_L1) for segment in self.segments))

    def ease(self) -> None:
        """Give mapped pages back to the system where they are many."""
        self._taken = 0
        if _mapped() - self._others > self.room:
            self.release()

    def release(self) -> None:
        """Give mapped pages back to the system."""
        for segment in self.segments:
            segment.release()

    def _by_segment(self, rows: NDArray[np.int64]) -> Iterator[tuple[Segment, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield each segment that has some of the rows, which of them, and their numbers in it."""
        for segment, start, end in zip(self.segments, self.bounds, self.bounds[1:], strict=False):
            mine = np.flatnonzero((rows >= start) & (rows < end))
            if len(mine):
                yield segment, mine, rows[mine] - start


def _mapped() -> int:
    """Return how many bytes of files are mapped and in memory; 0 where the system does not tell."""
    try:
        return int(STATM.read_bytes().split()[2]) * mmap.PAGESIZE
    except OSError:
        return 0
