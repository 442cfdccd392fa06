"""1:N identification: who is found in a gallery, and how often somebody is found who is not in it.

Closed set: among probes whose person is enrolled, how often the person is among the first ranks (CMC).
Open set: at a threshold, FPIR is the share of probes of strangers that find anybody, FNIR the share of probes of
enrolled people that do not find the person among the first ``within`` ranks at or above the threshold. DIR is 1 - FNIR.

Source:
    ISO/IEC 19795-1 and NIST FRTE 1:N: FNIR(N, R, T) and FPIR(N, T); the DIR curve as P. J. Phillips, P. Grother and
    R. Micheals, "Evaluation Methods in Face Recognition", Handbook of Face Recognition, 2011.

Shape key: Q probes, U probes of strangers, M mated probes, R draws, K thresholds.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.evaluate.bootstrap import BootstrapConfig, interval
from omokage.evaluate.interval import Interval
from omokage.evaluate.search import Searches
from omokage.evaluate.verification import SHOWN, can_show

FPIRS: Final = (0.1, 0.03, 0.01, 0.003, 0.001)

RANKS: Final = 50

RANK_ONE: Final = "rank_1"
"""Name of the share of first ranks among draws."""

CURVE: Final = 500
"""Most points of a DIR curve."""

DRAWN: Final = 10_000_000
"""Weights of probes that are held at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenPoint:
    """What the lowest threshold does that keeps the false positive identification rate."""

    fpir: float
    """As asked for."""
    fnir: Interval | None
    """None where there are too few probes of strangers."""
    threshold: float | None
    """A score at or above it is a candidate; just above the best score that must not be one."""
    counted_fpir: float | None
    """The rate that it has with these probes; at most ``fpir``."""

    def text(self) -> str:
        """Return the point for a person."""
        if self.fnir is None:
            return (
                f"FNIR at FPIR {self.fpir:g}: too few strangers; {math.ceil(SHOWN / self.fpir):,} probes would show it"
            )
        return f"FNIR at FPIR {self.fpir:g}: {self.fnir.text()}, threshold {self.threshold:.4f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identification:
    """How well people are found in one gallery. Plain values, so that a report can hold it."""

    size: int
    """People enrolled."""
    faces: int
    """Enrolled."""
    mated: int
    """Probes of enrolled people."""
    mated_people: int
    strangers: int
    """Probes of people who are not enrolled."""
    stranger_people: int
    failed: int
    """Mated searches whose picture gave no face: misses at every rank and threshold."""
    within: int
    """Ranks in which the person must be, for FNIR."""
    rank_one: Interval | None
    """None where nobody who is searched for is enrolled."""
    cmc: tuple[float, ...]
    """Share of mated probes whose person is within rank 1, 2, …"""
    points: tuple[OpenPoint, ...]
    """The highest rate first."""
    dir_curve: tuple[tuple[float, float, float], ...]
    """Threshold, FPIR, DIR, from the highest threshold down; empty without strangers or mated probes."""

    def json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(asdict(self))

    def text(self) -> str:
        """Return the figures for a person."""
        lines = [
            f"{self.size:,} people enrolled with {self.faces:,} faces; {self.mated:,} probes of {self.mated_people:,} "
            f"of them, {self.strangers:,} probes of {self.stranger_people:,} strangers"
        ]
        if self.failed:
            lines.append(f"{self.failed:,} of the probes of people enrolled gave no face, and count as misses")
        if self.rank_one is None:
            lines.append("rank 1: no probe shows anybody who is enrolled")
        else:
            ranks = [rank for rank in (5, 10, 20, 50) if rank <= len(self.cmc)]
            lines.append(f"rank 1: {self.rank_one.text()}")
            lines += [f"rank {rank}: {self.cmc[rank - 1]:.4f}" for rank in ranks]
        return "\n".join([*lines, *(point.text() for point in self.points)])


def identification(
    found: Searches,
    fpirs: Sequence[float] = FPIRS,
    *,
    within: int = 1,
    failed_person_F: Sequence[int] | NDArray[np.int64] = (),
    bootstrap: BootstrapConfig | None = None,
) -> Identification:
    """Return the figures of searches, with intervals over the people searched for; the gallery stays as it is.

    Args:
        found: What was found.
        fpirs: False positive identification rates, in (0, 1).
        within: Ranks in which a person must be found.
        failed_person_F: For each picture of an enrolled person that gave no face to search with, whose it is: numbers
            as in ``found.person_Q``, or others for people with no other probe. They count as misses.
        bootstrap: How intervals are made.

    Raises:
        ConfigError: A rate is out of range, or ``within`` is deeper than was looked.
    """
    return drawn(found, fpirs, within=within, failed_person_F=failed_person_F, bootstrap=bootstrap)[0]


def drawn(
    found: Searches,
    fpirs: Sequence[float] = FPIRS,
    *,
    within: int = 1,
    failed_person_F: Sequence[int] | NDArray[np.int64] = (),
    bootstrap: BootstrapConfig | None = None,
) -> tuple[Identification, dict[str, NDArray[np.float64]]]:
    """Return what ``identification`` does, and the draws of its intervals, by figure: ``rank_1``, ``fnir_at_fpir_…``.

    Two encoders' draws can be paired where the same probes were searched for: each draw drew the same people.
    """
    wrong = [rate for rate in fpirs if not 0 < rate < 1]
    if wrong:
        raise ConfigError(f"a false positive identification rate must lie between 0 and 1, got {wrong[0]}")
    if not 1 <= within <= found.deepest:
        raise ConfigError(f"within must lie in 1 to {found.deepest}, the deepest rank that was looked at, got {within}")
    sides = _Sides(found, np.asarray(failed_person_F, np.int64), within, bootstrap or BootstrapConfig())
    ranks = np.arange(1, min(RANKS, found.deepest) + 1)
    hits = np.searchsorted(np.sort(sides.rank_M), ranks, side="right")
    mated = len(sides.rank_M)
    told = Identification(
        size=found.size,
        faces=found.faces,
        mated=mated,
        mated_people=len(np.unique(sides.mated_person_M)),
        strangers=len(sides.top_U),
        stranger_people=len(np.unique(sides.stranger_U)),
        failed=len(failed_person_F),
        within=within,
        rank_one=sides.rank_one() if mated else None,
        cmc=tuple((hits / mated).tolist()) if mated else (),
        points=tuple(sides.point(rate) for rate in sorted(fpirs, reverse=True)),
        dir_curve=sides.curve() if mated and len(sides.top_U) else (),
    )
    return told, sides.draws


def fnir_name(fpir: float) -> str:
    """Return the name of the false negative identification rate at a false positive one: ``fnir_at_fpir_1e-2``."""
    return f"fnir_at_fpir_{fpir:.0e}".replace("e-0", "e-")


class _Sides:
    """Probes of enrolled people, and probes of strangers, by falling score; and how often each is drawn."""

    def __init__(self, found: Searches, failed_F: NDArray[np.int64], within: int, config: BootstrapConfig) -> None:
        self.config = config
        self.draws: dict[str, NDArray[np.float64]] = {}
        mated_Q, failed = found.mated_Q, len(failed_F)
        rank_M = np.concatenate([found.rank_Q[mated_Q], np.full(failed, np.iinfo(np.int64).max)])
        score_M = np.concatenate([found.mate_Q[mated_Q], np.full(failed, -np.inf, np.float32)])
        # a mate that is not within the ranks is not found at any threshold
        score_M = np.where(rank_M <= within, score_M, -np.inf)
        order_M = np.argsort(-score_M, kind="stable")
        self.rank_M, self.score_M = rank_M[order_M], score_M[order_M]
        self.mated_person_M = np.concatenate([found.person_Q[mated_Q], failed_F])[order_M]
        order_U = np.argsort(-found.top_Q[~mated_Q], kind="stable")
        self.top_U, self.stranger_U = found.top_Q[~mated_Q][order_U], found.person_Q[~mated_Q][order_U]

    def rank_one(self) -> Interval:
        """Return the share of first ranks."""
        hit_M = self.rank_M == 1
        parts = [weight_RM[:, hit_M].sum(1) / weight_RM.sum(1) for weight_RM in self._drawn(self.mated_person_M)]
        self.draws[RANK_ONE] = np.concatenate(parts)
        return interval(float(hit_M.mean()), self.draws[RANK_ONE], self.config)

    def point(self, fpir: float) -> OpenPoint:
        """Return the figures at a rate; in each draw strangers choose the threshold and enrolled people the misses."""
        if not len(self.score_M) or not can_show(fpir, len(self.top_U)):
            return OpenPoint(fpir=fpir, fnir=None, threshold=None, counted_fpir=None)
        floor = self.top_U[self._cut(np.ones((1, len(self.top_U)), np.float32), fpir)[0]]
        floor_R = self.top_U[np.concatenate([self._cut(part, fpir) for part in self._drawn(self.stranger_U)])]
        # as many mates are found as score above the floor, not at it
        found_R = np.searchsorted(-self.score_M, -floor_R, side="left")
        miss, start = [], 0
        for weight_RM in self._drawn(self.mated_person_M):
            part_R = found_R[start : start + len(weight_RM)]
            sum_RM = np.cumsum(weight_RM, axis=1, dtype=np.float64)
            hit_R = np.where(part_R > 0, sum_RM[np.arange(len(part_R)), part_R - 1], 0)
            miss.append(1 - hit_R / sum_RM[:, -1])
            start += len(part_R)
        self.draws[fnir_name(fpir)] = np.concatenate(miss)
        return OpenPoint(
            fpir=fpir,
            fnir=interval(float(1 - np.mean(self.score_M > floor)), self.draws[fnir_name(fpir)], self.config),
            threshold=float(np.nextafter(floor, np.float32(2))),
            counted_fpir=float(np.mean(self.top_U > floor)),
        )

    def _cut(self, weight_RU: NDArray[np.float32], fpir: float) -> NDArray[np.int64]:
        """Return, for each draw, the first of strangers' falling scores that must not be a candidate."""
        sum_RU = np.cumsum(weight_RU, axis=1, dtype=np.float64)
        may_R1 = np.floor(fpir * sum_RU[:, -1:] + 1e-9)
        cut_R: NDArray[np.int64] = np.minimum((sum_RU <= may_R1).sum(1), len(self.top_U) - 1)
        return cut_R

    def _drawn(self, person_X: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        """Yield how often each probe is drawn, people being drawn, for some draws at a time. Shape (R, X)."""
        name_P, person_X = np.unique(person_X, return_inverse=True)
        rng = np.random.default_rng([self.config.seed, len(name_P), len(person_X)])
        left = self.config.replicates
        while left:
            part = min(left, max(1, DRAWN // len(person_X)))
            left -= part
            share_P = np.full(len(name_P), 1 / len(name_P))
            yield rng.multinomial(len(name_P), share_P, part).astype(np.float32)[:, person_X]

    def curve(self) -> tuple[tuple[float, float, float], ...]:
        """Return the DIR curve, spread evenly over FPIR and its logarithm."""
        threshold_K = np.unique(self.top_U)[::-1]
        fpir_K = np.searchsorted(-self.top_U, -threshold_K, side="right") / len(self.top_U)
        dir_K = np.searchsorted(-self.score_M, -threshold_K, side="right") / len(self.score_M)
        k = np.searchsorted(
            fpir_K, np.concatenate([np.linspace(0, 1, CURVE // 2), np.geomspace(fpir_K[0], 1, CURVE // 2)])
        )
        k = np.unique(np.minimum(k, len(fpir_K) - 1))
        above = float(np.nextafter(self.top_U[0], np.float32(2)))
        rows = zip(threshold_K[k].tolist(), fpir_K[k].tolist(), dir_K[k].tolist(), strict=True)
        return ((above, 0.0, float(np.mean(self.score_M >= above))), *rows)
