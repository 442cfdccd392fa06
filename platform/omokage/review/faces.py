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
from omokage.shards import Shard, read_table
from omokage.store import READERS, Dataset

NOBODY: Final = -1
"""Code of the identity of faces that belong to no person."""

DETAILS: Final = ["uri", "score", *schema.QUALITY_NAMES]
"""What is known of a face beside its id and its person; read with its shard, when the face is shown."""

HELD_BYTES: Final = 96 << 20
"""Of shards that are held, as files or as columns; one is held whatever it is."""


class Faces:
    """The faces of a dataset. Of all of them at once, only the ids and the people are in memory."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._shards = [shard for shard in data.head.shards if shard.faces]
        with ThreadPoolExecutor(READERS) as pool:
            tables = list(
                pool.map(lambda shard: _read(data, shard.file("faces"), ["face_id", "identity"]), self._shards)
            )
        self._starts = np.cumsum([0, *(table.num_rows for table in tables)])
        joined = pa.concat_tables([schema.face(data.dim).empty_table().select(["face_id", "identity"]), *tables])
        self.ids: pa.Array = schema.whole(joined["face_id"])
        self.names: list[str] = sorted(name for name in pc.unique(joined["identity"]).to_pylist() if name is not None)
        code = pc.index_in(joined["identity"], value_set=pa.array(self.names, pa.string())).fill_null(NOBODY)
        self.was_N: NDArray[np.int32] = schema.whole(code).to_numpy().astype(np.int32)
        self._order_N = np.argsort(self.was_N, kind="stable").astype(np.int32)
        self._bounds = np.searchsorted(self.was_N[self._order_N], np.arange(len(self.names) + 1))
        if data.folder.local:  # a mapped file has all columns; a remote one is read by column
            self._details = self._chips = self._vectors = _Held(data, None)
        else:
            self._details, self._chips, self._vectors = (
                _Held(data, columns) for columns in (DETAILS, ["chip"], ["embedding"])
            )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    def rows_of(self, ids: pa.Array | pa.ChunkedArray) -> NDArray[np.int32]:
        """Return the rows of some face_ids; -1 for those that the dataset does not have."""
        rows: NDArray[np.int32] = schema.whole(pc.index_in(ids, value_set=self.ids).fill_null(-1)).to_numpy()
        return rows

    def codes_of(self, names: pa.Array | pa.ChunkedArray) -> NDArray[np.int32]:
        """Return the codes of some identities of the source; -1 for those that the dataset does not have."""
        codes: NDArray[np.int32] = schema.whole(
            pc.index_in(names, value_set=pa.array(self.names, pa.string())).fill_null(NOBODY)
        ).to_numpy()
        return codes

    def rows(self, code: int) -> NDArray[np.int32]:
        """Return the rows of the faces that the source gives to a person."""
        return self._order_N[self._bounds[code] : self._bounds[code + 1]]

    def sizes(self) -> NDArray[np.int64]:
        """Return how many faces the source gives to each person, shape (P,)."""
        return np.diff(self._bounds)

    def details(self, rows: list[int]) -> list[dict[str, Any]]:
        """Return ``DETAILS`` of some rows.

        Raises:
            DatasetError: A shard is gone or damaged.
        """
        found: list[dict[str, Any]] = []
        for _, table in self._by_shard(rows, self._details, DETAILS):
            found += table.to_pylist()
        return found

    def chips(self, rows: list[int]) -> list[bytes]:
        """Return the chips (JPEG) of some rows; empty where a dataset has none.

        Raises:
            DatasetError: A shard is gone or damaged.
        """
        return [chip for _, table in self._by_shard(rows, self._chips, ["chip"]) for chip in table["chip"].to_pylist()]

    def vectors(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the embeddings of some rows, in their order, shape (n, D).

        Raises:
            DatasetError: A shard is gone or damaged.
        """
        out_nD = np.zeros((len(rows), self.data.dim), np.float32)
        for places, table in self._by_shard(rows.tolist(), self._vectors, ["embedding"]):
            out_nD[places] = schema.vectors(schema.whole(table["embedding"]), self.data.dim)
        return out_nD

    def _by_shard(self, rows: list[int], held: "_Held", columns: list[str]) -> list[tuple[list[int], pa.Table]]:
        """Return columns of rows, as runs of places in ``rows`` that lie in one shard."""
        shard_n = np.searchsorted(self._starts, rows, "right") - 1
        runs: list[tuple[int, list[int]]] = []
        for at, shard in enumerate(shard_n.tolist()):
            if not runs or runs[-1][0] != shard:
                runs.append((shard, []))
            runs[-1][1].append(at)
        wanted = list(dict.fromkeys(shard for shard, _ in runs))
        tables = dict(zip(wanted, held.several([self._shards[shard] for shard in wanted]), strict=True))
        found = []
        for shard, places in runs:
            inside = pa.array([rows[at] - int(self._starts[shard]) for at in places], pa.int64())
            found.append((places, tables[shard].select(columns).take(inside)))
        return found

    def sums(self) -> NDArray[np.float32]:
        """Return the sum of the vectors of each person of the source, shape (P, D); every vector is read once."""
        sum_PD = np.zeros((len(self.names), self.data.dim), np.float32)
        row = 0
        for shard in self._shards:
            table = read_table(self.data.folder, shard.file("faces"), ["embedding"])
            vectors_nD = schema.vectors(schema.whole(table["embedding"]), self.data.dim)
            code_n = self.was_N[row : row + len(vectors_nD)]
            row += len(vectors_nD)
            some_nD = np.where(np.isfinite(vectors_nD).all(axis=1, keepdims=True), vectors_nD, 0)
            np.add.at(sum_PD, code_n[code_n != NOBODY], some_nD[code_n != NOBODY])
        return sum_PD


class _Held:
    """The shards that were asked for last: mapped where they lie on this machine, else some columns of them."""

    def __init__(self, data: Dataset, columns: list[str] | None) -> None:
        self._data, self._columns = data, columns
        self._tables: OrderedDict[str, tuple[pa.Table, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def several(self, shards: list[Shard]) -> list[pa.Table]:
        """Return some shards' tables; those that are not held are read side by side."""
        if self._columns is None or len(shards) < 2:
            return [self._one(shard) for shard in shards]
        with ThreadPoolExecutor(min(READERS, len(shards))) as pool:
            return list(pool.map(self._one, shards))

    def _one(self, shard: Shard) -> pa.Table:
        with self._lock:
            if shard.name in self._tables:
                self._tables.move_to_end(shard.name)
                return self._tables[shard.name][0]
        table = read_table(self._data.folder, shard.file("faces"), self._columns)
        size = shard.bytes if self._columns is None else table.nbytes
        with self._lock:
            if shard.name not in self._tables:
                self._tables[shard.name] = table, size
                self._bytes += size
            while len(self._tables) > 1 and self._bytes > HELD_BYTES:
                _, (_, old) = self._tables.popitem(last=False)
                self._bytes -= old
        return table


def _read(data: Dataset, name: str, columns: list[str]) -> pa.Table:
    """Return copies of columns of a shard: a map of every shard would count as this program's memory.

    Raises:
        DatasetError: It is missing, or no table any more.
    """
    table = read_table(data.folder, name, columns)
    arrays = [schema.whole(column) for column in table.columns]
    return pa.table([pa.concat_arrays([array, array.slice(0, 0)]) for array in arrays], schema=table.schema)
