import numpy as np
from galleries import people

from omokage.curate.gallery import NOBODY
from omokage.curate.weigh import learnt, weighed


def spread(seed, folders, faces, dim=16):
    """Return faces of people who differ in all directions alike, and vary most in the first two."""
    rng = np.random.default_rng(seed)
    varies_D = np.where(np.arange(dim) < 2, 3.0, 0.3)
    label_N = np.repeat(np.arange(folders), faces)
    return rng.standard_normal((folders, dim))[label_N] * 2 + rng.standard_normal(
        (len(label_N), dim)
    ) * varies_D, label_N


def within(gallery, weights_DD):
    """Return the covariance of faces about their person's mean, and its condition, after weighing."""
    x = gallery.vectors @ weights_DD
    mean = np.array([x[gallery.label_N == p].mean(axis=0) for p in range(len(gallery.names))])
    apart = x - mean[gallery.label_N]
    return np.linalg.cond(apart.T @ apart)


def test_people_vary_in_all_directions_alike_afterwards():
    gallery = people(*spread(0, 300, 20))
    assert within(gallery, np.eye(16)) > 30
    assert within(gallery, learnt(gallery).weights_DD) < 3


def test_strangers_in_the_same_light_part():
    vectors, labels = spread(1, 200, 20)
    gallery = people(vectors, labels)
    plain, weighty = gallery.vectors, weighed(gallery).vectors[:]
    same = labels[:, None] == labels
    np.fill_diagonal(same, False)
    other = labels[:, None] != labels

    def apart(x):
        near = x @ x.T
        return (near[same].mean() - near[other].mean()) / near[other].std()

    assert apart(weighty) > 1.25 * apart(plain)


def test_nothing_is_learnt_from_single_faces_or_nobody():
    vectors, labels = spread(2, 30, 1)
    assert np.array_equal(learnt(people(vectors, labels)).weights_DD, np.eye(16))
    assert np.array_equal(learnt(people(vectors, [NOBODY] * 30, names=["a"])).weights_DD, np.eye(16))
    assert np.array_equal(learnt(people(np.ones((20, 4)), np.repeat(np.arange(4), 5))).weights_DD, np.eye(4))


def test_few_faces_change_less():
    few, many = learnt(people(*spread(3, 4, 3))).weights_DD, learnt(people(*spread(3, 200, 20))).weights_DD
    assert np.linalg.cond(few) < 0.5 * np.linalg.cond(many)


def test_reading_weighed_is_multiplying_and_unit_length():
    gallery = people(*spread(4, 20, 5))
    lazy, held = learnt(gallery), weighed(gallery).vectors[:]
    want = (gallery.vectors - lazy.common_D) @ lazy.weights_DD
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    assert np.allclose(lazy[np.array([3, 1])], want[[3, 1]], atol=1e-6)
    assert np.allclose(held, want, atol=1e-6)


def test_a_folder_of_two_people_does_not_teach_that_they_are_one():
    rng = np.random.default_rng(5)
    vectors, labels = spread(5, 6, 20, dim=64)
    a, b = 3 * rng.standard_normal((2, 64))
    vectors[:20] = np.where(np.arange(20)[:, None] < 10, a, b) + 0.3 * rng.standard_normal((20, 64))
    x = weighed(people(vectors, labels)).vectors[:]
    assert (x[:10] @ x[10:20].T).mean() < 0.3
