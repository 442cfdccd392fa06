"""Faces laid out by UMAP: people stay together, the same each time, no more than asked for; and without the extra."""

import importlib.util
import sys

import numpy as np
import pytest

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import manifold as module
from omokage.evaluate import plots
from omokage.evaluate.manifold import manifold


def people(count: int, faces: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    label_N = np.repeat(np.arange(count), faces)
    vector_NE = rng.standard_normal((count, 16))[label_N] + 0.1 * rng.standard_normal((len(label_N), 16))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


@pytest.mark.long  # UMAP compiles itself at its first use
def test_faces_of_a_person_stay_together_and_the_layout_is_the_same_each_time() -> None:
    vector_NE, label_N = people(4, 20)
    found, again = (manifold(vector_NE, most=70, seed=3) for _ in range(2))
    assert np.array_equal(found.place_S2, again.place_S2) and len(found.row_S) == 70
    assert (np.diff(found.row_S) > 0).all()
    label_S = label_N[found.row_S]
    distance_SS = np.linalg.norm(found.place_S2[:, None] - found.place_S2, axis=2) + np.diag(np.full(70, np.inf))
    assert (label_S[distance_SS.argmin(1)] == label_S).mean() > 0.95
    group_N = np.where(label_N == 3, -1, label_N % 2)
    drawn = plots.layout(found, group_N, ["a $x$", "五"])
    assert drawn.png() == plots.layout(again, group_N, ["a $x$", "五"]).png()


def test_too_few_faces_and_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match="UMAP needs more than 15 faces, got 15"):
        manifold(people(3, 5)[0])
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "umap" else find(name, *more))
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ConfigError, match=r'pip install "omokage\[umap\]"'):
        module.check()
    with pytest.raises(ConfigError, match="UMAP is not installed"):
        manifold(people(4, 20)[0])
