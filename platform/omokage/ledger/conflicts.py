"""Decisions that contradict each other, in words. The later one holds; both stay in the book.

Shape key: N lines; E mentions of a face by a line, from the oldest to the newest; C faces; K decisions about people.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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

    def first(self) -> NDArray[np.int64]:
        """Return the first mention of each face that is mentioned."""
        return np.unique(self.face_E, return_index=True)[1]

    def clashes(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of lines that say different things of a face, one after the other, the later line first.

        With them, of how many faces that is so, and one of the faces.
        """
        order = np.argsort(self.face_E, kind="stable")
        face, line, effect = self.face_E[order], self.line_E[order], self.effect_E[order]
        at = 1 + np.flatnonzero((face[1:] == face[:-1]) & (line[1:] != line[:-1]) & (effect[1:] != effect[:-1]))
        pairs, first, count = np.unique(
            np.stack([line[at], line[at - 1]], axis=1), axis=0, return_index=True, return_counts=True
        )
        return pairs, count, face[at[first]]


def of_faces(lines: pa.Table, mentions: Mentions, ids: pa.Array, name: Callable[[str], str]) -> Iterator[Conflict]:
    """Yield where two lines say different things of a face.

    Args:
        lines: ``schema.LEDGER``.
        mentions: What they say.
        ids: The faces' ids.
        name: Gives the name that an identity goes by.
    """
    pairs, count, face = mentions.clashes()
    said = lines.select(["do", "person", "into"])
    late, early = (said.take(pairs[:, side] - 1).to_pylist() for side in (0, 1))
    facts = zip(pairs.tolist(), late, early, count.tolist(), ids.take(face).to_pylist(), strict=True)
    for (line, before), now, then, faces, one in facts:
        if now["do"] == "split" and name(now["person"]) == name(then["into"]):
            continue  # it says itself what was there before
        yield Conflict(line, before, f"line {line} {_does(now)} {_some(faces, one)} which line {before} {_does(then)}")


def without_effect(
    lines: pa.Table, active_N: NDArray[np.bool_], goes_by: dict[str, str], since: dict[str, int]
) -> Iterator[Conflict]:
    """Yield where a split takes faces out of a person as somebody who is the same person, so that they stay.

    Args:
        lines: ``schema.LEDGER``.
        active_N: Whether each is not undone.
        goes_by: Identity to the name that it goes by, where that is another.
        since: The same identities to the line that made it so.
    """
    rows = np.flatnonzero(pc.equal(lines["do"], "split").to_numpy() & active_N)
    columns = (lines[name].take(rows).to_pylist() for name in ("person", "into"))
    for row, person, into in zip(rows.tolist(), *columns, strict=True):
        name = goes_by.get(into, into)
        if name == goes_by.get(person, person):
            by = max(since.get(into, 0), since.get(person, 0))
            late, early = max(row + 1, by), min(row + 1, by)
            said = f"line {row + 1} takes faces out of {person} as {into}, and both go by {name}"
            yield Conflict(late, early, said + (f" since line {by}: they stay" if by else ": they stay"))


def misplaced(
    lines: pa.Table, mentions: Mentions, ids: pa.Array, faces: pa.Table, name: Callable[[str], str]
) -> Iterator[Conflict]:
    """Yield where a split takes a face out of a person to whom it did not belong.

    Args:
        lines: ``schema.LEDGER``.
        mentions: What they say of faces' labels.
        ids: The faces' ids.
        faces: Of the dataset: ``face_id`` and ``was``.
        name: Gives the name that an identity goes by.
    """
    first = mentions.first()
    split_N = pc.equal(lines["do"], "split").to_numpy()
    first = first[split_N[mentions.line_E[first] - 1]]
    mine = ids.take(mentions.face_E[first])
    at = pc.index_in(mine, value_set=faces["face_id"])
    found = pa.table({"line": mentions.line_E[first], "was": faces["was"].take(at), "face": mine})
    groups = found.filter(pc.is_valid(at)).group_by(["line", "was"]).aggregate([("face", "count"), ("face", "min")])
    groups = groups.sort_by([("line", "ascending"), ("was", "ascending")])
    people = lines["person"].take(pc.subtract(groups["line"], 1)).to_pylist()
    for row, person in zip(groups.to_pylist(), people, strict=True):
        line, was = row["line"], row["was"]
        if was is None or name(was) != name(person):
            whom = _some(row["face_count"], row["face_min"])
            yield Conflict(line, 0, f"line {line} takes out of {person} {whom} of {was or 'nobody'}")


def lost_shots(faces: pa.Table) -> Iterator[Conflict]:
    """Yield where a face was dropped as a duplicate of one that is dropped too, so that nothing of the shot is left.

    Args:
        faces: ``fold.FACES``.
    """
    gone = faces.filter(pc.not_equal(faces["status"], "kept"))
    into = dict(zip(gone["face_id"].to_pylist(), gone["into"].to_pylist(), strict=True))
    line = dict(zip(gone["face_id"].to_pylist(), gone["status_line"].to_pylist(), strict=True))
    for face, best in into.items():
        if best not in into:
            continue
        seen, end = {face}, best
        while end in into and end not in seen:  # a duplicate of a duplicate
            seen.add(end)
            end = into[end]
        if end is None or end in seen:
            late, early = max(line[face], line[best]), min(line[face], line[best])
            yield Conflict(
                late,
                early if early != late else 0,
                f"face {face} is dropped as a duplicate of {best} (line {line[face]}), which is dropped too "
                f"(line {line[best]}): nothing is left of that shot",
            )


def of_people(lines: pa.Table, row_K: NDArray[np.int64], people: People, names: list[str]) -> Iterator[Conflict]:
    """Yield the conflicts about people.

    Args:
        lines: ``schema.LEDGER``.
        row_K: Row of each decision.
        people: What holds.
        names: Of the people.
    """

    def says(k: int) -> tuple[int, str]:
        row = {name: lines[name][int(row_K[k])].as_py() for name in ("do", "person", "into")}
        said = "{person} is {into}" if row["do"] == "merge" else "{person} and {into} are two people"
        return int(row_K[k]) + 1, said.format_map(row)

    for lost in people.overruled:
        (early, then), (late, now) = says(lost.decision), says(lost.by)
        yield Conflict(late, early, f"line {early} says that {then}, and line {late}, which holds, that {now}")
    for renamed in people.renamed:
        (early, _), (late, now) = says(renamed.before), says(renamed.decision)
        yield Conflict(late, early, f"line {late} says that {now}; they were one already, as {names[renamed.old]}")


def _some(count: int, face: str) -> str:
    return f"face {face}" if count == 1 else f"{count:,} faces, {face} for one,"


def _does(row: dict[str, str]) -> str:
    """Return what a line does to a face, in words."""
    match row["do"]:
        case "keep":
            return "keeps"
        case "drop_face":
            return "drops"
        case "drop_duplicate":
            return "drops as a duplicate"
        case "split":
            return f"takes out of {row['person']} as {row['into']}"
    return f"gives to {row['into']}"
