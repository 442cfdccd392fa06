"""Who is shown in pictures, by a gallery: what is answered, what speaks for it, and why not."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from omokage.assess.basis import Basis, FaceSeen, why_none
from omokage.assess.calibrated import Standard
from omokage.assess.enrolled import BEST, Candidate
from omokage.ledger.version import at_version
from omokage.sheet.words import count, visible

SHOWN: Final = 20
"""Pictures that are shown to a person; JSON and CSV hold all."""

NOBODY: Final = "nobody in the gallery"

Found = Literal["match", "nobody in the gallery", "cannot say"]

COLUMNS: Final = (
    "picture",
    "reason",
    "face",
    "x0",
    "y0",
    "x1",
    "y1",
    "answer",
    "rank",
    "identity",
    "identity_answer",
    "similarity",
    "log_likelihood_ratio",
    "faces",
    "above",
    "mean_of_best",
    "face_id",
    "uri",
    "same_file",
)
"""Of a CSV file of answers: a row for each candidate of each face, and for each picture without a face."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody of the gallery whom a face is like."""

    identity: str
    answer: str
    """Match, no match or cannot say: of this person alone."""
    similarity: float
    """Cosine with the person's most similar face, in [-1, 1]. No probability."""
    log_likelihood_ratio: float | None
    """Natural logarithm, of these two faces as if they were the only ones: the more faces were looked through for the
    most similar one, the less it is worth. None where the calibration offers none."""
    faces: int
    """That the person has in the gallery."""
    above: int | None
    """How many of them would be matches; None without a calibration."""
    mean_of_best: float
    """Mean similarity of the person's most similar faces."""
    face_id: str
    """Of the most similar one."""
    uri: str
    path: str
    same_file: bool
    """That picture and this one are the same file, so that the similarity says nothing."""

    def text(self) -> str:
        """Return the person for a person, in a line."""
        most = min(BEST, self.faces)
        above = "" if self.above is None else f", {self.above:,} of {count(self.faces, 'face')} would match"
        ratio = "" if self.log_likelihood_ratio is None else f", log LR {self.log_likelihood_ratio:.2f}"
        same = ", THE SAME FILE" if self.same_file else ""
        return (
            f"{self.similarity:7.4f}  {visible(self.identity)}  {self.answer}{above}, mean of best {most} "
            f"{self.mean_of_best:.4f}{ratio}{same}  {visible(self.path)}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A face that was searched for."""

    face: FaceSeen
    answer: Found
    why: str
    """Why nothing can be said, or what else to know; empty where there is nothing."""
    people: tuple[Person, ...]
    """The most similar first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """A picture whose faces were searched for."""

    picture: str
    path: str
    reason: str | None
    """Why it gives no face (``schema.Reason``)."""
    faces: tuple[Probe, ...]
    """All, from left to right."""

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the values of ``COLUMNS``; an empty one where there is none."""
        if not self.faces:
            yield (self.picture, self.reason, *[None] * 5, "cannot say", *[None] * (len(COLUMNS) - 8))
        for probe in self.faces:
            seen = (self.picture, self.reason, probe.face.number, *probe.face.box, probe.answer)
            for rank, person in enumerate(probe.people, 1):
                told = (rank, person.identity, person.answer, person.similarity, person.log_likelihood_ratio)
                known = (person.faces, person.above, person.mean_of_best, person.face_id, person.uri)
                yield (*seen, *told, *known, int(person.same_file))

    def text(self) -> Iterator[str]:
        """Yield the picture for a person."""
        if not self.faces:
            yield f"{visible(self.picture)}: cannot say: {why_none(self.reason or 'none_found')}"
        for probe in self.faces:
            why = f": {probe.why}" if probe.why else ""
            yield f"{visible(self.picture)}, {probe.face.text()}: {probe.answer}{why}"
            yield from (f"  {person.text()}" for person in probe.people)


def answered(face: FaceSeen, people: Sequence[Person], top: int, standard: Standard) -> Probe:
    """Return what is said of a face: by the most similar person, who decides.

    Args:
        face: The face.
        people: Whom it is like, the most similar first; two, where there are two.
        top: How many of them are told.
        standard: What similarities are held against.
    """
    told = standard.answer(people[0].similarity)
    also = sum(person.answer == "match" for person in people[1:])
    why = ""
    if told == "cannot say":
        why = standard.unsure()
    elif also:
        others = "another person matches" if also == 1 else f"{also} other people match"
        why = f"{others}, too: look-alikes, or one person under several names"
    return Probe(face=face, answer=NOBODY if told == "no match" else told, why=why, people=tuple(people[:top]))


def person(
    candidate: Candidate, identity: str, face: dict[str, Any], path: str, standard: Standard, same: bool
) -> Person:
    """Return a candidate as it is told.

    Args:
        candidate: The candidate.
        identity: Name.
        face: ``face_id`` and ``uri`` of the most similar face.
        path: Where its picture is.
        standard: What similarities are held against.
        same: It is of the file that was searched for.
    """
    return Person(
        identity=identity,
        answer=standard.answer(candidate.similarity),
        similarity=round(candidate.similarity, 6),
        log_likelihood_ratio=standard.log_ratio(candidate.similarity),
        faces=candidate.faces,
        above=candidate.above if standard.made else None,
        mean_of_best=round(candidate.mean_of_best, 6),
        face_id=face["face_id"],
        uri=face["uri"],
        path=path,
        same_file=same,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentifyReport:
    """Pictures whose faces were searched for in a gallery."""

    source: str
    gallery: str
    version: str | None
    people: int
    """In the gallery."""
    enrolled: int
    """Faces in the gallery."""
    pictures: int
    faces: int
    """That were searched for."""
    answers: dict[str, int]
    """Faces by what was said of them."""
    reasons: dict[str, int]
    """Pictures that gave no face, by reason."""
    chance: float | None
    """Share of searches for strangers that meet somebody by chance at most, were all comparisons independent; None
    without a calibration."""
    results: tuple[Searched, ...]
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
        for searched in self.results[:SHOWN]:
            yield from searched.text()
        if len(self.results) > SHOWN:
            yield f"… and {len(self.results) - SHOWN:,} pictures more: --csv FILE or --json tells all"
        gallery = at_version(self.gallery, self.version)
        yield (
            f"{count(self.pictures, 'picture')} with {count(self.faces, 'face')}, among "
            f"{count(self.people, 'person', 'people')} with {count(self.enrolled, 'face')} of {gallery}; "
            f"{self.seconds:.1f} s"
        )
        told = {"faces": self.answers, "pictures without a face": self.reasons}
        for what, counts in told.items():
            if self.pictures > 1 and counts:
                yield f"  {what}: " + ", ".join(f"{number:,} {visible(name)}" for name, number in counts.items())
        if self.csv:
            yield f"Written: {self.csv}"
        if self.chance is not None and self.chance >= 0.005:
            rarely = f"{0.01 / self.enrolled:.0e}"
            yield (
                f"Note: the threshold is for two faces. Among {count(self.enrolled, 'face')} a stranger meets somebody "
                f"by chance in up to {self.chance:.0%} of searches (calibrated to an FMR of {rarely}: in up to 1%): "
                "look at the faces before you believe a match"
            )
        yield from self.basis.lines()
