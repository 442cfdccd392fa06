"""A crop out of a chip is the crop out of the picture, where the chip shows as much."""

import cv2
import numpy as np
import pytest

from omokage.errors import ConfigError
from omokage.vision import geometry
from omokage.vision.crop import Crop
from omokage.vision.geometry import ARCFACE_52, Template
from omokage.vision.recut import Recut, framed

BOX_4 = np.array([60.0, 60.0, 320.0, 330.0])


def landmarks(seed: int) -> np.ndarray:
    """Return a face of an odd shape, turned and moved, of some 200 px."""
    rng = np.random.default_rng(seed)
    turn = np.exp(1j * rng.uniform(-0.4, 0.4)) * 2.2
    points = (ARCFACE_52 + rng.normal(0, 2.5, (5, 2)) - 56) @ (1, 1j) * turn
    return np.stack([points.real, points.imag], 1) + 200


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.uniform(40, 215, (30, 30, 3)), (400, 400), interpolation=cv2.INTER_CUBIC)
    return coarse.clip(0, 255).astype(np.uint8)


def crop(name: str, size: int, padding: float = 0.0, cut: int | None = None) -> Crop:
    return Crop(template=Template(name=name, size=cut or size, padding=padding), size=size)


@pytest.mark.parametrize(
    ("chip", "wanted"),
    [
        (Template(name="arcface", size=224), crop("arcface", 112)),
        (Template(name="dlib", size=224, padding=0.3), crop("arcface", 112)),
        (Template(name="margin", size=224, padding=0.3), crop("dlib", 96)),
        (Template(name="dlib", size=224, padding=0.3), crop("dlib", 112, 0.1, cut=160)),
    ],
)
def test_a_crop_of_a_chip_is_that_of_the_picture(picture, chip, wanted):
    recut = Recut(chip=chip, crop=wanted)
    for seed in range(4):
        points_52 = landmarks(seed)
        shown = geometry.cut(chip, picture, points_52, BOX_4)
        found = recut(shown, points_52, BOX_4)
        direct = wanted(picture, points_52, BOX_4)
        matrix_23 = recut.matrix(points_52, BOX_4)
        assert recut.outside(matrix_23) < 0.3
        inside = geometry.warp(np.full_like(shown, 255), matrix_23, wanted.template.size)[..., 0]
        inside = cv2.resize(inside, (wanted.size, wanted.size), interpolation=cv2.INTER_AREA) == 255
        difference = np.abs(found.astype(float) - direct)[inside]
        # two times smoothed, but in the same place: half a pixel beside it would be ten times as much
        assert difference.mean() < 1.5 and np.quantile(difference, 0.99) < 8


def test_what_a_chip_shows_already_is_not_cut_again(picture):
    chip = Template(name="dlib", size=224, padding=0.1)
    shown = geometry.cut(chip, picture, landmarks(0), BOX_4)
    recut = Recut(chip=chip, crop=crop("dlib", 112, 0.1, cut=224))
    nowhere_52 = np.zeros((5, 2))  # an imported face's landmarks are not looked at
    assert recut.whole
    assert np.array_equal(
        recut(shown, nowhere_52, np.zeros(4)), crop("dlib", 112, 0.1, cut=224)(picture, landmarks(0), BOX_4)
    )


@pytest.mark.parametrize("name", ["arcface", "dlib", "margin"])
def test_what_lies_outside_is_measured(name):
    chip = Template(name=name, size=200)
    for padding in (0.0, 0.1, 0.5):
        recut = Recut(chip=chip, crop=crop(name, 128, padding))
        matrix_23 = recut.matrix(np.zeros((5, 2)), np.zeros(4))
        assert recut.outside(matrix_23) == pytest.approx(1 - 1 / (1 + 2 * padding) ** 2, abs=0.05)
        assert recut.enlarged(matrix_23) == pytest.approx(128 / 200 / (1 + 2 * padding))


def test_a_smaller_chip_is_enlarged():
    recut = Recut(chip=Template(name="arcface", size=56), crop=crop("arcface", 112))
    assert recut.enlarged(recut.matrix(np.zeros((5, 2)), np.zeros(4))) == pytest.approx(2)


def test_how_chips_are_framed():
    assert framed("dlib-1/224/0.1") == Template(name="dlib", size=224, padding=0.1)
    assert framed("dlib-1/224/0.1", "dlib", 0.1).size == 224
    assert framed(None, "margin", 0.2) == Template(name="margin", padding=0.2)
    for tag, align, said in (
        (None, None, "not stated"),
        ("dlib-0/224/0.1", None, "dlib-0/224/0.1"),
        ("dlib-1/224/0.1", "arcface", "leave --align and --padding out"),
        ("dlib-1/wide/0.1", None, "is no framing"),
    ):
        with pytest.raises(ConfigError, match=said):
            framed(tag, align)
