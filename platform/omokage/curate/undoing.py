"""Taking lines of the ledger back, by lines of their own."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omokage.curate.listing import sentence
from omokage.errors import DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.fold import Fold, fold
from omokage.sheet.words import count
from omokage.store import Dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class UndoReport:
    """What was taken back."""

    dataset: str
    undone: tuple[dict[str, Any], ...]
    """The lines that no longer hold."""
    again: tuple[dict[str, Any], ...]
    """Lines that hold again, since it was their undo that was taken back."""
    lines: tuple[int, int]
    """Numbers of the first and the last undo that were written."""

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        first, last = self.lines
        back = f"{first}" if first == last else f"{first}-{last}"
        written = f"line {back}" if first == last else f"lines {back}"
        return "\n".join(
            [
                *_some("no longer holds", self.undone),
                *_some("holds again", self.again),
                f"Written as {written}; to have it back: omokage undo DATASET {back}",
            ]
        )


def _some(what: str, lines: tuple[dict[str, Any], ...]) -> list[str]:
    out = [f"line {line['number']} {what}: {sentence(line)}" for line in lines[:10]]
    return [*out, f"… and {len(lines) - 10:,} more"] if len(lines) > 10 else out


def undo(data: Dataset, first: int | None = None, last: int | None = None, who: str | None = None) -> UndoReport:
    """Take back a line, or all lines from one to another, by lines of their own.

    An undo among them is taken back too, so that what it undid holds again; after a range is taken back, all is as if
    none of its lines had been written.

    Args:
        data: The dataset.
        first: Number of the line; by default the last that holds and is no undo.
        last: Number of the last line of a range; by default only ``first``.
        who: Who says so; by default the login name.

    Raises:
        DatasetError: There is no such line, or nothing of it holds.
    """
    ledger = Ledger.of(data.folder)
    lines = ledger.table()
    before = fold(lines)
    if first is None:
        first = _newest(before, data)
    last = first if last is None else last
    if not 1 <= first <= last <= lines.num_rows:
        asked = f"line {first}" if first == last else f"lines {first} to {last}"
        raise DatasetError(f"{data.folder.url} has {count(lines.num_rows, 'decision')}, and no {asked}")
    numbers = _to_undo(lines, before, first, last)
    if not numbers:
        said = f"line {first} does" if first == last else f"lines {first} to {last} do"
        raise DatasetError(f"{said} not hold any more{_by(lines, before, first) if first == last else ''}")
    written = ledger.append([Decision(do="undo", undoes=number) for number in numbers], who)
    now = fold(ledger.table(until=written[-1])).active_N[: lines.num_rows]
    return UndoReport(
        dataset=data.folder.url,
        undone=_rows(lines, before.active_N & ~now),
        again=_rows(lines, ~before.active_N & now),
        lines=(written[0], written[-1]),
    )


def _newest(decided: Fold, data: Dataset) -> int:
    rows = np.flatnonzero(decided.active_N & pc.not_equal(decided.kinds, "undo").to_numpy())
    if not len(rows):
        raise DatasetError(f"no decision in {data.folder.url} holds: there is nothing to undo")
    return int(rows[-1]) + 1


def _to_undo(lines: pa.Table, decided: Fold, first: int, last: int) -> list[int]:
    """Return the lines of a range that only an undo in the range, or nothing, takes back; the newest first."""
    later = lines.slice(last)
    undoes = pc.if_else(pa.array(decided.active_N[last:]), later["undoes"], None).drop_null().to_pylist()
    outside = set(undoes)
    return [number for number in range(last, first - 1, -1) if number not in outside]


def _by(lines: pa.Table, decided: Fold, number: int) -> str:
    undoing = np.flatnonzero(decided.active_N & pc.fill_null(pc.equal(lines["undoes"], number), False).to_numpy())
    return f": line {undoing[-1] + 1} took it back. To have it again: omokage undo DATASET {undoing[-1] + 1}"


def _rows(lines: pa.Table, which: Iterable[bool]) -> tuple[dict[str, Any], ...]:
    return tuple(lines.filter(pa.array(which)).to_pylist()[::-1])
