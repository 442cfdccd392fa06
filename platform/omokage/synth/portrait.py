"""A picture of one person: a random shot, its background, and what the camera adds.

Everything follows from (seed, person, shot, size): same numbers, same pixels.
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage.synth import people, scene
from omokage.synth.scene import Pose, Shot
from omokage.synth.shade import Light

FloatArray = NDArray[np.float32]
Picture = NDArray[np.uint8]

LIGHTS: Final = (
    Light(name="front", direction=(0.1, 0.35, 1.0), key=(0.74, 0.72, 0.70), ambient=(0.40, 0.40, 0.42)),
    Light(name="left", direction=(-0.9, 0.45, 0.7), key=(0.92, 0.89, 0.84), ambient=(0.32, 0.33, 0.36)),
    Light(name="right", direction=(0.9, 0.45, 0.7), key=(0.92, 0.89, 0.84), ambient=(0.32, 0.33, 0.36)),
    Light(name="top", direction=(0.1, 1.3, 0.8), key=(0.95, 0.93, 0.90), ambient=(0.36, 0.37, 0.40)),
    Light(name="overcast", direction=(0.0, 0.8, 0.8), key=(0.30, 0.31, 0.33), ambient=(0.66, 0.68, 0.72)),
    Light(name="evening", direction=(0.7, 0.2, 0.8), key=(0.95, 0.72, 0.48), ambient=(0.30, 0.27, 0.28)),
    Light(name="window", direction=(-0.8, 0.3, 0.8), key=(0.72, 0.82, 0.95), ambient=(0.30, 0.32, 0.36)),
    Light(name="dim", direction=(0.3, 0.6, 0.9), key=(0.34, 0.31, 0.27), ambient=(0.17, 0.16, 0.16)),
)

EXPRESSIONS: Final[dict[str, tuple[tuple[str, float], ...]]] = {
    "neutral": (),
    "smile": (("mouthSmileLeft", 0.6), ("mouthSmileRight", 0.6), ("cheekSquintLeft", 0.3), ("cheekSquintRight", 0.3)),
    "laugh": (
        ("mouthSmileLeft", 0.7),
        ("mouthSmileRight", 0.7),
        ("jawOpen", 0.25),
        ("eyeSquintLeft", 0.4),
        ("eyeSquintRight", 0.4),
    ),
    "talk": (("jawOpen", 0.22), ("mouthFunnel", 0.2)),
    "frown": (("browDownLeft", 0.6), ("browDownRight", 0.6), ("mouthFrownLeft", 0.4), ("mouthFrownRight", 0.4)),
    "surprise": (
        ("browInnerUp", 0.7),
        ("browOuterUpLeft", 0.5),
        ("browOuterUpRight", 0.5),
        ("eyeWideLeft", 0.5),
        ("eyeWideRight", 0.5),
        ("jawOpen", 0.2),
    ),
    "squint": (("eyeSquintLeft", 0.7), ("eyeSquintRight", 0.7), ("eyeBlinkLeft", 0.2), ("eyeBlinkRight", 0.2)),
}

SUPERSAMPLE_BELOW: Final = 320
"""Pictures smaller than this are drawn at twice the size and averaged down: it is cheap there, and shows most."""


class Portrait(NamedTuple):
    """A drawn picture and the truth about it."""

    picture: Picture
    """RGB, (size, size, 3)."""
    landmarks: FloatArray
    """The five points in px, (5, 2)."""
    pose: Pose
    """Degrees."""


class Drawn(NamedTuple):
    """A drawn picture and the whole truth about it."""

    picture: Picture
    seen: scene.Seen
    pose: Pose
    expression: str
    light: str


def portrait(seed: int, person: int, shot: int, size: int, *, pose: Pose | None = None) -> Portrait:
    """Return picture ``shot`` of a person.

    Args:
        seed: Of the whole population.
        person: Number of the person, 0 or more.
        shot: Number of the picture, 0 or more.
        size: Side of the picture in px.
        pose: Takes the place of the random pose; nothing else changes.
    """
    drawn = draw_shot(seed, person, shot, size, pose=pose)
    return Portrait(drawn.picture, drawn.seen.landmarks, drawn.pose)


def draw_shot(seed: int, person: int, shot: int, size: int, *, pose: Pose | None = None) -> Drawn:
    """Return picture ``shot`` of a person with all that is known of it; arguments as in ``portrait``."""
    rng = np.random.default_rng([seed, person, 3, shot])
    drawn_pose = _pose(rng)
    pose = pose or drawn_pose
    light = LIGHTS[int(rng.integers(len(LIGHTS)))]
    name = list(EXPRESSIONS)[int(rng.choice(len(EXPRESSIONS), p=(0.4, 0.2, 0.08, 0.12, 0.08, 0.05, 0.07)))]
    strength = float(rng.uniform(0.6, 1.0))
    share = float(rng.uniform(0.42, 0.72))  # of the picture's height that a head of usual size takes
    place = (rng.uniform(0.42, 0.58), rng.uniform(0.40, 0.50))
    gaze = (float(rng.normal(0, 6)), float(rng.normal(0, 4)))
    distance = float(rng.uniform(6.5, 16.0))
    times = 2 if size < SUPERSAMPLE_BELOW else 1
    big = size * times
    canvas = background(rng, big)
    seen = scene.paint(
        canvas,
        people.person(seed, person),
        Shot(
            pose=pose,
            centre=(place[0] * big - 0.5, place[1] * big - 0.5),
            scale=big * share / 2.4,
            distance=distance,
            expression=tuple((unit, weight * strength) for unit, weight in EXPRESSIONS[name]),
            gaze=gaze,
            light=light,
        ),
    )
    if times > 1:
        canvas = np.asarray(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        seen = _scaled(seen, np.float32(1 / times))
    return Drawn(_camera(rng, canvas), seen, pose, name, light.name)


def group(seed: int, people_numbers: tuple[int, ...], shot: int, size: int) -> list[Drawn]:
    """Return one picture of several people, once for each of them; the first stands nearest.

    Args:
        seed: Of the whole population.
        people_numbers: Who, 2 to 4 of them.
        shot: Number of the picture.
        size: Side of the picture in px.
    """
    rng = np.random.default_rng([seed, people_numbers[0], 7, shot])
    canvas = background(rng, size)
    light = LIGHTS[int(rng.integers(len(LIGHTS)))]
    names = [list(EXPRESSIONS)[int(rng.integers(len(EXPRESSIONS)))] for _ in people_numbers]
    poses = [Pose(*(round(float(a), 2) for a in rng.normal(0, (10, 5, 4)).clip(-25, 25))) for _ in people_numbers]
    column = rng.permutation(len(people_numbers))
    pitch = size / len(people_numbers)  # px from one to the next
    seen: dict[int, scene.Seen] = {}
    for place in reversed(range(len(people_numbers))):
        nearness = 1.15 if place == 0 else float(rng.uniform(0.8, 0.95))
        scale = pitch / 2.2 * nearness
        centre = (
            pitch * (column[place] + 0.5),
            size * (0.40 + 0.05 * len(people_numbers)) + scale * rng.uniform(-0.25, 0.25),
        )
        seen[place] = scene.paint(
            canvas,
            people.person(seed, people_numbers[place]),
            Shot(
                pose=poses[place],
                centre=(float(centre[0]), float(centre[1])),
                scale=scale,
                distance=12.0,
                expression=EXPRESSIONS[names[place]],
                light=light,
            ),
        )
    picture = _camera(rng, canvas)
    return [Drawn(picture, seen[place], poses[place], names[place], light.name) for place in range(len(people_numbers))]


def crop(drawn: Drawn, share: float) -> Drawn:
    """Return the middle of a picture, ``share`` of its side, with the truth moved along."""
    size = drawn.picture.shape[0]
    cut = round(size * (1 - share) / 2)
    picture = np.ascontiguousarray(drawn.picture[cut : size - cut, cut : size - cut])
    seen = scene.Seen(landmarks=drawn.seen.landmarks - cut, box=drawn.seen.box - cut)
    return drawn._replace(picture=picture, seen=seen)


def shrink(drawn: Drawn, share: float) -> Drawn:
    """Return a picture at ``share`` of its side, with the truth moved along."""
    size = max(1, round(drawn.picture.shape[0] * share))
    factor = np.float32(size / drawn.picture.shape[0])
    picture = np.asarray(cv2.resize(drawn.picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    return drawn._replace(picture=picture, seen=_scaled(drawn.seen, factor))


def _scaled(seen: scene.Seen, factor: np.float32) -> scene.Seen:
    # the centre of the first pixel is (0, 0) at either size
    half = np.float32(0.5)
    return scene.Seen(landmarks=(seen.landmarks + half) * factor - half, box=(seen.box + half) * factor - half)


def background(rng: np.random.Generator, size: int) -> Picture:
    """Return something out of focus that is no face: a gradient with spots and bars, (size, size, 3) RGB."""
    side = 96
    corner_223 = rng.uniform(25, 230, (2, 2, 3)).astype(np.float32)
    corner_223 = 0.4 * corner_223 + 0.2 * corner_223.mean((0, 1)) + 0.4 * corner_223.mean(2, keepdims=True)
    small = cv2.resize(corner_223, (side, side), interpolation=cv2.INTER_LINEAR)
    for _ in range(int(rng.integers(0, 9))):
        grey = rng.uniform(20, 235)
        colour = tuple(float(grey + value) for value in rng.uniform(-45, 45, 3))
        x, y = (int(value) for value in rng.integers(0, side, 2))
        if rng.random() < 0.5:
            cv2.circle(small, (x, y), int(rng.integers(3, 22)), colour, -1)
        else:
            cv2.rectangle(small, (x, y), (x + int(rng.integers(3, 50)), y + int(rng.integers(10, 90))), colour, -1)
    small = cv2.GaussianBlur(small, (0, 0), float(rng.uniform(0.8, 4.0)))
    return np.asarray(np.clip(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), 0, 255), np.uint8)


def _pose(rng: np.random.Generator) -> Pose:
    wide = rng.random() < 0.25
    yaw = rng.uniform(-45, 45) if wide else rng.normal(0, 14)
    return Pose(
        round(float(np.clip(yaw, -45, 45)), 2),
        round(float(np.clip(rng.normal(0, 7), -20, 20)), 2),
        round(float(np.clip(rng.normal(0, 6), -25, 25)), 2),
    )


def _camera(rng: np.random.Generator, picture: Picture) -> Picture:
    """Return the picture with a little blur, noise, and uneven exposure."""
    size = picture.shape[0]
    blur = float(rng.uniform(0.0, 0.9)) * size / 640
    gain = float(rng.uniform(0.85, 1.12))
    noise = float(rng.uniform(0.5, 4.0))
    if blur > 0.25:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.uint8)
    grain = rng.standard_normal((size, size, 1), dtype=np.float32) * np.float32(noise)
    return np.clip(picture * np.float32(gain) + grain, 0, 255).astype(np.uint8)
