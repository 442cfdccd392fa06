"""Searches of a gallery: what each probe's mate scored, which rank that is, and who else scored most.

The gallery is compared block by block and never held as a matrix; a rank is counted, not read from a list of the
nearest, so it is exact however deep. A person scores the best of their faces, or their template. Where two people score
the same, the mate comes last: a tie never flatters.

Shape key: G faces of the gallery, Q probes, E numbers of an embedding, S sizes of gallery, K candidates, C columns of a
block, R rows.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.pairs import unit_vectors
from omokage.evaluate.stripes import compared
from omokage.index.threads import each

ROWS: Final = 256
COLUMNS: Final = 4096

TIE: Final = 5e-7
"""Two similarities that differ by no more are equal: float32 sums of 512 products tell no more."""

Nearest = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[Any]]]
"""What an index answers for some probes: scores, falling, and the labels of these people, each once. Shape (Q, K);
where there are fewer than K people the score is below -1."""


@dataclass(frozen=True, kw_only=True)
class Searches:
    """What probes found in one gallery."""

    size: int
    """People enrolled."""
    faces: int
    """Enrolled."""
    mated_Q: NDArray[np.bool_]
    """The person searched for is enrolled."""
    rank_Q: NDArray[np.int64]
    """Of the mate, from 1; 0 where there is none; above ``deepest`` where the index did not list it."""
    mate_Q: NDArray[np.float32]
    """The mate's score; -inf where there is none, or it was not listed."""
    top_Q: NDArray[np.float32]
    """The best score of anybody."""
    person_Q: NDArray[np.int64]
    """Whom the probe shows, by number; of the same number are probes of one person."""
    deepest: int
    """The deepest rank that was looked at."""


class Gallery:
    """Enrolled people in random order, so that the first of them are a smaller gallery, and so on."""

    def __init__(self, embedding_GE: Any, label_G: Any, *, templates: bool = False, seed: int = 0) -> None:
        """Enrol.

        Args:
            embedding_GE: Unit vectors. Shape (G, E).
            label_G: Whose face each is. Shape (G,).
            templates: Compare the mean of a person's faces instead of every face.
            seed: Of the order of people.

        Raises:
            DatasetError: These are no unit vectors, or do not go together.
        """
        vector_GE, label_G = unit_vectors(embedding_GE), np.asarray(label_G)
        if label_G.shape != (len(vector_GE),) or not len(label_G):
            raise DatasetError(f"{len(vector_GE):,} embeddings do not go with labels of shape {label_G.shape}")
        self.label_P, person_G = np.unique(label_G, return_inverse=True)
        self.faces = len(label_G)
        people = len(self.label_P)
        self.place_P = np.argsort(np.random.default_rng(seed).permutation(people))  # of a label, in the random order
        order_G = np.argsort(self.place_P[person_G], kind="stable")
        self.vector_GE, self.place_G = vector_GE[order_G], self.place_P[person_G][order_G]
        self.first_P = np.searchsorted(self.place_G, np.arange(people + 1))
        self.faces_P = self.first_P  # enrolled up to each person, also where templates stand for them
        if templates:
            self.vector_GE = _templates(self.vector_GE, self.first_P)
            self.place_G, self.first_P = np.arange(people), np.arange(people + 1)

    def __len__(self) -> int:
        """Return how many people are enrolled."""
        return len(self.label_P)

    def places(self, label_Q: NDArray[Any]) -> NDArray[np.int64]:
        """Return where in the order each person is; the number of people where not enrolled."""
        at_Q = np.minimum(np.searchsorted(self.label_P, label_Q), len(self) - 1)
        place_Q: NDArray[np.int64] = np.where(self.label_P[at_Q] == label_Q, self.place_P[at_Q], len(self))
        return place_Q

    def first(self, size: int) -> "Gallery":
        """Return the first people in the random order as a gallery of their own, which shares their faces."""
        part = copy(self)
        enrolled_P, faces = self.place_P < size, int(self.first_P[size])
        part.label_P, part.place_P = self.label_P[enrolled_P], self.place_P[enrolled_P]
        part.vector_GE, part.place_G = self.vector_GE[:faces], self.place_G[:faces]
        part.first_P, part.faces_P = self.first_P[: size + 1], self.faces_P[: size + 1]
        part.faces = int(self.faces_P[size])
        return part


def search(
    gallery: Gallery, probe_QE: Any, label_Q: Any, sizes: Sequence[int] = (), threads: int | None = None
) -> list[Searches]:
    """Return what probes find in the first people of the gallery, one answer a size, the whole gallery last.

    Args:
        gallery: Who is enrolled.
        probe_QE: Unit vectors. Shape (Q, E).
        label_Q: Whose face each is. Shape (Q,).
        sizes: People of smaller galleries, each part of the next.
        threads: To work on; all cores by default.

    Raises:
        ConfigError: A size is none.
        DatasetError: Embeddings are no unit vectors, or of another length than the gallery's.
    """
    if any(not 1 <= size <= len(gallery) for size in sizes):
        raise ConfigError(f"sizes of galleries must lie in 1 to {len(gallery):,}, got {list(sizes)}")
    sizes = sorted({*sizes, len(gallery)})
    vector_QE, label_Q = probes(gallery, probe_QE, label_Q)
    place_Q = gallery.places(label_Q)
    bounds = _bounds(gallery.first_P, sizes)
    rank_SQ = np.zeros((len(sizes), len(vector_QE)), np.int64)
    top_SQ, mate_Q = np.empty(rank_SQ.shape, np.float32), np.empty(len(vector_QE), np.float32)

    def stripe(start: int) -> None:
        rows = slice(start, start + ROWS)
        mate_Q[rows] = _mates(gallery, vector_QE[rows], place_Q[rows])
        for stop, ahead_R, top_R in _stripe(gallery, vector_QE[rows], mate_Q[rows], place_Q[rows], bounds):
            if stop in sizes:
                rank_SQ[sizes.index(stop), rows], top_SQ[sizes.index(stop), rows] = ahead_R + 1, top_R

    starts = range(0, len(vector_QE), ROWS)
    for start, _ in zip(starts, each(stripe, starts, threads), strict=True):
        compared(min(ROWS, len(vector_QE) - start) * len(gallery.vector_GE))
    person_Q = np.unique(label_Q, return_inverse=True)[1]
    found = []
    for size, rank_Q, top_Q in zip(sizes, rank_SQ, top_SQ, strict=True):
        mated_Q = place_Q < size
        found.append(
            Searches(
                size=size,
                faces=int(gallery.faces_P[size]),
                mated_Q=mated_Q,
                rank_Q=np.where(mated_Q, rank_Q, 0),
                mate_Q=np.where(mated_Q, mate_Q, np.float32(-np.inf)),
                top_Q=top_Q,
                person_Q=person_Q,
                deepest=size,
            )
        )
    return found


def by_index(gallery: Gallery, nearest: Nearest, probe_QE: Any, label_Q: Any, block: int = 1024) -> Searches:
    """Return what probes find in the whole gallery as an index tells it, which may miss people.

    Raises:
        DatasetError: As ``search``.
    """
    vector_QE, label_Q = probes(gallery, probe_QE, label_Q)
    parts = [nearest(vector_QE[start : start + block]) for start in range(0, len(vector_QE), block)]
    score_QK = np.concatenate([np.asarray(score, np.float32) for score, _ in parts])
    label_QK = np.concatenate([np.asarray(label) for _, label in parts])
    mated_Q = gallery.places(label_Q) < len(gallery)
    mine_QK = (label_QK == label_Q[:, None]) & (score_QK >= -1.5)
    listed_Q = mine_QK.any(1)
    mate_Q = np.where(listed_Q, np.where(mine_QK, score_QK, -np.inf).max(1), -np.inf).astype(np.float32)
    ahead_Q = (score_QK >= mate_Q[:, None] - TIE).sum(1)
    deepest = score_QK.shape[1]
    return Searches(
        size=len(gallery),
        faces=gallery.faces,
        mated_Q=mated_Q,
        rank_Q=np.where(mated_Q, np.where(listed_Q, ahead_Q, deepest + 1), 0),
        mate_Q=np.where(mated_Q, mate_Q, np.float32(-np.inf)),
        top_Q=score_QK[:, 0],
        person_Q=np.unique(label_Q, return_inverse=True)[1],
        deepest=deepest,
    )


def probes(gallery: Gallery, probe_QE: Any, label_Q: Any) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the vectors and labels of probes.

    Raises:
        DatasetError: They are no unit vectors, or do not go with each other or with the gallery.
    """
    vector_QE, label_Q = unit_vectors(probe_QE), np.asarray(label_Q)
    if label_Q.shape != (len(vector_QE),) or not len(label_Q):
        raise DatasetError(f"{len(vector_QE):,} probes do not go with labels of shape {label_Q.shape}")
    if vector_QE.shape[1] != gallery.vector_GE.shape[1]:
        raise DatasetError(
            f"probes have {vector_QE.shape[1]} numbers and the gallery {gallery.vector_GE.shape[1]}: other encoders"
        )
    return vector_QE, label_Q


def _templates(vector_GE: NDArray[np.float32], first_P: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean of each person's vectors, at unit length; of vectors that cancel out, zeros: like nobody."""
    mean_PE = np.add.reduceat(vector_GE, first_P[:-1], axis=0, dtype=np.float64)
    length_P1 = np.linalg.norm(mean_PE, axis=1, keepdims=True)
    template_PE: NDArray[np.float32] = np.divide(
        mean_PE, length_P1, out=np.zeros_like(mean_PE), where=length_P1 > 1e-6
    ).astype(np.float32)
    return template_PE


def _bounds(first_P: NDArray[np.int64], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return blocks of people, each with about ``COLUMNS`` faces, that end where a gallery ends."""
    bounds, start = [], 0
    for size in sizes:
        while start < size:
            stop = int(np.searchsorted(first_P, first_P[start] + COLUMNS, side="right")) - 1
            stop = min(max(stop, start + 1), size)
            bounds.append((start, stop))
            start = stop
    return bounds


def _mates(gallery: Gallery, row_RE: NDArray[np.float32], place_R: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the best score of each probe's own person; -inf where not enrolled."""
    mated = np.flatnonzero(place_R < len(gallery))
    first, stop = gallery.first_P[place_R[mated]], gallery.first_P[place_R[mated] + 1]
    row = np.repeat(mated, stop - first)
    face = np.arange(len(row)) - np.repeat(np.cumsum(stop - first) - (stop - first), stop - first)
    face += np.repeat(first, stop - first)
    best_R = np.full(len(row_RE), -np.inf, np.float32)
    for start in range(0, len(row), COLUMNS):  # a person may have many faces
        part = slice(start, start + COLUMNS)
        score = np.einsum("re,re->r", row_RE[row[part]], gallery.vector_GE[face[part]], dtype=np.float64)
        np.maximum.at(best_R, row[part], score.astype(np.float32))
    return best_R


def _stripe(
    gallery: Gallery,
    row_RE: NDArray[np.float32],
    mate_R: NDArray[np.float32],
    place_R: NDArray[np.int64],
    bounds: Sequence[tuple[int, int]],
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
    """Yield where each block ends, how many people were at least as alike as the mate so far, and the best score."""
    ahead_R, top_R = np.zeros(len(row_RE), np.int64), np.full(len(row_RE), -np.inf, np.float32)
    floor_R1 = (mate_R - np.float32(TIE))[:, None]
    for start, stop in bounds:
        first_P = gallery.first_P[start : stop + 1]
        best_RP = row_RE @ gallery.vector_GE[first_P[0] : first_P[-1]].T
        if best_RP.shape[1] > stop - start:
            best_RP = np.maximum.reduceat(best_RP, first_P[:-1] - first_P[0], axis=1)
        mine_R = np.flatnonzero((place_R >= start) & (place_R < stop))
        best_RP[mine_R, place_R[mine_R] - start] = -np.inf
        ahead_R += np.count_nonzero(best_RP >= floor_R1, axis=1)
        top_R = np.maximum(top_R, best_RP.max(1))
        top_R[mine_R] = np.maximum(top_R[mine_R], mate_R[mine_R])
        yield stop, ahead_R, top_R
