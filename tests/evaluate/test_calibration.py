"""Thresholds, zones and likelihood ratios against slow versions and planted scores."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.calibration import calibrate, cllr, likelihood, min_cllr
from omokage.evaluate.folds import steps_of
from omokage.evaluate.verification import verification

FEW = BootstrapConfig(replicates=200)


def crowd(people: int, faces: int, noise: float, seed: int = 0) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(people), faces)
    vector_NE = rng.standard_normal((people, 16))[label_N] + noise * rng.standard_normal((len(label_N), 16))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def test_a_calibrated_threshold_keeps_its_rate_on_other_people() -> None:
    told = calibrate(*crowd(80, 5, 0.8), 0.01, FEW)
    assert told.counted_fmr <= 0.01 and told.threshold.low < told.threshold.value < told.threshold.high
    vector_NE, label_N = crowd(400, 4, 0.8, 9)
    row, column = np.triu_indices(len(label_N), 1)
    score_P, same_P = (vector_NE @ vector_NE.T)[row, column], label_N[row] == label_N[column]
    assert np.mean(score_P[~same_P] >= told.threshold.value) == pytest.approx(0.01, rel=0.3)
    assert np.mean(score_P[~same_P] >= told.match_from) <= 0.011
    assert np.mean(score_P[same_P] < told.no_match_below) <= 0.015
    assert told.tar.value == pytest.approx(verification(*crowd(80, 5, 0.8), [0.01]).points[0].tar)
    assert json.loads(told.json())["match_from"] == told.match_from and "cannot say" in told.text()


def test_answers() -> None:
    told = calibrate(*crowd(60, 5, 1.0), 0.01, FEW)
    assert told.no_match_below < told.match_from
    assert told.answer(told.match_from) == told.answer(1.0) == "match"
    middle = (told.no_match_below + told.match_from) / 2
    assert (
        told.answer(told.no_match_below) == told.answer(middle) == told.answer(told.match_from - 1e-9) == "cannot say"
    )
    assert told.answer(told.no_match_below - 1e-9) == told.answer(-1.0) == "no match"
    with pytest.raises(DatasetError, match="says nothing"):
        told.answer(float("nan"))
    # people who are told apart without an error: between the two there is nothing that could not be said
    sure = calibrate(*crowd(60, 5, 0.05), 0.01, FEW)
    assert sure.no_match_below <= sure.match_from and sure.likelihood.cllr < 0.1


def test_a_rate_that_the_data_cannot_show_is_said() -> None:
    vector_NE, label_N = crowd(10, 4, 0.5)
    with pytest.raises(ConfigError, match=r"720 pairs of .* cannot show an FMR of 1e-06; ask for 1\.4e-02"):
        calibrate(vector_NE, label_N, 1e-6)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        calibrate(vector_NE, label_N, 0.0)
    with pytest.raises(DatasetError, match="there are 1"):
        calibrate(vector_NE, np.zeros(40), 0.1)
    with pytest.raises(DatasetError, match="no unit vectors"):
        calibrate(vector_NE * np.float32(np.nan), label_N, 0.1)


def test_vectors_that_tell_nobody_apart_have_no_threshold() -> None:
    with pytest.raises(DatasetError, match=r"no pair of one person matches at an FMR of 0.1 \(AUC 0.500\)"):
        calibrate(np.tile(np.float32([0.6, 0.8]), (40, 1)), np.repeat(np.arange(10), 4), 0.1, FEW)


def test_too_few_people_for_a_likelihood_ratio_are_said() -> None:
    told = calibrate(*crowd(3, 12, 0.5), 0.1, FEW)
    assert told.likelihood is None and "needs 4 people" in told.likelihood_withheld and "no likelihood" in told.text()


def slow_cllr(ratio_G: NDArray, ratio_I: NDArray) -> float:
    """Return the loss by its formula, of likelihood ratios."""
    genuine = np.mean([math.log2(1 + 1 / ratio) if ratio else math.inf for ratio in ratio_G])
    return float(genuine + np.mean([math.log2(1 + ratio) for ratio in ratio_I])) / 2


def listed(pairs: int, seed: int) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(seed)
    same_N = rng.random(pairs) < 0.4
    same_N[:2] = [True, False]
    return np.clip(np.round(rng.normal(np.where(same_N, 0.3, 0.0), 0.3) * 8) / 8, -1, 1), same_N


def slow_pav(score_N: NDArray, same_N: NDArray) -> dict[float, float]:
    """Return the best ratio of every similarity: neighbours that fall are put together until none does."""
    genuine, impostor = same_N.sum(), (~same_N).sum()
    blocks = [
        [[value], np.sum(same_N & (score_N == value)) / genuine, np.sum(~same_N & (score_N == value)) / impostor]
        for value in np.unique(score_N)
    ]
    at = 0
    while at + 1 < len(blocks):
        a, b = blocks[at], blocks[at + 1]
        if a[1] / (a[1] + a[2]) >= b[1] / (b[1] + b[2]):
            blocks[at : at + 2] = [[a[0] + b[0], a[1] + b[1], a[2] + b[2]]]
            at = max(at - 1, 0)
        else:
            at += 1
    return {value: (g / i if i else math.inf) for values, g, i in blocks for value in values}


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_losses_are_those_of_their_formula_with_ties(pairs: int, seed: int) -> None:
    score_N, same_N = listed(pairs, seed)
    steps = steps_of(score_N, same_N)
    ratio = np.exp(3 * score_N - 0.2)
    at = np.argsort(-np.unique(score_N))
    log_ratio_K = (3 * np.unique(score_N) - 0.2)[at]
    assert cllr(steps, log_ratio_K) == pytest.approx(slow_cllr(ratio[same_N], ratio[~same_N]))
    best = slow_pav(score_N, same_N)
    ratio = np.array([best[value] for value in score_N])
    assert min_cllr(steps) == pytest.approx(slow_cllr(ratio[same_N], ratio[~same_N]), abs=1e-9)
    assert min_cllr(steps) <= cllr(steps, log_ratio_K) + 1e-9


def test_the_ratio_of_normal_scores_is_found() -> None:
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(4):
        score_N = np.concatenate([rng.normal(0.4, 0.1, 4000), rng.normal(0.1, 0.1, 20_000)])
        parts.append(steps_of(np.clip(score_N, -1, 1), np.repeat([True, False], [4000, 20_000])))
    told = likelihood(parts, people=10**9)
    similarity = np.array([0.1, 0.25, 0.3, 0.4])
    truth = norm.logpdf(similarity, 0.4, 0.1) - norm.logpdf(similarity, 0.1, 0.1)
    np.testing.assert_allclose(told.log_ratio(similarity), truth, atol=0.25)
    assert told.min_cllr <= told.cllr < told.min_cllr + 0.01
    bound = likelihood(parts, people=50)
    assert float(bound.log_ratio(1.0)) == math.log(50) and float(bound.log_ratio(-1.0)) == -math.log(50)
    assert "never beyond 3.91" in bound.text()
    with pytest.raises(DatasetError, match="two groups of people"):
        likelihood(parts[:1], 10)
