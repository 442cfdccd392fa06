"""The threshold join: all pairs of faces at least so similar, list by list.

A list is joined with itself and with all faces that probe it, in products of whole blocks. A pair whose faces probe
each other's lists would come twice: it counts in the list with the smaller number. Pairs are found by codes and
scored by vectors, so every pair that is returned is at or above the threshold, with the similarity that it has in
any other company: no matter how the work is cut, the result is the same. With one list nothing is left to probe,
and the join is exact.

Two sides can be joined: those faces that are new with those that were there. Then only pairs with a new face are
looked for, and the work follows their number.

Shape key: N faces of a segment, L lists, M matches, E numbers of a code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.errors import WorkError
from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.product import above
from omokage.index.side import Side

CHUNK: Final = 1024
"""Faces of a list that are joined at once; a list of more is cut."""

SCORED: Final = 4096
"""Pairs that are scored at once."""

MATCH: Final = np.dtype([("a", np.int64), ("b", np.int64), ("similarity", np.float32)])
"""Two rows, the smaller one first."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of the work: some lists, or the ``part``-th of ``parts`` pieces of one list."""

    first: int
    end: int
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Join:
    """What is joined with what."""

    coder: Coder
    faces: Faces
    new: Side
    old: Side
    label_N: NDArray[np.int32]
    """Person of each row; rows of one person are no match, and negative ones never."""
    threshold: float
    among_new: bool = True
    """Whether pairs of two new faces count."""
    most: int = 1 << 40
    """Matches of a unit above which the work is given up."""

    def units(self, pieces: int) -> list[Unit]:
        """Return the work cut into about so many units of like cost."""
        cost_L = self._costs()
        chunks_L = np.maximum(1, -(-np.maximum(self.new.counts()[0], self.old.counts()[0]) // CHUNK))
        share, units, first, held = max(cost_L.sum() / pieces, 1.0), [], 0, 0.0
        for number, cost in enumerate(cost_L):
            if cost > 2 * share:
                if first < number:
                    units.append(Unit(first, number))
                parts = int(min(cost // share, chunks_L[number]))
                units += [Unit(number, number + 1, part, parts) for part in range(parts)]
                first, held = number + 1, 0.0
            elif held + cost > share:
                units.append(Unit(first, number + 1))
                first, held = number + 1, 0.0
            else:
                held += cost
        return [*units, Unit(first, len(cost_L))] if first < len(cost_L) else units

    def shares(self, units: list[Unit]) -> list[float]:
        """Return how many pairs of codes each of some units compares."""
        upto = np.concatenate([[0], np.cumsum(self._costs())])
        return [float(upto[unit.end] - upto[unit.first]) / unit.parts for unit in units]

    def pairs(self) -> float:
        """Return how many pairs of codes the join compares."""
        return float(self._costs().sum())

    def _costs(self) -> NDArray[np.float64]:
        """Return how many pairs of codes each list compares."""
        (here, visits), (there, others) = self.new.counts(), self.old.counts()
        inside = here * (here / 2 + visits) if self.among_new else 0.0
        return np.asarray(inside + here * (there + others) + there * visits, np.float64)

    def __call__(self, unit: Unit) -> NDArray[np.void]:
        """Return the matches of a unit, sorted by row, dtype ``MATCH``.

        Raises:
            WorkError: There are more than anybody can use.
        """
        out, count = [], 0
        for number in range(unit.first, unit.end):
            for found in self._list(number, unit):
                count += len(found)
                if count > self.most:
                    raise WorkError(
                        f"more than {self.most:,} pairs in {unit.end - unit.first} of {self.faces.lists} lists "
                        f"are at or above {self.threshold:.4f}: take a higher threshold"
                    )
                out.append(found)
        matches = np.concatenate([*out, np.zeros(0, MATCH)])
        return matches[np.lexsort((matches["b"], matches["a"]))]

    def _list(self, number: int, unit: Unit) -> Iterator[NDArray[np.void]]:
        """Yield the matches of one list."""
        here, visits = self.new.members(number), self.new.visitors(number)
        for start in range(unit.part * CHUNK, len(here[1]), unit.parts * CHUNK) if self.among_new else ():
            rest = here[0][start:], here[1][start:]
            some = rest[0][:CHUNK], rest[1][:CHUNK]
            yield from self._pairs(some, rest, upper=True)
            yield from self._pairs(some, visits, number)
        if not self.old.segments:
            return
        there, others = self.old.members(number), self.old.visitors(number)
        for start in range(unit.part * CHUNK, len(here[1]), unit.parts * CHUNK):
            some = here[0][start : start + CHUNK], here[1][start : start + CHUNK]
            yield from self._pairs(some, there)
            yield from self._pairs(some, others, number)
        for start in range(unit.part * CHUNK, len(there[1]), unit.parts * CHUNK):
            yield from self._pairs((there[0][start : start + CHUNK], there[1][start : start + CHUNK]), visits, number)

    def _pairs(
        self,
        a: tuple[torch.Tensor, NDArray[np.int64]],
        b: tuple[torch.Tensor, NDArray[np.int64]],
        visited: int | None = None,
        upper: bool = False,
    ) -> Iterator[NDArray[np.void]]:
        """Yield the matches of members of a list with ``b``: more members, or visitors of the list ``visited``."""
        if not len(a[1]) or not len(b[1]) or self._one_person(a[1], b[1]):
            return
        margin = self.coder.margin(self.faces.error, self.faces.error)
        for i, j in above(a[0], b[0], (self.threshold - margin) / self.coder.unit, upper):
            row_a, row_b = a[1][i], b[1][j]
            label_a, label_b = self.label_N[row_a], self.label_N[row_b]
            differ = np.flatnonzero((label_a != label_b) & (label_a >= 0) & (label_b >= 0))
            for start in range(0, len(differ), SCORED):
                some = differ[start : start + SCORED]
                found = self._scored(row_a[some], row_b[some])
                yield found if visited is None else self._once(found, visited)

    def _one_person(self, row_a: NDArray[np.int64], row_b: NDArray[np.int64]) -> bool:
        """Return whether all these faces are one person's, so that nothing can match."""
        label = self.label_N[row_a[0]]
        return bool(
            label == self.label_N[row_b[-1]]
            and (self.label_N[row_a] == label).all()
            and (self.label_N[row_b] == label).all()
        )

    def _scored(self, row_a: NDArray[np.int64], row_b: NDArray[np.int64]) -> NDArray[np.void]:
        similarity = self.faces.alike(row_a, row_b)
        high = similarity >= np.float32(self.threshold)
        out = np.empty(int(high.sum()), MATCH)
        out["a"], out["b"] = np.minimum(row_a, row_b)[high], np.maximum(row_a, row_b)[high]
        out["similarity"] = similarity[high]
        return out

    def _once(self, found: NDArray[np.void], visited: int) -> NDArray[np.void]:
        """Return those matches of a member and a visitor of a list that this list, and no other, must give."""
        home_a, home_b = self.faces.home(found["a"]), self.faces.home(found["b"])
        member = np.where(home_a == visited, found["a"], found["b"])
        other = np.where(home_a == visited, home_b, home_a)
        unsure = np.flatnonzero(other < visited)
        again = np.zeros(len(found), bool)
        for side in (self.new, self.old):
            again[unsure] |= side.visit(member[unsure], other[unsure])
        return found[~again]
