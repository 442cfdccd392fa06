"""Cross-validation, pairs files and precision against slow versions and scikit-learn."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import folds as module
from omokage.evaluate import pairs_file
from omokage.evaluate.folds import by_people, cross_validated, pool, steps_of
from omokage.evaluate.pairs import CELLS, HALF
from omokage.evaluate.precision_recall import precision_recall
from omokage.evaluate.verification import counted, verification


def listed(pairs: int, seed: int) -> tuple[NDArray, NDArray]:
    """Return similarities of few values, and which are of one person: at least one of each kind."""
    rng = np.random.default_rng(seed)
    same_N = rng.random(pairs) < 0.5
    same_N[:2] = [True, False]
    score_N = np.clip(np.round(rng.normal(np.where(same_N, 0.4, 0.0), 0.25) * 16) / 16, -1, 1)
    return score_N.astype(np.float32), same_N


TOP = 1 + 2 / HALF
"""Above all similarities: a threshold that matches nothing lies midway between the highest and this."""


def slow_cut(score_N: NDArray, same_N: NDArray, prevalence: float | None) -> float:
    """Return the best threshold by trying all, midway between similarities; of equally good ones the highest."""
    value = np.unique(score_N)[::-1].tolist()
    share = np.mean(same_N) if prevalence is None else prevalence
    best, at = -1.0, 0.0
    for threshold in [(a + b) / 2 for a, b in pairwise([TOP, *value, -TOP])]:
        right = share * np.mean(score_N[same_N] >= threshold) + (1 - share) * np.mean(score_N[~same_N] < threshold)
        if right > best + 1e-12:
            best, at = right, threshold
    return at


@example(count=2, pairs=8, prevalence=0.1, seed=3)  # the best threshold matches nothing
@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(8, 60), st.sampled_from([None, 0.5, 0.1]), st.integers(0, 10**6))
def test_folds_are_judged_by_the_others(count: int, pairs: int, prevalence: float | None, seed: int) -> None:
    lists = [listed(pairs, seed + fold) for fold in range(count)]
    found = cross_validated([steps_of(*each) for each in lists], (0.5, 1e-6), prevalence)
    for fold, (score_N, same_N) in enumerate(lists):
        other_N = np.concatenate([each[0] for n, each in enumerate(lists) if n != fold])
        truth_N = np.concatenate([each[1] for n, each in enumerate(lists) if n != fold])
        threshold = slow_cut(other_N, truth_N, prevalence)
        share = np.mean(same_N) if prevalence is None else prevalence
        right = share * np.mean(score_N[same_N] >= threshold) + (1 - share) * np.mean(score_N[~same_N] < threshold)
        assert found.accuracy[fold] == pytest.approx(right)
        if found.points[0].tar is not None:
            wrong = np.sort(other_N[~truth_N])[::-1]
            floor = wrong[int(np.floor(0.5 * len(wrong) + 1e-9))]
            assert found.points[0].tar[fold] == pytest.approx(np.mean(score_N[same_N] > floor))
            assert found.points[0].counted_fmr[fold] == pytest.approx(np.mean(score_N[~same_N] > floor))
    assert found.points[1].tar is None and "too few" in found.points[1].text()
    assert found.mean_accuracy()[0] == pytest.approx(np.mean(found.accuracy))
    assert found.mean_accuracy()[1] == pytest.approx(np.std(found.accuracy, ddof=1))
    assert json.loads(found.json())["prevalence"] == prevalence and "accuracy" in found.metrics()


def test_a_threshold_chosen_on_its_own_pairs_would_flatter() -> None:
    rng = np.random.default_rng(0)
    lists = [(rng.uniform(-1, 1, 12).astype(np.float32), np.repeat([True, False], 6)) for _ in range(10)]
    found = cross_validated([steps_of(*each) for each in lists])
    own = [max(np.mean((score >= cut) == same) for cut in [*score, 2]) for score, same in lists]
    assert found.mean_accuracy()[0] < 0.56 < 0.6 < np.mean(own)  # similarities say nothing here


def crowd(people: int, faces: int, seed: int = 0) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(people), faces)
    vector_NE = rng.standard_normal((people, 16))[label_N] + 0.7 * rng.standard_normal((len(label_N), 16))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def test_folds_share_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    vector_NE, label_N = crowd(23, 4)
    parts = by_people(vector_NE, label_N, 10)
    assert len(parts) == 10
    assert sum(int(part.genuine_K.sum()) for part in parts) == 23 * 6  # no pair of one person is lost
    sizes = sorted(int(part.genuine_K.sum()) // 6 for part in parts)
    assert sizes == [2] * 7 + [3] * 3
    assert [int(part.impostor_K.sum()) for part in parts].count(16) == 7
    monkeypatch.setattr(module, "FINE", 0)
    for one, other in zip(parts, by_people(vector_NE, label_N, 10), strict=True):  # by cell, and by bin
        assert (one.cells_K == 1).all() and (other.cells_K == CELLS).all()
        bin_, at = np.unique(one.low_K // CELLS, return_inverse=True)
        np.testing.assert_array_equal(other.low_K[::-1], bin_ * CELLS)
        np.testing.assert_array_equal(other.genuine_K[::-1], np.bincount(at, one.genuine_K))
        np.testing.assert_array_equal(other.impostor_K[::-1], np.bincount(at, one.impostor_K))
    with pytest.raises(ConfigError, match="at least 2 folds"):
        by_people(vector_NE, label_N, 1)


def test_few_people_make_few_folds() -> None:
    vector_NE, label_N = crowd(5, 3)
    assert len(by_people(vector_NE, label_N)) == 2
    with pytest.raises(DatasetError, match="needs 4 people"):
        by_people(vector_NE[:9], label_N[:9])


def test_steps_put_together_are_those_of_all() -> None:
    lists = [listed(30, seed) for seed in range(3)]
    together = pool([steps_of(*each) for each in lists])
    every = steps_of(*(np.concatenate(part) for part in zip(*lists, strict=True)))
    for name in ("low_K", "cells_K", "impostor_K", "genuine_K"):
        np.testing.assert_array_equal(getattr(together, name), getattr(every, name))
    assert (np.diff(together.low_K) < 0).all()
    assert together.low_K[0] == round(max(float(score.max()) for score, _ in lists) * HALF) + HALF


def test_what_cannot_be_cross_validated_is_said() -> None:
    fold, alone = steps_of(*listed(10, 0)), steps_of([0.1, 0.2], [True, True])
    for parts, said in (([fold], "needs two folds"), ([fold, alone], "fold 2 lacks")):
        with pytest.raises(DatasetError, match=said):
            cross_validated(parts)
    for wrong in ({"fmrs": [2]}, {"prevalence": 0.0}):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            cross_validated([fold, fold], **wrong)
    for score_N, same_N, said in (
        ([np.nan], [True], "pair 0 is nan"),
        ([2.0], [True], "are none"),
        ([0], [], "do not go"),
    ):
        with pytest.raises(DatasetError, match=said):
            steps_of(score_N, same_N)


PAIRS = "2\t1\nA b\t1\t2\n女\t1\tA b\t3\nC\t1\t2\nC\t3\tD\t10\n"


def test_a_pairs_file_is_read() -> None:
    found = pairs_file.parse("\ufeff" + PAIRS)
    assert [(pair.a.name, pair.a.number, pair.b.name, pair.b.number, pair.fold, pair.same) for pair in found] == [
        ("A b", 1, "A b", 2, 0, True),
        ("女", 1, "A b", 3, 0, False),
        ("C", 1, "C", 2, 1, True),
        ("C", 3, "D", 10, 1, False),
    ]
    assert found[3].b.file() == "D/D_0010.jpg"
    assert [pair.fold for pair in pairs_file.parse("1\nX 1 2\nX 1 Y 2\n")] == [0, 0]
    parts = pairs_file.by_fold(found, [0.9, 0.1, 0.8, 0.2])
    assert cross_validated(parts).accuracy == (1, 1)
    with pytest.raises(DatasetError, match="do not go with 4 pairs"):
        pairs_file.by_fold(found, [0.9])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("ten\n", "line 1"),
        ("0 3\n", "line 1"),
        ("1 2 3\n", "line 1"),
        ("1\t1\nA\t1\t2\n", "promises 1 folds of 1 and 1 pairs and has 1"),
        ("1\t1\nA\t1\tx\nA\t1\tB\t2\n", "line 2 .* 'name number number'"),
        ("1\t1\nA\t1\t2\nA\t1\t2\n", "line 3 .* 'name number other number'"),
        ("1\t1\nA\t1\t2\nA\t1\tA\t2\n", "line 3 .* among pairs of different people"),
        ("1\t1\nA\t1\tB\t2\nA\t1\tB\t2\n", "line 2"),
    ],
)
def test_what_is_no_pairs_file_is_said(text: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        pairs_file.parse(text)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 80), st.integers(0, 10**6))
def test_precision_is_that_of_scikit_learn_with_ties(pairs: int, seed: int) -> None:
    score_N, same_N = listed(pairs, seed)
    found = precision_recall(steps_of(score_N, same_N))
    assert found.average_precision == pytest.approx(average_precision_score(same_N, score_N))
    assert found.prevalence == found.counted_prevalence == pytest.approx(np.mean(same_N))
    precision_K, recall_K, threshold_K = precision_recall_curve(same_N, score_N)
    told = np.array(found.curve)
    np.testing.assert_allclose(told[:, 1], precision_K[:-1][::-1])
    np.testing.assert_allclose(told[:, 2], recall_K[:-1][::-1])
    np.testing.assert_allclose(told[:, 0], threshold_K[::-1], atol=1e-6)
    f1_K = 2 * precision_K * recall_K / np.maximum(precision_K + recall_K, 1e-12)
    assert found.best_f1 == pytest.approx(f1_K.max())


def test_precision_falls_with_prevalence() -> None:
    score_N, same_N = listed(400, 1)
    half, rare = (precision_recall(steps_of(score_N, same_N), share) for share in (0.5, 0.001))
    weight_N = np.where(same_N, 0.001 / np.mean(same_N), 0.999 / np.mean(~same_N))
    assert rare.average_precision == pytest.approx(average_precision_score(same_N, score_N, sample_weight=weight_N))
    assert rare.average_precision < half.average_precision / 3 and rare.prevalence == 0.001
    assert "0.1000% of pairs" in rare.text() and json.loads(rare.json())["prevalence"] == 0.001
    with pytest.raises(ConfigError, match="prevalence"):
        precision_recall(steps_of(score_N, same_N), 1.0)
    with pytest.raises(DatasetError, match="both kinds"):
        precision_recall(steps_of([0.5], [True]))


def test_precision_of_all_pairs_needs_no_second_look_at_them() -> None:
    vector_NE, label_N = crowd(20, 4)
    found, steps = counted(vector_NE, label_N, [0.1])
    assert found == verification(vector_NE, label_N, [0.1])
    row, column = np.triu_indices(80, 1)
    truth = average_precision_score(label_N[row] == label_N[column], (vector_NE @ vector_NE.T)[row, column])
    assert precision_recall(steps).average_precision == pytest.approx(truth, abs=1e-5)
