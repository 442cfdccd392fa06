"""Which faces of a picture are taken, and what a dataset tells of that.

No Ray: a command that looks at two pictures must not wait for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from omokage import weights
from omokage.stages.align import AlignConfig
from omokage.stages.decode import DecodeConfig
from omokage.stages.detect import DetectStageConfig, Keep
from omokage.stages.look import LookConfig
from omokage.vision.crop import Crop
from omokage.vision.detector import WEIGHTS
from omokage.vision.faces import DetectConfig, Name
from omokage.vision.geometry import Template


@dataclass(frozen=True, kw_only=True, slots=True)
class FacesConfig:
    """Which faces of which pictures are taken."""

    detector: Name = "mediapipe"
    """What finds faces."""
    min_score: float = 0.5
    """Faces with a lower detector score do not count; in (0, 1)."""
    min_side: int = 24
    """Faces with a shorter side than this, in pixels, do not count."""
    detect_on: Literal["cpu", "cuda"] = "cpu"
    """Where the detector runs; only yunet can run on a card, which it then shares with the encoder."""
    faces: Keep = "largest"
    """Of several faces in a picture of somebody: take the largest, all, or refuse the picture (one)."""
    max_pixels: int = 178_000_000
    """A picture with more pixels is refused before it is decoded."""

    @property
    def weights(self) -> tuple[str, ...]:
        """Model files that the detector opens."""
        return WEIGHTS[self.detector]

    def licences(self) -> dict[str, str]:
        """Return the licence of each of them."""
        return {name: weights.entry(name).licence for name in self.weights}

    @classmethod
    def of_recipe(cls, recipe: Mapping[str, Any]) -> "FacesConfig":
        """Return the settings that a dataset's recipe tells by its ``detector``."""
        return cls(detector=recipe["name"], min_score=recipe["min_score"], min_side=recipe["min_side"])

    def recipe(self) -> dict[str, Any]:
        """Return what decides which faces there are, as a dataset's recipe tells it."""
        return {
            "name": self.detector,
            "weights": {name: weights.entry(name).sha256 for name in self.weights},
            "min_score": self.min_score,
            "min_side": self.min_side,
        }

    def look(self, chip: Template, crop: Crop | None) -> LookConfig:
        """Return the settings of the looking stage that cuts ``chip`` and ``crop``."""
        return LookConfig(
            decode=DecodeConfig(max_pixels=self.max_pixels),
            detect=DetectStageConfig(
                detector=DetectConfig(
                    name=self.detector, min_score=self.min_score, min_side=self.min_side, device=self.detect_on
                ),
                faces=self.faces,
            ),
            align=AlignConfig(chip=chip, crop=crop),
        )
