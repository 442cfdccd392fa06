"""Writing a segment: assign every face to its lists, and put the codes into list order.

Vectors come as blocks and are written as they come; codes, a quarter of their size, wait in a file until the order is
known.

Shape key: N faces, L lists, B faces of a block, D numbers of a vector, E numbers of a code.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from omokage.index.coder import Coder
from omokage.index.lists import Probes
from omokage.index.segment import MARK
from omokage.index.threads import each

Value = TypeVar("Value", bound=np.generic)

Assign = Callable[[NDArray[np.float32], NDArray[np.int8] | NDArray[np.float32], NDArray[np.int32]], Probes]
"""Returns the probes of faces by their vectors, codes and people."""

TAKEN: int = 1 << 18
"""Rows whose probes are put into order at once."""


class Npy:
    """A .npy file that is written piece by piece."""

    def __init__(self, place: Path, dtype: np.dtype | type, shape: tuple[int, ...]) -> None:
        self.file = place.open("wb")
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(self.file, header)

    def add(self, values: NDArray[np.generic]) -> None:
        """Append rows."""
        np.ascontiguousarray(values).tofile(self.file)

    def __enter__(self) -> "Npy":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class Builder:
    """Writes one segment into an empty folder."""

    def __init__(self, folder: Path, coder: Coder, lists: int, assign: Assign) -> None:
        self.folder = folder
        self.coder = coder
        self.lists = lists
        self.assign = assign

    def write(
        self, blocks: Iterable[NDArray[np.float32]], label_N: NDArray[np.int32], rank_N: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the source rows in list order (then by label, then by rank), after writing vectors, codes and probes.

        Args:
            blocks: Vectors of unit length, or zeros for those that are none.
            label_N: People by number, negative for nobody.
            rank_N: Place of each face among all; only for the order.
        """
        parts: list[Probes] = []
        error = 0.0
        loose = self.folder / "codes.loose.npy"
        usable: list[NDArray[np.bool_]] = []
        dim = self.coder.dim
        with (
            Npy(loose, self._dtype, (len(label_N), self.coder.length)) as codes,
            Npy(self.folder / "vectors.npy", np.float32, (len(label_N), dim)) as vectors,
        ):
            for block_BD, codes_BE, found, furthest in each(self._assigned, beside(blocks, label_N)):
                vectors.add(block_BD)
                codes.add(codes_BE)
                parts.append(found)
                usable.append(np.any(block_BD, axis=1, keepdims=True)[:, 0])
                error = max(error, furthest)
        probes = Probes.join(parts)
        parts.clear()
        home_N = probes.home()
        order_N = np.lexsort((rank_N, label_N, home_N))
        starts = np.concatenate([[0], np.cumsum(np.bincount(home_N, minlength=self.lists))])
        np.save(self.folder / "starts.npy", starts)
        self._write_probes(probes, order_N)
        codes_NE = np.load(loose, mmap_mode="r")
        with Npy(self.folder / "codes.npy", self._dtype, codes_NE.shape) as out:
            for start in range(0, len(order_N), TAKEN):
                out.add(codes_NE[order_N[start : start + TAKEN]])
        loose.unlink()
        self.save("source", order_N)
        self.save("usable", np.concatenate(usable)[order_N])
        self.error = error
        return order_N

    def save(self, name: str, values: NDArray[np.generic]) -> None:
        """Write one more array of the segment."""
        np.save(self.folder / f"{name}.npy", values)

    def finish(self, place: Path) -> None:
        """Make the folder the segment at ``place``, whole at once."""
        (self.folder / MARK).write_text(json.dumps({"error": self.error}))
        if place.exists():
            shutil.rmtree(place)
        self.folder.rename(place)

    @property
    def _dtype(self) -> type:
        return np.int8 if self.coder.kind == "int8" else np.float32

    def _assigned(
        self, faces: tuple[NDArray[np.float32], NDArray[np.int32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.generic], Probes, float]:
        block_BD, label_B = faces
        codes_BE, error = self.coder.encode(block_BD)
        return block_BD, codes_BE, self.assign(block_BD, codes_BE, label_B), error

    def _write_probes(self, probes: Probes, order_N: NDArray[np.int64]) -> None:
        count_N = np.diff(probes.start_N1)[order_N]
        self.save("probe_starts", np.concatenate([[0], np.cumsum(count_N)]))
        entries = (len(probes.list_K),)
        with (
            Npy(self.folder / "probe_lists.npy", np.int32, entries) as lists,
            Npy(self.folder / "probe_sims.npy", np.float32, entries) as sims,
        ):
            for start in range(0, len(order_N), TAKEN):
                part = probes.take(order_N[start : start + TAKEN])
                lists.add(part.list_K)
                sims.add(part.sim_K)


def beside(
    blocks: Iterable[NDArray[np.float32]], values_N: NDArray[Value]
) -> Iterator[tuple[NDArray[np.float32], NDArray[Value]]]:
    """Yield each block of faces with the values of its faces."""
    start = 0
    for block_BD in blocks:
        yield block_BD, values_N[start : start + len(block_BD)]
        start += len(block_BD)
