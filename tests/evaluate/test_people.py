"""Every person's curve against scikit-learn's, person by person; failures against counting them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from omokage.errors import ConfigError
from omokage.evaluate.failures import with_failures
from omokage.evaluate.people import Counting, People
from omokage.evaluate.sweep import sweep
from omokage.evaluate.verification import Verification, verification


def tied(faces: int, persons: int, seed: int) -> tuple[NDArray, NDArray]:
    """Return unit vectors with exact products, and whose they are."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(persons, size=faces)
    label_N[:3] = [0, 0, 1]
    vector_NE = [rng.permutation(row) for row in np.tile([0.5, -0.5, 0.5, 0.5, 0, 0], (faces, 1))]
    return np.array(vector_NE, np.float32), label_N


def people(vector_NE: NDArray, label_N: NDArray, thresholds: list[float], found: Verification) -> People:
    """Return the curves of people who come in another order than that of their labels."""
    person_N = np.unique(label_N, return_inverse=True)[1]
    order_N = np.argsort(person_N * 7919 % 101, kind="stable")
    counting = Counting(label_N[order_N], thresholds, found)
    sweep(vector_NE[order_N], person_N[order_N], [counting.counter], threads=1)
    return counting.people()


@settings(max_examples=15, deadline=None)
@given(st.integers(4, 30), st.integers(2, 6), st.integers(0, 10**6))
def test_curves_are_those_of_scikit_learn_with_ties(faces: int, persons: int, seed: int) -> None:
    vector_NE, label_N = tied(faces, persons, seed)
    thresholds = [0.5, 0.1]
    found = people(vector_NE, label_N, thresholds, verification(vector_NE, label_N, [0.1], threads=1))
    product_NN = (vector_NE @ vector_NE.T).astype(float)
    aucs, misses, matches = [], [], []
    for row, label in enumerate(np.unique(label_N)):
        own = product_NN[np.ix_(label_N == label, label_N == label)]
        genuine = own[np.triu_indices(len(own), 1)]
        impostor = product_NN[np.ix_(label_N == label, label_N != label)].ravel()
        told = found.person(row)
        assert (told.label, told.faces) == (label, len(own))
        matches.append([np.mean(impostor >= threshold) for threshold in thresholds])
        assert told.fmr == pytest.approx(matches[-1])
        if len(own) == 1:
            assert told.auc is None and told.fnmr == (None, None)
            continue
        truth = np.repeat([1, 0], [len(genuine), len(impostor)])
        aucs.append(roc_auc_score(truth, np.concatenate([genuine, impostor])))
        misses.append([np.mean(genuine < threshold) for threshold in thresholds])
        assert found.auc_error_P[row] <= 0.5
        assert told.auc == pytest.approx(aucs[-1], abs=found.auc_error_P[row] + 1e-9)
        assert told.fnmr == pytest.approx(misses[-1])
    summary = found.summary()
    assert (summary.people, summary.with_pairs) == (len(np.unique(label_N)), len(aucs))
    error = float(np.nanmax(found.auc_error_P)) + 1e-9
    assert (summary.macro_auc, summary.worst_auc) == pytest.approx((np.mean(aucs), min(aucs)), abs=error)
    assert summary.macro_fnmr == pytest.approx(np.mean(misses, 0))
    assert summary.worst_fnmr == pytest.approx(np.max(misses, 0))
    assert summary.worst_fmr == pytest.approx(np.max(matches, 0))
    assert summary.macro_fmr == pytest.approx(np.mean(matches, 0))


def test_who_fares_worst_is_named_and_errors_of_few_thresholds_are_bounded() -> None:
    rng = np.random.default_rng(0)
    label_N = np.repeat(np.arange(30), 8)
    noise_P = np.full(30, 0.5)
    noise_P[17] = 3.0
    vector_NE = rng.standard_normal((30, 32))[label_N] + noise_P[label_N, None] * rng.standard_normal((240, 32))
    vector_NE = (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32)
    names = np.array([f"人 {number}" for number in range(30)])
    found = people(vector_NE, names[label_N], [0.4], verification(vector_NE, names[label_N]))
    summary = found.summary(worst=2)
    assert summary.worst[0].label == "人 17" and len(summary.worst) == 2
    assert json.loads(summary.json())["worst"][0]["label"] == "人 17"
    row = int(np.flatnonzero(found.label_P == "人 17")[0])
    mine = label_N == 17
    genuine = (vector_NE[mine] @ vector_NE[mine].T)[np.triu_indices(8, 1)]
    impostor = (vector_NE[mine] @ vector_NE[~mine].T).ravel()
    exact = roc_auc_score(np.repeat([1, 0], [28, len(impostor)]), np.concatenate([genuine, impostor]))
    assert 0 < abs(found.auc_P[row] - exact) <= found.auc_error_P[row] < 0.02
    assert "worst" in summary.text()


def test_too_many_thresholds_are_said() -> None:
    vector_NE, label_N = tied(10, 3, 0)
    with pytest.raises(ConfigError, match="at most 63"):
        Counting(np.sort(label_N), np.linspace(0, 1, 64).tolist(), verification(vector_NE, label_N, [0.5]))


def test_failures_are_errors() -> None:
    vector_NE, label_N = tied(30, 4, 3)
    failed = [0, 0, 1, 9]
    found = verification(vector_NE, label_N, [0.5, 0.2])
    told = with_failures(found, label_N, failed)
    every = [*((label, vector) for label, vector in zip(label_N, vector_NE, strict=True)), *((x, None) for x in failed)]
    for point in told.points:
        miss, genuine, match, impostor = 0, 0, 0, 0
        for i, (a, x) in enumerate(every):
            for b, y in every[i + 1 :]:
                matches = x is not None and y is not None and float(x @ y) >= point.threshold
                genuine, miss = genuine + (a == b), miss + (a == b and not matches)
                impostor, match = impostor + (a != b), match + (a != b and matches)
        assert (told.genuine, told.impostor) == (genuine, impostor)
        assert point.frr == pytest.approx(miss / genuine) and point.far == pytest.approx(match / impostor)
        assert point.frr > point.fnmr
    assert (told.tried, told.failed) == (34, 4) and "4 of 34" in told.text()
    none = with_failures(found, label_N, [])
    assert none.points[0].frr == pytest.approx(none.points[0].fnmr) and json.loads(none.json())["failed"] == 0
