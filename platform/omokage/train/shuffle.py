"""Shuffles that are asked for single places: no order is ever in memory, however long it is.

A shuffle of n things is a bijection of 0..n-1 that a key selects. Some times over, all numbers are paired by a mirror
whose place the key tells, and a bit of each pair tells whether the two are swapped ("swap or not").

Source: Hoang, Morris and Rogaway, An Enciphering Scheme Based on a Card Shuffle, CRYPTO 2012, figure 1.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.train.mix import mixed

ROUNDS: Final = 20
"""From 12 on, no order of a few things and no pair of a thousand comes more often than by chance."""

Bits = NDArray[np.uint64]


def stirred(value: Bits) -> Bits:
    """Return 64 bits of each number that look like chance, the same for the same number."""
    found: Bits = mixed(value.view(np.int64)).view(np.uint64)
    return found


def shuffled(place: NDArray[np.int64], count: NDArray[np.int64], key: Bits) -> NDArray[np.int64]:
    """Return what lies at a place of the shuffled numbers 0..count-1.

    Args:
        place: In [0, count).
        count: How many are shuffled, 1 to 2^62. Of a shape that goes with the places'.
        key: Selects the shuffle. Likewise.

    Returns:
        In [0, count); the shape of all three together.
    """
    here, many = place.astype(np.uint64), count.astype(np.uint64)
    for _ in range(ROUNDS):
        key = stirred(key)
        mirrored = key % many + many - here
        mirrored = np.where(mirrored >= many, mirrored - many, mirrored)
        swap = stirred(key ^ np.maximum(here, mirrored)) & np.uint64(1)
        here = np.where(swap == 1, mirrored, here)
    return here.astype(np.int64)
