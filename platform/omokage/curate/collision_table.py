"""The table of pairs of people: figures, verdicts, groups, and a sentence on each.

Shape key: C pairs of people, G people in them, D numbers of an embedding.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.evidence import Levels, Looks
from omokage.curate.gallery import Gallery
from omokage.curate.groups import groups
from omokage.curate.hits import Hits

FACES_AT_ONCE: Final = 8192
"""Vectors in hand."""

FEW: Final = 1 / 3
"""Share of a folder's faces up to which alike faces are strays."""

SAID: Final = {
    "same_person": "the folders are as alike as halves of one",
    "stray_face": "few faces are alike, the folders are not",
    "unclear": "neither clearly one person nor a stray face",
}


@dataclass(frozen=True)
class Pairs:
    """Pairs of people by label; ``at`` is their place among the hits, -1 where there is none."""

    label_a: NDArray[np.int64]
    label_b: NDArray[np.int64]
    likeness: NDArray[np.float64]
    score: NDArray[np.float64]
    at: NDArray[np.int64]
    hits: Hits


@dataclass(frozen=True)
class Judged:
    """Pairs with all that is known of them."""

    seen: Looks
    levels: Levels
    pairs: Pairs
    fit_a: NDArray[np.float64]
    """Share of the faces of a that fit b; nan where nobody looked."""
    fit_b: NDArray[np.float64]


def table(gallery: Gallery, judged: Judged, threshold: float, cut: tuple[float, float]) -> pa.Table:
    """Return ``schema.COLLISION_PAIRS``, the strongest evidence first.

    Args:
        gallery: With the vectors whose similarities are shown.
        judged: The pairs.
        threshold: Of the hits.
        cut: Odds, and share of fitting faces, from which two folders are proposed as one person.
    """
    pairs = judged.pairs
    order = np.lexsort((pairs.label_b, pairs.label_a, -pairs.score))  # labels are in the order of names
    verdict = _verdicts(gallery, judged, cut)[order]
    facts = {
        "rank": pa.array(np.arange(1, len(order) + 1)),
        "verdict": pa.array(verdict.tolist(), pa.string()),
        "score": pa.array(pairs.score[order].astype(np.float32)),
        **_figures(gallery, pairs, order),
        **_similarities(gallery, pairs.label_a[order], pairs.label_b[order]),
    }
    reasons = _reasons(facts, judged, order, threshold)
    same = np.flatnonzero(verdict == "same_person")
    number = np.zeros(len(order), np.int64)
    number[same], people, links = groups(pairs.label_a[order[same]], pairs.label_b[order[same]])
    whole = people * (people - 1) // 2
    for at in np.flatnonzero(links < whole).tolist():
        reasons[same[at]] += (
            f"; of the {people[at]} people of this group only {links[at]} of {whole[at]} pairs agree: "
            "look before all are joined"
        )
    facts |= {"group": pa.array(number, mask=verdict != "same_person"), "reason": pa.array(reasons, pa.string())}
    return pa.table({name: facts[name] for name in schema.COLLISION_PAIRS.names}, schema=schema.COLLISION_PAIRS)


def _figures(gallery: Gallery, pairs: Pairs, order: NDArray[np.int64]) -> dict[str, pa.Array]:
    a, b, at = pairs.label_a[order], pairs.label_b[order], pairs.at[order]
    sizes, hits = gallery.sizes, _column(pairs.hits.hits, at)
    return {
        "identity_a": pa.array([gallery.names[label] for label in a.tolist()], pa.string()),
        "identity_b": pa.array([gallery.names[label] for label in b.tolist()], pa.string()),
        "faces_a": pa.array(sizes[a]),
        "faces_b": pa.array(sizes[b]),
        "hits": pa.array(hits),
        "hit_faces_a": pa.array(_column(pairs.hits.hit_faces_a, at)),
        "hit_faces_b": pa.array(_column(pairs.hits.hit_faces_b, at)),
        "share": pa.array((hits / (sizes[a] * sizes[b])).astype(np.float32)),
        "best": pa.array(_column(pairs.hits.best, at).astype(np.float32), mask=at < 0),
        "mean": pa.array(_column(pairs.hits.mean, at).astype(np.float32), mask=at < 0),
    }


def _similarities(gallery: Gallery, a: NDArray[np.int64], b: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Return mean similarities of all cross pairs and within each identity, exact from mean vectors."""
    label_G, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    place_a, place_b = place[: len(a)], place[len(a) :]
    mean_GD, n_G = _means(gallery, label_G), gallery.sizes[label_G]
    square_G = np.vecdot(mean_GD, mean_GD)  # of all pairs, each face with itself too
    within_G = ((square_G * n_G - 1) / np.maximum(n_G - 1, 1)).astype(np.float32)
    cross = [
        np.vecdot(mean_GD[place_a[start : start + FACES_AT_ONCE]], mean_GD[place_b[start : start + FACES_AT_ONCE]])
        for start in range(0, len(a), FACES_AT_ONCE)
    ]
    return {
        "cross": pa.array(np.concatenate([np.zeros(0, np.float32), *cross])),
        "within_a": pa.array(within_G[place_a], mask=n_G[place_a] < 2),
        "within_b": pa.array(within_G[place_b], mask=n_G[place_b] < 2),
    }


def _means(gallery: Gallery, label_G: NDArray[np.int64]) -> NDArray[np.float32]:
    sizes_G = gallery.sizes[label_G]
    batch_G = np.cumsum(sizes_G) // FACES_AT_ONCE
    mean_GD = np.zeros((len(label_G), gallery.vectors[:1].shape[1]), np.float32)
    for batch in np.unique(batch_G).tolist():
        some = slice(*np.searchsorted(batch_G, [batch, batch + 1]))
        rows = np.concatenate([gallery.rows(label) for label in label_G[some].tolist()])
        starts = np.cumsum(sizes_G[some]) - sizes_G[some]
        mean_GD[some] = np.add.reduceat(np.asarray(gallery.vectors[rows], np.float32), starts)
    mean_GD /= np.maximum(sizes_G, 1)[:, None]
    return mean_GD


def _column(values: NDArray[Any], at: NDArray[np.int64]) -> NDArray[Any]:
    """Return the hits' values of pairs, 0 where a pair has none."""
    if not len(values):
        return np.zeros(len(at), values.dtype)
    return np.where(at >= 0, values[at], 0)


def _verdicts(gallery: Gallery, judged: Judged, cut: tuple[float, float]) -> NDArray[np.str_]:
    pairs, sizes = judged.pairs, gallery.sizes
    same = (pairs.score >= cut[0]) & (np.fmin(judged.fit_a, judged.fit_b) >= cut[1])
    part_a = _column(pairs.hits.hit_faces_a, pairs.at) / sizes[pairs.label_a]
    part_b = _column(pairs.hits.hit_faces_b, pairs.at) / sizes[pairs.label_b]
    stray = (pairs.score < cut[0]) & (np.minimum(part_a, part_b) <= FEW) & (pairs.at >= 0)
    return np.where(same, "same_person", np.where(stray, "stray_face", "unclear"))


def _reasons(facts: dict[str, pa.Array], judged: Judged, order: NDArray[np.int64], threshold: float) -> list[str]:
    """Return a sentence for each pair, with its figures."""
    a, b = judged.pairs.label_a[order], judged.pairs.label_b[order]
    reach_a, reach_b = judged.seen.reach_P[a], judged.seen.reach_P[b]
    columns = zip(
        facts["verdict"].to_pylist(),
        judged.pairs.likeness[order].tolist(),
        judged.levels.expected(reach_a, reach_b).tolist(),
        judged.levels.chance(reach_a, reach_b).tolist(),
        judged.fit_a[order].tolist(),
        judged.fit_b[order].tolist(),
        *[facts[name].to_pylist() for name in ("hit_faces_a", "faces_a", "hit_faces_b", "faces_b")],
        strict=True,
    )
    return [
        f"{SAID[verdict]}: centres {likeness:.2f}, {expected:.2f} if one person, {chance:.2f} if two"
        + ("" if np.isnan(fit_a) else f"; {fit_a:.0%} and {fit_b:.0%} of the faces fit the other folder")
        + f"; {hit_a} of {n_a} and {hit_b} of {n_b} faces reach {threshold:.2f}"
        for verdict, likeness, expected, chance, fit_a, fit_b, hit_a, n_a, hit_b, n_b in columns
    ]
