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

TOLD: Final = (5, 10, 20, 50)
"""Ranks whose share has an interval, beside the first."""

RANK_ONE: Final = "rank_1"
"""Name of the share of first ranks among draws."""

CURVE: Final = 500
"""Most points of a DIR curve."""

DRAWN: Final = 10_000_000
"""Weights of probes that are held at once."""

LOOKED: Final = 1.5
"""Times the share of strangers that may be mistaken: so many of the most similar are looked at first in every draw."""


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
    ranks: tuple[tuple[int, Interval], ...]
    """Share within some of the further ranks that were looked at."""
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
            lines += [f"rank {rank}: {told.text()}" for rank, told in ((1, self.rank_one), *self.ranks)]
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
        mated_people=len(sides.mated),
        strangers=len(sides.top_U),
        stranger_people=len(sides.strangers),
        failed=len(failed_person_F),
        within=within,
        rank_one=sides.within(1, RANK_ONE) if mated else None,
        ranks=tuple((rank, sides.within(rank)) for rank in TOLD if rank <= len(ranks)) if mated else (),
        cmc=tuple((hits / mated).tolist()) if mated else (),
        points=tuple(sides.point(rate) for rate in sorted(fpirs, reverse=True)),
        dir_curve=sides.curve() if mated and len(sides.top_U) else (),
    )
    return told, sides.draws


def fnir_name(fpir: float) -> str:
    """Return the name of the false negative identification rate at a false positive one: ``fnir_at_fpir_1e-2``."""
    return f"fnir_at_fpir_{fpir:.0e}".replace("e-0", "e-")


class _Probes:
    """Whose some probes are, and how often each is drawn, people being drawn."""

    def __init__(self, person_X: NDArray[np.int64]) -> None:
        """Take people by any numbers."""
        name_P, self.person_X = np.unique(person_X, return_inverse=True)
        self.people = len(name_P)

    def __len__(self) -> int:
        """Return how many people there are."""
        return self.people

    def drawn(self, config: BootstrapConfig) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Yield how often each person is drawn, and how many probes that makes, for some draws at a time."""
        rng = np.random.default_rng([config.seed, self.people, len(self.person_X)])
        probes_P = np.bincount(self.person_X, minlength=self.people)
        left = config.replicates
        while left:
            part = min(left, max(1, DRAWN // len(self.person_X)))
            left -= part
            weight_RP = rng.multinomial(self.people, np.full(self.people, 1 / self.people), part).astype(np.float64)
            yield weight_RP, weight_RP @ probes_P

    def first(self, count_R: NDArray[np.int64], weight_RP: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how many probes each draw makes of the first so many."""
        probes_P, done = np.zeros(self.people), 0
        sum_R = np.empty(len(count_R))
        for draw in np.argsort(count_R):  # each takes up where the one with fewer ended
            probes_P += np.bincount(self.person_X[done : count_R[draw]], minlength=self.people)
            done = count_R[draw]
            sum_R[draw] = weight_RP[draw] @ probes_P
        return sum_R


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
        self.mated = _Probes(np.concatenate([found.person_Q[mated_Q], failed_F])[order_M])
        order_U = np.argsort(-found.top_Q[~mated_Q], kind="stable")
        self.top_U = found.top_Q[~mated_Q][order_U]
        self.strangers = _Probes(found.person_Q[~mated_Q][order_U])

    def within(self, rank: int, name: str = "") -> Interval:
        """Return the share of probes whose person is within a rank; draws are kept under a name, if there is one."""
        hit_M = self.rank_M <= rank
        draw_R = np.concatenate(
            [
                weight_RP @ np.bincount(self.mated.person_X[hit_M], minlength=len(self.mated)) / all_R
                for weight_RP, all_R in self.mated.drawn(self.config)
            ]
        )
        self.draws |= {name: draw_R} if name else {}
        return interval(float(hit_M.mean()), draw_R, self.config)

    def point(self, fpir: float) -> OpenPoint:
        """Return the figures at a rate; in each draw strangers choose the threshold and enrolled people the misses."""
        if not len(self.score_M) or not can_show(fpir, len(self.top_U)):
            return OpenPoint(fpir=fpir, fnir=None, threshold=None, counted_fpir=None)
        floor = self.top_U[min(int(fpir * len(self.top_U) + 1e-9), len(self.top_U) - 1)]
        floor_R = self.top_U[np.concatenate([self._cut(fpir, *part) for part in self.strangers.drawn(self.config)])]
        # as many mates are found as score above the floor, not at it
        found_R = np.searchsorted(-self.score_M, -floor_R, side="left")
        miss, start = [], 0
        for weight_RP, all_R in self.mated.drawn(self.config):
            miss.append(1 - self.mated.first(found_R[start : start + len(all_R)], weight_RP) / all_R)
            start += len(all_R)
        self.draws[fnir_name(fpir)] = np.concatenate(miss)
        return OpenPoint(
            fpir=fpir,
            fnir=interval(float(1 - np.mean(self.score_M > floor)), self.draws[fnir_name(fpir)], self.config),
            threshold=float(np.nextafter(floor, np.float32(2))),
            counted_fpir=float(np.mean(self.top_U > floor)),
        )

    def _cut(self, fpir: float, weight_RP: NDArray[np.float64], all_R: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return, for each draw, the first of strangers' falling scores that must not be a candidate."""
        may_R1 = np.floor(fpir * all_R + 1e-9)[:, None]
        looked = int(LOOKED * fpir * len(self.top_U)) + 1  # it lies among the first, most often
        while True:
            sum_RU = np.cumsum(weight_RP[:, self.strangers.person_X[:looked]], axis=1)
            if looked >= len(self.top_U) or (sum_RU[:, -1:] > may_R1).all():
                break
            looked *= 2
        cut_R: NDArray[np.int64] = np.minimum((sum_RU <= may_R1).sum(1), len(self.top_U) - 1)
        return cut_R

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
