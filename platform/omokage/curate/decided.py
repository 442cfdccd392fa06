"""A dataset's faces as they are after the decisions, read shard by shard.

Shape key: N faces of the version, F faces of a shard.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage.ledger.version import faces_of, opened
from omokage.store import Dataset

AFTER: Final = ("was", "identity", "status", "line", "reason")
"""Columns that come from the decisions; identity stands in place of the one in the shard."""


class Decided:
    """The faces of a dataset that belong to a version, or to its state now."""

    def __init__(self, data: Dataset, version: pa.Table) -> None:
        """Join ``data`` with ``version`` (``schema.VERSION``, sorted by face_id), which the ledger gives."""
        self.data = data
        self.version = version
        self._ids_N = _bytes(version["face_id"])

    @classmethod
    def at(cls, address: str) -> tuple["Decided", str | None]:
        """Return the faces of a dataset as it is now, or of its version as in DATASET@v2; and the version's name.

        Raises:
            DatasetError: There is no such dataset or version.
        """
        data, name = opened(address)
        return cls(data, faces_of(data, name)), name

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.data.dim

    @property
    def kept(self) -> int:
        """How many faces are kept."""
        return int(pc.sum(pc.equal(self.version["status"], "kept")).as_py() or 0)

    def present(self) -> "Decided":
        """Return the same without faces of an old version that the dataset no longer has."""
        there_N = np.zeros(len(self._ids_N), bool)
        for table in self.data.faces(["face_id"]):
            row_F = self.rows(table)
            there_N[row_F[row_F >= 0]] = True
        return self if there_N.all() else Decided(self.data, self.version.filter(pa.array(there_N)))

    def faces_per_person(self) -> NDArray[np.int64]:
        """Return how many kept faces each identity has that has any; the order means nothing."""
        kept = self.version.filter(pc.equal(self.version["status"], "kept"))["identity"].drop_null()
        return np.asarray(kept.value_counts().field("counts").to_numpy(), np.int64)

    def rows(self, faces: pa.Table) -> NDArray[np.int64]:
        """Return the row in the version of each face of a table, shape (F,); -1 where it has none."""
        id_F = _bytes(faces["face_id"])
        if not len(self._ids_N):
            return np.full(len(id_F), -1)
        row_F = np.minimum(np.searchsorted(self._ids_N, id_F), len(self._ids_N) - 1)
        return np.where(self._ids_N[row_F] == id_F, row_F, -1)

    def faces(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield the kept faces of every shard, with their identity after the decisions."""
        for table, _ in self.numbered(columns):
            yield table

    def numbered(self, columns: list[str], kept: bool = True) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        """Yield the faces of every shard, and their rows in the version.

        Args:
            columns: Of a face, and of ``AFTER``.
            kept: Leave out what was dropped.
        """
        stored = [name for name in columns if name not in AFTER]
        wanted_N = pc.equal(self.version["status"], "kept").to_numpy() if kept else np.ones(len(self._ids_N), bool)
        for table in self.data.faces(list(dict.fromkeys(["face_id", *stored]))):
            row_F = self.rows(table)
            mine = np.flatnonzero((row_F >= 0) & wanted_N[row_F] if len(wanted_N) else np.zeros(len(row_F), bool))
            row_F = row_F[mine]
            part = table.take(pa.array(mine))
            after = self.version.select([n for n in columns if n in AFTER]).take(pa.array(row_F))
            both = {name: after[name] if name in AFTER else part[name] for name in columns}
            yield pa.table(both), row_F


def _bytes(column: pa.ChunkedArray) -> NDArray[np.bytes_]:
    """Return ids as bytes, in which sorting and searching are quick; they sort as their text does."""
    return np.array(column.cast(pa.binary()).to_pylist() or [b""], np.bytes_)[: len(column)]
