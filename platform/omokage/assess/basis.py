"""What answers rest on, as every report of verify and identify tells it.

Shape key: F faces of a picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.assess.calibrated import Standard
from omokage.sheet.words import visible

WORDS: Final[Mapping[str, str]] = {
    "none_found": "no face was found",
    "too_small": "every face is too small",
    "unreadable": "it cannot be opened",
    "not_a_picture": "it is no picture",
    "empty": "the file is empty",
    "truncated": "the file ends too early",
    "undecodable": "it cannot be decoded",
    "too_many_pixels": "it has too many pixels",
}
"""Why a picture gives no face (``schema.Reason``), for a person; others are told as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Basis:
    """Encoder, detector and calibration. Plain values."""

    encoder: dict[str, Any]
    """As a dataset's recipe has it: name, sha256, …"""
    detector: str
    runtime: str
    """What ran the encoder."""
    calibration: dict[str, Any] | None
    """Thresholds, and on whom they were found; None where there are none, so that every answer is "cannot say"."""
    lacking: str
    """Why there is no calibration; empty where there is one."""
    told: str
    """The same for a person."""
    licences: dict[str, str]
    """Of the model files used."""
    warnings: tuple[str, ...]

    @classmethod
    def of(
        cls,
        encoder: dict[str, Any],
        detector: Mapping[str, Any],
        runtime: str,
        standard: Standard,
        licences: dict[str, str],
    ) -> "Basis":
        """Return what answers by ``standard`` rest on.

        Args:
            encoder: In the words of a recipe.
            detector: Likewise.
            runtime: What ran the encoder.
            standard: What similarities are held against.
            licences: Of the model files used.
        """
        warnings = []
        made = standard.made
        if made is not None:
            if made.detector is not None and made.detector != dict(detector):
                warnings.append(
                    f"the threshold was found on faces that {made.detector['name']} found, with other settings than "
                    f"{detector['name']} here: they are cut a little otherwise"
                )
            warnings += [f"of the calibration: {remark}" for remark in made.remarks]
        return cls(
            encoder=encoder,
            detector=detector["name"],
            runtime=runtime,
            calibration=standard.plain(),
            lacking=standard.lacking,
            told=standard.text(),
            licences=licences,
            warnings=tuple(warnings),
        )

    def lines(self) -> list[str]:
        """Return the basis for a person."""
        return [
            f"Encoder {self.encoder['name']} on {self.runtime}, detector {self.detector}",
            self.told,
            *(f"  {name}: {licence}" for name, licence in self.licences.items()),
            *(f"Note: {visible(warning)}" for warning in self.warnings),
        ]


@dataclass(frozen=True, slots=True)
class FaceSeen:
    """A face in a picture."""

    number: int
    """From 1, from left to right."""
    box: tuple[float, ...]
    """x0 y0 x1 y1 in px."""
    score: float
    """Of the detector, in [0, 1]."""

    def text(self) -> str:
        """Return the face for a person."""
        return f"face {self.number} at {' '.join(f'{x:.0f}' for x in self.box)}"


def faces_seen(box_F4: NDArray[np.float32], score_F: NDArray[np.float32]) -> tuple[FaceSeen, ...]:
    """Return faces as they are told, numbered in their order.

    Args:
        box_F4: x0 y0 x1 y1 in px, from left to right. Shape (F, 4).
        score_F: Of the detector, in [0, 1]. Shape (F,).
    """
    faces = zip(box_F4.tolist(), score_F.tolist(), strict=True)
    return tuple(
        FaceSeen(number, tuple(round(x, 1) for x in box), round(score, 4))
        for number, (box, score) in enumerate(faces, 1)
    )


def why_none(reason: str) -> str:
    """Return for a person why a picture gives no face."""
    return WORDS.get(reason, reason.replace("_", " "))
