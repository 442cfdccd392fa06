"""The pairs to look at: strangers who look most alike, and faces of one person that look least alike.

Such pairs are lookalikes, hard pictures and, most often, wrong names. Of each two people only their most similar pair
is told, of each person only the least similar one: a single wrong name would fill any list otherwise.

All pairs are looked at, block by block, and no more than the list is kept of them. Where the products of short codes,
which are several times as quick, say that no pair of a block can be on the list, its vectors are not compared.

Shape key: N faces sorted by person, E numbers of an embedding, R, C rows and columns of a block, P, Q people with faces
among a block's rows and columns.
"""

import threading
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.evaluate import pairs
from omokage.evaluate.pairs import COLUMNS, HALF, ROWS, Faces
from omokage.evaluate.stripes import stripes
from omokage.index.coder import Coder
from omokage.index.product import products
from omokage.index.threads import each

MOST: Final = 10_000
"""Pairs that are told."""

SAMPLE: Final = 4096
"""Vectors that the step of codes is chosen by."""

BLOCK: Final = 4096
"""Vectors that one thread encodes at once."""

Key = tuple[int, int]
"""Two people."""

Ranked = tuple[int, int, int, int, int]
"""Cell of similarity (its opposite where the most similar come first), two people, two faces: sorts as it ranks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alike:
    """Two faces, by row, and how alike they are."""

    a: int
    b: int
    similarity: float
    """Cosine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extremes:
    """The pairs that are easiest to get wrong."""

    impostor: tuple[Alike, ...]
    """Of different people, the most similar first; each two people once."""
    genuine: tuple[Alike, ...]
    """Of one person, the least similar first; each person once."""


def extremes(embedding_NE: Any, label_N: Any, count: int, threads: int | None = None) -> Extremes:
    """Return the most similar pairs of different people, and the least similar pairs of one person.

    Equally similar pairs (to a cell, 2.4e-7) are ranked by label, then by row.

    Args:
        embedding_NE: Unit vectors. Shape (N, E).
        label_N: Whose face each is. Shape (N,).
        count: How many of each kind, 1 to 10,000.
        threads: To work on; all cores by default.

    Raises:
        ConfigError: ``count`` is out of range.
        DatasetError: There is only one person, no pair of one person, or what are no unit vectors.
    """
    if not 1 <= count <= MOST:
        raise ConfigError(f"the number of pairs must lie in 1 to {MOST:,}, got {count}")
    faces = pairs.by_person(embedding_NE, label_N)
    codes, far, near = _Codes(faces.vector_NE, threads), _Best(count), _Best(count)

    def stripe(start: int) -> None:
        _stripe(faces, codes, start, far, near)

    stripes(stripe, len(faces.person_N), ROWS, threads)
    return Extremes(impostor=_told(faces, near), genuine=_told(faces, far))


class _Best:
    """The best pair of each two people, of so many that have the best; several threads add to it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.floor = np.iinfo(np.int64).max
        """No pair that ranks behind this cell is wanted."""
        self.full = False
        self._kept: dict[Key, Ranked] = {}
        self._lock = threading.Lock()

    def add(self, found: list[Ranked]) -> None:
        """Keep the best of what is known and what was found."""
        with self._lock:
            for one in found:
                key = one[1:3]
                self._kept[key] = min(one, self._kept.get(key, one))
            if len(self._kept) >= self.count:
                best = sorted(self._kept.values())[: self.count]
                self._kept = {one[1:3]: one for one in best}
                self.floor, self.full = best[-1][0], True

    def ranked(self) -> list[Ranked]:
        """Return what was kept, in order."""
        return sorted(self._kept.values())


def _told(faces: Faces, best: _Best) -> tuple[Alike, ...]:
    """Return pairs by the rows that were given."""
    return tuple(
        Alike(
            a=int(faces.row_N[a]),
            b=int(faces.row_N[b]),
            similarity=float(faces.vector_NE[a].astype(np.float64) @ faces.vector_NE[b].astype(np.float64)),
        )
        for *_, a, b in best.ranked()
    )


class _Codes:
    """Short codes of all vectors, and how far their products can be from those of the vectors."""

    def __init__(self, vector_NE: NDArray[np.float32], threads: int | None) -> None:
        some = np.random.default_rng(0).permutation(len(vector_NE))[:SAMPLE]
        coder = Coder.fit("int8", vector_NE[np.sort(some)])
        starts = range(0, len(vector_NE), BLOCK)
        parts = list(each(lambda start: coder.encode(vector_NE[start : start + BLOCK]), starts, threads))
        self.code_NE = torch.from_numpy(np.concatenate([code_BE for code_BE, _ in parts]))
        error = max(error for _, error in parts)
        self.unit, self.margin = coder.unit, coder.margin(error, error)

    def most(self, rows: slice, columns: slice) -> float:
        """Return a similarity that no pair of a block exceeds."""
        return float(products(self.code_NE[rows], self.code_NE[columns]).max()) * self.unit + self.margin


def _stripe(faces: Faces, codes: _Codes, start: int, far: _Best, near: _Best) -> None:
    """Look at the pairs of some rows with all faces after them."""
    row_RE = faces.vector_NE[start : start + ROWS]
    last = faces.person_N[start + len(row_RE) - 1]
    product = np.empty(len(row_RE) * COLUMNS, np.float32)
    for left in range(start, len(faces.person_N), COLUMNS):
        mixed = left < start + len(row_RE) or faces.person_N[left] == last
        rows, columns = slice(start, start + len(row_RE)), slice(left, left + COLUMNS)
        if not mixed and near.full and -_cells(codes.most(rows, columns)) > near.floor:
            continue
        column_CE = faces.vector_NE[columns]
        product_RC = product[: len(row_RE) * len(column_CE)].reshape(len(row_RE), len(column_CE))
        np.matmul(row_RE, column_CE.T, out=product_RC)
        block = _Block(product_RC, faces.person_N, start, left)
        if mixed:
            far.add(block.best(far, -1, block.same(True)))
            near.add(block.best(near, 1, block.same(False)))
        elif -_cells(product_RC.max()) <= near.floor:
            near.add(block.best(near, 1, None))


class _Block:
    """Similarities of some faces with some others."""

    def __init__(self, product_RC: NDArray[np.float32], person_N: NDArray[np.int64], start: int, left: int) -> None:
        self.product_RC = product_RC
        self.start, self.left = start, left
        self.person_R = person_N[start : start + product_RC.shape[0]]
        self.person_C = person_N[left : left + product_RC.shape[1]]

    def same(self, same: bool) -> NDArray[np.bool_]:
        """Return which pairs are of one person, or are not, each pair once."""
        row_R = np.arange(self.start, self.start + len(self.person_R))[:, None]
        once_RC = row_R < np.arange(self.left, self.left + len(self.person_C))
        same_RC = self.person_R[:, None] == self.person_C
        which_RC: NDArray[np.bool_] = once_RC & (same_RC if same else ~same_RC)
        return which_RC

    def best(self, known: _Best, sign: int, which_RC: NDArray[np.bool_] | None) -> list[Ranked]:
        """Return the first ranked pairs of people.

        Args:
            known: What is kept already.
            sign: 1 where the most similar come first, -1 where the least similar do.
            which_RC: Pairs that count; all by default.
        """
        value_RC = self.product_RC * np.float32(sign) if sign < 0 else self.product_RC
        if which_RC is not None:
            value_RC = np.where(which_RC, value_RC, np.float32(-np.inf))
        first_P, first_Q = _runs(self.person_R), _runs(self.person_C)
        best_PQ = np.maximum.reduceat(np.maximum.reduceat(value_RC, first_P, axis=0), first_Q, axis=1)
        rank_PQ = -_cells(best_PQ)
        wanted = np.flatnonzero((best_PQ > -np.inf) & (rank_PQ <= known.floor))
        if len(wanted) > known.count:  # equal ones by people, whose order the places have
            wanted = wanted[np.argsort(rank_PQ.ravel()[wanted], kind="stable")[: known.count]]
        return [
            self._ranked(value_RC, int(rank_PQ[p, q]), (first_P, first_Q), (int(p), int(q)))
            for p, q in zip(*np.unravel_index(wanted, rank_PQ.shape), strict=True)
        ]

    def _ranked(
        self,
        value_RC: NDArray[np.float32],
        rank: int,
        first: tuple[NDArray[np.int64], NDArray[np.int64]],
        at: tuple[int, int],
    ) -> Ranked:
        """Return the first of the best pairs of two people."""
        (top, bottom), (left, right) = (
            (int(first_X[x]), int(first_X[x + 1]) if x + 1 < len(first_X) else size)
            for first_X, x, size in zip(first, at, value_RC.shape, strict=True)
        )
        inside = value_RC[top:bottom, left:right]
        row, column = np.argwhere(np.isfinite(inside) & (-_cells(inside) == rank))[0]
        a, b = top + int(row), left + int(column)
        return rank, int(self.person_R[a]), int(self.person_C[b]), self.start + a, self.left + b


def _runs(person_X: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each person's faces begin."""
    return np.flatnonzero(np.append(True, person_X[1:] != person_X[:-1]))


def _cells(value: Any) -> Any:
    """Return the cells that similarities, or their opposites, lie in."""
    return np.rint(np.clip(np.asarray(value, np.float64), -2, 2) * HALF).astype(np.int64)
