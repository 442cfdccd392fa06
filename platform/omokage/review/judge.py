"""From what was pressed on the page to decisions; faces and people are named by number, new people in words.

A request is a JSON object:
    n        number of the finding; absent on a person's page
    action   same, different, keep, drop, move
    picked   rows of faces
    stays    same: code of the person whose name stays
    into     move: code of the person who gets the faces, or the name of a new one; of two people, the other without it
    person   without a finding: code of the person whose page it is
    names    different, of a mixed folder: the name of each part, in order; the first keeps the folder's
"""

import unicodedata
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

from omokage.errors import OmokageError
from omokage.ledger.decision import Decision
from omokage.review.items import Items

NAME_LONGEST: Final = 200
"""Bytes of a new person's name, so that a folder can be called so."""


class RequestError(OmokageError):
    """A request that cannot be a decision."""


class Judge:
    """Turns requests into decisions."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._faces, self._queue, self._state = items.faces, items.queue, items.state

    def decisions(self, said: dict[str, Any]) -> list[Decision]:
        """Return the decisions that a request asks for.

        Raises:
            RequestError: It names what is not there, or says too little.
        """
        if "n" not in said:
            return self._of_person(said)
        number = whole(said["n"], len(self._queue), "finding")
        kinds: dict[str, Callable[[int, dict[str, Any]], list[Decision]]] = {
            "people": self._people,
            "outlier": self._outlier,
            "mixed": self._mixed,
        }
        return kinds.get(self._queue.kind(number), self._cluster)(number, said)

    def _people(self, number: int, said: dict[str, Any]) -> list[Decision]:
        finding, action = self._queue.id(number), said.get("action")
        a, b = int(self._queue.a_Q[number]), int(self._queue.b_Q[number])
        if action == "same":
            stays = whole(said.get("stays"), len(self._state.names), "person")
            if stays not in (a, b):
                raise RequestError("one of the two names must stay")
            goes = a if stays == b else b
            return [Decision(do="merge", person=self._name(goes), into=self._name(stays), finding=finding)]
        if action == "different":
            return [Decision(do="different", person=self._name(a), into=self._name(b), finding=finding)]
        picked = self._picked(said, (a, b))
        if action == "drop":
            return [Decision(do="drop_face", faces=self._ids(picked), finding=finding)]
        if action == "move" and "into" in said:
            return [Decision(do="relabel", faces=self._ids(picked), into=self._into(said), finding=finding)]
        if action == "move":
            sides = [([row for row in picked if self._faces.was_N[row] == own], to) for own, to in ((a, b), (b, a))]
            return [
                Decision(do="relabel", faces=self._ids(rows), into=self._name(to), finding=finding)
                for rows, to in sides
                if rows
            ]
        raise RequestError(f"two people cannot be judged by {action!r}")

    def _outlier(self, number: int, said: dict[str, Any]) -> list[Decision]:
        finding, action = self._queue.id(number), said.get("action")
        faces = self._ids(self._queue.face_rows(number).tolist())
        if action == "keep":
            return [Decision(do="keep", faces=faces, finding=finding)]
        if action == "drop":
            return [Decision(do="drop_face", faces=faces, finding=finding)]
        if action == "move":
            return [Decision(do="relabel", faces=faces, into=self._into(said), finding=finding)]
        raise RequestError(f"a face cannot be judged by {action!r}")

    def _cluster(self, number: int, said: dict[str, Any]) -> list[Decision]:
        finding, action = self._queue.id(number), said.get("action")
        rows = self._queue.face_rows(number).tolist()
        if action == "keep":
            return [Decision(do="keep", faces=self._ids(rows), finding=finding)]
        picked = self._picked(said, None) if action == "drop" else []
        if action != "drop" or not set(picked) <= set(rows):
            raise RequestError(f"a cluster cannot be judged by {action!r} of these faces")
        table = self._queue.same_face.slice(self._queue.rows(number).start, len(rows)).select(["similarity", "kind"])
        stays = [
            (one["kind"] != "best", -(one["similarity"] or 0), row)
            for row, one in zip(rows, table.to_pylist(), strict=True)
            if row not in picked
        ]
        if not stays:
            raise RequestError("one face must stay")
        best = self._ids([min(stays)[2]])[0]
        return [Decision(do="drop_duplicate", faces=self._ids(picked), into=best, finding=finding)]

    def _mixed(self, number: int, said: dict[str, Any]) -> list[Decision]:
        finding, action = self._queue.id(number), said.get("action")
        code = int(self._queue.a_Q[number])
        rows = self._queue.face_rows(number)
        if action in ("same", "keep"):
            return [Decision(do="keep", faces=self._ids(rows.tolist()), finding=finding)]
        if action == "drop":
            return [Decision(do="drop_face", faces=self._ids(self._picked(said, (code,))), finding=finding)]
        if action != "different":
            raise RequestError(f"a folder cannot be judged by {action!r}")
        part = self._queue.rows(number)
        part_n = self._queue.mixed["part"].to_numpy()[part]
        numbers = sorted(set(part_n.tolist()))[1:]
        given, own = said.get("names"), self._name(code)
        names = [_other(new_name(name), own) for name in given] if isinstance(given, list) else []
        if len(names) != len(numbers) or len(set(names)) != len(names):
            raise RequestError("every part needs a name of its own")
        return [
            Decision(
                do="split",
                faces=self._ids(rows[part_n == each].tolist()),
                person=own,
                into=name,
                finding=finding,
            )
            for each, name in zip(numbers, names, strict=True)
        ]

    def _of_person(self, said: dict[str, Any]) -> list[Decision]:
        action = said.get("action")
        code = whole(said.get("person"), len(self._state.names), "person")
        if action == "same":
            return [Decision(do="merge", person=self._name(code), into=_other(self._into(said), self._name(code)))]
        if action == "different":
            return [Decision(do="different", person=self._name(code), into=_other(self._into(said), self._name(code)))]
        faces = self._ids(self._picked(said, None))
        if action == "keep":
            return [Decision(do="keep", faces=faces)]
        if action == "drop":
            return [Decision(do="drop_face", faces=faces)]
        if action == "move":
            return [Decision(do="relabel", faces=faces, into=self._into(said))]
        raise RequestError(f"there is no {action!r}")

    def _picked(self, said: dict[str, Any], of: tuple[int, ...] | None) -> list[int]:
        """Return the rows that were picked, of the faces that the source gives to some people, or of anybody's."""
        rows = said.get("picked")
        if not isinstance(rows, list) or not rows:
            raise RequestError("pick some faces first")
        rows = sorted({whole(row, len(self._faces), "face") for row in rows})
        if of is not None and any(self._faces.was_N[row] not in of for row in rows):
            raise RequestError("some of these faces belong to somebody else")
        return rows

    def _ids(self, rows: list[int]) -> tuple[str, ...]:
        ids: list[str] = self._faces.ids.take(pa.array(rows, pa.int64())).to_pylist()
        return tuple(ids)

    def _name(self, code: int) -> str:
        return self._state.names[code]

    def _into(self, said: dict[str, Any]) -> str:
        """Return the name of the person whom a request names by code, or newly in words."""
        into = said.get("into")
        return new_name(into) if isinstance(into, str) else self._name(whole(into, len(self._state.names), "person"))


def whole(value: Any, end: int, what: str) -> int:
    """Return a number in [0, ``end``).

    Raises:
        RequestError: It is none.
    """
    if type(value) is not int or not 0 <= value < end:
        raise RequestError(f"there is no such {what}")
    return value


def new_name(name: Any) -> str:
    """Return a name that a person typed, if a folder can be called so.

    Raises:
        RequestError: It cannot.
    """
    if not isinstance(name, str) or not name.strip() or name.strip() in (".", ".."):
        raise RequestError("a name is needed")
    typed = unicodedata.normalize("NFC", name.strip())
    if len(typed.encode(errors="replace")) > NAME_LONGEST:
        raise RequestError("the name is too long")
    if any(each in "/\\" or unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in typed):
        raise RequestError("a name cannot have slashes or control characters")
    return typed


def _other(name: str, own: str) -> str:
    if name == own:
        raise RequestError("that is the name of the same person")
    return name
