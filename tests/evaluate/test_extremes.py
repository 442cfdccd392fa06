"""The most and the least similar pairs, against all pairs in a list."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import extremes as module
from omokage.evaluate.extremes import Alike, extremes

Pairs = list[tuple[int, int]]


def slow(vector_NE: NDArray[np.float32], label_N: NDArray[np.int64], count: int, same: bool) -> Pairs:
    """Return the first pairs of each two people, equally similar ones by label and then by row."""
    by_label = np.argsort(label_N, kind="stable").tolist()
    best: dict[tuple[int, int], tuple[int, int, int, int, int]] = {}
    for place, other in combinations(range(len(label_N)), 2):
        a, b = by_label[place], by_label[other]
        people = int(label_N[a]), int(label_N[b])
        if (people[0] == people[1]) == same:
            cell = round(float(vector_NE[a].astype(float) @ vector_NE[b].astype(float)) * (1 << 22))
            found = (cell if same else -cell, *people, place, other)
            best[people] = min(found, best.get(people, found))
    return [(by_label[place], by_label[other]) for *_, place, other in sorted(best.values())[:count]]


def rows(pairs: tuple[Alike, ...]) -> Pairs:
    return [(pair.a, pair.b) for pair in pairs]


@pytest.mark.parametrize("count", [1, 7, 1000])
@pytest.mark.parametrize("blocks", [(512, 2048), (16, 24), (7, 5)])
@pytest.mark.parametrize("ties", [False, True])
def test_the_extremes_of_all_pairs(count: int, blocks: tuple[int, int], ties: bool, monkeypatch) -> None:
    monkeypatch.setattr(module, "ROWS", blocks[0])
    monkeypatch.setattr(module, "COLUMNS", blocks[1])
    rng = np.random.default_rng(3)
    label_N = rng.integers(0, 23, 120) * 5 - 40  # people's faces lie apart, some have one, and labels are any numbers
    vector_NE = rng.standard_normal((120, 16))
    if ties:  # sixteen numbers of a quarter: all products are exact, and most of them equal
        vector_NE = np.sign(vector_NE)
    vector_NE = (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32)
    for threads in (1, 4):
        found = extremes(vector_NE, label_N, count, threads)
        assert rows(found.impostor) == slow(vector_NE, label_N, count, same=False)
        assert rows(found.genuine) == slow(vector_NE, label_N, count, same=True)
        for pair in (*found.impostor, *found.genuine):
            assert pair.similarity == pytest.approx(float(vector_NE[pair.a] @ vector_NE[pair.b]), abs=1e-6)


def test_one_wrong_name_takes_one_place() -> None:
    rng = np.random.default_rng(0)
    label_N = np.repeat(np.arange(30), 6)
    vector_NE = rng.standard_normal((30, 32))[label_N] + 0.3 * rng.standard_normal((180, 32))
    vector_NE[12] = vector_NE[60] + 0.01 * rng.standard_normal(32)  # a face of person 10 in the folder of person 2
    vector_NE = (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32)
    found = extremes(vector_NE, label_N, 5)
    assert rows(found.impostor)[0] == (12, 60) and 12 in rows(found.genuine)[0]
    for pairs in (found.impostor, found.genuine):
        people = [(label_N[pair.a], label_N[pair.b]) for pair in pairs]
        assert len(set(people)) == 5


def test_all_the_same_vector() -> None:
    """Every pair ties with every other: the first by label are told, and there is an end."""
    label_N = np.repeat(np.arange(40), 50)
    vector_NE = np.zeros((2000, 8), np.float32)
    vector_NE[:, 0] = 1
    found = extremes(vector_NE, label_N, 3)
    assert rows(found.impostor) == [(0, 50), (0, 100), (0, 150)]
    assert rows(found.genuine) == [(0, 1), (50, 51), (100, 101)]


def test_what_has_no_pairs() -> None:
    vector_NE = np.eye(4, dtype=np.float32)
    with pytest.raises(ConfigError, match="number of pairs"):
        extremes(vector_NE, np.array([0, 0, 1, 1]), 0)
    with pytest.raises(DatasetError, match="different people"):
        extremes(vector_NE, np.zeros(4, int), 3)
