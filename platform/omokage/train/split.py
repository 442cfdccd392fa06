"""Which faces train a model, which choose it, and which judge it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.store import Dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitConfig:
    """How faces are parted."""

    split_by: Literal["people", "pictures"] = "people"
    """people: nobody of val or test is in train. pictures: everybody is in train, with other pictures (closed set)."""
    val_share: float = 0.1
    """Share that is validated on, in [0, 1)."""
    test_share: float = 0.1
    """Share that is kept for the end, in [0, 1). The rest trains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Faces by part."""

    table: pa.Table
    """``schema.SPLIT``, sorted by face_id: what is to be stored with a run."""
    notes: tuple[str, ...]
    """What a person should know of it."""

    def text(self) -> str:
        """Return the counts of each part, and the notes, for a person."""
        raise NotImplementedError


def split(data: Dataset, version: str | None, config: SplitConfig, seed: int) -> Split:
    """Return the faces of a version (None: of what the dataset is now), parted."""
    raise NotImplementedError


def labels(table: pa.Table, part: schema.Part) -> tuple[NDArray[np.int64], list[str]]:
    """Return a class id for every row of a split's table, -1 where the row is of another part; and their identities."""
    raise NotImplementedError
