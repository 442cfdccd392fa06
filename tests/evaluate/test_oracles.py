"""Figures against pyeer, another program for biometric error rates.

pyeer reads rates at the thresholds that occur, so ours are compared there. Its CMC breaks ties by the order of
candidates, so that is compared where there are none.
"""

import numpy as np
import pyeer.cmc_stats
import pyeer.eer_stats
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from omokage.evaluate import verification as module
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.folds import steps_of
from omokage.evaluate.identification import identification
from omokage.evaluate.pairs import HALF
from omokage.evaluate.search import Gallery, search
from omokage.evaluate.verification import Verification, verification


def people(faces: int, persons: int, noise: float, seed: int, tied: bool = False) -> tuple[NDArray, NDArray]:
    """Return unit vectors, with exact products that occur often where ties are asked for, and whose they are."""
    rng = np.random.default_rng(seed)
    label_N = rng.permutation(np.arange(faces) % persons)
    if tied:
        centre_PE = [rng.permutation([0.5, -0.5, 0.5, 0.5, 0, 0]) for _ in range(persons)]
        vector_NE = np.array([rng.permutation(6) if rng.random() < noise / 4 else np.arange(6) for _ in label_N])
        return np.float32([centre_PE[label][order] for label, order in zip(label_N, vector_NE, strict=True)]), label_N
    vector_NE = rng.standard_normal((persons, 24))[label_N] + noise * rng.standard_normal((faces, 24))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def scores(vector_NE: NDArray, label_N: NDArray) -> tuple[NDArray, NDArray]:
    """Return similarities of pairs of one person and of different people, rounded as ours."""
    row, column = np.triu_indices(len(label_N), 1)
    product_P = np.einsum("pe,pe->p", vector_NE[row].astype(float), vector_NE[column].astype(float))
    score_P = np.clip(np.rint(product_P * HALF), -HALF, HALF) / HALF
    same_P = label_N[row] == label_N[column]
    return score_P[same_P], score_P[~same_P]


def agrees(found: Verification, genuine_G: NDArray, impostor_I: NDArray, rates: list[float]) -> None:
    threshold_K, fmr_K, fnmr_K = pyeer.eer_stats.calculate_roc(genuine_G, impostor_I)
    # pyeer ends its curve at the highest score; above it nothing matches
    fmr_K, fnmr_K = np.append(fmr_K, 0), np.append(fnmr_K, 1)
    assert found.auc == pytest.approx(pyeer.eer_stats.calculate_roc_auc(fmr_K, fnmr_K), abs=found.auc_error + 1e-9)
    # where the curves cross lies between the last threshold before and the first after
    after = int(np.flatnonzero(fmr_K <= fnmr_K)[0])
    before = max(after - 1, 0)
    low, high = max(fnmr_K[before], fmr_K[after]), min(fmr_K[before], fnmr_K[after])
    assert min(low, high) - 1e-9 <= found.eer <= max(low, high) + 1e-9
    *_, eer = pyeer.eer_stats.get_eer_values(fmr_K, fnmr_K)
    widest = max(fmr_K[before] - fmr_K[after], fnmr_K[after] - fnmr_K[before])
    assert found.eer == pytest.approx(eer, abs=widest + 1e-9)
    for point, rate in zip(found.points, rates, strict=True):
        at, fnmr = pyeer.eer_stats.get_fmr_op(fmr_K, fnmr_K, rate)
        assert fmr_K[at] == pytest.approx(rate, abs=1e-12)  # the rate was taken from the curve
        assert 1 - point.tar == pytest.approx(fnmr, abs=1e-12) and point.counted_fmr == pytest.approx(rate)
        # pyeer's is a score that occurs, ours the lowest similarity that does the same, to what float32 knows
        assert point.threshold <= threshold_K[at] + 2 / HALF
        assert not np.any((threshold_K > point.threshold + 2 / HALF) & (threshold_K < threshold_K[at]))


def reached(impostor_I: NDArray) -> list[float]:
    """Return some rates that thresholds have, falling, each shown by ten pairs at least."""
    threshold_K = np.unique(impostor_I)[::-1]
    count_K = np.searchsorted(np.sort(-impostor_I), -threshold_K, side="right")
    count_K = count_K[(count_K >= 10) & (count_K < len(impostor_I))]
    return (count_K[np.linspace(0, len(count_K) - 1, 7).astype(int)] / len(impostor_I))[::-1].tolist()


@pytest.mark.filterwarnings("ignore:It is possible that you had set the wrong score type")
@settings(max_examples=20, deadline=None)
@given(st.integers(24, 60), st.integers(3, 8), st.sampled_from([0.5, 1.0, 2.5]), st.booleans(), st.integers(0, 10**6))
def test_verification_is_that_of_pyeer(faces: int, persons: int, noise: float, tied: bool, seed: int) -> None:
    vector_NE, label_N = people(faces, persons, noise, seed, tied)
    genuine_G, impostor_I = scores(vector_NE, label_N)
    rates = sorted(set(reached(impostor_I)), reverse=True)
    agrees(verification(vector_NE, label_N, rates, threads=1), genuine_G, impostor_I, rates)


def test_counting_by_bin_gives_what_pyeer_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALL_BY_CELL", 0)
    vector_NE, label_N = people(700, 40, 2.0, 0)
    genuine_G, impostor_I = scores(vector_NE, label_N)
    rates = [rate for rate in reached(impostor_I) if rate < 0.9]
    found = verification(vector_NE, label_N, rates)
    assert found.auc_error > 0
    agrees(found, genuine_G, impostor_I, rates)


def test_every_rate_of_listed_pairs_is_that_of_pyeer() -> None:
    genuine_G, impostor_I = scores(*people(50, 6, 2.0, 3))
    threshold_K, fmr_K, fnmr_K = pyeer.eer_stats.calculate_roc(genuine_G, impostor_I)
    same_P = np.repeat([True, False], [len(genuine_G), len(impostor_I)])
    steps = steps_of(np.concatenate([genuine_G, impostor_I]), same_P)
    np.testing.assert_allclose((steps.low_K - HALF) / HALF, threshold_K[::-1])
    np.testing.assert_allclose(np.cumsum(steps.impostor_K) / len(impostor_I), fmr_K[::-1])
    np.testing.assert_allclose(1 - np.cumsum(steps.genuine_K) / len(genuine_G), fnmr_K[::-1], atol=1e-12)


@pytest.mark.parametrize("faces", [1, 3])
def test_ranks_are_those_of_pyeer(faces: int) -> None:
    vector_NE, label_N = people(60 * (faces + 2), 60, 1.5, faces)
    place_N = np.array([np.count_nonzero(label_N[:row] == label) for row, label in enumerate(label_N)])
    gallery = place_N < faces
    found = search(Gallery(vector_NE[gallery], label_N[gallery]), vector_NE[~gallery], label_N[~gallery])[0]
    queries = {}
    for number, (probe_E, label) in enumerate(zip(vector_NE[~gallery], label_N[~gallery], strict=True)):
        best = {other: float((vector_NE[gallery][label_N[gallery] == other] @ probe_E).max()) for other in range(60)}
        queries[number] = ([int(label)], sorted(best.items(), key=lambda item: -item[1]))
    told = identification(found, bootstrap=BootstrapConfig(replicates=100))
    assert told.cmc == pytest.approx(pyeer.cmc_stats.get_cmc_curve(queries, len(told.cmc)))
    assert 0 < told.cmc[0] < told.cmc[9] < 1
