"""What became of faces between two versions, by reason.

Shape key: B faces that are in both.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage.errors import DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.fold import Fold, fold
from omokage.ledger.version import Version, current
from omokage.store import Dataset

LISTED: Final = 100
"""Faces that are named for each reason, at most."""

SAID: Final = {
    "added": "new in the dataset",
    "removed": "no longer in the dataset",
    "dropped": "dropped",
    "duplicate": "dropped as duplicates",
    "out_otherwise": "out before and after, for another reason",
    "brought_back": "brought back",
    "relabelled": "given to another person",
    "split": "taken out of a person",
    "merged": "their person was merged",
    "unmerged": "their person is itself again",
    "source": "of another person in the source",
}
"""Reasons, in words. A face can have one for its status and one for its identity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """One of two versions."""

    name: str | None
    """None: the dataset as it is now."""
    generation: int
    lines: int
    faces: int
    kept: int
    people: int
    """With a face that is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Diff:
    """What changed."""

    dataset: str
    before: Counted
    after: Counted
    changes: dict[str, int]
    """Faces by reason, ``SAID``."""
    faces: dict[str, list[str]]
    """Some of their ids, sorted."""

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        lines = [
            f"{each.name or 'now':<16}{each.faces:>11,} faces, {each.kept:,} kept, of {each.people:,} people; "
            f"ingest {each.generation}, ledger up to line {each.lines:,}"
            for each in (self.before, self.after)
        ]
        changed = [f"  {SAID[reason]:<42}{count:>9,}" for reason, count in self.changes.items() if count]
        return "\n".join([self.dataset, *lines, *(changed or ["  nothing changed"])])


def diff(data: Dataset, before: str, after: str | None = None) -> Diff:
    """Return what became of the faces from one version to another.

    Args:
        data: The dataset.
        before: Name of the one version.
        after: Name of the other; None for the dataset as it is now.

    Raises:
        DatasetError: There is no such version, or the ledger is shorter than a version says.
    """
    old, new = _Side(data, before), _Side(data, after)
    old_ids, new_ids = old.faces["face_id"], new.faces["face_id"]
    place = pc.index_in(new_ids, value_set=old_ids)
    both = pc.is_valid(place)
    common_old, common_new = old.faces.take(place.filter(both)), new.faces.filter(both)
    reasons = {
        "added": new_ids.filter(pc.invert(both)),
        "removed": old_ids.filter(pc.invert(pc.is_in(old_ids, value_set=new_ids))),
    }
    ids = common_new["face_id"]
    for name, mask_B in (_statuses(common_old, common_new) | _identities(old, new, common_old, common_new)).items():
        reasons[name] = ids.filter(pa.array(mask_B))
    return Diff(
        dataset=data.folder.url,
        before=old.counted(),
        after=new.counted(),
        changes={name: len(reasons[name]) for name in SAID},
        faces={name: reasons[name].slice(0, LISTED).to_pylist() for name in SAID if len(reasons[name])},
    )


class _Side:
    """One of the two versions, with the decisions that it rests on."""

    def __init__(self, data: Dataset, name: str | None) -> None:
        ledger = Ledger.of(data.folder)
        self.name = name
        if name is None:
            self.generation, self.lines = data.head.generation, ledger.length()
            self.faces = current(data, self.lines)
        else:
            version = Version.open(data, name)
            self.generation, self.lines = version.generation, version.lines
            self.faces = version.faces()
        lines = ledger.table(until=self.lines)
        if lines.num_rows != self.lines:
            raise DatasetError(f"{name} rests on {self.lines:,} decisions, and the ledger has {lines.num_rows:,}")
        self.fold: Fold = fold(lines)

    def counted(self) -> Counted:
        kept = self.faces.filter(pc.equal(self.faces["status"], "kept"))
        return Counted(
            name=self.name,
            generation=self.generation,
            lines=self.lines,
            faces=self.faces.num_rows,
            kept=kept.num_rows,
            people=pc.count_distinct(kept["identity"]).as_py(),
        )

    def labels(self, ids: pa.ChunkedArray) -> tuple[pa.ChunkedArray, NDArray[np.bool_]]:
        """Return the labels that faces were given, null where none was, and whether each was given by a split."""
        at = pc.index_in(ids, value_set=self.fold.faces["face_id"])
        mine = self.fold.faces.select(["label", "label_line"]).take(at)
        kind = self.fold.kinds.take(pc.subtract(mine["label_line"], 1))
        return mine["label"], pc.fill_null(pc.equal(kind, "split"), False).to_numpy()


def _statuses(old: pa.Table, new: pa.Table) -> dict[str, NDArray[np.bool_]]:
    was_kept, is_kept = (pc.equal(table["status"], "kept").to_numpy() for table in (old, new))
    same = pc.equal(old["status"], new["status"]).to_numpy()
    duplicate = pc.equal(new["status"], "duplicate").to_numpy()
    return {
        "dropped": was_kept & ~is_kept & ~duplicate,
        "duplicate": was_kept & duplicate,
        "out_otherwise": ~was_kept & ~is_kept & ~same,
        "brought_back": ~was_kept & is_kept,
    }


def _identities(old: _Side, new: _Side, old_faces: pa.Table, new_faces: pa.Table) -> dict[str, NDArray[np.bool_]]:
    """Return for each reason which faces have another identity for it; each has one reason."""
    ids = new_faces["face_id"]
    (old_label, was_split), (new_label, is_split) = old.labels(ids), new.labels(ids)
    changed = ~_same(old_faces["identity"], new_faces["identity"])
    labelled = changed & ~_same(old_label, new_label)
    source = changed & ~labelled & ~_same(old_faces["was"], new_faces["was"])
    split = labelled & (is_split | (was_split & ~pc.is_valid(new_label).to_numpy()))
    merged = changed & ~labelled & ~source
    itself = _same(pc.coalesce(new_label, new_faces["was"]), new_faces["identity"])
    return {
        "relabelled": labelled & ~split,
        "split": split,
        "merged": merged & ~itself,
        "unmerged": merged & itself,
        "source": source,
    }


def _same(a: pa.ChunkedArray, b: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return where two columns have the same value; null is the same as null."""
    both_null = pc.and_(pc.is_null(a), pc.is_null(b))
    return np.asarray(pc.or_(both_null, pc.fill_null(pc.equal(a, b), False)).to_numpy(), np.bool_)
