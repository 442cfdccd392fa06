import io
import struct
import subprocess
import sys
import textwrap
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from omokage.vision import codec
from omokage.vision.codec import PictureError

FORMATS = {
    "jpeg": ("JPEG", {"quality": 92}),
    "jpeg progressive": ("JPEG", {"quality": 92, "progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 90}),
    "webp lossless": ("WEBP", {"lossless": True}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "tiff lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff jpeg": ("TIFF", {"compression": "jpeg"}),
    "gif": ("GIF", {}),
}
LOSSLESS = {"png", "webp lossless", "bmp", "tiff", "tiff lzw", "tiff deflate"}


def draw(height=48, width=64):
    """A smooth picture with a different colour in every corner, and some edges."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    picture = np.stack([x / max(width - 1, 1), y / max(height - 1, 1), 1 - x / max(width - 1, 1)], axis=2) * 220 + 10
    picture[height // 4 : height // 2, width // 4 : width // 2] = (250, 240, 30)
    return np.rint(picture).astype(np.uint8)


def write(image, format="PNG", **settings_):
    out = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(out, format, **settings_)
    return out.getvalue()


def difference(a, b):
    assert a.shape == b.shape
    return np.abs(a.astype(int) - b.astype(int))


@pytest.fixture(scope="module")
def files():
    return {name: write(draw(), format, **kw) for name, (format, kw) in FORMATS.items()}


# --- what is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_formats_give_their_pixels(files, name):
    picture = codec.decode(files[name])
    assert picture.dtype == np.uint8 and picture.flags.c_contiguous and picture.flags.writeable
    if name in LOSSLESS:
        assert difference(picture, draw()).max() == 0
    else:  # lossy: quantisation, chroma at half resolution at the edges, or 256 colours
        assert difference(picture, draw()).mean() < 6
        assert difference(picture, np.array(Image.open(io.BytesIO(files[name])).convert("RGB"))).max() <= 1


@pytest.mark.parametrize("name", FORMATS)
def test_header_is_told_by_content(files, name):
    header = codec.read_header(files[name])
    assert (header.format, header.width, header.height) == (name.split()[0], 64, 48)


@pytest.mark.parametrize("shape", [(1, 1), (20, 20_000), (20_000, 20), (3, 1), (17, 33)])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_odd_sizes(shape, format):
    if format == "WEBP" and max(shape) > 16383:
        pytest.skip("the format ends at 16383")
    picture = codec.decode(write(np.full((*shape, 3), 90, np.uint8), format))
    assert picture.shape == (*shape, 3)
    assert np.abs(picture.astype(int) - 90).max() <= 2


def test_junk_behind_a_picture_does_no_harm(files):
    for name in ("jpeg", "png", "gif", "bmp"):
        assert difference(codec.decode(files[name] + b"\0" * 100), codec.decode(files[name])).max() == 0


# --- modes ----------------------------------------------------------------------------------------------------------


def grey(rgb):
    return np.array(Image.fromarray(rgb).convert("L"))


def as_rgb(grey_HW):
    return np.repeat(grey_HW[:, :, None], 3, axis=2)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "TIFF", "GIF"])
def test_grey(format):
    value = grey(draw())
    assert (
        difference(
            codec.decode(write(value, format, **({"quality": 95} if format == "JPEG" else {}))), as_rgb(value)
        ).max()
        <= 8
    )


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(format):
    value = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    assert difference(codec.decode(write(value, format)), as_rgb(np.rint(value / 257).astype(np.uint8))).max() == 0


def test_16_bit_grey_of_the_other_byte_order():
    value = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    data = write(Image.frombytes("I;16B", (64, 48), value.astype(">u2").tobytes()), "TIFF")
    assert difference(codec.decode(data), as_rgb(np.rint(value / 257).astype(np.uint8))).max() == 0


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_is_scaled_not_clipped(ending, channels):
    value = np.random.default_rng(0).integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    if channels == 4:
        value[..., 3] = 65535
    data = cv2.imencode(ending, value)[1].tobytes()  # cv2 writes what Pillow cannot; its order is BGR
    assert difference(codec.decode(data), (value[..., 2::-1] // 257).astype(np.uint8)).max() <= 1


def test_12_bit_tiff_reaches_white():
    # Pillow reads 12-bit TIFF but does not write it: two pixels in three bytes, 0xFFF and 0x000.
    tags = [
        (256, 4, 2),
        (257, 4, 1),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 1),
        (279, 4, 3),
    ]
    pixels = bytes([0xFF, 0xF0, 0x00, 0x00])
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags
    )
    data = b"II*\0" + struct.pack("<I", 12) + pixels + directory + b"\0\0\0\0"
    assert codec.decode(data)[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(("top", "white"), [(1.0, 1.0), (255.0, 255.0), (65535.0, 65535.0), (200.0, 255.0)])
def test_float_tiff(top, white):
    value = np.linspace(0, top, 48 * 64).reshape(48, 64).astype(np.float32)
    assert (
        difference(codec.decode(write(value, "TIFF")), as_rgb(np.rint(value * (255 / white)).astype(np.uint8))).max()
        <= 1
    )


def test_float_tiff_with_nothing_but_nan_is_black():
    assert codec.decode(write(np.full((4, 5), np.nan, np.float32), "TIFF")).max() == 0


def test_32_bit_grey_tiff():
    value = np.array([[0, 30000, 65535]], np.int32)
    assert codec.decode(write(value, "TIFF"))[0, :, 0].tolist() == [0, 117, 255]


def test_one_bit():
    value = grey(draw()) > 120
    for format in ("PNG", "TIFF", "BMP", "GIF"):
        assert (
            difference(codec.decode(write(Image.fromarray(value), format)), as_rgb(value.astype(np.uint8) * 255)).max()
            == 0
        )


def over_white(rgba):
    alpha = rgba[..., 3:].astype(np.float64) / 255
    return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


@pytest.mark.parametrize(("format", "kw"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_alpha_is_laid_on_white(format, kw):
    rgba = np.dstack([draw(), np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)])
    assert difference(codec.decode(write(rgba, format, **kw)), over_white(rgba)).max() <= 1


def test_grey_with_alpha():
    alpha = np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)
    value = grey(draw())
    data = write(Image.fromarray(np.dstack([value, alpha])), "PNG")
    assert difference(codec.decode(data), over_white(np.dstack([value, value, value, alpha]))).max() <= 1


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_palette_with_and_without_transparency(format):
    image = Image.fromarray(draw()).quantize(16)
    plain = np.array(image.convert("RGB"))
    assert difference(codec.decode(write(image, format)), plain).max() == 0
    see_through = codec.decode(write(image, format, transparency=3))
    hidden = np.asarray(image) == 3
    assert hidden.any()
    assert (see_through[hidden] == 255).all()
    assert difference(see_through[~hidden], plain[~hidden]).max() == 0


def test_transparent_colour_of_an_rgb_png():
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[:, 3:] = (10, 200, 30)
    seen = codec.decode(write(picture, "PNG", transparency=(0, 0, 0)))
    assert (seen[:, :3] == 255).all() and (seen[:, 3:] == (10, 200, 30)).all()


@pytest.mark.parametrize(
    ("format", "kw", "tolerance"), [("JPEG", {"quality": 100, "subsampling": 0}, 5), ("TIFF", {}, 2)]
)
def test_cmyk(format, kw, tolerance):
    # Adobe writes CMYK JPEG inverted, and so does Pillow; inverted once too often or too seldom, this is a negative.
    cmyk = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    data = write(Image.frombytes("CMYK", (64, 48), cmyk.tobytes()), format, **kw)
    ink = cmyk.astype(np.float64) / 255
    want = 255 * (1 - ink[..., :3]) * (1 - ink[..., 3:])
    assert difference(codec.decode(data), np.rint(want).astype(np.uint8)).max() <= tolerance


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "green", "blue")]
    for format, kw in (("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})):
        data = write(frames[0], format, save_all=True, append_images=frames[1:], **kw)
        assert (codec.decode(data) == (255, 0, 0)).all()


def test_first_gif_frame_smaller_than_its_canvas():
    data = bytearray(write(Image.new("P", (4, 3), 0), "GIF"))
    data[6:10] = struct.pack("<HH", 10, 8)
    assert codec.decode(bytes(data)).shape == (8, 10, 3)


# --- EXIF orientation -----------------------------------------------------------------------------------------------

# What each value says, as the standard words it: where the stored row 0 and column 0 are seen.
STORED = {
    1: lambda p: p,
    2: lambda p: np.fliplr(p),
    3: lambda p: np.rot90(p, 2),
    4: lambda p: np.flipud(p),
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(format, orientation):
    upright = draw()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    kw = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    data = write(stored, format, exif=exif, **kw)
    assert difference(codec.decode(data), upright).max() <= (25 if format == "JPEG" else 0)
    header = codec.read_header(data)
    assert (header.height, header.width) == stored.shape[:2]


def test_broken_exif_leaves_the_picture_as_it_is():
    data = write(draw(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x99" * 40)
    assert codec.decode(data).shape == (48, 64, 3)


def test_orientation_out_of_range_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 42
    assert codec.decode(write(draw(), "JPEG", exif=exif)).shape == (48, 64, 3)


# --- what is refused ------------------------------------------------------------------------------------------------


def reason(data, **kw):
    with pytest.raises(PictureError) as caught:
        codec.decode(data, **kw)
    assert caught.value.reason in codec.REASONS
    return caught.value.reason


def test_empty_and_not_a_picture():
    assert reason(b"") == "empty"
    for data in (
        b"\0",
        b"hello",
        b"BM",
        b"BMW and other cars, a list",
        b"<html></html>",
        b"RIFF\0\0\0\0WAVE",
        b"\xff\xd8",
        bytes(1000),
    ):
        assert reason(data) == "not_a_picture"
    other = io.BytesIO()
    Image.fromarray(draw()).save(other, "PPM")  # a picture, but not of a format that we take
    assert reason(other.getvalue()) == "not_a_picture"


def test_error_survives_a_trip_to_another_process():
    import pickle

    assert pickle.loads(pickle.dumps(PictureError("truncated"))).reason == "truncated"  # noqa: S301


def png_claiming(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_bombs_are_refused_from_the_header():
    assert len(png_claiming(60_000, 60_000)) < 200
    assert reason(png_claiming(60_000, 60_000)) == "too_many_pixels"
    assert codec.read_header(png_claiming(60_000, 60_000)).width == 60_000
    jpeg = bytearray(write(draw(), "JPEG"))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = struct.pack(">HH", 65_000, 65_000)
    assert reason(bytes(jpeg)) == "too_many_pixels"
    gif = bytearray(write(draw(), "GIF"))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    assert reason(bytes(gif)) == "too_many_pixels"


def test_limit_is_the_callers():
    data = write(draw(), "JPEG")
    assert reason(data, max_pixels=48 * 64 - 1) == "too_many_pixels"
    assert codec.decode(data, max_pixels=48 * 64).shape == (48, 64, 3)


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("tiff")])
def test_limit_may_lie_above_pillows_own(files, name, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert codec.decode(files[name]).shape == (48, 64, 3)


def test_a_tiff_above_pillows_own_limit_is_named_as_such(files, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert reason(files["tiff"]) == "too_many_pixels"


@pytest.mark.parametrize("name", FORMATS)
def test_cut_files_are_refused_or_whole(name):
    """At every tenth of its length, and byte by byte near both ends: an error, or every single pixel."""
    picture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8), (0, 0), 1.0)
    data = write(picture, *FORMATS[name][:1], **FORMATS[name][1])
    whole = codec.decode(data)
    tenths = [len(data) * i // 10 for i in range(1, 10)]
    whole_at = []
    for length in {*range(1, 40), *tenths, *range(len(data) - 60, len(data))}:
        try:
            cut = codec.decode(data[:length])
        except PictureError:
            continue
        assert difference(cut, whole).max() == 0
        whole_at.append(len(data) - length)
    # Complete without its end: 2 bytes end mark of JPEG and GIF; PNG 12 bytes end mark, 4 + 4 bytes of checksums.
    assert max(whole_at, default=0) <= {"jpeg": 2, "jpeg progressive": 2, "gif": 2, "png": 24}.get(name, 0)


@pytest.mark.parametrize("name", FORMATS)
def test_a_half_file_says_that_it_is_truncated(name):
    data = write(draw(200, 300), *FORMATS[name][:1], **FORMATS[name][1])
    assert reason(data[: len(data) // 2]) == "truncated"


def test_png_cut_between_chunks():
    picture = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    data = write(picture, "PNG")
    assert data.count(b"IDAT") > 2
    second = data.index(b"IDAT", data.index(b"IDAT") + 4) - 4
    assert reason(data[:second]) == "truncated"
    assert reason(data[:second] + data[-12:]) in ("truncated", "undecodable")


def test_cut_jpeg_with_many_restarts():
    data = write(draw(200, 300), "JPEG", restart_marker_rows=1)
    for length in range(len(data) // 2, len(data) - 2, 37):
        reason(data[:length])


def test_damaged_header_is_undecodable():
    data = bytearray(write(draw(), "PNG"))
    data[24] = 77  # bits a sample
    assert reason(bytes(data)) == "undecodable"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    head=st.sampled_from(
        [s for s, _ in codec._SIGNATURES] + [b"", b"RIFF\x20\0\0\0WEBPVP8 ", b"BM" + b"\0" * 12 + b"\x28\0\0\0"]
    ),
    tail=st.binary(max_size=200),
)
@example(head=b"II*\0", tail=b"\x08\0\0\0\xff\xff" + b"\x01" * 60)
def test_any_bytes_give_a_picture_or_a_picture_error(head, tail):
    try:
        picture = codec.decode(head + tail)
    except PictureError:
        return
    assert picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(sorted(FORMATS)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damaged_files_give_a_picture_or_a_picture_error(files, name, edits):
    data = bytearray(files[name])
    for place, value in edits:
        data[int(place**2 * (len(data) - 1))] = value  # the square: more of the damage in the headers
    try:
        picture = codec.decode(bytes(data), max_pixels=4_000_000)
    except PictureError:
        return
    assert picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8


def test_refusals_are_silent():
    """Nothing is written on standard error, by us or by a C library, for cut files of the usual formats."""
    script = textwrap.dedent(
        """
        import io, numpy as np
        from PIL import Image
        from omokage.vision import codec
        picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        for format in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"):
            out = io.BytesIO()
            Image.fromarray(picture).save(out, format)
            data = out.getvalue()
            for length in (0, 3, 20, len(data) // 2, len(data) - 30):
                try:
                    codec.decode(data[:length])
                except codec.PictureError:
                    pass
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""


# --- writing --------------------------------------------------------------------------------------------------------


def test_encoded_chip_comes_back_with_its_colours():
    chip = np.full((64, 64, 3), (20, 90, 200), np.uint8)
    chip[:, 31:] = (230, 40, 30)  # an odd column: subsampled chroma would bleed across it
    back = codec.decode(codec.encode_jpeg(chip, 95))
    assert difference(back, chip).max() <= 12
    assert Image.open(io.BytesIO(codec.encode_jpeg(chip))).layer[0][1:3] == (1, 1)


def test_encoding_is_deterministic_and_quality_counts():
    chip = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    assert codec.encode_jpeg(chip) == codec.encode_jpeg(chip.copy())
    assert len(codec.encode_jpeg(chip, 50)) < len(codec.encode_jpeg(chip, 95))


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_encoding_refuses_what_is_no_picture(bad):
    with pytest.raises(ValueError, match="uint8 of shape"):
        codec.encode_jpeg(bad)


@pytest.mark.parametrize("quality", [0, 101])
def test_encoding_refuses_a_quality_out_of_range(quality):
    with pytest.raises(ValueError, match="1 to 100"):
        codec.encode_jpeg(np.zeros((4, 4, 3), np.uint8), quality)
