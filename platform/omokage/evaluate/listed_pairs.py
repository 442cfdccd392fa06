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
from omokage.evaluate import fold_draws
from omokage.evaluate import verification as figures
from omokage.evaluate.bootstrap import BootstrapConfig, Intervals, draw, interval, key_of
from omokage.evaluate.failures import Failures, among_tried, far_name, frr_name
from omokage.evaluate.folds import Folds, steps_of
from omokage.evaluate.pairs import Steps, edge, rounded
from omokage.evaluate.precision_recall import averages
from omokage.evaluate.redrawn import ACCURACY, AP, F1, FNMR, MISSED, Found, moved
from omokage.evaluate.verification import FMRS, OperatingPoint, Verification, fmr_name, tar_name, threshold_name

Ints = NDArray[np.int64]

BLOCK: Final = 8192
"""Pairs whose vectors are in hand."""


LEVELS: Final = 2048
"""Most similarities among which a draw chooses the thresholds of folds."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Pairs that are listed and cannot be compared, for want of a face."""

    person_X2: Ints
    """Whose the two pictures are."""
    same_X: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.same_X)


NONE: Final = Lost(person_X2=np.zeros((0, 2), np.int64), same_X=np.zeros(0, bool))


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of faces."""

    a_L: Ints
    """Row of a face."""
    b_L: Ints
    same_L: NDArray[np.bool_]
    """The pair is of one person."""
    fold_L: Ints | None = None
    """From 0; None where the list names no folds."""
    lost: Lost = NONE

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
    found: Found,
    config: BootstrapConfig | None = None,
) -> Intervals:
    """Return the intervals of what ``verification`` found in the same pairs; the same figures as for all pairs.

    Listed pairs are no person's all, so that nothing is told by person.
    """
    config = config or BootstrapConfig()
    person_L2 = np.stack([label_N[pairs.a_L], label_N[pairs.b_L]], 1)
    name_P = np.unique(np.concatenate([person_L2, pairs.lost.person_X2]))
    place_L2, place_X2 = (np.searchsorted(name_P, part) for part in (person_L2, pairs.lost.person_X2))
    drawn = _Drawn(pairs, score_L, found)
    rows = [drawn.figures(np.ones(len(pairs), np.float32), np.ones(len(pairs.lost), np.float32))]
    for weight_P in draw(len(name_P), config):
        weights = _often(weight_P, place_L2, pairs.same_L), _often(weight_P, place_X2, pairs.lost.same_X)
        rows.append(drawn.figures(*weights))
    told = {name: (value, np.array([row[name] for row in rows])) for name, value in rows[0].items()}
    if found.folds is not None:
        told[ACCURACY] = found.folds.mean_accuracy()[0], told[ACCURACY][1]
    draws = moved(told)
    return Intervals(
        people=len(name_P),
        units=len(name_P),
        config=config,
        key=key_of(name_P.tolist(), config),
        figures={name: interval(value, draws[name], config) for name, (value, _) in told.items()},
        draws=draws,
    )


def _often(weight_P: NDArray[np.float32], place_X2: Ints, same_X: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how often pairs are drawn; one of a person must not be as often as the person was drawn twice over."""
    often_X: NDArray[np.float32] = np.where(same_X, 1, weight_P[place_X2[:, 1]]) * weight_P[place_X2[:, 0]]
    return often_X


def failures(found: Verification, lost: Lost, pictures: tuple[int, int]) -> Failures:
    """Return error rates with listed pairs counted that could not be compared: they do not match.

    Args:
        found: In the pairs that could be compared.
        lost: The others.
        pictures: That are listed, and how many of them gave no face.
    """
    genuine = int(lost.same_X.sum())
    return among_tried(found, found.genuine + genuine, found.impostor + len(lost) - genuine, pictures)


class _Drawn:
    """Figures of listed pairs, each counted so many times."""

    def __init__(self, pairs: Pairs, score_L: NDArray[np.float32], found: Found) -> None:
        self.pairs, self.found = pairs, found
        self.base = steps_of(score_L, pairs.same_L)
        step_L = np.searchsorted(-self.base.low_K, -rounded(score_L.copy()))
        self.genuine_G, self.impostor_I = step_L[pairs.same_L], step_L[~pairs.same_L]
        steps = len(self.base.low_K)
        level_K = np.arange(steps) * min(LEVELS, steps) // steps
        self.level_L, self.low_V = level_K[step_L], self.base.low_K[np.append(level_K[1:] > level_K[:-1], True)]
        self.names: list[str] = []

    def figures(self, weight_L: NDArray[np.float32], weight_X: NDArray[np.float32]) -> dict[str, float]:
        """Return the figures by name; NaN where no pair of a kind was drawn.

        Args:
            weight_L: How often each pair counts; all once the first time.
            weight_X: How often each pair that cannot be compared.
        """
        size, same_L = len(self.base.low_K), self.pairs.same_L
        genuine_K = np.bincount(self.genuine_G, weight_L[same_L], size).astype(np.int64)
        impostor_K = np.bincount(self.impostor_I, weight_L[~same_L], size).astype(np.int64)
        if not genuine_K.any() or not impostor_K.any():
            return dict.fromkeys(self.names, float("nan"))
        steps = Steps(self.base.low_K, self.base.cells_K, impostor_K, genuine_K)
        told = self._rates(steps, weight_X)
        if self.found.precision_recall is not None:
            told |= self._precision(steps)
        if self.found.folds is not None and self.pairs.fold_L is not None:
            told[ACCURACY] = self._accuracy(self.found.folds, self.pairs.fold_L, weight_L)
        self.names = self.names or list(told)
        return told

    def _rates(self, steps: Steps, weight_X: NDArray[np.float32]) -> dict[str, float]:
        genuine_K, impostor_K = np.cumsum(steps.genuine_K), np.cumsum(steps.impostor_K)
        told = {
            "auc": figures.auc(steps, genuine_K),
            "eer": figures.equal_error(steps, impostor_K, genuine_K)[0],
            MISSED: _missed(steps, genuine_K),
        }
        same_X = self.pairs.lost.same_X
        genuine, impostor = int(genuine_K[-1]), int(impostor_K[-1])
        for point in _shown(self.found.verification):
            mine = figures.point_at(steps, impostor_K, genuine_K, point.fmr)
            tar, match_K = _number(mine.tar), edge(steps.low_K) >= _number(point.threshold)
            rate = float(steps.impostor_K[match_K].sum() / impostor)
            told[tar_name(point.fmr)] = tar
            told[threshold_name(point.fmr)] = _number(mine.threshold)
            told[fmr_name(point.fmr)] = rate
            if len(same_X):
                told[frr_name(point.fmr)] = 1 - tar * genuine / (genuine + float(weight_X[same_X].sum()))
                told[far_name(point.fmr)] = rate * impostor / (impostor + float(weight_X[~same_X].sum()))
        return told

    def _precision(self, steps: Steps) -> dict[str, float]:
        assert self.found.precision_recall is not None
        genuine, impostor = steps.genuine_K.sum(), steps.impostor_K.sum()
        share_X = self.found.precision_recall.share(np.array([genuine / (genuine + impostor)]))
        sums = np.cumsum(steps.genuine_K)[None] / genuine, np.cumsum(steps.impostor_K)[None] / impostor
        average_X, f1_X = averages(*sums, share_X)
        return {AP: float(average_X[0]), F1: float(f1_X[0])}

    def _accuracy(self, told: Folds, fold_L: Ints, weight_L: NDArray[np.float32]) -> float:
        fold_L, levels = np.unique(fold_L, return_inverse=True)[1], len(self.low_V)
        place_L, shape = fold_L * levels + self.level_L, (int(fold_L.max()) + 1, 1, levels)
        counts = [
            np.bincount(place_L[kind_L], weight_L[kind_L], shape[0] * levels).reshape(shape).astype(np.float64)
            for kind_L in (self.pairs.same_L, ~self.pairs.same_L)
        ]
        return float(fold_draws.accuracy(counts[0], counts[1], self.low_V, told.prevalence)[0])


def _shown(found: Verification) -> list[OperatingPoint]:
    return [point for point in found.points if point.tar is not None]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _missed(steps: Steps, genuine_K: Ints) -> float:
    """Return the highest threshold that so few pairs of one person at most do not reach."""
    return float(edge(int(steps.low_K[np.argmax(genuine_K >= (1 - FNMR) * genuine_K[-1] - 1e-9)])))
