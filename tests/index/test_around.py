"""Lists around people against comparing every face with every list."""

import numpy as np
import pytest
from segments import joined, named, slow

from crowd import Crowd
from omokage.index.around import Around, People
from omokage.index.build import Builder, beside
from omokage.index.coder import Coder
from omokage.index.lists import Assigner, floor_of, train
from omokage.index.segment import Segment

T = 0.55


@pytest.fixture(scope="module")
def crowd():
    whole = Crowd(folders=300, faces=12, dim=128, splits=0.1, strangers=0.05, seed=5).whole()
    return whole.vectors_ND, whole.folder_N.astype(np.int32)


def people_of(vectors_ND, label_N, size=500, order=None, kind="int8"):
    coder = Coder.fit(kind, vectors_ND)
    codes_NE = coder.encode(vectors_ND)[0]
    people = People(int(label_N.max()) + 1, coder)
    rows = np.arange(len(label_N)) if order is None else order
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        people.add(codes_NE[some], label_N[some])
    people.done()
    people.look(codes_NE, label_N)
    return people


def own_of(people, vectors_ND, label_N):
    return people.own(people.coder.encode(vectors_ND)[0], label_N)


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_means_are_those_of_the_slow_way_and_do_not_depend_on_blocks_or_order(crowd, kind):
    vectors_ND, label_N = crowd
    people = people_of(vectors_ND, label_N, kind=kind)
    order = np.random.default_rng(0).permutation(len(label_N))
    assert np.array_equal(people.sum_PE, people_of(vectors_ND, label_N, size=77, order=order, kind=kind).sum_PE)
    mean_PD = people.centroids()
    for label in range(300):
        mean_D = vectors_ND[label_N == label].astype(np.float64).mean(0)
        assert mean_PD[label] @ (mean_D / np.linalg.norm(mean_D)) > 0.9999


def test_how_typical_a_face_is_is_its_similarity_to_the_mean_of_the_others(crowd):
    vectors_ND, label_N = crowd
    people = people_of(vectors_ND, label_N)
    rest_N = people.rest(own_of(people, vectors_ND, label_N), label_N)
    for row in range(0, len(label_N), 97):
        others = (label_N == label_N[row]) & (np.arange(len(label_N)) != row)
        mean_D = vectors_ND[others].mean(0)
        assert abs(rest_N[row] - vectors_ND[row] @ mean_D / np.linalg.norm(mean_D)) < 5e-3
    assert np.isclose((rest_N < people.typical).mean(), 0.2, atol=0.01)


def test_nobodys_faces_and_those_of_small_folders_are_strays(crowd):
    vectors_ND, label_N = crowd
    label_N = label_N.copy()
    label_N[:3] = -1
    label_N[3:5] = 300  # a person with two faces
    people = people_of(vectors_ND, label_N)
    assert people.count_P.sum() == len(label_N) - 3
    assert people.strays(own_of(people, vectors_ND[:5], label_N[:5]), label_N[:5]).all()


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_faces_that_see_only_lists_near_their_persons_probe_those_that_all_lists_would_give(crowd, kind):
    vectors_ND, label_N = crowd
    people = people_of(vectors_ND, label_N, kind=kind)
    centroids = np.concatenate([people.centroids(), train(vectors_ND[label_N % 3 == 0], 150)])
    coder = Coder.fit(kind, vectors_ND)
    codes_NE, _ = coder.encode(vectors_ND)
    floor = floor_of(codes_NE, coder.encode(centroids)[0])
    around = Around(coder, centroids, people, floor)
    seen = len(around.near.list_K) / 300
    assert seen < len(centroids) / 3  # or there would be nothing to lose
    near, every = (
        around(vectors_ND, codes_NE, label_N),
        Assigner(coder, centroids, floor)(vectors_ND, codes_NE, label_N),
    )
    assert (near.home() == every.home()).mean() > 0.99
    assert 12 < len(every.list_K) / len(vectors_ND) < 48
    pairs, all_pairs = (
        set(zip(np.repeat(np.arange(len(vectors_ND)), np.diff(p.start_N1)).tolist(), p.list_K.tolist(), strict=True))
        for p in (near, every)
    )
    assert pairs <= all_pairs
    assert len(pairs) > 0.9 * len(all_pairs)


def test_the_join_finds_people_in_two_folders_and_strangers(crowd, tmp_path):
    vectors_ND, label_N = crowd
    people = people_of(vectors_ND, label_N)
    coder = Coder.fit("int8", vectors_ND)
    strays = people.strays(own_of(people, vectors_ND, label_N), label_N)
    centroids = np.concatenate([people.centroids(), train(vectors_ND[strays], 150)])
    (tmp_path / "made").mkdir()
    floor = floor_of(coder.encode(vectors_ND)[0], coder.encode(centroids)[0])
    builder = Builder(tmp_path / "made", coder, label_N)
    builder.encode(vectors_ND[start : start + 500] for start in range(0, len(vectors_ND), 500))
    builder.lists(Around(coder, centroids, people, floor), len(centroids))
    builder.save("shards", np.array([0, len(label_N)]))
    builder.finish(tmp_path / "segment")
    found = named(joined([Segment.open(tmp_path / "segment")], coder, label_N, T))
    truth = slow(vectors_ND, label_N, T)
    assert found.keys() <= truth.keys()
    assert len(found) >= 0.99 * len(truth)
    assert len(truth) > 1000


def test_values_stand_beside_the_blocks_that_they_belong_to():
    blocks = [np.zeros((size, 2), np.float32) for size in (3, 0, 4)]
    assert [values.tolist() for _, values in beside(blocks, np.arange(7))] == [[0, 1, 2], [], [3, 4, 5, 6]]
