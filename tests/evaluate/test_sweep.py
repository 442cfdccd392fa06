"""Pairs by level, of every person and between units, against loops over all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.evaluate import sweep as module
from omokage.evaluate.sweep import ByPerson, ByUnit, InOrder, Levels, sweep


def tied(faces: int, seed: int) -> NDArray[np.float32]:
    """Return unit vectors all of whose products are exact, most of them often."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(row) for row in np.tile([0.5, -0.5, 0.5, 0.5, 0, 0], (faces, 1))], np.float32)


def slow(
    vector_NE: NDArray, person_N: NDArray, unit_N: NDArray, thresholds: list[float]
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    people, units, levels = person_N.max() + 1, unit_N.max() + 1, len(thresholds) + 1
    impostor_PL, genuine_PL = np.zeros((2, people, levels), int)
    impostor_UUL, genuine_UL = np.zeros((units, units, levels), int), np.zeros((units, levels), int)
    for i in range(len(vector_NE)):
        for j in range(i + 1, len(vector_NE)):
            score = float(np.dot(vector_NE[i].astype(float), vector_NE[j].astype(float)))
            level = sum(score < threshold for threshold in thresholds)
            if person_N[i] == person_N[j]:
                genuine_PL[person_N[i], level] += 1
                genuine_UL[unit_N[i], level] += unit_N[i] == unit_N[j]
            else:
                impostor_PL[person_N[i], level] += 1
                impostor_PL[person_N[j], level] += 1
                impostor_UUL[min(unit_N[i], unit_N[j]), max(unit_N[i], unit_N[j]), level] += 1
    return impostor_PL, genuine_PL, impostor_UUL, genuine_UL


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 40),
    st.integers(1, 8),
    st.lists(st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.1]), min_size=1, max_size=6, unique=True),
    st.sampled_from([0, 4]),
    st.integers(0, 10**6),
)
def test_levels_are_those_of_loops(faces: int, people: int, thresholds: list[float], dense: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vector_NE = tied(faces, seed)
    person_N = np.unique(np.sort(rng.integers(people, size=faces)), return_inverse=True)[1]
    unit_N = person_N // 2
    levels = Levels(thresholds)
    assert levels.threshold_T.tolist() == sorted(thresholds, reverse=True)
    by_person, by_unit = ByPerson(person_N, levels), ByUnit(unit_N, levels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS", 7)
        patch.setattr(module, "COLUMNS", 11)
        patch.setattr(module, "DENSE", dense)
        sweep(vector_NE, person_N, [by_person, by_unit], threads=2)
    truth = slow(vector_NE, person_N, unit_N, thresholds)
    for found, told in zip(
        (by_person.impostor_PL, by_person.genuine_PL, by_unit.impostor_UUL, by_unit.genuine_UL), truth, strict=True
    ):
        np.testing.assert_array_equal(found, told)


def test_a_person_in_two_units_has_no_pair_across_them() -> None:
    vector_NE, person_N, unit_N = tied(12, 0), np.array([0, 0, 0, 1, 1, 1] * 2), np.repeat([0, 1], 6)
    levels = Levels([0.0])
    counts = ByUnit(unit_N, levels)
    sweep(vector_NE, person_N, [counts], threads=1)
    *_, impostor_UUL, genuine_UL = slow(vector_NE, person_N, unit_N, [0.0])
    np.testing.assert_array_equal(counts.impostor_UUL, impostor_UUL)
    np.testing.assert_array_equal(counts.genuine_UL, genuine_UL)
    assert genuine_UL.sum() == 12 and impostor_UUL.sum() == 36


@pytest.mark.parametrize("thresholds", [[], [np.nan], np.linspace(-1, 1, 127)])
def test_thresholds_that_are_none_are_said(thresholds: list[float]) -> None:
    with pytest.raises(ConfigError, match="1 to 126 finite numbers"):
        Levels(thresholds)


def test_vectors_in_another_order_are_counted_as_their_copy_is() -> None:
    rng = np.random.default_rng(3)
    vector_NE = rng.standard_normal((700, 8)).astype(np.float32)
    vector_NE /= np.linalg.norm(vector_NE, axis=1, keepdims=True)
    order_N, person_N, levels = rng.permutation(700), np.sort(rng.integers(0, 90, 700)), Levels([0.7, 0.2])
    person_N = np.unique(person_N, return_inverse=True)[1]
    copied, ordered = ByPerson(person_N, levels), ByPerson(person_N, levels)
    sweep(vector_NE[order_N], person_N, [copied], 1)
    sweep(InOrder(vector_NE, order_N), person_N, [ordered], 1)
    assert copied.impostor_PL.any() and copied.genuine_PL.any()
    assert np.array_equal(copied.impostor_PL, ordered.impostor_PL)
    assert np.array_equal(copied.genuine_PL, ordered.genuine_PL)
