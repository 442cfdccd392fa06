"""How many pairs of faces have each similarity: all unordered pairs, block by block, never all at once.

Similarities are rounded to cells of ``CELL``, about what float32 keeps of a sum of 512 products. Counting every pair
by cell would take longer than the products themselves, so pairs of different people are counted by bins of
``CELLS`` cells, and by cell only where ``wanted`` says so. Pairs of one person, which are few, are counted by cell.

Shape key: N faces sorted by person, E numbers of an embedding, R, C rows and columns of a block, B bins, K steps.
"""

import math
import threading
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.errors import DatasetError
from omokage.index.threads import each

HALF: Final = 1 << 22
CELL: Final = 1 / HALF
"""Width of a cell: 2.4e-7. Cell 0 is at a similarity of -1, cell ``2 * HALF`` at 1."""

CELLS: Final = 64
"""Of a bin: 1.5e-5 of similarity."""

BINS: Final = 2 * HALF // CELLS + 1

ROWS: Final = 512
COLUMNS: Final = 2048
"""Of a block of products."""


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


@dataclass
class Counts:
    """Pairs by similarity; filled by several threads."""

    wanted_B: NDArray[np.bool_]
    """Bins in which pairs of different people are counted by cell."""
    impostor_B: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    impostor: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS * CELLS, np.int64))
    genuine: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS * CELLS, np.int64))
    """By cell. Only pages in which there are pairs take memory."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def steps(self) -> Steps:
        """Return what was counted, similarities without a pair left out."""
        by_cell = np.repeat(self.wanted_B, CELLS)
        genuine_B = np.add.reduceat(self.genuine, np.arange(0, len(self.genuine), CELLS))
        bin_ = np.flatnonzero(~self.wanted_B & (self.impostor_B + genuine_B > 0))
        cell = np.flatnonzero(by_cell & ((self.impostor > 0) | (self.genuine > 0)))
        low_K = np.concatenate([bin_ * CELLS, cell])
        order_K = np.argsort(-low_K)
        return Steps(
            low_K=low_K[order_K],
            cells_K=np.repeat([CELLS, 1], [len(bin_), len(cell)])[order_K],
            impostor_K=np.concatenate([self.impostor_B[bin_], self.impostor[cell]])[order_K],
            genuine_K=np.concatenate([genuine_B[bin_], self.genuine[cell]])[order_K],
        )


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
        raise DatasetError("verification needs two faces of somebody, and everybody has one")
    row_N = np.argsort(person_N, kind="stable")
    return Faces(unit_vectors(embedding_NE)[row_N], person_N[row_N].astype(np.int64), row_N)


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
    counts = Counts(wanted_B)

    def stripe(start: int) -> None:
        _stripe(faces, start, counts)

    for _ in each(stripe, range(0, len(faces.person_N), ROWS), threads):
        pass
    return counts


def possible(label_N: NDArray[Any]) -> tuple[int, int]:
    """Return how many pairs of one person and of different people faces with these labels make."""
    size_P = np.unique(label_N, return_counts=True)[1].astype(object)  # whole numbers without end
    genuine = int(sum(size * (size - 1) // 2 for size in size_P))
    return genuine, math.comb(len(label_N), 2) - genuine


def edge(cell: Any) -> Any:
    """Return the lower edge of cells: what is not below it was rounded to that cell or a higher one."""
    return (cell - HALF - 0.5) / HALF


def cells(product_RC: NDArray[np.float32], cell_RC: NDArray[np.int32]) -> None:
    """Write the cell of each product into ``cell_RC``; the products are overwritten."""
    product_RC *= np.float32(HALF)
    np.rint(product_RC, out=product_RC)
    np.clip(product_RC, -HALF, HALF, out=product_RC)
    np.copyto(cell_RC, product_RC, casting="unsafe")
    cell_RC += np.int32(HALF)


def _stripe(faces: Faces, start: int, counts: Counts) -> None:
    """Count the pairs of some rows with all faces after them."""
    row_RE = faces.vector_NE[start : start + ROWS]
    last = faces.person_N[start + len(row_RE) - 1]
    product = np.empty(len(row_RE) * COLUMNS, np.float32)  # taken once: fresh pages cost as much as the counting
    cell = np.empty(len(row_RE) * COLUMNS, np.int32)
    impostor_B = np.zeros(BINS, np.int64)
    for left in range(start, len(faces.person_N), COLUMNS):
        column_CE = faces.vector_NE[left : left + COLUMNS]
        shape = len(row_RE), len(column_CE)
        product_RC = product[: shape[0] * shape[1]].reshape(shape)
        cell_RC = cell[: shape[0] * shape[1]].reshape(shape)
        np.matmul(row_RE, column_CE.T, out=product_RC)
        cells(product_RC, cell_RC)
        impostor = cell_RC.ravel()
        if left < start + len(row_RE) or faces.person_N[left] == last:
            impostor, genuine = _apart(faces.person_N, start, left, cell_RC)
            with counts.lock:
                np.add.at(counts.genuine, genuine, 1)
        bin_ = impostor // CELLS
        impostor_B += torch.bincount(torch.from_numpy(bin_), minlength=BINS).numpy()
        exact = impostor[counts.wanted_B.take(bin_)]
        with counts.lock:
            np.add.at(counts.impostor, exact, 1)
    with counts.lock:
        counts.impostor_B += impostor_B


def _apart(
    person_N: NDArray[np.int64], start: int, left: int, cell_RC: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the cells of a block's pairs of different people, and of one person; each pair once."""
    rows, columns = cell_RC.shape
    row_R, column_C = np.arange(start, start + rows), np.arange(left, left + columns)
    once_RC = row_R[:, None] < column_C
    same_RC = person_N[row_R][:, None] == person_N[column_C]
    return cell_RC[once_RC & ~same_RC], cell_RC[once_RC & same_RC]
