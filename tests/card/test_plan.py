"""What a set of faces suffices for, against counting pair by pair."""

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omokage.card.plan import PlanConfig, counted, pairs, plan
from omokage.errors import ConfigError


@pytest.mark.parametrize(
    ("people", "pictures", "positive", "negative"),
    [(100, 100, 495_000, 49_500_000), (10_000, 1, 0, 49_995_000), (10, 50, 12_250, 112_500)],
)
def test_the_known_figures(people, pictures, positive, negative):
    found = plan("x", np.full(people, pictures))
    assert (found.positive, found.negative) == (positive, negative)
    assert (found.people, found.pictures) == (people, people * pictures)


@given(st.lists(st.integers(1, 9), max_size=8))
@settings(deadline=None, max_examples=40)
def test_pairs_as_counted_one_by_one(faces):
    owners = [person for person, n in enumerate(faces) for _ in range(n)]
    same = [a == b for a, b in combinations(owners, 2)]
    found = plan("x", np.array(faces, np.int64))
    assert (found.positive, found.negative) == (sum(same), len(same) - sum(same))
    if faces:
        assert (found.quantiles["min"], found.quantiles["max"]) == (min(faces), max(faces))
        assert found.quantiles["median"] == sorted(faces)[(len(faces) - 1) // 2]


def test_more_pairs_than_a_float_counts():
    positive, negative = pairs({3: 10**9})
    assert positive == 3 * 10**9
    assert negative == 10**9 * (10**9 - 1) // 2 * 9


@pytest.mark.parametrize(
    ("people", "task", "disputed"),
    [(99, "none", False), (100, "small", True), (999, "small", True), (1000, "medium", False), (5000, "large", False)],
)
def test_tasks_by_people(people, task, disputed):
    suits = counted("x", {100: people, 1: 7}).suits
    assert (suits.task, suits.disputed, suits.usable, suits.full) == (task, disputed, people, people)


def test_what_is_warned_of():
    text = counted("x", {1: 3, 4: 20, 500: 1}).text()
    for said in ("3 people have one picture", "20 people have fewer than 10", "uneven: one person has 500 pictures"):
        assert said in text
    assert "contradict" in text
    assert "limits" in text
    assert "nobody has two pictures" in counted("x", {1: 10}).text()
    even = counted("x", {50: 10})
    assert even.warnings == ()
    assert json.loads(even.json())["positive"] == 12_250


def test_an_empty_set():
    found = plan("x", np.zeros(0, np.int64))
    assert (found.people, found.positive, found.negative) == (0, 0, 0)
    assert "too few" in found.text()


@pytest.mark.parametrize("config", [{"people": 0, "pictures": 1}, {"people": 3}, {"pictures": -1, "people": 2}])
def test_numbers_that_mean_nothing(config):
    with pytest.raises(ConfigError):
        PlanConfig(**config)
