"""What rules made of findings, and what is said about it."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Final

from omokage.curate import proposals
from omokage.curate.listing import sentence
from omokage.ledger.decision import Decision
from omokage.sheet.words import count, visible
from omokage.store import Dataset

SHOWN: Final = 10
"""Decisions that a report shows."""

SAID: Final = {
    "drop_face": "faces dropped: strangers",
    "drop_duplicate": "faces dropped: the same shot is kept",
    "relabel": "faces given to another person",
}
"""What becomes of faces by rule, in words."""

GRAVE: Final = ("merge", "relabel", "drop_face", "drop_duplicate")
"""What a rule decides, from what changes most to what changes least."""


@dataclass(slots=True)
class Proposed:
    """Decisions, and what was left alone."""

    decisions: list[Decision] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    touched: set[str] = field(default_factory=set)
    """Faces that a decision is about already."""
    lost: set[str] = field(default_factory=set)
    """Faces that are dropped, by these decisions or earlier ones."""
    unsought: tuple[proposals.Name, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleReport:
    """What was decided by rule, or would be."""

    dataset: str
    dry_run: bool
    decisions: int
    lines: tuple[int, int] | None
    """Numbers of the first and the last line that were written."""
    faces: dict[str, int]
    """Faces by what becomes of them."""
    merges: int
    left: dict[str, int]
    """Findings that were left alone, by why."""
    unsought: tuple[proposals.Name, ...]
    """Findings that a rule wants, and that ``find`` never looked for."""
    some: tuple[str, ...]
    """Some decisions, in words, the gravest first."""

    @classmethod
    def of(cls, data: Dataset, proposed: Proposed, lines: range | None, dry_run: bool) -> "RuleReport":
        """Return the report of decisions, with the lines that were written if they were."""
        faces: Counter[str] = Counter()
        for decision in proposed.decisions:
            faces[decision.do] += len(decision.faces)
        merged = sum(decision.do == "merge" for decision in proposed.decisions)
        gravest = sorted(proposed.decisions, key=lambda decision: GRAVE.index(decision.do))
        some = [_shown(decision) for decision in gravest[:SHOWN]]
        return cls(
            dataset=data.folder.url,
            dry_run=dry_run,
            decisions=len(proposed.decisions),
            lines=None if lines is None else (lines[0], lines[-1]),
            faces={do: faces[do] for do in SAID if faces[do]},
            merges=merged,
            left=dict(proposed.left.most_common()),
            unsought=proposed.unsought,
            some=tuple(some),
        )

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        will = "would be " if self.dry_run else ""
        out = [f"{self.dataset}: {count(self.decisions, 'decision')} {will}written by rule"]
        out += [f"  {SAID[do]:<44}{number:>9,}" for do, number in self.faces.items()]
        if self.merges:
            out.append(f"  {'people merged into another':<44}{self.merges:>9,}")
        out += [f"  left alone: {why:<32}{number:>9,}" for why, number in self.left.items()]
        out += [f"Note: find never looked for {name}: run omokage find {self.dataset}" for name in self.unsought]
        out += [f"    {line}" for line in self.some]
        if self.decisions > len(self.some):
            out.append(f"    … and {self.decisions - len(self.some):,} more")
        if self.lines is not None:
            first, last = self.lines
            back = f"{first}" if first == last else f"{first}-{last}"
            out.append(f"To take all of it back: omokage undo DATASET {back}")
        elif self.dry_run:
            out.append("Nothing was written")
        return "\n".join(out)


def _shown(decision: Decision) -> str:
    return f"{sentence(asdict(decision))}  because: {visible(decision.why or '')}"
