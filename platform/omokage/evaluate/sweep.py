"""Every pair of faces once, block by block, by its level of similarity: what curves of people and intervals count.

A level is a range between two thresholds: level 0 holds the pairs at or above the highest, the last those below all.
So one pass tells, exactly, how many pairs match at each threshold, of every person and between any units of people.

Shape key: N faces sorted by unit then person, E numbers of an embedding, R, C rows and columns of a block, P people,
U units, T thresholds, L = T + 1 levels.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.evaluate import pairs
from omokage.evaluate.pairs import CELLS, COLUMNS, HALF, ROWS, SHIFT
from omokage.evaluate.stripes import stripes

THRESHOLDS: Final = 126
"""Most of a sweep: a level, whether the pair is of one person, and whether it is to be left out go into one byte."""

MIXED: Final = 255
"""Level of bins whose cells differ in it."""

DENSE: Final = 4
"""Bins an element of a block: so many are counted in a table of the block's own, more where they belong."""


class Levels:
    """Thresholds, and the level of every cell of similarity."""

    def __init__(self, threshold_T: Sequence[float] | NDArray[np.float64]) -> None:
        """Take thresholds in any order.

        Raises:
            ConfigError: There are too many, or one is no number.
        """
        self.threshold_T = np.unique(np.asarray(threshold_T, np.float64))[::-1]
        if not 0 < len(self.threshold_T) <= THRESHOLDS or not np.isfinite(self.threshold_T).all():
            raise ConfigError(f"thresholds must be 1 to {THRESHOLDS} finite numbers, got {len(self.threshold_T)}")
        # a threshold matches the cell that it lies in, and all above: its lower edge is itself such a threshold
        first_T = np.clip(np.floor(self.threshold_T * HALF + 0.5), -HALF, HALF + 1).astype(np.int64) + HALF
        edge = np.concatenate([[0], first_T[::-1], [2 * HALF + 1]])
        self.table = np.repeat(np.arange(len(first_T), -1, -1, dtype=np.uint8), np.diff(edge))
        # most bins lie in one level: a table of bins stays in the cache, that of cells does not
        self.bins = self.table[::CELLS].copy()
        self.bins[np.unique(edge[1:-1] >> SHIFT)] = MIXED

    def __len__(self) -> int:
        """Return how many levels there are."""
        return len(self.threshold_T) + 1

    def of(self, cell_RC: NDArray[np.int32], bin_RC: NDArray[np.int32], level_RC: NDArray[np.uint8]) -> None:
        """Write the level of each cell into ``level_RC``; ``bin_RC`` is room for their bins."""
        np.right_shift(cell_RC, SHIFT, out=bin_RC)
        np.take(self.bins, bin_RC, out=level_RC, mode="clip")  # without a mode numpy buffers
        mixed = np.flatnonzero(level_RC == MIXED)
        level_RC.ravel()[mixed] = self.table[cell_RC.ravel()[mixed]]


@dataclass(frozen=True)
class Block:
    """Pairs of some faces with some others."""

    rows: slice
    columns: slice
    code_RC: NDArray[np.uint8]
    """Level, of those of the counter; ``len(levels)`` more where the pair is of one person; twice that where it is not
    to be counted."""


class Counter(Protocol):
    """Something that counts the pairs of a block; several threads call it."""

    levels: Levels

    def add(self, block: Block) -> None:
        """Count."""


@dataclass
class ByPerson:
    """Pairs of every person by level: the row of ``impostor_PL`` sums over all other people."""

    person_N: NDArray[np.int64]
    """Rising from 0."""
    levels: Levels
    impostor_PL: NDArray[np.int64] = field(init=False)
    genuine_PL: NDArray[np.int64] = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin with no pair."""
        shape = int(self.person_N[-1]) + 1, len(self.levels)
        self.impostor_PL, self.genuine_PL = np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def add(self, block: Block) -> None:
        """Count."""
        levels, width = len(self.levels), 2 * len(self.levels) + 1
        for part, code_XY in ((block.rows, block.code_RC), (block.columns, block.code_RC.T)):
            person_X = self.person_N[part]
            first, count = int(person_X[0]), int(person_X[-1] - person_X[0]) + 1
            base_X = ((person_X - first) * width).astype(np.int32)
            found = _bincount(base_X[:, None] + code_XY, count * width).reshape(count, width)
            with self.lock:
                self.impostor_PL[first : first + count] += found[:, :levels]
                if part is block.rows:  # a pair of one person is found twice
                    self.genuine_PL[first : first + count] += found[:, levels:-1]


@dataclass
class ByUnit:
    """Pairs between and within units by level."""

    unit_N: NDArray[np.int64]
    """Rising from 0."""
    levels: Levels
    impostor_UUL: NDArray[np.int64] = field(init=False)
    """Of different people; each pair once, at (lower unit, higher unit)."""
    genuine_UL: NDArray[np.int64] = field(init=False)
    """Of one person, both in the unit."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin with no pair."""
        units = int(self.unit_N[-1]) + 1
        self.impostor_UUL = np.zeros((units, units, len(self.levels)), np.int64)
        self.genuine_UL = np.zeros((units, len(self.levels)), np.int64)

    def add(self, block: Block) -> None:
        """Count."""
        row_R, column_C = self.unit_N[block.rows], self.unit_N[block.columns]
        top, left = int(row_R[0]), int(column_C[0])
        high, wide = int(row_R[-1]) - top + 1, int(column_C[-1]) - left + 1
        levels, width = len(self.levels), 2 * len(self.levels) + 1
        if high * wide * width > DENSE * block.code_RC.size:
            self._scatter(block, row_R, column_C)
            return
        base_RC = ((row_R - top) * wide)[:, None] + (column_C - left)
        key_RC = np.multiply(base_RC, width, dtype=np.int32, casting="unsafe")
        key_RC += block.code_RC
        found = _bincount(key_RC, high * wide * width).reshape(high, wide, width)
        same = np.arange(max(top, left), min(top + high, left + wide))
        with self.lock:
            self.impostor_UUL[top : top + high, left : left + wide] += found[..., :levels]
            self.genuine_UL[same] += found[same - top, same - left, levels:-1]

    def _scatter(self, block: Block, row_R: NDArray[np.int64], column_C: NDArray[np.int64]) -> None:
        code, levels = block.code_RC.astype(np.int64).ravel(), len(self.levels)
        unit = (row_R[:, None] * len(self.genuine_UL) + column_C).ravel()
        impostor = code < levels
        genuine = (code >= levels) & (code < 2 * levels) & (row_R[:, None] == column_C).ravel()
        with self.lock:
            np.add.at(self.impostor_UUL.reshape(-1), unit[impostor] * levels + code[impostor], 1)
            row = unit[genuine] % len(self.genuine_UL)
            np.add.at(self.genuine_UL.reshape(-1), (row - 1) * levels + code[genuine], 1)


class InOrder:
    """Vectors in another order, brought together when they are wanted: a copy of them all need not be held."""

    def __init__(self, vector_NE: NDArray[np.float32], row_N: NDArray[np.int64]) -> None:
        """Take vectors, and which of them comes where."""
        self.vector_NE, self.row_N = vector_NE, row_N

    def __getitem__(self, at: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some of them."""
        return self.vector_NE[self.row_N[at]]


def sweep(
    vector_NE: NDArray[np.float32] | InOrder,
    person_N: NDArray[np.int64],
    counters: Sequence[Counter],
    threads: int | None = None,
) -> None:
    """Give every pair of faces to the counters, once, each with its own levels.

    Args:
        vector_NE: Unit vectors.
        person_N: Whose face each is, in any order.
        counters: What to count.
        threads: To work on; all cores by default.
    """
    small_N = person_N.astype(np.int32)

    def stripe(start: int) -> None:
        _stripe(vector_NE, small_N, start, counters)

    stripes(stripe, len(person_N), ROWS, threads)


def _stripe(
    vector_NE: NDArray[np.float32] | InOrder,
    person_N: NDArray[np.int32],
    start: int,
    counters: Sequence[Counter],
) -> None:
    """Count the pairs of some rows with all faces after them."""
    row_RE = vector_NE[start : start + ROWS]
    product, bins = np.empty(len(row_RE) * COLUMNS, np.float32), np.empty(len(row_RE) * COLUMNS, np.int32)
    code = np.empty(len(row_RE) * COLUMNS, np.uint8)
    for left in range(start, len(person_N), COLUMNS):
        column_CE = vector_NE[left : left + COLUMNS]
        shape = len(row_RE), len(column_CE)
        size = shape[0] * shape[1]
        product_RC, bin_RC = product[:size].reshape(shape), bins[:size].reshape(shape)
        code_RC = code[:size].reshape(shape)
        np.matmul(row_RE, column_CE.T, out=product_RC)
        cell_RC = pairs.rounded(product_RC)
        rows, columns = slice(start, start + shape[0]), slice(left, left + shape[1])
        same_RC = person_N[rows, None] == person_N[columns]
        some, late_RC = same_RC.any(), None
        if left < start + shape[0]:
            late_RC = np.arange(rows.start, rows.stop)[:, None] >= np.arange(columns.start, columns.stop)
        for counter in counters:
            levels = counter.levels
            levels.of(cell_RC, bin_RC, code_RC)
            if some:
                np.add(code_RC, np.uint8(len(levels)), out=code_RC, where=same_RC)
            if late_RC is not None:
                code_RC[late_RC] = 2 * len(levels)
            counter.add(Block(rows, columns, code_RC))


def _bincount(key: NDArray[np.int32], bins: int) -> NDArray[np.int64]:
    """Return how often each number occurs; torch counts twice as fast as numpy."""
    found: NDArray[np.int64] = torch.bincount(
        torch.from_numpy(np.ascontiguousarray(key)).view(-1), minlength=bins
    ).numpy()
    return found
