"""Pairs of people who may be one, judged by all their evidence.

A few alike faces between two folders are no verdict: a stranger in a folder, or hard light, makes them too. So the
score of a pair is the odds that the centres of both folders, which hundreds of pairs of faces have made, look alike as
two halves of one folder do and not as two people do (``evidence.py``). And the proposal that two folders are one
person also wants most faces of each folder to fit the other, so that it never hangs on a stray face.

Shape key: P people, C pairs of them, B pairs at a time, S faces of a folder at most, D numbers of an embedding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.curate import evidence
from omokage.curate.centres import centres
from omokage.curate.collision_table import Judged, Pairs, table
from omokage.curate.evidence import Levels, Looks
from omokage.curate.gallery import NOBODY, Gallery
from omokage.curate.hits import Hits
from omokage.curate.weigh import weighed
from omokage.errors import ConfigError

BLOCK: Final = 1024
"""People whose centres are compared at a time."""

PAIRS_AT_ONCE: Final = 64
"""Pairs whose faces are compared at a time."""

LISTED: Final = -1.0
"""Odds (log10) from which a pair is listed although no two of its faces reach the threshold."""

DIGITS: Final = 2
"""Of a score: sums in other threads differ in later ones."""

LOOKED_INTO: Final = -3.0
"""Odds (log10) from which the faces of a pair are looked at one by one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CollisionConfig:
    """How pairs of people are judged."""

    cut: float = 0.0
    """Odds, as a power of ten, from which two folders are proposed as one person."""
    fit: float = 0.6
    """Share of each folder's faces that must fit the other folder, [0, 1]."""
    faces: int = 32
    """Faces of a folder that its evidence is taken from, at least 1: more do not make it clearer."""
    people: int = 100_000
    """Up to so many people all pairs of centres are compared; above, only pairs with a hit."""
    seed: int = 0
    """Of the samples."""

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        if not 0 <= self.fit <= 1:
            raise ConfigError(f"collisions.fit must lie in [0, 1], got {self.fit}")
        if self.faces < 1:
            raise ConfigError(f"collisions.faces must be at least 1, got {self.faces}")
        if self.people < 0:
            raise ConfigError(f"collisions.people must not be negative, got {self.people}")


class Judge:
    """Knows what the people of a gallery look like, and says which of them may be one."""

    def __init__(self, gallery: Gallery, config: CollisionConfig) -> None:
        """Look at everybody: all that can be known before any pair of faces is."""
        self.gallery = gallery
        self.config = config
        self.able = np.count_nonzero(gallery.sizes) > 1
        if not self.able:
            return
        self.space = weighed(_some_faces(gallery, config.faces))
        people = centres(self.space)
        self.seen = evidence.looks(self.space, people)
        self.levels = evidence.measure(self.space, people, self.seen, config.seed)

    def pairs(self, hits: Hits, threshold: float) -> pa.Table:
        """Return pairs of people with evidence that they are one, ``schema.COLLISION_PAIRS``, the strongest first.

        Similarities in the columns are those of the gallery's vectors; the likeness of centres in the reasons, and the
        score, are those of weighed vectors.

        Args:
            hits: What the join found.
            threshold: At which it did.
        """
        if not self.able:
            return schema.COLLISION_PAIRS.empty_table()
        config = self.config
        pairs = _candidates(self.seen, self.levels, hits, config)
        judged = Judged(self.seen, self.levels, pairs, *_fits(self.space, self.seen, self.levels, pairs, config))
        return table(self.gallery, judged, threshold, (config.cut, config.fit))


def _some_faces(gallery: Gallery, most: int) -> Gallery:
    """Return a gallery in which every person has at most so many faces, spread over all by face_id."""
    if gallery.sizes.max(initial=0) <= most:
        return gallery
    size_N = gallery.sizes[gallery.label_N]
    place_N = np.empty(len(gallery.order), np.int64)
    place_N[gallery.order] = np.arange(len(gallery.order))
    place_N -= gallery.bounds[gallery.label_N]
    step = place_N * most // size_N.clip(1)
    before = (place_N - 1) * most // size_N.clip(1)
    kept_N = (size_N <= most) | (place_N == 0) | (step != before)
    return gallery.with_labels(np.where(kept_N, gallery.label_N, NOBODY).astype(np.int32))


def _candidates(seen: Looks, levels: Levels, hits: Hits, config: CollisionConfig) -> Pairs:
    """Return the pairs with hits, and those with alike centres."""
    keys = [hits.label_a << 32 | hits.label_b]
    if len(seen.reach_P) <= config.people:
        keys += list(_alike(seen, levels))
    key_C = np.unique(np.concatenate(keys))
    label_a, label_b = key_C >> 32, key_C & 0xFFFFFFFF
    likeness = np.concatenate(
        [np.zeros(0)]
        + [
            np.vecdot(seen.centre_PD[label_a[s : s + 65536]], seen.centre_PD[label_b[s : s + 65536]]).astype(np.float64)
            for s in range(0, len(key_C), 65536)
        ]
    )
    odds = levels.log_odds(likeness, seen.reach_P[label_a], seen.reach_P[label_b])
    score = np.round(odds, DIGITS)
    at = np.full(len(key_C), -1)
    at[np.searchsorted(key_C, keys[0])] = np.arange(len(keys[0]))
    return Pairs(label_a, label_b, likeness, score, at, hits)


def _alike(seen: Looks, levels: Levels) -> Iterator[NDArray[np.int64]]:
    """Yield the keys of pairs of people whose centres alone speak for one person, however few faces are alike.

    People are taken in order of reach, so that a tile of the product has one cut, which its least certain pair needs.
    """
    order = np.argsort(seen.reach_P, kind="stable")
    order = order[seen.reach_P[order] > 0]
    sorted_PD, reach_P = seen.centre_PD[order], seen.reach_P[order]
    for row in range(0, len(order), BLOCK):
        for column in range(row, len(order), 8 * BLOCK):
            rows, columns = slice(row, row + BLOCK), slice(column, column + 8 * BLOCK)
            least = _least(levels, reach_P[rows], reach_P[columns])
            near = sorted_PD[rows] @ sorted_PD[columns].T
            first, second = np.nonzero(near >= least)
            apart = second + column > first + row
            first, second = first[apart], second[apart]
            odds = levels.log_odds(
                near[first, second].astype(np.float64), reach_P[row + first], reach_P[column + second]
            )
            good = odds >= LISTED
            a, b = order[row + first[good]], order[column + second[good]]
            yield np.minimum(a, b) << 32 | np.maximum(a, b)


def _least(levels: Levels, reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]) -> float:
    """Return the smallest likeness at which a pair of a tile can be listed; odds rise with likeness."""
    likeness = np.linspace(-1, 1, 401)
    least = 1.0
    for a in (reach_a[0], reach_a[-1]):
        for b in (reach_b[0], reach_b[-1]):
            odds = levels.log_odds(likeness, np.full(401, a), np.full(401, b))
            least = min(
                least, float(likeness[max(int(np.argmax(odds >= LISTED)) - 1, 0)]) if odds.max() >= LISTED else 1
            )
    return least - 0.02


def _fits(
    gallery: Gallery, seen: Looks, levels: Levels, pairs: Pairs, config: CollisionConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of each folder's faces that are likelier the other folder's person than anybody."""
    fit_a, fit_b = np.full(len(pairs.score), np.nan), np.full(len(pairs.score), np.nan)
    asked = np.flatnonzero(pairs.score >= LOOKED_INTO)
    for start in range(0, len(asked), PAIRS_AT_ONCE):
        some = asked[start : start + PAIRS_AT_ONCE]
        fit_a[some] = _fit(gallery, seen, levels, (pairs.label_a[some], pairs.label_b[some]), config)
        fit_b[some] = _fit(gallery, seen, levels, (pairs.label_b[some], pairs.label_a[some]), config)
    return fit_a, fit_b


def _fit(
    gallery: Gallery,
    seen: Looks,
    levels: Levels,
    pair: tuple[NDArray[np.int64], NDArray[np.int64]],
    config: CollisionConfig,
) -> NDArray[np.float64]:
    """Return the share of the faces of the first people that fit the centres of the second."""
    first_B, second_B = pair
    runs = [_some(gallery.rows(label), config) for label in first_B.tolist()]
    count_B = np.array([len(rows) for rows in runs])
    pair_N = np.repeat(np.arange(len(runs)), count_B)
    vectors_ND = np.asarray(gallery.vectors[np.concatenate(runs)], np.float32)
    near_N = np.vecdot(vectors_ND, seen.centre_PD[second_B][pair_N]).astype(np.float64)
    alone_N = np.sqrt(seen.within_P[first_B])[pair_N]
    good_N = levels.likelier_same(near_N, alone_N, seen.reach_P[second_B][pair_N])
    share_B: NDArray[np.float64] = np.bincount(pair_N, good_N, minlength=len(runs)) / count_B
    return share_B


def _some(rows: NDArray[np.int64], config: CollisionConfig) -> NDArray[np.int64]:
    """Return a few rows of a person, by face_id."""
    if len(rows) <= config.faces:
        return rows
    return rows[np.sort(np.random.default_rng(config.seed).permutation(len(rows))[: config.faces])]
