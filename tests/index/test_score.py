"""Scores against double precision, whatever pairs stand beside them; rows of mapped files."""

import numpy as np

from omokage.index.product import DENSE, score
from omokage.index.segment import taken


def unit(count, dim=512, seed=0):
    vectors_ND = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)


def test_a_score_is_the_same_among_few_vectors_and_among_many():
    a_ND, b_ND = unit(60), unit(90, seed=1)
    b_ND[:60] += a_ND  # some are alike
    b_ND /= np.linalg.norm(b_ND, axis=1, keepdims=True)
    at_a, at_b = (each.ravel() for each in np.meshgrid(np.arange(60), np.arange(90), indexing="ij"))
    dense = score(a_ND, b_ND, at_a, at_b)
    some = np.arange(0, len(at_a), DENSE + 7)
    sparse = score(a_ND, b_ND, at_a[some], at_b[some])
    assert np.array_equal(dense[some], sparse)
    alone = [
        score(a_ND[i : i + 1], b_ND[j : j + 1], np.zeros(1, int), np.zeros(1, int))[0] for i, j in ((0, 0), (7, 3))
    ]
    assert alone == [dense[0], dense[7 * 90 + 3]]
    backwards = score(np.ascontiguousarray(a_ND[:, ::-1]), np.ascontiguousarray(b_ND[:, ::-1]), at_a, at_b)
    assert np.array_equal(dense, backwards)  # no order of summing rounds anything


def test_a_score_is_that_of_double_precision():
    a_ND, b_ND = unit(200, seed=2), unit(200, seed=3)
    every = np.arange(200)
    exact = np.einsum("nd,nd->n", a_ND.astype(np.float64), b_ND.astype(np.float64))
    assert np.abs(score(a_ND, b_ND, every, every) - exact).max() < 1e-7
    assert np.abs(score(a_ND, a_ND, every, every) - 1).max() < 1e-6


def test_no_pairs_have_no_scores():
    assert score(unit(3), unit(3), np.zeros(0, int), np.zeros(0, int)).shape == (0,)


def test_rows_of_a_mapped_file_come_in_the_order_asked_for(tmp_path):
    values = np.random.default_rng(0).integers(0, 100, (30_000, 3))
    np.save(tmp_path / "values.npy", values)
    rows = np.random.default_rng(1).integers(0, 30_000, 20_000)
    assert np.array_equal(taken(np.load(tmp_path / "values.npy", mmap_mode="r"), rows), values[rows])
    assert taken(values, rows[:0]).shape == (0, 3)
