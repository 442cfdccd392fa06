"""Tests of searching for the most similar faces exactly."""

import numpy as np
import pytest
from segments import made

from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.lists import train
from omokage.index.top import nearest


@pytest.fixture(scope="module")
def crowd():
    rng = np.random.default_rng(5)
    vectors_ND = rng.standard_normal((900, 48)).astype(np.float32)
    vectors_ND[100:140] = vectors_ND[100]
    return vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)


def segments(place, vectors_ND, cuts):
    coder, centroids = Coder.fit("int8", vectors_ND), train(vectors_ND, 8)
    parts = np.split(vectors_ND, cuts)
    return coder, [
        made(place / str(number), part, np.zeros(len(part), np.int32), coder, centroids)
        for number, part in enumerate(parts)
    ]


@pytest.mark.parametrize("cuts", [(), (300, 310)])
def test_the_nearest_are_those_that_all_similarities_tell(crowd, cuts, tmp_path):
    coder, parts = segments(tmp_path, crowd, cuts)
    live_N = np.arange(len(crowd)) % 7 != 0
    for row in (1, 100, 899):
        rows, near = nearest(Faces(parts), coder, crowd[row], 25, live_N, lambda rows: rows)
        alike_N = np.where(live_N, crowd.astype(np.float64) @ crowd[row].astype(np.float64), -2)
        want = np.lexsort((np.arange(len(crowd)), -alike_N.astype(np.float32)))[:25]
        assert np.array_equal(rows, want)
        assert np.allclose(near, alike_N[want], atol=1e-7)


def test_of_equal_ones_their_places_decide_and_not_how_they_are_stored(crowd, tmp_path):
    coder, parts = segments(tmp_path / "whole", crowd, ())
    order = np.random.default_rng(0).permutation(len(crowd))
    mixed_coder, mixed = segments(tmp_path / "mixed", crowd[order], (450,))
    place_N = np.random.default_rng(1).permutation(len(crowd))
    live_N = np.ones(len(crowd), bool)
    one, _ = nearest(Faces(parts), coder, crowd[100], 10, live_N, lambda rows: place_N[rows])
    other, _ = nearest(Faces(mixed), mixed_coder, crowd[100], 10, live_N, lambda rows: place_N[order[rows]])
    assert np.array_equal(one, order[other])
    assert set(one.tolist()) < set(range(100, 140))
    assert np.array_equal(one, 100 + np.argsort(place_N[100:140])[:10])
