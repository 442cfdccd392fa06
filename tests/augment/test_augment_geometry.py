"""Turning, zooming, shifting and mirroring, against OpenCV and against what a hand would do."""

import math

import cv2
import numpy as np
import pytest
import torch

from omokage.augment.geometry import Geometry, drawn
from omokage.augment.lens import Lens


def place(count=1, mirrored=False, turn=0.0, zoom=1.0, shift=(0.0, 0.0), coefficient=0.0):
    one = torch.ones(count, dtype=torch.float64)
    seen = Lens(one * coefficient, torch.zeros(count, 2, dtype=torch.float64), one)
    return Geometry(
        one * mirrored > 0, one * turn, one * zoom, torch.tensor([shift], dtype=torch.float64) * one[:, None], seen
    )


def smooth(height, width):
    """Return a picture without sharp edges, so that ways to interpolate agree; shape (1, 3, H, W)."""
    noise = np.random.default_rng(0).random((height, width, 3), np.float32)
    return torch.from_numpy(cv2.GaussianBlur(noise, (0, 0), 3)).permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    ("height", "width", "mirrored", "turn", "zoom", "shift"),
    [
        (48, 48, False, 0.3, 1.0, (0.0, 0.0)),
        (48, 48, False, 0.0, 1.3, (0.2, -0.1)),
        (41, 67, True, -0.5, 0.8, (-0.3, 0.15)),
        (67, 41, True, 2.0, 1.2, (0.1, 0.4)),
    ],
)
def test_as_opencv_places_it(height, width, mirrored, turn, zoom, shift):
    pixels = smooth(height, width)
    found = place(1, mirrored, turn, zoom, shift).applied(pixels)[0].permute(1, 2, 0).numpy()
    given = pixels[0].permute(1, 2, 0).numpy()
    given = np.ascontiguousarray(given[:, ::-1]) if mirrored else given
    half, middle = min(height, width) / 2, ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, -math.degrees(turn), zoom)  # OpenCV counts the other way
    matrix[:, 2] += np.array(shift) * half
    want = cv2.warpAffine(given, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    # Far beyond the border OpenCV's mirror and ours may part by a pixel; it rounds places to 1/32 of one
    assert np.abs(found - want).max() < 0.01


def test_only_mirrored_is_exact():
    pixels = torch.rand(4, 3, 15, 22)
    assert torch.equal(place(4, mirrored=True).applied(pixels), pixels.flip(3))
    assert torch.equal(place(4).applied(pixels), pixels)


def test_some_of_a_batch_as_if_each_were_alone():
    pixels = torch.rand(4, 3, 20, 24, generator=torch.Generator().manual_seed(1))
    one = torch.ones(4, dtype=torch.float64)
    turn = torch.tensor([0.0, 0.4, 0.0, -0.2], dtype=torch.float64)
    mirrored = torch.tensor([True, True, False, False])
    bend = torch.tensor([0.0, 0.1, 0.2, 0.0], dtype=torch.float64)
    shift = torch.zeros(4, 2, dtype=torch.float64)

    def some(*rows):
        rows = list(rows)
        lens = Lens(bend[rows], shift[rows], one[rows])
        return Geometry(mirrored[rows], turn[rows], one[rows], shift[rows], lens).applied(pixels[rows])

    found = some(0, 1, 2, 3)
    for row in range(4):
        assert torch.equal(found[row : row + 1], some(row))
    assert torch.equal(found[0], pixels[0].flip(2))


def test_the_border_goes_on_as_a_reflection_and_is_never_black():
    white = torch.ones(1, 3, 32, 32)
    for each in (place(turn=0.7), place(zoom=0.3), place(shift=(1.9, -1.9)), place(coefficient=0.5)):
        assert each.applied(white).min() > 0.9999


def test_what_is_drawn_fills_its_range():
    count = 4000
    names = ("flip", "turn", "zoom", "shift_x", "shift_y", "lens", "centre_x", "centre_y")
    table = torch.rand(len(names), count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = drawn(dict(zip(names, table, strict=True)), flip=0.3, rotate=10, crop=0.1, lens=0.2, frame=2)
    assert found.mirrored_B.double().mean().item() == pytest.approx(0.3, abs=0.03)
    for value, most in (
        (found.turn_B, math.radians(10)),
        (found.zoom_B.log(), math.log(1.1)),
        (found.shift_B2, 0.1),
        (found.lens.coefficient_B, 0.2),
        (found.lens.centre_B2, 1.0),
    ):
        assert value.min().item() == pytest.approx(-most, rel=0.01)
        assert value.max().item() == pytest.approx(most, rel=0.01)
    assert found.lens.frame_B.unique().tolist() == [2.0]
