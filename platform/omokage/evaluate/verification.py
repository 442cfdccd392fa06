"""1:1 verification: how well similarity parts pairs of one person from pairs of different people.

All unordered pairs of faces are counted, exactly at the operating points, in memory that does not grow with them.
Two faces match where their similarity is at or above the threshold.

Shape key: N faces, E numbers of an embedding, K steps of similarity, from the highest down.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.evaluate import pairs
from omokage.evaluate.expected import expected
from omokage.evaluate.pairs import BINS, SHIFT, Faces, Steps, edge

FMRS: Final = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

SHOWN: Final = 10
"""Pairs of different people that must match by mistake at a rate for the data to show it: with ten, the standard error
is a third of the rate, were the pairs independent."""

ALL_BY_CELL: Final = 1 << 19
"""So many pairs are all counted by cell; of more, only those near the operating points."""

CURVE: Final = 2000
"""Most points of a curve."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoint:
    """What a threshold does that keeps the false match rate at or below a stated one. Never interpolated."""

    fmr: float
    """Share of pairs of different people that may match, as asked for."""
    tar: float | None
    """Share of pairs of one person that match: 1 - FNMR. None where there are too few impostor pairs."""
    threshold: float | None
    """The lowest similarity that keeps the rate; above 1 where not even equal vectors may match."""
    counted_fmr: float | None
    """The rate that it has in these pairs; at most ``fmr``."""

    def text(self) -> str:
        """Return the point for a person."""
        if self.tar is None:
            return f"TAR at FMR {self.fmr:g}: too few impostor pairs; {math.ceil(SHOWN / self.fmr):,} would show it"
        return f"TAR at FMR {self.fmr:g}: {self.tar:.4f}, threshold {self.threshold:.4f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """How well one person's pairs are told from different people's. Plain values, so that a report can hold it."""

    faces: int
    people: int
    genuine: int
    """Pairs of one person."""
    impostor: int
    """Pairs of different people."""
    auc: float
    """Chance that a pair of one person is more alike than a pair of different people; ties count half."""
    auc_error: float
    """By how much ``auc`` can be wrong at most because similarities were counted by bin; 0 where by cell."""
    eer: float
    """Where FMR and FNMR are equal, on straight lines between the points of the ROC."""
    eer_threshold: float
    points: tuple[OperatingPoint, ...]
    """The highest rate first."""
    roc: tuple[tuple[float, float, float], ...]
    """Threshold, FMR and TAR from the highest threshold down, (0, 0) and (1, 1) included; at most ``CURVE``."""

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Verification":
        """Return the result that ``dataclasses.asdict`` and JSON have made plain values of."""
        points = tuple(OperatingPoint(**point) for point in values["points"])
        return cls(**{**values, "points": points, "roc": tuple(tuple(row) for row in values["roc"])})

    def tar_at(self, fmr: float) -> float | None:
        """Return the true accept rate at a rate that was asked for; None where it cannot be shown."""
        for point in self.points:
            if math.isclose(point.fmr, fmr, rel_tol=1e-6):
                return point.tar
        raise KeyError(fmr)

    def metrics(self) -> dict[str, float]:
        """Return the figures by name, those that the data do not show left out."""
        shown = {tar_name(point.fmr): point.tar for point in self.points if point.tar is not None}
        return {"auc": self.auc, "eer": self.eer, **shown}

    def text(self) -> str:
        """Return the figures for a person."""
        head = f"{self.faces:,} faces of {self.people:,} people: {self.genuine:,} genuine, {self.impostor:,} impostor"
        return "\n".join(
            [f"{head} pairs", f"AUC {self.auc:.5f}, EER {self.eer:.4f}", *(point.text() for point in self.points)]
        )


def tar_name(fmr: float) -> str:
    """Return the name of the true accept rate at a false match rate: ``tar_at_fmr_1e-3``."""
    return f"tar_at_fmr_{fmr:.0e}".replace("e-0", "e-")


def threshold_name(fmr: float) -> str:
    """Return the name of the threshold at a false match rate: ``threshold_at_fmr_1e-3``."""
    return tar_name(fmr).replace("tar", "threshold")


def fmr_name(fmr: float) -> str:
    """Return the name of the false match rate that such a threshold has: ``fmr_at_threshold_of_fmr_1e-3``."""
    return tar_name(fmr).replace("tar_at", "fmr_at_threshold_of")


def can_show(rate: float, count: int) -> bool:
    """Return whether so many comparisons show a rate of errors: ``SHOWN`` of them would be errors."""
    return rate * count >= SHOWN * (1 - 1e-9)


def verification(
    embedding_NE: Any, label_N: Any, fmrs: Sequence[float] = FMRS, threads: int | None = None
) -> Verification:
    """Return how well all unordered pairs of faces are told apart.

    Args:
        embedding_NE: Unit vectors, of numpy or torch, float32. Shape (N, E).
        label_N: Whose face each is, whole numbers. Shape (N,).
        fmrs: False match rates, in (0, 1).
        threads: To work on; all cores by default.

    Raises:
        ConfigError: A rate is out of range.
        DatasetError: There is only one person, no pair of one person, or what are no unit vectors.

    Source:
        ISO/IEC 19795-1:2021: false match rate, false non-match rate, equal error rate.
    """
    return counted(embedding_NE, label_N, fmrs, threads)[0]


def counted(
    embedding_NE: Any, label_N: Any, fmrs: Sequence[float] = FMRS, threads: int | None = None
) -> tuple[Verification, Steps]:
    """Return what ``verification`` does, and the counts that it was read from, for precision and recall."""
    wrong = [rate for rate in fmrs if not 0 < rate < 1]
    if wrong:
        raise ConfigError(f"a false match rate must lie between 0 and 1, got {wrong[0]}")
    faces = pairs.by_person(embedding_NE, label_N)
    fmrs = sorted(fmrs, reverse=True)
    shown = [rate for rate in fmrs if can_show(rate, faces.pairs - faces.genuine)]
    if faces.pairs <= ALL_BY_CELL:
        steps = pairs.count(faces, np.ones(BINS, bool), threads).steps()
    else:
        steps = _steps(faces, shown, threads)
    return read(steps, len(faces.person_N), int(faces.person_N[-1]) + 1, fmrs), steps


def _steps(faces: Faces, fmrs: Sequence[float], threads: int | None) -> Steps:
    """Return the steps of all pairs, by cell only where the operating points are."""
    expected_B = expected(faces, fmrs, threads)
    counts = pairs.count(faces, expected_B, threads)
    point_B = _points(counts.steps(np.zeros(BINS, bool)), fmrs)
    if (point_B & ~expected_B).any():  # the sample was wrong about where the points are; now that is known
        counts = pairs.count(faces, point_B, threads)
    return counts.steps(point_B)


def _points(steps: Steps, fmrs: Sequence[float]) -> NDArray[np.bool_]:
    """Return the bins that hold an operating point, or the threshold of equal errors."""
    impostor_K, genuine_K = np.cumsum(steps.impostor_K), np.cumsum(steps.genuine_K)
    at = [cut_at(impostor_K, rate) for rate in fmrs] + [_equal(impostor_K, genuine_K)]
    point_B = np.zeros(BINS, bool)
    point_B[steps.low_K[at] >> SHIFT] = True
    return point_B


def cut_at(impostor_K: NDArray[np.int64], fmr: float) -> int:
    """Return the first step that may not match.

    Args:
        impostor_K: Pairs of different people down to each step.
        fmr: That may not be exceeded.
    """
    # 0.29 * 100 is 28.999…
    may = math.floor(fmr * int(impostor_K[-1]) + 1e-9)
    return int(np.searchsorted(impostor_K, may, side="right"))


def _equal(impostor_K: NDArray[np.int64], genuine_K: NDArray[np.int64]) -> int:
    """Return the first step with which the false match rate reaches the false non-match rate."""
    return int(np.argmax(impostor_K / impostor_K[-1] >= 1 - genuine_K / genuine_K[-1]))


def read(steps: Steps, faces: int, people: int, fmrs: Sequence[float]) -> Verification:
    """Return the figures that counts of pairs tell.

    Args:
        steps: Pairs by similarity; counted by cell where the operating points are.
        faces: That the pairs are of.
        people: Likewise.
        fmrs: False match rates, the highest first.
    """
    impostor_K, genuine_K = np.cumsum(steps.impostor_K), np.cumsum(steps.genuine_K)
    impostors, genuines = int(impostor_K[-1]), int(genuine_K[-1])
    tied = float(np.sum(steps.genuine_K / genuines * (steps.impostor_K / impostors) * (steps.cells_K > 1)))
    eer, eer_threshold = equal_error(steps, impostor_K, genuine_K)
    points = [
        point_at(steps, impostor_K, genuine_K, rate)
        if can_show(rate, impostors)
        else OperatingPoint(fmr=rate, tar=None, threshold=None, counted_fmr=None)
        for rate in fmrs
    ]
    return Verification(
        faces=faces,
        people=people,
        genuine=genuines,
        impostor=impostors,
        auc=auc(steps, genuine_K),
        auc_error=tied / 2,
        eer=eer,
        eer_threshold=eer_threshold,
        points=tuple(points),
        roc=_roc(steps, impostor_K, genuine_K),
    )


def auc(steps: Steps, genuine_K: NDArray[np.int64]) -> float:
    """Return the chance that a genuine pair is the more alike; pairs of one step count half.

    Args:
        steps: Pairs by similarity.
        genuine_K: Pairs of one person down to each step.
    """
    impostors, genuines = int(steps.impostor_K.sum()), int(genuine_K[-1])
    return float(np.sum((genuine_K - steps.genuine_K / 2) * (steps.impostor_K / impostors)) / genuines)


def point_at(steps: Steps, impostor_K: NDArray[np.int64], genuine_K: NDArray[np.int64], fmr: float) -> OperatingPoint:
    """Return what the lowest threshold does that keeps a rate; sums are of pairs down to each step."""
    cut = cut_at(impostor_K, fmr)
    false, true = (int(sum_K[cut - 1]) if cut else 0 for sum_K in (impostor_K, genuine_K))
    return OperatingPoint(
        fmr=fmr,
        tar=true / int(genuine_K[-1]),
        threshold=edge(int(steps.low_K[cut]) + 1),
        counted_fmr=false / int(impostor_K[-1]),
    )


def equal_error(steps: Steps, impostor_K: NDArray[np.int64], genuine_K: NDArray[np.int64]) -> tuple[float, float]:
    """Return the equal error rate and its threshold; sums are of pairs down to each step."""
    at = _equal(impostor_K, genuine_K)
    fmr, fnmr = impostor_K[at] / impostor_K[-1], 1 - genuine_K[at] / genuine_K[-1]
    before, fnmr_before = fmr - steps.impostor_K[at] / impostor_K[-1], fnmr + steps.genuine_K[at] / genuine_K[-1]
    # FNMR - FMR falls from a value above 0 to one at or below it along this step
    along = (fnmr_before - before) / ((fnmr_before - before) - (fnmr - fmr))
    return float(before + along * (fmr - before)), edge(int(steps.low_K[at]))


def _roc(
    steps: Steps, impostor_K: NDArray[np.int64], genuine_K: NDArray[np.int64]
) -> tuple[tuple[float, float, float], ...]:
    """Return points of the ROC: spread evenly over both rates, and over the logarithms of what is near to 0 or 1."""
    fmr_K, tar_K = impostor_K / impostor_K[-1], genuine_K / genuine_K[-1]
    part = CURVE // 5 - 1
    few = np.geomspace(1 / impostor_K[-1], 1, part)
    k = np.concatenate(
        [
            np.searchsorted(fmr_K, np.linspace(0, 1, part)),
            np.searchsorted(fmr_K, few),
            np.searchsorted(fmr_K, 1 - few),
            np.searchsorted(tar_K, np.linspace(0, 1, part)),
            np.searchsorted(tar_K, 1 - np.geomspace(1 / genuine_K[-1], 1, part)),
            [len(fmr_K) - 1],
        ]
    )
    k = np.unique(np.minimum(k, len(fmr_K) - 1))
    rows = zip(steps.low_K[k].tolist(), fmr_K[k].tolist(), tar_K[k].tolist(), strict=True)
    first = (edge(int(steps.low_K[0] + steps.cells_K[0])), 0.0, 0.0)
    return (first, *((edge(cell), fmr, tar) for cell, fmr, tar in rows))
