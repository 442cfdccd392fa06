"""Intervals against people drawn one by one, and against how often they hold a truth that was planted."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import bootstrap
from omokage.evaluate.bootstrap import BootstrapConfig, among, paired, units_for
from omokage.evaluate.interval import Interval
from omokage.evaluate.redrawn import Found, intervals
from omokage.evaluate.verification import verification

FMRS = (0.1, 0.01)


def crowd(people: int, faces: int, noise: float, seed: int, dim: int = 16) -> tuple[NDArray, NDArray]:
    """Return embeddings of people some of whom are harder than others, and whose they are."""
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(people), faces)
    hard_P = noise * np.exp(0.5 * rng.standard_normal(people))
    vector_NE = rng.standard_normal((people, dim))[label_N]
    vector_NE += hard_P[label_N, None] * rng.standard_normal((len(label_N), dim))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def drawn_one_by_one(vector_NE: NDArray, label_N: NDArray, threshold: float, weight_P: NDArray) -> tuple[float, float]:
    """Return FMR and TAR of people drawn so often; copies of a person are not compared with each other."""
    copies = [(person, vector_NE[label_N == person]) for person in np.repeat(np.arange(len(weight_P)), weight_P)]
    match, pairs, right, own = 0, 0, 0, 0
    for i, (a, faces) in enumerate(copies):
        inside = (faces @ faces.T)[np.triu_indices(len(faces), 1)]
        right, own = right + int((inside >= threshold).sum()), own + len(inside)
        for b, others in copies[i + 1 :]:
            if a != b:
                product = faces @ others.T
                match, pairs = match + int((product >= threshold).sum()), pairs + product.size
    return match / pairs, right / own


def test_a_draw_is_that_of_people_drawn_one_by_one() -> None:
    vector_NE, label_N = crowd(8, 5, 0.7, 3)
    found = verification(vector_NE, label_N, [0.1], threads=1)
    config = BootstrapConfig(replicates=100, seed=5)
    told = intervals(vector_NE, label_N, Found(found), config, threads=1)
    weight_RP = bootstrap.draw(8, config)
    assert (weight_RP.sum(1) == 8).all()
    threshold = found.points[0].threshold
    truth = [drawn_one_by_one(vector_NE, label_N, threshold, weight_P.astype(int))[0] for weight_P in weight_RP]
    np.testing.assert_allclose(told.draws["fmr_at_threshold_of_fmr_1e-1"], truth, atol=1e-9)


def test_groups_of_people_are_drawn_together() -> None:
    unit_P = units_for(1000, 300, 0)
    assert set(np.bincount(unit_P)) == {3, 4} and len(np.unique(unit_P)) == 300
    assert units_for(300, 300, 0).tolist() == list(range(300))
    count_UU = np.triu(np.random.default_rng(0).integers(9, size=(6, 6)))
    weight = np.array([0, 1, 2, 1, 0, 2], np.float32)
    slow = sum(count_UU[u, v] * (weight[u] if u == v else weight[u] * weight[v]) for u in range(6) for v in range(u, 6))
    assert among(weight[None], count_UU)[0] == slow


def test_groups_of_people_give_about_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    vector_NE, label_N = crowd(240, 6, 0.7, 1)
    found = verification(vector_NE, label_N, FMRS)
    alone = intervals(vector_NE, label_N, Found(found))
    monkeypatch.setattr(bootstrap, "ROOM", 100 * 80**2)
    together = intervals(vector_NE, label_N, Found(found))
    assert together.units < together.people == alone.units == 240
    for name in ("auc", "eer", "tar_at_fmr_1e-1", "tar_at_fmr_1e-2"):
        wide = [each.figures[name].high - each.figures[name].low for each in (alone, together)]
        assert wide[1] == pytest.approx(wide[0], rel=0.35)
    assert f"in {together.units} groups" in together.text() and "groups" not in alone.text()


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    names = ("auc", "eer", "tar_at_fmr_1e-1", "tar_at_fmr_1e-2", "fmr_at_threshold_of_fmr_1e-1")
    truth = verification(*crowd(1500, 4, 0.7, 99), FMRS)
    values = {
        "auc": truth.auc,
        "eer": truth.eer,
        "tar_at_fmr_1e-1": truth.tar_at(0.1),
        "tar_at_fmr_1e-2": truth.tar_at(0.01),
    }
    held = dict.fromkeys(values, 0)
    trials = 24
    for seed in range(trials):
        vector_NE, label_N = crowd(60, 4, 0.7, seed)
        found = verification(vector_NE, label_N, FMRS, threads=1)
        told = intervals(vector_NE, label_N, Found(found), BootstrapConfig(replicates=150), threads=1)
        assert set(names) <= set(told.figures)
        for name, value in values.items():
            held[name] += told.figures[name].low <= value <= told.figures[name].high
    # 0.95 of 24 is 22.8; fewer than 20 would come by chance once in a hundred
    assert all(count >= 20 for count in held.values()), held
    assert sum(held.values()) < trials * len(held)  # intervals that always hold say nothing


def test_pairs_would_give_intervals_that_are_too_narrow() -> None:
    vector_NE, label_N = crowd(30, 20, 0.7, 2)
    found = verification(vector_NE, label_N, [0.1])
    told = intervals(vector_NE, label_N, Found(found)).figures["tar_at_fmr_1e-1"]
    by_pairs = 2 * 1.96 * (found.points[0].tar * (1 - found.points[0].tar) / found.genuine) ** 0.5
    assert told.high - told.low > 3 * by_pairs


def test_seed_decides_and_threads_do_not() -> None:
    vector_NE, label_N = crowd(40, 5, 0.7, 4)
    found = verification(vector_NE, label_N, FMRS)
    one = intervals(vector_NE, label_N, Found(found), threads=1)
    assert one.figures == intervals(vector_NE, label_N, Found(found), threads=3).figures
    assert one.figures != intervals(vector_NE, label_N, Found(found), BootstrapConfig(seed=1)).figures
    order_N = np.random.default_rng(0).permutation(len(label_N))
    assert one.figures == intervals(vector_NE[order_N], label_N[order_N], Found(found)).figures
    told = json.loads(one.json())
    assert told["figures"]["auc"]["value"] == found.auc and "draws" not in told


def test_differences_are_paired() -> None:
    vector_NE, label_N = crowd(60, 5, 0.7, 7)
    worse_NE = vector_NE + 0.25 / 4 * np.random.default_rng(0).standard_normal(vector_NE.shape)
    worse_NE = (worse_NE / np.linalg.norm(worse_NE, axis=1, keepdims=True)).astype(np.float32)
    found, worse = (verification(each, label_N, FMRS) for each in (vector_NE, worse_NE))
    a, b = (intervals(each, label_N, Found(told)) for each, told in ((vector_NE, found), (worse_NE, worse)))
    difference = paired(a, b)["auc"]
    assert difference.value == pytest.approx(worse.auc - found.auc)
    apart = a.figures["auc"].high - a.figures["auc"].low
    # the same people are hard for both, so the difference is better known than either figure
    assert difference.high < 0 and difference.high - difference.low < apart / 2
    assert paired(a, a)["auc"] == Interval(value=0, low=0, high=0)
    for other in (replace(b, key="other"), intervals(worse_NE, label_N, Found(worse), BootstrapConfig(seed=1))):
        with pytest.raises(DatasetError, match="cannot be paired"):
            paired(a, other)


def test_all_embeddings_equal_and_a_model_without_errors() -> None:
    label_N = np.repeat(np.arange(12), 4)
    same_NE = np.tile(np.float32([0.6, 0.8]), (48, 1))
    told = intervals(same_NE, label_N, Found(verification(same_NE, label_N, [0.1]))).figures
    assert (told["auc"].low, told["auc"].value, told["auc"].high) == (0.5, 0.5, 0.5)
    assert told["tar_at_fmr_1e-1"].value == 0
    apart_NE = np.eye(12, dtype=np.float32)[label_N]
    told = intervals(apart_NE, label_N, Found(verification(apart_NE, label_N, [0.1]))).figures
    assert told["auc"] == Interval(value=1, low=1, high=1) and told["eer"] == Interval(value=0, low=0, high=0)


def test_other_faces_and_wrong_settings_are_said() -> None:
    vector_NE, label_N = crowd(10, 4, 0.7, 0)
    found = verification(vector_NE, label_N, [0.1])
    with pytest.raises(DatasetError, match="these are others"):
        intervals(vector_NE[:-1], label_N[:-1], Found(found))
    for wrong in ({"replicates": 10}, {"confidence": 1.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            BootstrapConfig(**wrong)


def test_an_interval_of_the_few_draws_that_could_be_made_is_none() -> None:
    """Of two folds of two people only draws of all four have an accuracy: always the same one."""
    draw_R = np.full(1000, np.nan)
    draw_R[:90] = 0.75
    few = bootstrap.interval(0.75, draw_R, BootstrapConfig())
    assert np.isnan([few.low, few.high]).all() and few.text() == "0.75 (too few people for an interval)"
    assert np.isnan(bootstrap.interval(0.75, draw_R[:0], BootstrapConfig()).low)
    draw_R[90:600] = 0.5
    enough = bootstrap.interval(0.75, draw_R, BootstrapConfig())
    assert (enough.low, enough.high) == (0.5, 0.75) and enough.text() == "0.75 (0.5 to 0.75)"
