"""Faces that could not be used, counted as errors: a system that drops hard pictures must not look better for it.

A picture in which no face was found or encoded fails every comparison: its pairs of one person are non-matches, its
pairs of different people do not match either.

Source:
    ISO/IEC 19795-1: failure to acquire, FRR = FTA + FNMR (1 - FTA) and FAR = FMR (1 - FTA), here counted by pair, since
    failures of one person come together.

Shape key: A pictures, failed ones too, F failed ones, U units of people drawn together, R draws.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omokage.evaluate.pairs import possible
from omokage.evaluate.verification import Verification, tar_name


@dataclass(frozen=True, kw_only=True, slots=True)
class FailurePoint:
    """Rates at one threshold, with and without the faces that failed."""

    fmr: float
    """As asked for, among faces that could be compared."""
    threshold: float
    fnmr: float
    """Among faces that could be compared."""
    frr: float
    """With failures as errors."""
    far: float
    """With failures: pairs of different people that match, of all that were tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """Error rates with failures to enrol counted."""

    tried: int
    """Pictures of known people."""
    failed: int
    genuine: int
    """Pairs of one person, failures included."""
    impostor: int
    points: tuple[FailurePoint, ...]

    def json(self) -> str:
        """Return the rates as one JSON object."""
        return json.dumps(asdict(self))

    def text(self) -> str:
        """Return the rates for a person."""
        lines = [f"{self.failed:,} of {self.tried:,} pictures gave no face that could be compared"]
        lines += [
            f"at FMR {point.fmr:g}: FNMR {point.fnmr:.4f}, with failures FRR {point.frr:.4f}, FAR {point.far:.2e}"
            for point in self.points
        ]
        return "\n".join(lines)


def with_failures(found: Verification, label_N: Any, failed_label_F: Any) -> Failures:
    """Return the figures as they are, and with pictures that failed counted as errors.

    Args:
        found: In the faces that could be compared.
        label_N: Whose these are. Shape (N,).
        failed_label_F: Whose picture each failure is, also of people who have no other. Shape (F,).
    """
    label_A = np.concatenate([np.asarray(label_N), np.asarray(failed_label_F, np.asarray(label_N).dtype)])
    genuine, impostor = possible(label_A)
    pictures = len(label_A), len(label_A) - len(np.asarray(label_N))
    return among_tried(found, genuine, impostor, pictures)


def among_tried(found: Verification, genuine: int, impostor: int, pictures: tuple[int, int]) -> Failures:
    """Return the figures as they are, and among all pairs that were tried: those that could not be do not match.

    Args:
        found: In the pairs that could be compared.
        genuine: Pairs of one person that were tried.
        impostor: Pairs of different people likewise.
        pictures: That were tried, and how many of them gave no face.
    """
    points = [
        FailurePoint(
            fmr=point.fmr,
            threshold=point.threshold,
            fnmr=1 - point.tar,
            frr=1 - point.tar * found.genuine / genuine,
            far=point.counted_fmr * found.impostor / impostor,
        )
        for point in found.points
        if point.tar is not None and point.threshold is not None and point.counted_fmr is not None
    ]
    tried, failed = pictures
    return Failures(tried=tried, failed=failed, genuine=genuine, impostor=impostor, points=tuple(points))


@dataclass(frozen=True)
class Tried:
    """Pairs of pictures, failed ones too, in every draw of people."""

    genuine_R: NDArray[np.float64]
    impostor_R: NDArray[np.float64]

    @classmethod
    def of(cls, unit_P: NDArray[np.int64], person_A: NDArray[np.int64], weight_RU: NDArray[np.float32]) -> "Tried":
        """Return how many pairs there are; copies of a unit that is drawn several times make none with each other.

        Args:
            unit_P: Of every person, also of those none of whose pictures gave a face.
            person_A: Whose picture each is.
            weight_RU: How often each unit is drawn.
        """
        size_P = np.bincount(person_A, minlength=len(unit_P)).astype(np.float64)
        units = weight_RU.shape[1]
        size_U = np.bincount(unit_P, size_P, units)
        genuine_U = np.bincount(unit_P, size_P * (size_P - 1) / 2, units)
        within_U = size_U * (size_U - 1) / 2 - genuine_U
        often_RU = weight_RU.astype(np.float64)
        genuine_R: NDArray[np.float64] = often_RU @ genuine_U
        between_R: NDArray[np.float64] = ((often_RU @ size_U) ** 2 - often_RU**2 @ size_U**2) / 2
        return cls(genuine_R, between_R + often_RU @ within_U)


def frr_name(fmr: float) -> str:
    """Return the name of the false reject rate, failures counted, at a false match rate: ``frr_at_fmr_1e-3``."""
    return tar_name(fmr).replace("tar", "frr")


def far_name(fmr: float) -> str:
    """Return the name of the false accept rate of such a threshold: ``far_at_threshold_of_fmr_1e-3``."""
    return tar_name(fmr).replace("tar_at", "far_at_threshold_of")
