"""What an apply hands back: one JSON object, or lines for a person."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from omokage.apply import names
from omokage.apply.check import Trouble, listed
from omokage.apply.journal import Plan
from omokage.apply.plan import Draft
from omokage.sheet.words import count
from omokage.store import Dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class MoveReport:
    """What was moved in the source, or would be."""

    apply: int
    """Number of the plan."""
    source: str
    quarantine: str
    version: str | None
    moved: int
    """Files; of a dry run, those that would be."""
    goes: dict[str, int]
    """The same, by where they go."""
    stays: dict[str, list[str]]
    """Pictures that something was decided about and that stay, by why."""
    skipped: tuple[Trouble, ...]
    """Files of a resumed apply that changed, or vanished, while it was stopped; they were left alone."""
    renamed: dict[str, str]
    """Identities whose folder has another name, since their own cannot be one."""
    dry_run: bool
    resumed: bool
    seconds: float

    @classmethod
    def of(cls, draft: Draft, number: int, skipped: Sequence[Trouble], *, dry_run: bool, began: float) -> "MoveReport":
        """Return the report of a plan that was carried out, or only made."""
        stays: dict[str, list[str]] = {}
        for each in draft.stays:
            stays.setdefault(each.why, []).append(each.uri)
        return cls(
            apply=number,
            source=draft.plan.source,
            quarantine=draft.plan.quarantine,
            version=draft.plan.version,
            moved=len(draft.plan.steps) - len(skipped),
            goes=draft.counts(),
            stays=stays,
            skipped=tuple(skipped),
            renamed=draft.renamed,
            dry_run=dry_run,
            resumed=draft.resumed,
            seconds=round(time.monotonic() - began, 3),
        )

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        if not self.moved and not self.skipped:
            return f"Nothing to move: {self.source} is as it was decided"
        if self.dry_run:
            return f"Nothing was moved (--dry-run); {count(self.moved, 'file')} would be"
        lines = [f"{count(self.moved, 'file')} of {self.source} moved in {self.seconds:,.1f} s (apply {self.apply})"]
        lines += [f"  {what:<28}{many:>9,}" for what, many in self.goes.items()]
        if self.resumed:
            lines.append("This finished an apply that was stopped; run it again if there are new decisions")
        if self.skipped:
            lines.append(f"{count(len(self.skipped), 'file')} left alone:")
            lines += listed([f"{each.uri!r} {each.what}" for each in self.skipped])
        lines.append("Now run omokage ingest (only the moved files are read again); omokage undo --apply takes it back")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreReport:
    """What was brought back."""

    apply: int
    dataset: str
    source: str
    restored: int
    """Files."""
    ingest: bool
    """Whether the dataset knows the files where they were, and must be ingested before anything else is applied."""
    left: tuple[Trouble, ...]
    """Files that could not be brought back (--partly)."""
    seconds: float

    @classmethod
    def of(cls, data: Dataset, number: int, plan: Plan, left: Sequence[Trouble], began: float) -> "RestoreReport":
        """Return the report of a plan that was taken back."""
        return cls(
            apply=number,
            dataset=data.folder.url,
            source=plan.source,
            ingest=data.head.generation != plan.generation,
            restored=len(plan.steps) - len(left),
            left=tuple(left),
            seconds=round(time.monotonic() - began, 3),
        )

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        lines = [
            f"{count(self.restored, 'file')} of {self.source} back where apply {self.apply} took them from "
            f"({self.seconds:,.1f} s)"
        ]
        if self.left:
            lines.append(f"{count(len(self.left), 'file')} could not be brought back:")
            lines += listed([f"{each.uri!r} {each.what}" for each in self.left])
        if self.ingest:
            lines.append("Now run omokage ingest (only the moved files are read again)")
        lines.append("What was decided still stands: omokage ledger lists it, omokage undo DATASET N takes it back")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyReport:
    """What a clean copy holds."""

    out: str
    dataset: str
    version: str | None
    layout: str
    people: int
    files: int
    written: int
    """Of the files, by this run; the others were there."""
    removed: int
    """Files of an earlier copy that are no longer in it."""
    left_out: dict[str, int]
    """Pictures, or faces in the layout chips, that are not in the copy, by why."""
    foreign: tuple[str, ...]
    """Files of an earlier copy that somebody has changed; they stay, and are no part of it."""
    renamed: dict[str, str]
    """Identities whose folder has another name."""
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        people = count(self.people, "person", "people")
        lines = [f"{count(self.files, self.layout[:-1])} of {people} in {self.out}, {self.seconds:,.1f} s"]
        lines.append(f"  {self.written:,} written now, {self.removed:,} of an earlier copy removed")
        lines += [f"  left out: {many:,} {why}" for why, many in Counter(self.left_out).most_common()]
        lines += [names.renaming(who, folder) for who, folder in self.renamed.items()]
        if self.foreign:
            lines.append(f"Note: {count(len(self.foreign), 'file')} changed by somebody, to stay:")
            lines += listed([repr(each) for each in self.foreign])
        return "\n".join(lines)
