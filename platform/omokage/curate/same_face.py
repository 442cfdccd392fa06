"""Near-duplicates within a person: one shot in several files, of which the best is kept.

Two faces are compared when their embeddings are alike; whether they are one shot is for their pixels to say
(``vision/likeness.py``), since an encoder also finds the next frame of a video alike. A person's faces are gone
through from the best to the worst. Each is compared with a few faces that are kept already, the most alike first, and
either is the same shot as one of them, and goes, or is kept itself. So whatever goes is itself the same shot as the
face that stands for it, never only by way of others; and ten thousand frames that are all alike cost a few
comparisons each.

Shape key: N faces of some people, n faces of one person, S faces that are sampled,
B faces of a block, D numbers of an embedding.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from omokage import schema
from omokage.curate.gallery import Gallery
from omokage.curate.shots import BELOW, BLOCK, Chips, Found, Person, Rule
from omokage.errors import ConfigError
from omokage.index.threads import each
from omokage.vision.likeness import SAME_SHOT

FETCHED: Final = 1024
"""Chips fetched at once, as a rule: some 20 MB; twice as many where the nearest faces are spread widely."""

JUDGED: Final = 1024
"""Faces whose shots one thread judges at a time."""

SAMPLED: Final = 20_000
"""Faces from whose nearest ones the floor is told."""

CHIPS_TRIED: Final = 64
"""Faces whose chips tell whether a dataset has any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SameFaceConfig:
    """What counts as near, and as the same shot."""

    threshold: float = 0.95
    """Similarity from which two faces of a person are looked at, in (0, 1]."""
    pixels: float = SAME_SHOT
    """Likeness of the chips from which they are one shot, in (0, 1]: ``vision/likeness.py``."""
    look: float = 1.0
    """Of the faces without a neighbour at the threshold, the share whose nearest ones' pixels are asked all the same,
    those with the nearest ones first; in [0, 1]. Costs a chip read and about a millisecond a face."""

    def __post_init__(self) -> None:
        """Reject what would compare all or nothing."""
        for key in ("threshold", "pixels"):
            if not 0 < getattr(self, key) <= 1:
                raise ConfigError(f"same_face.{key} must lie above 0 and at most at 1, got {getattr(self, key)}")
        if not 0 <= self.look <= 1:
            raise ConfigError(f"same_face.look must lie in 0 to 1, got {self.look}")


def same_face(gallery: Gallery, config: SameFaceConfig) -> pa.Table:
    """Return ``schema.SAME_FACE``: what to keep and what to let go, by person and cluster.

    A cluster is a face that is kept ("best"), the faces that are the same shot as it (keep is false), and those that
    are alike but another photo, or of which no chip can tell (keep is true; they are listed as looked at).
    """
    floor = find_floor(gallery, config)
    return numbered(each(lambda people: judge(gallery, config, floor, *people), gallery.people(JUDGED)))


def find_floor(gallery: Gallery, config: SameFaceConfig) -> float:
    """Return the similarity from which a face's nearest ones are looked at although they are below the threshold.

    A shot that was made small or saved badly has moved away in the encoder's eyes: copies of faces of 70 px are found
    at 0.87 where other photos of the person reach 0.93. No similarity parts the two, and pixels do. So what is chosen
    is how many faces to look at (``SameFaceConfig.look``), and the floor follows from how near the nearest ones are
    in this dataset. Only pixels can make faces below the threshold the same shot. Where there are no chips, the floor
    is the threshold.

    Some people are picked, the same ones whatever the order of the rows.
    """
    some = gallery.order[:: max(1, len(gallery.order) // CHIPS_TRIED)]
    if config.look == 0 or not any(gallery.chips(some)):
        return config.threshold
    if config.look == 1:
        return -1.0
    rng = np.random.default_rng(0)
    nearest, seen = [], 0
    for label in rng.permutation(len(gallery.names)).tolist():
        rows = gallery.rows(label)
        if len(rows) >= 2:
            nearest.append(_nearest(gallery, rows, rng.permutation(len(rows))[:BLOCK]))
            seen += len(nearest[-1])
        if seen > SAMPLED:
            break
    ordinary = np.concatenate(nearest) if nearest else np.zeros(0, np.float32)
    ordinary = ordinary[ordinary < config.threshold]
    return float(np.quantile(ordinary, 1 - config.look)) if len(ordinary) else config.threshold


def _nearest(gallery: Gallery, rows: NDArray[np.int64], some: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return for some of a person's faces how near the nearest of all the others is."""
    some_SD = gallery.vectors[rows[some]]
    best_S = np.full(len(some), -1, np.float32)
    for start in range(0, len(rows), BLOCK):
        alike_SB = some_SD @ gallery.vectors[rows[start : start + BLOCK]].T
        itself = np.flatnonzero((some >= start) & (some < start + BLOCK))
        alike_SB[itself, some[itself] - start] = -1
        best_S = np.maximum(best_S, alike_SB.max(axis=1))
    return best_S


def numbered(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the tables of several ranges of people as one, with clusters numbered through from 1."""
    done, last = [schema.SAME_FACE.empty_table()], 0
    for table in tables:
        if table.num_rows:
            place = table.column_names.index("cluster")
            done.append(table.set_column(place, "cluster", pc.add(table["cluster"], last)))
            last += pc.max(table["cluster"]).as_py()
    return pa.concat_tables(done)


def judge(gallery: Gallery, config: SameFaceConfig, floor: float, first: int, end: int) -> pa.Table:
    """Return the clusters of the people ``first`` to ``end``, numbered from 1."""
    rule = Rule(threshold=config.threshold, floor=min(floor, config.threshold), pixels=config.pixels)
    people = list(_people(gallery, rule, first, end))
    work = [(person, these) for person in people for these in person.candidates()]
    chips = Chips(gallery.chips)
    with threadpool_limits(1, "blas"):  # the products of pixels are small: threads would only wait for each other
        for start in range(0, len(work), FETCHED // 2):
            part = work[start : start + FETCHED // 2]
            chips.fetch(int(p.rows[place]) for p, these in part for place in (these.place, *islice(these.near, BELOW)))
            for person, these in part:
                person.settle(these, chips)
    return _table(gallery, people)


def quality(side_N: NDArray[Any], sharpness_N: NDArray[Any], score_N: NDArray[Any]) -> NDArray[np.float64]:
    """Return what ranks the faces of one shot; more is better.

    Resolution first: twice the side outweighs all else, since a copy made smaller has lost what cannot be had again.
    Then sharpness, then the detector's score at half the weight. One sum and no strict order, because a copy of the
    same size comes out a pixel bigger or smaller by chance. Pose and light are the same in one shot.
    """
    return np.asarray(np.log2(np.maximum(side_N, 1)) + sharpness_N + 0.5 * score_N, np.float64)


def _people(gallery: Gallery, rule: Rule, first: int, end: int) -> Iterator[Person]:
    """Yield the people who have two faces or more, with their faces from the best to the worst."""
    rows = gallery.order[gallery.bounds[first] : gallery.bounds[end]]
    known = gallery.faces.select(["sha256", "side", "sharpness", "score"]).take(pa.array(rows))
    quality_N = quality(*(known[name].to_numpy() for name in ("side", "sharpness", "score")))
    sha_N = known["sha256"].to_pylist()
    for start, stop in pairwise((gallery.bounds[first : end + 1] - gallery.bounds[first]).tolist()):
        if stop - start > 1:
            # rows come sorted by face_id, which so decides where the quality is the same
            best_n = start + np.argsort(-quality_N[start:stop], kind="stable")
            yield Person(rows[best_n], [sha_N[place] for place in best_n.tolist()], gallery.vectors, rule)


@dataclass(frozen=True, slots=True)
class _Line:
    cluster: int
    row: int
    best: int
    """Row of the face that is kept."""
    found: Found | None
    """None: it is the best itself."""


def _lines(people: list[Person]) -> Iterator[_Line]:
    """Yield what is to be reported: each cluster's best face, those that go, those that are only alike."""
    cluster = 0
    for person in people:
        members: dict[int, list[int]] = {}
        for place, found in [*person.gone.items(), *person.listed.items()]:
            members.setdefault(found.to, []).append(place)
        for best, others in sorted(members.items(), key=lambda item: item[0]):
            cluster += 1
            row = int(person.rows[best])
            yield _Line(cluster, row, row, None)
            for place in sorted(others, key=lambda place: (place not in person.gone, place)):
                found = person.gone[place] if place in person.gone else person.listed[place]
                yield _Line(cluster, int(person.rows[place]), row, found)


def _table(gallery: Gallery, people: list[Person]) -> pa.Table:
    lines = list(_lines(people))
    known = gallery.faces.select(["face_id", "uri", "identity", "side"])
    mine = known.take(pa.array([line.row for line in lines], pa.int64()))
    best = known.take(pa.array([line.best for line in lines], pa.int64()))
    sides = zip(mine["side"].to_pylist(), best["side"].to_pylist(), strict=True)
    found = [line.found for line in lines]
    columns = {
        "cluster": [line.cluster for line in lines],
        "face_id": mine["face_id"],
        "uri": mine["uri"],
        "identity": mine["identity"],
        "kind": ["best" if f is None else f.kind for f in found],
        "keep": [f is None or f.kind in ("other_shot", "unknown") for f in found],
        "similarity": [1.0 if f is None else f.similarity for f in found],
        "pixels": [1.0 if f is None else None if f.likeness is None else f.likeness.pixels for f in found],
        "reason": [_reason(f, *pair) for f, pair in zip(found, sides, strict=True)],
    }
    return pa.table(columns, schema=schema.SAME_FACE)


def _reason(found: Found | None, side: float, best: float) -> str:
    """Return which signal decided, with its figures."""
    if found is None:
        return f"the best of its cluster: {side:.0f} px"
    alike = f"similarity {found.similarity:.3f}"
    seen = found.likeness
    if found.kind == "same_file":
        return f"same file: the bytes are equal; {alike}"
    if seen is None:
        return f"{alike}, but no chip to tell the same shot from another photo"
    pixels = f"pixels {seen.pixels:.2f}"
    if found.kind == "same_shot":
        return f"same shot: {pixels} once laid over each other, {alike}; kept {best:.0f} px over {side:.0f} px"
    if not np.isfinite(seen.motion):
        return f"another photo: {pixels}, one cannot be laid over the other; {alike}"
    return f"another photo: {pixels}, parts moved by {seen.motion:.2f} px of 112; {alike}"
