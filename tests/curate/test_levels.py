import numpy as np
import pytest
from galleries import people

from omokage.curate.centres import centres
from omokage.curate.levels import Levels, levels, others, share_of_strangers

LEVEL = Levels(0.65, 0.05, 0.0, 0.09)


def crowd(sizes, genuine, seed=0, dim=128):
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(len(sizes)), sizes)
    person_PD = rng.standard_normal((len(sizes), dim))
    return person_PD[label_N] + np.sqrt(1 / genuine - 1) * rng.standard_normal((len(label_N), dim)), label_N


@pytest.mark.parametrize("genuine", [0.4, 0.65, 0.85])
@pytest.mark.parametrize("size", [2, 3, 10, 60])
def test_the_levels_of_one_size_hold_for_another(genuine, size):
    """What is learnt from folders of all sizes foretells the similarities in folders of one size."""
    vectors, label_N = crowd([2] * 80 + [3] * 60 + [10] * 40 + [60] * 10, genuine)
    gallery = people(vectors, label_N)
    known = centres(gallery)
    level = levels(gallery, known)
    assert level.pair == pytest.approx(genuine, abs=0.03)
    assert level.strangers == pytest.approx(0, abs=0.02)
    assert level.stray == pytest.approx(128**-0.5, rel=0.15)
    mine = (gallery.sizes[label_N] == size) & ~np.isnan(known.own_N)
    middle, deviation = level.own(others(gallery, known)[mine])
    assert np.median(known.own_N[mine] - middle) == pytest.approx(0, abs=0.03)
    assert 0.4 < np.std(known.own_N[mine]) / np.median(deviation) < 1.6


def test_strangers_and_split_people_do_not_move_the_levels():
    vectors, label_N = crowd([20] * 100, 0.65)
    rng = np.random.default_rng(1)
    clean = levels(people(vectors, label_N), centres(people(vectors, label_N)))
    strange = rng.random(len(label_N)) < 0.1
    vectors[strange] = rng.standard_normal((strange.sum(), 128)) * 1.3
    vectors[:20] = vectors[20:40][rng.permutation(20)] + 0.05 * rng.standard_normal((20, 128))
    gallery = people(vectors, label_N)
    dirty = levels(gallery, centres(gallery))
    assert dirty.pair == pytest.approx(clean.pair, abs=0.02)
    assert dirty.stray == pytest.approx(clean.stray, rel=0.1)
    assert dirty.spread == pytest.approx(clean.spread, abs=0.03)


def test_evidence_falls_as_the_similarity_rises_and_needs_more_of_few():
    near = np.linspace(-1, 1, 401, dtype=np.float32)
    for others_N in (1, 3, 200):
        evidence = LEVEL.evidence(near, np.full(401, others_N))
        assert (np.diff(evidence) <= 1e-9).all()
        assert evidence[0] > 3
        assert evidence[-1] < -3
    doubtful = np.float32([0.45])
    assert LEVEL.evidence(doubtful, np.array([1])) < LEVEL.evidence(doubtful, np.array([50]))


def test_two_folders_of_one_person_are_not_taken_for_strangers():
    vectors, _ = crowd([20], 0.65)
    gallery = people(vectors, [0] * 10 + [1] * 10)
    level = levels(gallery, centres(gallery))
    assert level.strangers < 0.2
    assert level.pair == pytest.approx(0.65, abs=0.05)


def test_share_of_strangers():
    rng = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.1):
        strange = rng.random(20_000) < share
        evidence = np.where(strange, rng.normal(8, 2, 20_000), rng.normal(-8, 2, 20_000))
        assert share_of_strangers(evidence) == pytest.approx(max(share, 0.002), rel=0.15)
    assert share_of_strangers(np.array([])) == 0.02


def test_centres_of_one_person_are_not_apart_and_those_of_strangers_are():
    made_of = np.array([1, 10, 100])
    same = np.float32(made_of * 0.65 / (1 + (made_of - 1) * 0.65))
    assert not LEVEL.apart(same, made_of, made_of).any()
    assert LEVEL.apart(np.zeros(3, np.float32), made_of, made_of).all()
