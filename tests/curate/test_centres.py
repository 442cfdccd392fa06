import numpy as np
import pytest
from galleries import people

from omokage.curate.centres import centres, to_strangers
from omokage.curate.gallery import NOBODY


def uneven(seed, dim=32, folders=40):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, folders)
    labels = np.repeat(np.arange(folders), sizes)
    centre = rng.standard_normal((folders, dim))
    vectors = centre[labels] + 0.6 * rng.standard_normal((len(labels), dim))
    strange = rng.random(len(labels)) < 0.05
    vectors[strange] = rng.standard_normal((strange.sum(), dim))
    labels[rng.random(len(labels)) < 0.02] = NOBODY
    return vectors, labels


def slow(vectors, labels, level_of):
    """Return robust centres and own similarities, one face after the other."""
    robust, own = {}, np.full(len(labels), np.nan)

    def to_others(x, rows, kept, row):
        rest = [r for r in rows if kept[r] and r != row]
        total = x[rest].sum(axis=0)
        return float(x[row] @ total / np.linalg.norm(total))

    halves = {}
    for label in sorted(set(labels) - {NOBODY}):
        rows = np.flatnonzero(labels == label).tolist()
        kept = dict.fromkeys(rows, True)
        if len(rows) > 2:
            for _ in range(3):
                near = {r: to_others(vectors, rows, kept, r) for r in rows}
                best = sorted(rows, key=lambda r: (-near[r], r))[: max(2, (len(rows) + 1) // 2)]
                kept = {r: r in best for r in rows}
        total = vectors[[r for r in rows if kept[r]]].sum(axis=0)
        halves[label] = total / np.linalg.norm(total)
    level = level_of(halves)
    for label, half in halves.items():
        rows = np.flatnonzero(labels == label).tolist()
        near = vectors[rows] @ half
        cut = min(np.median(near), (np.median(near) + level) / 2)
        kept = {r: n >= cut for r, n in zip(rows, near, strict=True)}
        total = vectors[[r for r in rows if kept[r]]].sum(axis=0)
        robust[label] = total / np.linalg.norm(total)
        if len(rows) > 1:
            for r in rows:
                own[r] = to_others(vectors, rows, kept, r)
    return robust, own


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_slow_version(seed):
    vectors, labels = uneven(seed)
    gallery = people(vectors, labels)
    found = centres(gallery)

    def level_of(halves):
        half_PD = np.zeros((len(gallery.names), vectors.shape[1]), np.float32)
        for label, half in halves.items():
            half_PD[label] = half
        return float(np.median(to_strangers(gallery, half_PD)))

    robust, own = slow(gallery.vectors.astype(float), labels, level_of)
    for label, want in robust.items():
        assert np.allclose(found.robust_PD[label], want, atol=1e-5)
        mine = gallery.vectors[labels == label]
        assert np.allclose(found.mean_PD[label], mine.mean(axis=0), atol=1e-6)
        if len(mine) > 1:
            pairs = (mine @ mine.T)[np.triu_indices(len(mine), 1)]
            assert found.within_P[label] == pytest.approx(pairs.mean(), abs=1e-5)
        else:
            assert np.isnan(found.within_P[label])
    assert np.allclose(found.own_N, own, atol=1e-5, equal_nan=True)
    assert np.isnan(found.own_N[labels == NOBODY]).all()


def test_the_order_of_rows_does_not_matter():
    vectors, labels = uneven(9)
    first = centres(people(vectors, labels))
    shuffled = np.random.default_rng(0).permutation(len(labels))
    second = centres(people(vectors[shuffled], labels[shuffled], ids=shuffled))
    assert np.array_equal(first.robust_PD, second.robust_PD)
    assert np.array_equal(first.own_N[shuffled], second.own_N, equal_nan=True)


def test_a_centre_leaves_strangers_out_and_the_smaller_part_of_a_mixed_folder():
    rng = np.random.default_rng(1)
    a, b = np.eye(2, 64) * 8
    mixed = np.concatenate([np.tile(a, (12, 1)), np.tile(b, (8, 1))]) + rng.standard_normal((20, 64)) * 0.6
    others = np.repeat(np.eye(10, 64)[2:] * 8, 5, axis=0) + rng.standard_normal((40, 64)) * 0.6
    found = centres(people(np.concatenate([mixed, others]), [0] * 20 + np.repeat(np.arange(1, 9), 5).tolist()))
    assert found.robust_PD[0] @ (a / 8) > 0.95
    assert not found.kept_N[12:20].any()
    assert found.kept_N[:12].all()
    assert found.own_N[12:20].max() < 0.4 < found.own_N[:12].min()


def test_names_without_faces_are_zero():
    found = centres(people(np.eye(3), [0, 2, NOBODY], names=["a", "b", "c"]))
    assert not found.robust_PD[1].any()
    assert np.isnan(found.within_P).all()
    assert np.isnan(found.own_N).all()
