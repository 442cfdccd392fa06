"""The rasteriser against one that asks every triangle at every pixel."""

import numpy as np
import pytest

from omokage.synth import render


def slow_cover(xy, depth, triangles, shape):
    """Nearest triangle (or -1) and its weights at every pixel, in double precision, one pixel at a time."""
    winner = np.full(shape, -1)
    weights = np.zeros((*shape, 3))
    for row in range(shape[0]):
        for column in range(shape[1]):
            best = np.inf
            for number, corners in enumerate(triangles):
                a, b, c = xy[corners].astype(float)
                area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
                if area >= 0:
                    continue
                p = np.array([column, row], float)
                one = ((p - a)[0] * (c - a)[1] - (p - a)[1] * (c - a)[0]) / area
                two = ((b - a)[0] * (p - a)[1] - (b - a)[1] * (p - a)[0]) / area
                share = np.array([1 - one - two, one, two])
                far = share @ depth[corners]
                if (share >= 0).all() and far < best:
                    best, winner[row, column], weights[row, column] = far, number, share
    return winner, weights


@pytest.mark.parametrize("seed", range(4))
def test_cover_is_the_slow_one(seed):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-8, 32, (40, 2)).astype(np.float32)  # some corners lie outside
    depth = rng.uniform(1, 5, 40).astype(np.float32)
    triangles = rng.integers(0, 40, (30, 3)).astype(np.int32)
    shape = (22, 26)
    winner, weights = slow_cover(xy, depth, triangles, shape)
    fast = render.cover(xy, depth, triangles, shape)
    number = np.full(shape[0] * shape[1], -1)
    number[fast.pixels] = fast.triangles
    assert (number.reshape(shape) == winner).mean() > 0.995  # a pixel on an edge may go either way
    share = np.zeros((shape[0] * shape[1], 3))
    share[fast.pixels] = fast.weights
    same = number.reshape(shape) == winner
    assert np.abs(share.reshape(*shape, 3) - weights)[same].max() < 1e-3


def test_neighbours_leave_no_crack():
    rng = np.random.default_rng(0)
    side = 12
    row, column = np.mgrid[:side, :side].astype(np.float32)
    xy = np.stack([column, row], -1).reshape(-1, 2) * 5 + rng.uniform(-1, 1, (side * side, 2)).astype(np.float32)
    first = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    quad = np.stack([first, first + side, first + side + 1, first + 1], 1).astype(np.int32)
    triangles = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
    cover = render.cover(xy, np.ones(len(xy), np.float32), triangles, (60, 60))
    seen = np.zeros(3600, bool)
    seen[cover.pixels] = True
    assert seen.reshape(60, 60)[3:52, 3:52].all()


def test_interpolate_is_linear():
    xy = np.array([[0, 0], [0, 20], [20, 0]], np.float32)
    cover = render.cover(xy, np.ones(3, np.float32), np.array([[0, 1, 2]], np.int32), (21, 21))
    back = cover.interpolate(np.array([[0, 1, 2]], np.int32), xy)
    assert np.allclose(back[:, 0], cover.pixels % 21, atol=1e-4)
    assert np.allclose(back[:, 1], cover.pixels // 21, atol=1e-4)


def test_nothing_to_see():
    xy = np.array([[0, 0], [5, 0], [0, 5]], np.float32)
    for triangles in (np.array([[0, 1, 2]], np.int32), np.zeros((0, 3), np.int32)):  # a back, and none at all
        assert len(render.cover(xy, np.ones(3, np.float32), triangles, (8, 8)).pixels) == 0
