"""Accuracy by cross-validation in every draw of people: thresholds are learnt anew, people stay in their folds.

Someone who is drawn twice is in one fold twice, never in two: a threshold would be tried on whom it is learnt from. A
fold in which a draw has no pair of a kind is left out of that draw's mean.

Shape key: N faces, E numbers of an embedding, F folds, U units of people drawn together, L levels of similarity from
the highest down, X = L + 1 thresholds, of which the first matches no pair and the last all, R draws.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.evaluate.bootstrap import among
from omokage.evaluate.folds import Folds
from omokage.evaluate.pairs import HALF
from omokage.evaluate.sweep import THRESHOLDS, ByUnit, InOrder, Levels, sweep
from omokage.evaluate.verification import Verification

Ints = NDArray[np.int64]

NEAR: Final = np.geomspace(1 / 16, 16, 15)
"""Times the rates of errors at the best threshold: where others lie that a draw chooses from."""

AFAR: Final = np.linspace(0, 1, 10)


@dataclass(frozen=True)
class Faces:
    """Faces of all folds, sorted by unit, then person."""

    vector_NE: NDArray[np.float32] | InOrder
    person_N: Ints
    unit_N: Ints
    fold_N: Ints


def all_pairs(
    faces: Faces, told: Folds, found: Verification, weight_RU: NDArray[np.float32], threads: int | None
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean accuracy of the folds, and that of every draw, all pairs within each fold being counted anew."""
    levels = Levels(_thresholds(told, found))
    genuine, impostor = [], []
    for fold in np.unique(faces.fold_N):
        row_n = np.flatnonzero(faces.fold_N == fold)
        own_U, unit_n = np.unique(faces.unit_N[row_n], return_inverse=True)
        counts = ByUnit(unit_n.astype(np.int64), levels)
        sweep(faces.vector_NE[row_n], faces.person_N[row_n], [counts], threads)
        mine_RU = weight_RU[:, own_U]
        genuine.append(mine_RU.astype(np.float64) @ counts.genuine_UL)
        impostor.append(np.stack([among(mine_RU, counts.impostor_UUL[..., level]) for level in range(len(levels))], 1))
    low_L = np.append((levels.threshold_T + 1) * HALF, 0)
    return told.mean_accuracy()[0], accuracy(np.stack(genuine), np.stack(impostor), low_L, told.prevalence)


def accuracy(
    genuine_FRL: NDArray[np.float64],
    impostor_FRL: NDArray[np.float64],
    low_L: NDArray[Any],
    prevalence: float | None,
) -> NDArray[np.float64]:
    """Return the mean over folds of the accuracy by the threshold that is best in all others; NaN where none has one.

    Args:
        genuine_FRL: Pairs of one person of each fold, draw and level.
        impostor_FRL: Likewise of different people.
        low_L: First cell of each level.
        prevalence: Share of pairs of one person to tell accuracy for; None: as the pairs are.
    """
    genuine_FRX, impostor_FRX = (_sums(part) for part in (genuine_FRL, impostor_FRL))
    others = [part.sum(0) - part for part in (genuine_FRX, impostor_FRX)]
    with np.errstate(invalid="ignore", divide="ignore"):
        right_FRX = _right(others[0], others[1], prevalence)
        # sums of a draw differ in their last bits; of equally good thresholds the highest
        best_FR = np.argmax(right_FRX >= right_FRX.max(2, keepdims=True) - 1e-12, axis=2)
        there_FRL = np.diff(others[0] + others[1], axis=2) > 0
        cut_FR1 = _between(best_FR, there_FRL, low_L)[..., None]
        accuracy_FR = np.take_along_axis(_right(genuine_FRX, impostor_FRX, prevalence), cut_FR1, 2)[..., 0]
    known_FR = np.isfinite(accuracy_FR) & np.isfinite(right_FRX[..., 0])
    sum_R, folds_R = np.where(known_FR, accuracy_FR, 0).sum(0), known_FR.sum(0)
    mean_R: NDArray[np.float64] = np.where(folds_R > 0, sum_R / np.maximum(folds_R, 1), np.nan)
    return mean_R


def _between(best_FR: Ints, there_FRL: NDArray[np.bool_], low_L: NDArray[Any]) -> Ints:
    """Return the threshold midway between the two levels of the other folds that the best one parts.

    Between them the fold that is judged may have pairs of its own.
    """
    levels = len(low_L)
    next_FRL = np.minimum.accumulate(np.where(there_FRL, np.arange(levels), levels)[..., ::-1], axis=2)[..., ::-1]
    next_FRX = np.concatenate([next_FRL, np.full((*best_FR.shape, 1), levels)], 2)
    next_FR = np.take_along_axis(next_FRX, best_FR[..., None], 2)[..., 0]
    edge = np.concatenate([[2 * HALF + 2], low_L, [-2]])
    middle_FR = (edge[best_FR] + edge[next_FR + 1]) / 2
    cut_FR: Ints = np.searchsorted(-np.asarray(low_L, np.float64), -middle_FR, side="right")
    return cut_FR


def _sums(count_FRL: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pairs at or above each threshold."""
    return np.concatenate([np.zeros((*count_FRL.shape[:2], 1)), np.cumsum(count_FRL, 2)], 2)


def _right(
    genuine_FRX: NDArray[np.float64], impostor_FRX: NDArray[np.float64], prevalence: float | None
) -> NDArray[np.float64]:
    """Return the share of pairs that are told rightly; NaN where there is no pair of a kind."""
    genuine_FR1, impostor_FR1 = genuine_FRX[..., -1:], impostor_FRX[..., -1:]
    share = genuine_FR1 / (genuine_FR1 + impostor_FR1) if prevalence is None else prevalence
    right_FRX: NDArray[np.float64] = share * genuine_FRX / genuine_FR1 + (1 - share) * (1 - impostor_FRX / impostor_FR1)
    return right_FRX


def _thresholds(told: Folds, found: Verification) -> NDArray[np.float64]:
    """Return the thresholds that were learnt, and some near and far that a draw may learn."""
    threshold_K, fmr_K, tar_K = np.array(found.roc).T
    genuine, impostor = sum(told.genuine), sum(told.impostor)
    share = genuine / (genuine + impostor) if told.prevalence is None else told.prevalence
    best = int(np.argmax(share * tar_K - (1 - share) * fmr_K))
    wanted = [fmr_K.searchsorted(np.concatenate([fmr_K[best] * NEAR, AFAR]))]
    wanted += [tar_K.searchsorted(np.concatenate([1 - (1 - tar_K[best]) * NEAR, AFAR]))]
    wanted += [np.arange(best - 10, best + 11)]
    at = np.unique(np.clip(np.concatenate(wanted), 0, len(threshold_K) - 1))
    if len(threshold_K) + len(told.threshold) <= THRESHOLDS:
        at = np.arange(len(threshold_K))
    rest = THRESHOLDS - min(len(at), THRESHOLDS)
    return np.concatenate([threshold_K[at], told.threshold[:rest]])
