"""Lists around people: where most labels are right, a person's mean is a better centre than k-means finds, for less.

And most faces need not be compared with all centres. One that lies where its person does sees the centres that are
near its person's; only the others, the strays, are compared with all: faces of people with one or two, the least
typical ones, those nearer to somebody else. Strays also get lists of their own, by k-means among them, since the same
stranger, or the same hard light, in several folders is nobody's mean. What all this loses is measured afterwards, as
with any lists.

Shape key: N faces, B faces of a block, P people, L lists, D numbers of a vector, E numbers of a code, K near lists.
"""

from collections.abc import Iterator
from threading import Lock
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.index.coder import Coder
from omokage.index.lists import ROWS, Assigner, Probes, entries
from omokage.index.product import products
from omokage.index.threads import each

LEEWAY: Final = 0.6
"""Of the floor from which faces probe lists: from there on a list is near a person's."""

FEW: Final = 2
"""Faces up to which a person's mean says more of each face than of the person."""

STRAY: Final = 0.2
"""Share of all faces that count as the least typical ones."""

EXTRA: Final = 0.5
MOST_EXTRA: Final = 20_000
"""Lists for strays, for each person; and at most, since k-means of more takes longer than all the rest."""

GRID: Final = np.float32(1 << 12)
"""Steps of 1 in which float32 codes are rounded for their sums: 2^12 of them add up to 2^24, which a float32 holds."""


class People:
    """The means of people, by codes, and how typical a face is of its person."""

    def __init__(self, people: int, coder: Coder) -> None:
        self.coder = coder
        self.sum_PE = np.zeros((people, coder.length))  # in double: exact, see summed
        self.count_P = np.zeros(people, np.int64)
        self.typical = -1.0
        """Similarity to the rest of its person from which a face is no stray."""
        self._adding = Lock()

    def add(self, codes_BE: NDArray[np.int8] | NDArray[np.float32], label_B: NDArray[np.int32]) -> None:
        """Count faces in, up to 2^12 at once and in any order; negative labels are nobody's. Threads may call it."""
        label_R, count_R, sum_RE = summed(codes_BE, label_B)
        with self._adding:
            self.sum_PE[label_R] += sum_RE
            self.count_P[label_R] += count_R

    def done(self) -> None:
        """Work out means, when all faces are counted in."""
        length_P = np.sqrt(np.vecdot(self.sum_PE, self.sum_PE))
        self.length_P = (length_P * np.sqrt(self.coder.unit)).astype(np.float32)
        self.mean_PE = (self.sum_PE / length_P[:, None].clip(1e-12)).astype(np.float32)

    def centroids(self) -> NDArray[np.float32]:
        """Return the mean vectors of people, at unit length, shape (P, D)."""
        return self.coder.decode(self.mean_PE / np.float32(np.sqrt(self.coder.unit)))

    def look(self, codes_NE: NDArray[np.int8] | NDArray[np.float32], label_N: NDArray[np.int32]) -> None:
        """Learn from a sample of faces how typical faces are."""
        known = label_N >= 0
        if known.any():
            rest_N = self.rest(self.own(codes_NE[known], label_N[known]), label_N[known])
            self.typical = float(np.quantile(rest_N, STRAY))

    def own(self, codes_NE: NDArray[np.int8] | NDArray[np.float32], label_N: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the similarity of faces to the mean of their person."""
        own_N: NDArray[np.float32] = np.vecdot(codes_NE.astype(np.float32), self.mean_PE[label_N])
        own_N *= np.float32(np.sqrt(self.coder.unit))
        return own_N

    def rest(self, own_N: NDArray[np.float32], label_N: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the similarity of faces to the mean of their person's other faces, by that to the mean of all.

        It is -1 where there are no others.
        """
        count_N, length_N = self.count_P[label_N], self.length_P[label_N]
        along_N = length_N * own_N
        others_N = np.sqrt(np.maximum(length_N**2 - 2 * along_N + 1, 1e-12))
        return np.where(count_N > 1, (along_N - 1) / others_N, -1).astype(np.float32)

    def strays(
        self, own_N: NDArray[np.float32], label_N: NDArray[np.int32], other_N: NDArray[np.float32] | float = -np.inf
    ) -> NDArray[np.bool_]:
        """Return which faces do not lie where their person does, or have none.

        Args:
            own_N: Similarity to the mean of their person.
            label_N: Their people; negative ones are nobody's.
            other_N: Similarity to the nearest list of others, as far as that is known.
        """
        few_N = self.count_P[label_N] <= FEW
        least_N = np.maximum(self.typical, other_N)
        strays_N: NDArray[np.bool_] = (label_N < 0) | few_N | (self.rest(own_N, label_N) < least_N)
        return strays_N


def stray_lists(people: int) -> int:
    """Return how many lists there are for strays."""
    return min(round(EXTRA * people), MOST_EXTRA)


def summed(
    codes_BE: NDArray[np.int8] | NDArray[np.float32], label_B: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.int32] | NDArray[np.float32]]:
    """Return the people of up to 2^12 faces, how many faces each has, and their sums; negative labels are nobody's.

    Sums of whole numbers are exact, so the order of the faces does not matter; floats are rounded to 2^-12 for that.
    """
    order = np.argsort(label_B, kind="stable")
    order = order[np.searchsorted(label_B[order], 0) :]
    label_R, start_R, count_R = np.unique(label_B[order], return_index=True, return_counts=True)
    if not len(label_R):
        return label_R, count_R, np.zeros((0, codes_BE.shape[1]), np.float32)
    if codes_BE.dtype == np.int8:
        return label_R, count_R, np.add.reduceat(codes_BE[order], start_R, dtype=np.int32)
    sum_RE: NDArray[np.float32] = np.add.reduceat(np.rint(codes_BE[order] * GRID).astype(np.float32), start_R)
    sum_RE /= GRID
    return label_R, count_R, sum_RE


class Around:
    """Finds the lists of faces, where the first lists are those of the faces' people, and have their numbers."""

    def __init__(self, coder: Coder, centroids_LD: NDArray[np.float32], people: People, floor: float) -> None:
        self.all = Assigner(coder, centroids_LD, floor, exact=True)
        self.codes_LE = self.all.codes_LE.numpy()
        self.people = people
        self.unit = np.float32(coder.unit)
        self.near = self._near()

    def __call__(
        self,
        vectors_BD: NDArray[np.float32],
        codes_BE: NDArray[np.int8] | NDArray[np.float32],
        label_B: NDArray[np.int32],
    ) -> Probes:
        """Return the probes of faces by their vectors, codes and people; negative labels are nobody's."""
        stray_B = np.ones(len(label_B), bool)
        rows, lists, sims = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for label, row_n in _runs(label_B):
            list_k = self._lists(label)
            found_nk = products(torch.from_numpy(codes_BE[row_n]), torch.from_numpy(self.codes_LE[list_k]))
            stray_B[row_n] = self._strays(found_nk.numpy(), label)
            row_K, place_K, found_K = entries(found_nk, self.all.floor)
            rows.append(row_n[row_K])
            lists.append(list_k[place_K])
            sims.append(found_K * self.unit)
        row_K, list_K, sim_K = np.concatenate(rows), np.concatenate(lists), np.concatenate(sims)
        known = ~stray_B[row_K]
        stray = np.flatnonzero(stray_B)
        alone = self.all(vectors_BD[stray], codes_BE[stray], label_B[stray])
        return Probes.of(
            np.concatenate([row_K[known], np.repeat(stray, np.diff(alone.start_N1))]),
            np.concatenate([list_K[known], alone.list_K]),
            np.concatenate([sim_K[known], alone.sim_K]),
            len(label_B),
        )

    def _strays(self, found_nk: NDArray[np.int32] | NDArray[np.float32], label: int) -> NDArray[np.bool_]:
        """Return which faces of a person are strays, by their products with the lists near it, its own first."""
        own_n, label_n = found_nk[:, 0].astype(np.float32) * self.unit, np.full(len(found_nk), label)
        other_n = found_nk[:, 1:].max(1).astype(np.float32) * self.unit if found_nk.shape[1] > 1 else -np.inf
        out_of_reach_n: NDArray[np.bool_] = found_nk[:, 0] < self.all.floor
        return out_of_reach_n | self.people.strays(own_n, label_n, other_n)

    def _lists(self, label: int) -> NDArray[np.int64]:
        """Return the lists near a person's, its own first."""
        list_k = self.near.list_K[slice(*self.near.start_N1[label : label + 2])].astype(np.int64)
        return np.concatenate([[label], list_k[list_k != label]])

    def _near(self) -> Probes:
        """Return the lists near each person's.

        A face that reaches the floor at a list will mostly be of a person who comes near it: nearer than ``LEEWAY``
        of the floor, since faces are less alike than their means.
        """
        codes_LE, cut = self.all.codes_LE[: len(self.people.count_P)], max(0.0, LEEWAY * self.all.floor)
        blocks = (codes_LE[start : start + ROWS] for start in range(0, len(codes_LE), ROWS))
        return Probes.join(list(each(lambda block: self.all.reach(block, cut), blocks)))


def _runs(label_B: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each person with its rows; of nobody none."""
    order = np.argsort(label_B, kind="stable")
    label_R, start_R = np.unique(label_B[order], return_index=True)
    for label, row_n in zip(label_R.tolist(), np.split(order, start_R[1:]), strict=True):
        if label >= 0:
            yield label, row_n
