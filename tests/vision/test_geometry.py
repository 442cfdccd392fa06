import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omokage.errors import ConfigError
from omokage.vision import geometry
from omokage.vision.geometry import GeometryError, Template
from omokage.vision.pose import FACE_53, Pose, rotation

BOX_4 = np.array([100.0, 120.0, 200.0, 260.0])
ARCFACE_112 = Template(name="arcface", size=112)


def similar(points_N2, scale=1.0, degrees=0.0, shift=(0.0, 0.0)):
    turn = np.radians(degrees)
    matrix_22 = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return scale * points_N2 @ matrix_22.T + shift


def similar_matrix(scale, degrees, shift):
    return np.column_stack([similar(np.eye(2), scale, degrees).T, shift])


def move(matrix_23, points_N2):
    return points_N2 @ matrix_23[:, :2].T + matrix_23[:, 2]


def umeyama(source_N2, target_N2, weight_N):
    """The published algorithm, word for word: singular values, with the sign that forbids a reflection."""
    weight_N = weight_N / weight_N.sum()
    source_mean, target_mean = weight_N @ source_N2, weight_N @ target_N2
    source_N2, target_N2 = source_N2 - source_mean, target_N2 - target_mean
    covariance = (target_N2 * weight_N[:, None]).T @ source_N2
    left, values, right = np.linalg.svd(covariance)
    sign = np.diag([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = left @ sign @ right
    scale = np.trace(np.diag(values) @ sign) / (weight_N @ (source_N2**2).sum(axis=1))
    return np.column_stack([scale * turn, target_mean - scale * turn @ source_mean])


# --- templates ------------------------------------------------------------------------------------------------------

# What dlib itself prints for size and padding; reference table of the project.
DLIB = {
    (224, 0.1): [[179.119, 58.520], [139.265, 61.407], [41.174, 58.562], [81.029, 61.425], [110.154, 135.856]],
    (224, 0.4): [[156.746, 76.346], [130.176, 78.272], [64.783, 76.375], [91.353, 78.284], [110.770, 127.904]],
    (150, 0.25): [[110.957, 46.350], [89.606, 47.897], [37.058, 46.373], [58.409, 47.906], [74.011, 87.780]],
}


@pytest.mark.parametrize(("size", "padding"), DLIB)
def test_dlib_points_stand_in_the_table(size, padding):
    assert np.abs(geometry.dlib_points(size, padding) - DLIB[size, padding]).max() < 0.001


@pytest.mark.parametrize(("size", "padding"), DLIB)
def test_dlib_template_puts_eye_centres_and_nose_base_in_the_table(size, padding):
    """A face that has dlib's proportions: its eye centres and the base of its nose land on the table to 0.5 px."""
    table = np.array(DLIB[size, padding])
    eyes = np.stack([table[2:4].mean(axis=0), table[:2].mean(axis=0)])
    nose_base = table[4]
    mouth = nose_base + (eyes[1] - eyes[0])[0] * np.array([[-0.4, 0.4], [0.4, 0.4]])
    tip = (nose_base - geometry.NOSE_BASE_SHARE * mouth.mean(axis=0)) / (1 - geometry.NOSE_BASE_SHARE)
    truth = np.vstack([eyes, tip, mouth])
    landmarks = similar(truth, 2.3, 25, (300, 80))
    matrix = geometry.matrix(Template(name="dlib", size=size, padding=padding), landmarks, BOX_4)
    assert np.abs(move(matrix, landmarks) - truth).max() < 0.01


# Eye corners (outer and inner, left and right as seen) and base of the nose, in cm, of the same face as FACE_53, and
# from the same source: vertices 33 133 362 263 and 2 of MediaPipe's canonical face mesh.
CORNERS_53 = np.array([[4.446, 2.664, 3.173], [1.856, 2.585, 3.758], [-4.446, 2.664, 3.173], [-1.856, 2.585, 3.758]])
NOSE_BASE_13 = np.array([[0, -2.089, 6.058]])


def look(points_N3, pose):
    return (points_N3 @ rotation(pose).T)[:, :2] * (20, -20) + 300


def test_dlib_template_frames_turned_heads_as_dlib_does():
    """Against dlib's own fit, of four eye corners and the base of the nose, on a solid face that turns."""
    size = 224
    template = Template(name="dlib", size=size, padding=0.1)
    errors = []
    for yaw in (-60, -45, -30, -15, 0, 15, 30, 45, 60):
        for pitch in (-20, 0, 20):
            pose = Pose(yaw=yaw, pitch=pitch, roll=10)
            five = look(np.vstack([CORNERS_53, NOSE_BASE_13]), pose)
            dlib = umeyama(five, geometry.dlib_points(size, 0.1), np.ones(5))
            ours = geometry.matrix(template, look(FACE_53, pose), BOX_4)
            face = look(np.vstack([FACE_53, CORNERS_53]), pose)
            errors.append(np.sqrt(((move(dlib, face) - move(ours, face)) ** 2).sum(axis=1).mean()))
    assert np.mean(errors) < 1.5 and np.max(errors) < 3.5  # px of 224


def test_arcface_points_land_on_themselves():
    matrix = geometry.matrix(ARCFACE_112, geometry.ARCFACE_52, BOX_4)
    assert np.abs(matrix - [[1, 0, 0], [0, 1, 0]]).max() < 1e-9


@pytest.mark.parametrize("name", ["arcface", "margin"])
def test_twice_the_size_is_the_same_framing(name):
    """The middle of two pixels of the larger chip is the middle of one of the smaller."""
    small, large = (
        geometry.matrix(Template(name=name, size=s, padding=0.2), geometry.ARCFACE_52 * 3, BOX_4) for s in (112, 224)
    )
    point = np.array([[150.0, 170.0]])
    assert np.abs(move(large, point) - (move(small, point) * 2 + 0.5)).max() < 1e-9


@pytest.mark.parametrize("name", geometry.TEMPLATES)
def test_padding_shrinks_the_face_about_the_middle(name):
    plain, padded = (
        geometry.matrix(Template(name=name, size=200, padding=p), geometry.ARCFACE_52 * 3, BOX_4) for p in (0.0, 0.5)
    )
    assert np.linalg.det(plain[:, :2]) / np.linalg.det(padded[:, :2]) == pytest.approx(4)
    corner = 0.0 if name == "dlib" else -0.5  # dlib's formula counts from the centre of the first pixel
    middle = np.linalg.solve(plain[:, :2], corner + 100 - plain[:, 2])
    assert np.abs(move(padded, middle) - (corner + 100)).max() < 1e-9


def test_margin_is_an_upright_square_round_the_box():
    matrix = geometry.matrix(Template(name="margin", size=280, padding=0.5), geometry.ARCFACE_52, BOX_4)
    # 140 px high, so 280 px with half of it on each side: one source pixel a chip pixel, and the middle in the middle
    assert np.abs(matrix[:, :2] - np.eye(2)).max() < 1e-9
    assert np.abs(move(matrix, np.array([[150.0, 190.0]])) - 139.5).max() < 1e-9


def test_version_and_tag_name_the_alignment():
    assert ARCFACE_112.version == "arcface-1"
    assert Template(name="dlib", size=224, padding=0.1).tag == "dlib-1/224/0.1"


@pytest.mark.parametrize(
    "kw", [{"name": "dlip"}, {"size": 8}, {"size": 5000}, {"padding": -0.1}, {"padding": 9.0}, {"padding": np.nan}]
)
def test_bad_templates_are_refused(kw):
    with pytest.raises(ConfigError):
        Template(**kw)


# --- the fit --------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.05, 50), degrees=st.floats(-180, 180))
def test_fit_is_umeyamas(seed, scale, degrees):
    rng = np.random.default_rng(seed)
    source = similar(geometry.ARCFACE_52 + rng.normal(0, 8, (5, 2)), scale, degrees, rng.uniform(-4000, 4000, 2))
    want = umeyama(source, geometry.ARCFACE_52, np.ones(5))
    got = geometry.matrix(ARCFACE_112, source, BOX_4)
    assert np.abs(move(got, source) - move(want, source)).max() < 1e-6


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.05, 50), degrees=st.floats(-180, 180))
@pytest.mark.parametrize("name", ["arcface", "dlib"])
def test_framing_follows_the_face(name, seed, scale, degrees):
    """Turn, scale and shift a face, and its chip stays the same."""
    rng = np.random.default_rng(seed)
    face = geometry.ARCFACE_52 + rng.normal(0, 4, (5, 2))
    template = Template(name=name, size=160, padding=0.3)
    there = similar(face, scale, degrees, rng.uniform(-4000, 4000, 2))
    want = move(geometry.matrix(template, face, BOX_4), face)
    assert np.abs(move(geometry.matrix(template, there, BOX_4), there) - want).max() < 1e-6


@pytest.mark.parametrize("name", ["arcface", "dlib"])
def test_landmarks_that_fit_nothing_are_refused(name):
    template = Template(name=name)
    for bad in (np.full((5, 2), 7.0), np.full((5, 2), np.nan), np.full((5, 2), np.inf), np.zeros((5, 2), np.float32)):
        with pytest.raises(GeometryError):
            geometry.matrix(template, bad, BOX_4)
    one = geometry.ARCFACE_52.copy()
    one[3, 1] = np.nan
    with pytest.raises(GeometryError):
        geometry.matrix(template, one, BOX_4)


def test_collinear_landmarks_have_an_answer():
    line = np.array([[0, 0], [10, 0], [5, 0], [2, 0], [8, 0.0]]) + 50
    matrix = geometry.matrix(ARCFACE_112, line, BOX_4)
    assert np.isfinite(matrix).all() and np.linalg.det(matrix[:, :2]) > 0


def test_a_mirrored_face_is_never_mirrored_back():
    matrix = geometry.matrix(ARCFACE_112, geometry.ARCFACE_52 * (-1, 1) + 200, BOX_4)
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 5, 5, 9], [np.nan, 0, 1, 1], [0, 0, np.inf, 1]])
def test_margin_refuses_a_box_without_area(box):
    with pytest.raises(GeometryError):
        geometry.matrix(Template(name="margin"), geometry.ARCFACE_52, np.array(box, np.float32))


# --- pixels ---------------------------------------------------------------------------------------------------------


def dots(points_N2, shape, sigma):
    """One soft white dot a point, drawn at its exact place."""
    light = np.zeros(shape, np.float32)
    reach = int(5 * sigma) + 2
    for px, py in points_N2:
        top, left = max(int(py) - reach, 0), max(int(px) - reach, 0)
        part = light[top : max(int(py) + reach, 0), left : max(int(px) + reach, 0)]
        y, x = np.mgrid[: part.shape[0], : part.shape[1]]
        part += np.exp(-((x + left - px) ** 2 + (y + top - py) ** 2) / (2 * sigma**2))
    return np.repeat(np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def found(chip, near_2, radius=8):
    """The centre of mass of the light near a point."""
    y, x = np.mgrid[: chip.shape[0], : chip.shape[1]]
    light = chip[..., 0] * ((x - near_2[0]) ** 2 + (y - near_2[1]) ** 2 < radius**2).astype(float)
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


@pytest.mark.parametrize("scale", [0.4, 0.9, 1.0, 1.5, 1.99, 2.0, 2.7, 3.0, 4.4, 7.9, 13.0])
@pytest.mark.parametrize("degrees", [0, 33])
def test_landmarks_land_on_the_template(scale, degrees):
    """``scale`` source pixels a chip pixel, below and above where blocks are averaged first."""
    half = int(110 * scale) + 40
    landmarks = similar(geometry.ARCFACE_52 - 56, scale, degrees, (half + 0.3, half - 0.2))
    picture = dots(landmarks, (2 * half, 2 * half), sigma=max(2.0 * scale, 1.2))
    chip = geometry.warp(picture, geometry.matrix(ARCFACE_112, landmarks, BOX_4), 112)
    for target in geometry.ARCFACE_52:
        assert np.abs(found(chip, target) - target).max() < 0.1


def test_same_size_upright_cut_is_exact():
    picture = np.random.default_rng(0).integers(0, 256, (200, 220, 3), dtype=np.uint8)
    chip = geometry.warp(picture, np.array([[1.0, 0, -30], [0, 1, -40]]), 112)
    assert (chip == picture[40:152, 30:142]).all()
    assert chip.flags.c_contiguous


@pytest.mark.parametrize("block", [2, 3, 8])
def test_whole_shrinks_are_plain_means(block):
    picture = np.random.default_rng(0).integers(0, 256, (64 * block, 70 * block, 3), dtype=np.uint8)
    shift = -(block - 1) / 2 / block
    chip = geometry.warp(picture, np.array([[1 / block, 0, shift], [0, 1 / block, shift]]), 32)
    # the first block lies where the region begins, at the picture's own corner
    want = picture[: 32 * block, : 32 * block].reshape(32, block, 32, block, 3).mean(axis=(1, 3))
    assert np.abs(chip - want).max() <= 1


def test_a_last_block_that_the_picture_fills_in_part():
    """Of 47 columns, blocks of 10 leave 7: that block is seven tenths picture and three tenths black, or edge."""
    picture = np.full((40, 47, 3), 200, np.uint8)
    matrix = np.array([[0.1, 0, -0.45], [0, 0.1, -0.45]])
    black, edge = (geometry.warp(picture, matrix, 16, outside=outside)[1, 3:6, 0] for outside in ("black", "edge"))
    assert np.abs(black - np.array([200, 140, 0.0])).max() <= 1
    assert edge.tolist() == [200, 200, 200]


def test_strong_shrinking_does_not_alias():
    """Noise of single pixels averages out over the 87 behind each pixel of the chip; bilinear sampling keeps it."""
    picture = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
    matrix = similar_matrix(1 / 9.3, 12, (20, -10))
    assert cv2.warpAffine(picture, matrix, (112, 112))[30:80, 30:80].std() > 40
    assert geometry.warp(picture, matrix, 112)[30:80, 30:80].std() < 10  # 74 / 9.3 = 8


@pytest.mark.parametrize("scale", [0.7, 1.3, 5.0])
def test_outside_is_black_or_the_edge(scale):
    picture = np.full((300, 300, 3), 200, np.uint8)
    matrix = np.array([[1 / scale, 0, 30.0], [0, 1 / scale, 0.0]])  # the picture begins 30 px into the chip
    chip = geometry.warp(picture, matrix, 40)
    assert (chip[:, :29] == 0).all() and (chip[2:38, 32:] == 200).all()
    assert (geometry.warp(picture, matrix, 40, outside="edge") == 200).all()


def test_a_face_half_outside_keeps_its_place():
    landmarks = similar(geometry.ARCFACE_52 - 56, 3.0, 10, (5.0, 180.0))
    picture = dots(landmarks, (360, 240), sigma=6)
    matrix = geometry.matrix(ARCFACE_112, landmarks, BOX_4)
    chip = geometry.warp(picture, matrix, 112)
    inside = 1  # the right eye
    assert np.abs(found(chip, geometry.ARCFACE_52[inside]) - geometry.ARCFACE_52[inside]).max() < 0.1
    assert (chip[20:90, :30] == 0).all()


def test_wholly_outside_is_black():
    picture = np.full((50, 50, 3), 200, np.uint8)
    for outside in ("black", "edge"):
        assert (geometry.warp(picture, np.array([[1.0, 0, 500], [0, 1, 0]]), 32, outside=outside) == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (20_000, 20), (20, 20_000)])
@pytest.mark.parametrize("scale", [0.2, 1.0, 40.0])
def test_odd_pictures(shape, scale):
    chip = geometry.warp(np.full((*shape, 3), 9, np.uint8), np.array([[1 / scale, 0, 0], [0, 1 / scale, 0]]), 64)
    assert chip.shape == (64, 64, 3)


def test_pictures_wider_than_opencv_can_warp():
    picture = np.full((40, 70_000, 3), 7, np.uint8)
    assert (geometry.warp(picture, np.array([[1.0, 0, -60_000], [0, 1, 0]]), 32) == 7).all()


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.full((2, 3), np.nan), np.array([[1.0, 1, 0], [1, 1, 0]])])
def test_a_matrix_without_inverse_is_refused(bad):
    with pytest.raises(GeometryError):
        geometry.warp(np.zeros((50, 50, 3), np.uint8), bad, 32)


@pytest.mark.parametrize("shift", [np.inf, np.nan])
def test_a_shift_that_is_not_finite_is_refused(shift):
    with pytest.raises(GeometryError):
        geometry.warp(np.zeros((50, 50, 3), np.uint8), np.array([[1.0, 0, shift], [0, 1, 0]]), 32)
