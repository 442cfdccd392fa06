"""Pictures to faces: the interface, and the choice by name.

A detector's runtime is imported when that detector is chosen and not before: each of them costs seconds or
memory, and ``mediapipe`` also starts to report its use to its maker.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.vision.faces import DetectConfig, Faces, Name

__all__ = ["DETECTORS", "WEIGHTS", "DetectConfig", "Detector", "Faces", "load"]


class Detector(Protocol):
    """Finds faces. Not for use by several threads at once, nor to be pickled: build one in each worker."""

    @property
    def name(self) -> str:
        """Name in ``DETECTORS``."""
        ...

    @property
    def weights(self) -> tuple[str, ...]:
        """Entries of ``omokage.weights`` that it runs."""
        ...

    def __call__(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Faces]:
        """Return the faces of every picture, in the pictures' order.

        Args:
            pictures: RGB, each of shape (H, W, 3), sizes may differ.
        """
        ...


def _mediapipe(config: DetectConfig) -> Detector:
    from omokage.vision.mediapipe_litert import MediapipeLitert

    return MediapipeLitert(config)


def _mediapipe_tasks(config: DetectConfig) -> Detector:
    from omokage.vision.mediapipe_tasks import MediapipeTasks

    return MediapipeTasks(config)


def _yunet(config: DetectConfig) -> Detector:
    from omokage.vision.yunet import YuNet

    return YuNet(config)


DETECTORS: Final[dict[Name, Callable[[DetectConfig], Detector]]] = {
    "mediapipe": _mediapipe,
    "mediapipe-tasks": _mediapipe_tasks,
    "yunet": _yunet,
}


WEIGHTS: Final[dict[Name, tuple[str, ...]]] = {
    "mediapipe": ("mediapipe-full-range", "mediapipe-landmarker"),
    "mediapipe-tasks": ("mediapipe-full-range", "mediapipe-landmarker"),
    "yunet": ("yunet",),
}
"""Entries of ``omokage.weights`` that each one opens; to know them, no detector need be built."""


def load(config: DetectConfig) -> Detector:
    """Return the detector that ``config`` names; its weights are fetched if they are not there yet.

    Raises:
        ConfigError: No detector has this name.
        WeightsError: The weights cannot be had.
    """
    if config.name not in DETECTORS:
        raise ConfigError(f"no detector is called {config.name!r}; known: {', '.join(DETECTORS)}")
    return DETECTORS[config.name](config)
