"""Chips to pixels, ahead of the step that needs them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.train.chips import Chips


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pictures."""

    pixels_BCHW: torch.Tensor
    """RGB, uint8; in memory pixel by pixel (channels last), pinned where there is a GPU."""
    label_B: torch.Tensor
    """int64."""
    rows: NDArray[np.int64]
    """Of the split's table. Shape (B,)."""


class Loader:
    """Decodes batches in threads, in order."""

    def __init__(self, chips: Chips, label_N: NDArray[np.int64], size: int, threads: int = 2) -> None:
        self.waited = 0.0
        """Seconds that whoever takes batches has waited for them."""
        self.skipped = 0
        """Pictures whose chip could not be decoded."""
        raise NotImplementedError

    def __call__(self, batches: Iterable[NDArray[np.int64]], replace: bool = True) -> Iterator[Batch]:
        """Yield the pictures of some rows at a time; ``replace=False`` leaves out what is unreadable (validation)."""
        raise NotImplementedError
