"""The chips of a split, mapped from the dataset's shards."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage.store import Dataset


class Chips:
    """Chips (JPEG) by row of a split's table; none is held in memory."""

    def __init__(self, data: Dataset, table: pa.Table, cache: Path | None = None) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        """Return how many there are."""
        raise NotImplementedError

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """Return a chip's bytes, mapped."""
        raise NotImplementedError

    def face_id(self, row: int) -> str:
        """Return whose chip it is."""
        raise NotImplementedError
