"""The similarity at a stated false match rate, from a dataset's own different people.

Labels are what is doubted here, so pairs that are probably one person in spite of their labels are left out: faces
that their own folder does not support (strangers), and pairs of folders whose means are as near as the halves of one
folder are (hidden splits). Where the sample shows at least ``SHOWN`` pairs above a similarity, the rate is counted.
Beyond, it follows the law of random directions: of a cosine r, ``sqrt(-log(1 - r^2))`` has a normal tail whose width
tells the number of directions; centre and width are regressed on the part of the tail that the data do show.

Shape key: T sampled faces, Q of them that are compared with all, K their people, D numbers of an embedding.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from omokage.curate.gallery import Gallery
from omokage.errors import ConfigError
from omokage.index.threads import each

PAIRS: Final = 40_000_000
"""Pairs to look at; of different people at least 32 M remain, so a rate of one in a million is counted."""

FACES: Final = 16_000
"""Faces to sample."""

TOGETHER: Final = 8
"""Faces of a folder that are sampled together, so that it shows whether they support each other."""

SHOWN: Final = 30
"""Pairs above a similarity that make its rate a count: 18 % of standard error if they were independent."""

AT_ONCE: Final = 64
"""Faces that a thread compares with the sample at once: 4 MB."""

FINE: Final = 1e-4
"""Step in which similarities are counted."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A threshold, and what it rests on. Plain values, so that a report can hold it."""

    threshold: float
    """Similarity, (-1, 1]."""
    fmr: float
    """Share of pairs of different people at or above it, as asked for."""
    how: str
    """``counted`` or ``extrapolated``."""
    pairs: int
    """Pairs of different people that were looked at."""
    left_out: int
    """Pairs that were left out as probable label errors."""
    fmr_shown: float
    """The smallest rate that the data show; smaller ones are extrapolated."""
    edges: list[float]
    """Of the histograms: -1 to 1 by 0.01."""
    impostor: list[int]
    """Pairs of different people by similarity."""
    genuine: list[int]
    """Pairs of one person by similarity."""
    knots: list[tuple[float, float]]
    """Similarity and rate where the rate is counted, falling."""
    tail: tuple[float, float, float]
    """Centre of the similarities, and mean and width of the normal tail: see ``bend``."""

    def fmr_at(self, similarity: float) -> float:
        """Return the share of pairs of different people at or above a similarity: counted, or the tail's."""
        at, rate = np.array(self.knots).T
        if similarity <= at[-1]:
            return float(np.exp(np.interp(similarity, at, np.log(rate))))
        centre, mean, width = self.tail
        bent = float(bend(np.array([similarity]), centre)[0])
        return float(min(rate[-1], special.ndtr(-(bent - mean) / width)))


def calibrate(gallery: Gallery, fmr: float = 1e-6, seed: int = 0) -> Calibration:
    """Return the similarity that a share ``fmr`` of the pairs of different people reaches.

    Args:
        gallery: Faces; those of ``NOBODY`` are left out.
        fmr: In (0, 0.5).
        seed: Of the sample.

    Raises:
        ConfigError: ``fmr`` is out of range, or there are no two people to compare.
    """
    if not 0 < fmr < 0.5:
        raise ConfigError(f"the false match rate must lie between 0 and 0.5, got {fmr}")
    sample = _sample(gallery, seed)
    if len(sample.start_K) < 2:
        raise ConfigError(
            f"a threshold at a false match rate needs two people, and there are {len(sample.start_K)}; give --threshold"
        )
    genuine = _genuine(sample)
    fine, left_out = _count(sample, _doubt(sample, genuine))
    return _read(fine, left_out, genuine, fmr)


@dataclass(frozen=True)
class _Sample:
    """Faces by person."""

    vectors_TD: NDArray[np.float32]
    person_T: NDArray[np.int64]
    start_K: NDArray[np.int64]
    """Where a person's faces begin."""
    query_Q: NDArray[np.int64]

    @property
    def count_K(self) -> NDArray[np.int64]:  # noqa: N802 - a shape suffix
        return np.diff(np.append(self.start_K, len(self.person_T)))


@dataclass(frozen=True)
class _Doubt:
    """What is probably labelled wrongly."""

    bad_T: NDArray[np.bool_]
    pair_Z2: NDArray[np.int64]
    """Pairs of people who are probably one; both ways."""


def _sample(gallery: Gallery, seed: int) -> _Sample:
    """Return faces in handfuls of a folder; every face of the gallery is as likely as any other."""
    sizes_P = gallery.sizes
    faces = int(sizes_P.sum())
    hands_P = -(-sizes_P // TOGETHER)
    ends_P = np.cumsum(hands_P)
    total = int(hands_P.sum())
    want = total if faces <= FACES else FACES * total // faces
    hand_H = ((np.arange(want) + np.random.default_rng(seed).random()) * (total / max(want, 1))).astype(np.int64)
    label_H = np.searchsorted(ends_P, hand_H, side="right")
    first_H = gallery.bounds[label_H] + hand_H - (ends_P - hands_P)[label_H]
    rows = [
        gallery.order[first:end:step]
        for first, end, step in zip(first_H, gallery.bounds[label_H + 1], hands_P[label_H], strict=True)
    ]
    row_T = np.concatenate([np.zeros(0, np.int64), *rows])
    ascending_T = np.sort(row_T)  # a mapped file is best read forward
    vectors_TD = np.asarray(gallery.vectors[ascending_T], np.float32)[np.searchsorted(ascending_T, row_T)]
    once_T = _once(vectors_TD)
    vectors_TD, label_T = vectors_TD[once_T], gallery.label_N[row_T][once_T]
    _, start_K, person_T = np.unique(label_T, return_index=True, return_inverse=True)
    stride = max(1, -(-len(label_T) * len(label_T) // PAIRS))
    return _Sample(vectors_TD, person_T, start_K, np.arange(0, len(label_T), stride))


def _once(vectors_TD: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the first of each set of equal vectors: copies of a file tell nothing about two people."""
    sum_T = vectors_TD.sum(axis=1)  # equal ones have equal sums: only few must be compared whole
    _, place_T, count = np.unique(sum_T, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(count[place_T] > 1)
    raw = np.ascontiguousarray(vectors_TD[alike]).view(f"V{4 * vectors_TD.shape[1]}").ravel()
    again = np.ones(len(alike), bool)
    again[np.unique(raw, return_index=True)[1]] = False
    return np.delete(np.arange(len(vectors_TD)), alike[again])


def _genuine(sample: _Sample) -> NDArray[np.float32]:
    """Return the similarities of the pairs of one person; copies of a shot left out."""
    parts = [np.zeros(0, np.float32)]
    for start, count in zip(sample.start_K.tolist(), sample.count_K.tolist(), strict=True):
        some_ND = sample.vectors_TD[start : start + min(count, 64)]
        parts.append((some_ND @ some_ND.T)[np.triu_indices(len(some_ND), 1)])
    similarity = np.concatenate(parts)
    return similarity[similarity < 1 - FINE]


def _doubt(sample: _Sample, genuine: NDArray[np.float32]) -> _Doubt:
    """Find the faces and the pairs of people whose labels are probably wrong."""
    nothing = _Doubt(np.zeros(len(sample.person_T), bool), np.zeros((0, 2), np.int64))
    if len(genuine) < SHOWN:
        return nothing  # nearly all have one face: what one person looks like cannot be known
    level, spread = robust(genuine)
    sums_KD = np.add.reduceat(sample.vectors_TD, sample.start_K)
    count_T = sample.count_K[sample.person_T]
    own_T = np.einsum("td,td->t", sums_KD[sample.person_T], sample.vectors_TD) - 1
    own_T = np.where(count_T > 1, own_T / np.maximum(count_T - 1, 1), level)
    apart_T = np.sum(
        sample.vectors_TD[: len(sample.person_T) // 2] * sample.vectors_TD[-(len(sample.person_T) // 2) :], axis=1
    )
    other, other_spread = robust(apart_T)
    cut = (level * other_spread + other * spread) / (spread + other_spread)
    bad_T = own_T < cut
    return _Doubt(bad_T, _twins(sample, bad_T, (level, spread), other_spread))


def _twins(sample: _Sample, bad_T: NDArray[np.bool_], level: tuple[float, float], least: float) -> NDArray[np.int64]:
    """Return the pairs of people whose means are likelier those of one person, both ways; shape (Z, 2).

    One person in as many as there are is the prior. Different people's means follow the law of random directions,
    with the width that the middle of their similarities shows, or that of faces (``least``) where people are few.
    """
    good_T = (~bad_T).astype(np.float32)
    sums_KD = np.add.reduceat(sample.vectors_TD * good_T[:, None], sample.start_K)
    count_K = np.add.reduceat(good_T, sample.start_K)
    means_KD = sums_KD / np.maximum(count_K, 1)[:, None]
    some_J = np.unique(sample.person_T[sample.query_Q])
    parts = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(some_J), 1024):
        first_J = some_J[start : start + 1024]
        cross_JK = means_KD[first_J] @ means_KD.T
        known_JK = (count_K[first_J, None] > 0) & (count_K > 0) & (first_J[:, None] != np.arange(len(count_K)))
        if not known_JK.any():
            continue
        likeness_JK = cross_JK / max(level[0], 1e-3)  # 1 at one person
        centre, _ = robust(likeness_JK[known_JK])
        bent_JK = bend(likeness_JK, centre)
        width = max(robust(bent_JK[known_JK])[1], least)
        noise_JK = level[1] * np.sqrt((1 / np.maximum(count_K[first_J, None], 1) + 1 / np.maximum(count_K, 1)) / 2)
        noise_JK = np.maximum(noise_JK, 0.02)
        same_JK = -0.5 * np.minimum((cross_JK - level[0]) / noise_JK, 0) ** 2 - np.log(noise_JK)
        other_JK = -0.5 * (bent_JK / width) ** 2 - np.log(width * level[0])
        row_Z, column_Z = np.nonzero(known_JK & (same_JK - other_JK > np.log(len(count_K))))
        parts.append(np.stack([first_J[row_Z], column_Z], axis=1))
    return np.concatenate(parts)


def _count(sample: _Sample, doubt: _Doubt) -> tuple[NDArray[np.int64], int]:
    """Return how many pairs of different people have each similarity, by ``FINE`` from -1, and the pairs left out."""
    bins = round(2 / FINE) + 1
    fine = np.zeros(bins + 1, np.int64)
    query_Q = sample.query_Q[~doubt.bad_T[sample.query_Q]]
    place_K = np.append(sample.start_K, len(sample.person_T))
    twins = doubt.pair_Z2[np.argsort(doubt.pair_Z2[:, 0], kind="stable")]
    twin_K = np.searchsorted(twins[:, 0], np.arange(len(place_K)))

    def block(start: int) -> tuple[NDArray[np.int64], int]:
        left_out = 0
        rows = query_Q[start : start + AT_ONCE]
        score_BT = sample.vectors_TD[rows] @ sample.vectors_TD.T
        score_BT += np.float32(1)
        score_BT *= np.float32(1 / FINE)
        np.clip(score_BT, 0, bins - 1, out=score_BT)
        bin_BT = score_BT.astype(np.int32)
        bin_BT[:, doubt.bad_T] = bins
        for at, row in enumerate(rows.tolist()):
            person = sample.person_T[row]
            bin_BT[at, place_K[person] : place_K[person + 1]] = bins
            bin_BT[at, query_Q[: start + at]] = bins  # seen the other way round
            for twin in twins[twin_K[person] : twin_K[person + 1], 1].tolist():
                run = bin_BT[at, place_K[twin] : place_K[twin + 1]]
                left_out += int((run < bins).sum())
                run[:] = bins
        return np.bincount(bin_BT.ravel(), minlength=bins + 1), left_out

    left_out = 0
    for counts, left in each(block, range(0, len(query_Q), AT_ONCE)):
        fine += counts
        left_out += left
    copies = int(fine[bins - 2 : bins].sum())
    return fine[: bins - 2], left_out + copies


def _read(fine: NDArray[np.int64], left_out: int, genuine: NDArray[np.float32], fmr: float) -> Calibration:
    """Return the calibration that the counts of ``_count`` tell."""
    pairs = int(fine.sum())
    if pairs < SHOWN:
        raise ConfigError(
            f"a threshold at a false match rate needs {SHOWN} pairs of different people, and there are {pairs}; "
            "give --threshold"
        )
    rate = np.cumsum(fine[::-1])[::-1] / pairs  # at or above the lower edge of each step
    edge = np.arange(len(fine)) * FINE - 1
    shown = min(SHOWN, pairs / 8) / pairs
    tail = _fit(edge, rate, shown)
    counted = fmr >= shown
    if counted:
        threshold = float(edge[int(np.argmax(rate <= fmr))])
    else:
        threshold = _straighten(tail[1] - tail[2] * float(special.ndtri(fmr)), tail[0])
    wanted = np.append(np.geomspace(1, shown, 65), fmr if counted else shown)
    at = np.unique(np.searchsorted(-rate, -wanted[wanted >= shown * (1 - 1e-9)], side="left"))
    at = at[(at < len(rate))]
    at = at[rate[at] > 0]
    edges = np.linspace(-1, 1, 201)
    return Calibration(
        threshold=threshold,
        fmr=fmr,
        how="counted" if counted else "extrapolated",
        pairs=pairs,
        left_out=left_out,
        fmr_shown=shown,
        edges=edges.round(2).tolist(),
        impostor=np.add.reduceat(fine, np.arange(0, len(fine), round(0.01 / FINE)))[:200].tolist(),
        genuine=np.histogram(genuine, edges)[0].tolist(),
        knots=[(float(edge[i]), float(rate[i])) for i in at],
        tail=tail,
    )


def _fit(edge: NDArray[np.floating], rate: NDArray[np.floating], shown: float) -> tuple[float, float, float]:
    """Return centre, mean and width of the tail, from its last two decades that the data show.

    Source:
        The cosine r of two random directions of n dimensions has a density of (1 - r^2) to the power (n - 3) / 2.
    """
    centre = float(edge[np.searchsorted(-rate, -0.5)])
    knots = np.geomspace(min(0.25, 100 * shown), shown, 33)
    similarity = edge[np.minimum(np.searchsorted(-rate, -knots), len(edge) - 1)]
    normal = -special.ndtri(knots)
    width, mean = np.polyfit(normal, bend(similarity, centre), 1)
    return centre, float(mean), float(max(width, 1e-6))


def bend(similarity: NDArray[np.floating], centre: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return similarities such that those of random directions around a common one have a normal tail."""
    r = np.clip((similarity.astype(np.float64) - centre) / np.maximum(1 - centre, 1e-9), -1 + 1e-12, 1 - 1e-12)
    return np.sign(r) * np.sqrt(-np.log1p(-(r**2)))


def _straighten(bent: float, centre: float) -> float:
    """Return the similarity that ``bend`` has bent."""
    return centre + (1 - centre) * float(np.sign(bent) * np.sqrt(-np.expm1(-(bent**2))))


def robust(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return the median and the standard deviation that the middle half shows."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(middle), max(float(high - low) / 1.349, 1e-6)
