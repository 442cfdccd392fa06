"""1:1 verification of pairs that somebody listed, and how far its figures can be trusted.

People are drawn anew, as for all pairs: a pair of two people counts as often as both were drawn, one of a person as
often as the person was. All pairs are held, so that every draw is counted exactly.

Shape key: N faces, E numbers of an embedding, L pairs, K steps of similarity from the highest down, P people, R draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import verification as figures
from omokage.evaluate.bootstrap import FNMR, MISSED, BootstrapConfig, Intervals, draw, interval, key_of
from omokage.evaluate.failures import FailurePoint, Failures
from omokage.evaluate.folds import steps_of
from omokage.evaluate.pairs import Steps, edge, rounded
from omokage.evaluate.verification import FMRS, OperatingPoint, Verification, fmr_name, tar_name, threshold_name

Ints = NDArray[np.int64]

BLOCK: Final = 8192
"""Pairs whose vectors are in hand."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of faces."""

    a_L: Ints
    """Row of a face."""
    b_L: Ints
    same_L: NDArray[np.bool_]
    """The pair is of one person."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.a_L)

    def scores(self, vector_NE: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how alike each pair is, in [-1, 1]. Shape (L,)."""
        parts = [
            np.einsum("le,le->l", vector_NE[self.a_L[rows]], vector_NE[self.b_L[rows]], dtype=np.float64)
            for rows in (slice(start, start + BLOCK) for start in range(0, len(self), BLOCK))
        ]
        score_L: NDArray[np.float32] = np.clip(np.concatenate([np.zeros(0), *parts]), -1, 1).astype(np.float32)
        return score_L


def verification(
    pairs: Pairs, score_L: NDArray[np.float32], label_N: Ints, fmrs: Sequence[float] = FMRS
) -> tuple[Verification, Steps]:
    """Return how well listed pairs are told apart, and the counts that it was read from.

    Args:
        pairs: That were compared.
        score_L: How alike each is.
        label_N: Whose face each is. Shape (N,).
        fmrs: False match rates, in (0, 1).

    Raises:
        ConfigError: A rate is out of range.
        DatasetError: There is no pair of one person, or none of different people.
    """
    wrong = [rate for rate in fmrs if not 0 < rate < 1]
    if wrong:
        raise ConfigError(f"a false match rate must lie between 0 and 1, got {wrong[0]}")
    genuine = int(pairs.same_L.sum())
    if not genuine or genuine == len(pairs):
        raise DatasetError(
            f"the list has {genuine:,} pairs of one person and {len(pairs) - genuine:,} of different people that can "
            "be compared: both kinds are needed"
        )
    steps = steps_of(score_L, pairs.same_L)
    row_n = np.unique(np.concatenate([pairs.a_L, pairs.b_L]))
    people = len(np.unique(label_N[row_n]))
    return figures.read(steps, len(row_n), people, sorted(fmrs, reverse=True)), steps


def intervals(
    pairs: Pairs,
    score_L: NDArray[np.float32],
    label_N: Ints,
    found: Verification,
    config: BootstrapConfig | None = None,
) -> Intervals:
    """Return the intervals of what ``verification`` found in the same pairs; the same figures as for all pairs."""
    config = config or BootstrapConfig()
    person_L2 = np.stack([label_N[pairs.a_L], label_N[pairs.b_L]], 1)
    name_P, place = np.unique(person_L2, return_inverse=True)
    place_L2 = place.reshape(person_L2.shape)
    base = steps_of(score_L, pairs.same_L)
    step_L = np.searchsorted(-base.low_K, -rounded(score_L.copy()))
    names = _names(found)
    told: dict[str, list[float]] = {name: [] for name in names}
    drawn = _Drawn(base, step_L, pairs.same_L, found)
    for weight_P in draw(len(name_P), config):
        # a pair of one person must not count as often as the person was drawn twice over
        weight_L = np.where(pairs.same_L, 1, weight_P[place_L2[:, 1]]) * weight_P[place_L2[:, 0]]
        for name, value in drawn.figures(weight_L).items():
            told[name].append(value)
    values = drawn.figures(np.ones(len(pairs), np.float32))
    draws = {name: np.array(value_R) for name, value_R in told.items()}
    return Intervals(
        people=len(name_P),
        units=len(name_P),
        config=config,
        key=key_of(name_P.tolist(), config),
        figures={name: interval(values[name], draws[name], config) for name in names},
        draws=draws,
    )


def failures(found: Verification, genuine: int, impostor: int, pictures: tuple[int, int]) -> Failures:
    """Return error rates with listed pairs counted that could not be compared: they do not match.

    Args:
        found: In the pairs that could be compared.
        genuine: Pairs of one person that could not be compared, for want of a face.
        impostor: Likewise of different people.
        pictures: That are listed, and how many of them gave no face.
    """
    points = [
        FailurePoint(
            fmr=point.fmr,
            threshold=point.threshold,
            fnmr=1 - point.tar,
            frr=1 - point.tar * found.genuine / (found.genuine + genuine),
            far=point.counted_fmr * found.impostor / (found.impostor + impostor),
        )
        for point in found.points
        if point.tar is not None and point.threshold is not None and point.counted_fmr is not None
    ]
    return Failures(
        tried=pictures[0],
        failed=pictures[1],
        genuine=found.genuine + genuine,
        impostor=found.impostor + impostor,
        points=tuple(points),
    )


class _Drawn:
    """Figures of listed pairs, each counted so many times."""

    def __init__(self, base: Steps, step_L: Ints, same_L: NDArray[np.bool_], found: Verification) -> None:
        self.base, self.found = base, found
        self.genuine_G, self.impostor_I = step_L[same_L], step_L[~same_L]
        self.same_L = same_L

    def figures(self, weight_L: NDArray[np.float32]) -> dict[str, float]:
        """Return the figures by name; NaN where no pair of a kind was drawn."""
        size = len(self.base.low_K)
        genuine_K = np.bincount(self.genuine_G, weight_L[self.same_L], size).astype(np.int64)
        impostor_K = np.bincount(self.impostor_I, weight_L[~self.same_L], size).astype(np.int64)
        if not genuine_K.any() or not impostor_K.any():
            return dict.fromkeys(_names(self.found), float("nan"))
        steps = Steps(self.base.low_K, self.base.cells_K, impostor_K, genuine_K)
        sum_genuine_K, sum_impostor_K = np.cumsum(genuine_K), np.cumsum(impostor_K)
        told = {
            "auc": figures.auc(steps, sum_genuine_K),
            "eer": figures.equal_error(steps, sum_impostor_K, sum_genuine_K)[0],
            MISSED: _missed(steps, sum_genuine_K),
        }
        for point in _shown(self.found):
            mine = figures.point_at(steps, sum_impostor_K, sum_genuine_K, point.fmr)
            told[tar_name(point.fmr)] = _number(mine.tar)
            told[threshold_name(point.fmr)] = _number(mine.threshold)
            match_K = edge(steps.low_K) >= _number(point.threshold)
            rate = float(impostor_K[match_K].sum() / sum_impostor_K[-1])
            told[fmr_name(point.fmr)] = rate
        return told


def _shown(found: Verification) -> list[OperatingPoint]:
    return [point for point in found.points if point.tar is not None]


def _names(found: Verification) -> list[str]:
    """Return the names of all figures."""
    names = ["auc", "eer", MISSED]
    for point in _shown(found):
        names += [tar_name(point.fmr), threshold_name(point.fmr), fmr_name(point.fmr)]
    return names


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _missed(steps: Steps, genuine_K: Ints) -> float:
    """Return the highest threshold that so few pairs of one person at most do not reach."""
    return float(edge(int(steps.low_K[np.argmax(genuine_K >= (1 - FNMR) * genuine_K[-1] - 1e-9)])))
