"""Writing a segment: encode every face, find its lists, and put the codes into list order.

Vectors come as blocks, and are read once: they are written as they come. Codes, a quarter of their size, and the lists
that faces probe wait in files until the order is known, so that no more is held than a few numbers a face.

Shape key: N faces, L lists, B faces of a block, D numbers of a vector, E numbers of a code.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from omokage.index.coder import Coder
from omokage.index.lists import Probes
from omokage.index.segment import MARK, released, taken
from omokage.index.threads import each
from omokage.index.unit import unit

Value = TypeVar("Value", bound=np.generic)

Codes = NDArray[np.int8] | NDArray[np.float32]

Assign = Callable[[NDArray[np.float32], Codes, NDArray[np.int32]], Probes]
"""Returns the probes of faces by their vectors, codes and people."""

Task = Callable[[NDArray[np.int64]], None]
"""Writes something in the order of the source rows that it is given."""

BLOCK: Final = 4096
"""Faces whose lists one thread looks for at once."""

TAKEN: Final = 1 << 18
"""Rows whose probes are put into order at once."""


LOOSE: Final = "codes.loose.npy"
LISTS: Final = "probe_lists.loose"
SIMS: Final = "probe_sims.loose"
"""What waits for the order."""

_LOOSE_PROBES: Final = ((LISTS, np.int32), (SIMS, np.float32))


class Npy:
    """A .npy file that is written piece by piece."""

    def __init__(self, place: Path, dtype: np.dtype | type, shape: tuple[int, ...]) -> None:
        self.file = place.open("wb")
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(self.file, header)
        self.file.flush()
        self.begin = self.file.tell()

    def put(self, row: int, values: NDArray[np.generic]) -> None:
        """Write rows from a row on; several threads may. No rows are added then."""
        rest: memoryview = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        at = self.begin + row * (values.nbytes // max(1, len(values)))
        while rest:
            done = os.pwrite(self.file.fileno(), rest, at)
            rest, at = rest[done:], at + done

    def add(self, values: NDArray[np.generic]) -> None:
        """Append rows to those that were added."""
        np.ascontiguousarray(values).tofile(self.file)

    def __enter__(self) -> "Npy":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class Builder:
    """Writes one segment into an empty folder: first ``encode``, then ``order``."""

    def __init__(self, folder: Path, coder: Coder, label_N: NDArray[np.int32]) -> None:
        """Take the people of the faces that will come, by number, negative for nobody."""
        self.folder = folder
        self.coder = coder
        self.label_N = label_N

    def encode(
        self,
        blocks: Iterable[NDArray[np.float32]],
        note: Callable[[Codes, NDArray[np.int32]], None] | None = None,
    ) -> None:
        """Write the vectors as they come, and their codes.

        Args:
            blocks: Vectors; those that are no direction become zeros.
            note: Called with the codes and people of each block, by several threads.
        """
        usable, errors = [np.zeros(0, bool)], [0.0]
        dtype = np.int8 if self.coder.kind == "int8" else np.float32
        with (
            Npy(self.folder / LOOSE, dtype, (len(self.label_N), self.coder.length)) as codes,
            Npy(self.folder / "vectors.npy", np.float32, (len(self.label_N), self.coder.dim)) as vectors,
        ):

            def encoded(faces: tuple[NDArray[np.float32], NDArray[np.int64]]) -> tuple[NDArray[np.bool_], float]:
                block_BD, usable_B = unit(faces[0])
                codes_BE, error = self.coder.encode(block_BD)
                row_B = faces[1]
                if note:
                    note(codes_BE, self.label_N[row_B])
                if len(row_B):  # here: to hand over what takes as long as to make it would leave one core idle
                    vectors.put(int(row_B[0]), block_BD)
                    codes.put(int(row_B[0]), codes_BE)
                return usable_B, error

            for usable_B, error in each(encoded, beside(blocks, np.arange(len(self.label_N)))):
                usable.append(usable_B)
                errors.append(error)
        self.error = max(errors)
        self.usable_N = np.concatenate(usable)
        self.vectors_ND: NDArray[np.float32] = np.load(self.folder / "vectors.npy", mmap_mode="r")
        self.codes_NE: Codes = np.load(self.folder / LOOSE, mmap_mode="r")

    def order(self, assign: Assign, lists: int, rank_N: NDArray[np.int64], *more: Task) -> None:
        """Write codes and probes in list order (then by label, then by rank), and the source rows so ordered.

        Args:
            assign: Finds the lists of faces.
            lists: How many there are.
            rank_N: Place of each face among all; only for the order.
            more: Writes what else must be put into that order, given the source rows.
        """
        home_N, count_N = self._assign(assign)
        order_N = np.lexsort((rank_N, self.label_N, home_N))
        self.save("starts", np.concatenate([[0], np.cumsum(np.bincount(home_N, minlength=lists))]))
        del home_N
        tasks: list[Task] = [partial(self._write_probes, count_N), self._write_codes, *more]
        for _ in each(lambda task: task(order_N), tasks):
            pass
        self.save("source", order_N)
        self.save("usable", self.usable_N[order_N])

    def save(self, name: str, values: NDArray[np.generic]) -> None:
        """Write one more array of the segment."""
        np.save(self.folder / f"{name}.npy", values)

    def finish(self, place: Path) -> None:
        """Make the folder the segment at ``place``, whole at once."""
        (self.folder / MARK).write_text(json.dumps({"error": self.error}))
        if place.exists():
            shutil.rmtree(place)
        self.folder.rename(place)

    def _assign(self, assign: Assign) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return each face's home and how many lists it probes, after writing which as they come."""

        def block(start: int) -> Probes:
            some = slice(start, start + BLOCK)
            codes_BE: Codes = self.codes_NE[some].copy()
            return assign(self.vectors_ND[some], codes_BE, self.label_N[some])

        homes, counts, done = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], 0
        with (self.folder / LISTS).open("wb") as lists, (self.folder / SIMS).open("wb") as sims:
            for found in each(block, range(0, len(self.label_N), BLOCK)):
                homes.append(found.home())
                counts.append(np.diff(found.start_N1).astype(np.int32))
                found.list_K.tofile(lists)
                found.sim_K.tofile(sims)
                done += len(homes[-1])
                if done % TAKEN < BLOCK:
                    released(self.codes_NE)
                    released(self.vectors_ND)
        return np.concatenate(homes), np.concatenate(counts)

    def _write_codes(self, order_N: NDArray[np.int64]) -> None:
        with Npy(self.folder / "codes.npy", self.codes_NE.dtype, self.codes_NE.shape) as out:
            for start in range(0, len(order_N), TAKEN):
                out.add(taken(self.codes_NE, order_N[start : start + TAKEN]))
        (self.folder / LOOSE).unlink()

    def _write_probes(self, count_N: NDArray[np.int32], order_N: NDArray[np.int64]) -> None:
        """Bring the probes that ``_assign`` left into order."""
        start_N1 = np.concatenate([[0], np.cumsum(count_N, dtype=np.int64)])
        total = int(start_N1[-1])
        self.save("probe_starts", np.concatenate([[0], np.cumsum(count_N[order_N], dtype=np.int64)]))
        loose = Probes(start_N1, *(_mapped(self.folder / name, kind) for name, kind in _LOOSE_PROBES))
        with (
            Npy(self.folder / "probe_lists.npy", np.int32, (total,)) as lists,
            Npy(self.folder / "probe_sims.npy", np.float32, (total,)) as sims,
        ):
            for start in range(0, len(order_N), TAKEN):
                part = loose.take(order_N[start : start + TAKEN])
                lists.add(part.list_K)
                sims.add(part.sim_K)
                released(loose.list_K)
                released(loose.sim_K)
        for name, _ in _LOOSE_PROBES:
            (self.folder / name).unlink()


def _mapped(file: Path, dtype: type[np.generic]) -> NDArray[Any]:
    """Return the numbers in a file, mapped; one without numbers cannot be."""
    return np.memmap(file, dtype, mode="r") if file.stat().st_size else np.zeros(0, dtype)


def beside(
    blocks: Iterable[NDArray[np.float32]], values_N: NDArray[Value]
) -> Iterator[tuple[NDArray[np.float32], NDArray[Value]]]:
    """Yield each block of faces with the values of its faces."""
    start = 0
    for block_BD in blocks:
        yield block_BD, values_N[start : start + len(block_BD)]
        start += len(block_BD)
