"""What a detector is told, and what it answers.

Shape key: F faces of one picture.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError

Name = Literal["mediapipe", "mediapipe-tasks", "yunet"]


class Faces(NamedTuple):
    """The faces of one picture, best score first; ties from left to right, then from top to bottom.

    The centre of a picture's first pixel is (0, 0). A face that the picture's edge cuts may have a box and
    landmarks that lie partly outside.
    """

    box_F4: NDArray[np.float32]
    """x0 y0 x1 y1 in pixels of the picture: the upright box that just holds forehead, chin and cheeks. YuNet sees a
    little more of the forehead than MediaPipe; their boxes overlap by 0.8 (IoU)."""

    landmarks_F52: NDArray[np.float32]
    """Left eye, right eye, nose tip, left and right mouth corner as seen in the picture; x y in its pixels."""

    score_F: NDArray[np.float32]
    """How sure the detector is, in [0, 1]. Scores of different detectors do not compare."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectConfig:
    """How faces are found."""

    name: Name = "mediapipe"
    """Which detector. ``mediapipe`` has the more exact landmarks and finds faces from 1/16 of the longer side,
    ``yunet`` from 1/40; ``mediapipe-tasks`` is the first one's reference."""

    min_score: float = 0.5
    """Faces of a lower score are not reported; in (0, 1)."""

    min_side: int = 24
    """Shorter side of the smallest box that is of use, in pixels. Detectors report smaller faces too."""

    threads: int = 1
    """Processor threads of one detector, at least 1."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where the network runs; only ``yunet`` can run on ``cuda``."""

    def __post_init__(self) -> None:
        """Reject what no worker could run."""
        if not 0 < self.min_score < 1:
            raise ConfigError(f"detect.min_score must lie between 0 and 1, got {self.min_score}")
        if self.min_side < 1:
            raise ConfigError(f"detect.min_side must be at least 1 pixel, got {self.min_side}")
        if self.threads < 1:
            raise ConfigError(f"detect.threads must be at least 1, got {self.threads}")
        if self.device != "cpu" and self.name != "yunet":
            raise ConfigError(f"detect.device must be 'cpu' for {self.name!r}; only 'yunet' runs on {self.device!r}")


def ranked(box_F4: NDArray[np.floating], landmarks_F52: NDArray[np.floating], score_F: NDArray[np.floating]) -> Faces:
    """Return the faces in the order that ``Faces`` promises, as float32. Any of them may be empty."""
    box_F4 = np.asarray(box_F4, np.float32).reshape(-1, 4)
    landmarks_F52 = np.asarray(landmarks_F52, np.float32).reshape(-1, 5, 2)
    score_F = np.asarray(score_F, np.float32).reshape(-1)
    order_F = np.lexsort((box_F4[:, 1], box_F4[:, 0], -score_F))
    return Faces(box_F4[order_F], landmarks_F52[order_F], score_F[order_F])
