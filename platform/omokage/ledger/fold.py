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
from omokage.ledger import conflicts, people
from omokage.ledger.conflicts import Conflict, Mentions

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

READ: Final = ["do", "faces", "person", "into", "undoes"]
"""Columns that decide."""


class Fold:
    """What follows from the lines."""

    def __init__(self, lines: pa.Table) -> None:
        if lines.num_rows and lines["number"][0].as_py() != 1:
            raise ValueError("what follows from decisions needs all of them, from the first")
        self._lines = lines.select(READ).combine_chunks()
        self.lines = lines.num_rows
        """How many there are."""
        self._astray: list[Conflict] = []
        self.active_N = self._standing()
        """Whether a line is not undone. Shape (N,)."""
        self._face_ids, self._status, self._label = self._mentions()
        self.faces = self._faces()
        """``FACES``."""
        self._row_K, self._names, self._people = self._settled()
        name = self._names.__getitem__
        self.people = {name(person): name(by) for person, by in self._people.goes_by.items()}
        """Identity to the name that it goes by, where that is another."""
        self.people_line = {name(person): int(self._row_K[k]) + 1 for person, k in self._people.since.items()}
        """The same identities to the line that made it so."""
        self.different = self._different()
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
            *self._astray,
            *conflicts.of_faces(self._lines, self._status, self._face_ids, self.name),
            *conflicts.of_faces(self._lines, self._label, self._face_ids, self.name),
            *conflicts.without_effect(self._lines, self.active_N, self.people, self.people_line),
            *conflicts.lost_shots(self.faces),
            *conflicts.of_people(self._lines, self._row_K, self._people, self._names),
        ]
        return tuple(sorted(found, key=lambda conflict: (-conflict.line, -conflict.earlier, conflict.sentence)))

    def misplaced(self, faces: pa.Table) -> Iterator[Conflict]:
        """Yield where a line takes a face out of a person to whom it did not belong.

        Args:
            faces: Of the dataset: ``face_id`` and ``was``.
        """
        return conflicts.misplaced(self._lines, self._label, self._face_ids, faces, self.name)

    def _standing(self) -> NDArray[np.bool_]:
        """Return whether each line is not undone; an undo stands before what it undoes is looked at."""
        active_N = np.ones(self.lines, np.bool_)
        rows = np.flatnonzero(pc.equal(self._lines["do"], "undo").to_numpy())[::-1]
        for row, undoes in zip(rows.tolist(), self._lines["undoes"].take(rows).to_pylist(), strict=True):
            if not 1 <= undoes <= row:
                said = f"line {row + 1} undoes line {undoes}, which is not before it: nothing is undone"
                self._astray.append(Conflict(row + 1, 0, said))
            elif active_N[row]:
                active_N[undoes - 1] = False
        return active_N

    def _mentions(self) -> tuple[pa.Array, Mentions, Mentions]:
        """Return the faces, and what lines that stand say of their status and of their label."""
        lines = self._lines
        faces = schema.whole(lines["faces"])
        line_E = pc.list_parent_indices(faces).to_numpy()
        stands_E = self.active_N[line_E]
        coded = pc.list_flatten(faces).filter(pa.array(stands_E)).dictionary_encode()
        line_E, face_E = line_E[stands_E], coded.indices.to_numpy().astype(np.int64)
        status_N = pc.fill_null(pc.index_in(lines["do"], value_set=pa.array(list(STATUS))), -1).to_numpy()
        label_N = pc.is_in(lines["do"], value_set=pa.array(LABEL)).to_numpy()
        into_N = np.full(self.lines, -1)
        into_N[label_N] = schema.whole(lines["into"].filter(pa.array(label_N))).dictionary_encode().indices.to_numpy()
        about_E, named_E = status_N[line_E] >= 0, label_N[line_E]
        gone_E = np.minimum(status_N[line_E[about_E]], 1)  # dropped, and dropped as a duplicate, is no conflict
        status = Mentions(face_E[about_E], line_E[about_E] + 1, gone_E.astype(np.int64))
        label = Mentions(face_E[named_E], line_E[named_E] + 1, into_N[line_E[named_E]])
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
        coded = schema.whole(both).dictionary_encode()
        person_K, into_K = np.split(coded.indices.to_numpy().astype(np.int64), 2)
        merge_K = pc.equal(some["do"], "merge").to_numpy()
        return rows, coded.dictionary.to_pylist(), people.settle(person_K, into_K, merge_K)

    def _different(self) -> frozenset[tuple[str, str]]:
        a_D, b_D = self._people.different_D2.T
        rank_P = np.argsort(np.argsort(pa.array(self._names, pa.string()).to_numpy(zero_copy_only=False)))
        turned_D = rank_P[a_D] > rank_P[b_D]
        first, second = np.where(turned_D, b_D, a_D).tolist(), np.where(turned_D, a_D, b_D).tolist()
        name = self._names.__getitem__
        return frozenset(zip(map(name, first), map(name, second), strict=True))


def fold(lines: pa.Table) -> Fold:
    """Return what follows from ``lines`` (``schema.LEDGER``), which are all up to some number, from the first."""
    return Fold(lines)


def _row(mentions: Mentions, faces: int) -> pa.Array:
    """Return the row of the last line about each face, null where there is none."""
    last_C = mentions.last(faces)
    line_C = np.append(mentions.line_E, 0)[last_C]
    return pa.array(line_C - 1, pa.int64(), mask=last_C < 0)
