"""A dataset's faces as the page sees them: numbered rows, people as codes; pictures and vectors are read when asked.

A face's number is its row, a person's number their place among all names; both are what the browser names them by.

Shape key: N faces, P people, n faces asked for, D numbers of an embedding.
"""

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.shards import read_table
from omokage.store import READERS, Dataset

NOBODY: Final = -1
"""Code of the identity of faces that belong to no person."""

KNOWN: Final = ["face_id", "uri", "identity", "score", *schema.QUALITY_NAMES]
"""What is read of every face at the start; on a local disk it is mapped."""

MAPPED: Final = 512
"""Shards of a local dataset that are held open."""

HELD_BYTES: Final = 96 << 20
"""Chips or vectors of a remote dataset that are held in memory, of each."""


class Faces:
    """The faces of a dataset."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._shards = [shard for shard in data.head.shards if shard.faces]
        with ThreadPoolExecutor(READERS) as pool:
            files = [shard.file("faces") for shard in self._shards]
            tables = list(pool.map(lambda file: read_table(data.folder, file, KNOWN), files))
        self._tables = [table.combine_chunks() if not data.folder.local else table for table in tables]
        self._starts = np.cumsum([0, *(table.num_rows for table in tables)])
        joined = pa.concat_tables([schema.face(data.dim).empty_table().select(KNOWN), *tables])
        self.ids: pa.Array = _whole(joined["face_id"])
        self.names: list[str] = sorted(name for name in pc.unique(joined["identity"]).to_pylist() if name is not None)
        code = pc.index_in(joined["identity"], value_set=pa.array(self.names, pa.string())).fill_null(NOBODY)
        self.was_N: NDArray[np.int32] = _whole(code).to_numpy().astype(np.int32)
        self._order_N = np.argsort(self.was_N, kind="stable").astype(np.int32)
        self._bounds = np.searchsorted(self.was_N[self._order_N], np.arange(len(self.names) + 1))
        self._chips = _Held(data, "chip")
        self._vectors = _Held(data, "embedding")

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    def rows_of(self, ids: pa.Array | pa.ChunkedArray) -> NDArray[np.int32]:
        """Return the rows of some face_ids; -1 for those that the dataset does not have."""
        rows: NDArray[np.int32] = _whole(pc.index_in(ids, value_set=self.ids).fill_null(-1)).to_numpy()
        return rows

    def codes_of(self, names: pa.Array | pa.ChunkedArray) -> NDArray[np.int32]:
        """Return the codes of some identities of the source; -1 for those that the dataset does not have."""
        codes: NDArray[np.int32] = _whole(
            pc.index_in(names, value_set=pa.array(self.names, pa.string())).fill_null(NOBODY)
        ).to_numpy()
        return codes

    def rows(self, code: int) -> NDArray[np.int32]:
        """Return the rows of the faces that the source gives to a person."""
        return self._order_N[self._bounds[code] : self._bounds[code + 1]]

    def sizes(self) -> NDArray[np.int64]:
        """Return how many faces the source gives to each person, shape (P,)."""
        return np.diff(self._bounds)

    def face(self, row: int) -> dict[str, Any]:
        """Return what is known of a face, without its picture and vector."""
        shard = int(np.searchsorted(self._starts, row, "right")) - 1
        one = self._tables[shard].slice(row - int(self._starts[shard]), 1)
        known: dict[str, Any] = one.to_pylist()[0]
        return known

    def chips(self, rows: list[int]) -> list[bytes]:
        """Return the chips (JPEG) of some rows; empty where a dataset has none.

        Raises:
            DatasetError: A shard is gone or damaged.
        """
        return [value for _, column in self._by_shard(rows, self._chips) for value in column.to_pylist()]

    def vectors(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the embeddings of some rows, in their order, shape (n, D).

        Raises:
            DatasetError: A shard is gone or damaged.
        """
        out_nD = np.zeros((len(rows), self.data.dim), np.float32)
        for at, column in self._by_shard(rows.tolist(), self._vectors):
            out_nD[at] = schema.vectors(column, self.data.dim)
        return out_nD

    def _by_shard(self, rows: list[int], held: "_Held") -> list[tuple[list[int], pa.Array]]:
        """Return the values of rows, as runs of places in ``rows`` that lie in one shard."""
        shard_n = np.searchsorted(self._starts, rows, "right") - 1
        runs: list[tuple[int, list[int]]] = []
        for at, shard in enumerate(shard_n.tolist()):
            if not runs or runs[-1][0] != shard:
                runs.append((shard, []))
            runs[-1][1].append(at)
        wanted = list(dict.fromkeys(shard for shard, _ in runs))
        files = {shard: self._shards[shard].file("faces") for shard in wanted}
        columns = dict(zip(wanted, held.several([files[shard] for shard in wanted]), strict=True))
        found = []
        for shard, places in runs:
            inside = pa.array([rows[at] - int(self._starts[shard]) for at in places], pa.int64())
            found.append((places, _whole(columns[shard].take(inside))))
        return found

    def sums(self) -> NDArray[np.float32]:
        """Return the sum of the vectors of each person of the source, shape (P, D); every vector is read once."""
        sum_PD = np.zeros((len(self.names), self.data.dim), np.float32)
        row = 0
        for table in self.data.faces(["embedding"]):
            vectors_nD = schema.vectors(_whole(table["embedding"]), self.data.dim)
            code_n = self.was_N[row : row + len(vectors_nD)]
            row += len(vectors_nD)
            some_nD = np.where(np.isfinite(vectors_nD).all(axis=1, keepdims=True), vectors_nD, 0)
            np.add.at(sum_PD, code_n[code_n != NOBODY], some_nD[code_n != NOBODY])
        return sum_PD


class _Held:
    """One column of shards: mapped while there are few, or the last ones of a remote dataset."""

    def __init__(self, data: Dataset, column: str) -> None:
        self._folder, self._column = data.folder, column
        self._shards: OrderedDict[str, pa.ChunkedArray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def several(self, files: list[str]) -> list[pa.ChunkedArray]:
        """Return the column of some shards; missing ones are read side by side."""
        if self._folder.local or len(files) < 2:
            return [self._one(file) for file in files]
        with ThreadPoolExecutor(min(READERS, len(files))) as pool:
            return list(pool.map(self._one, files))

    def _one(self, file: str) -> pa.ChunkedArray:
        with self._lock:
            if file in self._shards:
                self._shards.move_to_end(file)
                return self._shards[file]
        column = read_table(self._folder, file, [self._column])[self._column]
        with self._lock:
            if file not in self._shards:
                self._shards[file] = column
                self._bytes += 0 if self._folder.local else column.nbytes
            while len(self._shards) > 1 and (self._bytes > HELD_BYTES or len(self._shards) > MAPPED):
                _, old = self._shards.popitem(last=False)
                self._bytes -= 0 if self._folder.local else old.nbytes
        return column


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
