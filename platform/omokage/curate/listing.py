"""The ledger for a person: its lines in words, and what does not fit."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage.ledger.book import Ledger
from omokage.ledger.conflicts import Conflict
from omokage.ledger.fold import fold
from omokage.ledger.version import after
from omokage.report import tally
from omokage.sheet.words import count, visible
from omokage.store import Dataset

LISTED: Final = 100
"""Conflicts and faces that a report names, at most."""


def sentence(line: dict[str, Any]) -> str:
    """Return what a line of ``schema.LEDGER`` says, in words; names are made visible."""
    faces = line["faces"] or []
    whom = f"face {faces[0]}" if len(faces) == 1 else count(len(faces), "face")
    person, into = visible(line["person"] or ""), visible(line["into"] or "")
    said = {
        "keep": f"keep {whom}",
        "drop_face": f"drop {whom}",
        "drop_duplicate": f"drop {whom} as duplicate of {into}",
        "relabel": f"give {whom} to {into}",
        "split": f"take {whom} out of {person}, as {into}",
        "merge": f"merge {person} into {into}",
        "different": f"{person} and {into} are two people",
        "undo": f"undo line {line['undoes']}",
    }
    return said[line["do"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerReport:
    """What the ledger says."""

    dataset: str
    lines: int
    undone: int
    """Lines that an undo took back."""
    kinds: dict[str, int]
    """Lines that hold, by what they do."""
    people: dict[str, int]
    """Lines by who wrote them."""
    conflicts: int
    some_conflicts: tuple[Conflict, ...]
    """The newest of them."""
    gone: int
    """Faces that lines are about and the dataset no longer has."""
    some_gone: tuple[str, ...]
    shown: tuple[dict[str, Any], ...]
    """Lines that were asked for, with whether each still holds ("active")."""

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        kinds = ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in self.kinds.items())
        head = f"{self.dataset}: {count(self.lines, 'line')}, {self.undone:,} undone"
        out = [head + (f"; that hold: {kinds}" if kinds else "")]
        if len(self.shown) < self.lines:
            out.append(f"{count(len(self.shown), 'line')} shown")
        width = len(f"{self.lines:,}")
        out += [_line(line, width) for line in self.shown]
        if self.conflicts:
            out.append(f"{count(self.conflicts, 'conflict')}; the later line holds:")
            out += [f"  {visible(each.sentence)}" for each in self.some_conflicts[:10]]
        if self.gone:
            more = ", …" if self.gone > 3 else ""
            out.append(
                f"Note: {count(self.gone, 'face')} that lines are about {'is' if self.gone == 1 else 'are'} "
                f"no longer in the dataset: {', '.join(self.some_gone[:3])}{more}"
            )
        return "\n".join(out)


def _line(line: dict[str, Any], width: int) -> str:
    who = visible(line["who"]) + (" (rule)" if line["by"] == "rule" else "")
    why = f"  because: {visible(line['why'])}" if line["why"] else ""
    undone = "" if line["active"] else "  [undone]"
    when = line["at"][:19].replace("T", " ")
    return f"{line['number']:>{width},}  {when}  {who}  {sentence(line)}{undone}{why}"


def listing(data: Dataset, last: int, face: str | None = None, person: str | None = None) -> LedgerReport:
    """Return the last lines of the ledger, or the last that are about a face or a person, and what does not fit.

    Args:
        data: The dataset.
        last: How many lines, at most.
        face: Only lines that name this face.
        person: Only lines that name this person, or a face that is or was of that person.
    """
    lines = Ledger.of(data.folder).table()
    decided = fold(lines)
    faces = after(data, decided)
    gone = decided.faces["face_id"].filter(pc.invert(pc.is_in(decided.faces["face_id"], faces["face_id"])))
    conflicts = (*decided.misplaced(faces), *decided.conflicts)
    wanted = np.ones(lines.num_rows, np.bool_)
    if face is not None:
        wanted &= _about(lines, pa.array([face]))
    if person is not None:
        theirs = faces.filter(pc.or_kleene(pc.equal(faces["was"], person), pc.equal(faces["identity"], person)))
        wanted &= _about(lines, theirs["face_id"]) | _naming(lines, person)
    _with_undos(wanted, lines)
    rows = np.flatnonzero(wanted)[-last:] if last else np.zeros(0, np.int64)
    shown = zip(lines.take(rows).to_pylist(), decided.active_N[rows].tolist(), strict=True)
    return LedgerReport(
        dataset=data.folder.url,
        lines=lines.num_rows,
        undone=int(np.count_nonzero(~decided.active_N)),
        kinds=tally(lines["do"].filter(pa.array(decided.active_N))),
        people=tally(lines["who"]),
        conflicts=len(conflicts),
        some_conflicts=conflicts[:LISTED],
        gone=len(gone),
        some_gone=tuple(gone.slice(0, LISTED).to_pylist()),
        shown=tuple(line | {"active": active} for line, active in shown),
    )


def _with_undos(wanted_N: NDArray[np.bool_], lines: pa.Table) -> None:
    """Want the undo of every line that is wanted, too, and the undo of that."""
    rows = np.flatnonzero(pc.is_valid(lines["undoes"]).to_numpy())
    for row, undoes in zip(rows.tolist(), lines["undoes"].take(rows).to_pylist(), strict=True):
        if 1 <= undoes <= row:
            wanted_N[row] |= wanted_N[undoes - 1]


def _about(lines: pa.Table, ids: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return whether each line names one of some faces."""
    lists = lines["faces"].combine_chunks()
    named = pc.is_in(pc.list_flatten(lists), value_set=ids).to_numpy(zero_copy_only=False)
    about_N = np.zeros(lines.num_rows, np.bool_)
    about_N[pc.list_parent_indices(lists).to_numpy()[named]] = True
    about_N |= _also(lines, ids)
    return about_N


def _also(lines: pa.Table, ids: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return whether each line says that another face is a duplicate of one of some faces."""
    best = pc.and_(pc.equal(lines["do"], "drop_duplicate"), pc.is_in(lines["into"], value_set=ids))
    return np.asarray(best.to_numpy(), np.bool_)


def _naming(lines: pa.Table, person: str) -> NDArray[np.bool_]:
    into = pc.and_kleene(pc.equal(lines["into"], person), pc.not_equal(lines["do"], "drop_duplicate"))
    named = pc.fill_null(pc.or_kleene(pc.equal(lines["person"], person), into), False)
    return np.asarray(named.to_numpy(), np.bool_)
