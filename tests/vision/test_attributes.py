"""Estimates of age and sex are those of the models by another way, and what a chip lacks is known."""

import numpy as np
import onnxruntime
import pytest
from drawn_faces import portraits
from numpy.typing import NDArray

from omokage import weights
from omokage.synth import people
from omokage.vision import geometry
from omokage.vision.attributes import LIMITS, YEARS, Attributes, Face
from omokage.vision.geometry import Template

PADDED = Template(name="dlib", size=224, padding=0.2)


def chips(template: Template, count: int = 8) -> list[Face]:
    """Return drawn faces as chips, with landmarks and box in their pictures."""
    found = []
    for drawn in portraits(320, count):
        landmarks_52 = np.asarray(drawn.landmarks, np.float32)
        box_4 = np.concatenate([landmarks_52.min(0) - 40, landmarks_52.max(0) + 40]).astype(np.float32)
        found.append((geometry.cut(template, drawn.picture, landmarks_52, box_4), landmarks_52, box_4))
    return found


def shares(name: str, crop_HH3: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the file gives for a crop, as those who made it say that it is to be fed."""
    session = onnxruntime.InferenceSession(str(weights.path(name)), providers=["CPUExecutionProvider"])
    planes_3HH = (crop_HH3.astype(np.float64) - (122.781998, 117.000999, 104.297997)).transpose(2, 0, 1) / 256
    return session.run(["probabilities"], {"images": planes_3HH[None].astype(np.float32)})[0][0]


def test_estimates_are_those_of_the_files() -> None:
    faces = chips(PADDED, 4)
    models = Attributes(PADDED)
    found = models(faces)
    models.close()
    for row, (chip, *_) in enumerate(faces):
        # the same framing: what the models see is the chip, smaller
        small = [geometry.warp(chip, np.array([[s, 0, 0.0], [0, s, 0]]), n, "edge") for s, n in SIZES]
        assert found.years_N[row] == pytest.approx(shares("age", small[0]) @ YEARS, abs=1e-3)
        assert found.female_N[row] == pytest.approx(shares("gender", small[1])[0], abs=1e-4)
    assert models.outside < 1e-6


SIZES = ((64 / 224, 64), (32 / 224, 32))


def test_a_chip_of_another_framing_gives_nearly_the_same_and_what_it_lacks_is_told() -> None:
    wanted = Attributes(PADDED)(chips(PADDED))
    wide = Template(name="arcface", size=448, padding=0.5)
    found = Attributes(wide)(chips(wide))
    assert Attributes(wide).outside < 0.01
    assert np.corrcoef(found.female_N, wanted.female_N)[0, 1] > 0.8
    assert np.abs(found.years_N - wanted.years_N).mean() < 2
    tight = Template(name="dlib", size=224, padding=0)
    assert Attributes(tight).outside == pytest.approx(1 - 1 / 1.4**2, abs=0.02)


def test_a_face_that_cannot_be_cut_has_no_estimate() -> None:
    wide = Template(name="arcface", size=224)
    (chip, landmarks_52, box_4), good = chips(wide, 2)
    found = Attributes(wide)([(chip, np.zeros_like(landmarks_52), box_4), good])
    assert np.isnan(found.years_N[0]) and np.isnan(found.female_N[0])
    assert 0 <= found.female_N[1] <= 1 and 0 <= found.years_N[1] <= 80
    assert len(Attributes(wide)([]).years_N) == 0


def test_the_limits_are_told() -> None:
    assert "estimates" in LIMITS[0] and people.SEXES == ("female", "male")
