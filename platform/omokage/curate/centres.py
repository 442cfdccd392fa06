"""What each person looks like: a robust centre, and how near each face comes to the rest of its person.

A plain mean moves towards strangers and hard light, and where a folder is two people it lies between them. So a centre
is made in two passes: first of that half of the faces that agrees best (a concentration step, as in least trimmed
squares), then of all faces that are nearer to that half than to nobody in particular.

Shape key: N faces, P people, D numbers of an embedding, K people of one size, S faces of each of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.curate.gallery import Gallery

FACES_AT_ONCE: Final = 4096
"""Vectors in hand: few enough to stay in the processor's cache while they are gone over several times."""

ROUNDS: Final = 3
"""Concentration steps; a fourth changes nothing that matters."""

SAMPLE: Final = 2048
"""Faces, and people, whose similarities tell the level of strangers."""


@dataclass(frozen=True)
class Centres:
    """People, by label, and their faces, by row."""

    mean_PD: NDArray[np.float32]
    """Plain mean vectors, not of unit length; 0 for a person without faces."""
    robust_PD: NDArray[np.float32]
    """Mean of the faces that agree, unit length; 0 for a person without faces."""
    within_P: NDArray[np.float32]
    """Mean similarity of two faces of the person; nan with fewer than two."""
    own_N: NDArray[np.float32]
    """Similarity of a face to the centre of the *other* faces of its person that agree; nan where there is none."""
    kept_N: NDArray[np.bool_]
    """Whether the centre was made of the face too."""


def centres(gallery: Gallery) -> Centres:
    """Return the centres of all people; goes twice over the vectors and holds two P x D arrays.

    Faces of nobody have no part in it. The order of the rows does not matter.
    """
    people, faces, dim = len(gallery.names), len(gallery.label_N), gallery.vectors[:1].shape[1]
    mean_PD, half_PD = np.zeros((people, dim), np.float32), np.zeros((people, dim), np.float32)
    for label_K, _, x_KSD in same_size(gallery):
        mean_PD[label_K] = x_KSD.mean(axis=1)
        half_PD[label_K] = _unit(_sum(x_KSD, _agreeing_half(x_KSD)))
    level = float(np.median(to_strangers(gallery, half_PD)))
    robust_PD = half_PD  # each person's half is read before it is replaced
    own_N, kept_N = np.full(faces, np.nan, np.float32), np.zeros(faces, bool)
    for label_K, rows_KS, x_KSD in same_size(gallery):
        near_KS = np.vecdot(x_KSD, half_PD[label_K][:, None])
        median_K = np.median(near_KS, axis=1)
        # Half of the faces stay in any case; the cut lies halfway to strangers, so that hard light stays in too.
        kept_KS = near_KS >= np.minimum(median_K, (median_K + level) / 2)[:, None]
        sum_KD = _sum(x_KSD, kept_KS)
        robust_PD[label_K] = _unit(sum_KD)
        kept_N[rows_KS] = kept_KS
        if x_KSD.shape[1] > 1:
            own_N[rows_KS] = _to_the_others(x_KSD, sum_KD, kept_KS)
    return Centres(mean_PD, robust_PD, _within(mean_PD, gallery.sizes), own_N, kept_N)


def to_strangers(gallery: Gallery, centre_PD: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return similarities of a sample of faces to the centres of a sample of other people; [0] where there are none.

    At most ``SAMPLE`` squared of them. Some are no strangers, where two folders show one person: use medians.
    """
    rng = np.random.default_rng(0)
    usable = gallery.order[gallery.bounds[0] :]
    rows = usable[np.sort(rng.permutation(len(usable))[:SAMPLE])]
    labels = np.sort(rng.permutation(np.flatnonzero(gallery.sizes))[:SAMPLE])
    near = gallery.vectors[rows] @ centre_PD[labels].T
    others: NDArray[np.float32] = near[gallery.label_N[rows][:, None] != labels]
    return others if len(others) else np.zeros(1, np.float32)


def same_size(
    gallery: Gallery,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Yield people who have equally many faces: labels (K,), rows (K, S), by face_id, and vectors (K, S, D)."""
    sizes = gallery.sizes
    for first, end in gallery.people(FACES_AT_ONCE):
        start = int(gallery.bounds[first])
        rows = gallery.order[start : gallery.bounds[end]]
        vectors_ND = np.asarray(gallery.vectors[rows], np.float32)
        for size in np.unique(sizes[first:end]).tolist():
            if size == 0:
                continue
            label_K = first + np.flatnonzero(sizes[first:end] == size)
            place_KS = (gallery.bounds[label_K] - start)[:, None] + np.arange(size)
            everybody = place_KS.size == len(rows)  # as they lie, without a copy
            x_KSD = vectors_ND.reshape(*place_KS.shape, -1) if everybody else vectors_ND[place_KS]
            yield label_K, rows[place_KS], x_KSD


def _agreeing_half(x_KSD: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which faces, half of each person's and at least two, agree best with each other."""
    size = x_KSD.shape[1]
    half = max(2, (size + 1) // 2)
    kept_KS = np.ones(x_KSD.shape[:2], bool)
    if half >= size:
        return kept_KS
    for _ in range(ROUNDS):
        near_KS = _to_the_others(x_KSD, _sum(x_KSD, kept_KS), kept_KS)
        best_KS = np.argsort(-near_KS, axis=1, kind="stable")[:, :half]  # ties: by face_id, the order of the rows
        kept_KS = np.zeros_like(kept_KS)
        np.put_along_axis(kept_KS, best_KS, True, axis=1)
    return kept_KS


def _sum(x_KSD: NDArray[np.float32], kept_KS: NDArray[np.bool_]) -> NDArray[np.float32]:
    sum_K1D: NDArray[np.float32] = kept_KS[:, None].astype(np.float32) @ x_KSD
    return sum_K1D[:, 0]


def _to_the_others(
    x_KSD: NDArray[np.float32], sum_KD: NDArray[np.float32], kept_KS: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return each face's similarity to the sum without itself; 0 where nothing else was kept."""
    dot_KS = np.vecdot(x_KSD, sum_KD[:, None])
    square_KS = np.vecdot(sum_KD, sum_KD)[:, None] - kept_KS * (2 * dot_KS - 1)
    near_KS: NDArray[np.float32] = ((dot_KS - kept_KS) / np.sqrt(np.maximum(square_KS, 1e-6))).clip(-1, 1)
    return near_KS


def _unit(values_KD: NDArray[np.float32]) -> NDArray[np.float32]:
    length_K1: NDArray[np.float32] = np.sqrt(np.vecdot(values_KD, values_KD))[:, None]
    unit_KD: NDArray[np.float32] = values_KD / length_K1.clip(1e-12)
    return unit_KD


def _within(mean_PD: NDArray[np.float32], sizes_P: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean similarity of two faces: the mean's square is that of all pairs, each face with itself too."""
    n_P = np.where(sizes_P > 1, sizes_P, np.nan)
    squares_P = np.vecdot(mean_PD, mean_PD)
    within_P: NDArray[np.float32] = ((squares_P * n_P - 1) / (n_P - 1)).astype(np.float32)
    return within_P
