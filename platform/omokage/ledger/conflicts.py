"""Decisions that contradict each other, in words. The later one holds; both stay in the book.

Shape key: E mentions of a face by a line, from the oldest to the newest; C faces.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage.ledger.people import People


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two lines that do not fit each other."""

    line: int
    """The later one, which holds."""
    earlier: int
    """The one that does not hold, or not for all that it is about; 0 where one line alone does not fit."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Mentions:
    """What lines that are not undone say of faces."""

    face_E: NDArray[np.int64]
    """Number of the face."""
    line_E: NDArray[np.int64]
    effect_E: NDArray[np.int64]
    """What becomes of the face; equal where two lines say the same."""

    def last(self, faces: int) -> NDArray[np.int64]:
        """Return the last mention of each face, -1 for one that is not mentioned."""
        last_C = np.full(faces, -1)
        last_C[self.face_E] = np.arange(len(self.face_E))  # of several, the last stays
        return last_C

    def clashes(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield lines that say different things of a face, one after the other: both, how many faces, and one face."""
        order = np.argsort(self.face_E, kind="stable")
        face, line, effect = self.face_E[order], self.line_E[order], self.effect_E[order]
        at = 1 + np.flatnonzero((face[1:] == face[:-1]) & (line[1:] != line[:-1]) & (effect[1:] != effect[:-1]))
        pairs, first, count = np.unique(
            np.stack([line[at], line[at - 1]], axis=1), axis=0, return_index=True, return_counts=True
        )
        yield from zip(*pairs.T.tolist(), count.tolist(), face[at[first]].tolist(), strict=True)

    def first(self) -> NDArray[np.int64]:
        """Return the first mention of each face that is mentioned."""
        return np.unique(self.face_E, return_index=True)[1]


def lost_shots(faces: pa.Table) -> Iterator[Conflict]:
    """Yield where a face was dropped as a duplicate of one that is dropped too, so that nothing of the shot is left.

    Args:
        faces: ``fold.FACES``.
    """
    gone = faces.filter(pa.array(faces["status"].to_numpy() != "kept"))
    into = dict(zip(gone["face_id"].to_pylist(), gone["into"].to_pylist(), strict=True))
    line = dict(zip(gone["face_id"].to_pylist(), gone["status_line"].to_pylist(), strict=True))
    for face, best in into.items():
        seen, end = {face}, best
        while end is not None and end in into and end not in seen:  # a duplicate of a duplicate
            seen.add(end)
            end = into[end]
        if best is not None and (end is None or end in seen):
            late, early = max(line[face], line[best]), min(line[face], line[best])
            yield Conflict(
                late,
                early if early != late else 0,
                f"face {face} is dropped as a duplicate of {best} (line {line[face]}), which is dropped too "
                f"(line {line[best]}): nothing is left of that shot",
            )


def of_people(
    people: People, number: Callable[[int], int], said: Callable[[int], str], name: Callable[[int], str]
) -> Iterator[Conflict]:
    """Yield the conflicts about people.

    Args:
        people: What holds.
        number: Gives a decision's line.
        said: Gives what a decision says, as in "A and B are two people".
        name: Gives a person's name.
    """
    for lost in people.overruled:
        late, early = number(lost.by), number(lost.decision)
        yield Conflict(
            late,
            early,
            f"line {early} says that {said(lost.decision)}, and line {late}, which holds, that {said(lost.by)}",
        )
    for renamed in people.renamed:
        late, early = number(renamed.decision), number(renamed.before)
        yield Conflict(
            late,
            early,
            f"line {late} says that {said(renamed.decision)}; they were one already, as {name(renamed.old)}",
        )
