"""Faces that could not be used, counted as errors: a system that drops hard pictures must not look better for it.

A picture in which no face was found or encoded fails every comparison: its pairs of one person are non-matches, its
pairs of different people do not match either.

Source:
    ISO/IEC 19795-1: failure to acquire, FRR = FTA + FNMR (1 - FTA) and FAR = FMR (1 - FTA), here counted by pair, since
    failures of one person come together.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from omokage.evaluate.pairs import possible
from omokage.evaluate.verification import Verification


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
    return Failures(
        tried=len(label_A),
        failed=len(label_A) - len(np.asarray(label_N)),
        genuine=genuine,
        impostor=impostor,
        points=tuple(points),
    )
