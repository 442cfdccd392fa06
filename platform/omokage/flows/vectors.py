"""The vectors of a dataset's shards, some at a time, as the index takes them."""

import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.index.unit import unit
from omokage.shards import Shard, read_table
from omokage.store import Dataset

BLOCK: Final = 4096
"""Faces that one thread has in hand."""


def tables(data: Dataset, shards: list[Shard], columns: list[str]) -> Iterator[pa.Table]:
    """Yield columns of the shards' faces: small shards together, a big one alone, since joining them copies."""
    some: list[pa.Table] = []
    for shard in shards:
        some.append(read_table(data.folder, shard.file("faces"), columns))
        if sum(table.num_rows for table in some) >= BLOCK:
            yield pa.concat_tables(some)
            some = []
    if some:
        yield pa.concat_tables(some)


def blocks(data: Dataset, shards: list[Shard]) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of the shards as they are stored."""
    for table in tables(data, shards, ["embedding"]):
        vectors_ND = _vectors(table, data.dim)
        for start in range(0, len(vectors_ND), BLOCK):
            yield vectors_ND[start : start + BLOCK]


def chances(data: Dataset, shards: list[Shard]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each face, by its id: those below a share are a sample, however they are stored."""
    parts = [
        np.array([zlib.crc32(each.encode()) for each in table["face_id"].to_pylist()], np.float64)
        for table in tables(data, shards, ["face_id"])
    ]
    return np.concatenate([*parts, np.zeros(0)]) / 2**32


def sample(
    data: Dataset, shards: list[Shard], chance_N: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the vectors of ``count`` faces, unit length, the least of their chances first, and their places.

    They are fewer where there are no more, or where some are no direction.
    """
    first = np.argsort(chance_N, kind="stable")[:count]
    place_N = np.full(len(chance_N), -1)
    place_N[first] = np.arange(len(first))
    vectors_nD, base = np.empty((len(first), data.dim), np.float32), 0
    for table in tables(data, shards, ["embedding"]):
        place_n = place_N[base : base + table.num_rows]
        mine = np.flatnonzero(place_n >= 0)
        vectors_nD[place_n[mine]], good = unit(_vectors(table, data.dim)[mine])
        first[place_n[mine[~good]]] = -1
        base += table.num_rows
    if (first < 0).any():
        return vectors_nD[first >= 0], first[first >= 0]
    return vectors_nD, first


def _vectors(table: pa.Table, dim: int) -> NDArray[np.float32]:
    """Return the vectors of a table: of a single piece as they lie in its file, since joining copies even one."""
    pieces = table["embedding"]
    return schema.vectors(pieces.chunk(0) if pieces.num_chunks == 1 else pieces.combine_chunks(), dim)
