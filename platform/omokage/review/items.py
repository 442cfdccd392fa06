"""One finding with everything that a person needs to judge it, as JSON.

Shape key: n faces.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage.review.evidence import Evidence
from omokage.review.faces import NOBODY, Faces
from omokage.review.likeness import Likeness
from omokage.review.queue import Queue
from omokage.review.state import STATUS, State

SIDE: Final = 60
"""Faces that are shown of a person beside another one; the person's own page shows all."""

TYPICAL: Final = 24
"""Faces that are shown beside an outlier, of its folder and of the nearest other person."""

SHOTS: Final = 120
"""Faces that are shown of a cluster; what is decided is decided of all of them."""

JOINED: Final = 8
"""Pairs of faces that are shown joined."""

STRAY: Final = 0.34
"""Share of a folder's faces up to which those that are like another person are proposed to be moved there."""

FIGURES: Final = ("hits", "hit_faces_a", "hit_faces_b", "share", "best", "mean", "cross", "within_a", "within_b")


class Items:
    """Findings as the page shows them."""

    def __init__(self, faces: Faces, queue: Queue, state: State) -> None:
        self.faces, self.queue, self.state = faces, queue, state
        self.evidence = Evidence(faces.data.folder, faces)
        self.likeness = Likeness(faces)

    def item(self, number: int) -> dict[str, Any]:
        """Return a finding.

        Raises:
            DatasetError: A file of the dataset or of its findings is gone or damaged.
        """
        kind = self.queue.kind(number)
        make = {"people": self._people, "outlier": self._outlier, "mixed": self._mixed}.get(kind, self._cluster)
        line = int(self.state.marks.line_Q[number])
        head = {"n": number, "id": self.queue.id(number), "kind": kind, "state": int(self.state.states()[number])}
        return plain(head | {"decided": self.state.say(line), "folded": self.state.now.line} | make(number))

    def titles(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """Return the words with which findings stand in the list."""
        found = []
        for number in numbers:
            kind = self.queue.kind(number)
            count = int(self.queue.count_Q[number])
            names = [self.state.names[code] for code in (self.queue.a_Q[number], self.queue.b_Q[number]) if code >= 0]
            found.append({"n": number, "names": names, "what": self._what(kind, number), "count": count})
        return found

    def person(self, code: int) -> dict[str, Any]:
        """Return who a person is, and by what name they go now."""
        goes_by = self.state.goes_by(code)
        size = len(self.faces.rows(code)) if code < len(self.faces.names) else 0
        other = None if goes_by == code else {"code": goes_by, "name": self.state.names[goes_by]}
        return {"code": code, "name": self.state.names[code], "size": size, "goes_by": other}

    def face(self, row: int, **more: Any) -> dict[str, Any]:
        """Return a face, with what is known of it here beside what the dataset says."""
        return self.shown([row])[0] | more

    def shown(self, rows: list[int], near: Iterable[float | None] | None = None) -> list[dict[str, Any]]:
        """Return some faces, each with its similarity to what is asked about, if there is one."""
        found = []
        now = self.state.now
        for row, known in zip(rows, self.faces.details(rows), strict=True):
            code, was = int(now.now_N[row]), int(self.faces.was_N[row])
            moved = None if code in (was, NOBODY) else {"code": code, "name": self.state.names[code]}
            found.append({"row": row, **known, "was": was, "now": moved, "status": STATUS[int(now.status_N[row])]})
        if near is not None:
            for face, similarity in zip(found, near, strict=True):
                face["near"] = similarity
        return found

    def _what(self, kind: str, number: int) -> str:
        at = int(self.queue.first_Q[number])
        if kind == "people":
            return str(self.queue.pairs["verdict"][at].as_py())
        return str(self.queue.outliers["kind"][at].as_py()) if kind == "outlier" else kind

    def _people(self, number: int) -> dict[str, Any]:
        table, at = self.queue.pairs, int(self.queue.first_Q[number])
        said = table.slice(at, 1).to_pylist()[0]
        code_a, code_b = int(self.queue.a_Q[number]), int(self.queue.b_Q[number])
        row_a, row_b, near = self.evidence.of(code_a, code_b)
        a, b = self._side(code_a, row_a, near), self._side(code_b, row_b, near)
        pick = _stray(said, row_a, row_b)
        proposal = {"same_person": "same", "stray_face": "move" if pick else None}.get(said["verdict"])
        return {
            "verdict": said["verdict"],
            "reason": said["reason"],
            "score": said["score"],
            "figures": {name: said[name] for name in FIGURES},
            "a": a,
            "b": b,
            "joined": _apart(row_a, row_b, near, JOINED),
            "group": self._group(said["group"]),
            "pick": pick,
            "proposal": proposal,
            "stays": code_a if a["size"] >= b["size"] else code_b,
        }

    def _side(self, code: int, matching: NDArray[np.int32], near: NDArray[np.float32]) -> dict[str, Any]:
        """Return a person with the faces that are like the other's first, each with its best similarity."""
        first, at = np.unique(matching, return_index=True)  # pairs fall, so the first is the best
        order = np.argsort(at)
        first, best = first[order], near[at[order]]
        rest = np.setdiff1d(self.faces.rows(code), first)
        shown = [*zip(first.tolist(), best.tolist(), strict=True), *((row, None) for row in rest.tolist())][:SIDE]
        faces = self.shown([row for row, _ in shown], [similarity for _, similarity in shown])
        return self.person(code) | {"faces": faces, "matching": len(first)}

    def _group(self, group: int | None) -> list[dict[str, Any]]:
        """Return the people who are proposed to be one, where they are more than two."""
        if group is None:
            return []
        table = self.queue.pairs.filter(pc.equal(self.queue.pairs["group"], group))
        names = sorted({*table["identity_a"].to_pylist(), *table["identity_b"].to_pylist()})
        return [self.person(self.state.code(name)) for name in names] if len(names) > 2 else []

    def _outlier(self, number: int) -> dict[str, Any]:
        at = int(self.queue.first_Q[number])
        said = self.queue.outliers.slice(at, 1).to_pylist()[0]
        row = int(self.queue.outlier_row_S[at])
        other = int(self.queue.b_Q[number])
        kind = said["kind"]
        proposal = "drop" if kind == "stranger" else "move" if kind == "belongs_elsewhere" and other >= 0 else None
        return {
            "verdict": kind,
            "reason": said["reason"],
            "figures": {name: said[name] for name in ("score", "own", "other", "lof")},
            "face": self.face(row),
            "a": self._typical(int(self.queue.a_Q[number]), row),
            "b": self._nearest(other, row) if other >= 0 else None,
            "proposal": proposal,
        }

    def _typical(self, code: int, row: int) -> dict[str, Any]:
        rows, _ = self.likeness.typical(code)
        rows = rows[rows != row][:TYPICAL]
        near = self.likeness.to_face(row, rows)
        return self._with(code, rows, near)

    def _nearest(self, code: int, row: int) -> dict[str, Any]:
        rows = self.faces.rows(code)
        near = self.likeness.to_face(row, rows)
        order = np.argsort(-np.nan_to_num(near, nan=-2), kind="stable")[:TYPICAL]
        return self._with(code, rows[order], near[order])

    def _with(self, code: int, rows: NDArray[np.int32], near: NDArray[np.float32]) -> dict[str, Any]:
        return self.person(code) | {"faces": self.shown(rows.tolist(), near.tolist())}

    def _cluster(self, number: int) -> dict[str, Any]:
        part = self.queue.rows(number)
        table = self.queue.same_face.slice(part.start, part.stop - part.start)
        rows = self.queue.same_face_row_S[part].tolist()
        both = sorted(
            zip(rows, table.to_pylist(), strict=True),
            key=lambda each: (each[1]["kind"] != "best", each[1]["keep"], -(each[1]["similarity"] or 0)),
        )
        faces = self.shown([row for row, _ in both[:SHOTS]], [said["similarity"] for _, said in both[:SHOTS]])
        for face, (_, said) in zip(faces, both, strict=False):
            face |= {"kind": said["kind"], "keep": said["keep"], "pixels": said["pixels"], "why": said["reason"]}
        pick = [row for row, said in both if not said["keep"]]
        person = self.person(int(self.queue.a_Q[number]))
        proposal = "drop" if pick else "keep"
        return {"a": person, "count": len(rows), "faces": faces, "pick": pick, "proposal": proposal}

    def _mixed(self, number: int) -> dict[str, Any]:
        part = self.queue.rows(number)
        table = self.queue.mixed.slice(part.start, part.stop - part.start)
        rows = self.queue.mixed_row_S[part]
        part_n = table["part"].to_numpy()
        person = self.person(int(self.queue.a_Q[number]))
        parts = []
        for each in np.unique(part_n).tolist():
            mine = np.flatnonzero(part_n == each)
            first = table.slice(int(mine[0]), 1).to_pylist()[0]
            faces = self.shown(rows[mine[:SIDE]].tolist())
            name = person["name"] if each == part_n.min() else self._free(person["name"], int(each))
            parts.append(
                {"part": each, "count": len(mine), "name": name, "within": first["within"], "faces": faces}
                | {"between": first["between"]}
            )
        return {"a": person, "parts": parts, "loose": person["size"] - len(rows), "proposal": "different"}

    def _free(self, name: str, number: int) -> str:
        """Return a name for a person who had none; nobody has it yet."""
        while self.state.has(f"{name} ({number})"):
            number += 1
        return f"{name} ({number})"


def _stray(said: dict[str, Any], row_a: NDArray[np.int32], row_b: NDArray[np.int32]) -> list[int]:
    """Return the faces that probably are the other person's: where only one folder has few of those that are alike."""
    if said["verdict"] != "stray_face":
        return []
    few = [said[f"hit_faces_{side}"] <= max(1, STRAY * said[f"faces_{side}"]) for side in "ab"]
    if few[0] == few[1]:
        return []
    rows: list[int] = np.unique(row_a if few[0] else row_b).tolist()
    return rows


def _apart(
    row_a: NDArray[np.int32], row_b: NDArray[np.int32], near: NDArray[np.float32], count: int
) -> list[tuple[int, int, float]]:
    """Return the most alike pairs in which no face occurs twice; then, while there is room, those of faces shown."""
    seen: set[int] = set()
    pairs = list(zip(row_a[:4096].tolist(), row_b[:4096].tolist(), near[:4096].tolist(), strict=True))
    first: list[tuple[int, int, float]] = []
    for a, b, similarity in pairs:
        if a not in seen and b not in seen and len(first) < count:
            seen |= {a, b}
            first.append((a, b, similarity))
    rest = [pair for pair in pairs if pair not in first]
    return first if len(first) > 2 else (first + rest)[:count]


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object without what JSON cannot say: numbers that are none become null."""
    return {key: _plain(each) for key, each in value.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
