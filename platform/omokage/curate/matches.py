"""What a join found, as tables: sorted, with names instead of rows, and no more in memory than a part of it.

The matches lie in any order in many parts. They are put into order by taking the people in runs whose matches fit
into memory; the parts are read once for each run.

Shape key: M matches, N faces, P people.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.gallery import Gallery
from omokage.curate.hits import Hits, aggregate

Parts = Callable[[], Iterable[NDArray[np.void]]]
"""Return the matches part by part: columns a, b (rows) and similarity."""

AT_ONCE: Final = 1_000_000
"""Matches to sort at once; with names some 300 MB."""


@dataclass(frozen=True)
class Matches:
    """Pairs of faces of different people."""

    parts: Parts
    gallery: Gallery
    threshold: float

    def sorted(self) -> Iterator[NDArray[np.void]]:
        """Yield all matches at or above the threshold, by identity a, identity b, falling similarity, face_ids.

        Of two people, a is the one whose name comes first. No pair of people lies in two pieces.
        """
        runs = self._runs
        if len(runs) == 1:
            yield self._only
        else:
            yield from (self._sorted(*run) for run in runs)

    @cached_property
    def _only(self) -> NDArray[np.void]:
        """All matches, where they are few enough: put into order once, whoever asks."""
        return self._sorted(*self._runs[0])

    def _sorted(self, first: int, end: int) -> NDArray[np.void]:
        """Return the matches whose person a is one of a range of labels."""
        label_N, place_N, chosen = self.gallery.label_N, self._place_N, []
        for part in self._live():
            turned = label_N[part["a"]] > label_N[part["b"]]
            part["a"][turned], part["b"][turned] = part["b"][turned], part["a"][turned]
            label_M = label_N[part["a"]]
            chosen.append(part[(label_M >= first) & (label_M < end)])
        run = np.concatenate(chosen)
        faces = place_N[run["a"]] * len(place_N) + place_N[run["b"]]
        people = label_N[run["a"]].astype(np.int64) << 32 | label_N[run["b"]]
        return run[np.lexsort((faces, -run["similarity"], people))]

    def hits(self) -> Hits:
        """Return the matches by pair of people."""
        label_N = self.gallery.label_N
        return Hits.join([aggregate(run["a"], run["b"], run["similarity"], label_N) for run in self.sorted()])

    def tables(self) -> Iterator[pa.Table]:
        """Yield ``schema.COLLISIONS``, piece by piece, in order."""
        for run in self.sorted():
            yield named(self.gallery, run["a"], run["b"], run["similarity"])

    @cached_property
    def _place_N(self) -> NDArray[np.int64]:  # noqa: N802 - a shape suffix
        """Where each row comes among its person's, by face_id."""
        place_N = np.empty(len(self.gallery.label_N), np.int64)
        place_N[self.gallery.order] = np.arange(len(place_N))
        return place_N

    def _live(self) -> Iterator[NDArray[np.void]]:
        """Yield the matches that count: of two people who are still there, high enough."""
        label_N = self.gallery.label_N
        for part in self.parts():
            label_a, label_b = label_N[part["a"]], label_N[part["b"]]
            good = (label_a >= 0) & (label_b >= 0) & (label_a != label_b)
            yield part[good & (part["similarity"] >= np.float32(self.threshold))]

    @cached_property
    def _runs(self) -> list[tuple[int, int]]:
        """Ranges of labels (first, end) whose matches can be sorted at once, or one label with more."""
        label_N = self.gallery.label_N
        count_P = np.zeros(len(self.gallery.names), np.int64)
        for part in self._live():
            label_M = np.minimum(label_N[part["a"]], label_N[part["b"]])
            count_P += np.bincount(label_M, minlength=len(count_P))
        upto_P1 = np.concatenate([[0], np.cumsum(count_P)])
        first, runs = 0, []
        while first < len(count_P):
            end = max(first + 1, int(np.searchsorted(upto_P1, upto_P1[first] + AT_ONCE, side="right")) - 1)
            if upto_P1[end] > upto_P1[first]:
                runs.append((first, end))
            first = end
        return runs


def named(gallery: Gallery, a: NDArray[np.int64], b: NDArray[np.int64], similarity: NDArray[np.float32]) -> pa.Table:
    """Return pairs of rows as ``schema.COLLISIONS``."""
    some = gallery.faces.select(["face_id", "uri", "identity"])
    table_a, table_b = some.take(pa.array(a)), some.take(pa.array(b))
    columns = [table[name] for name in some.column_names for table in (table_a, table_b)]
    return pa.table([*columns, pa.array(similarity.astype(np.float32))], schema=schema.COLLISIONS)
