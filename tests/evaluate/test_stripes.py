"""How far work on pairs is, as whoever watches is told."""

import numpy as np
import pytest

from omokage.evaluate import extremes, pairs, search, sweep, verification
from omokage.evaluate.stripes import pairs_told, watched

FACES = 3000


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    vector_NE = rng.standard_normal((FACES, 16)).astype(np.float32)
    return vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True), np.arange(FACES) // 3


def works(vector_NE, label_N):
    sorted_ = pairs.by_person(vector_NE, label_N)
    levels = sweep.Levels([0.5])
    return {
        "count": lambda: pairs.count(sorted_, np.zeros(pairs.BINS, bool)),
        "sweep": lambda: sweep.sweep(vector_NE, label_N, [sweep.ByPerson(label_N, levels)]),
        "extremes": lambda: extremes.extremes(vector_NE, label_N, 5),
    }


@pytest.mark.parametrize("name", ["count", "sweep", "extremes"])
def test_every_pair_is_told_once_and_in_many_steps(name, faces):
    told = []
    with watched(told.append):
        works(*faces)[name]()
    assert sum(told) == FACES * (FACES - 1) // 2
    assert max(told) < 0.4 * sum(told) and min(told) > 0
    works(*faces)[name]()
    assert sum(told) == FACES * (FACES - 1) // 2, "nobody watches any more"


def test_searches_are_told(faces):
    vector_NE, label_N = faces
    told = []
    with watched(told.append):
        search.search(search.Gallery(vector_NE[::3], label_N[::3]), vector_NE[1::3], label_N[1::3])
    assert sum(told) == (FACES // 3) ** 2 and len(told) == 4


def test_the_bar_rises_to_the_end_and_no_further(faces):
    seen = []
    every = FACES * (FACES - 1) // 2
    with pairs_told(lambda *told: seen.append(told), every, "pairs, counted", 10, 2 * every):
        verification.verification(*faces)
        verification.verification(*faces)  # more than was thought
    done = [done for done, _, _ in seen]
    assert done == sorted(done) and (done[0], done[-1]) == (10, 10 + every) and len(set(done)) > 3
    assert {(of, what) for _, of, what in seen} == {(2 * every, "pairs, counted")}


def test_whoever_watches_inside_is_told_alone():
    outer, inner = [], []
    vector_NE = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]
    with watched(outer.append):
        with watched(inner.append), pytest.raises(ZeroDivisionError):
            extremes.extremes(vector_NE, np.array([0, 0, 1, 1]), 1)
            raise ZeroDivisionError
        extremes.extremes(vector_NE, np.array([0, 0, 1, 1]), 1)
    assert outer == inner == [6]
