"""Drawn pictures to compare, and a folder of weights whose calibrations are the test's own."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage import weights
from omokage.synth.portrait import portrait

SEED = 3
SIDE = 160


def drawn(person: int, shot: int) -> NDArray[np.uint8]:
    """Return a picture of somebody. BGR."""
    return cv2.cvtColor(portrait(SEED, person, shot, SIDE).picture, cv2.COLOR_RGB2BGR)


def saved(file: Path, picture: NDArray[np.uint8]) -> Path:
    """Write a picture, under any name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return file


def group(*people: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture of several people, from left to right."""
    return np.hstack([drawn(person, shot) for person, shot in people])


def own_weights(folder: Path) -> Path:
    """Return a folder that has the usual weights, and no calibration."""
    folder.mkdir()
    for name in ("sface", "mediapipe-full-range", "mediapipe-landmarker"):
        file = weights.path(name)
        (folder / file.name).symlink_to(file)
    return folder
