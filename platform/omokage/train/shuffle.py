"""Shuffles that are asked for single places: no order is ever in memory, however long it is.

A shuffle of n things is a bijection of 0..n-1 that a key selects. A number is cut into two halves of bits, and each
is stirred into the other some times (a Feistel network), which gives a bijection of the next power of four; what falls
beyond n is put through again until it does not, which leaves a bijection of n (cycle walking).

Source: Black and Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002, sections 4 and 5. What stirs is the
finaliser of SplitMix64: Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ROUNDS: Final = 6
"""With fewer, short orders favour some places: tests/train/test_shuffle.py."""

STEP: Final = np.uint64(0x9E3779B97F4A7C15)

Bits = NDArray[np.uint64]


def stirred(value: Bits) -> Bits:
    """Return 64 bits of each number that look like chance, the same for the same number."""
    value = value + STEP
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def shuffled(place: NDArray[np.int64], count: NDArray[np.int64], key: Bits) -> NDArray[np.int64]:
    """Return what lies at a place of the shuffled numbers 0..count-1.

    Args:
        place: In [0, count).
        count: How many are shuffled, 1 to 2^50. Of a shape that goes with the places'.
        key: Selects the shuffle. Likewise.

    Returns:
        In [0, count); the shape of all three together.
    """
    place, count, key = np.broadcast_arrays(place, count, key)
    out = place.astype(np.uint64).reshape(-1)
    count_Z, key_Z = count.astype(np.uint64).reshape(-1), key.reshape(-1)
    # frexp's exponent is the number of bits; exact, as counts are far below 2^53
    half_Z = np.maximum((np.frexp((count_Z - np.uint64(1)).astype(np.float64))[1] + 1) // 2, 1).astype(np.uint64)
    beyond = np.arange(len(out))
    while len(beyond):
        out[beyond] = _through(out[beyond], half_Z[beyond], key_Z[beyond])
        beyond = beyond[out[beyond] >= count_Z[beyond]]
    return out.astype(np.int64).reshape(place.shape)


def _through(value: Bits, half: Bits, key: Bits) -> Bits:
    """Return numbers of twice ``half`` bits put through the network once."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = value >> half, value & mask
    for _ in range(ROUNDS):
        key = key + STEP
        left, right = right, left ^ (stirred(key + right) & mask)
    return (left << half) | right
