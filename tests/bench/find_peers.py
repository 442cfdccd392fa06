"""What finding collisions is measured against: FAISS as its users call it, all pairs by numpy, bare products.

``python -m tests.bench.find_peers WAY FILE.npz …``: vectors, label. Prints one JSON object. A process of its own, so
that no peer inherits our threads.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
LISTS, PROBES = 1024, 8

Pairs = NDArray[np.int64]


def faiss_lists(vectors_ND: NDArray[np.float32], label_N: NDArray[np.int64], out: str) -> dict[str, Any]:
    """Train, add, and range_search of everything in FAISS's IndexIVFFlat; pairs of one label are dropped after."""
    count, dim = vectors_ND.shape
    start = time.perf_counter()
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, LISTS, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid = 6, 40
    index.train(vectors_ND)
    trained = time.perf_counter()
    index.add(vectors_ND)
    added = time.perf_counter()
    index.nprobe = PROBES
    ends, _, found = index.range_search(vectors_ND, THRESHOLD)
    searched = time.perf_counter()
    asked = np.repeat(np.arange(count), np.diff(ends.astype(np.int64)))
    differ = label_N[asked] != label_N[found]
    np.save(out, np.unique(np.minimum(asked, found)[differ] * count + np.maximum(asked, found)[differ]))
    return {"train": trained - start, "add": added - trained, "search": searched - added, "seconds": searched - start}


def all_pairs(vectors_ND: NDArray[np.float32], label_N: NDArray[np.int64], out: str) -> dict[str, Any]:
    """Products of blocks of 2,048 faces with all, as numpy makes them."""
    count, found = len(vectors_ND), []
    start = time.perf_counter()
    for first in range(0, count, 2048):
        a, b = np.nonzero(vectors_ND[first : first + 2048] @ vectors_ND.T >= THRESHOLD)
        a += first
        keep = (a < b) & (label_N[a] != label_N[b])
        found.append(a[keep] * count + b[keep])
    seconds = time.perf_counter() - start
    np.save(out, np.unique(np.concatenate(found)))
    return {"seconds": seconds}


def sgemm(vectors_ND: NDArray[np.float32], label_N: NDArray[np.int64], out: str) -> dict[str, Any]:
    """The rate of bare float32 products in blocks of 2,048, the best of many: nothing is looked at."""
    block_BD, dim = np.ascontiguousarray(vectors_ND[:2048]), vectors_ND.shape[1]
    room, best = np.empty((2048, 2048), np.float32), float("inf")
    for _ in range(60):
        start = time.perf_counter()
        np.matmul(block_BD, block_BD.T, out=room)
        best = min(best, time.perf_counter() - start)
    return {"gflops": 2 * 2048 * 2048 * dim / best / 1e9}


WAYS: dict[str, Callable[..., dict[str, Any]]] = {"faiss": faiss_lists, "all": all_pairs, "sgemm": sgemm}


def main() -> None:
    """Run one peer."""
    way, file, out = sys.argv[1:]
    data = np.load(file)
    sys.stdout.write(json.dumps(WAYS[way](data["vectors"], data["label"], out)))


if __name__ == "__main__":
    main()
