"""What an encoder sees of a face: the same as ever where nothing is said, what it was trained on where it is."""

import dataclasses

import cv2
import numpy as np
import pytest

from omokage.errors import ConfigError
from omokage.vision import codec, geometry
from omokage.vision.crop import Crop
from omokage.vision.encoder import EncoderSpec, load_spec
from omokage.vision.geometry import ARCFACE_52, Template
from omokage.vision.shrink import square

LANDMARKS_52 = (ARCFACE_52 * 2.7 + 40).astype(np.float32)
BOX_4 = np.array([60, 60, 320, 330], np.float32)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Fine noise on coarse: how it is made smaller shows in every pixel."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.uniform(40, 215, (40, 40, 3)), (400, 400), interpolation=cv2.INTER_CUBIC)
    return (coarse + rng.uniform(-40, 40, (400, 400, 3))).clip(0, 255).astype(np.uint8)


def spec(**other) -> EncoderSpec:
    return dataclasses.replace(load_spec("sface"), **{"template": "dlib", "padding": 0.1} | other)


def test_sface_is_cut_as_ever(picture):
    crop = Crop.of(load_spec("sface"))
    assert crop.tag == "arcface-1/112/0"
    frame = Template(name="arcface", size=112)
    wanted = geometry.warp(picture, geometry.matrix(frame, LANDMARKS_52, BOX_4), 112)
    assert np.array_equal(crop(picture, LANDMARKS_52, BOX_4), wanted)


def test_a_face_is_cut_at_the_size_of_a_chip_and_averaged_down(picture):
    crop = Crop.of(spec(cut=224))
    frame = Template(name="dlib", size=224, padding=0.1)
    chip = geometry.warp(picture, geometry.matrix(frame, LANDMARKS_52, BOX_4), 224)
    mean = chip.reshape(112, 2, 112, 2, 3).astype(float).mean(axis=(1, 3))
    found = crop(picture, LANDMARKS_52, BOX_4)
    assert found.shape == (112, 112, 3) and np.abs(found - mean).max() <= 0.5
    # which is not what one sees that is cut at that size at once
    at_once = Crop.of(spec())(picture, LANDMARKS_52, BOX_4)
    assert np.abs(found.astype(float) - at_once).mean() > 2


def test_a_small_cut_is_enlarged(picture):
    found = Crop.of(spec(cut=56))(picture, LANDMARKS_52, BOX_4)
    small = geometry.cut(Template(name="dlib", size=56, padding=0.1), picture, LANDMARKS_52, BOX_4)
    assert np.array_equal(found, cv2.resize(small, (112, 112), interpolation=cv2.INTER_LINEAR))


def test_vectors_of_another_cut_have_another_origin():
    tags = [Crop.of(spec(cut=cut)).tag for cut in (None, 112, 224, 448)]
    assert tags == ["dlib-1/112/0.1", "dlib-1/112/0.1", "dlib-1/224/0.1>112", "dlib-1/448/0.1>112"]


def test_a_face_goes_through_the_jpeg_that_training_saw(picture):
    crop = Crop.of(spec(cut=224, jpeg=95))
    assert crop.tag == "dlib-1/224/0.1+jpeg95>112"
    chip = codec.encode_jpeg(geometry.cut(crop.template, picture, LANDMARKS_52, BOX_4), 95)
    found = crop(picture, LANDMARKS_52, BOX_4)
    assert np.array_equal(found, square(codec.decode(chip), 112))
    assert not np.array_equal(found, Crop.of(spec(cut=224))(picture, LANDMARKS_52, BOX_4))
    with pytest.raises(ConfigError, match=r"encoder\.jpeg must lie in 1 to 100, got 0"):
        spec(jpeg=0)


@pytest.mark.parametrize("cut", [0, 15, 2049, -224])
def test_a_cut_that_no_face_can_be_cut_at_is_refused(cut):
    with pytest.raises(ConfigError, match=rf"encoder\.cut must lie in 16 to 2048 px, got {cut}"):
        spec(cut=cut)
