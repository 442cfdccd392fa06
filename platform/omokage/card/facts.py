"""Everything that a data card says, gathered."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.card.people import People, people
from omokage.card.plan import Plan, counted
from omokage.curate import proposals
from omokage.curate.decided import Decided
from omokage.ledger.book import Ledger
from omokage.ledger.fold import Fold, fold
from omokage.ledger.version import Version, versions
from omokage.report import Summary
from omokage.sheet.write import licences
from omokage.storage import Folder
from omokage.store import summary

REPORT: Final = f"{proposals.FOLDER}/report.json"
HISTOGRAM: Final = f"{proposals.FOLDER}/histogram.png"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Findings of one kind."""

    name: str
    """In words."""
    total: int
    by: dict[str, int]
    """By verdict."""
    decided: int | None
    """Those that a decision names which still stands; None where there is nothing to decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How much there is."""

    faces: int
    identities: int
    pictures: int
    """With such a face."""
    nobody: int
    """Faces of no identity."""
    biggest: tuple[str, int] | None
    smallest: tuple[str, int] | None
    by_size: dict[int, int]
    """People by how many faces they have."""
    plan: Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """What was decided."""

    lines: int
    undone: int
    """Lines that do not stand, because of an undo."""
    kinds: dict[str, dict[str, int]]
    """Lines that stand, by what they do, then by ``schema.By``."""
    who: dict[str, int]
    """Lines by who wrote them."""
    conflicts: int
    versions: tuple[Version, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the card says."""

    holds: Summary
    version: str | None
    gone: int
    """Faces of the version that the dataset no longer has; nothing counts them."""
    licences: dict[str, str]
    rejects: dict[str, int]
    before: Counts
    """As the source gives it."""
    after: Counts
    """After the decisions."""
    people: People
    found: tuple[Found, ...] | None
    """None: find was never run."""
    report: dict[str, Any]
    """Of the last find; empty where there was none, or it cannot be read."""
    histogram: bytes | None
    book: Book
    suspicion: dict[str, int]
    """Identities that proposals are about which nobody decided, and how many."""

    @property
    def decided(self) -> bool:
        """Whether decisions changed anything."""
        return self.book.lines > 0


def gather(faces: Decided, version: str | None, gone: int = 0) -> Facts:
    """Return the facts of a dataset, or of a version of it.

    Args:
        faces: All of them present.
        version: Its name.
        gone: Faces of the version that are not.

    Raises:
        DatasetError: A file is missing or damaged.
    """
    data = faces.data
    lines = Ledger.of(data.folder).table()
    if version is not None:
        lines = lines.slice(0, Version.open(data, version).lines)
    decided = fold(lines)
    tables = {name: proposals.read(data.folder, name) for name in proposals.DECIDABLE}
    report = _report(data.folder)
    done = _named(lines, decided)
    holds = summary(data)
    again = tables["same_face"].filter(pc.invert(tables["same_face"]["keep"]))["face_id"]
    return Facts(
        holds=holds,
        version=version,
        gone=gone,
        licences=licences(data),
        rejects=holds.reasons,
        before=_counts(faces.version, "was"),
        after=_counts(faces.version.filter(pc.equal(faces.version["status"], "kept")), "identity"),
        people=people(faces, again.combine_chunks()),
        found=(*_found(tables, done), *_leaks(report)) if proposals.there(data.folder) else None,
        report=report,
        histogram=_histogram(data.folder),
        book=_book(faces, lines, decided),
        suspicion=_suspicion(tables, done, decided, faces.version),
    )


def _counts(rows: pa.Table, column: str) -> Counts:
    found = rows[column].drop_null().value_counts()
    names = found.field("values").to_pylist()
    faces_P: NDArray[np.int64] = np.asarray(found.field("counts").to_numpy(), np.int64)
    by_size = dict(sorted(Counter(faces_P.tolist()).items()))
    order = sorted(range(len(names)), key=lambda p: (faces_P[p], names[p]))
    ends = [(names[p], int(faces_P[p])) for p in (order[0], order[-1])] if order else [None, None]
    return Counts(
        faces=rows.num_rows,
        identities=len(names),
        pictures=int(pc.count_distinct(rows["uri"]).as_py()),
        nobody=rows[column].null_count,
        smallest=ends[0],
        biggest=ends[1],
        by_size=by_size,
        plan=counted("this set", by_size),
    )


def _named(lines: pa.Table, decided: Fold) -> frozenset[str]:
    """Return the findings that decisions name which still stand."""
    standing = lines.filter(pa.array(decided.active_N))["finding"]
    return frozenset(standing.drop_null().to_pylist())


def _found(tables: dict[proposals.Name, pa.Table], done: frozenset[str]) -> list[Found]:
    pairs, strange, mixed = tables["collision_pairs"], tables["outliers"], tables["mixed"]
    people_ids = _pair_ids(pairs)
    shots = _shots(tables["same_face"])
    several = mixed["identity"].unique().to_pylist()
    kinds = ["pairs of folders that may show one person", "one shot several times", "faces that do not belong"]
    return [
        Found(
            name=kinds[0],
            total=pairs.num_rows,
            by=dict(Counter(pairs["verdict"].to_pylist()).most_common()),
            decided=sum(each in done for each in people_ids),
        ),
        Found(
            name=kinds[1],
            total=len(shots),
            by={"faces to let go": int(pc.sum(pc.invert(tables["same_face"]["keep"])).as_py() or 0)},
            decided=sum(proposals.of_cluster(shot) in done for shot in shots),
        ),
        Found(
            name=kinds[2],
            total=strange.num_rows,
            by=dict(Counter(strange["kind"].to_pylist()).most_common()),
            decided=sum(proposals.of_outlier(face) in done for face in strange["face_id"].to_pylist()),
        ),
        Found(
            name="folders that show several people",
            total=len(several),
            by={},
            decided=sum(proposals.of_mixed(identity) in done for identity in several),
        ),
    ]


def _leaks(report: dict[str, Any]) -> list[Found]:
    """Return what was found of another dataset in this one, if that was looked for; nothing here can decide it."""
    kinds = report.get("leak_kinds")
    if not kinds:
        return []
    return [
        Found(name="pairs of a face here and one of another dataset", total=sum(kinds.values()), by=kinds, decided=None)
    ]


def _pair_ids(pairs: pa.Table) -> list[str]:
    both = zip(pairs["identity_a"].to_pylist(), pairs["identity_b"].to_pylist(), strict=True)
    return [proposals.of_people(a, b) for a, b in both]


def _shots(same_face: pa.Table) -> list[list[str]]:
    """Return the faces of each cluster in which some face is to go."""
    rows = same_face.group_by("cluster", use_threads=False).aggregate([("face_id", "list"), ("keep", "all")])
    return list(rows.filter(pc.invert(rows["keep_all"]))["face_id_list"].to_pylist())


def _suspicion(
    tables: dict[proposals.Name, pa.Table], done: frozenset[str], decided: Fold, version: pa.Table
) -> dict[str, int]:
    """Return how many proposals that nobody decided each identity has, the most first."""
    counts: Counter[str] = Counter()
    pairs = tables["collision_pairs"]
    for each, a, b in zip(
        _pair_ids(pairs), pairs["identity_a"].to_pylist(), pairs["identity_b"].to_pylist(), strict=True
    ):
        if each not in done and decided.name(a) != decided.name(b):
            counts.update((decided.name(a), decided.name(b)))
    kept = version.filter(pc.equal(version["status"], "kept"))
    strange = tables["outliers"]
    place = pc.index_in(strange["face_id"], value_set=kept["face_id"].combine_chunks())
    for face, identity in zip(strange["face_id"].to_pylist(), kept["identity"].take(place).to_pylist(), strict=True):
        if identity is not None and proposals.of_outlier(face) not in done:
            counts[identity] += 1
    for identity in tables["mixed"]["identity"].unique().to_pylist():
        if proposals.of_mixed(identity) not in done:
            counts[decided.name(identity)] += 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _book(faces: Decided, lines: pa.Table, decided: Fold) -> Book:
    standing = lines.filter(pa.array(decided.active_N))
    count = Counter(zip(standing["do"].to_pylist(), standing["by"].to_pylist(), strict=True))
    return Book(
        lines=lines.num_rows,
        undone=lines.num_rows - standing.num_rows,
        kinds={
            do: {by: count[do, by] for by in get_args(schema.By)}
            for do in get_args(schema.Do)
            if any(count[do, by] for by in get_args(schema.By))
        },
        who=dict(Counter(lines["who"].to_pylist()).most_common()),
        conflicts=len(decided.conflicts),
        versions=tuple(versions(faces.data)),
    )


def _report(folder: Folder) -> dict[str, Any]:
    try:
        found = json.loads(folder.read(REPORT))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _histogram(folder: Folder) -> bytes | None:
    try:
        return folder.read(HISTOGRAM)
    except FileNotFoundError:
        return None
