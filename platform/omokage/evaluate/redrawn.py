"""The figures of all pairs in every draw of people: what their intervals are read from.

Everybody whose faces were tried is drawn, those with no face that could be compared too. Someone who is drawn twice is
there twice, with all their pairs of faces and all pairs with each other person who is drawn; two copies of a person are
not compared with each other: that would be pairs of a face with itself, which are neither of one person seen twice nor
of different people. What is read from thresholds is read from so few of them that pairs can be counted between units
of people, and each draw is moved by as much as they miss the figure itself; where no more similarities than thresholds
differ, nothing is missed.

Shape key: N faces, E numbers of an embedding, P people with faces, F pictures that failed, U units, L levels of
similarity, T = L - 1 thresholds, R draws, the first of them the faces as they are.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import DatasetError
from omokage.evaluate import fold_draws, pairs
from omokage.evaluate.bootstrap import (
    BootstrapConfig,
    Intervals,
    among,
    draw,
    interval,
    key_of,
    room,
    units_for,
)
from omokage.evaluate.failures import Tried, far_name, frr_name, with_failures
from omokage.evaluate.folds import Folds
from omokage.evaluate.people import Counting, People
from omokage.evaluate.precision_recall import PrecisionRecall, averages
from omokage.evaluate.sweep import THRESHOLDS, ByUnit, InOrder, Levels, sweep
from omokage.evaluate.verification import Verification, fmr_name, tar_name, threshold_name

Ints = NDArray[np.int64]

SPREAD: Final = (1 / 8, 1 / 4, 1 / 2, 2 / 3, 1, 3 / 2, 2, 4)
"""Times an operating point's rate: where the thresholds lie that a draw chooses from."""

FNMR: Final = 0.01
"""Share of genuine pairs below the similarity under which two faces are said not to match."""

MISSED: Final = "threshold_at_fnmr_1e-2"

AP: Final = "average_precision"

F1: Final = "best_f1"

ACCURACY: Final = "accuracy"

MACRO: Final = "macro_auc"


@dataclass(frozen=True)
class Found:
    """What was found in some faces, or in listed pairs, and is to get an interval."""

    verification: Verification
    precision_recall: PrecisionRecall | None = None
    folds: Folds | None = None
    fold_N: Ints | None = None
    """Which fold each face is in, where all pairs are compared."""
    failed_label_F: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Whose picture each is that gave no face."""


def intervals(
    embedding_NE: Any,
    label_N: Any,
    found: Found,
    config: BootstrapConfig | None = None,
    threads: int | None = None,
) -> Intervals:
    """Return the intervals of what was found in all pairs of the same faces.

    Figures: ``auc``, ``eer``, and for every rate that the data show ``tar_at_fmr_…`` and ``threshold_at_fmr_…``, for
    which each draw chooses its own threshold, and ``fmr_at_threshold_of_fmr_…`` at the one that was found;
    ``threshold_at_fnmr_1e-2``, the highest at which so few genuine pairs at most do not match, nearly. With precision
    ``average_precision`` and ``best_f1``, at the prevalence of the draw where none was set; with folds ``accuracy``,
    for which each draw learns its thresholds anew; with failures ``frr_at_fmr_…`` and ``far_at_threshold_of_fmr_…``.

    Raises:
        DatasetError: These are other faces, or faces that cannot be compared.
    """
    mine = _Redrawing(embedding_NE, np.asarray(label_N), found, config or BootstrapConfig(), threads)
    sweep(mine.vector_NE, mine.person_N, [mine.counts], threads)
    return mine.intervals()


def with_people(
    embedding_NE: Any,
    label_N: Any,
    found: Found,
    config: BootstrapConfig | None = None,
    threads: int | None = None,
) -> tuple[People, Intervals]:
    """Return every person's curve, exact where the data show a rate, and the intervals; pairs are compared once.

    Figures: those of ``intervals``, and ``macro_auc`` and ``macro_fnmr_at_fmr_…``, whose people are drawn while those
    whom each is compared with, and the thresholds, stay as they are.

    Args:
        embedding_NE: Unit vectors. Shape (N, E).
        label_N: Whose face each is. Shape (N,).
        found: In the same faces.
        config: How people are drawn.
        threads: To work on; all cores by default.

    Raises:
        ConfigError: There are too many rates.
        DatasetError: These are other faces, or faces that cannot be compared.
    """
    mine = _Redrawing(embedding_NE, np.asarray(label_N), found, config or BootstrapConfig(), threads)
    thresholds = [point.threshold for point in found.verification.points if point.threshold is not None]
    counting = Counting(mine.label_N[mine.row_N], thresholds, found.verification)
    sweep(mine.vector_NE, mine.person_N, [counting.counter, mine.counts], threads)
    people = counting.people()
    del counting
    return people, mine.intervals(people)


class _Redrawing:
    """One set of people that is drawn anew, their pairs to be counted by a sweep."""

    def __init__(
        self, embedding_NE: Any, label_N: NDArray[Any], found: Found, config: BootstrapConfig, threads: int | None
    ) -> None:
        self.label_N, self.found, self.config, self.threads = label_N, found, config, threads
        faces, verification = pairs.by_person(embedding_NE, label_N), found.verification
        name_P = np.unique(label_N)
        if (len(faces.person_N), len(name_P)) != (verification.faces, verification.people):
            raise DatasetError(
                f"the figures are of {verification.faces:,} faces of {verification.people:,} people; these are others"
            )
        failed_F = found.failed_label_F
        self.everybody = np.union1d(name_P, failed_F) if len(failed_F) else name_P
        # as many for every evaluation of these people, so that draws can be paired
        self.unit_of = units_for(len(self.everybody), room(THRESHOLDS + 1), config.seed)
        self.unit_P = self.unit_of[np.searchsorted(self.everybody, name_P)]
        order_N = np.argsort(self.unit_P[faces.person_N], kind="stable")
        self.row_N = faces.row_N[order_N]
        self.vector_NE, self.person_N = InOrder(faces.vector_NE, order_N), faces.person_N[order_N]
        self.counts = ByUnit(self.unit_P[self.person_N], Levels(_thresholds(verification)))

    def intervals(self, people: People | None = None) -> Intervals:
        """Return the intervals, once all pairs are counted; the counts are let go."""
        found, config = self.found, self.config
        units = int(self.unit_of.max()) + 1
        weight_RU = np.concatenate([np.ones((1, units), np.float32), draw(units, config)])
        drawn, unit_N = _Drawn(self.counts, weight_RU), self.counts.unit_N
        del self.counts  # folds are counted in as much room
        told = drawn.figures(found)
        if len(found.failed_label_F):
            every = np.concatenate([self.label_N, found.failed_label_F])
            tried = Tried.of(self.unit_of, np.searchsorted(self.everybody, every), weight_RU)
            told |= drawn.with_failures(found, self.label_N, tried)
        if people is not None:
            told |= _macro(people, found.verification, self.unit_P, weight_RU)
        if found.folds is not None and found.fold_N is not None:
            spread = fold_draws.Faces(self.vector_NE, self.person_N, unit_N, found.fold_N[self.row_N])
            told[ACCURACY] = fold_draws.all_pairs(spread, found.folds, found.verification, weight_RU, self.threads)
        values, draws = {name: value for name, (value, _) in told.items()}, moved(told)
        return Intervals(
            people=len(self.everybody),
            units=units,
            config=config,
            key=key_of(self.everybody.tolist(), config),
            figures={name: interval(value, draws[name], config) for name, value in values.items()},
            draws=draws,
        )


def moved(told: dict[str, tuple[float, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """Return draws moved by as much as the first, of the faces as they are, misses the figure; thresholds are free."""
    draws = {name: draw_R[1:] + (value - draw_R[0]) for name, (value, draw_R) in told.items()}
    return {name: each if name.startswith("threshold") else np.clip(each, 0, 1) for name, each in draws.items()}


class _Drawn:
    """Rates at every threshold, from the highest down, in every draw."""

    def __init__(self, counts: ByUnit, weight_RU: NDArray[np.float32]) -> None:
        levels = counts.levels
        self.threshold_T = levels.threshold_T
        weight_RU = weight_RU[:, : len(counts.genuine_UL)]  # the last units may have no face
        impostor_RL = np.stack([among(weight_RU, counts.impostor_UUL[..., level]) for level in range(len(levels))], 1)
        genuine_RL = weight_RU.astype(np.float64) @ counts.genuine_UL
        self.impostor_R, self.genuine_R = impostor_RL.sum(1), genuine_RL.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw may have no pair of one person
            self.fmr_RT = np.cumsum(impostor_RL, 1)[:, :-1] / self.impostor_R[:, None]
            self.tar_RT = np.cumsum(genuine_RL, 1)[:, :-1] / self.genuine_R[:, None]

    def figures(self, found: Found) -> dict[str, tuple[float, NDArray[np.float64]]]:
        """Return every figure and its draws."""
        one, missed_R = found.verification, self._missed()
        told = {"auc": (one.auc, self._auc()), "eer": (one.eer, self._eer()), MISSED: (float(missed_R[0]), missed_R)}
        for point in one.points:
            if point.tar is None or point.threshold is None or point.counted_fmr is None:
                continue
            own_RT = np.broadcast_to(self.threshold_T, self.fmr_RT.shape)
            told[tar_name(point.fmr)] = point.tar, self._read(point.fmr, self.tar_RT)
            told[threshold_name(point.fmr)] = point.threshold, self._read(point.fmr, own_RT)
            told[fmr_name(point.fmr)] = point.counted_fmr, self.fmr_RT[:, self._at(point.threshold)]
        if found.precision_recall is not None:
            told |= self._precision(found.precision_recall)
        return told

    def _at(self, threshold: float) -> int:
        return int(np.searchsorted(-self.threshold_T, -threshold))

    def with_failures(
        self, found: Found, label_N: NDArray[Any], tried: Tried
    ) -> dict[str, tuple[float, NDArray[np.float64]]]:
        """Return the error rates with failures, and their draws."""
        told = {}
        for point in with_failures(found.verification, label_N, found.failed_label_F).points:
            tar_R, fmr_R = self._read(point.fmr, self.tar_RT), self.fmr_RT[:, self._at(point.threshold)]
            tar_R = np.clip(tar_R + (1 - point.fnmr - tar_R[0]), 0, 1)  # as that of TAR is moved
            told[frr_name(point.fmr)] = point.frr, 1 - tar_R * self.genuine_R / tried.genuine_R
            told[far_name(point.fmr)] = point.far, fmr_R * self.impostor_R / tried.impostor_R
        return told

    def _precision(self, found: PrecisionRecall) -> dict[str, tuple[float, NDArray[np.float64]]]:
        """Return average precision and the best F1, at the prevalence of the draw unless one was set."""
        share_R = found.share(self.genuine_R / (self.genuine_R + self.impostor_R))
        one_R1 = np.ones((len(share_R), 1))
        tar_RL, fmr_RL = np.concatenate([self.tar_RT, one_R1], 1), np.concatenate([self.fmr_RT, one_R1], 1)
        average_R, f1_R = averages(tar_RL, fmr_RL, share_R)
        return {AP: (found.average_precision, average_R), F1: (found.best_f1, f1_R)}

    def _read(self, fmr: float, y_RT: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return y where the false match rate is as asked for, on straight lines over the rate's logarithm."""
        tiny = fmr / 100
        rows = zip(np.log(np.maximum(self.fmr_RT, tiny)), y_RT, strict=True)
        # where several thresholds have one rate the lowest of them counts
        return np.array([np.interp(np.log(fmr), x_T[keep], y_T[keep]) for x_T, y_T in rows for keep in [_last(x_T)]])

    def _missed(self) -> NDArray[np.float64]:
        """Return the highest threshold that ``FNMR`` of genuine pairs at most do not reach; -1 where none is."""
        reach_RT = self.tar_RT >= 1 - FNMR - 1e-12
        found_R: NDArray[np.float64] = np.where(reach_RT.any(1), self.threshold_T[reach_RT.argmax(1)], -1.0)
        return found_R

    def _auc(self) -> NDArray[np.float64]:
        zero_R1, one_R1 = np.zeros((len(self.fmr_RT), 1)), np.ones((len(self.fmr_RT), 1))
        fmr_RT = np.concatenate([zero_R1, self.fmr_RT, one_R1], 1)
        tar_RT = np.concatenate([zero_R1, self.tar_RT, one_R1], 1)
        auc_R: NDArray[np.float64] = np.trapezoid(tar_RT, fmr_RT, axis=1)
        return auc_R

    def _eer(self) -> NDArray[np.float64]:
        """Return where FMR + TAR = 1, which rises along the thresholds from 0 to 2."""
        rows = zip(self.fmr_RT, self.tar_RT, strict=True)
        return np.array([np.interp(1, [0, *(x_T + y_T), 2], [0, *x_T, 1]) for x_T, y_T in rows])


def _macro(
    told: People, found: Verification, unit_P: Ints, weight_RU: NDArray[np.float32]
) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """Return means over people, each counting as much as any other, and their draws."""
    summary, several_P = told.summary(), told.faces_P > 1
    units = weight_RU.shape[1]
    count_R = weight_RU.astype(np.float64) @ np.bincount(unit_P[several_P], minlength=units)

    def mean(value_P: NDArray[np.float64]) -> NDArray[np.float64]:
        sum_U = np.bincount(unit_P[several_P], value_P[several_P], minlength=units)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_R: NDArray[np.float64] = weight_RU.astype(np.float64) @ sum_U / count_R
        return mean_R

    drawn = {MACRO: (summary.macro_auc, mean(told.auc_P))}
    shown = [point.fmr for point in found.points if point.threshold is not None]
    for fmr, threshold, value in zip(shown, told.asked, summary.macro_fnmr, strict=True):
        at = int(np.searchsorted(-told.threshold_T, -threshold))
        drawn[macro_name(fmr)] = value, mean(1 - told.tar_PT[:, at])
    return drawn


def macro_name(fmr: float) -> str:
    """Return the name of people's mean FNMR at the threshold of a false match rate: ``macro_fnmr_at_fmr_1e-3``."""
    return tar_name(fmr).replace("tar", "macro_fnmr")


def _last(x_T: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of rising values are the last of their kind."""
    return np.append(x_T[1:] > x_T[:-1], True)


def _thresholds(found: Verification) -> NDArray[np.float64]:
    """Return thresholds that the figures can be read from, the found ones among them."""
    points = [point for point in found.points if point.threshold is not None]
    own = {found.eer_threshold, *(point.threshold for point in points if point.threshold is not None)}
    threshold_K, fmr_K, tar_K = np.array(found.roc).T
    wanted = [fmr_K.searchsorted(np.multiply(SPREAD, point.fmr)) for point in points]
    wanted += [fmr_K.searchsorted(found.eer * np.array([0.5, 0.7, 0.85, 1, 1.2, 1.5, 2]))]
    wanted += [tar_K.searchsorted(1 - FNMR * np.linspace(0.2, 2, 19))]
    wanted += [fmr_K.searchsorted(np.linspace(0, 1, 20)), tar_K.searchsorted(np.linspace(0, 1, 20))]
    at = np.unique(np.minimum(np.concatenate(wanted), len(fmr_K) - 1))
    if len(threshold_K) + len(own) <= THRESHOLDS:
        at = np.arange(len(threshold_K))
    rest = np.setdiff1d(threshold_K[at], list(own))
    left = THRESHOLDS - len(own)
    rest = rest[:: max(1, -(-len(rest) // left))]
    return np.array([*own, *rest])
