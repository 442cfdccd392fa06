"""What ``find`` reports."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from omokage.index.sample import Recall

SHOTS: Final = {
    "clusters": "clusters of like faces",
    "to_drop": "to drop in all",
    "best": "best of their cluster, kept",
    "same_shot": "the same shot, to drop",
    "same_file": "the same file, to drop",
    "other_shot": "another shot, kept",
    "unknown": "unsure without chips, kept",
}
"""What is said of the kinds of same-face."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is about to be done, and what it will cost on this machine."""

    faces: int
    people: int
    pairs: int
    """Of all faces."""
    lists: int
    """1: all pairs are compared."""
    method: str
    seconds: float
    """Estimate, from rates measured now; without looking at chips."""
    memory: int
    """Bytes, at most."""
    disk: int
    """Bytes that the index takes."""

    def text(self) -> str:
        """Return the plan for a person."""
        return (
            f"Plan: {self.faces:,} faces of {self.people:,} people, {self.pairs:,} pairs; {self.method}; "
            f"comparing takes about {_time(self.seconds)}, {self.memory / 1e9:.1f} GB of memory at most, "
            f"{max(self.disk / 1e9, 0.1):.1f} GB of disk"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Collided:
    """What a join found."""

    threshold: float
    fmr: float | None
    """False match rate of the threshold on this dataset; None where no two people could be compared."""
    how: str
    """given, counted or extrapolated."""
    left_out: int = 0
    """Pairs that calibration left out as probable label errors."""
    impostor_pairs: int = 0
    """That calibration looked at."""
    lists: int = 1
    floor: float = -1.0
    """Similarity to a list's centre from which a face is compared with the list."""
    compared: float = 0.0
    """Pairs of codes compared by this run."""
    join_seconds: float = 0.0
    """Of the join alone."""
    recall: Recall | None = None
    """Of pairs of two people, on a sample that was searched exactly; None where all pairs are compared."""
    recall_any: Recall | None = None
    """Of all pairs of faces at or above the threshold, also those of one person."""
    pairs: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    """Pairs of people, by verdict."""
    groups: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FindReport:
    """What was found, and where it is written."""

    dataset: str
    source: str
    plan: Plan
    nobody: int
    """Faces without an identity; they collide with nobody."""
    unusable: int
    added: int
    """Faces that were new in the index."""
    collisions: Collided | None = None
    same_face: dict[str, int] | None = None
    """Faces by kind; and clusters."""
    outliers: dict[str, int] | None = None
    mixed: int | None = None
    """Identities that are several people."""
    leaks: Collided | None = None
    leak_kinds: dict[str, int] | None = None
    against: str | None = None
    encoder: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        plan = self.plan
        lines = [f"{self.dataset}: {plan.faces:,} faces of {plan.people:,} people, encoder {self.encoder.get('name')}"]
        if self.collisions:
            lines += ["Collisions (one person in two folders)", *_join(self.collisions)]
        if self.same_face is not None:
            lines += ["Same face (one shot several times in a folder)", *_counts(self.same_face, SHOTS)]
        if self.outliers is not None:
            lines += ["Outliers (faces that do not belong to their folder)", *_counts(self.outliers)]
            lines.append(f"  {'folders of several people':<28}{self.mixed or 0:>9,}")
        if self.leaks:
            lines += [f"Leaks from {self.against}", *_counts(self.leak_kinds or {}), *_join(self.leaks)]
        lines += [f"Note: {warning}" for warning in self.warnings]
        lines.append(", ".join(f"{part} {seconds:.1f} s" for part, seconds in self.seconds.items()))
        return "\n".join([*lines, "Written, as proposals; nothing else was changed:", *(f"  {f}" for f in self.files)])


def _join(found: Collided) -> list[str]:
    rate = "" if found.fmr is None else f": false match rate {found.fmr:.1e}, {found.how}"
    if found.how == "given":
        rate = rate.replace(", given", " on this dataset, threshold given")
    lines = [f"  threshold {found.threshold:.4f}{rate}"]
    if found.left_out:
        lines.append(f"    from {found.impostor_pairs:,} pairs; {found.left_out:,} left out as probable label errors")
    lines.append(f"  {'pairs of faces':<28}{found.pairs:>9,}")
    lines += [f"  {'people: ' + verdict.replace('_', ' '):<28}{count:>9,}" for verdict, count in found.verdicts.items()]
    if found.groups:
        lines.append(f"  {'groups of one person':<28}{found.groups:>9,}")
    if found.recall and found.recall_any:
        if found.recall.pairs:
            lines.append(f"  recall of pairs of two people {_recall(found.recall)}")
        lines.append(f"  recall of all pairs so alike {_recall(found.recall_any)}")
    return lines


def _recall(recall: Recall) -> str:
    return (
        f"{recall.value:.5f} ({recall.low:.5f} to {recall.high:.5f}, "
        f"{recall.pairs:,} pairs of {recall.faces:,} sampled faces, searched exactly)"
    )


def _counts(counts: dict[str, int], words: dict[str, str] | None = None) -> list[str]:
    told = {name: (words or {}).get(name, name.replace("_", " ")) for name in counts}
    return [f"  {told[name]:<28}{count:>9,}" for name, count in counts.items()]


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A face of the dataset."""

    similarity: float
    identity: str | None
    face_id: str
    uri: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedFace:
    """A face in the picture that was asked about, and the most similar ones."""

    box: tuple[float, ...]
    """x0 y0 x1 y1 in px."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchReport:
    """What is most like the faces in a picture."""

    dataset: str
    picture: str
    searched: int
    """Faces; all of them are compared."""
    faces: tuple[AskedFace, ...]

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        lines = [f"{len(self.faces)} face{'s' * (len(self.faces) > 1)} in {self.picture}, {self.searched:,} searched"]
        for face in self.faces:
            lines.append(f"Face at {' '.join(f'{x:.0f}' for x in face.box)}")
            lines += [f"  {a.similarity:7.4f}  {a.identity or '(nobody)'}  {a.path}" for a in face.answers]
        return "\n".join(lines)
