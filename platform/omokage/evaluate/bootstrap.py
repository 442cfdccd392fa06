"""How far a figure can be trusted: its interval, by drawing people anew.

People are drawn with replacement, never pairs: all pairs of a person stand or fall together. With w the number of times
that each unit of people was drawn, a share of pairs is drawn as

    FNMR* = sum_u w_u misses_u / sum_u w_u genuine_u
    FMR*  = (sum_u w_u matches_uu + sum_u<v w_u w_v matches_uv) / (the same of all impostor pairs)

so the pairs are counted once, between units, and never compared again. Two copies of one person are not compared with
each other: such pairs are neither of one person seen twice nor of different people.

A unit is a person; where there are more people than ``units_for`` has room for, it is a random group of people, which
are drawn together. Such intervals are too wide rather than too narrow where single pairs, not people, make the errors:
at most by the square root of three.

Source:
    A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007; for pairs of one set of people,
    T. A. B. Snijders and S. P. Borgatti, "Non-parametric standard errors and tests for network statistics", 1999.

Shape key: U units, R draws.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.interval import Interval

ROOM: Final = 20_000_000
"""Counts between units that are held."""


KNOWN: Final = 0.5
"""Share of draws that must give a figure for its interval to be told."""


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
    """Return the interval between percentiles of the draws; draws that could not be made are left out.

    Where most could not be made, the others are nearly the people as they are, and tell nothing: no interval is known.
    """
    known_R = np.isfinite(draw_R)
    if not known_R.any() or known_R.mean() < KNOWN:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    draw_R = draw_R[known_R]
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


def key_of(people: Sequence[Any], config: BootstrapConfig) -> str:
    """Return what is equal where the same people are drawn the same way.

    Args:
        people: Their names, sorted.
        config: How they are drawn.
    """
    told = [people, config.seed, config.replicates]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:16]
