"""Precision and recall of pairs, with the prevalence that they hold for.

Of all pairs of a dataset one in thousands is of one person: precision there says how many of the pairs that match are
right. It falls with the share of pairs that are of one person, so the share is told, and can be set.

Shape key: K steps of similarity from the highest down, X draws of people.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.pairs import Steps, edge

CURVE: Final = 1000
"""Most points of a curve."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionRecall:
    """Precision and recall from the highest threshold down. Plain values."""

    prevalence: float
    """Share of pairs of one person that precision is told for; what a blind guess would be right in."""
    counted_prevalence: float
    """Share of pairs of one person in these pairs."""
    average_precision: float
    """Sum over thresholds of precision times what recall gains there; never interpolated."""
    best_f1: float
    best_f1_threshold: float
    curve: tuple[tuple[float, float, float], ...]
    """Threshold, precision, recall."""

    def share(self, own_X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the prevalence to tell precision for where pairs are drawn: their own, unless one was set."""
        return own_X if self.prevalence == self.counted_prevalence else np.full(len(own_X), self.prevalence)

    def json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(asdict(self))

    def text(self) -> str:
        """Return the figures for a person."""
        return (
            f"average precision {self.average_precision:.4f} where {self.prevalence:.4%} of pairs are of one person; "
            f"best F1 {self.best_f1:.4f} at {self.best_f1_threshold:.4f}"
        )


def precision_recall(steps: Steps, prevalence: float | None = None) -> PrecisionRecall:
    """Return precision and recall at every step.

    Args:
        steps: Of similarity; where pairs were counted by bin, a bin counts as one similarity.
        prevalence: To tell precision for, in (0, 1); None: that of the pairs.

    Raises:
        ConfigError: The prevalence is out of range.
        DatasetError: There is no pair of one person, or of different people.
    """
    genuine, impostor = int(steps.genuine_K.sum()), int(steps.impostor_K.sum())
    if not genuine or not impostor:
        raise DatasetError(
            f"precision needs both kinds of pairs; got {genuine:,} of one person, {impostor:,} of others"
        )
    counted = genuine / (genuine + impostor)
    share = counted if prevalence is None else prevalence
    if not 0 < share < 1:
        raise ConfigError(f"prevalence must lie between 0 and 1, got {prevalence}")
    recall_K, fmr_K = np.cumsum(steps.genuine_K) / genuine, np.cumsum(steps.impostor_K) / impostor
    precision_K, f1_K = _precise(recall_K, fmr_K, share)
    best = int(np.argmax(f1_K))
    threshold_K = edge(steps.low_K)
    part = CURVE // 2
    shown = np.concatenate(
        [np.searchsorted(recall_K, np.linspace(0, 1, part)), np.linspace(0, len(recall_K) - 1, part).astype(int)]
    )
    k = np.unique(np.minimum(shown, len(recall_K) - 1))
    rows = zip(threshold_K[k].tolist(), precision_K[k].tolist(), recall_K[k].tolist(), strict=True)
    return PrecisionRecall(
        prevalence=share,
        counted_prevalence=counted,
        average_precision=float(np.sum(np.diff(recall_K, prepend=0) * precision_K)),
        best_f1=float(f1_K[best]),
        best_f1_threshold=float(threshold_K[best]),
        curve=tuple(rows),
    )


def averages(
    recall_XK: NDArray[np.float64], fmr_XK: NDArray[np.float64], share_X: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return average precision and the best F1 of each draw.

    Args:
        recall_XK: Share of pairs of one person down to each step, 1 at the last.
        fmr_XK: Share of pairs of different people, likewise.
        share_X: Prevalence, in (0, 1).
    """
    precision_XK, f1_XK = _precise(recall_XK, fmr_XK, share_X[:, None])
    return np.sum(np.diff(recall_XK, axis=1, prepend=0) * precision_XK, 1), f1_XK.max(1)


def _precise(
    recall_XK: NDArray[np.float64], fmr_XK: NDArray[np.float64], share: float | NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and F1 at every step; 0 where no pair matches yet."""
    right_XK = share * recall_XK
    precision_XK = right_XK / np.maximum(right_XK + (1 - share) * fmr_XK, 1e-300)
    return precision_XK, 2 * precision_XK * recall_XK / np.maximum(precision_XK + recall_XK, 1e-300)
