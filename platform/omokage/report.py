"""What a command hands back: one JSON object, or lines for a person."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

import pyarrow as pa

from omokage import schema


def by_status(manifest: pa.Table) -> dict[str, int]:
    """Return how many rows have each status, also those that none has."""
    return {status: 0 for status in get_args(schema.Status)} | tally(manifest["status"])


def tally(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value occurs, most frequent first; nulls do not count."""
    return dict(Counter(value for value in column.to_pylist() if value is not None).most_common())


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What a dataset holds, and how it was made."""

    dataset: str
    source: str
    generation: int
    """How often it was committed."""
    pictures: int
    status: dict[str, int]
    reasons: dict[str, int]
    identities: int
    faces: int
    shards: int
    bytes: int
    """Of the shards."""
    unfinished: int
    """Shards of a run that was stopped; the next ingest takes them over."""
    recipe: dict[str, Any]
    runtime: str

    def json(self) -> str:
        """Return the summary as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the summary for a person."""
        lines = [
            f"{self.dataset}, made from {self.source}",
            *_counts(self.pictures, self.identities, self.faces, self.status, self.reasons),
            f"{self.shards:,} shards, {self.bytes / 1e6:,.1f} MB, committed {self.generation} times",
            *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in self.recipe.items()),
            f"encoded by {self.runtime}",
        ]
        if self.unfinished:
            lines.append(f"Note: a stopped run left {self.unfinished:,} shards; omokage ingest takes them over")
        return "\n".join(lines)


def _counts(pictures: int, identities: int, faces: int, status: dict[str, int], reasons: dict[str, int]) -> list[str]:
    """Return the lines that say what became of the pictures."""
    return [
        f"{pictures:,} pictures of {identities:,} identities, {faces:,} faces",
        *(f"  {name:<22}{count:>9,}" for name, count in status.items()),
        *(f"    {name:<20}{count:>9,}" for name, count in reasons.items()),
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestReport:
    """What an ingest did, and what the dataset now holds."""

    source: str
    dataset: str
    pictures: int
    """Inputs listed; every one has a row in the manifest."""
    status: dict[str, int]
    """Inputs by status; they add up to ``pictures``."""
    reasons: dict[str, int]
    """Inputs that gave no face, by reason."""
    identities: int
    faces: int
    faces_left_out: int
    """Faces seen beside the ones kept (``faces``, ``min_side``)."""
    done: int
    """Pictures opened by this run."""
    new: int
    changed: int
    retried: int
    removed: int
    seconds: float
    """From start to end, start-up included."""
    start_seconds: float
    """Until the first picture was read; Ray and the models start in it."""
    running_seconds: float
    """From the first picture read to the last shard written."""
    pictures_per_second: float
    """Over ``running_seconds``."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Time inside each stage, added up over workers."""
    detector: str
    encoder: str
    runtime: str
    workers: dict[str, float] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    """Of the model files used."""
    warnings: tuple[str, ...] = ()

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        lines = [
            f"Source: {self.source}",
            *_counts(self.pictures, self.identities, self.faces, self.status, self.reasons),
        ]
        if self.faces_left_out:
            lines.append(f"  {'other faces left out':<22}{self.faces_left_out:>9,}")
        lines.append(
            f"This run: {self.done:,} opened ({self.new:,} new, {self.changed:,} changed, "
            f"{self.retried:,} tried again), {self.removed:,} removed"
        )
        if self.done:
            lines.append(
                f"  {self.seconds:.1f} s, {self.start_seconds:.1f} s of it start-up; "
                f"{self.pictures_per_second:.1f} pictures/s once running"
            )
            total = sum(self.stage_seconds.values()) or 1.0
            parts = [f"{stage} {s:.1f} s ({s / total:.0%})" for stage, s in self.stage_seconds.items()]
            lines.append(f"  by stage: {', '.join(parts)}")
        lines.append(f"Detector {self.detector}, encoder {self.encoder} on {self.runtime}")
        lines += [f"  {name}: {licence}" for name, licence in self.licences.items()]
        lines += [f"Note: {warning}" for warning in self.warnings]
        lines.append(f"Dataset: {self.dataset}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class CropReport:
    """What ``omokage crop`` wrote."""

    source: str
    out: str
    pictures: int
    """Inputs listed."""
    files: int
    """Aligned pictures written, one a face."""
    reasons: dict[str, int]
    """Inputs that gave none, by reason."""
    seconds: float
    licences: dict[str, str]

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        return "\n".join(
            [
                f"{self.files:,} aligned pictures of {self.pictures:,} inputs in {self.out}, {self.seconds:.1f} s",
                *(f"    {name:<20}{count:>9,}" for name, count in self.reasons.items()),
                *(f"  {name}: {licence}" for name, licence in self.licences.items()),
            ]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexReport:
    """What an index holds, and what this run added."""

    dataset: str
    faces: int
    added: int
    dead: int
    """Rows of faces that the dataset no longer has."""
    unusable: int
    """Faces whose vector is zero or not a number; they are left out everywhere."""
    lists: int
    segments: int
    codes: str
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        how = f"{self.lists:,} lists" if self.lists > 1 else "one list: every search is exact"
        lines = [
            f"{self.faces:,} faces in {how}, {self.segments:,} segments, {self.codes} codes",
            f"{self.added:,} faces added in {self.seconds:,.1f} s",
        ]
        if self.dead:
            lines.append(f"{self.dead:,} rows are dead: the dataset no longer has their faces")
        if self.unusable:
            lines.append(f"Note: {self.unusable:,} faces have no usable vector and are left out")
        return "\n".join(lines)
