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
from omokage.index.product import products

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

MOST_PROBES: Final = 24
"""Lists that a face can probe, its home among them."""

WIDEST: Final = 0.6
"""Lists whose centroid is less similar than the home's by more than this are never probed."""

ROWS: Final = 1024
"""Faces of a block."""


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
    """Return points of unit length in the ``DIRECTIONS`` that hold most of their variance about 0."""
    some_ND = points_ND[:: max(1, len(points_ND) // (8 * points_ND.shape[1]))]
    _, axes_DD = np.linalg.eigh(some_ND.T @ some_ND)
    short_NS = points_ND @ axes_DD[:, -DIRECTIONS:]
    unit_NS: NDArray[np.float32] = short_NS / np.linalg.norm(short_NS, axis=1, keepdims=True).clip(1e-12)
    return np.ascontiguousarray(unit_NS)


@dataclass(frozen=True)
class Probes:
    """Which lists each face may probe, nearest first; the first is its home."""

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

    def gaps(self) -> NDArray[np.float32]:
        """How much less similar each entry's centroid is than the home's, 0 or more."""
        return np.repeat(self.sim_K[self.start_N1[:-1]], np.diff(self.start_N1)) - self.sim_K

    def ranks(self) -> NDArray[np.int64]:
        """The place of each entry among its face's, 0 for the home."""
        return within(np.diff(self.start_N1))

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


class Assigner:
    """Finds the lists of faces: close is close enough here, recall is measured on what comes out."""

    def __init__(self, coder: Coder, centroids_LD: NDArray[np.float32], exact: bool = False) -> None:
        """Take the centres; many of them are looked up in a graph, unless ``exact``."""
        self.coder = coder
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
        """Return the probes of faces by their vectors and codes, whoever they are."""
        return near(*self.best(vectors_ND, codes_NE))

    def best(
        self, vectors_ND: NDArray[np.float32], codes_NE: NDArray[np.int8] | NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return similarity and number of the nearest lists of each face, up to ``MOST_PROBES``, nearest first."""
        if self.graph is not None:
            sim_NP, list_NP = self.graph.search(np.ascontiguousarray(vectors_ND), MOST_PROBES)
            return sim_NP, list_NP
        width = min(MOST_PROBES, len(self.codes_LE))
        sim_NP, list_NP = np.empty((len(codes_NE), width), np.float32), np.empty((len(codes_NE), width), np.int64)
        for start in range(0, len(codes_NE), ROWS):
            some = slice(start, start + ROWS)
            best, lists = torch.topk(products(torch.from_numpy(codes_NE[some]), self.codes_LE), width, dim=1)
            sim_NP[some], list_NP[some] = best, lists
        sim_NP *= np.float32(self.coder.unit)
        return sim_NP, list_NP


def near(sim_BP: NDArray[np.float32], list_BP: NDArray[np.int64]) -> Probes:
    """Return the lists that are near enough to be probed, of those found, the nearest first."""
    near_BP = (sim_BP >= sim_BP[:, :1] - WIDEST) & (list_BP >= 0)
    start_B1 = np.concatenate([[0], np.cumsum(near_BP.sum(1))])
    return Probes(start_B1, list_BP[near_BP].astype(np.int32), sim_BP[near_BP])


def _graph(dim: int) -> faiss.IndexHNSWFlat:
    """Return an empty graph of lists."""
    graph = faiss.IndexHNSWFlat(dim, 24, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = EFFORT, EFFORT
    return graph
