"""The faces of a dataset as the finders see them: a row a face, people as runs of rows.

Shape key: N faces, P people, D numbers of an embedding.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema

NOBODY: Final = -1
"""Label of faces that belong to no person, or whose vector cannot be used."""

COLUMNS: Final = ["face_id", "uri", "sha256", "identity", "score", *schema.QUALITY_NAMES]
"""What is known of a face beside its vector and its chip."""


class Vectors(Protocol):
    """Embeddings by row, in memory or mapped; unit length."""

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        """Return the vectors of an array or slice of rows, shape (n, D)."""


@dataclass(frozen=True)
class Gallery:
    """Faces, numbered by row."""

    faces: pa.Table
    """``COLUMNS``, N rows; may be mapped from disk, so take rows before looking."""
    vectors: Vectors
    label_N: NDArray[np.int32]
    """Number of the person; ``NOBODY`` for none."""
    names: list[str]
    """Identity of each label."""
    chips: Callable[[NDArray[np.int64]], list[bytes]]
    """Return the chips (JPEG) of some rows; empty where a dataset has none."""

    @cached_property
    def rank(self) -> NDArray[np.int64]:
        """Each row's place by face_id."""
        return ranked(self.faces["face_id"])

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Rows sorted by label, then by face_id: people are runs, ``NOBODY`` first. No matter how rows are stored."""
        return np.lexsort((self.rank, self.label_N))

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """Where each person's run begins in ``order``, and the end of the last."""
        return np.searchsorted(self.label_N[self.order], np.arange(len(self.names) + 1))

    def with_vectors(self, vectors: Vectors) -> "Gallery":
        """Return the same rows and people with other vectors."""
        other = replace(self, vectors=vectors)
        other.__dict__.update(rank=self.rank, order=self.order)  # sorting ten million ids takes its time
        return other

    def with_labels(self, label_N: NDArray[np.int32]) -> "Gallery":
        """Return the same rows with other labels."""
        other = replace(self, label_N=label_N)
        other.__dict__.update(rank=self.rank)
        return other

    def rows(self, label: int) -> NDArray[np.int64]:
        """Return the rows of a person, sorted by face_id."""
        return self.order[self.bounds[label] : self.bounds[label + 1]]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many faces each person has."""
        return np.diff(self.bounds)

    def people(self, faces_at_once: int = 8192) -> Iterator[tuple[int, int]]:
        """Yield ranges of labels (first, end) with so many faces together, or one person who alone has more."""
        first = 0
        while first < len(self.names):
            limit = self.bounds[first] + faces_at_once
            end = max(first + 1, int(np.searchsorted(self.bounds, limit, side="right")) - 1)
            yield first, end
            first = end


def ranked(ids: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the place of each of some different ids in their order."""
    rank_N = np.empty(len(ids), np.int64)
    rank_N[pc.array_sort_indices(ids.combine_chunks()).to_numpy()] = np.arange(len(ids))
    return rank_N


def labelled(identity: pa.ChunkedArray, usable_N: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[str]]:
    """Return labels and names of an identity column; names are sorted, so labels do not depend on the order."""
    names = sorted(name for name in pc.unique(identity).to_pylist() if name is not None)
    label_N = pc.index_in(identity, value_set=pa.array(names, pa.string())).fill_null(NOBODY)
    numbers_N = label_N.to_numpy().astype(np.int32)
    numbers_N[~usable_N] = NOBODY
    return numbers_N, names
