"""Writing a segment: encode every face, and find its lists.

Vectors come as blocks, and are read once. Vectors, codes and the lists that faces probe are written as they come, so
that no more is held than a few numbers a face.

Shape key: N faces, L lists, B faces of a block, D numbers of a vector, E numbers of a code.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from omokage.index.coder import Coder
from omokage.index.lists import Probes
from omokage.index.segment import MARK, released
from omokage.index.threads import each
from omokage.index.unit import unit

Value = TypeVar("Value", bound=np.generic)

Codes = NDArray[np.int8] | NDArray[np.float32]

Assign = Callable[[NDArray[np.float32], Codes, NDArray[np.int32]], Probes]
"""Returns the probes of faces by their vectors, codes and people."""

BLOCK: Final = 4096
"""Faces whose lists one thread looks for at once."""

RELEASED: Final = 1 << 18
"""Faces after whose lists the pages of their vectors and codes are given back."""


class Npy:
    """A .npy file that is written piece by piece; how many rows it has is known at its end."""

    def __init__(self, place: Path, dtype: np.dtype | type, width: int | None = None) -> None:
        """Begin the file of rows that are numbers, or of so many numbers."""
        self.file = place.open("wb")
        self.dtype = np.dtype(dtype)
        self.shape = () if width is None else (width,)
        self._head(0)
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
        row = self.dtype.itemsize * math.prod(self.shape)
        rows = (self.file.seek(0, os.SEEK_END) - self.begin) // row
        self.file.seek(0)
        self._head(rows)  # as long as before: numpy leaves room for more rows
        self.file.close()

    def _head(self, rows: int) -> None:
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (rows, *self.shape)}
        np.lib.format.write_array_header_2_0(self.file, header)
        self.file.flush()


class Builder:
    """Writes one segment into an empty folder: first ``encode``, then ``lists``."""

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
            Npy(self.folder / "codes.npy", dtype, self.coder.length) as codes,
            Npy(self.folder / "vectors.npy", np.float32, self.coder.dim) as vectors,
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
        self.codes_NE: Codes = np.load(self.folder / "codes.npy", mmap_mode="r")

    def lists(self, assign: Assign, lists: int) -> None:
        """Find and write which lists faces probe, and which faces are at home in each list.

        Args:
            assign: Finds the lists of faces.
            lists: How many there are.
        """
        home_N, count_N = self._assign(assign)
        self.save("probe_starts", np.concatenate([[0], np.cumsum(count_N, dtype=np.int64)]))
        self.save("starts", np.concatenate([[0], np.cumsum(np.bincount(home_N, minlength=lists))]))
        self.save("members", np.argsort(home_N, kind="stable").astype(np.int32))
        self.save("usable", self.usable_N)

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
        with (
            Npy(self.folder / "probe_lists.npy", np.int32) as lists,
            Npy(self.folder / "probe_sims.npy", np.float32) as sims,
        ):
            for found in each(block, range(0, len(self.label_N), BLOCK)):
                homes.append(found.home())
                counts.append(np.diff(found.start_N1).astype(np.int32))
                lists.add(found.list_K)
                sims.add(found.sim_K)
                done += len(homes[-1])
                if done % RELEASED < BLOCK:
                    released(self.codes_NE)
                    released(self.vectors_ND)
        return np.concatenate(homes), np.concatenate(counts)


def beside(
    blocks: Iterable[NDArray[np.float32]], values_N: NDArray[Value]
) -> Iterator[tuple[NDArray[np.float32], NDArray[Value]]]:
    """Yield each block of faces with the values of its faces."""
    start = 0
    for block_BD in blocks:
        yield block_BD, values_N[start : start + len(block_BD)]
        start += len(block_BD)
