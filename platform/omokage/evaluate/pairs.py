"""How many pairs of faces have each similarity: all unordered pairs, block by block, never all at once.

Similarities are rounded to cells of ``CELL``, about what float32 keeps of a sum of 512 products. Counting every pair
by cell would take longer than the products themselves, so pairs are counted by bins of ``CELLS`` cells, and by cell
only where ``wanted`` says so.

Shape key: N faces sorted by person, E numbers of an embedding, R, C rows and columns of a block, B bins, K steps.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.errors import DatasetError
from omokage.evaluate.stripes import stripes
from omokage.evaluate.tally import Tally, counts_at, union
from omokage.index.cores import cores

HALF: Final = 1 << 22
CELL: Final = 1 / HALF
"""Width of a cell: 2.4e-7. Cell 0 is at a similarity of -1, cell ``2 * HALF`` at 1."""

SHIFT: Final = 6

CELLS: Final = 1 << SHIFT
"""Of a bin: 1.5e-5 of similarity."""

BINS: Final = 2 * HALF // CELLS + 1

ROWS: Final = 512
COLUMNS: Final = 2048
"""Of a block of products."""

MANY: Final = 16_384
"""Faces; fewer are counted in blocks half as high and wide, which are slower and take little beside the faces."""

STRIP: Final = 1 << 15
"""Products that are gone over several times while they are in the processor's cache."""

WHOLE_FROM: Final = np.float32(2 * HALF).view(np.int32)
"""Bits of the float32 from which on there are whole numbers only: the n-th after it has n more."""


@dataclass(frozen=True)
class Faces:
    """Unit vectors, sorted by person."""

    vector_NE: NDArray[np.float32]
    person_N: NDArray[np.int64]
    """Rising."""
    row_N: NDArray[np.int64]
    """Which of the given faces each is."""

    @property
    def genuine(self) -> int:
        """Pairs of one person."""
        sizes = np.bincount(self.person_N)
        return int((sizes * (sizes - 1) // 2).sum())

    @property
    def pairs(self) -> int:
        """Of faces, each counted once."""
        return len(self.person_N) * (len(self.person_N) - 1) // 2


@dataclass(frozen=True)
class Steps:
    """Similarities from the highest down, and how many pairs each has."""

    low_K: NDArray[np.int64]
    """First cell."""
    cells_K: NDArray[np.int64]
    """How many cells: 1 where pairs are counted exactly, ``CELLS`` where by bin."""
    impostor_K: NDArray[np.int64]
    genuine_K: NDArray[np.int64]


class Counts:
    """Pairs by similarity: of different people by bin, and by cell in wanted bins; of one person by cell."""

    def __init__(
        self, wanted_B: NDArray[np.bool_], impostor_B: NDArray[np.int64], impostor: Tally, genuine: Tally
    ) -> None:
        """Take what was counted."""
        self.wanted_B, self.impostor_B, self.impostor, self.genuine = wanted_B, impostor_B, impostor, genuine

    def steps(self, by_cell_B: NDArray[np.bool_] | None = None) -> Steps:
        """Return what was counted, similarities without a pair left out.

        Args:
            by_cell_B: Bins whose cells are told apart, all of them wanted ones; by default all wanted ones.
        """
        by_cell_B = self.wanted_B if by_cell_B is None else by_cell_B
        genuine_B = _bins(self.genuine)
        bin_ = np.flatnonzero(~by_cell_B & (self.impostor_B + genuine_B > 0))
        tallies = [tally.within(lambda cell: by_cell_B[cell >> SHIFT]) for tally in (self.impostor, self.genuine)]
        cell = union(tallies[0].cell_X, tallies[1].cell_X)
        impostor, genuine = (counts_at(cell, tally.cell_X, tally.count_X) for tally in tallies)
        low_K = np.concatenate([bin_ * CELLS, cell])
        order_K = np.argsort(low_K, kind="stable")[::-1]  # two rising runs: quick
        return Steps(
            low_K=low_K[order_K],
            cells_K=np.repeat([CELLS, 1], [len(bin_), len(cell)])[order_K],
            impostor_K=np.concatenate([self.impostor_B[bin_], impostor])[order_K],
            genuine_K=np.concatenate([genuine_B[bin_], genuine])[order_K],
        )


def _bins(tally: Tally) -> NDArray[np.int64]:
    """Return how often each bin occurs."""
    count_B = np.zeros(BINS, np.int64)
    np.add.at(count_B, tally.cell_X >> SHIFT, tally.count_X)
    for cell in tally.loose:
        np.add.at(count_B, cell >> SHIFT, 1)
    return count_B


def by_person(embedding_NE: Any, label_N: Any) -> Faces:
    """Return the faces, sorted by person.

    Raises:
        DatasetError: There is only one person, no pair of one person, or what are no unit vectors.
    """
    label_N = np.asarray(label_N)
    if np.ndim(embedding_NE) != 2 or label_N.shape != np.shape(embedding_NE)[:1]:
        raise DatasetError(
            f"embeddings of shape {tuple(np.shape(embedding_NE))} do not go with labels of shape {label_N.shape}"
        )
    name_P, person_N = np.unique(label_N, return_inverse=True)
    if len(name_P) < 2:
        raise DatasetError(f"verification compares different people, and there are {len(name_P)}")
    if len(name_P) == len(label_N):
        raise DatasetError(
            f"verification needs two faces of somebody, and everybody has one, {len(name_P):,} people: add pictures of "
            "people who are there, or, where one person has several names, let omokage find propose and decide so"
        )
    vector_NE, row_N = unit_vectors(embedding_NE), np.argsort(person_N, kind="stable")
    if (np.diff(row_N) > 0).all():  # as most datasets lie: they need not be held twice
        return Faces(vector_NE, person_N.astype(np.int64), row_N)
    return Faces(vector_NE[row_N], person_N[row_N].astype(np.int64), row_N)


def unit_vectors(embedding_NE: Any) -> NDArray[np.float32]:
    """Return embeddings as rows of float32.

    Raises:
        DatasetError: They are no unit vectors; NaN is none.
    """
    vector_NE = np.ascontiguousarray(embedding_NE, np.float32)
    if vector_NE.ndim != 2:
        raise DatasetError(f"embeddings of shape {vector_NE.shape} do not go with one label a face")
    length_N = np.sqrt(np.einsum("ne,ne->n", vector_NE, vector_NE))
    off_N = ~(np.abs(length_N - 1) < 1e-3)
    if off_N.any():
        at = int(np.argmax(off_N))
        raise DatasetError(
            f"{int(off_N.sum()):,} of {len(off_N):,} embeddings are no unit vectors; that of row {at} "
            f"has length {length_N[at]:g}"
        )
    return vector_NE


def count(faces: Faces, wanted_B: NDArray[np.bool_], threads: int | None = None) -> Counts:
    """Return how many of all pairs have each similarity."""
    part = 1 if len(faces.person_N) > MANY else 2
    shape = max(1, ROWS // part), max(1, COLUMNS // part)
    # room is taken once, and here: what threads take of their own is not given back
    rooms = [_Room(wanted_B, faces.pairs, shape) for _ in range(threads or cores())]

    def stripe(start: int) -> None:
        room = rooms.pop()
        _stripe(faces, start, room)
        rooms.append(room)

    stripes(stripe, len(faces.person_N), shape[0], len(rooms))
    impostor_B = np.zeros(BINS, np.int64)
    impostor, genuine = Tally(), Tally()
    for room in rooms:
        impostor_B += room.count_B.numpy()[:BINS]
        impostor.add_all(room.impostor)
        genuine.add_all(room.genuine)
    return Counts(wanted_B, impostor_B, impostor, genuine)


def possible(label_N: NDArray[Any]) -> tuple[int, int]:
    """Return how many pairs of one person and of different people faces with these labels make."""
    size_P = np.unique(label_N, return_counts=True)[1].astype(object)  # whole numbers without end
    genuine = int(sum(size * (size - 1) // 2 for size in size_P))
    return genuine, math.comb(len(label_N), 2) - genuine


def edge(cell: Any) -> Any:
    """Return the lower edge of cells: what is not below it was rounded to that cell or a higher one."""
    return (cell - HALF - 0.5) / HALF


def rounded(product_RC: NDArray[np.float32]) -> NDArray[np.int32]:
    """Turn products into their cells, in place, halves to even.

    Numbers from 2 * HALF on have no digit behind the point in float32, so an addition rounds, and the bits of the sum
    are the whole number: less work than rounding and casting. Times a power of two no product loses a digit.
    """
    product_RC *= np.float32(HALF)
    np.clip(product_RC, -HALF, HALF, out=product_RC)
    product_RC += np.float32(3 * HALF)
    cell_RC = product_RC.view(np.int32)
    cell_RC -= WHOLE_FROM
    return cell_RC


class _Room:
    """What one thread works in, and what it has counted."""

    def __init__(self, wanted_B: NDArray[np.bool_], pairs: int, shape: tuple[int, int]) -> None:
        """Begin with none of at most so many pairs, in blocks of a shape."""
        self.rows, self.columns = shape
        self.impostor, self.genuine = Tally(), Tally()
        self.wanted_B = np.append(wanted_B, False)  # one more: where pairs go that are not to be counted
        kind = torch.int32 if pairs < 1 << 31 else torch.int64
        self.count_B, self.one = torch.zeros(BINS + 1, dtype=kind), torch.ones(1, dtype=kind)
        self.product = np.empty(self.rows * self.columns, np.float32)
        # torch and numpy want places as int64, and make them so if they are not
        size = max(STRIP, self.columns)
        self.bins, self.mask = np.empty(size, np.int64), np.empty(size, np.bool_)

    def add(self, cell: NDArray[np.int32]) -> None:
        """Count cells of pairs of different people."""
        bins, mask = self.bins[: len(cell)], self.mask[: len(cell)]
        np.right_shift(cell, SHIFT, out=bins)
        self.count_B.scatter_add_(0, torch.from_numpy(bins), self.one.expand(len(cell)))
        np.take(self.wanted_B, bins, out=mask, mode="clip")  # without a mode numpy buffers
        if mask.any():
            self.impostor.add(cell[mask])


def _stripe(faces: Faces, start: int, room: _Room) -> None:
    """Count the pairs of some rows with all faces after them."""
    row_RE = faces.vector_NE[start : start + room.rows]
    last = faces.person_N[start + len(row_RE) - 1]
    for left in range(start, len(faces.person_N), room.columns):
        column_CE = faces.vector_NE[left : left + room.columns]
        product_RC = room.product[: len(row_RE) * len(column_CE)].reshape(len(row_RE), len(column_CE))
        np.matmul(row_RE, column_CE.T, out=product_RC)
        rows = max(1, STRIP // len(column_CE))
        for top in range(0, len(row_RE), rows):
            cell_rC = rounded(product_RC[top : top + rows])
            if left < start + len(row_RE) or faces.person_N[left] == last:
                room.genuine.add(_apart(faces.person_N, start + top, left, cell_rC))
            room.add(cell_rC.reshape(-1))


def _apart(person_N: NDArray[np.int64], start: int, left: int, cell_RC: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the cells of a block's pairs of one person, each once, and put away all but those of different people."""
    rows, columns = cell_RC.shape
    aside_RC = person_N[start : start + rows, None] == person_N[left : left + columns]
    late_RC = np.arange(start, start + rows)[:, None] >= np.arange(left, left + columns)
    genuine: NDArray[np.int32] = cell_RC[aside_RC & ~late_RC]
    aside_RC |= late_RC
    np.copyto(cell_RC, BINS * CELLS, where=aside_RC)
    return genuine
