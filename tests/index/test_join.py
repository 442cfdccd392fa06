"""The join against the slow obvious version, whatever it is cut into."""

import numpy as np
import pytest
from segments import joined, made, named, slow

from crowd import Crowd
from omokage.errors import WorkError
from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.join import Join
from omokage.index.lists import train
from omokage.index.side import Rule, Side

T = 0.5
KINDS = ("int8", "float32")


@pytest.fixture(scope="module")
def crowd():
    whole = Crowd(folders=60, faces=25, dim=128, splits=0.2, seed=3).whole()
    return whole.vectors_ND, whole.folder_N.astype(np.int32)


@pytest.fixture(scope="module")
def truth(crowd):
    return slow(*crowd, T)


def lists_of(crowd, kind, lists):
    vectors_ND, _ = crowd
    return Coder.fit(kind, vectors_ND), train(vectors_ND, lists)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_one_list_gives_every_pair_with_its_similarity(crowd, truth, kind, pieces, tmp_path):
    coder, centroids = lists_of(crowd, kind, 1)
    segment = made(tmp_path / "s", *crowd, coder, centroids)
    found = named(joined([segment], coder, crowd[1], T, pieces=pieces))
    assert found.keys() == truth.keys()
    assert all(abs(found[pair] - truth[pair]) < 1e-7 for pair in truth)
    assert len(truth) > 500


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", [Rule(2.0), Rule(0.4), Rule()])
def test_lists_give_a_subset_with_the_same_similarities_however_the_work_is_cut(crowd, truth, kind, rule, tmp_path):
    coder, centroids = lists_of(crowd, kind, 50)
    segment = made(tmp_path / "s", *crowd, coder, centroids)
    label_N = crowd[1]
    ways = [named(joined([segment], coder, label_N, T, rule=rule, pieces=n)) for n in (1, 7, 400)]
    assert ways[0] == ways[1] == ways[2]
    assert all(abs(truth[pair] - similarity) < 1e-7 for pair, similarity in ways[0].items())
    assert len(ways[0]) >= (0.99 if rule == Rule() else 0.2) * len(truth)


def test_a_pair_is_found_when_either_face_probes_the_other_and_only_then(crowd, truth, tmp_path):
    coder, centroids = lists_of(crowd, "int8", 50)
    segment = made(tmp_path / "s", *crowd, coder, centroids)
    rule = Rule(0.35)
    found = named(joined([segment], coder, crowd[1], T, rule=rule))
    probes = []
    for row in range(len(segment)):
        entries = slice(*segment.probes.start_N1[row : row + 2])
        near = segment.probes.sim_K[entries] >= rule.floor
        near[0] = True
        probes.append(set(segment.probes.list_K[entries][near].tolist()))
    home = segment.probes.home()
    met = {(i, j) for i, j in truth if home[i] in probes[j] or home[j] in probes[i]}
    assert found.keys() == met
    assert met != truth.keys()


@pytest.mark.parametrize("lists", [1, 40])
@pytest.mark.parametrize("cuts", [(500,), (200, 900), (1, 2, 700, 1499)])
def test_many_segments_are_one(crowd, lists, cuts, tmp_path):
    coder, centroids = lists_of(crowd, "int8", lists)
    whole = made(tmp_path / "whole", *crowd, coder, centroids)
    want = named(joined([whole], coder, crowd[1], T))
    parts, start = [], 0
    for number, end in enumerate((*cuts, len(crowd[1]))):
        rows = slice(start, end)
        parts.append(made(tmp_path / str(number), crowd[0][rows], crowd[1][rows], coder, centroids))
        start = end
    assert named(joined(parts, coder, crowd[1], T)) == want

    # joined as they come: each new one with itself and with what was there
    grown = []
    for number in range(len(parts)):
        grown.append(joined(parts[: number + 1], coder, crowd[1], T, old=number))
    assert named(np.concatenate(grown)) == want


def test_of_two_sets_only_pairs_across_count(crowd, tmp_path):
    coder, centroids = lists_of(crowd, "int8", 40)
    a = made(tmp_path / "a", crowd[0][:600], crowd[1][:600], coder, centroids)
    b = made(tmp_path / "b", crowd[0][600:], crowd[1][600:], coder, centroids)
    side_N = (np.arange(len(crowd[1])) >= 600).astype(np.int32)
    found = named(joined([a, b], coder, side_N, T, old=1, among_new=False))
    want = slow(crowd[0], side_N, T)
    assert found.keys() <= want.keys()
    assert len(found) > 0.99 * len(want) > 100


def test_a_row_has_its_own_vector(crowd, tmp_path):
    coder, centroids = lists_of(crowd, "int8", 30)
    segment = made(tmp_path / "s", *crowd, coder, centroids)
    rows = np.random.default_rng(0).permutation(len(segment))
    assert np.array_equal(Faces([segment])[rows], crowd[0][rows])
    assert np.array_equal(coder.encode(crowd[0])[0], segment.codes_NE)
    homes = np.concatenate([segment.home(segment.members(number).astype(np.int64)) for number in range(30)])
    assert np.array_equal(homes, np.sort(segment.probes.home()))
    assert np.array_equal(np.sort(segment.member_N), np.arange(len(segment)))


def test_many_equal_vectors_cost_memory_of_blocks_only_and_give_all_their_pairs(tmp_path):
    rng = np.random.default_rng(0)
    vectors_ND = rng.standard_normal((1000, 32)).astype(np.float32)
    vectors_ND[:900] = vectors_ND[0]
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    label_N = np.where(np.arange(1000) < 880, 0, np.arange(1000)).astype(np.int32)
    coder = Coder.fit("int8", vectors_ND)
    segment = made(tmp_path / "s", vectors_ND, label_N, coder, train(vectors_ND, 20))
    found = named(joined([segment], coder, label_N, 0.99))
    want = {(i, j) for i in range(900) for j in range(max(i + 1, 880), 900)}
    assert set(found) == want


def test_too_many_matches_stop_the_work(crowd, tmp_path):
    coder, centroids = lists_of(crowd, "int8", 1)
    segment = made(tmp_path / "s", *crowd, coder, centroids)
    faces = Faces([segment])
    sides = [Side(faces, numbers, Rule(), -0.9) for numbers in (range(1), range(0))]
    join = Join(coder, faces, *sides, crowd[1], -0.9, most=10_000)
    with pytest.raises(WorkError, match="more than 10,000 pairs"):
        [join(unit) for unit in join.units(2)]


def test_nobodys_faces_match_nobody(crowd, truth, tmp_path):
    coder, centroids = lists_of(crowd, "int8", 10)
    segment = made(tmp_path / "s", *crowd, coder, centroids)
    label_N = crowd[1].copy()
    label_N[:700] = -1
    found = named(joined([segment], coder, label_N, T))
    assert all(i >= 700 for i, _ in found)
    assert found


def test_a_high_threshold_skips_visits_and_loses_nothing(tmp_path):
    rng = np.random.default_rng(4)
    angle_N = rng.uniform(0, 2 * np.pi, 2000)
    vectors_ND = np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1).astype(np.float32)
    label_N = np.arange(2000, dtype=np.int32)
    coder = Coder.fit("int8", vectors_ND)
    segment = made(tmp_path / "s", vectors_ND, label_N, coder, train(vectors_ND, 12))
    faces = Faces([segment])
    low, high = (Side(faces, range(1), Rule(), threshold).counts()[1].sum() for threshold in (0.1, 0.9999))
    assert high < 0.5 * low
    found = named(joined([segment], coder, label_N, 0.9999))
    assert found.keys() == slow(vectors_ND, label_N, 0.9999).keys()


def test_the_codes_of_neighbours_are_not_copied_and_those_of_others_are_theirs(crowd, tmp_path):
    coder, centroids = lists_of(crowd, "int8", 1)
    segment = made(tmp_path / "s", *crowd, coder, centroids)
    every = segment.codes(segment.members(0))  # of one list: all pairs are compared, in many pieces
    assert np.shares_memory(every.numpy(), segment.codes_NE)
    assert np.array_equal(every.numpy(), segment.codes_NE)
    for rows in ([], [7], [3, 4, 5], [3, 5, 6], [0, len(segment) - 1]):
        some = np.array(rows, np.int32)
        assert np.array_equal(segment.codes(some).numpy(), segment.codes_NE[some])
