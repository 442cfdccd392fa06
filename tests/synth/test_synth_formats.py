"""Every format, read back by Pillow."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from omokage.synth.formats import FORMATS


@pytest.fixture(scope="module")
def picture():
    row, column = np.mgrid[:48, :64]
    return np.stack([row * 4, column * 3, 200 - row - column], -1).astype(np.uint8)


@pytest.mark.parametrize("name", FORMATS)
def test_pixels_come_back(name, picture):
    data = FORMATS[name][1](picture, 92)
    with Image.open(io.BytesIO(data)) as image:
        back = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), int)
    assert back.shape == picture.shape
    want = picture.astype(int)
    if "grey" in name:
        want = np.asarray(Image.fromarray(picture).convert("L").convert("RGB"), int)
    allowed = 0 if name in ("png", "bmp", "tiff", "png_alpha", "png_grey", "png_16bit") else 6
    assert np.abs(back - want).mean() <= allowed
    assert data == FORMATS[name][1](picture, 92)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("jpeg_cmyk", "CMYK"), ("jpeg_grey", "L"), ("png_grey", "L"), ("png_palette", "P"), ("png_alpha", "RGBA")],
)
def test_mode_is_the_rare_one(name, mode, picture):
    with Image.open(io.BytesIO(FORMATS[name][1](picture, 90))) as image:
        assert image.mode == mode


def test_turned_needs_turning(picture):
    with Image.open(io.BytesIO(FORMATS["jpeg_turned"][1](picture, 90))) as image:
        assert image.size == (48, 64) and image.getexif()[0x0112] == 6


def test_sixteen_bits_and_two_frames(picture):
    assert FORMATS["png_16bit"][1](picture, 90)[24] == 16  # bit depth in the header
    with Image.open(io.BytesIO(FORMATS["gif"][1](picture, 90))) as image:
        assert image.n_frames == 2
