"""What follows from all lines of the book: the last word about every face and every person.

A line that an undo names does not hold, and an undo that is undone is as if it had never been. Of what is left, the
last line about a face decides its status, the last relabel or split its label; who is one person is settled after
that (``people.py``). What was overruled on the way is listed, since somebody may have meant it.

Shape key: N lines, E mentions of a face by a line, C faces, K decisions about people.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.ledger import people
from omokage.ledger.conflicts import Conflict, Mentions, lost_shots, of_people

FACES: Final = pa.schema(
    [
        pa.field("face_id", pa.string()),
        pa.field("status", pa.string()),  # schema.FaceStatus
        pa.field("into", pa.string()),  # of a duplicate, the face that is kept for it
        pa.field("status_line", pa.int64()),  # that decided the status; null where none did
        pa.field("do", pa.string()),  # of that line
        pa.field("label", pa.string()),  # identity instead of the source's; null where none was given
        pa.field("label_line", pa.int64()),
    ]
)
"""Every face that some line is about, once, in the order of the lines."""

STATUS: Final = {"keep": 0, "drop_face": 1, "drop_duplicate": 2}
"""Decisions about a face's status, by the place of the status in ``schema.FaceStatus``."""

LABEL: Final = ("relabel", "split")

PEOPLE: Final = ("merge", "different")


class Fold:
    """What follows from the lines."""

    def __init__(self, lines: pa.Table) -> None:
        self._lines = lines.combine_chunks()
        self.lines = lines.num_rows
        """How many there are."""
        self._wrong_undos: list[Conflict] = []
        self.active_N = self._standing()
        """Whether a line is not undone. Shape (N,)."""
        self._face_ids, self._status, self._label = self._mentions()
        self.faces = self._faces()
        """``FACES``."""
        self._at, self._names, self._people = self._settled()
        name = self._names.__getitem__
        self.people = {name(person): name(by) for person, by in self._people.goes_by.items()}
        """Identity to the name that it goes by, where that is another."""
        self.people_line = {name(person): int(self._at[k]) + 1 for person, k in self._people.since.items()}
        """The same identities to the line that made it so."""
        self.different = frozenset(tuple(sorted((name(a), name(b)))) for a, b in self._people.different)
        """Pairs of identities that are two people, each pair in order."""

    def name(self, identity: str) -> str:
        """Return the name that an identity goes by."""
        return self.people.get(identity, identity)

    @property
    def kinds(self) -> pa.ChunkedArray:
        """What each line does. Shape (N,)."""
        return self._lines["do"]

    @cached_property
    def conflicts(self) -> tuple[Conflict, ...]:
        """What does not fit, the newest first."""
        found = [
            *self._wrong_undos,
            *self._clashes(self._status),
            *self._clashes(self._label),
            *lost_shots(self.faces),
            *of_people(self._people, lambda k: int(self._at[k]) + 1, self._said_of_people, self._names.__getitem__),
        ]
        return tuple(sorted(found, key=lambda conflict: (-conflict.line, -conflict.earlier, conflict.sentence)))

    def _standing(self) -> NDArray[np.bool_]:
        """Return whether each line is not undone; an undo stands before what it undoes is looked at."""
        active_N = np.ones(self.lines, np.bool_)
        rows = np.flatnonzero(pc.equal(self._lines["do"], "undo").to_numpy())[::-1]
        for row, undoes in zip(rows.tolist(), self._lines["undoes"].take(rows).to_pylist(), strict=True):
            if not 1 <= undoes <= row:
                said = f"line {row + 1} undoes line {undoes}, which is not before it: nothing is undone"
                self._wrong_undos.append(Conflict(row + 1, 0, said))
            elif active_N[row]:
                active_N[undoes - 1] = False
        return active_N

    def _mentions(self) -> tuple[pa.Array, Mentions, Mentions]:
        """Return the faces, and what lines that stand say of their status and of their label."""
        lines = self._lines
        faces = _one_chunk(lines["faces"])
        line_E = pc.list_parent_indices(faces).to_numpy()
        stands_E = self.active_N[line_E]
        coded = pc.list_flatten(faces).filter(pa.array(stands_E)).dictionary_encode()
        line_E, face_E = line_E[stands_E], coded.indices.to_numpy().astype(np.int64)
        status_N = pc.fill_null(pc.index_in(lines["do"], value_set=pa.array(list(STATUS))), -1).to_numpy()
        label_N = pc.is_in(lines["do"], value_set=pa.array(LABEL)).to_numpy()
        into_N = _one_chunk(lines["into"]).dictionary_encode().indices.fill_null(-1).to_numpy()
        about, named = status_N[line_E] >= 0, label_N[line_E]
        gone_E = (status_N[line_E[about]] > 0).astype(
            np.int64
        )  # to drop it and to drop it as a duplicate is no conflict
        status = Mentions(face_E[about], line_E[about] + 1, gone_E)
        label = Mentions(face_E[named], line_E[named] + 1, into_N[line_E[named]].astype(np.int64))
        return coded.dictionary, status, label

    def _faces(self) -> pa.Table:
        lines, count = self._lines, len(self._face_ids)
        row_C = _row(self._status, count)
        label_C = _row(self._label, count)
        do = lines["do"].take(row_C)
        place = pc.fill_null(pc.index_in(do, value_set=pa.array(list(STATUS))), 0)
        into = lines["into"].take(row_C)  # of a line that says what is kept instead; null of the others
        columns = {
            "face_id": self._face_ids,
            "status": pa.array(get_args(schema.FaceStatus)).take(place.combine_chunks()),
            "into": into,
            "status_line": pc.add(row_C, 1),
            "do": do,
            "label": lines["into"].take(label_C),
            "label_line": pc.add(label_C, 1),
        }
        return pa.table([columns[field.name] for field in FACES], schema=FACES)

    def _settled(self) -> tuple[NDArray[np.int64], list[str], people.People]:
        """Return the rows about people that stand, the names in them, and what holds."""
        about = pc.is_in(self._lines["do"], value_set=pa.array(PEOPLE)).to_numpy()
        rows = np.flatnonzero(about & self.active_N)
        some = self._lines.select(["do", "person", "into"]).take(rows)
        both = pa.chunked_array([*some["person"].chunks, *some["into"].chunks], pa.string())
        coded = _one_chunk(both).dictionary_encode()
        names = coded.dictionary.to_pylist()
        person_K, into_K = np.split(coded.indices.to_numpy(), 2)
        merge_K = pc.equal(some["do"], "merge").to_pylist()
        return rows, names, people.settle(person_K.tolist(), into_K.tolist(), merge_K)

    def _clashes(self, mentions: Mentions) -> Iterator[Conflict]:
        for late, early, count, face in mentions.clashes():
            now, before = self._row_of(late - 1), self._row_of(early - 1)
            if now["do"] == "split" and self.name(now["person"]) == self.name(before["into"]):
                continue  # it says itself what was there before
            whom = _some(count, str(self._face_ids[face]))
            yield Conflict(late, early, f"line {late} {_said(now)} {whom} which line {early} {_said(before)}")

    def misplaced(self, faces: pa.Table) -> Iterator[Conflict]:
        """Yield where a line takes a face out of a person to whom it did not belong.

        Args:
            faces: Of the dataset: ``face_id`` and ``was``.
        """
        first = self._label.first()
        split_N = pc.equal(self._lines["do"], "split").to_numpy()
        first = first[split_N[self._label.line_E[first] - 1]]
        ids = self._face_ids.take(self._label.face_E[first])
        was = faces["was"].take(pc.index_in(ids, value_set=faces["face_id"]))
        found = pa.table({"line": self._label.line_E[first], "was": was, "face": ids}).filter(pc.is_valid(was))
        groups = found.group_by(["line", "was"]).aggregate([("face", "count"), ("face", "min")])
        for row in groups.sort_by([("line", "ascending"), ("was", "ascending")]).to_pylist():
            line, person = row["line"], self._row_of(row["line"] - 1)["person"]
            if self.name(row["was"]) != self.name(person):
                whom = _some(row["face_count"], row["face_min"])
                yield Conflict(line, 0, f"line {line} takes out of {person} {whom} of {row['was']}")

    def _said_of_people(self, k: int) -> str:
        row = self._row_of(int(self._at[k]))
        if row["do"] == "merge":
            return f"{row['person']} is {row['into']}"
        return f"{row['person']} and {row['into']} are two people"

    def _row_of(self, row: int) -> dict[str, str]:
        return {name: self._lines[name][row].as_py() for name in ("do", "person", "into")}


def fold(lines: pa.Table) -> Fold:
    """Return what follows from ``lines`` (``schema.LEDGER``), which are all up to some number, from the first."""
    return Fold(lines)


def _some(count: int, face: str) -> str:
    return f"face {face}" if count == 1 else f"{count:,} faces, {face} for one,"


def _said(row: dict[str, str]) -> str:
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


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # pyarrow keeps a column of no chunks chunked
        return pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    return array


def _row(mentions: Mentions, faces: int) -> pa.Array:
    """Return the row of the last line about each face, null where there is none."""
    last_C = mentions.last(faces)
    line_C = np.append(mentions.line_E, 0)[last_C]
    return pa.array(line_C - 1, pa.int64(), mask=last_C < 0)
