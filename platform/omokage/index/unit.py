"""Vectors at unit length.

Shape key: N vectors, D numbers of each.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

OFF: Final = 1e-3
"""How far from 1 the length of a vector may be before it is brought to 1."""


def unit(vectors_ND: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return vectors at unit length, and which of them are vectors; those that are no direction become zeros."""
    length_N = np.sqrt(np.vecdot(vectors_ND, vectors_ND))
    good_N = np.isfinite(length_N) & (length_N > OFF)
    if (np.abs(length_N - 1) <= OFF).all():
        return vectors_ND, good_N
    scale_N = np.where(good_N & (np.abs(length_N - 1) > OFF), length_N, 1).astype(np.float32)
    vectors_ND = vectors_ND / scale_N[:, None]
    vectors_ND[~good_N] = 0
    return vectors_ND, good_N
