"""How far a figure can be trusted: its interval, by drawing people anew.

People are drawn with replacement, never pairs: all pairs of a person stand or fall together. With w the number of times
that each unit of people was drawn, a share of pairs is drawn as

    FNMR* = sum_u w_u misses_u / sum_u w_u genuine_u
    FMR*  = (sum_u w_u matches_uu + sum_u<v w_u w_v matches_uv) / (the same of all impostor pairs)

so the pairs are counted once, between units, and never compared again. A unit is a person; where there are more people
than ``units_for`` has room for, it is a random group of people, which are drawn together. Such intervals are too wide
rather than too narrow where single pairs, not people, make the errors: at most by the square root of three.

Source:
    A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007; for pairs of one set of people,
    T. A. B. Snijders and S. P. Borgatti, "Non-parametric standard errors and tests for network statistics", 1999.

Shape key: U units, L levels of similarity, T = L - 1 thresholds, R draws.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import pairs
from omokage.evaluate.interval import Interval
from omokage.evaluate.sweep import THRESHOLDS, ByUnit, Levels, sweep
from omokage.evaluate.verification import Verification, fmr_name, tar_name, threshold_name

ROOM: Final = 20_000_000
"""Counts between units that are held."""

SPREAD: Final = (1 / 8, 1 / 4, 1 / 2, 2 / 3, 1, 3 / 2, 2, 4)
"""Times an operating point's rate: where the thresholds lie that a draw chooses from."""

FNMR: Final = 0.01
"""Share of genuine pairs below the similarity under which two faces are said not to match."""

MISSED: Final = "threshold_at_fnmr_1e-2"


@dataclass(frozen=True, kw_only=True, slots=True)
class BootstrapConfig:
    """How intervals are made."""

    replicates: int = 1000
    """How often people are drawn anew, at least 100."""
    confidence: float = 0.95
    """Share of intervals that should hold the truth, in (0, 1)."""
    seed: int = 0
    """Of the draws."""

    def __post_init__(self) -> None:
        """Reject what gives no interval."""
        if self.replicates < 100:
            raise ConfigError(f"replicates must be at least 100, got {self.replicates}")
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence must lie between 0 and 1, got {self.confidence}")


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Figures with their intervals, and the draws that these were read from."""

    people: int
    units: int
    """Fewer than people where people were drawn in groups."""
    config: BootstrapConfig
    key: str
    """Equal where the same people were drawn the same way, so that draws of two evaluations can be paired."""
    figures: dict[str, Interval]
    draws: dict[str, NDArray[np.float64]]
    """By name of the figure, one value a draw."""

    def json(self) -> str:
        """Return the intervals as one JSON object, without draws."""
        return json.dumps({name: value for name, value in self._plain().items() if name != "draws"})

    def _plain(self) -> dict[str, Any]:
        figures = {name: asdict(interval) for name, interval in self.figures.items()}
        return {
            "people": self.people,
            "units": self.units,
            "config": asdict(self.config),
            "key": self.key,
            "figures": figures,
        }

    def text(self) -> str:
        """Return the intervals for a person."""
        drawn = f"{self.people:,} people" + (f", in {self.units} groups" if self.units < self.people else "")
        head = f"{self.config.confidence:.0%} intervals, {drawn} drawn {self.config.replicates:,} times"
        return "\n".join([head, *(f"{name}: {interval.text()}" for name, interval in self.figures.items())])


def intervals(
    embedding_NE: Any,
    label_N: Any,
    found: Verification,
    config: BootstrapConfig | None = None,
    threads: int | None = None,
) -> Intervals:
    """Return the intervals of what ``verification`` found in the same faces.

    Figures: ``auc``, ``eer``, and for every rate that the data show ``tar_at_fmr_…`` and ``threshold_at_fmr_…``, for
    which each draw chooses its own threshold, and ``fmr_at_threshold_of_…`` at the one that was found;
    ``threshold_at_fnmr_1e-2``, the highest at which so few genuine pairs at most do not match, nearly.

    Raises:
        DatasetError: These are other faces, or faces that cannot be compared.
    """
    config = config or BootstrapConfig()
    faces = pairs.by_person(embedding_NE, label_N)
    people = int(faces.person_N[-1]) + 1
    if (len(faces.person_N), people) != (found.faces, found.people):
        raise DatasetError(f"the figures are of {found.faces:,} faces of {found.people:,} people; these are others")
    levels = Levels(_thresholds(found))
    # as many for every evaluation of these people, so that draws can be paired
    unit_P = units_for(people, room(THRESHOLDS + 1), config.seed)
    order_N = np.argsort(unit_P[faces.person_N], kind="stable")
    counts = ByUnit(unit_P[faces.person_N][order_N], len(levels))
    vector_NE, person_N = faces.vector_NE[order_N], faces.person_N[order_N]
    del faces  # as large as the embeddings themselves
    sweep(vector_NE, person_N, levels, [counts], threads)
    drawn = _Drawn(counts, levels, draw(len(counts.genuine_UL), config))
    draws, values = drawn.figures(found)
    return Intervals(
        people=people,
        units=len(counts.genuine_UL),
        config=config,
        key=key_of(np.unique(np.asarray(label_N)).tolist(), config),
        figures={name: interval(value, draws[name], config) for name, value in values.items()},
        draws=draws,
    )


def units_for(people: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return the unit of every person: a unit each, or random groups of equal size. Shape (people,)."""
    if people <= most:
        return np.arange(people)
    unit_P: NDArray[np.int64] = np.random.default_rng(seed).permutation(np.arange(people) % most)
    return unit_P


def room(levels: int) -> int:
    """Return between how many units pairs can be counted."""
    return min(2000, int((ROOM / levels) ** 0.5))


def draw(units: int, config: BootstrapConfig) -> NDArray[np.float32]:
    """Return how often each unit is drawn in each draw. Shape (R, U)."""
    rng = np.random.default_rng([config.seed, units])
    return rng.multinomial(units, np.full(units, 1 / units), config.replicates).astype(np.float32)


def among(weight_RU: NDArray[np.float32], count_UU: NDArray[Any]) -> NDArray[np.float64]:
    """Return the drawn sum of pairs, given each pair's count once, above or on the diagonal. Shape (R,)."""
    count_UU = count_UU.astype(np.float32)
    own_U = count_UU.diagonal()
    sum_R: NDArray[np.float64] = np.einsum("ru,ru->r", weight_RU @ np.triu(count_UU, 1), weight_RU, dtype=np.float64)
    sum_R += weight_RU.astype(np.float64) @ own_U
    return sum_R


def interval(value: float, draw_R: NDArray[np.float64], config: BootstrapConfig) -> Interval:
    """Return the interval between percentiles of the draws; draws that could not be made are left out."""
    draw_R = draw_R[np.isfinite(draw_R)]
    if not len(draw_R):
        return Interval(value=value, low=float("nan"), high=float("nan"))
    side = (1 - config.confidence) / 2
    low, high = np.quantile(draw_R, [side, 1 - side])
    return Interval(value=value, low=min(float(low), value), high=max(float(high), value))


def paired(a: Intervals, b: Intervals) -> dict[str, Interval]:
    """Return the differences, b less a, of the figures that both have; each draw drew the same people for both.

    Raises:
        DatasetError: Other people were drawn, or otherwise.
    """
    if a.key != b.key:
        raise DatasetError("these are figures of different people, or drawn otherwise: their draws cannot be paired")
    both = [name for name in a.figures if name in b.figures]
    return {
        name: interval(b.figures[name].value - a.figures[name].value, b.draws[name] - a.draws[name], a.config)
        for name in both
    }


class _Drawn:
    """Rates at every threshold, from the highest down, in every draw; the first row is of the faces as they are."""

    def __init__(self, counts: ByUnit, levels: Levels, weight_RU: NDArray[np.float32]) -> None:
        self.threshold_T = levels.threshold_T
        weight_RU = np.concatenate([np.ones((1, weight_RU.shape[1]), np.float32), weight_RU])
        impostor_RL = np.stack([among(weight_RU, counts.impostor_UUL[..., level]) for level in range(len(levels))], 1)
        genuine_RL = weight_RU.astype(np.float64) @ counts.genuine_UL
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw may have no pair of one person
            self.fmr_RT = np.cumsum(impostor_RL, 1)[:, :-1] / impostor_RL.sum(1, keepdims=True)
            self.tar_RT = np.cumsum(genuine_RL, 1)[:, :-1] / genuine_RL.sum(1, keepdims=True)

    def figures(self, found: Verification) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
        """Return the draws of every figure, moved by what the coarse thresholds make of the figure, and the figures."""
        drawn = {"auc": self._auc(), "eer": self._eer(), MISSED: self._missed()}
        for point in found.points:
            if point.tar is None or point.threshold is None:
                continue
            drawn[tar_name(point.fmr)] = self._read(point.fmr, self.tar_RT)
            drawn[threshold_name(point.fmr)] = self._read(
                point.fmr, np.broadcast_to(self.threshold_T, self.fmr_RT.shape)
            )
            at = int(np.searchsorted(-self.threshold_T, -point.threshold))
            drawn[fmr_name(point.fmr)] = self.fmr_RT[:, at]
        values = {**_values(found), MISSED: float(drawn[MISSED][0])}
        moved = {name: draw_R[1:] + (values[name] - draw_R[0]) for name, draw_R in drawn.items()}
        free = {name for name in moved if name.startswith("threshold")}
        return {name: draw_R if name in free else np.clip(draw_R, 0, 1) for name, draw_R in moved.items()}, values

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


def _last(x_T: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of rising values are the last of their kind."""
    return np.append(x_T[1:] > x_T[:-1], True)


def _values(found: Verification) -> dict[str, float]:
    """Return the figures that get an interval."""
    values = {"auc": found.auc, "eer": found.eer}
    for point in found.points:
        if point.tar is not None and point.threshold is not None and point.counted_fmr is not None:
            values[tar_name(point.fmr)] = point.tar
            values[threshold_name(point.fmr)] = point.threshold
            values[fmr_name(point.fmr)] = point.counted_fmr
    return values


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
    rest = np.setdiff1d(threshold_K[at], list(own))
    left = THRESHOLDS - len(own)
    rest = rest[:: max(1, -(-len(rest) // left))]
    return np.array([*own, *rest])


def key_of(people: Sequence[Any], config: BootstrapConfig) -> str:
    """Return what is equal where the same people are drawn the same way.

    Args:
        people: Their names, sorted.
        config: How they are drawn.
    """
    told = [people, config.seed, config.replicates]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]
