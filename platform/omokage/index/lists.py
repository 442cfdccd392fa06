"""Lists: every face belongs to the list of its nearest centroid, its home, and may probe others close by.

Shape key: N faces, L lists, D numbers of a vector, E numbers of a code, K (face, list) entries.
"""

from dataclasses import dataclass
from typing import Final

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from omokage.index.coder import Coder
from omokage.index.product import products, reaching
from omokage.index.threads import single

POINTS: Final = 20
FEWER_POINTS: Final = 10
"""Faces of the training sample for each list; fewer where there are many lists."""

ROUNDS: Final = 4
"""Of k-means. More move the centroids little: what counts is measured afterwards, by recall."""

GRAPH: Final = 30_000
"""Lists from which on the nearest are found by a graph of them (FAISS's HNSW), not by comparing with all."""

EFFORT: Final = 48
"""Of a search in the graph: lists that are kept in view."""

DIRECTIONS: Final = 128
"""In which k-means runs, where vectors have more."""

STEPS: Final = 3
"""By which these are approached: a fraction of the cost of finding them exactly."""

PROBES: Final = 24
"""Lists that a face can probe, on average, its home among them."""

MOST_PROBES: Final = 1024
"""And at most. Faces that many others are like, in the middle of a crowd, probe many; most faces few."""

IN_GRAPH: Final = 64
"""Lists of a face that the graph is asked for."""

BELOW_ALL: Final = -(2.0**31)
"""Less than any product of codes, and a number that every reader of JSON knows."""

LOOKED_AT: Final = 5_000_000
"""Similarities of faces and lists that tell how alike they are."""

ROWS: Final = 512
COLUMNS: Final = 2048
"""Faces of a block, and lists that it is compared with at once."""


def train(sample_ND: NDArray[np.float32], lists: int, seed: int = 0) -> NDArray[np.float32]:
    """Return unit-length centroids of about ``lists`` lists, shape (L, D), by FAISS's spherical k-means.

    It runs in the directions that hold most of the sample's variance, at a fraction of the cost; the centroids are the
    means of the whole vectors.
    """
    dim = sample_ND.shape[1]
    if lists == 1:
        return np.eye(1, dim, dtype=np.float32)
    rng = np.random.default_rng(seed)
    points_ND = np.ascontiguousarray(sample_ND[rng.permutation(len(sample_ND))[: sampled(lists)]])
    short_NS = _shortened(points_ND) if dim > DIRECTIONS else points_ND
    clustering = faiss.Clustering(short_NS.shape[1], lists)
    clustering.niter, clustering.seed, clustering.spherical = ROUNDS, 1 + seed, True
    clustering.min_points_per_centroid, clustering.max_points_per_centroid = 1, POINTS
    index = _graph(short_NS.shape[1]) if lists >= GRAPH else faiss.IndexFlatIP(short_NS.shape[1])
    clustering.train(short_NS, index)
    nearest_N = index.search(short_NS, 1)[1][:, 0]
    order = np.argsort(nearest_N, kind="stable")
    _, start_F = np.unique(nearest_N[order], return_index=True)
    means_FD = np.add.reduceat(points_ND[order], start_F)
    unit_FD: NDArray[np.float32] = means_FD / np.linalg.norm(means_FD, axis=1, keepdims=True).clip(1e-12)
    return unit_FD


def sampled(lists: int) -> int:
    """Return how many faces are enough to train so many lists."""
    return lists * (POINTS if lists < GRAPH else FEWER_POINTS)


def _shortened(points_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points of unit length in the ``DIRECTIONS`` that hold about most of their variance about 0.

    Source:
        Halko, Martinsson and Tropp, "Finding structure with randomness", 2011, algorithm 4.4: subspace iteration.
    """
    some_ND = points_ND[:: -(-len(points_ND) // (8 * points_ND.shape[1]))]
    axes_DS = np.random.default_rng(0).standard_normal((points_ND.shape[1], DIRECTIONS), np.float32)
    with single():
        square_DD = some_ND.T @ some_ND
        for _ in range(STEPS):
            axes_DS = np.linalg.qr(square_DD @ axes_DS)[0]
    short_NS = points_ND @ axes_DS
    unit_NS: NDArray[np.float32] = short_NS / np.linalg.norm(short_NS, axis=1, keepdims=True).clip(1e-12)
    return np.ascontiguousarray(unit_NS)


@dataclass(frozen=True)
class Probes:
    """Which lists each face may probe; the first is the nearest, its home."""

    start_N1: NDArray[np.int64]
    """Where each face's entries begin, and the end of the last."""
    list_K: NDArray[np.int32]
    sim_K: NDArray[np.float32]
    """Similarity to the list's centroid, by codes."""

    def home(self) -> NDArray[np.int32]:
        """The list that each face belongs to."""
        return self.list_K[self.start_N1[:-1]]

    def take(self, rows: NDArray[np.int64]) -> "Probes":
        """Return the probes of some faces."""
        count = np.diff(self.start_N1)[rows]
        entries = np.repeat(self.start_N1[rows], count) + within(count)
        start_N1 = np.concatenate([[0], np.cumsum(count)])
        return Probes(start_N1, self.list_K[entries], self.sim_K[entries])

    def ranks(self) -> NDArray[np.int64]:
        """The place of each entry among its face's, 0 for the home."""
        return within(np.diff(self.start_N1))

    @staticmethod
    def of(row_K: NDArray[np.int64], list_K: NDArray[np.int64], sim_K: NDArray[np.float32], count: int) -> "Probes":
        """Return the probes of ``count`` faces, all of which have some; the least similar of too many are left out."""
        count_N = np.bincount(row_K, minlength=count)
        start_N1 = np.concatenate([[0], np.cumsum(count_N)])
        if count_N.max(initial=0) > MOST_PROBES:
            order = np.lexsort((list_K, -sim_K, row_K))
            order = order[within(count_N) < MOST_PROBES]
            return Probes.of(row_K[order], list_K[order], sim_K[order], count)
        order = np.argsort(row_K, kind="stable")  # quick: there are runs in order
        lists_K, sims_K = list_K[order].astype(np.int32), sim_K[order].astype(np.float32)
        most_N = np.maximum.reduceat(sims_K, start_N1[:-1]) if count else sims_K
        best = np.flatnonzero(sims_K == np.repeat(most_N, count_N))
        first = start_N1[:-1]
        home = best[np.searchsorted(best, first)]
        lists_K[first], lists_K[home] = lists_K[home], lists_K[first]
        sims_K[first], sims_K[home] = sims_K[home], sims_K[first]
        return Probes(start_N1, lists_K, sims_K)

    @staticmethod
    def join(parts: "list[Probes]") -> "Probes":
        """Return the probes of all faces, in order."""
        counts = np.concatenate([[0], *(np.diff(part.start_N1) for part in parts)])
        list_K = np.concatenate([part.list_K for part in parts]) if parts else np.zeros(0, np.int32)
        sim_K = np.concatenate([part.sim_K for part in parts]) if parts else np.zeros(0, np.float32)
        return Probes(np.cumsum(counts), list_K, sim_K)


def within(count_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, … for each of some runs of so many entries."""
    ends_N = np.cumsum(count_N)
    result: NDArray[np.int64] = np.arange(ends_N[-1] if len(ends_N) else 0) - np.repeat(ends_N - count_N, count_N)
    return result


def floor_of(
    codes_NE: NDArray[np.int8] | NDArray[np.float32], codes_LE: NDArray[np.int8] | NDArray[np.float32]
) -> float:
    """Return the product of codes that ``PROBES`` lists a face reach on average, by a sample of faces and all lists."""
    if len(codes_LE) <= PROBES:
        return BELOW_ALL
    some_NE = torch.from_numpy(codes_NE[: max(1, LOOKED_AT // len(codes_LE))])
    found = products(some_NE, torch.from_numpy(codes_LE)).numpy().ravel()
    place = len(found) - PROBES * len(some_NE)
    return float(np.partition(found, place)[place])


class Assigner:
    """Finds the lists of faces, whoever they are: close is close enough here, recall is measured on what comes out."""

    def __init__(self, coder: Coder, centroids_LD: NDArray[np.float32], floor: float, exact: bool = False) -> None:
        """Take the centres, and the product of codes from which a face probes a list.

        Many centres are looked up in a graph, unless ``exact``.
        """
        self.coder = coder
        self.floor = floor
        codes_LE, _ = coder.encode(centroids_LD)
        self.codes_LE = torch.from_numpy(codes_LE)
        self.graph = _graph(coder.dim) if len(centroids_LD) >= GRAPH and not exact else None
        if self.graph is not None:
            self.graph.add(np.ascontiguousarray(centroids_LD))

    def __call__(
        self,
        vectors_ND: NDArray[np.float32],
        codes_NE: NDArray[np.int8] | NDArray[np.float32],
        label_N: NDArray[np.int32],
    ) -> Probes:
        """Return the probes of faces by their vectors and codes."""
        if self.graph is not None:
            sim_NP, list_NP = self.graph.search(np.ascontiguousarray(vectors_ND), IN_GRAPH)
            good_NP = (list_NP >= 0) & (sim_NP >= self.floor * self.coder.unit)
            good_NP[:, 0] = True
            row_K, place_K = np.nonzero(good_NP)
            return Probes.of(row_K, list_NP[row_K, place_K], sim_NP[row_K, place_K], len(vectors_ND))
        codes = torch.from_numpy(codes_NE)
        return Probes.join([self.reach(codes[i : i + ROWS], self.floor) for i in range(0, len(codes), ROWS)])

    def reach(self, codes_BE: torch.Tensor, floor: float) -> Probes:
        """Return the lists at which a block of faces reaches a product of codes, and the best of each in any case."""
        parts = []
        for start in range(0, len(self.codes_LE), COLUMNS):  # few at once: their products stay in the cache
            row, column, found = entries(products(codes_BE, self.codes_LE[start : start + COLUMNS]), floor)
            parts.append((row, column + start, found))
        row_K, list_K, found_K = (np.concatenate(each) for each in zip(*parts, strict=True))
        lone = np.setdiff1d(np.arange(len(codes_BE)), row_K)
        if len(lone):
            best, at = products(codes_BE[lone], self.codes_LE).max(1)
            row_K, list_K = np.concatenate([row_K, lone]), np.concatenate([list_K, at.numpy()])
            found_K = np.concatenate([found_K, best.numpy().astype(np.float32)])
        return Probes.of(row_K, list_K, found_K * np.float32(self.coder.unit), len(codes_BE))


def entries(found_BL: torch.Tensor, floor: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return row, column and value of the products from ``floor`` on."""
    row, column = reaching(found_BL, floor)
    return row, column, found_BL.numpy()[row, column].astype(np.float32)


def _graph(dim: int) -> faiss.IndexHNSWFlat:
    """Return an empty graph of lists."""
    graph = faiss.IndexHNSWFlat(dim, 24, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = EFFORT, EFFORT
    return graph
