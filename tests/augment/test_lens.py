"""Lens distortion against a slow version of its formula, one pixel at a time."""

import math

import numpy as np
import pytest
import torch

from omokage.augment.geometry import Geometry, Place
from omokage.augment.lens import Lens
from omokage.augment.lens import bent as lens_bent


def lens(coefficients, centres=None, frames=None):
    count = len(coefficients)
    return Lens(
        torch.tensor(coefficients, dtype=torch.float64),
        torch.tensor(centres if centres is not None else [(0.0, 0.0)] * count, dtype=torch.float64),
        torch.tensor(frames if frames is not None else [1.0] * count, dtype=torch.float64),
    )


def through(pixels, seen, aligned=False):
    count = len(pixels)
    still = torch.zeros(count, dtype=torch.float64)
    place = Geometry(still > 0, still, still + 1, torch.zeros(count, 2, dtype=torch.float64), seen, aligned)
    if pixels.shape[1] == 3:
        return place.applied(pixels)
    return Place(place, *pixels.shape[2:]).batch(pixels.clone())  # as on a card, where any number of colours goes


def bent(seen, x, y):
    """Return where the points of one picture lie in the undistorted one."""
    x, y = (torch.tensor(each, dtype=torch.float64) for each in (x, y))
    coefficient, (centre_x, centre_y), frame = seen.coefficient_B[0], seen.centre_B2[0], seen.frame_B[0]
    dx, dy = lens_bent(x - centre_x, y - centre_y, coefficient / frame, 1 - coefficient)
    return dx + centre_x, dy + centre_y


def slowly(picture_CHW, coefficient, centre, frame):
    """Return one picture distorted: every step in plain numbers."""
    channels, height, width = picture_CHW.shape
    half = min(height, width) / 2
    out = np.zeros_like(picture_CHW)
    for row in range(height):
        for column in range(width):
            x, y = (column + 0.5 - width / 2) / half, (row + 0.5 - height / 2) / half
            dx, dy = x - centre[0], y - centre[1]
            r = math.hypot(dx, dy) / frame
            angle = math.atan2(dy, dx)
            r_src = r * (coefficient * r + 1 - coefficient)
            source_x = (centre[0] + frame * r_src * math.cos(angle)) * half + width / 2 - 0.5
            source_y = (centre[1] + frame * r_src * math.sin(angle)) * half + height / 2 - 0.5
            for channel in range(channels):
                out[channel, row, column] = at(picture_CHW[channel], source_x, source_y)
    return out


def at(plane_HW, x, y):
    """Return a value between pixels; beyond the border the plane is mirrored, its last pixel twice."""
    height, width = plane_HW.shape
    x, y = mirrored(x, width), mirrored(y, height)
    left, top = math.floor(x), math.floor(y)
    total = 0.0
    for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < height and 0 <= column < width:
                total += plane_HW[row, column] * down * across
    return total


def mirrored(place, size):
    """Return a place along a line of pixels, mirrored at its ends, which are half a pixel out."""
    place = (place + 0.5) % (2 * size)
    return min(max((2 * size - place if place > size else place) - 0.5, 0), size - 1)


@pytest.mark.parametrize(("colours", "height", "width"), [(3, 16, 16), (2, 13, 20), (3, 21, 9)])
def test_the_formula(colours, height, width):
    pixels = torch.rand(5, colours, height, width, generator=torch.Generator().manual_seed(0))
    coefficients, frames = [0.1, -0.1, 0.4, -0.5, 0.3], [1.0, 1.0, 1.0, 2.5, 2.0]
    centres = [(0.0, 0.0), (0.0, 0.0), (0.3, -0.2), (1.5, 0.7), (-1.0, 1.0)]
    found = through(pixels, lens(coefficients, centres, frames)).numpy()
    for picture, coefficient, centre, frame, seen in zip(
        pixels.double().numpy(), coefficients, centres, frames, found, strict=True
    ):
        assert seen == pytest.approx(slowly(picture, coefficient, centre, frame), abs=2e-5)


def test_without_distortion_every_bit_stays_also_beside_pictures_that_are_distorted():
    pixels = torch.rand(3, 3, 33, 21)
    assert torch.equal(through(pixels, lens([0.0, 0.0, 0.0], [(0.4, 0.1)] * 3, [2.0] * 3)), pixels)
    mixed = through(pixels, lens([0.0, 0.2, 0.0]))
    assert torch.equal(mixed[0], pixels[0]) and torch.equal(mixed[2], pixels[2])
    assert not torch.allclose(mixed[1], pixels[1], atol=0.01)


@pytest.mark.parametrize("coefficient", [0.3, -0.3])
def test_straight_lines_bow_outward_through_a_barrel_and_inward_through_a_pincushion(coefficient):
    size = 129
    column = torch.arange(size, dtype=torch.float32)
    line = torch.exp(-(((column - 96) / 2) ** 2)).expand(1, 3, size, size)  # upright, right of the middle
    seen = through(line, lens([coefficient]))[0, 0]
    middle, end = int(seen[size // 2].argmax()), int(seen[20].argmax())
    assert (middle - end) * coefficient > 0
    assert abs(middle - end) >= 3


def test_the_circle_that_touches_the_edges_stays():
    x, y = bent(lens([0.3]), [1.0, 0.0, 0.6], [0.0, -1.0, 0.8])
    assert x.tolist() == pytest.approx([1, 0, 0.6])
    assert y.tolist() == pytest.approx([0, -1, 0.8])


def jacobians(seen, points):
    """Return how a small step around each point is stretched, (points, 2, 2), by differences."""
    step = 1e-4
    columns = []
    for dx, dy in ((step, 0.0), (0.0, step)):
        ends = []
        for sign in (1, -1):
            x, y = [p + sign * dx for p, _ in points], [q + sign * dy for _, q in points]
            ends.append(torch.stack(bent(seen, x, y), 1))
        columns.append((ends[0] - ends[1]) / (2 * step))
    return torch.stack(columns, 2).numpy()


@pytest.mark.parametrize("coefficient", [0.2, -0.2])
def test_a_face_off_centre_is_distorted_more(coefficient):
    points = [(x / 4 + 1e-3, y / 4) for x in range(-4, 5) for y in range(-4, 5)]
    stretch = []
    for centre in ((0.0, 0.0), (0.5, 0.0), (1.0, 1.0)):
        across, along = np.linalg.svd(jacobians(lens([coefficient], [centre], [2.0]), points), compute_uv=False).T
        stretch.append(float((across / along).mean()))
    assert stretch[0] < stretch[1] < stretch[2]


def test_what_happens_to_the_whole_face_is_taken_back_as_an_aligner_does():
    for coefficient in (0.3, -0.3):
        seen = lens([coefficient], [(0.8, -0.6)], [2.0])
        moved, scale = seen.middle()
        x, y = bent(seen, [0.0], [0.0])
        assert moved[0].tolist() == pytest.approx([x.item(), y.item()])
        assert scale.item() == pytest.approx(math.sqrt(np.linalg.det(jacobians(seen, [(0.0, 0.0)]))[0]), rel=1e-6)
    size = 65
    dot = torch.zeros(1, 3, size, size)
    dot[..., size // 2, size // 2] = 1
    far = lens([0.3], [(0.8, -0.6)], [2.0])
    aligned, moved_away = through(dot, far, aligned=True)[0, 0], through(dot, far)[0, 0]
    assert divmod(int(aligned.argmax()), size) == (size // 2, size // 2)
    assert divmod(int(moved_away.argmax()), size) != (size // 2, size // 2)
