"""Which faces or people hang together by faces that are all but the same, found exactly.

Pairs above a threshold are looked for by codes and decided by the vectors themselves (``omokage.index.coder``). Only
who hangs together is wanted, so whatever is known to do so already is not looked at again: faces that are all alike
cost no more than faces that are not.

Shape key: N faces, D numbers of a vector, E of a code, C components.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from omokage.index.coder import Coder, Kind
from omokage.index.product import ROWS, above, device, fits, rate
from omokage.index.threads import each

SAMPLED: Final = 4096
"""Faces from which the step of the codes is told."""

FEW: Final = 8192
"""Faces below which it does not matter how quickly they are compared."""

SCORED: Final = 4096
"""Pairs that are scored at once."""

Ints = NDArray[np.int64]
Pairs = tuple[Ints, Ints]


def joined(of_N: Ints, a: Ints, b: Ints) -> Ints:
    """Return the components after those of each pair became one; numbered from 0.

    Args:
        of_N: Component of each face, in [0, C).
        a: Faces.
        b: Faces that hang together with them.
    """
    count = int(of_N.max(initial=-1)) + 1
    links = coo_array((np.ones(len(a), np.bool_), (of_N[a], of_N[b])), shape=(count, count))
    _, part_C = connected_components(links, directed=False)
    return np.asarray(part_C[of_N], np.int64)


def tied(vectors_ND: NDArray[np.float32], of_N: Ints, threshold: float, label_N: Ints | None = None) -> Ints:
    """Return components after all faces at least so similar became one.

    Args:
        vectors_ND: Embeddings.
        of_N: Components to begin with, in [0, C): of people, to learn which of them hang together.
        threshold: Similarity.
        label_N: People, where only pairs within a person count.
    """
    order = np.arange(len(of_N)) if label_N is None else np.argsort(label_N, kind="stable")
    unit_ND, at = _unit(vectors_ND[order]), device()
    coder = Coder.fit(_kind(len(unit_ND), unit_ND.shape[1], at), unit_ND[:: _every(len(unit_ND))])
    codes, error = coder.encode(unit_ND)
    at = at if fits(codes.nbytes, at) else "cpu"
    codes_NE = torch.from_numpy(codes).to(at)
    people_N = None if label_N is None else label_N[order]
    floor = (threshold - coder.margin(error, error)) / coder.unit
    now_N = of_N[order]

    def found(strip: tuple[int, int, int]) -> Pairs:
        start, stop, end = strip
        mine_N, out = now_N, [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        for row, column in above(codes_NE[start:stop], codes_NE[start:end], floor, upper=True):
            a, b = row + start, column + start
            if people_N is not None:
                same = people_N[a] == people_N[b]
                a, b = a[same], b[same]
            for pair in _new(unit_ND, mine_N, a, b, threshold):
                out.append(pair)
                mine_N = joined(mine_N, *pair)
        a, b = (np.concatenate(side) for side in zip(*out, strict=True))
        return a, b

    for a, b in each(found, _strips(people_N, len(unit_ND), ROWS[at]), None if at == "cpu" else 1):
        if len(a):
            now_N = joined(now_N, a, b)
    result_N = np.empty_like(now_N)
    result_N[order] = now_N
    return result_N


def _new(vectors_ND: NDArray[np.float32], of_N: Ints, a: Ints, b: Ints, threshold: float) -> Iterator[Pairs]:
    """Yield pairs at or above the threshold, until all such pairs' components are joined by them.

    Of pairs of the same two components one is scored; the others only if it fails.
    """
    while True:
        apart = of_N[a] != of_N[b]
        a, b = a[apart], b[apart]
        if not len(a):
            return
        low, high = np.minimum(of_N[a], of_N[b]), np.maximum(of_N[a], of_N[b])
        _, first = np.unique(low * (int(of_N.max()) + 1) + high, return_index=True)
        good = _alike(vectors_ND, a[first], b[first], threshold)
        pair = a[first[good]], b[first[good]]
        if good.any():
            yield pair
            of_N = joined(of_N, *pair)
        left = np.ones(len(a), np.bool_)
        left[first] = False
        a, b = a[left], b[left]


def _alike(vectors_ND: NDArray[np.float32], a: Ints, b: Ints, threshold: float) -> NDArray[np.bool_]:
    """Return which pairs reach the threshold; summed in double, pair by pair, so the same in any company."""
    good_M = np.zeros(len(a), np.bool_)
    for start in range(0, len(a), SCORED):
        part = slice(start, start + SCORED)
        similarity = np.einsum("nd,nd->n", vectors_ND[a[part]], vectors_ND[b[part]], dtype=np.float64)
        good_M[part] = similarity >= threshold
    return good_M


def _strips(people_N: Ints | None, count: int, rows: int) -> Iterator[tuple[int, int, int]]:
    """Yield which faces are compared with which: those from ``start`` to ``stop`` with those from there to ``end``.

    Where only pairs within a person count, faces come person by person, and people with few faces are taken together.
    """
    ends = [count] if people_N is None else [*(np.flatnonzero(np.diff(people_N)) + 1).tolist(), count]
    first = 0
    for end in ends:
        if end - first >= rows or end == count:
            for start in range(first, end, rows):
                yield start, min(start + rows, end), end
            first = end


def _unit(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors at unit length; those that are no direction are zeros, which are like nothing."""
    length_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    good_N1 = np.isfinite(length_N1) & (length_N1 > 0)
    return np.where(good_N1, vectors_ND / np.where(good_N1, length_N1, 1), 0).astype(np.float32)


def _kind(count: int, dim: int, at: str) -> Kind:
    """Return the codes that are compared the quicker; with few faces, to find out would take longer."""
    if count < FEW or rate("int8", dim, at) < rate("float32", dim, at):
        return "float32"
    return "int8"


def _every(count: int) -> int:
    return max(1, count // SAMPLED)
