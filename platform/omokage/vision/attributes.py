"""Estimates of age and sex by two published models: what they see in a face, never what is true of a person.

They are only run where somebody asks for them: for an audit of people about whom nobody wrote down any group.

Shape key: N faces, C side of a chip, or classes of a model, 5 landmarks of 2 coordinates, 4 box corners x0 y0 x1 y1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage import weights
from omokage.vision import graph
from omokage.vision.crop import Crop
from omokage.vision.encoder import EncoderSpec
from omokage.vision.geometry import ARCFACE_52, GeometryError, Template
from omokage.vision.recut import ANY_BOX, Recut
from omokage.vision.runtimes import REFERENCE, Runtime, load

Face = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]
"""A chip, with the landmarks and the box of the face in the picture that the chip was cut out of."""

MEAN: Final = (122.781998 / 256, 117.000999 / 256, 104.297997 / 256)
"""Of red, green and blue, in the pictures that both models were trained on; values are divided by 256 first."""

AGE: Final = EncoderSpec(
    name="age",
    weights="age",
    licence=weights.ENTRIES["age"].licence,
    dim=81,
    input_size=64,
    colour="RGB",
    template="dlib",
    padding=0.2,
    scale=1 / 256,
    mean=MEAN,
)
"""81 shares, of the ages ``YEARS``."""

SEX: Final = EncoderSpec(
    name="gender",
    weights="gender",
    licence=weights.ENTRIES["gender"].licence,
    dim=2,
    input_size=32,
    colour="RGB",
    template="dlib",
    padding=0.2,
    scale=1 / 256,
    mean=MEAN,
)
"""Two shares, female and male: the model knows no other."""

YEARS: Final = np.array([0.25, *range(1, 81)])
"""The age that each class stands for."""

LIMITS: Final = (
    "Age and sex here are estimates by two small models (CC0, Cydral Technology), not facts: nobody was asked.",
    "The age model was trained on about 110,000 pictures and knows ages from 0 to 80; the sex model on about 200,000 "
    "pictures, and knows only female and male. Its authors tell 97.3 % right on LFW, whose people are mostly light-"
    "skinned adults in the press; who the other training pictures show, and how often the models are wrong about "
    "children, old people, dark skin, make-up, beards, veils or masks, is not published.",
    "On people drawn by this program, the only ones whose truth is known here, sex was right for 3 of 4 faces: 8 to 9 "
    "of 10 light-skinned and 6 of 10 dark-skinned ones; of people of whom the model was sure, for 17 of 20. The age "
    "hardly followed the drawn one (correlation 0.1 to 0.3). Drawings are no photographs, but do not expect wonders.",
    "Whoever looks alike to these models is put together: faces of such a group lie closer to each other, and match "
    "more often, than those of people who were put together by what is true of them. That such groups differ, in the "
    "sum of squares above all, may be no more than that.",
    "Errors of these models may go along with errors of the encoder: people in the wrong group make differences "
    "between true groups look smaller, or like something else.",
    "Use them to find where to look, and labels that people gave themselves to say what is so.",
)
"""What is known against the estimates; every report that uses them shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimates:
    """What the models see in faces."""

    years_N: NDArray[np.float64]
    """Mean of the ages by their shares, 0.25 to 80; NaN where a face could not be cut out."""
    female_N: NDArray[np.float64]
    """Share that the model gives to female, 0 to 1: no calibrated probability. NaN where it could not be cut out."""


class Attributes:
    """The two models, ready to run on a CPU on chips of one framing."""

    def __init__(self, chip: Template, threads: int = 1) -> None:
        """Load them; they are fetched if need be.

        Args:
            chip: How the chips frame a face.
            threads: Cores to keep busy.

        Raises:
            WeightsError: They cannot be had.
        """
        # Not the quickest on this machine, but always the same: an estimate near a limit must not change sides.
        self._age, self._sex = (
            _Model(spec, Recut(chip=chip, crop=Crop.of(spec)), load(REFERENCE, spec, threads=threads))
            for spec in (AGE, SEX)
        )

    def __call__(self, faces: Sequence[Face]) -> Estimates:
        """Return what the models see.

        Args:
            faces: RGB chips (C, C, 3), with the landmarks (5, 2) and the box (4,) of the face in its source's pixels.
        """
        return Estimates(years_N=self._age(faces) @ YEARS, female_N=self._sex(faces)[:, 0])

    @property
    def outside(self) -> float:
        """Share of what the models look at that chips do not show, of a face as it mostly is; in [0, 1]."""
        return self._age.recut.outside(self._age.recut.matrix(ARCFACE_52, ANY_BOX))

    def close(self) -> None:
        """Give back the models' threads."""
        self._age.runtime.close()
        self._sex.runtime.close()


class _Model:
    """One of them."""

    def __init__(self, spec: EncoderSpec, recut: Recut, runtime: Runtime) -> None:
        self.spec, self.recut, self.runtime = spec, recut, runtime

    def __call__(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        """Return the shares for each face; NaN where it cannot be cut out. Shape (N, C)."""
        share_NC = np.full((len(faces), self.spec.dim), np.nan)
        crops, row = [], []
        for number, (chip_CC3, landmarks_52, box_4) in enumerate(faces):
            try:
                crops.append(self.recut(chip_CC3, landmarks_52, box_4))
                row.append(number)
            except GeometryError:
                continue
        if crops:
            share_NC[row] = self.runtime(graph.prepare(self.spec, np.stack(crops)))
        return share_NC
