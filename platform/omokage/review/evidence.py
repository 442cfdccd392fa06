"""Pairs of faces by pair of people, read once in the background: what a verdict on two people rests on.

Shape key: M pairs of faces, sorted by pair of people and then by falling similarity.
"""

import os
import threading
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omokage.curate import proposals
from omokage.errors import DatasetError
from omokage.review.faces import NOBODY, Faces
from omokage.storage import Folder

FILE: Final = proposals.place("collisions")

BATCH: Final = 1 << 17
"""Rows of which the texts are in memory at a time."""


class Evidence:
    """The pairs of faces that find listed."""

    def __init__(self, folder: Folder, faces: Faces) -> None:
        self._folder, self._faces = folder, faces
        self._error: str | None = None
        self._work = threading.Thread(target=self._load, daemon=True)
        self._work.start()

    def of(self, code_a: int, code_b: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Return the faces of two people that are alike, in pairs, and their similarity, the most alike first.

        Raises:
            DatasetError: The file of the pairs is damaged.
        """
        self._work.join()
        if self._error:
            raise DatasetError(self._error)
        low, high = sorted((code_a, code_b))
        key = low << 32 | high
        part = slice(*np.searchsorted(self._key_M, [key, key + 1]).tolist())
        first, second = (self._low_M, self._high_M) if code_a == low else (self._high_M, self._low_M)
        return first[part], second[part], self._similarity_M[part]

    def _load(self) -> None:
        try:
            parts = self._read()
        except (pa.ArrowException, OSError, KeyError) as error:
            self._error = f"{self._folder.place(FILE)} is damaged: {error}; omokage find writes it anew"
            return
        row_a, row_b, near = (np.concatenate([part[at] for part in parts]) for at in range(3))
        was_a, was_b = self._faces.was_N[row_a], self._faces.was_N[row_b]
        swap = was_a > was_b
        low, high = np.where(swap, row_b, row_a), np.where(swap, row_a, row_b)
        key = np.minimum(was_a, was_b).astype(np.int64) << 32 | np.maximum(was_a, was_b)
        pa.default_memory_pool().release_unused()
        order = np.lexsort((-near, key))
        self._key_M: NDArray[np.int64] = key[order]
        self._low_M: NDArray[np.int32] = low[order]
        self._high_M: NDArray[np.int32] = high[order]
        self._similarity_M: NDArray[np.float32] = near[order]

    def _read(self) -> list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]]:
        nothing = np.zeros(0, np.int32)
        parts = [(nothing, nothing, np.zeros(0, np.float32))]
        if not self._folder.exists(FILE):
            return parts
        place = os.fsencode(self._folder.place(FILE))  # as bytes, since Arrow encodes strictly
        source = pa.memory_map(place) if self._folder.local else pa.BufferReader(self._folder.read(FILE))
        with source, pq.ParquetFile(source) as file:
            for batch in file.iter_batches(BATCH, columns=["face_a", "face_b", "similarity"]):
                row_a = self._faces.rows_of(batch["face_a"])
                row_b = self._faces.rows_of(batch["face_b"])
                good = (row_a >= 0) & (row_b >= 0)
                good[good] = (self._faces.was_N[row_a[good]] != NOBODY) & (self._faces.was_N[row_b[good]] != NOBODY)
                parts.append((row_a[good], row_b[good], batch["similarity"].to_numpy()[good]))
        return parts
