import numpy as np
import pyarrow as pa
import pytest

from omokage.curate.gallery import Gallery
from omokage.curate.lof import local_factors


def unit(rng, count, dim=24):
    x = rng.standard_normal((count, dim)) + 2 * rng.standard_normal(dim)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def factors(x_SD, neighbours):
    """The local outlier factor, written down as in the paper."""
    away_SS = np.linalg.norm(x_SD[:, None] - x_SD[None], axis=2)
    np.fill_diagonal(away_SS, np.inf)
    near_SK = np.argsort(away_SS, axis=1)[:, :neighbours]
    away_SK = np.take_along_axis(away_SS, near_SK, axis=1)
    density_S = 1 / np.maximum(away_SK, away_SK[:, -1][near_SK]).mean(axis=1)
    return density_S[near_SK].mean(axis=1) / density_S


def test_only_people_of_the_candidates_with_enough_faces_are_looked_at():
    rng = np.random.default_rng(3)
    label_N = np.repeat([0, 1, 2], [5, 9, 12]).astype(np.int32)
    ids = pa.array([f"{i:03d}" for i in range(26)])
    x = np.concatenate([unit(rng, 5), unit(rng, 9), unit(rng, 12)])
    found = local_factors(
        Gallery(pa.table({"face_id": ids}), x, label_N, ["a", "b", "c"], list), np.array([0, 20, 6]), 4
    )
    assert found.to_pylist()[0] is None
    assert found.to_pylist()[1:] == pytest.approx([factors(x[14:], 4)[6], factors(x[5:14], 4)[1]], rel=1e-4)


@pytest.mark.filterwarnings("error")
def test_among_many_equal_faces_it_says_nothing_instead_of_nonsense():
    rng = np.random.default_rng(4)
    x = np.concatenate([np.repeat(unit(rng, 1), 18, 0), unit(rng, 2), unit(rng, 20)])
    label_N = np.repeat([0, 1], 20).astype(np.int32)
    ids = pa.array([f"{i:03d}" for i in range(40)])
    found = local_factors(
        Gallery(pa.table({"face_id": ids}), x, label_N, ["a", "b"], list), np.array([19, 30]), 4
    ).to_pylist()
    assert found[0] is None
    assert found[1] == pytest.approx(factors(x[20:], 4)[10], rel=1e-4)
