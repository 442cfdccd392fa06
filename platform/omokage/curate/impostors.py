"""How alike faces of different people are: counts over a sample of a dataset, probable label errors left out.

Labels are what is doubted here, so pairs that are probably one person in spite of their labels are left out: faces
that their own folder does not support (strangers), and pairs of folders whose means are as near as the halves of one
folder are (hidden splits).

Shape key: T sampled faces, Q of them that are compared with all, B of those at once, K their people, J some of them,
P all people, H handfuls, Z pairs of people, D numbers of an embedding.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.curate.directions import bend, robust
from omokage.curate.gallery import Gallery
from omokage.index.threads import each

PAIRS: Final = 40_000_000
"""Pairs to look at; of different people at least 32 M remain, so a rate of one in a million is counted."""

FACES: Final = 16_000
"""Faces to sample."""

TOGETHER: Final = 8
"""Faces of a folder that are sampled together, so that it shows whether they support each other."""

READ: Final = 1024
"""Faces that are read at once."""

SHOWN: Final = 30
"""Pairs above a similarity that make its rate a count: 18 % of standard error if they were independent."""

AT_ONCE: Final = 256
"""Faces that a thread compares with the sample at once: 16 MB."""

COUNTED: Final = 16
"""Of those, faces whose similarities are counted at once, while they are in the processor's cache."""

FINE: Final = 1e-4
"""Step in which similarities are counted."""

BINS: Final = round(2 / FINE) + 1

LEFT_OUT: Final = BINS
"""Where pairs go that do not count."""

SHORT: Final = 64
"""Faces of a person whose pairs are looked at, at most."""


@dataclass(frozen=True)
class Sample:
    """Faces by person."""

    vectors_TD: NDArray[np.float32]
    person_T: NDArray[np.int64]
    start_K: NDArray[np.int64]
    """Where a person's faces begin."""
    query_Q: NDArray[np.int64]

    @property
    def count_K(self) -> NDArray[np.int64]:  # noqa: N802 - a shape suffix
        """How many faces each person has."""
        return np.diff(np.append(self.start_K, len(self.person_T)))


@dataclass(frozen=True)
class _Doubt:
    """What is probably labelled wrongly."""

    bad_T: NDArray[np.bool_]
    pair_Z2: NDArray[np.int64]
    """Pairs of people who are probably one; both ways."""


def drawn(gallery: Gallery, seed: int) -> Sample:
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
    vectors_TD = np.empty((len(row_T), gallery.vectors[:1].shape[1]), np.float32)
    forward_T = np.argsort(row_T)  # a mapped file is best read forward
    for start in range(0, len(row_T), READ):
        some = forward_T[start : start + READ]
        vectors_TD[some] = gallery.vectors[row_T[some]]
    once_T = _once(vectors_TD)
    label_T = gallery.label_N[row_T]
    if len(once_T) < len(row_T):
        vectors_TD, label_T = vectors_TD[once_T], label_T[once_T]
    _, start_K, person_T = np.unique(label_T, return_index=True, return_inverse=True)
    stride = max(1, -(-len(label_T) * len(label_T) // PAIRS))
    return Sample(vectors_TD, person_T, start_K, np.arange(0, len(label_T), stride))


def _once(vectors_TD: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the first of each set of equal vectors: copies of a file tell nothing about two people."""
    sum_T = vectors_TD.sum(axis=1)  # equal ones have equal sums: only few must be compared whole
    _, place_T, count = np.unique(sum_T, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(count[place_T] > 1)
    raw = np.ascontiguousarray(vectors_TD[alike]).view(f"V{4 * vectors_TD.shape[1]}").ravel()
    again = np.ones(len(alike), bool)
    again[np.unique(raw, return_index=True)[1]] = False
    return np.delete(np.arange(len(vectors_TD)), alike[again])


def genuine(sample: Sample) -> NDArray[np.float32]:
    """Return the similarities of the pairs of one person; copies of a shot left out."""
    parts, short_K = [np.zeros(0, np.float32)], np.minimum(sample.count_K, SHORT)
    pairs = {count: np.triu_indices(count, 1) for count in np.unique(short_K).tolist()}
    for start, count in zip(sample.start_K.tolist(), short_K.tolist(), strict=True):
        some_ND = sample.vectors_TD[start : start + count]
        parts.append((some_ND @ some_ND.T)[pairs[count]])
    similarity = np.concatenate(parts)
    return similarity[similarity < 1 - FINE]


def counts(sample: Sample, own: NDArray[np.float32]) -> tuple[NDArray[np.int64], int]:
    """Return how many pairs of different people have each similarity, by ``FINE`` from -1, and the pairs left out."""
    doubt = _doubt(sample, own)
    count = _Count(sample, doubt)
    starts = range(0, len(count.query_Q), AT_ONCE)
    fine, left_out = np.zeros(BINS + 1, np.int64), 0
    for found, left in each(count, starts):
        fine += found
        left_out += left
    copies = int(fine[BINS - 2 : BINS].sum())
    return fine[: BINS - 2], left_out + copies


class _Count:
    """Counts the similarities of some of the queries."""

    def __init__(self, sample: Sample, doubt: _Doubt) -> None:
        self.sample = sample
        self.query_Q = sample.query_Q[~doubt.bad_T[sample.query_Q]]
        self.bad = np.flatnonzero(doubt.bad_T)
        self.place_K = np.append(sample.start_K, len(sample.person_T))
        self.twins = doubt.pair_Z2[np.argsort(doubt.pair_Z2[:, 0], kind="stable")]
        self.twin_K = np.searchsorted(self.twins[:, 0], np.arange(len(self.place_K)))

    def __call__(self, start: int) -> tuple[NDArray[np.int64], int]:
        """Return counts, what is left out at ``LEFT_OUT``, and how many pairs of twins there were."""
        rows_B = self.query_Q[start : start + AT_ONCE]
        score_BT = (self.sample.vectors_TD[rows_B] * np.float32(1 / FINE)) @ self.sample.vectors_TD.T
        fine, left_out = np.zeros(BINS + 1, np.int64), 0
        bin_BT = np.empty((COUNTED, score_BT.shape[1]), np.int64)
        for at in range(0, len(rows_B), COUNTED):
            some_BT = score_BT[at : at + COUNTED]
            bins_BT = bin_BT[: len(some_BT)]
            some_BT += np.float32(1 / FINE)
            np.clip(some_BT, 0, BINS - 1, out=bins_BT, casting="unsafe")
            bins_BT[:, self.bad] = LEFT_OUT
            for place, run in enumerate(bins_BT, start + at):
                left_out += self._mask(run, place)
            fine += np.bincount(bins_BT.ravel(), minlength=BINS + 1)
        return fine, left_out

    def _mask(self, run_T: NDArray[np.int64], place: int) -> int:
        """Leave out what is no pair of different people, or was seen before; return how many pairs of twins it had."""
        person = self.sample.person_T[self.query_Q[place]]
        run_T[self.place_K[person] : self.place_K[person + 1]] = LEFT_OUT
        run_T[self.query_Q[:place]] = LEFT_OUT  # seen the other way round
        left_out = 0
        for twin in self.twins[self.twin_K[person] : self.twin_K[person + 1], 1].tolist():
            some = run_T[self.place_K[twin] : self.place_K[twin + 1]]
            left_out += int((some < BINS).sum())
            some[:] = LEFT_OUT
        return left_out


def _doubt(sample: Sample, own: NDArray[np.float32]) -> _Doubt:
    """Find the faces and the pairs of people whose labels are probably wrong."""
    nothing = _Doubt(np.zeros(len(sample.person_T), bool), np.zeros((0, 2), np.int64))
    if len(own) < SHOWN:
        return nothing  # nearly all have one face: what one person looks like cannot be known
    level, spread = robust(own)
    sums_KD = np.add.reduceat(sample.vectors_TD, sample.start_K)
    count_T = sample.count_K[sample.person_T]
    own_T = np.vecdot(sums_KD[sample.person_T], sample.vectors_TD) - 1
    own_T = np.where(count_T > 1, own_T / np.maximum(count_T - 1, 1), level)
    half = len(sample.person_T) // 2
    other, other_spread = robust(np.vecdot(sample.vectors_TD[:half], sample.vectors_TD[-half:]))
    cut = (level * other_spread + other * spread) / (spread + other_spread)
    bad_T = own_T < cut
    return _Doubt(bad_T, _twins(sample, bad_T, (level, spread), other_spread))


def _twins(sample: Sample, bad_T: NDArray[np.bool_], level: tuple[float, float], least: float) -> NDArray[np.int64]:
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
