"""Shuffles: bijections, and as fair as chance."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from omokage.train.shuffle import shuffled, stirred

KEYS = stirred(np.arange(24_000, dtype=np.uint64))


@settings(deadline=None)
@given(st.integers(1, 600), st.integers(0, 2**64 - 1))
def test_every_number_lies_at_one_place(count: int, key: int) -> None:
    place = np.arange(count)
    found = shuffled(place, np.full(1, count), np.full(1, key, np.uint64))
    assert sorted(found.tolist()) == place.tolist()


def test_places_may_be_asked_for_one_by_one_and_of_many_shuffles_at_once() -> None:
    count, key = np.array([[7], [1000], [1]]), KEYS[:3, None]
    place = np.array([[0, 3, 6], [5, 999, 0], [0, 0, 0]])
    together = shuffled(place, count, key)
    for row, column in np.ndindex(3, 3):
        alone = shuffled(place[row : row + 1, column], count[row], key[row])
        assert alone.item() == together[row, column]


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_all_orders_of_a_few_things_come_equally_often(count: int) -> None:
    found = shuffled(np.arange(count)[None, :], np.full((1, 1), count), KEYS[:, None])
    number = {order: place for place, order in enumerate(itertools.permutations(range(count)))}
    seen = np.bincount([number[tuple(order)] for order in found.tolist()], minlength=math.factorial(count))
    assert chisquare(seen).pvalue > 1e-4


@pytest.mark.parametrize("count", [5, 8, 13, 40])
def test_each_number_comes_to_each_place_equally_often(count: int) -> None:
    found = shuffled(np.arange(count)[None, :], np.full((1, 1), count), KEYS[:, None])
    seen = np.zeros((count, count))
    np.add.at(seen, (np.broadcast_to(np.arange(count), found.shape), found), 1)
    assert chisquare(seen.ravel(), ddof=2 * count - 2).pvalue > 1e-4


@pytest.mark.parametrize("count", [8, 40])
def test_what_lies_side_by_side_follows_chance(count: int) -> None:
    """Hands are neighbours: no two pictures may be dealt together more often than others."""
    first, second = shuffled(np.arange(2)[None, :], np.full((1, 1), count), KEYS[:, None]).T
    seen = np.zeros((count, count))
    np.add.at(seen, (first, second), 1)
    assert chisquare(seen[~np.eye(count, dtype=bool)]).pvalue > 1e-4
