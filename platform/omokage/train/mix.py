"""Numbers that look like chance, made of other numbers: the same in numpy and in torch, on every machine."""

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

STEP: Final = 0x9E3779B97F4A7C15 - 2**64
FIRST: Final = 0xBF58476D1CE4E5B9 - 2**64
SECOND: Final = 0x94D049BB133111EB - 2**64

Whole = TypeVar("Whole", NDArray[np.int64], Tensor)
"""Of int64: their sums and products run over silently, and their shifts keep the sign."""


def mixed(number: Whole) -> Whole:
    """Return int64 numbers whose every bit depends on every bit of ``number``: one step of SplitMix64 from there.

    Source: Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
    """
    number = number + STEP
    number = (number ^ ((number >> 30) & (2**34 - 1))) * FIRST
    number = (number ^ ((number >> 27) & (2**37 - 1))) * SECOND
    return number ^ ((number >> 31) & (2**33 - 1))
