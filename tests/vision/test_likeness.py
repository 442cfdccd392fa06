import functools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from omokage.synth import portrait
from omokage.synth.scene import Pose
from omokage.vision import codec, geometry
from omokage.vision.codec import PictureError
from omokage.vision.geometry import Template
from omokage.vision.likeness import SAME_SHOT, SIDE, Look, compare, pixels_alike, try_look

Picture = NDArray[np.uint8]
PEOPLE = 4
BOX_4 = np.array([0, 0, 1, 1])  # the template does not look at it


@functools.cache
def shot(person: int, number: int = 0, turned: float = 0.0) -> portrait.Drawn:
    drawn = portrait.draw_shot(3, person, number, 320)
    if not turned:
        return drawn
    pose = Pose(drawn.pose.yaw + turned, drawn.pose.pitch, drawn.pose.roll)
    return portrait.draw_shot(3, person, number, 320, pose=pose)


def chip(picture: Picture, landmarks_52: NDArray[np.float32], *, seed: int = 0, slip: float = 0.0) -> bytes:
    """Return the chip of a face whose landmarks were found with an error of ``slip`` px."""
    found_52 = landmarks_52 + slip * np.random.default_rng(seed).standard_normal((5, 2))
    template = Template(name="arcface", size=224)
    return codec.encode_jpeg(geometry.warp(picture, geometry.matrix(template, found_52, BOX_4), template.size))


def original(person: int, number: int = 0) -> bytes:
    return chip(shot(person, number).picture, shot(person, number).seen.landmarks)


def saved(picture: Picture, quality: int) -> Picture:
    return codec.decode(codec.encode_jpeg(picture, quality))


def again(kind: str, drawn: portrait.Drawn, seed: int = 1) -> bytes:
    if kind == "resized":
        drawn = portrait.shrink(drawn, 0.5)
    if kind == "cropped":
        drawn = portrait.crop(drawn, 0.8)
    slip = 2.0 * drawn.picture.shape[0] / 320
    return chip(saved(drawn.picture, 45), drawn.seen.landmarks, seed=seed, slip=slip)


@pytest.mark.parametrize("kind", ["reencoded", "resized", "cropped"])
def test_a_shot_saved_again_is_the_same_shot(kind: str) -> None:
    for person in range(PEOPLE):
        found = compare(Look(original(person)), Look(again(kind, shot(person), seed=person)))
        assert found.pixels >= SAME_SHOT, (person, found)
        assert found.motion < 0.02, (person, found)


@pytest.mark.parametrize("degrees", [2.0, -4.0])
def test_a_head_turned_a_little_is_another_shot(degrees: float) -> None:
    for person in range(PEOPLE):
        later = shot(person, 0, degrees)
        found = compare(Look(original(person)), Look(chip(later.picture, later.seen.landmarks)))
        assert found.pixels < SAME_SHOT, (person, found)
        assert found.motion > 0.05, (person, found)


def test_other_photos_and_other_people_are_far_off() -> None:
    looks = [Look(original(person, number)) for person in range(3) for number in range(2)]
    for a, one in enumerate(looks):
        for other in looks[:a]:
            assert compare(one, other).pixels < 0.5


def test_closed_lids_are_another_shot() -> None:
    for person in range(PEOPLE):
        drawn = shot(person)
        picture = drawn.picture.copy()
        for x, y in drawn.seen.landmarks[:2].round().astype(int).tolist():  # a patch of cheek over each eye
            patch = picture[y + 20 : y + 32, x - 12 : x + 12]
            picture[y - 6 : y + 6, x - 12 : x + 12] = patch
        found = compare(Look(original(person)), Look(chip(picture, drawn.seen.landmarks)))
        assert found.pixels < SAME_SHOT, (person, found)


def test_neither_order_nor_size_of_chips_matters() -> None:
    one, other = original(0), again("resized", shot(0))
    assert pixels_alike(one, other) == pixels_alike(other, one)
    half = codec.encode_jpeg(np.asarray(cv2.resize(codec.decode(other), (SIDE, SIDE)), np.uint8))
    assert pixels_alike(one, half) >= SAME_SHOT
    assert pixels_alike(one, one) == 1.0


@pytest.mark.parametrize(("turn", "scale", "shift"), [(8, 1.0, (0, 0)), (0, 1.12, (0, 0)), (-4, 0.92, (6, -5))])
def test_an_alignment_that_slipped_is_undone(turn: float, scale: float, shift: tuple[float, float]) -> None:
    for person in range(PEOPLE):
        drawn = shot(person)
        matrix_23 = geometry.matrix(Template(name="arcface", size=224), drawn.seen.landmarks, BOX_4)
        slipped_33 = np.vstack([cv2.getRotationMatrix2D((111.5, 111.5), turn, scale), [0, 0, 1]])
        slipped_33[:2, 2] += shift
        moved = (slipped_33 @ np.vstack([matrix_23, [0, 0, 1]]))[:2]
        slipped = codec.encode_jpeg(geometry.warp(drawn.picture, moved, 224))
        assert pixels_alike(original(person), slipped) >= SAME_SHOT, person


def test_brightness_and_contrast_do_not_count() -> None:
    for person in range(PEOPLE):
        picture = codec.decode(original(person)).astype(np.float32)
        darker = codec.encode_jpeg((0.7 * picture + 10).astype(np.uint8))
        assert pixels_alike(original(person), darker) >= SAME_SHOT


def test_black_beyond_the_pictures_edge_does_not_count() -> None:
    for person in range(PEOPLE):
        cut = codec.decode(original(person))
        cut[:, :50] = 0
        assert pixels_alike(original(person), codec.encode_jpeg(cut)) >= SAME_SHOT, person


def test_chips_without_anything_in_them() -> None:
    flat = codec.encode_jpeg(np.full((112, 112, 3), 128, np.uint8))
    black = codec.encode_jpeg(np.zeros((112, 112, 3), np.uint8))
    noise = codec.encode_jpeg(np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8))
    for one in (flat, black, noise):
        for other in (original(0), noise if one is not noise else flat):
            assert -1 <= pixels_alike(one, other) < SAME_SHOT
    for broken in (b"", b"no picture", original(0)[:200]):
        assert try_look(broken) is None
        with pytest.raises(PictureError):
            pixels_alike(broken, flat)
