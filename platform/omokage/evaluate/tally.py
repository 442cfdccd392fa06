"""How often numbers occur, where only some do: sorted from time to time, so that memory follows those.

Shape key: X cells that occur.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

LOOSE: Final = 1 << 22
"""Cells that wait to be sorted."""


class Tally:
    """How often each cell occurs, in memory that follows the cells that do."""

    def __init__(self) -> None:
        """Begin with none."""
        self.cell_X, self.count_X = np.zeros(0, np.int32), np.zeros(0, np.int64)
        self.loose: list[NDArray[np.int32]] = []
        self.size = 0

    def add(self, cell: NDArray[np.int32]) -> None:
        """Count some cells in."""
        self.loose.append(cell)
        self.size += len(cell)
        if self.size > max(LOOSE, len(self.cell_X)):
            self.settle()

    def add_all(self, other: "Tally") -> None:
        """Count in what another one did."""
        self.loose += other.loose
        self.size += other.size
        if len(other.cell_X):
            both_X = union(self.cell_X, other.cell_X)
            self.count_X = counts_at(both_X, self.cell_X, self.count_X) + counts_at(both_X, other.cell_X, other.count_X)
            self.cell_X = both_X

    def settle(self) -> None:
        """Bring what was counted in into ``cell_X``, rising, and ``count_X``."""
        new = Tally()
        new.cell_X, new.count_X = runs(np.sort(np.concatenate([np.zeros(0, np.int32), *self.loose])))
        self.loose, self.size = [], 0
        self.add_all(new)

    def within(self, kept: Callable[[NDArray[np.int32]], NDArray[np.bool_]]) -> "Tally":
        """Return the counts of those cells that are kept, settled."""
        part, mine_X = Tally(), kept(self.cell_X)
        part.cell_X, part.count_X = self.cell_X[mine_X], self.count_X[mine_X]
        part.loose = [cell[kept(cell)] for cell in self.loose]
        part.settle()
        return part


def runs(sorted_: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return each of some sorted numbers once, and how often it is there."""
    first = np.flatnonzero(np.diff(sorted_, prepend=-1))
    return sorted_[first], np.diff(first, append=len(sorted_))


def union(a_X: NDArray[np.int32], b_X: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the numbers of two rising runs, each once, rising; numpy's own takes tens of times as long."""
    if not len(a_X) or not len(b_X):
        return a_X if len(a_X) else b_X
    return runs(np.sort(np.concatenate([a_X, b_X])))[0]


def counts_at(all_X: NDArray[np.int32], some_X: NDArray[np.int32], count_X: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the counts of some of rising numbers, 0 for the others."""
    if len(all_X) == len(some_X):
        return count_X
    out_X = np.zeros(len(all_X), np.int64)
    out_X[np.searchsorted(all_X, some_X)] = count_X
    return out_X
