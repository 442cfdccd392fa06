"""Who is typical of a person, and who is like whom; vectors are read when they are needed.

Shape key: n faces, P people, D numbers of an embedding.
"""

import threading
from collections import OrderedDict
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.review.faces import Faces

MOST: Final = 10_000
"""Faces of a person that are compared; the rest of a bigger one come last, and unjudged."""

KEPT: Final = 256
"""People whose order is remembered."""


class Likeness:
    """Similarities that the page shows beside those that find wrote down."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        self._orders: OrderedDict[int, tuple[NDArray[np.int32], NDArray[np.float32]]] = OrderedDict()
        self._lock = threading.Lock()

    def typical(self, code: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the faces that the source gives to a person, the most typical first, with ``to_rest`` of each."""
        with self._lock:
            if code in self._orders:
                self._orders.move_to_end(code)
                return self._orders[code]
        rows = self._faces.rows(code)
        near = self.to_rest(rows)
        order = np.lexsort((rows, -np.nan_to_num(near, nan=-2.0)))
        with self._lock:
            self._orders[code] = rows[order], near[order]
            if len(self._orders) > KEPT:
                self._orders.popitem(last=False)
        return rows[order], near[order]

    def to_rest(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return each face's cosine to the mean of the others, shape (n,); NaN where there is no other."""
        near_n = np.full(len(rows), np.nan, np.float32)
        vectors_nD = _finite(self._faces.vectors(rows[:MOST]))
        if len(vectors_nD) < 2:
            return near_n
        rest_nD = vectors_nD.sum(axis=0) - vectors_nD
        length_n = np.maximum(np.linalg.norm(rest_nD, axis=1), 1e-9)
        near_n[: len(vectors_nD)] = np.vecdot(rest_nD, vectors_nD) / length_n
        return near_n

    def to_face(self, row: int, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the cosine of some faces to one, shape (n,)."""
        both = _finite(self._faces.vectors(np.append(rows[:MOST], row).astype(np.int32)))
        near: NDArray[np.float32] = both[:-1] @ both[-1]
        return np.append(near, np.full(len(rows) - len(near), np.nan, np.float32))

    def people(self, code: int, count: int) -> list[tuple[int, float]]:
        """Return the people whose faces are most like a person's, in the mean, and the cosine of the two means."""
        near_P = self._means @ self._means[code]
        near_P[code] = -1
        best = np.argsort(-near_P, kind="stable")[:count]
        return [(int(each), float(near_P[each])) for each in best if near_P[each] > 0]

    @cached_property
    def _means(self) -> NDArray[np.float32]:
        sum_PD = self._faces.sums()
        sum_PD /= np.maximum(np.linalg.norm(sum_PD, axis=1, keepdims=True), 1e-9)
        return sum_PD


def _finite(vectors_nD: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors with those that are no numbers as zeros."""
    bad_n = ~np.isfinite(vectors_nD).all(axis=1)
    vectors_nD[bad_n] = 0
    return vectors_nD
