"""Searches through lists against comparing with every vector."""

import numpy as np
import pytest
from numpy.typing import NDArray

from omokage.index import near as module
from omokage.index.near import Near


def crowd(count: int, dim: int = 32, seed: int = 0) -> NDArray:
    """Return unit vectors in some clusters."""
    rng = np.random.default_rng(seed)
    vector_ND = rng.standard_normal((20, dim))[rng.integers(20, size=count)] + rng.standard_normal((count, dim))
    return (vector_ND / np.linalg.norm(vector_ND, axis=1, keepdims=True)).astype(np.float32)


def slow(vector_ND: NDArray, probe_D: NDArray, rows: NDArray, count: int) -> list[tuple[float, int]]:
    """Return the best of some rows, falling."""
    scored = [(float(np.dot(vector_ND[row].astype(float), probe_D.astype(float))), int(row)) for row in rows]
    return sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:count]


@pytest.mark.parametrize(("lists", "probed"), [(1, 1), (16, 16), (16, 1), (16, 3), (16, 99)])
def test_the_best_of_the_probed_lists_are_found(lists: int, probed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBES", 17)
    monkeypatch.setattr(module, "BLOCK", 100)
    monkeypatch.setattr(module, "SCORED", 5)
    vector_ND, probe_QD = crowd(700), crowd(40, seed=1)
    near = Near(vector_ND, lists, threads=2)
    assert near.lists <= lists and near.start_L1[-1] == 700
    score_QK, row_QK = near.search(probe_QD, 6, probed)
    assert score_QK.shape == row_QK.shape == (40, 6)
    like_QL = near._lists(probe_QD)
    for q in range(40):
        seen = np.argsort(-like_QL[q], kind="stable")[:probed]
        truth = slow(vector_ND, probe_QD[q], np.flatnonzero(np.isin(near.home_N, seen)), 6)
        np.testing.assert_allclose(score_QK[q, : len(truth)], [score for score, _ in truth], atol=1e-6)
        assert row_QK[q, : len(truth)].tolist() == [row for _, row in truth]
        assert (row_QK[q, len(truth) :] == -1).all() and (score_QK[q, len(truth) :] == -2).all()


def test_as_many_lists_as_are_needed_meet_a_vector() -> None:
    vector_ND, probe_QD = crowd(500), crowd(30, seed=2)
    near = Near(vector_ND, 12, threads=1)
    row_Q = np.array([slow(vector_ND, probe_D, np.arange(500), 1)[0][1] for probe_D in probe_QD])
    needed_Q = near.needed(probe_QD, row_Q)
    assert needed_Q.min() >= 1 and 1 < needed_Q.max() <= near.lists
    for q, needed in enumerate(needed_Q.tolist()):
        assert near.search(probe_QD[[q]], 1, needed)[1][0, 0] == row_Q[q]
        assert needed == 1 or near.search(probe_QD[[q]], 1, needed - 1)[1][0, 0] != row_Q[q]


def test_more_answers_than_vectors() -> None:
    vector_ND = crowd(5)
    score_QK, row_QK = Near(vector_ND, 2, threads=1).search(vector_ND[:2], 50, 2)
    assert row_QK.shape == (2, 5) and row_QK[:, 0].tolist() == [0, 1]
    assert (np.diff(score_QK) <= 0).all() and sorted(row_QK[0].tolist()) == [0, 1, 2, 3, 4]


def test_threads_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vector_ND, probe_QD = crowd(900), crowd(50, seed=3)
    one = Near(vector_ND, 20, threads=1).search(probe_QD, 9, 4)
    monkeypatch.setattr(module, "PROBES", 7)
    monkeypatch.setattr(module, "BLOCK", 64)
    other = Near(vector_ND, 20, threads=3).search(probe_QD, 9, 4)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
