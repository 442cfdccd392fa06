"""Cells and how often they occur, against rounding and counting one by one."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from omokage.evaluate import pairs
from omokage.evaluate import tally as tallies
from omokage.evaluate.pairs import BINS, CELLS, HALF, Faces, by_person, count, rounded
from omokage.evaluate.tally import Tally


def test_cells_are_the_nearest_halves_to_even() -> None:
    rng = np.random.default_rng(0)
    edges = (np.arange(-5, 5) + 0.5) / HALF
    near = np.nextafter(np.float32(1), np.float32([0, 2]))
    values = np.concatenate(
        [rng.uniform(-1, 1, 100_000), edges, [0, -0.0, 1, -1, 1.002, -1.002], near, -near, 0.5 + edges]
    ).astype(np.float32)
    told = [min(max(round(float(value) * HALF), -HALF), HALF) + HALF for value in values.tolist()]
    np.testing.assert_array_equal(rounded(values.copy()), told)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=8), st.integers(1, 20))
def test_a_tally_counts(parts: list[list[int]], loose: int) -> None:
    tally = Tally()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallies, "LOOSE", loose)
        for part in parts:
            tally.add(np.array(part, np.int32))
            assert tally.size <= max(loose, len(tally.cell_X))
    tally.settle()
    truth = Counter(cell for part in parts for cell in part)
    assert dict(zip(tally.cell_X.tolist(), tally.count_X.tolist(), strict=True)) == truth
    assert (np.diff(tally.cell_X) > 0).all()


def slow(vector_NE: NDArray, person_N: NDArray) -> tuple[Counter, Counter]:
    """Return how many pairs of different people, and of one, each cell has."""
    impostor, genuine = Counter(), Counter()
    for a in range(len(person_N)):
        for b in range(a + 1, len(person_N)):
            score = float(np.dot(vector_NE[a].astype(float), vector_NE[b].astype(float)))
            (genuine if person_N[a] == person_N[b] else impostor)[round(score * HALF) + HALF] += 1
    return impostor, genuine


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 8), st.integers(0, 10**6))
def test_pairs_are_counted_by_bin_and_where_wanted_by_cell(faces: int, persons: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vector_NE = np.array([rng.permutation(row) for row in np.tile([0.5, -0.5, 0.5, 0.5, 0, 0], (faces, 1))], np.float32)
    person_N = np.unique(np.sort(rng.integers(persons, size=faces)), return_inverse=True)[1]
    wanted_B = rng.random(BINS) < 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "ROWS", 7)
        patch.setattr(pairs, "COLUMNS", 11)
        counts = count(Faces(vector_NE, person_N, np.arange(faces)), wanted_B, threads=2)
    steps = counts.steps()
    for truth, found_K in zip(slow(vector_NE, person_N), (steps.impostor_K, steps.genuine_K), strict=True):
        by_step: Counter = Counter()
        for cell, number in truth.items():
            by_step[cell if wanted_B[cell // CELLS] else cell // CELLS * CELLS] += number
        found = dict(zip(steps.low_K.tolist(), found_K.tolist(), strict=True))
        assert {low: number for low, number in found.items() if number} == by_step
    np.testing.assert_array_equal(steps.cells_K == 1, wanted_B[steps.low_K // CELLS])
    assert (np.diff(steps.low_K) < 0).all() and ((steps.impostor_K + steps.genuine_K) > 0).all()


def test_faces_in_order_are_not_copied() -> None:
    vector_NE = np.eye(6, dtype=np.float32)
    assert by_person(vector_NE, [3, 3, 5, 5, 5, 9]).vector_NE is vector_NE
    mixed = by_person(vector_NE, [5, 3, 5, 3, 5, 9])
    assert mixed.row_N.tolist() == [1, 3, 0, 2, 4, 5]
    np.testing.assert_array_equal(mixed.vector_NE, vector_NE[[1, 3, 0, 2, 4, 5]])
