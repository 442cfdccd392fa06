"""P people times K pictures a step: who is in which step on which rank, told by a seed alone.

Shape key: N rows of the split's table, C classes, B pictures of a rank's step.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchConfig:
    """What a step sees."""

    people: int = 16
    """People of a step on each worker, at least 1."""
    pictures: int = 4
    """Pictures of each of them, at least 1; two or more for losses that compare pictures of one person."""

    def __post_init__(self) -> None:
        """Reject empty batches."""
        for key in ("people", "pictures"):
            if getattr(self, key) < 1:
                raise ConfigError(f"batches.{key} must be at least 1, got {getattr(self, key)}")


class Batches:
    """The rows of every step of every epoch, the same on all ranks without a word between them."""

    def __init__(
        self, label_N: NDArray[np.int64], config: BatchConfig, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """Steps of an epoch: so many that as many pictures pass by as there are."""
        raise NotImplementedError

    def epoch(self, number: int, first_step: int = 0) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of this rank's steps, from a step on; shape (B,), K rows a person, one person after another."""
        raise NotImplementedError
