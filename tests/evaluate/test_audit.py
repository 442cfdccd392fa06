"""Rates of groups against loops, planted differences, what is withheld; sums of squares against their definition."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import audit as module
from omokage.evaluate import spread as spread_module
from omokage.evaluate.audit import AuditConfig, audit
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.gaps import permuted
from omokage.evaluate.groups import Groups, by_table
from omokage.evaluate.spread import axes, heat_map, spread

FEW = BootstrapConfig(replicates=200)


def unit(vector_NE: NDArray) -> NDArray[np.float32]:
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32)


def crowd(people: int = 60, faces: int = 5, near: float = 0.0, seed: int = 0) -> tuple[NDArray, NDArray, Groups]:
    """Return faces of people of three groups and some of none; the people of group b lie ``near`` to each other."""
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(people), faces)
    centre_PE = rng.standard_normal((people, 24))
    centre_PE[1::3] += near * rng.standard_normal(24)
    vector_NE = centre_PE[label_N] + 0.6 * rng.standard_normal((len(label_N), 24))
    names = [f"{'abc'[label % 3]}" if label < people - 3 else "" for label in label_N]
    groups = by_table([str(row) for row in range(len(label_N))], [str(row) for row in range(len(label_N))], names)
    return unit(vector_NE), label_N, groups


def slow(vector_NE: NDArray, label_N: NDArray, group_N: NDArray, threshold: float) -> dict:
    """Return matches and pairs by (group, group, one person)."""
    found: dict = {}
    for i in range(len(label_N)):
        for j in range(i + 1, len(label_N)):
            if min(group_N[i], group_N[j]) < 0:
                continue
            key = (*sorted((group_N[i], group_N[j])), bool(label_N[i] == label_N[j]))
            match, pairs = found.get(key, (0, 0))
            found[key] = match + (float(vector_NE[i] @ vector_NE[j]) >= threshold), pairs + 1
    return found


@pytest.mark.parametrize("room", [2000, 30])
def test_rates_are_those_of_loops(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "room", lambda _: room)
    vector_NE, label_N, groups = crowd()
    group_N = groups.group_N.copy()
    group_N[0] = 2  # one face of a person of group a
    groups = Groups(names=groups.names, group_N=group_N, misfits=groups.misfits, examples=(), source="")
    told = audit(vector_NE, label_N, groups, 0.3, bootstrap=FEW)
    truth = slow(vector_NE, label_N, group_N, 0.3)
    assert (told.gaps[0].p_value is None) == (room == 30)
    assert (told.faces, told.people, told.misfits, told.in_two_groups) == (285, 57, 15, 1)
    for number, group in enumerate(told.groups):
        match, pairs = truth[number, number, False]
        assert group.impostor == pairs and group.fmr.value == pytest.approx(match / pairs)
        match, pairs = truth[number, number, True]
        assert group.genuine == pairs and group.fnmr.value == pytest.approx(1 - match / pairs)
        assert group.fmr.low < group.fmr.value < group.fmr.high
        for other in range(3):
            match, pairs = truth[min(number, other), max(number, other), False]
            assert told.cross_fmr[number][other] == pytest.approx(match / pairs)
    total = [np.sum([pair for key, pair in truth.items() if not key[2]], axis=0)]
    assert told.fmr == pytest.approx(total[0][0] / total[0][1])
    assert told.fmr_interval.low < told.fmr_interval.value == told.fmr < told.fmr_interval.high
    assert told.fnmr_interval.low < told.fnmr_interval.value < told.fnmr_interval.high
    assert told.fnmr_interval.value == pytest.approx(told.fnmr)
    fmr = [group.fmr.value for group in told.groups]
    gap = told.gaps[0]
    assert gap.max_over_mean.value == pytest.approx(max(fmr) / np.prod(fmr) ** (1 / 3))
    assert gap.max_over_min.value == pytest.approx(max(fmr) / min(fmr))
    assert gap.highest == "abc"[int(np.argmax(fmr))] and gap.lowest == "abc"[int(np.argmin(fmr))]
    assert json.loads(told.json())["words"] == list(module.WORDS)


def test_a_planted_difference_is_found_and_none_is_not() -> None:
    equal = audit(*crowd(240), 0.5, bootstrap=FEW)
    apart = audit(*crowd(240, near=1.0), 0.5, bootstrap=FEW)
    assert apart.gaps[0].highest == "b" and apart.gaps[0].max_over_min.low > 2
    assert apart.gaps[0].max_over_min.low > equal.gaps[0].max_over_min.high
    low, high = equal.groups[0].fmr.low, equal.groups[0].fmr.high
    assert low < equal.groups[1].fmr.high and equal.groups[1].fmr.low < high
    assert apart.gaps[1].rate == "FNMR"
    assert apart.gaps[0].p_value == pytest.approx(1 / 201) and "p = 0.0050" in apart.gaps[0].text()
    assert equal.gaps[0].p_value > 0.05 and equal.gaps[1].p_value > 0.05


def test_permuted_groups_are_those_of_loops_and_p_is_even() -> None:
    rng = np.random.default_rng(0)
    match_UU, pairs_UU = np.triu(rng.integers(3, size=(9, 9))), np.triu(rng.integers(3, 9, size=(9, 9)))
    group_U = np.array([5, 5, 5, 5, 2, 2, 2, 9, 9])
    found_RG = permuted(group_U, match_UU, pairs_UU, FEW)
    again = np.random.default_rng([0, 3])
    for rate_G in found_RG:
        given_U = again.permutation(np.unique(group_U, return_inverse=True)[1])
        for group, rate in enumerate(rate_G):
            own = np.flatnonzero(given_U == group)
            assert rate == pytest.approx(match_UU[np.ix_(own, own)].sum() / pairs_UU[np.ix_(own, own)].sum())
    p_values = [
        audit(*crowd(90, seed=seed), 0.3, bootstrap=BootstrapConfig(replicates=100)).gaps[0].p_value
        for seed in range(20)
    ]
    assert sum(p < 0.05 for p in p_values) <= 4 and min(p_values) < 0.5 < max(p_values)


def test_a_rate_between_groups_is_withheld_where_that_within_a_group_would_be() -> None:
    vector_NE, label_N, groups = crowd(90, 3)
    score = np.sort((vector_NE @ vector_NE.T)[np.triu_indices(len(label_N), 1)])
    told = audit(vector_NE, label_N, groups, float(score[-1]) - 1e-3, bootstrap=FEW)
    assert told.fmr == 0 and all(rate is None for row in told.cross_fmr for rate in row)
    shown = set()
    for threshold in np.linspace(0.3, 0.8, 11):
        told = audit(vector_NE, label_N, groups, float(threshold), bootstrap=BootstrapConfig(replicates=100))
        sizes = [group.faces for group in told.groups]
        for g, h in np.ndindex(3, 3):
            pairs = told.groups[g].impostor if g == h else sizes[g] * sizes[h]
            assert (told.cross_fmr[g][h] is None) == (pairs * told.fmr < 10)
            shown.add((g == h, told.cross_fmr[g][h] is None))
        assert [group.fmr is None for group in told.groups] == [told.cross_fmr[g][g] is None for g in range(3)]
    assert len(shown) == 4


def test_a_group_of_five_faces_is_withheld_and_said_why() -> None:
    vector_NE, label_N, groups = crowd()
    group_N = groups.group_N.copy()
    group_N[group_N == 2] = -1
    group_N[10:15] = 2
    few = Groups(names=("a", "b", "五"), group_N=group_N, misfits=0, examples=(), source="")
    told = audit(vector_NE, label_N, few, 0.3, bootstrap=FEW)
    assert told.groups[2].fmr is told.groups[2].fnmr is None
    assert told.groups[2].fmr_withheld == "1 person, fewer than 10" and "五: 1 person, 5 faces" in told.text()
    assert told.cross_fmr[2] == (None, None, None) and told.cross_fmr[0][2] is None
    assert told.gaps[0].groups == 2
    strict = audit(vector_NE, label_N, few, 0.3, AuditConfig(fewest_faces=1000), FEW)
    assert all(group.fnmr_withheld.endswith("faces, fewer than 1000") for group in strict.groups[:2])
    assert strict.gaps[0].withheld == "no group has an FMR" and strict.gaps[0].max_over_mean is None
    wide = spread(vector_NE, label_N, few, bootstrap=FEW)
    assert wide.groups[2].per_face is None and wide.groups[2].withheld == "1 person, fewer than 10"


def test_what_pairs_are_too_few_for_is_withheld() -> None:
    vector_NE, label_N, groups = crowd()
    none = audit(vector_NE, label_N, groups, 0.99, bootstrap=FEW)
    assert (
        none.fmr == 0
        and "no pair of different people matches" in none.groups[0].fmr_withheld
        and none.groups[0].fnmr.value == 1
    )
    one_each = audit(
        vector_NE[::5],
        label_N[::5],
        Groups(names=groups.names, group_N=groups.group_N[::5], misfits=0, examples=(), source=""),
        0.3,
        AuditConfig(fewest_faces=10),
        FEW,
    )
    assert one_each.fnmr is None and one_each.groups[0].fnmr_withheld.startswith("0 people with two faces")
    sure = audit(vector_NE, label_N, groups, -0.9, bootstrap=FEW)
    assert sure.gaps[1].withheld == "no group shows an error, and a ratio needs one" and sure.gaps[1].p_value is None
    with pytest.raises(DatasetError, match="not equally many"):
        audit(vector_NE, label_N[:-1], groups, 0.3)
    with pytest.raises(DatasetError, match="0 faces are in a group"):
        audit(
            vector_NE, label_N, Groups(names=("a",), group_N=np.full(300, -1), misfits=300, examples=(), source=""), 0
        )
    with pytest.raises(ConfigError, match="at least 2"):
        AuditConfig(fewest_people=1)


def test_sum_of_squares_of_each_face_does_not_grow_with_the_group() -> None:
    vector_NE, label_N, groups = crowd()
    told = spread(vector_NE, label_N, groups, bootstrap=FEW)
    for number, group in enumerate(told.groups):
        own = vector_NE[groups.group_N == number].astype(float)
        assert group.wss == pytest.approx(((own - own.mean(0)) ** 2).sum(), rel=1e-5)
        assert group.per_face.value == pytest.approx(group.wss / len(own))
        assert group.per_face.low < group.per_face.value < group.per_face.high
    # group a twice, as other people
    again = np.flatnonzero(groups.group_N == 0)
    twice = Groups(
        names=groups.names,
        group_N=np.concatenate([groups.group_N, np.zeros(len(again), np.int64)]),
        misfits=0,
        examples=(),
        source="",
    )
    double = spread(
        np.concatenate([vector_NE, vector_NE[again]]),
        np.concatenate([label_N, label_N[again] + 1000]),
        twice,
        bootstrap=FEW,
    )
    assert double.groups[0].per_face.value == pytest.approx(told.groups[0].per_face.value)
    assert double.groups[0].wss == pytest.approx(2 * told.groups[0].wss)


def test_a_narrow_group_is_told_from_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    p_values = [spread(*crowd(seed=seed), bootstrap=FEW).p_value for seed in range(20)]
    assert min(p_values) < 0.5 < max(p_values) and sum(p < 0.05 for p in p_values) <= 4
    narrow = spread(*crowd(near=1.0), bootstrap=FEW)
    assert narrow.p_value == pytest.approx(1 / 201) and "p = 0.0050" in narrow.text()
    assert narrow.groups[1].per_face.high < narrow.groups[0].per_face.low
    monkeypatch.setattr(spread_module, "UNITS", 10)  # people are taken together
    together = spread(*crowd(near=1.0), bootstrap=FEW)
    assert together.groups[1].per_face.value == pytest.approx(narrow.groups[1].per_face.value)
    assert together.p_value < 0.05


def test_similarity_of_groups_is_that_of_all_pairs() -> None:
    vector_NE, label_N, groups = crowd()
    told = spread(vector_NE, label_N, groups, bootstrap=FEW).similarity
    for g in range(3):
        for h in range(3):
            product = vector_NE[groups.group_N == g] @ vector_NE[groups.group_N == h].T
            pairs = product[~np.eye(len(product), dtype=bool)] if g == h else product
            assert told[g][h] == pytest.approx(pairs.mean(), abs=1e-6)


def test_nothing_of_how_near_a_withheld_groups_faces_lie_is_told() -> None:
    vector_NE, label_N, groups = crowd()
    few = np.flatnonzero((groups.group_N != 2) | (label_N < np.unique(label_N[groups.group_N == 2])[3]))
    part = Groups(names=groups.names, group_N=groups.group_N[few], misfits=0, examples=(), source="")
    told = spread(vector_NE[few], label_N[few], part, bootstrap=FEW)
    small, others = told.groups[2], told.groups[:2]
    assert small.per_face is None and small.wss is None and "fewer than" in small.withheld
    assert "plain sum" not in small.text() and all("plain sum" in group.text() for group in others)
    assert [row[2] for row in told.similarity] == [None] * 3 == list(told.similarity[2])
    assert None not in (*told.similarity[0][:2], *told.similarity[1][:2])


def test_a_heat_map_is_capped() -> None:
    vector_NE, label_N, groups = crowd()
    found = heat_map(vector_NE, label_N, groups, each=7, most=18)
    assert np.bincount(found.group_S).tolist() == [6, 6, 6] and (np.diff(found.group_S) >= 0).all()
    np.testing.assert_allclose(np.diag(found.similarity_SS), 1, atol=1e-6)
    np.testing.assert_array_equal(found.group_S, groups.group_N[found.row_S])


def test_axes_are_those_of_scikit_learn() -> None:
    vector_NE, _, _ = crowd(near=1.0)
    found = axes(vector_NE, count=3, shown=50)
    pca = PCA(3).fit(vector_NE.astype(float))
    np.testing.assert_allclose(found.explained, pca.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.place_SA), np.abs(pca.transform(vector_NE[found.row_S])), atol=1e-4)
    assert axes(np.tile(np.float32([0.6, 0.8]), (5, 1))).explained == pytest.approx((0, 0), abs=1)
    with pytest.raises(DatasetError, match="need two faces"):
        axes(vector_NE[:1])
