"""The vectors of a dataset's shards, some at a time, as the index takes them: of unit length, or zeros."""

import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.shards import Shard, read_table
from omokage.store import Dataset

OFF: Final = 1e-3
"""How far from 1 the length of a vector may be before it is brought to 1."""

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
    """Yield the vectors of the shards, unit length; those that are no direction are zeros."""
    for table in tables(data, shards, ["embedding"]):
        vectors_ND = schema.vectors(table["embedding"].combine_chunks(), data.dim)
        for start in range(0, len(vectors_ND), BLOCK):
            yield unit(vectors_ND[start : start + BLOCK])[0]


def unit(vectors_ND: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return vectors at unit length, and which of them are vectors; those that are no direction become zeros."""
    length_N = np.sqrt(np.einsum("nd,nd->n", vectors_ND, vectors_ND))
    good_N = np.isfinite(length_N) & (length_N > OFF)
    if (np.abs(length_N - 1) <= OFF).all():
        return vectors_ND, good_N
    scale_N = np.where(good_N & (np.abs(length_N - 1) > OFF), length_N, 1).astype(np.float32)
    vectors_ND = vectors_ND / scale_N[:, None]
    vectors_ND[~good_N] = 0
    return vectors_ND, good_N


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
    """Return the vectors of about ``count`` faces, the least of their chances first, and their places in the shards."""
    share = min(1.0, 1.1 * count / max(1, len(chance_N)))
    parts, rows, base = [np.zeros((0, data.dim), np.float32)], [np.zeros(0, np.int64)], 0
    for table in tables(data, shards, ["embedding"]):
        mine = np.flatnonzero(chance_N[base : base + table.num_rows] <= share)
        vectors_nD, good = unit(schema.vectors(table["embedding"].combine_chunks(), data.dim)[mine])
        parts.append(vectors_nD[good])
        rows.append(base + mine[good])
        base += table.num_rows
    row = np.concatenate(rows)
    first = np.argsort(chance_N[row], kind="stable")[:count]
    return np.concatenate(parts)[first], row[first]
