"""Which copies are made of a picture, and what they show."""

from decimal import Decimal

import numpy as np
import pytest
import torch

from omokage.augment.copies import CORNERS, Copies, CopiesConfig, coefficients
from omokage.augment.geometry import Geometry
from omokage.augment.lens import Lens
from omokage.errors import ConfigError

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8).repeat(2, 0).repeat(2, 1)


def test_a_range_has_exact_numbers_and_no_zero():
    found = coefficients("-0.1:0.1:0.01")
    assert [str(value) for value in found] == [f"{n / 100:.2f}" for n in range(-10, 11) if n]
    assert Decimal("0.1") - Decimal("0.01") * 9 == found[10]
    assert [copy.name for copy in CopiesConfig(lens="-0.1:0.1:0.1").copies()] == ["lens-0.1", "lens0.1"]
    assert [float(value) for value in coefficients("0.3:-0.3:-0.2")] == [0.3, 0.1, -0.1, -0.3]
    assert [str(value) for value in coefficients("0.05")] == ["0.05"]
    assert [str(value) for value in coefficients("0:0.1:3e-2")] == ["0.03", "0.06", "0.09"]


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "x", "1:2", "0.1:0.2:0.1:0.1", "nan", "0:inf:0.1"),
        *("0", "0:0:1", "-0.1:0.1:0", "-0.1:0.1:-0.01", "-0.6:0:0.1", "0:0.5:0.00000001"),
    ],
)
def test_what_is_no_range(wrong):
    with pytest.raises(ConfigError, match="lens"):
        CopiesConfig(lens=wrong)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({}, "nothing is asked for"),
        ({"jitter": -1}, "jitter"),
        ({"jitter": 3, "corners": True}, "corners"),
        ({"jitter": 3, "strength": 0.0}, "strength"),
        ({"jitter": 3, "quality": 0}, "quality"),
        ({"jitter": 3, "seed": -1}, "seed"),
    ],
)
def test_settings_that_give_no_copies(wrong, word):
    with pytest.raises(ConfigError, match=word):
        CopiesConfig(**wrong)


def test_every_name_is_another():
    copies = CopiesConfig(lens="-0.2:0.2:0.05", corners=True, jitter=12).copies()
    assert len({copy.name for copy in copies}) == len(copies) == 8 * 5 + 12
    assert all(set(copy.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-") for copy in copies)


def test_a_lens_copy_is_the_formula_and_a_corner_is_aligned_after_it():
    made = Copies(CopiesConfig(lens="0.2", corners=True)).of(PICTURE, "face")
    assert made.shape == (5, *PICTURE.shape)
    pixels = torch.from_numpy(PICTURE).permute(2, 0, 1)[None].double() / 255
    one = torch.ones(1, dtype=torch.float64)
    for number, (centre, frame) in enumerate([((0.0, 0.0), 1.0), *((corner, 2.0) for corner in CORNERS.values())]):
        lens = Lens(0.2 * one, torch.tensor([centre]), frame * one)
        want = Geometry(one < 0, 0 * one, one, torch.zeros(1, 2), lens, frame == 2).applied(pixels)
        assert np.abs(made[number] - 255.0 * want[0].permute(1, 2, 0).numpy()).max() < 0.51
    assert len({each.tobytes() for each in made}) == 5


def test_what_is_random_depends_on_the_seed_and_the_name_alone():
    def made(seed=0, name="face", **more):
        return Copies(CopiesConfig(jitter=3, seed=seed, **more)).of(PICTURE, name)

    assert np.array_equal(made(), made())
    assert np.array_equal(made(), made(lens="0.1")[1:])
    assert not np.array_equal(made(), made(seed=1))
    assert not np.array_equal(made(), made(name="other"))
    first, second, third = made()
    assert not np.array_equal(first, second) and not np.array_equal(second, third)
    gentle, wild = made(strength=0.1), made(strength=2.0)
    assert np.abs(gentle - PICTURE.astype(float)).mean() < np.abs(wild - PICTURE.astype(float)).mean()
