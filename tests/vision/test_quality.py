import itertools

import cv2
import numpy as np
import pytest

from omokage.synth import portrait
from omokage.vision import geometry, quality
from omokage.vision.geometry import GeometryError

EYES = 70.0  # px apart in the view that quality looks at


def landmarks(eyes=EYES, middle=(200.0, 210.0), degrees=0.0):
    turn = np.radians(degrees)
    around = (geometry.ARCFACE_52 - 56) * eyes / 35.24
    return around @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + middle


def box(points_52):
    low, high = points_52.min(axis=0), points_52.max(axis=0)
    return np.concatenate([low - (high - low) * 0.5, high + (high - low) * 0.4])


def texture(side=400, zoom=1.0, contrast=50.0, mean=128.0):
    """Waves of many lengths in all directions, the same pattern at any zoom; the shortest 5 px at zoom 1."""
    rng = np.random.default_rng(0)
    size = round(side * zoom)
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / zoom
    out = np.zeros((size, size), np.float32)
    for length in np.geomspace(5, 100, 14):
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        out += np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / length) + phase)
    out = mean + out / out.std() * contrast
    return np.repeat(np.rint(np.clip(out, 0, 255)).astype(np.uint8)[:, :, None], 3, axis=2)


def measure(picture, points_52):
    return quality.measure(picture, points_52, box(points_52))


def blurred(picture, sigma):
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture


@pytest.fixture(scope="module")
def face():
    drawn = portrait.draw_shot(7, 0, 0, 480)
    return drawn.picture, drawn.seen.landmarks, drawn.seen.box


# --- sharpness ------------------------------------------------------------------------------------------------------


def slow_sharpness(grey):
    """The same figure with loops and a kernel written out."""

    def contrast(values):
        total = 0.0
        for row in range(values.shape[0]):
            for column in range(values.shape[1]):
                if column:
                    total += (values[row, column] - values[row, column - 1]) ** 2
                if row:
                    total += (values[row, column] - values[row - 1, column]) ** 2
        return total / (2 * values.size)

    kernel = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    soft = np.pad(grey.astype(np.float64), 4, mode="reflect")
    soft = np.array([np.convolve(row, kernel, "valid") for row in soft])
    soft = np.array([np.convolve(column, kernel, "valid") for column in soft.T]).T
    return 1 - np.sqrt(contrast(soft) / (contrast(grey.astype(np.float64)) - 1 / 6))


def test_sharpness_is_what_it_says():
    grey = texture(60)[..., 0]
    assert quality.sharpness(grey) == pytest.approx(slow_sharpness(grey), abs=1e-4)


@pytest.mark.parametrize("contrast", [8, 20, 50])
def test_more_blur_is_always_less_sharp(contrast):
    picture = texture(contrast=contrast)
    figures = [measure(blurred(picture, sigma), landmarks()).sharpness for sigma in (0, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6)]
    assert all(a > b for a, b in itertools.pairwise(figures))
    assert 0 <= figures[-1] < 0.1 and figures[0] > 0.3


def test_more_blur_is_less_sharp_on_a_drawn_face(face):
    picture, points, where = face
    figures = [quality.measure(blurred(picture, s), points, where).sharpness for s in (0, 0.7, 1.2, 2, 3, 5)]
    assert all(a > b for a, b in itertools.pairwise(figures))


def test_a_shaken_camera_is_less_sharp(face):
    picture, points, where = face
    shaken = cv2.filter2D(picture, -1, np.full((1, 15), 1 / 15, np.float32))
    assert quality.measure(shaken, points, where).sharpness < 0.8 * quality.measure(picture, points, where).sharpness


def test_small_faces_are_less_sharp(face):
    picture, points, where = face
    figures = []
    for factor in (0.8, 0.5, 0.3, 0.15):
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        figures.append(quality.measure(small, (points + 0.5) * factor - 0.5, where * factor).sharpness)
    assert all(a > b for a, b in itertools.pairwise(figures))


@pytest.mark.parametrize("zoom", [1.5, 2.0, 3.0])
def test_larger_pictures_of_the_same_sharpness_get_the_same_figure(zoom):
    """Finer pixels alone do not make a face sharper; the tolerance is the softness of resampling."""
    base = measure(texture(), landmarks()).sharpness
    points = (landmarks() + 0.5) * zoom - 0.5
    assert measure(texture(zoom=zoom), points).sharpness == pytest.approx(base, abs=0.06)


@pytest.mark.parametrize(("contrast", "mean"), [(12, 128), (25, 60), (25, 190)])
def test_light_and_contrast_do_not_count(contrast, mean):
    base = measure(texture(), landmarks()).sharpness
    assert measure(texture(contrast=contrast, mean=mean), landmarks()).sharpness == pytest.approx(base, abs=0.02)


def test_the_background_does_not_count():
    picture = blurred(texture(), 3)
    noisy = np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)
    inner = slice(154, 322), slice(116, 284)  # brow to chin of a face with its eyes 70 px apart
    noisy[inner] = picture[inner]
    assert measure(noisy, landmarks()).sharpness == pytest.approx(measure(picture, landmarks()).sharpness, abs=1e-6)


def test_the_ends_of_the_range():
    assert measure(np.full((400, 400, 3), 77, np.uint8), landmarks()).sharpness == 0
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    assert 0.8 < quality.sharpness(noise[..., 0]) <= 1


# --- exposure -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 26, 128, 255])
def test_exposure_is_the_mean_brightness(value):
    picture = np.full((400, 400, 3), value, np.uint8)
    assert measure(picture, landmarks()).exposure == pytest.approx(value / 255, abs=0.003)


def test_exposure_weighs_colours_as_the_eye_does():
    red, green, blue = (measure(np.full((400, 400, 3), c, np.uint8), landmarks()).exposure for c in np.eye(3) * 255)
    assert (red, green, blue) == pytest.approx((0.299, 0.587, 0.114), abs=0.003)  # ITU-R BT.601


def test_what_lies_outside_the_picture_is_not_dark():
    points = landmarks(middle=(30.0, 210.0))
    picture = np.full((400, 400, 3), 200, np.uint8)
    seen = measure(picture, points)
    assert seen.exposure == pytest.approx(200 / 255, abs=0.003)
    assert seen.sharpness == 0


# --- all of it ------------------------------------------------------------------------------------------------------


def test_side_is_the_shorter_one_in_source_pixels():
    points = landmarks()
    assert quality.measure(texture(), points, np.array([10, 20, 110, 180], np.float32)).side == 100


@pytest.mark.parametrize("degrees", [-90, 90, 180, 30])
def test_a_turned_face_is_as_sharp_and_bright(degrees):
    picture = texture(contrast=30)
    matrix = cv2.getRotationMatrix2D((200, 200), -degrees, 1)
    turned = cv2.warpAffine(picture, matrix, (400, 400), flags=cv2.INTER_CUBIC)
    points = landmarks() @ matrix[:, :2].T + matrix[:, 2]
    before, after = measure(picture, landmarks()), measure(turned, points)
    assert after.exposure == pytest.approx(before.exposure, abs=0.01)
    assert after.sharpness == pytest.approx(before.sharpness, abs=0.06)  # resampled at an angle: softer
    assert (after.roll - before.roll - degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.01)
    assert (after.yaw, after.pitch) == pytest.approx((before.yaw, before.pitch), abs=0.01)


def test_float32_in_plain_floats_out(face):
    picture, points, where = face
    seen = quality.measure(picture, points.astype(np.float32), where.astype(np.float32))
    assert all(type(getattr(seen, name)) is float for name in quality.Quality.__dataclass_fields__)


def test_landmarks_of_no_face_are_refused():
    for bad in (np.zeros((5, 2)), np.full((5, 2), np.nan)):
        with pytest.raises(GeometryError):
            quality.measure(texture(), bad, np.array([0, 0, 10, 10.0]))
