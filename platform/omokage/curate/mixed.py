"""Folders that are really several people.

A robust centre is that of the bigger part only while there is a bigger part. So folders that hold together badly, or
have many faces apart, are looked at pair by pair: average linkage, which joins groups while their faces are, in the
mean, nearer to one person than to strangers. Groups that are too big to be a coincidence of strangers are people.

Shape key: N faces, P people, F faces of a folder, Q people in it, D numbers of an embedding.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from threadpoolctl import threadpool_limits

from omokage import schema
from omokage.curate.centres import Centres
from omokage.curate.gallery import Gallery
from omokage.curate.levels import Levels

LEAST: Final = 3
"""Faces of a part. Two strangers' faces that agree are one stranger twice, rather than a second person."""

LOOSE: Final = 0.75
"""Share of the usual similarity within people, below which a folder is looked at; a third of strangers are enough."""

MOST: Final = 2048
"""Faces of a folder that are compared pair by pair; of more, a sample, and the others join whom they are like."""


@dataclass(frozen=True)
class Rule:
    """When faces are apart, and when a part is a person."""

    share: float
    """Of a folder, that a part must be; one as big as the biggest is a part in any case."""
    evidence: float
    """That a face is a stranger's, from which it joins no part."""


def split(gallery: Gallery, known: Centres, apart_N: NDArray[np.bool_], level: Levels, rule: Rule) -> NDArray[np.int64]:
    """Return which person of its folder each face shows: 0 the first, 1 a second, ..., -1 none of several.

    What is known of folders with several people is put right, in place: their centre becomes that of the biggest part,
    and ``own_N`` of their faces the similarity to the nearest part.

    Args:
        gallery: Faces, with weighed vectors.
        known: Their centres.
        apart_N: Faces that their folder does not support. Shape (N,).
        level: What similarities say.
        rule: What a part is.
    """
    part_N = np.zeros(len(apart_N), np.int64)
    apart_P = np.bincount(gallery.label_N[apart_N], minlength=len(gallery.names))
    many_P = (apart_P >= 2) & (apart_P >= np.minimum(np.maximum(LEAST, rule.share * gallery.sizes), gallery.sizes / 2))
    loose_P = known.within_P < LOOSE * level.pair
    with threadpool_limits(1, "blas"):  # small products, for which threads would only wait for each other
        for label in np.flatnonzero(many_P | (loose_P & (gallery.sizes >= 4))).tolist():
            rows = gallery.rows(label)
            x_FD = gallery.vectors[rows]
            number_F, centre_QD = _people(x_FD, level, rule)
            if len(centre_QD) < 2:
                continue
            near_FQ = x_FD @ centre_QD.T
            count_Q = np.bincount(number_F[number_F >= 0], minlength=len(centre_QD))
            nearest_F, best_F = near_FQ.argmax(axis=1), near_FQ.max(axis=1)
            joins_F = level.evidence(best_F, count_Q[nearest_F]) < rule.evidence
            part_N[rows] = np.where(number_F >= 0, number_F, np.where(joins_F, nearest_F, -1))
            known.own_N[rows] = best_F
            known.kept_N[rows] = part_N[rows] == 0
            known.robust_PD[label] = centre_QD[0]
    return part_N


def _people(x_FD: NDArray[np.float32], level: Levels, rule: Rule) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the person of each face, -1 for none or not looked at, and the centres of people; the biggest first."""
    some = np.sort(np.random.default_rng(0).permutation(len(x_FD))[:MOST])
    group_F = _groups(x_FD[some], (level.strangers + level.pair) / 2)
    size_G = np.bincount(group_F)
    big = np.argsort(-size_G, kind="stable")
    least = max(LEAST, rule.share * len(some))
    big = big[(size_G[big] >= least) | ((size_G[big] >= size_G.max()) & (size_G[big] >= 2))]
    number_G = np.full(len(size_G), -1)
    number_G[big] = np.arange(len(big))
    number_F = np.full(len(x_FD), -1)
    number_F[some] = number_G[group_F]
    sum_QD = (number_F == np.arange(len(big))[:, None]).astype(np.float32) @ x_FD
    return number_F, sum_QD / np.linalg.norm(sum_QD, axis=1, keepdims=True).clip(1e-12)


def _groups(x_FD: NDArray[np.float32], cut: float) -> NDArray[np.int64]:
    """Return groups, numbered from 0 by their first face, whose mean similarity to any other is below ``cut``."""
    far_FF = np.maximum(1 - x_FD @ x_FD.T, 0).astype(np.float64)
    np.fill_diagonal(far_FF, 0)
    group_F = fcluster(linkage(squareform(far_FF, checks=False), "average"), 1 - cut, "distance")
    _, first_G, group_F = np.unique(group_F, return_index=True, return_inverse=True)
    numbers: NDArray[np.int64] = np.argsort(np.argsort(first_G))[group_F]
    return numbers


def mixed(gallery: Gallery, part_N: NDArray[np.int64]) -> pa.Table:
    """Return the faces of folders with more than one part, as rows of ``schema.MIXED``; the biggest part first."""
    label_P = np.unique(gallery.label_N[part_N > 0])
    columns: dict[str, list[object]] = {name: [] for name in schema.MIXED.names}
    for label in label_P.tolist():
        rows = gallery.rows(label)
        rows = rows[part_N[rows] >= 0]
        rows = rows[np.argsort(part_N[rows], kind="stable")]
        number_F = part_N[rows]
        within, between = _likeness(gallery.vectors[rows], number_F)
        columns["identity"] += [gallery.names[label]] * len(rows)
        columns["part"] += (number_F + 1).tolist()
        for name in ("face_id", "uri"):
            columns[name] += gallery.faces[name].take(pa.array(rows)).to_pylist()
        columns["between"] += between[number_F].tolist()
        columns["within"] += within[number_F].tolist()
    return pa.table(columns, schema=schema.MIXED)


def _likeness(
    vectors_FD: NDArray[np.float32], part_F: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return for each part the mean similarity of two of its faces, nan with one, and of its faces to other parts'."""
    member_QF = part_F == np.arange(part_F.max() + 1)[:, None]
    count_Q = member_QF.sum(axis=1)
    sum_QD = member_QF.astype(np.float32) @ vectors_FD
    pairs_Q = np.where(count_Q > 1, count_Q * (count_Q - 1), np.nan)
    within_Q = ((sum_QD**2).sum(axis=1) - count_Q) / pairs_Q
    between_Q = (sum_QD * (sum_QD.sum(axis=0) - sum_QD)).sum(axis=1) / (count_Q * (count_Q.sum() - count_Q))
    return within_Q, between_Q
