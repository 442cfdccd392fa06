"""Light, blur and cover, each against a slow version."""

import colorsys

import numpy as np
import pytest
import torch
from scipy import ndimage

from omokage.augment import blur, colour, occlusion


def pictures(count, height=13, width=17):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def jittered(given, *changes):
    return colour.product(given, *colour.mixed(*changes))


def grey(red, green, blue):
    return 0.299 * red + 0.587 * green + 0.114 * blue


def lit(picture, brightness, contrast, saturation):
    """Return a picture, (3, H, W), in other light: one pixel at a time, one change after the other."""
    mean = np.mean([grey(*picture[:, y, x]) for y in range(picture.shape[1]) for x in range(picture.shape[2])])
    out = np.zeros_like(picture)
    for y in range(picture.shape[1]):
        for x in range(picture.shape[2]):
            own = grey(*picture[:, y, x])
            for channel in range(3):
                value = own + (picture[channel, y, x] - own) * saturation
                value = mean + (value - mean) * contrast
                out[channel, y, x] = min(max(value * brightness, 0), 1)
    return out


def test_light():
    given = pictures(4)
    changes = [(1.2, 1.0, 1.0), (1.0, 0.6, 1.0), (1.0, 1.0, 1.5), (0.7, 1.3, 0.0)]
    found = jittered(given, *numbers(*changes).T, numbers(0, 0, 0, 0))
    for seen, picture, change in zip(found.numpy(), given.double().numpy(), changes, strict=True):
        assert seen == pytest.approx(lit(picture, *change), abs=1e-5)


def test_light_that_changes_nothing():
    given = pictures(2)
    one = numbers(1, 1)
    assert torch.allclose(jittered(given, one, one, one, one * 0), given, atol=1e-6)


def test_hue_turns_and_brightness_stays():
    given = torch.tensor([0.6, 0.4, 0.3])[None, :, None, None]
    for turns in (0.05, -0.05, 0.3):
        one = numbers(1)
        seen = jittered(given, one, one, one, numbers(turns)).flatten().tolist()
        assert grey(*seen) == pytest.approx(grey(0.6, 0.4, 0.3), abs=1e-5)
        turned = (colorsys.rgb_to_hsv(*seen)[0] - colorsys.rgb_to_hsv(0.6, 0.4, 0.3)[0] + 0.5) % 1 - 0.5
        assert abs(turned) == pytest.approx(abs(turns), abs=0.07)
    back = jittered(
        jittered(given, numbers(1), numbers(1), numbers(1), numbers(0.1)),
        *numbers(1, 1, 1)[:, None],
        numbers(-0.1),
    )
    assert torch.allclose(back, given, atol=1e-5)


def test_blur():
    given = pictures(3, 40, 31)
    found = blur.product(given, numbers(0.5, 1.3, 2.5))
    for seen, picture, sigma in zip(found.numpy(), given.double().numpy(), (0.5, 1.3, 2.5), strict=True):
        want = ndimage.gaussian_filter(picture, (0, sigma, sigma), truncate=8, mode="nearest")
        edge = int(4 * sigma) + 1
        assert seen[:, edge:-edge, edge:-edge] == pytest.approx(want[:, edge:-edge, edge:-edge], abs=2e-3)
    assert torch.allclose(blur.product(torch.full((1, 3, 9, 5), 0.4), numbers(3.0)), torch.tensor(0.4))


def test_cover():
    given = pictures(2, 20, 30)
    box, paint = numbers((0.11, 0.23, 0.48, 0.96), (-1.0, 0.5, 0.3, 4.0)), numbers((0.1, 0.2, 0.3), (1, 0, 0.5))
    found = occlusion.covered(given, box, paint)
    for picture in range(2):
        left, top, right, bottom = box[picture].tolist()
        for y in range(20):
            for x in range(30):
                inside = left <= (x + 0.5) / 30 < right and top <= (y + 0.5) / 20 < bottom
                want = paint[picture].float() if inside else given[picture, :, y, x]
                assert torch.equal(found[picture, :, y, x], want)


def test_rectangles_lie_within_the_picture_and_are_as_large_as_asked():
    draw = torch.rand(4, 500, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    area, aspect = 0.02 + 0.18 * draw[0], 3 ** (2 * draw[1] - 1)
    left, top, right, bottom = occlusion.boxes(area, aspect, draw[2], draw[3]).T
    assert min(left.min(), top.min()) >= 0 and max(right.max(), bottom.max()) <= 1 + 1e-12
    assert torch.allclose((right - left) * (bottom - top), area)
    assert torch.allclose((right - left) / (bottom - top), aspect)
