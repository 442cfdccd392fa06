"""Figures of listed pairs: as slow obvious ones, with ties, and intervals that hold the truth."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import listed_pairs
from omokage.evaluate.bootstrap import BootstrapConfig, draw
from omokage.evaluate.listed_pairs import Lost, Pairs
from omokage.evaluate.redrawn import MISSED, Found, intervals
from omokage.evaluate.verification import verification

FMRS = (0.3, 0.1)


def crowd(people: int, faces: int, noise: float, seed: int):
    """Return unit vectors and labels."""
    rng = np.random.default_rng(seed)
    centre_PE = rng.standard_normal((people, 12))
    vector_NE = np.repeat(centre_PE, faces, axis=0) + noise * rng.standard_normal((people * faces, 12))
    vector_NE /= np.linalg.norm(vector_NE, axis=1, keepdims=True)
    return vector_NE.astype(np.float32), np.repeat(np.arange(people), faces)


def every(label_N) -> Pairs:
    """Return all unordered pairs."""
    a_L, b_L = np.triu_indices(len(label_N), 1)
    return Pairs(a_L=a_L, b_L=b_L, same_L=label_N[a_L] == label_N[b_L])


def some(label_N, count: int, seed: int) -> Pairs:
    """Return pairs of both kinds, half of them of one person."""
    rng = np.random.default_rng(seed)
    pairs = every(label_N)
    genuine, impostor = np.flatnonzero(pairs.same_L), np.flatnonzero(~pairs.same_L)
    rows = np.concatenate([rng.choice(genuine, count), rng.choice(impostor, count, replace=False)])
    return Pairs(a_L=pairs.a_L[rows], b_L=pairs.b_L[rows], same_L=pairs.same_L[rows])


def test_all_pairs_listed_are_all_pairs() -> None:
    vector_NE, label_N = crowd(12, 5, 0.9, 1)
    pairs = every(label_N)
    found, _ = listed_pairs.verification(pairs, pairs.scores(vector_NE), label_N, FMRS)
    whole = verification(vector_NE, label_N, FMRS, threads=1)
    assert (found.genuine, found.impostor, found.faces, found.people) == (120, 1650, 60, 12)
    assert found.auc == pytest.approx(whole.auc, abs=1e-9) and found.eer == pytest.approx(whole.eer, abs=1e-9)
    assert found.points == whole.points


def test_scores_are_cosines_of_the_pairs_in_order() -> None:
    vector_NE, label_N = crowd(30, 4, 0.5, 2)
    pairs = some(label_N, 9000, 0) if len(label_N) > 200 else some(label_N, 180, 0)
    slow = [float(vector_NE[a] @ vector_NE[b]) for a, b in zip(pairs.a_L, pairs.b_L, strict=True)]
    assert np.allclose(pairs.scores(vector_NE), slow, atol=1e-6)


def test_ties_count_half_and_thresholds_keep_the_rate() -> None:
    rng = np.random.default_rng(3)
    label_N = np.arange(40) // 2
    pairs = some(label_N, 60, 1)
    score_L = (np.round(rng.random(120) * 8) / 8 + 0.2 * pairs.same_L).astype(np.float32).clip(-1, 1)
    found, _ = listed_pairs.verification(pairs, score_L, label_N, (0.4, 0.2))
    assert found.auc == pytest.approx(roc_auc_score(pairs.same_L, score_L), abs=1e-9)
    for point in found.points:
        assert point.tar is not None
        cuts = [cut for cut in np.unique(score_L) if (score_L[~pairs.same_L] >= cut).mean() <= point.fmr]
        lowest = min(cuts, default=2.0)
        assert point.tar == pytest.approx((score_L[pairs.same_L] >= lowest).mean())


def test_a_draw_counts_pairs_as_often_as_their_people_were_drawn() -> None:
    vector_NE, label_N = crowd(9, 4, 1.1, 4)
    pairs = some(label_N, 100, 2)
    score_L = pairs.scores(vector_NE)
    config = BootstrapConfig(replicates=100, seed=7)
    found, _ = listed_pairs.verification(pairs, score_L, label_N, FMRS)
    told = listed_pairs.intervals(pairs, score_L, label_N, Found(found), config)
    for r, weight_P in enumerate(draw(9, config)[:20]):
        rows = [
            (score, same)
            for a, b, same, score in zip(label_N[pairs.a_L], label_N[pairs.b_L], pairs.same_L, score_L, strict=True)
            for _ in range(int(weight_P[a] * (1 if same else weight_P[b])))
        ]
        again_score, again_same = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        assert told.draws["auc"][r] == pytest.approx(roc_auc_score(again_same, again_score), abs=1e-6)
        impostor = np.sort(again_score[~again_same])[::-1]
        allowed = int(np.floor(0.1 * len(impostor) + 1e-9))
        assert told.draws["tar_at_fmr_1e-1"][r] == pytest.approx(
            (again_score[again_same] > impostor[allowed]).mean(), abs=1e-6
        )
        genuine = np.sort(again_score[again_same])
        assert told.draws[MISSED][r] == pytest.approx(genuine[int(np.floor(0.01 * len(genuine) + 1e-9))], abs=1e-6)


def test_intervals_of_all_pairs_listed_are_those_of_all_pairs_nearly() -> None:
    vector_NE, label_N = crowd(40, 4, 1.2, 5)
    pairs, config = every(label_N), BootstrapConfig(replicates=300)
    score_L = pairs.scores(vector_NE)
    found, _ = listed_pairs.verification(pairs, score_L, label_N, FMRS)
    mine = listed_pairs.intervals(pairs, score_L, label_N, Found(found), config)
    whole = intervals(vector_NE, label_N, Found(verification(vector_NE, label_N, FMRS, threads=1)), config, threads=1)
    assert mine.figures.keys() == whole.figures.keys() and mine.people == whole.people == 40
    for name in ("auc", "eer", "tar_at_fmr_1e-1"):
        a, b = mine.figures[name], whole.figures[name]
        assert a.value == pytest.approx(b.value, abs=1e-6)
        assert abs(a.low - b.low) < 0.3 * (b.high - b.low) and abs(a.high - b.high) < 0.3 * (b.high - b.low)


def test_pairs_of_a_lucky_person_do_not_make_an_interval_narrow() -> None:
    """Ten thousand pairs of two people are two people."""
    vector_NE, label_N = crowd(3, 40, 0.9, 6)
    pairs = every(label_N)
    score_L = pairs.scores(vector_NE)
    found, _ = listed_pairs.verification(pairs, score_L, label_N, FMRS)
    told = listed_pairs.intervals(pairs, score_L, label_N, Found(found), BootstrapConfig(replicates=200)).figures["auc"]
    by_pair = 1 / len(pairs) ** 0.5
    assert told.high - told.low > 0 and np.isfinite([told.low, told.high]).all() and by_pair < 0.02


def test_failures_make_both_kinds_of_pairs_non_matches() -> None:
    vector_NE, label_N = crowd(10, 4, 1.0, 8)
    pairs = some(label_N, 50, 3)
    found, _ = listed_pairs.verification(pairs, pairs.scores(vector_NE), label_N, (0.2,))
    lost = Lost(person_X2=np.zeros((15, 2), np.int64), same_X=np.arange(15) < 10)
    told = listed_pairs.failures(found, lost, (80, 4))
    (point,) = told.points
    matched = round(found.points[0].tar * 50)
    assert point.frr == pytest.approx(1 - matched / 60) and point.fnmr == pytest.approx(1 - matched / 50)
    assert point.far == pytest.approx(found.points[0].counted_fmr * 50 / 55)
    assert (told.tried, told.failed, told.genuine, told.impostor) == (80, 4, 60, 55)


def test_what_shows_nothing_is_refused() -> None:
    vector_NE, label_N = crowd(4, 3, 0.5, 9)
    pairs = every(label_N)
    for kind in (True, False):
        rows = np.flatnonzero(pairs.same_L == kind)
        one = Pairs(a_L=pairs.a_L[rows], b_L=pairs.b_L[rows], same_L=pairs.same_L[rows])
        with pytest.raises(DatasetError, match="both kinds"):
            listed_pairs.verification(one, one.scores(vector_NE), label_N)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        listed_pairs.verification(pairs, pairs.scores(vector_NE), label_N, (2.0,))
    found, _ = listed_pairs.verification(pairs, pairs.scores(vector_NE), label_N, (1e-6,))
    assert found.points[0].tar is None and "too few" in found.points[0].text()
