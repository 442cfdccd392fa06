"""What a threshold join found, by pair of people.

Shape key: M pairs of faces, C pairs of people, N faces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Hits:
    """Pairs of people with at least one pair of faces at or above the threshold; equal lengths, ``label_a`` smaller."""

    label_a: NDArray[np.int64]
    label_b: NDArray[np.int64]
    hits: NDArray[np.int64]
    """Pairs of faces."""
    hit_faces_a: NDArray[np.int64]
    """Distinct faces that take part."""
    hit_faces_b: NDArray[np.int64]
    best: NDArray[np.float64]
    """Similarity."""
    mean: NDArray[np.float64]
    """Similarity, over the hits."""

    @staticmethod
    def join(parts: Sequence["Hits"]) -> "Hits":
        """Return all parts as one, by label; no pair of people may lie in two."""
        whole = [np.concatenate([getattr(part, field.name) for part in (NO_HITS, *parts)]) for field in fields(Hits)]
        order = np.lexsort((whole[1], whole[0]))
        return Hits(*[column[order] for column in whole])


_NONE = np.zeros(0, np.int64)
NO_HITS = Hits(_NONE, _NONE, _NONE, _NONE, _NONE, np.zeros(0), np.zeros(0))


def aggregate(
    row_a: NDArray[np.int64], row_b: NDArray[np.int64], similarity: NDArray[np.float32], label_N: NDArray[np.int32]
) -> Hits:
    """Return pairs of faces by pair of people, sorted by label.

    Args:
        row_a: Of the faces. Shape (M,). Either face may come first; no pair twice.
        row_b: Faces of other people than those of ``row_a``.
        similarity: Of the pairs.
        label_N: Person of each row.
    """
    if not len(row_a):
        return NO_HITS
    turned_M = label_N[row_a] > label_N[row_b]
    row_a, row_b = np.where(turned_M, row_b, row_a), np.where(turned_M, row_a, row_b)
    key_M = label_N[row_a].astype(np.int64) << 32 | label_N[row_b]
    order = np.argsort(key_M, kind="stable")
    key_M, row_a, row_b, similarity = key_M[order], row_a[order], row_b[order], similarity[order]
    start_C = np.flatnonzero(np.append(True, key_M[1:] != key_M[:-1]))
    hits_C = np.diff(np.append(start_C, len(key_M)))
    pair_M = np.repeat(np.arange(len(start_C)), hits_C)
    return Hits(
        key_M[start_C] >> 32,
        key_M[start_C] & 0xFFFFFFFF,
        hits_C,
        _distinct(pair_M, row_a, len(label_N)),
        _distinct(pair_M, row_b, len(label_N)),
        np.maximum.reduceat(similarity, start_C).astype(np.float64),
        np.add.reduceat(similarity.astype(np.float64), start_C) / hits_C,
    )


def _distinct(pair_M: NDArray[np.int64], row_M: NDArray[np.int64], faces: int) -> NDArray[np.int64]:
    """Return how many different rows each pair has."""
    pairs = np.unique(pair_M * faces + row_M) // faces
    return np.bincount(pairs, minlength=int(pair_M[-1]) + 1)
