"""Decisions by rule, for somebody who asked for them: what findings are so clear that nobody needs to look.

A rule never goes against what a person decided about the same faces or people, writes nothing that holds already, and
what it writes can be taken back at once, since its lines follow each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from omokage import schema
from omokage.curate import proposals
from omokage.curate.merging import merges
from omokage.curate.ruled import Proposed, RuleReport
from omokage.errors import ConfigError, DatasetError
from omokage.ledger.book import GrownError, Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.fold import Fold, fold
from omokage.store import Dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleConfig:
    """Which findings become decisions."""

    same_face: bool = False
    """Drop what is the same file or the same shot as a face that is kept."""
    min_similarity: float = 0.97
    """same-face: similarity to the face that is kept from which it is dropped, [-1, 1]."""
    outliers: float | None = None
    """Drop strangers with at least this score: the natural logarithm of the odds that a face does not belong."""
    relabel: bool = False
    """outliers: give faces that belong to somebody else, with at least that score, to them."""
    merge_people: bool = False
    """Merge people whom find holds for one person, who are each other's best match, with at least two faces on both
    sides that say so."""

    def __post_init__(self) -> None:
        """Reject what would do nothing, or all."""
        if not (self.same_face or self.outliers is not None or self.merge_people):
            raise ConfigError("say by which rule: --same-face, --outliers SCORE, or --merge-people")
        if not -1 <= self.min_similarity <= 1:
            raise ConfigError(f"min-similarity must lie in [-1, 1], got {self.min_similarity}")
        if self.relabel and self.outliers is None:
            raise ConfigError("relabel needs the score of outliers: --outliers SCORE")


def decide(data: Dataset, config: RuleConfig, dry_run: bool = False, who: str | None = None) -> RuleReport:
    """Write what follows by rule from the findings into the ledger, and return what that is.

    Args:
        data: The dataset.
        config: Which rules.
        dry_run: Write nothing.
        who: Who asked for it; by default the login name.

    Raises:
        DatasetError: Findings or ledger are damaged, or ``find`` never looked for what the rules want.
    """
    wanted = [name for name, asked in _wants(config).items() if asked]
    unsought = tuple(name for name in wanted if not proposals.there(data.folder, (name,)))
    if len(unsought) == len(wanted):
        raise DatasetError(f"{' and '.join(unsought)} were never looked for: run omokage find {data.folder.url}")
    ledger = Ledger.of(data.folder)
    while True:
        lines = ledger.table()
        proposed = propose(data, config, lines)
        proposed.unsought = unsought
        if dry_run or not proposed.decisions:
            return RuleReport.of(data, proposed, None, dry_run)
        try:
            written = ledger.append(proposed.decisions, who, "rule", length=lines.num_rows)
        except GrownError:  # a person may just have decided about these very faces
            continue
        return RuleReport.of(data, proposed, written, dry_run)


def _wants(config: RuleConfig) -> dict[proposals.Name, bool]:
    """Return which findings the rules want."""
    return {
        "outliers": config.outliers is not None,
        "same_face": config.same_face,
        "collision_pairs": config.merge_people,
    }


def propose(data: Dataset, config: RuleConfig, lines: pa.Table) -> Proposed:
    """Return what follows by rule, after the decisions in ``lines``."""
    read = proposals.read
    outliers = read(data.folder, "outliers") if config.outliers is not None else schema.OUTLIERS.empty_table()
    same_face = read(data.folder, "same_face") if config.same_face else schema.SAME_FACE.empty_table()
    known = _Known(data, lines, pa.chunked_array([*outliers["face_id"].chunks, *same_face["face_id"].chunks]))
    made = Proposed(lost=known.out())
    for row in outliers.to_pylist():
        _outlier(row, config, known, made)
    for cluster in _clusters(same_face):
        _same_shot(cluster, config.min_similarity, known, made)
    if config.merge_people:
        merged, left = merges(read(data.folder, "collision_pairs"), lines, known.fold, known.people)
        made.decisions += merged
        made.left.update(left)
    return made


class _Known:
    """What holds already.

    Args:
        data: The dataset.
        lines: The ledger.
        ids: Faces that matter, which may be few of the dataset's.
    """

    def __init__(self, data: Dataset, lines: pa.Table, ids: pa.ChunkedArray) -> None:
        self.fold: Fold = fold(lines)
        mine = pc.and_(pa.array(self.fold.active_N), pc.equal(lines["by"], "person"))
        self.by_hand = set(pc.list_flatten(lines.filter(mine)["faces"]).to_pylist())
        """Faces that a person decided about."""
        self.there: set[str] = set()
        self.people: set[str] = set()
        for table in data.faces(["face_id", "identity"]):
            self.there.update(table["face_id"].filter(pc.is_in(table["face_id"], value_set=ids)).to_pylist())
            self.people.update(pc.unique(table["identity"]).drop_null().to_pylist())
        decided = self.fold.faces
        self.status = dict(zip(decided["face_id"].to_pylist(), decided["status"].to_pylist(), strict=True))
        self.label = dict(zip(decided["face_id"].to_pylist(), decided["label"].to_pylist(), strict=True))

    def out(self) -> set[str]:
        """Return the faces that are dropped already."""
        return {face for face, status in self.status.items() if status != "kept"}

    def objection(self, face: str, into: str | None = None) -> str | None:
        """Return why nothing is to be decided about a face by rule, None if something may be.

        Args:
            face: Its id.
            into: Identity that it would be given to, if any.
        """
        if face not in self.there or (into is not None and into not in self.people):
            return "no longer in the dataset"
        return "a person decided" if face in self.by_hand else None


def _outlier(row: dict[str, Any], config: RuleConfig, known: _Known, made: Proposed) -> None:
    face, kind = row["face_id"], row["kind"]
    if kind not in ("stranger", "belongs_elsewhere") or config.outliers is None or row["score"] < config.outliers:
        return
    if kind == "belongs_elsewhere" and not config.relabel:
        made.left["belongs to somebody else"] += 1
        return
    into = None if kind == "stranger" else row["other_identity"]
    if face in made.lost or (into is not None and known.label.get(face) == into):
        made.left["decided already"] += 1
        return
    if (why := known.objection(face, into)) is not None:
        made.left[why] += 1
        return
    made.decisions.append(
        Decision(
            do="drop_face" if into is None else "relabel",
            faces=(face,),
            into=into,
            finding=proposals.of_outlier(face),
            why=f"rule outliers, score {row['score']:.2f} >= {config.outliers:g}: {row['reason']}",
        )
    )
    made.touched.add(face)
    if into is None:
        made.lost.add(face)


def _clusters(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each cluster."""
    cluster: list[dict[str, Any]] = []
    for row in table.sort_by("cluster").to_pylist():
        if cluster and row["cluster"] != cluster[0]["cluster"]:
            yield cluster
            cluster = []
        cluster.append(row)
    if cluster:
        yield cluster


def _same_shot(cluster: list[dict[str, Any]], least: float, known: _Known, made: Proposed) -> None:
    """Decide about a cluster: its best face stays, and what is the same shot goes."""
    best = next((row["face_id"] for row in cluster if row["kind"] == "best"), None)
    going = [
        row
        for row in cluster
        if not row["keep"] and row["kind"] in ("same_file", "same_shot") and row["similarity"] >= least
    ]
    gone = []
    for row in going:
        face = row["face_id"]
        why = known.objection(face)
        if face in made.lost:
            why = "decided already"
        elif best is None or best not in known.there or best in made.lost:
            why = "what would be kept is gone"
        elif why is None and _label(best, made, known) != _label(face, made, known):
            why = "given to another person"
        if why is None:
            gone.append(row)
        else:
            made.left[why] += 1
    if not gone or best is None:
        return
    similar = sorted(row["similarity"] for row in gone)
    kinds = ", ".join(sorted({row["kind"].replace("_", " ") for row in gone}))
    made.decisions.append(
        Decision(
            do="drop_duplicate",
            faces=tuple(row["face_id"] for row in gone),
            into=best,
            finding=proposals.of_cluster([row["face_id"] for row in cluster]),
            why=f"rule same-face, similarity {similar[0]:.3f} to {similar[-1]:.3f} >= {least:g}: {kinds}",
        )
    )
    made.lost.update(row["face_id"] for row in gone)


def _label(face: str, made: Proposed, known: _Known) -> str | None:
    return face if face in made.touched else known.label.get(face)
