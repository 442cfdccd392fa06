import numpy as np
import pyarrow as pa
import pytest
from sklearn.neighbors import LocalOutlierFactor

from omokage.curate.gallery import Gallery
from omokage.curate.lof import factors, local_factors


def unit(rng, count, dim=24):
    x = rng.standard_normal((count, dim)) + 2 * rng.standard_normal(dim)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("count", "neighbours"), [(6, 3), (7, 2), (40, 20), (300, 20)])
def test_is_scikit_learns(count, neighbours):
    x = unit(np.random.default_rng(count), count)
    model = LocalOutlierFactor(n_neighbors=neighbours, algorithm="brute").fit(x.astype(float))
    assert np.allclose(factors(x, neighbours), -model.negative_outlier_factor_, rtol=1e-4)


def test_faces_that_are_all_the_same_are_no_outliers():
    assert np.allclose(factors(np.repeat(unit(np.random.default_rng(0), 1), 9, axis=0), 4), 1)


def test_only_people_of_the_candidates_with_enough_faces_are_looked_at():
    rng = np.random.default_rng(3)
    label_N = np.repeat([0, 1, 2], [5, 9, 12]).astype(np.int32)
    ids = pa.array([f"{i:03d}" for i in range(26)])
    x = np.concatenate([unit(rng, 5), unit(rng, 9), unit(rng, 12)])
    found = local_factors(
        Gallery(pa.table({"face_id": ids}), x, label_N, ["a", "b", "c"], list), np.array([0, 20, 6]), 4
    )
    assert found.to_pylist()[0] is None
    assert found.to_pylist()[1:] == pytest.approx([factors(x[14:], 4)[6], factors(x[5:14], 4)[1]], rel=1e-5)
