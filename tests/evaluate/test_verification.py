"""Verification against a slow version that holds every pair, scikit-learn, and planted cases."""

import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import expected as sampling
from omokage.evaluate import pairs
from omokage.evaluate import verification as module
from omokage.evaluate.verification import Verification, tar_name, verification

FMRS = (0.5, 0.29, 0.1, 1e-2, 1e-3)


def people(faces: int, persons: int, noise: float, dim: int = 24, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Return embeddings, and whose they are, in no order."""
    rng = np.random.default_rng(seed)
    label_N = rng.permutation(np.arange(faces) % persons)
    vector_NE = rng.standard_normal((persons, dim))[label_N] + noise * rng.standard_normal((faces, dim))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def tied(faces: int, persons: int, seed: int, signs: int = 2) -> tuple[NDArray, NDArray]:
    """Return embeddings of a few numbers, +-0.5 or 0: all products are exact, and most occur often."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(persons, size=faces)
    label_N[:3] = [0, 0, 1]
    vector_NE = np.zeros((faces, 6), np.float32)
    for row in vector_NE:
        row[rng.permutation(6)[:4]] = rng.choice([0.5, -0.5], 4) if signs == 2 else 0.5
    return vector_NE, label_N


def slow(vector_NE: NDArray, label_N: NDArray) -> tuple[NDArray, NDArray]:
    """Return the similarity of every pair, rounded as ours, and whether it is of one person."""
    score, same = [], []
    for i in range(len(vector_NE)):
        for j in range(i + 1, len(vector_NE)):
            score.append(round(float(np.dot(vector_NE[i].astype(float), vector_NE[j].astype(float))) * pairs.HALF))
            same.append(label_N[i] == label_N[j])
    return np.clip(score, -pairs.HALF, pairs.HALF) / pairs.HALF, np.array(same)


def slow_tar(score_P: NDArray, same_P: NDArray, fmr: float) -> tuple[float, float]:
    """Return the best TAR of any threshold whose FMR is at most ``fmr``, and that FMR, by trying all thresholds."""
    best = (0.0, 0.0)
    for threshold in np.unique(score_P):
        false = int(np.sum(score_P[~same_P] >= threshold))
        if false <= fmr * np.sum(~same_P) + 1e-9:
            best = max(best, (float(np.mean(score_P[same_P] >= threshold)), false / int(np.sum(~same_P))))
    return best


def agrees(found: Verification, vector_NE: NDArray, label_N: NDArray) -> None:
    """Check every figure against the slow version and scikit-learn."""
    score_P, same_P = slow(vector_NE, label_N)
    assert (found.genuine, found.impostor) == (same_P.sum(), (~same_P).sum())
    assert found.auc == pytest.approx(roc_auc_score(same_P, score_P), abs=1e-9 + found.auc_error)
    fmr_K, tar_K, _ = roc_curve(same_P, score_P, drop_intermediate=False)
    equal = (
        brentq(lambda x: 1 - x - interp1d(fmr_K, tar_K)(x), 0, 1) if 0 < roc_auc_score(same_P, score_P) < 1 else None
    )
    if equal is not None and len(np.unique(fmr_K)) == len(fmr_K):  # else interp1d does not know which TAR to take
        assert found.eer == pytest.approx(equal, abs=1e-9)
    for point in found.points:
        if point.tar is None:
            assert point.fmr * found.impostor < module.SHOWN
            continue
        assert point.fmr * found.impostor >= module.SHOWN * (1 - 1e-9)
        tar, fmr = slow_tar(score_P, same_P, point.fmr)
        assert point.tar == pytest.approx(tar, abs=1e-12)
        assert point.tar == pytest.approx(tar_K[fmr_K <= point.fmr + 1e-12].max(), abs=1e-12)
        # the threshold does what is said of it, on raw similarities
        assert np.mean(score_P[same_P] >= point.threshold) == pytest.approx(tar, abs=1e-12)
        assert np.mean(score_P[~same_P] >= point.threshold) == pytest.approx(point.counted_fmr, abs=1e-12)
        assert point.counted_fmr <= point.fmr + 1e-12 and fmr <= point.fmr + 1e-12


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 40), st.integers(2, 6), st.integers(0, 10**6), st.sampled_from([1, 2]))
def test_figures_are_those_of_a_slow_version_with_ties(faces: int, persons: int, seed: int, signs: int) -> None:
    vector_NE, label_N = tied(faces, persons, seed, signs)
    agrees(verification(vector_NE, label_N, FMRS, threads=1), vector_NE, label_N)


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_figures_are_those_of_a_slow_version(noise: float) -> None:
    vector_NE, label_N = people(90, 7, noise)
    agrees(verification(vector_NE, label_N, FMRS, threads=2), vector_NE, label_N)


@pytest.mark.parametrize("persons", [2, 40, 700])
def test_many_blocks_say_the_same_as_one_product(persons: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vector_NE, label_N = people(1500, persons, 1.5)
    whole = exact(monkeypatch, vector_NE, label_N)
    monkeypatch.setattr(pairs, "ROWS", 97)
    monkeypatch.setattr(pairs, "COLUMNS", 211)
    found = verification(vector_NE, label_N, FMRS)
    row, column = np.triu_indices(1500, 1)
    score_P, same_P = (vector_NE @ vector_NE.T)[row, column], label_N[row] == label_N[column]
    assert (found.genuine, found.impostor) == (same_P.sum(), (~same_P).sum()) == (whole.genuine, whole.impostor)
    assert found.auc == pytest.approx(roc_auc_score(same_P, score_P), abs=1e-7)
    fmr_K, tar_K, _ = roc_curve(same_P, score_P)
    for point, other in zip(found.points, whole.points, strict=True):
        # a last bit of a product may fall on the other side of a cell's edge
        assert point.tar == pytest.approx(np.interp(point.fmr, fmr_K, tar_K), abs=2 / found.genuine + 1e-3)
        assert point.tar == pytest.approx(other.tar, abs=2 / found.genuine)
        assert point.threshold == pytest.approx(other.threshold, abs=3 * pairs.CELL)


def exact(monkeypatch: pytest.MonkeyPatch, vector_NE: NDArray, label_N: NDArray) -> Verification:
    """Return the figures when all pairs are counted by cell."""
    monkeypatch.setattr(module, "ALL_BY_CELL", 1 << 40)
    return verification(vector_NE, label_N, FMRS)


def streamed(monkeypatch: pytest.MonkeyPatch, sample: int) -> None:
    """Have pairs counted by bin, and the operating points guessed from a sample."""
    monkeypatch.setattr(module, "ALL_BY_CELL", 0)
    monkeypatch.setattr(sampling, "SAMPLE", sample)


def test_counting_by_bin_is_exact_at_the_operating_points(monkeypatch: pytest.MonkeyPatch) -> None:
    vector_NE, label_N = people(1500, 60, 2.0)
    whole = exact(monkeypatch, vector_NE, label_N)
    streamed(monkeypatch, 700)
    found = verification(vector_NE, label_N, FMRS)
    assert found.points == whole.points
    assert (found.eer, found.eer_threshold) == (whole.eer, whole.eer_threshold)
    assert 0 < abs(found.auc - whole.auc) <= found.auc_error < 1e-4


def test_a_sample_that_misleads_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    vector_NE, label_N = people(1500, 60, 2.0)
    whole = exact(monkeypatch, vector_NE, label_N)
    streamed(monkeypatch, 700)
    monkeypatch.setattr(module, "expected", lambda *_: np.zeros(pairs.BINS, bool))
    passes = []
    count = pairs.count
    monkeypatch.setattr(pairs, "count", lambda *given: passes.append(1) or count(*given))
    found = verification(vector_NE, label_N, FMRS)
    assert len(passes) == 2
    assert found.points == whole.points and found.eer == whole.eer


def test_a_sample_is_seldom_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    streamed(monkeypatch, 400)
    passes = []
    count = pairs.count
    monkeypatch.setattr(pairs, "count", lambda *given: passes.append(1) or count(*given))
    for seed in range(10):
        verification(*people(1200, 50, 1.5, seed=seed), FMRS)
    assert len(passes) <= 13


def test_number_of_threads_changes_nothing() -> None:
    vector_NE, label_N = people(1300, 30, 1.5)
    assert verification(vector_NE, label_N, threads=1) == verification(vector_NE, label_N, threads=3)


def test_order_of_faces_and_names_of_people_change_nothing() -> None:
    vector_NE, label_N = tied(200, 9, 4)
    order_N = np.random.default_rng(1).permutation(200)
    first = verification(vector_NE, label_N, FMRS)
    assert verification(vector_NE[order_N], 1000 - 7 * label_N[order_N], FMRS) == first
    assert verification(torch.from_numpy(vector_NE), torch.from_numpy(label_N), FMRS) == first


def test_people_who_are_told_apart_and_people_who_are_one() -> None:
    apart = verification(np.repeat(np.eye(5, dtype=np.float32), 30, axis=0), np.repeat(np.arange(5), 30), FMRS)
    assert (apart.auc, apart.eer) == (1, 0)
    assert all(point.tar == 1 for point in apart.points if point.tar is not None)
    one = verification(np.tile(np.float32([0.6, 0.8]), (150, 1)), np.repeat(np.arange(5), 30), FMRS)
    assert (one.auc, one.eer) == (0.5, 0.5)  # a collapsed model has no good figure to show
    assert all(point.tar == 0 for point in one.points if point.tar is not None)
    assert all(point.threshold > 1 for point in one.points if point.threshold is not None)


def test_the_curve_is_thin_and_lies_on_the_roc() -> None:
    vector_NE, label_N = people(400, 20, 2.0)
    found = verification(vector_NE, label_N)
    assert found.roc[0][1:] == (0.0, 0.0) and found.roc[-1][1:] == (1.0, 1.0)
    assert 500 < len(found.roc) <= module.CURVE
    threshold_K, fmr_K, tar_K = np.array(found.roc).T
    assert (np.diff(threshold_K) < 0).all() and (np.diff(fmr_K) >= 0).all() and (np.diff(tar_K) >= 0).all()
    row, column = np.triu_indices(400, 1)
    score_P, same_P = (vector_NE @ vector_NE.T)[row, column], label_N[row] == label_N[column]
    for threshold, fmr, tar in found.roc[1:-1:50]:
        assert fmr == pytest.approx(np.mean(score_P[~same_P] >= threshold), abs=1e-4)
        assert tar == pytest.approx(np.mean(score_P[same_P] >= threshold), abs=1e-3)
    assert np.trapezoid(tar_K, fmr_K) == pytest.approx(found.auc, abs=1e-3)


def test_what_the_pairs_cannot_show_is_not_shown() -> None:
    found = verification(*people(60, 6, 0.5), (1e-1, 1e-2, 1e-3, 1e-6))
    assert found.impostor == 1500
    assert [point.tar is None for point in found.points] == [False, False, True, True]
    assert found.tar_at(1e-3) is None and found.tar_at(0.1) == found.points[0].tar
    assert set(found.metrics()) == {"auc", "eer", "tar_at_fmr_1e-1", "tar_at_fmr_1e-2"}
    assert "too few impostor pairs; 10,000 would show it" in found.text()
    with pytest.raises(KeyError):
        found.tar_at(0.5)


def test_names_are_what_a_person_writes() -> None:
    assert [tar_name(rate) for rate in (0.1, 1e-3, 1e-6, 5e-4)] == [
        "tar_at_fmr_1e-1",
        "tar_at_fmr_1e-3",
        "tar_at_fmr_1e-6",
        "tar_at_fmr_5e-4",
    ]


def broken(row: int, value: float) -> NDArray:
    vector_NE = people(6, 2, 0.5)[0]
    vector_NE[row, 0] = value
    return vector_NE


@pytest.mark.parametrize(
    ("vector_NE", "label_N", "said"),
    [
        (people(6, 2, 0.5)[0], [3] * 6, "there are 1"),
        (np.zeros((0, 8)), [], "there are 0"),
        (people(6, 2, 0.5)[0], range(6), "everybody has one, 6 people: add pictures of people who are there"),
        (broken(4, np.nan), [0, 0, 0, 1, 1, 1], "1 of 6 embeddings are no unit vectors; that of row 4 has length nan"),
        (broken(2, np.inf), [0, 1] * 3, "that of row 2 has length inf"),
        (2 * people(6, 2, 0.5)[0], [0, 1] * 3, "6 of 6 embeddings .* that of row 0 has length 2"),
        (np.zeros((6, 8)), [0, 1] * 3, "has length 0"),
        (people(6, 2, 0.5)[0], [0, 1], "do not go with labels"),
        (np.float32([1, 1]), [0, 1], "do not go with labels"),
    ],
)
def test_what_cannot_be_compared_is_said(vector_NE: NDArray, label_N: Sequence[int], said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        verification(vector_NE, np.array(label_N))


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 10.0, float("nan")])
def test_a_rate_that_is_none_is_said(rate: float) -> None:
    with pytest.raises(ConfigError, match="must lie between 0 and 1"):
        verification(*people(6, 2, 0.5), (0.1, rate))


def test_memory_does_not_grow_with_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    streamed(monkeypatch, 1000)
    vector_NE, label_N = people(6000, 300, 1.5, dim=8)
    tracemalloc.start()
    verification(vector_NE, label_N, FMRS, threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6 < 6000 * 6000 / 2 * 8


def test_a_result_is_plain_values() -> None:
    found = verification(*people(60, 6, 0.5))
    assert Verification.from_plain(json.loads(json.dumps(asdict(found)))) == found
    assert all(type(value) is float for row in found.roc for value in row)
    assert {type(found.auc), type(found.eer), type(found.eer_threshold)} == {float}
