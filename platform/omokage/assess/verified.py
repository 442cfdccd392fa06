"""Whether two pictures show one person: what is answered, of what, and why not."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.assess.basis import Basis, FaceSeen, why_none
from omokage.assess.calibrated import Standard
from omokage.evaluate.answer import Answer
from omokage.sheet.words import count, visible

SHOWN: Final = 20
"""Pairs of a list that are shown to a person; JSON and CSV hold all."""

BAD: Final = 100
"""Bad lines of a list that a report tells of; its CSV holds all."""

COLUMNS: Final = (
    "line",
    "a",
    "b",
    "answer",
    "similarity",
    "log_likelihood_ratio",
    "face_a",
    "face_b",
    "faces_a",
    "faces_b",
    "same_file",
    "why",
)
"""Of a CSV file of answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One of two pictures."""

    picture: str
    """As it was given."""
    sha256: str | None = None
    reason: str | None = None
    """Why it gives no face (``schema.Reason``)."""
    faces: tuple[FaceSeen, ...] = ()
    """All, from left to right."""

    def chosen(self, asked: int | None, by: str) -> tuple[int | None, str]:
        """Return the number of the face to compare, or why there is none.

        Args:
            asked: The number that was asked for.
            by: What to choose one with.
        """
        name = visible(self.picture)
        if not self.faces:
            return None, f"{name}: {why_none(self.reason or 'none_found')}"
        if asked is None:
            if len(self.faces) == 1:
                return 1, ""
            return None, f"{name} shows {len(self.faces)} faces: choose one with {by}"
        if not 1 <= asked <= len(self.faces):
            return None, f"{name} has no face {asked}: it shows {count(len(self.faces), 'face')}"
        return asked, ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two pictures, and whether they show one person."""

    line: int | None = None
    """Of the list; None where two pictures were given."""
    a: Picture
    b: Picture
    face_a: int | None = None
    """Number of the face that was compared."""
    face_b: int | None = None
    answer: Answer = "cannot say"
    similarity: float | None = None
    """Cosine of the two faces' vectors, in [-1, 1]. No probability."""
    log_likelihood_ratio: float | None = None
    """Natural logarithm: how many times likelier such a similarity is between faces of one person than between faces
    of two. None where the calibration offers none. No probability either: that depends on who comes into question."""
    same_file: bool = False
    """Both are the same file, so that the similarity says nothing."""
    why: str = ""
    """Why nothing can be said; empty where something is."""

    def row(self) -> tuple[Any, ...]:
        """Return the values of ``COLUMNS``; an empty one where there is none."""
        told = (self.line, self.a.picture, self.b.picture, self.answer, self.similarity, self.log_likelihood_ratio)
        faces = (self.face_a, self.face_b, len(self.a.faces), len(self.b.faces))
        return (*told, *faces, int(self.same_file), self.why)

    def text(self) -> str:
        """Return the pair for a person, in a line."""
        where = "" if self.line is None else f"line {self.line}: "
        said = "" if self.similarity is None else f", similarity {self.similarity:.4f}"
        if self.log_likelihood_ratio is not None:
            said += f", log likelihood ratio {self.log_likelihood_ratio:.2f}"
        said += " (the same file twice)" if self.same_file else ""
        return f"{where}{self.answer}{said}" + (f": {self.why}" if self.why else "")


Known = tuple[Picture, NDArray[np.float32]]
"""A picture and the vectors of its faces, shape (F, E)."""


def compare(a: Known, b: Known, faces: tuple[int | None, int | None], standard: Standard, line: int | None) -> Pair:
    """Return whether two pictures show one person.

    Args:
        a: One picture.
        b: The other.
        faces: Numbers of the faces to compare; None where there should be only one.
        standard: What similarities are held against.
        line: Of the list that names them, if there is one.
    """
    by = (
        ("--face-a", "--face-b") if line is None else ("a number in the column face_a", "a number in the column face_b")
    )
    face_a, why_a = a[0].chosen(faces[0], by[0])
    face_b, why_b = b[0].chosen(faces[1], by[1])
    same = a[0].sha256 is not None and a[0].sha256 == b[0].sha256
    if face_a is None or face_b is None:
        why = "; ".join(filter(None, dict.fromkeys([why_a, why_b])))
        return Pair(line=line, a=a[0], b=b[0], face_a=face_a, face_b=face_b, same_file=same, why=why)
    # in double precision, so that the order of the two changes nothing
    product = a[1][face_a - 1].astype(np.float64) @ b[1][face_b - 1].astype(np.float64)
    similarity = float(np.clip(product, -1, 1))
    answer = standard.answer(similarity)
    return Pair(
        line=line,
        a=a[0],
        b=b[0],
        face_a=face_a,
        face_b=face_b,
        answer=answer,
        similarity=round(similarity, 6),
        log_likelihood_ratio=standard.log_ratio(similarity),
        same_file=same,
        why="" if answer != "cannot say" else standard.unsure(),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyReport:
    """Two pictures that were compared."""

    pair: Pair
    basis: Basis
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object; the answer is at its top."""
        pair = asdict(self.pair)
        del pair["line"]
        return json.dumps(pair | {"basis": asdict(self.basis), "seconds": self.seconds}, ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        lines = [self.pair.text()]
        for side in (self.pair.a, self.pair.b):
            if len(side.faces) > 1:
                lines.append(f"  {visible(side.picture)}: {', '.join(face.text() for face in side.faces)}")
        return "\n".join([*lines, *self.basis.lines()])


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a list that names no two pictures."""

    line: int
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ListReport:
    """Pairs of a list that were compared."""

    list: str
    pairs: int
    """Lines of the list, its head left out; every one is answered."""
    answers: dict[str, int]
    bad: int
    """Lines that name no two pictures; what is answered for them is "cannot say"."""
    bad_lines: tuple[BadLine, ...]
    """The first ``BAD`` of them."""
    results: tuple[Pair, ...]
    """Empty where they were written to a file."""
    csv: str | None
    basis: Basis
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        counted = ", ".join(f"{number:,} {answer}" for answer, number in self.answers.items())
        yield f"{count(self.pairs, 'pair')} of {visible(self.list)}: {counted}; {self.seconds:.1f} s"
        for pair in self.results[:SHOWN]:
            names = f"{visible(pair.a.picture)}  {visible(pair.b.picture)}"
            yield f"  {pair.text()}" + ("" if pair.why and pair.similarity is None else f"  {names}")
        if len(self.results) > SHOWN:
            yield f"  … and {len(self.results) - SHOWN:,} more: --csv FILE or --json tells all"
        if self.csv:
            yield f"Written: {self.csv}"
        for wrong in self.bad_lines:
            yield f"Note: line {wrong.line} is no pair: {visible(wrong.why)}"
        if self.bad > len(self.bad_lines):
            yield f"Note: {self.bad - len(self.bad_lines):,} more lines are no pairs"
        yield from self.basis.lines()
