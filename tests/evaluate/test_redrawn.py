"""Average precision, F1, accuracy of folds, rates with failures and means over people: drawn as one by one, slowly."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from omokage.evaluate import bootstrap, listed_pairs
from omokage.evaluate.bootstrap import BootstrapConfig, Intervals
from omokage.evaluate.folds import by_people, cross_validated, of_people, steps_of
from omokage.evaluate.listed_pairs import Lost, Pairs
from omokage.evaluate.precision_recall import precision_recall
from omokage.evaluate.redrawn import Found, intervals, with_people
from omokage.evaluate.verification import counted, verification

FMRS = (0.1, 0.03)
FOLDS = 3
CONFIG = BootstrapConfig(replicates=100, seed=5)


def tied(people_: int, faces: int, seed: int) -> tuple[NDArray, NDArray]:
    """Return unit vectors of which no more than 17 similarities differ, and whose they are."""
    rng = np.random.default_rng(seed)
    sign_PE = rng.choice([-1, 1], (people_, 16))
    label_N = np.repeat(np.arange(people_), faces)
    flip_NE = rng.random((len(label_N), 16)) < rng.choice([0.1, 0.3], people_)[label_N, None]
    return (np.where(flip_NE, -1, 1) * sign_PE[label_N] / 4).astype(np.float32), label_N


def crowd(people_: int, faces: int, seed: int) -> tuple[NDArray, NDArray]:
    """Return unit vectors of people some of whom are harder than others, and whose they are."""
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(people_), faces)
    noise_P = 0.75 * np.exp(0.5 * rng.standard_normal(people_))
    vector_NE = rng.standard_normal((people_, 16))[label_N]
    vector_NE += noise_P[label_N, None] * rng.standard_normal((len(label_N), 16))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def found_in(vector_NE: NDArray, label_N: NDArray, prevalence: float | None = None, failed: tuple = ()) -> Found:
    """Return all that gets an interval."""
    found, steps = counted(vector_NE, label_N, FMRS, threads=1)
    folds = cross_validated(by_people(vector_NE, label_N, FOLDS, threads=1), FMRS, prevalence)
    return Found(
        found,
        precision_recall(steps, prevalence),
        folds,
        of_people(label_N, FOLDS),
        np.array(failed, np.int64),
    )


def expanded(vector_NE: NDArray, label_N: NDArray, weight_P: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return similarity, sameness and fold of pairs of people drawn so often; -1 where the two are in two folds.

    Every copy is there with its own faces; copies of one person are not compared with each other.
    """
    fold_P = of_people(label_N, FOLDS)[np.unique(label_N, return_index=True)[1]]
    copies = [person for person in np.unique(label_N) for _ in range(int(weight_P[person]))]
    rows = []
    for i, a in enumerate(copies):
        own = vector_NE[label_N == a]
        inside = (own @ own.T)[np.triu_indices(len(own), 1)]
        rows.append((inside, np.ones(len(inside), bool), np.full(len(inside), fold_P[a])))
        for b in copies[i + 1 :]:
            if a != b:
                across = (own @ vector_NE[label_N == b].T).ravel()
                fold = fold_P[a] if fold_P[a] == fold_P[b] else -1
                rows.append((across, np.zeros(len(across), bool), np.full(len(across), fold)))
    score_L, same_L, fold_L = (np.concatenate(part) for part in zip(*rows, strict=True))
    return score_L, same_L, fold_L


def slow(vector_NE: NDArray, label_N: NDArray, weight_P: NDArray, prevalence: float | None) -> dict[str, float]:
    """Return the figures of people drawn so often, by scikit-learn and by folds of listed pairs."""
    score_L, same_L, fold_L = expanded(vector_NE, label_N, weight_P)
    score_L = score_L.round(5)
    weight_L = np.ones(len(same_L))
    if prevalence is not None:
        weight_L = np.where(same_L, prevalence / same_L.mean(), (1 - prevalence) / (1 - same_L.mean()))
    precision, recall, _ = precision_recall_curve(same_L, score_L, sample_weight=weight_L)
    parts = [steps_of(score_L[fold_L == fold], same_L[fold_L == fold]) for fold in range(FOLDS)]
    told = {
        "average_precision": float(average_precision_score(same_L, score_L, sample_weight=weight_L)),
        "best_f1": float((2 * precision * recall / np.maximum(precision + recall, 1e-9)).max()),
    }
    if all(part.genuine_K.sum() and part.impostor_K.sum() for part in parts):
        told["accuracy"] = cross_validated(parts, FMRS, prevalence).mean_accuracy()[0]
    return told


@pytest.mark.parametrize("prevalence", [None, 0.02])
def test_draws_are_those_of_people_drawn_one_by_one(prevalence: float | None) -> None:
    vector_NE, label_N = tied(15, 4, 0)
    found = found_in(vector_NE, label_N, prevalence)
    _, told = with_people(vector_NE, label_N, found, CONFIG, threads=1)
    truth = slow(vector_NE, label_N, np.ones(15), prevalence)
    compared = 0
    for name, value in truth.items():
        assert told.figures[name].value == pytest.approx(value, abs=1e-9), name
    for r, weight_P in enumerate(bootstrap.draw(15, CONFIG)[:40]):
        for name, value in slow(vector_NE, label_N, weight_P, prevalence).items():
            assert told.draws[name][r] == pytest.approx(value, abs=1e-9), (name, r)
            compared += name == "accuracy"
    assert compared > 30


def test_where_all_similarities_differ_draws_are_nearly_those_one_by_one() -> None:
    vector_NE, label_N = crowd(24, 5, 2)
    _, told = with_people(vector_NE, label_N, found_in(vector_NE, label_N), CONFIG, threads=1)
    rows = [slow(vector_NE, label_N, weight_P, None) for weight_P in bootstrap.draw(24, CONFIG)[:60]]
    for name, near in (("average_precision", 0.05), ("best_f1", 0.1), ("accuracy", 0.2)):
        width = told.figures[name].high - told.figures[name].low
        off_R = [abs(told.draws[name][r] - row[name]) for r, row in enumerate(rows) if name in row]
        assert np.mean(off_R) < near * width, (name, np.mean(off_R), width)


def tried_slowly(
    vector_NE: NDArray, label_N: NDArray, failed: tuple[int, ...], weight_P: NDArray, threshold: float
) -> tuple[float, float]:
    """Return FRR and FAR at a threshold, pictures that failed being in every pair that they could have been in."""
    size_P = np.bincount(label_N, minlength=len(weight_P)) + np.bincount(failed, minlength=len(weight_P))
    score_L, same_L, _ = expanded(vector_NE, label_N, weight_P)
    genuine = sum(weight * size * (size - 1) / 2 for weight, size in zip(weight_P, size_P, strict=True))
    copies = [person for person in range(len(weight_P)) for _ in range(int(weight_P[person]))]
    impostor = sum(size_P[a] * size_P[b] for i, a in enumerate(copies) for b in copies[i + 1 :] if a != b)
    match_L = score_L >= threshold
    return 1 - (match_L & same_L).sum() / genuine, (match_L & ~same_L).sum() / impostor


def test_failures_are_drawn_with_their_people_also_with_those_who_have_no_face() -> None:
    vector_NE, label_N = tied(15, 4, 1)
    failed = (2, 2, 3, 15, 15, 16)  # two people have no face at all
    _, told = with_people(vector_NE, label_N, found_in(vector_NE, label_N, failed=failed), CONFIG, threads=1)
    (point, _) = verification(vector_NE, label_N, FMRS, threads=1).points
    assert point.threshold is not None
    assert told.people == told.units == 17
    for r, weight_P in enumerate(bootstrap.draw(17, CONFIG)[:30]):
        assert weight_P.sum() == 17
        _, far = tried_slowly(vector_NE, label_N, failed, weight_P, point.threshold)
        assert told.draws["far_at_threshold_of_fmr_1e-1"][r] == pytest.approx(far, abs=1e-9)
    frr, far = tried_slowly(vector_NE, label_N, failed, np.ones(17), point.threshold)
    assert told.figures["frr_at_fmr_1e-1"].value == pytest.approx(frr)
    assert told.figures["far_at_threshold_of_fmr_1e-1"].value == pytest.approx(far)
    for r, weight_P in enumerate(bootstrap.draw(17, CONFIG)[:30]):
        _, same_L, _ = expanded(vector_NE, label_N, weight_P)
        own, _ = tried_slowly(vector_NE, label_N, failed, weight_P, -2.0)  # where every pair that could match does
        tar = told.draws["tar_at_fmr_1e-1"][r]
        assert told.draws["frr_at_fmr_1e-1"][r] == pytest.approx(1 - tar * (1 - own), abs=1e-9)
        assert (own > 0) == bool(weight_P[[2, 3, 15]].any()) and same_L.any()
    assert not [name for name in intervals(vector_NE, label_N, found_in(vector_NE, label_N)).figures if "frr" in name]


def test_means_over_people_are_drawn_by_person() -> None:
    vector_NE, label_N = crowd(20, 4, 3)
    vector_NE, label_N = vector_NE[2:-3], label_N[2:-3]  # the last has one face, and no figure of their own
    people, told = with_people(vector_NE, label_N, found_in(vector_NE, label_N), CONFIG, threads=1)
    for r, weight_P in enumerate(bootstrap.draw(20, CONFIG)):
        copies = np.repeat(np.arange(20), weight_P.astype(int))
        copies = copies[copies < 19]
        assert told.draws["macro_auc"][r] == pytest.approx(people.auc_P[copies].mean())
        fnmr = np.mean([people.person(person).fnmr[0] for person in copies])
        assert told.draws["macro_fnmr_at_fmr_1e-1"][r] == pytest.approx(fnmr)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """The truth is what many other crowds like these have on average."""
    names = ("average_precision", "best_f1", "accuracy", "macro_auc")
    crowds = [crowd(60, 4, 1000 + seed) for seed in range(60)]
    fresh = [found_in(*each) for each in crowds]
    curves = [with_people(*each, found, CONFIG, threads=1)[0] for each, found in zip(crowds, fresh, strict=True)]
    truth = {
        "average_precision": np.mean([each.precision_recall.average_precision for each in fresh]),
        "best_f1": np.mean([each.precision_recall.best_f1 for each in fresh]),
        "accuracy": np.mean([each.folds.mean_accuracy()[0] for each in fresh]),
        "macro_auc": np.mean([each.summary().macro_auc for each in curves]),
    }
    held, trials = dict.fromkeys(names, 0), 30
    for seed in range(trials):
        vector_NE, label_N = crowd(60, 4, seed)
        config = BootstrapConfig(replicates=150)
        _, told = with_people(vector_NE, label_N, found_in(vector_NE, label_N), config, threads=1)
        for name in names:
            held[name] += told.figures[name].low <= truth[name] <= told.figures[name].high
    # 0.95 of 30 is 28.5; fewer than 25 would come by chance once in a hundred
    assert all(count >= 25 for count in held.values()), held
    assert sum(held.values()) < trials * len(held)  # intervals that always hold say nothing


def every(label_N: NDArray) -> Pairs:
    """Return all unordered pairs within folds, as a list."""
    fold_N = of_people(label_N, FOLDS)
    a_L, b_L = np.triu_indices(len(label_N), 1)
    within_L = fold_N[a_L] == fold_N[b_L]
    a_L, b_L = a_L[within_L], b_L[within_L]
    lost = Lost(person_X2=np.array([[0, 0], [1, 1], [0, 2], [15, 3]]), same_X=np.array([True, True, False, False]))
    return Pairs(a_L=a_L, b_L=b_L, same_L=label_N[a_L] == label_N[b_L], fold_L=fold_N[a_L], lost=lost)


@pytest.mark.parametrize("most", [listed_pairs.LEVELS, 60])
def test_listed_pairs_are_drawn_alike(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_pairs, "LEVELS", most)
    vector_NE, label_N = tied(15, 4, 4)
    pairs = every(label_N)
    score_L = pairs.scores(vector_NE)
    one, steps = listed_pairs.verification(pairs, score_L, label_N, FMRS)
    parts = [steps_of(score_L[pairs.fold_L == fold], pairs.same_L[pairs.fold_L == fold]) for fold in range(FOLDS)]
    folds = cross_validated(parts, FMRS)
    found = Found(one, precision_recall(steps), folds)
    told = listed_pairs.intervals(pairs, score_L, label_N, found, CONFIG)
    assert told.people == 16  # one of them has no face
    compared = 0
    for r, weight_P in enumerate(bootstrap.draw(16, CONFIG)[:40]):
        score, same, fold = expanded(vector_NE, label_N, weight_P)
        score, same, fold = score[fold >= 0].round(5), same[fold >= 0], fold[fold >= 0]
        assert told.draws["average_precision"][r] == pytest.approx(average_precision_score(same, score), abs=1e-9)
        genuine = same.sum() + weight_P[0] + weight_P[1]
        matched = (1 - told.draws["frr_at_fmr_1e-1"][r]) * genuine
        assert matched == pytest.approx(told.draws["tar_at_fmr_1e-1"][r] * same.sum())
        again = [steps_of(score[fold == each], same[fold == each]) for each in range(FOLDS)]
        if all(part.genuine_K.sum() and part.impostor_K.sum() for part in again):
            assert told.draws["accuracy"][r] == pytest.approx(cross_validated(again, FMRS).mean_accuracy()[0])
            compared += 1
    assert compared > 30
    point = listed_pairs.failures(one, pairs.lost, (70, 4)).points[0]
    assert (told.figures["frr_at_fmr_1e-1"].value, told.figures["far_at_threshold_of_fmr_1e-1"].value) == (
        pytest.approx(point.frr),
        pytest.approx(point.far),
    )


def test_new_figures_of_two_encoders_are_paired() -> None:
    vector_NE, label_N = crowd(40, 5, 7)
    worse_NE = vector_NE + 0.12 * np.random.default_rng(0).standard_normal(vector_NE.shape)
    worse_NE = (worse_NE / np.linalg.norm(worse_NE, axis=1, keepdims=True)).astype(np.float32)
    a, b = (with_people(each, label_N, found_in(each, label_N, failed=(3, 4)))[1] for each in (vector_NE, worse_NE))
    gaps = bootstrap.paired(a, b)
    for name in ("average_precision", "best_f1", "accuracy", "macro_auc", "frr_at_fmr_1e-1"):
        alone = a.figures[name].high - a.figures[name].low
        assert gaps[name].high - gaps[name].low < 0.8 * alone, name
    assert gaps["average_precision"].high < 0 < gaps["frr_at_fmr_1e-1"].low
    other = Intervals(**{field.name: getattr(b, field.name) for field in dataclasses.fields(b)} | {"key": "other"})
    with pytest.raises(Exception, match="cannot be paired"):
        bootstrap.paired(a, other)
