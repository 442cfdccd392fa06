import numpy as np
import pytest

from omokage.vision import shrink


def test_halves_are_means_of_four():
    picture = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    half = shrink.halve_above(picture, 12)
    assert half.shape == (4, 6, 3)
    for y in range(4):
        for x in range(6):
            mean = picture[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(float).mean(axis=(0, 1))
            assert np.abs(half[y, x] - mean).max() <= 1


@pytest.mark.parametrize("shape", [(640, 640), (1, 1), (641, 3), (2000, 3000), (20_000, 20), (1, 5_000)])
def test_fit_keeps_small_pictures_and_the_proportions_of_large_ones(shape):
    picture = np.zeros((*shape, 3), np.uint8)
    small = shrink.fit(picture, 640)
    if max(shape) <= 640:
        assert small is picture
        return
    assert max(small.shape[:2]) == 640
    expected = np.array(shape) * 640 / max(shape)
    np.testing.assert_allclose(small.shape[:2], expected.clip(1), atol=1)


def test_a_square_of_another_size():
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert shrink.square(picture, 96) is picture
    third = shrink.square(picture, 32)
    mean = picture.reshape(32, 3, 32, 3, 3).astype(float).mean(axis=(1, 3))
    assert third.shape == (32, 32, 3) and np.abs(third - mean).max() <= 0.51
    large = shrink.square(picture, 192)
    assert large.shape == (192, 192, 3)
    inner = (3 * picture[0, 0].astype(float) + picture[0, 1]) / 4  # a quarter of the way to the next pixel's centre
    assert np.abs(large[0, 1] - inner).max() <= 1
    assert shrink.square(picture[:60], 32).shape == (32, 32, 3)


@pytest.mark.parametrize(("given", "side"), [(224, 192), (256, 224), (256, 192), (192, 128), (48, 40), (7, 6), (3, 2)])
def test_a_little_smaller_is_the_mean_of_what_each_pixel_covers(given, side):
    picture = np.random.default_rng(1).integers(0, 256, (given, given, 3), dtype=np.uint8)
    cover = np.zeros((side, given))  # the share of each old pixel in a new one
    for new in range(side):
        for old in range(given):
            cover[new, old] = max(0, min((new + 1) * given / side, old + 1) - max(new * given / side, old))
    cover *= side / given
    mean = np.einsum("yh,hwc,xw->yxc", cover, picture.astype(float), cover)
    assert np.abs(shrink.square(picture, side) - mean).max() <= 0.5 + 1e-4
