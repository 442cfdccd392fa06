"""Folders that are really several people.

The robust centre of such a folder is that of its biggest part. The faces that it does not support are compared among
themselves in the same way, as if they were a folder of their own: who agrees there is a second person, if there are
enough of them to be no coincidence of strangers; then a third.

Shape key: N faces, P people, F faces of folders that are mixed, D numbers of an embedding.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.centres import centres
from omokage.curate.gallery import NOBODY, Gallery
from omokage.curate.levels import Levels, others

MOST_PARTS: Final = 8
"""People in a folder; of what is beyond that no folder is left to speak of."""

LEAST: Final = 3
"""Faces of a part. Two strangers' faces that agree are one stranger twice, rather than a second person."""


def parts(gallery: Gallery, apart_N: NDArray[np.bool_], level: Levels, share: float) -> NDArray[np.int64]:
    """Return which person of its folder each face shows: 0 the folder's own, 1 a second, …, -1 none of them.

    Args:
        gallery: Faces, with weighed vectors.
        apart_N: Faces that their folder does not support. Shape (N,).
        level: What similarities say.
        share: How much of a folder a part must be, at least, [0, 1]; a part as big as the first is one in any case.
    """
    part_N = np.where(apart_N, -1, 0)
    sizes_P = gallery.sizes
    core_P = np.bincount(gallery.label_N[~apart_N & (gallery.label_N >= 0)], minlength=len(sizes_P))
    rest_N = apart_N.copy()
    for number in range(1, MOST_PARTS):
        left = _left(gallery, rest_N)
        known = centres(left)
        others_N = others(left, known)
        able_N = rest_N & (others_N > 0) & ~np.isnan(known.own_N)
        alike_N = np.zeros(len(rest_N), bool)
        alike_N[able_N] = level.evidence(known.own_N[able_N], others_N[able_N]) < 0
        count_P = np.bincount(gallery.label_N[alike_N], minlength=len(sizes_P))
        enough_P = (count_P >= np.maximum(LEAST, share * sizes_P)) | ((count_P >= core_P) & (count_P >= 2))
        found_N = alike_N & enough_P[gallery.label_N]
        if not found_N.any():
            break
        part_N[found_N] = number
        rest_N &= ~found_N & enough_P[gallery.label_N]  # a folder without another part is done
    return part_N


def mixed(gallery: Gallery, part_N: NDArray[np.int64]) -> pa.Table:
    """Return the faces of folders with more than one part, as rows of ``schema.MIXED``; the biggest part first."""
    label_P = np.unique(gallery.label_N[part_N > 0])
    columns: dict[str, list[object]] = {name: [] for name in schema.MIXED.names}
    for label in label_P.tolist():
        rows = gallery.rows(label)
        rows = rows[part_N[rows] >= 0]
        number_F = _by_size(part_N[rows])
        order = np.argsort(number_F, kind="stable")
        rows, number_F = rows[order], number_F[order]
        within, between = _likeness(gallery.vectors[rows], number_F)
        columns["identity"] += [gallery.names[label]] * len(rows)
        columns["part"] += (number_F + 1).tolist()
        for name in ("face_id", "uri"):
            columns[name] += gallery.faces[name].take(pa.array(rows)).to_pylist()
        columns["between"] += between[number_F].tolist()
        columns["within"] += within[number_F].tolist()
    return pa.table(columns, schema=schema.MIXED)


def _left(gallery: Gallery, rest_N: NDArray[np.bool_]) -> Gallery:
    """Return the gallery with all other faces nobody's."""
    return replace(gallery, label_N=np.where(rest_N, gallery.label_N, NOBODY).astype(np.int32))


def _by_size(part_F: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return parts numbered anew, the biggest 0; ties keep their order."""
    found, part_F, count = np.unique(part_F, return_inverse=True, return_counts=True)
    rank = np.empty(len(found), np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(found))
    return rank[part_F]


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
