"""What evaluation is measured against, and ours beside it: each way is a process of its own.

``python -m tests.bench.evaluate_peers WAY FILE.npz [ROUNDS]``: vectors, label. Prints one JSON object: seconds of each
round, and what the first round took of memory above what the process had with its imports and vectors in place; before
that round it has gone the same way over the first and last ``FEW`` faces, so that the libraries' code, which no number
of faces makes more, is there. ``cold`` is what both took together.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray

from omokage.assess.searched import GallerySearchConfig, searched
from omokage.evaluate import identification, verification
from omokage.evaluate.search import Gallery

FEW = 64
"""Faces, or pairs, that verification is gone over with first."""

Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


def ours(vector_NE: Vectors, label_N: Labels) -> dict[str, Any]:
    """Verify: AUC, EER, a curve of up to 2,000 points, and every operating point that the pairs show."""
    found = verification.verification(vector_NE, label_N)
    points = [{"fmr": p.fmr, "tar": p.tar, "threshold": p.threshold, "counted": p.counted_fmr} for p in found.points]
    told = {"genuine": found.genuine, "impostor": found.impostor, "auc": found.auc, "auc_error": found.auc_error}
    return {**told, "points": points}


def scores(vector_NE: Vectors, label_N: Labels) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return whether each unordered pair is of one person, and its similarity, as anybody makes them."""
    row, column = np.triu_indices(len(vector_NE), 1)
    return label_N[row] == label_N[column], (vector_NE @ vector_NE.T)[row, column]


def curve(same_P: NDArray[np.bool_], score_P: NDArray[np.float32]) -> dict[str, Any]:
    """Curve and area by scikit-learn, of scores that are there."""
    fmr_K, tar_K, _ = sklearn.metrics.roc_curve(same_P, score_P)
    return {"auc": float(sklearn.metrics.auc(fmr_K, tar_K))}


def whole(vector_NE: Vectors, label_N: Labels) -> dict[str, Any]:
    """Scores, curve and area by numpy and scikit-learn."""
    return curve(*scores(vector_NE, label_N))


def gallery(vector_NE: Vectors, label_N: Labels, how: Literal["exact", "lists"] = "exact") -> dict[str, Any]:
    """Search for all whose label is ``PROBE`` and more, in a gallery of the others, and read the figures."""
    first = int(np.argmax(label_N >= PROBE))
    start = time.perf_counter()
    enrolled = Gallery(vector_NE[:first], label_N[:first])
    found = searched(enrolled, vector_NE[first:], label_N[first:] - PROBE, config=GallerySearchConfig(search=how))
    done = time.perf_counter()
    told = identification.identification(found.searches[0])
    read = time.perf_counter() - done
    assert told.rank_one is not None
    figures = {"rank_one": told.rank_one.value, "mated": told.mated, "text": found.text()}
    return {"search": done - start, "read": read, **figures}


def through_lists(vector_NE: Vectors, label_N: Labels) -> dict[str, Any]:
    """Search through lists."""
    return gallery(vector_NE, label_N, "lists")


PROBE = 10**9
"""Added to the label of a face that is searched for; such faces come last."""

WAYS: dict[str, Callable[..., dict[str, Any]]] = {
    "ours": ours,
    "whole": whole,
    "scores": curve,
    "gallery": gallery,
    "lists": through_lists,
}


def main() -> None:
    """Measure one way."""
    way, file, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1
    data = np.load(file)
    given = data["vectors"], data["label"]
    if way == "scores":
        given = scores(*given)
    cold = _memory("VmRSS")
    if way in ("ours", "whole", "scores"):
        WAYS[way](*(np.concatenate([values[:FEW], values[-FEW:]]) for values in given))  # of two people at least
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what it is now
    seconds, peak, told = [], 0, {}
    for number in range(rounds):
        start = time.perf_counter()
        told = WAYS[way](*given)
        seconds.append(time.perf_counter() - start)
        peak = peak if number else _memory("VmHWM")
    memory = {"above": peak - before, "cold": peak - cold, "peak": peak}
    sys.stdout.write(json.dumps({**told, "seconds": seconds, **memory}))


def _memory(name: str) -> int:
    """Return a figure of this process's memory, bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"no {name} in /proc/self/status")
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
