"""Thresholds learnt on some people and tried on others: accuracy and TAR by cross-validation.

A fold is a set of pairs, none of whose people is in another fold. Each fold is judged by the threshold that is best for
all others: whoever chooses a threshold on the pairs that it is judged by flatters the model.

Source:
    G. B. Huang et al., "Labeled Faces in the Wild", 2007: ten folds, mean and standard error of the mean.

Shape key: F folds, K steps of similarity from the highest down, N faces, P people.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import pairs
from omokage.evaluate.pairs import BINS, HALF, Faces, Steps
from omokage.evaluate.verification import can_show, cut_at, tar_name

FOLDS: Final = 10

FINE: Final = 1 << 23
"""So many pairs in all folds are counted by cell; more by bin, which moves a threshold by less than 2e-5."""

FMRS: Final = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldPoint:
    """TAR at a false match rate; the threshold of each fold comes from the others."""

    fmr: float
    """As asked for, in the other folds."""
    tar: tuple[float, ...] | None
    """By fold; None where the other folds have too few impostor pairs."""
    counted_fmr: tuple[float, ...] | None
    """By fold: what the rate came to in pairs that the threshold was not chosen by."""

    def mean(self) -> tuple[float, float] | None:
        """Return mean and standard deviation of TAR over folds; of one fold the deviation is not known, NaN."""
        return None if self.tar is None else _spread(self.tar)

    def text(self) -> str:
        """Return the point for a person."""
        if self.tar is None or self.counted_fmr is None:
            return f"TAR at FMR {self.fmr:g}: too few impostor pairs"
        mean, deviation = _spread(self.tar)
        return f"TAR at FMR {self.fmr:g}: {mean:.4f} ± {deviation:.4f}; FMR came to {np.mean(self.counted_fmr):.2e}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Folds:
    """Figures of each fold by the threshold of all others. Plain values."""

    genuine: tuple[int, ...]
    """Pairs of one person, by fold."""
    impostor: tuple[int, ...]
    prevalence: float | None
    """Share of pairs of one person that accuracy is told for; None: as the pairs are."""
    accuracy: tuple[float, ...]
    threshold: tuple[float, ...]
    """Best in the other folds."""
    points: tuple[FoldPoint, ...]

    def mean_accuracy(self) -> tuple[float, float]:
        """Return mean and standard deviation over folds."""
        return _spread(self.accuracy)

    def json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(asdict(self))

    def metrics(self) -> dict[str, float]:
        """Return the figures by name."""
        shown = {tar_name(point.fmr) + "_over_folds": point.mean() for point in self.points}
        return {"accuracy": self.mean_accuracy()[0], **{name: mean[0] for name, mean in shown.items() if mean}}

    def text(self) -> str:
        """Return the figures for a person."""
        mean, deviation = self.mean_accuracy()
        head = f"{len(self.genuine)} folds, {sum(self.genuine):,} genuine and {sum(self.impostor):,} impostor pairs"
        at = "" if self.prevalence is None else f", where {self.prevalence:.0%} of pairs are of one person"
        line = f"accuracy {mean:.4f} ± {deviation:.4f}{at}; threshold {np.mean(self.threshold):.4f}"
        return "\n".join([head, line, *(point.text() for point in self.points)])


def steps_of(score_N: Any, same_N: Any) -> Steps:
    """Return the steps of listed pairs.

    Args:
        score_N: Similarity of each pair, in [-1, 1]. Shape (N,).
        same_N: The pair is of one person. Shape (N,).

    Raises:
        DatasetError: A similarity is no number, or they do not go together.
    """
    score_N, same_N = np.asarray(score_N, np.float32), np.asarray(same_N, bool)
    if score_N.ndim != 1 or score_N.shape != same_N.shape:
        raise DatasetError(f"similarities of shape {score_N.shape} do not go with {same_N.shape} answers")
    off_N = ~(np.abs(score_N) <= 1 + 1e-3)
    if off_N.any():
        at = int(np.argmax(off_N))
        raise DatasetError(f"{int(off_N.sum()):,} similarities are none; that of pair {at} is {score_N[at]}")
    low_K, step_N = np.unique(pairs.rounded(score_N.copy()), return_inverse=True)
    genuine_K = np.bincount(step_N[same_N], minlength=len(low_K))[::-1]
    impostor_K = np.bincount(step_N[~same_N], minlength=len(low_K))[::-1]
    return Steps(low_K[::-1].astype(np.int64), np.ones(len(low_K), np.int64), impostor_K, genuine_K)


def by_people(
    embedding_NE: Any, label_N: Any, folds: int = FOLDS, seed: int = 0, threads: int | None = None
) -> list[Steps]:
    """Return the steps of all pairs within each of some random groups of people.

    Each group has as many people with two faces or more as any other; there are fewer groups where such people are few.

    Raises:
        ConfigError: Folds are fewer than two.
        DatasetError: Fewer than two people have two faces, or faces cannot be compared.
    """
    if folds < 2:
        raise ConfigError(f"cross-validation needs at least 2 folds, got {folds}")
    faces = pairs.by_person(embedding_NE, label_N)
    fold_N = of_people(label_N, folds, seed)[faces.row_N]
    parts = [np.flatnonzero(fold_N == fold) for fold in range(int(fold_N.max()) + 1)]
    by_cell = sum(len(part) ** 2 / 2 for part in parts) <= FINE
    return [_within(faces.vector_NE[part], faces.person_N[part], by_cell, threads) for part in parts]


def of_people(label_N: Any, folds: int = FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """Return the random group of people that each face is in, as ``by_people`` parts them. Shape (N,).

    Raises:
        DatasetError: Fewer than two people have two faces.
    """
    person_N = np.unique(np.asarray(label_N), return_inverse=True)[1]
    size_P = np.bincount(person_N)
    several = int((size_P > 1).sum())
    # a fold needs two people for a pair of different people
    folds = min(folds, several, len(size_P) // 2)
    if folds < 2:
        raise DatasetError(f"cross-validation over people needs 4 people, 2 of them with two faces; got {len(size_P)}")
    order_P = np.random.default_rng(seed).permutation(len(size_P))
    order_P = order_P[np.argsort(size_P[order_P] < 2, kind="stable")]
    fold_P = np.empty(len(size_P), np.int64)
    fold_P[order_P] = np.arange(len(size_P)) % folds
    fold_N: NDArray[np.int64] = fold_P[person_N]
    return fold_N


def cross_validated(folds: Sequence[Steps], fmrs: Sequence[float] = FMRS, prevalence: float | None = None) -> Folds:
    """Return the figures of each fold by the threshold that is best in all others.

    Args:
        folds: Pairs of each fold, all counted by cell or all by bin.
        fmrs: False match rates, in (0, 1).
        prevalence: Share of pairs of one person to tell accuracy for, in (0, 1); None: as the pairs are.

    Raises:
        ConfigError: A rate or the prevalence is out of range.
        DatasetError: There is one fold, or one without pairs of one person or of different people.
    """
    wrong = [rate for rate in (*fmrs, *([] if prevalence is None else [prevalence])) if not 0 < rate < 1]
    if wrong:
        raise ConfigError(f"false match rates and prevalence must lie between 0 and 1, got {wrong[0]}")
    if len(folds) < 2:
        raise DatasetError("a threshold is tried on other pairs than it is learnt from: that needs two folds")
    empty = [n for n, fold in enumerate(folds) if not fold.genuine_K.sum() or not fold.impostor_K.sum()]
    if empty:
        raise DatasetError(f"fold {empty[0] + 1} lacks pairs of one person, or of different people")
    every, fmrs = pool(folds), sorted(fmrs, reverse=True)
    told = [_told(fold, without(every, fold), fmrs, prevalence) for fold in folds]
    return Folds(
        genuine=tuple(int(fold.genuine_K.sum()) for fold in folds),
        impostor=tuple(int(fold.impostor_K.sum()) for fold in folds),
        prevalence=prevalence,
        accuracy=tuple(each.accuracy for each in told),
        threshold=tuple((each.cut - HALF) / HALF for each in told),
        points=tuple(_point(fmr, [each.rates[n] for each in told]) for n, fmr in enumerate(fmrs)),
    )


def pool(parts: Sequence[Steps]) -> Steps:
    """Return the steps of all pairs together."""
    first = min(int(part.low_K[-1]) for part in parts if len(part.low_K))
    stop = max(int(part.low_K[0]) for part in parts if len(part.low_K)) + 1
    counted = np.zeros((2, stop - first), np.int64)  # by cell, so that memory does not grow with the parts
    for part in parts:
        counted[0, part.low_K - first] += part.impostor_K
        counted[1, part.low_K - first] += part.genuine_K
    cell_K = np.flatnonzero(counted.any(0))[::-1]
    cells_K = np.full(len(cell_K), next(int(part.cells_K[0]) for part in parts if len(part.cells_K)))
    return Steps(cell_K + first, cells_K, counted[0, cell_K], counted[1, cell_K])


def without(every: Steps, mine: Steps) -> Steps:
    """Return the steps of all pairs but some of them."""
    impostor_K, genuine_K = every.impostor_K.copy(), every.genuine_K.copy()
    at = np.searchsorted(-every.low_K, -mine.low_K)
    impostor_K[at] -= mine.impostor_K
    genuine_K[at] -= mine.genuine_K
    left_K = np.flatnonzero(impostor_K + genuine_K)
    return Steps(every.low_K[left_K], every.cells_K[left_K], impostor_K[left_K], genuine_K[left_K])


def _within(vector_NE: NDArray[np.float32], person_N: NDArray[np.int64], by_cell: bool, threads: int | None) -> Steps:
    """Return the steps of all pairs of some faces."""
    person_N = np.unique(person_N, return_inverse=True)[1]
    faces = Faces(vector_NE, person_N, np.arange(len(person_N)))
    return pairs.count(faces, np.full(BINS, by_cell), threads).steps()


def _best(steps: Steps, prevalence: float | None) -> float:
    """Return the cell at or above which to match: midway between two steps, of equally good ones the highest."""
    impostor_K, genuine_K = (np.concatenate([[0], np.cumsum(part)]) for part in (steps.impostor_K, steps.genuine_K))
    share = genuine_K[-1] / (genuine_K[-1] + impostor_K[-1]) if prevalence is None else prevalence
    right_K = share * genuine_K / genuine_K[-1] - (1 - share) * impostor_K / impostor_K[-1]
    # sums of a draw differ in their last bits
    at = int(np.argmax(right_K >= right_K.max() - 1e-12))
    edge_K = np.concatenate([[2 * HALF + 2], steps.low_K, [-2]])
    return float(edge_K[at] + edge_K[at + 1]) / 2


def _rates(steps: Steps, cut: float) -> tuple[float, float]:
    """Return FMR and TAR at a cell."""
    match_K = steps.low_K + (steps.cells_K - 1) / 2 >= cut
    return (
        float(steps.impostor_K[match_K].sum() / steps.impostor_K.sum()),
        float(steps.genuine_K[match_K].sum() / steps.genuine_K.sum()),
    )


def _accuracy(steps: Steps, fmr: float, tar: float, prevalence: float | None) -> float:
    genuine, impostor = int(steps.genuine_K.sum()), int(steps.impostor_K.sum())
    share = genuine / (genuine + impostor) if prevalence is None else prevalence
    return share * tar + (1 - share) * (1 - fmr)


@dataclass(frozen=True, slots=True)
class _Told:
    """Figures of one fold by the thresholds of all others."""

    cut: float
    accuracy: float
    rates: list[tuple[float, float] | None]
    """FMR and TAR at each rate that was asked for; None where the others are too few."""


def _told(fold: Steps, other: Steps, fmrs: Sequence[float], prevalence: float | None) -> _Told:
    cut = _best(other, prevalence)
    impostor_K = np.cumsum(other.impostor_K)
    rates: list[tuple[float, float] | None] = []
    for fmr in fmrs:
        if not can_show(fmr, int(impostor_K[-1])):
            rates.append(None)
            continue
        first = cut_at(impostor_K, fmr)
        rates.append(_rates(fold, float(other.low_K[first] + other.cells_K[first])))
    return _Told(cut, _accuracy(fold, *_rates(fold, cut), prevalence), rates)


def _point(fmr: float, rates: Sequence[tuple[float, float] | None]) -> FoldPoint:
    shown = [rate for rate in rates if rate is not None]
    if len(shown) < len(rates):
        return FoldPoint(fmr=fmr, tar=None, counted_fmr=None)
    return FoldPoint(fmr=fmr, tar=tuple(tar for _, tar in shown), counted_fmr=tuple(fmr for fmr, _ in shown))


def _spread(value_F: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation."""
    return float(np.mean(value_F)), float(np.std(value_F, ddof=1)) if len(value_F) > 1 else float("nan")
