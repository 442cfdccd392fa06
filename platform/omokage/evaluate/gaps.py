"""How far the error rates of groups are apart, and whether chance alone would set groups so far apart.

The highest rate over the lowest is never below 1, however alike groups are, and its interval hardly ever holds 1. So a
permutation test stands beside it: people's groups are exchanged at random, and the ratio is taken again.

Shape key: G groups, U units (people of one group), R draws.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.evaluate.bootstrap import BootstrapConfig, interval
from omokage.evaluate.interval import Interval

BATCH: Final = 20
"""Permutations at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """How far groups' rates are apart."""

    rate: str
    """FMR or FNMR."""
    groups: int
    """That are compared."""
    highest: str
    """Name of the group with the highest rate; empty where there are no two groups, or no errors, to compare."""
    lowest: str
    max_over_mean: Interval | None
    """The highest rate over the geometric mean of all: 1 where all are equal."""
    max_over_min: Interval | None
    p_value: float | None
    """Share of permutations with at least that highest rate over the mean, which is endless where a group has no error;
    None where units are not single people."""
    withheld: str
    """Why there is none; empty where there is one."""

    def text(self) -> str:
        """Return the gap for a person."""
        p = "" if self.p_value is None else f"; were groups exchanged at random, p = {self.p_value:.4f}"
        if self.max_over_mean is None or self.max_over_min is None:
            return f"{self.rate} across groups: withheld, {self.withheld}{p}"
        return (
            f"{self.rate} across {self.groups} groups: highest {self.highest}, lowest {self.lowest}; "
            f"highest / geometric mean {self.max_over_mean.text()}, highest / lowest {self.max_over_min.text()}{p}"
        )


def gap(
    rate: str, shown: dict[str, NDArray[np.float64]], permuted_RG: NDArray[np.float64] | None, config: BootstrapConfig
) -> Gap:
    """Return how far groups are apart.

    Args:
        rate: FMR or FNMR.
        shown: The rate of each group as it is, and then in every draw. Shape (1 + R,).
        permuted_RG: The rates of groups of people who were given their groups at random, if they were.
        config: How intervals are made.
    """
    names = list(shown)
    rate_RG = np.stack(list(shown.values()), 1) if shown else np.zeros((1, 0))
    none = [name for name, value in zip(names, rate_RG[0], strict=True) if value == 0]
    compared, withheld = len(names) > 1 and len(none) < len(names), ""
    if len(names) < 2:
        withheld = f"{'only one group' if names else 'no group'} has an {rate}"
    elif none:
        who = f"{none[0]} shows no error at all" if compared else "no group shows an error"
        withheld = f"{who}, and a ratio needs one"
    over_mean_R, over_min_R = _ratios(rate_RG) if compared else (np.full(len(rate_RG), np.nan),) * 2
    p_value = None
    if compared and permuted_RG is not None:
        as_far_R = ~(_ratios(permuted_RG)[0] < over_mean_R[0] - 1e-12)  # one without an error is as far as can be
        p_value = float((as_far_R.sum() + 1) / (len(as_far_R) + 1))
    return Gap(
        rate=rate,
        groups=len(names),
        highest=names[int(rate_RG[0].argmax())] if compared else "",
        lowest=names[int(rate_RG[0].argmin())] if compared else "",
        max_over_mean=None if withheld else interval(float(over_mean_R[0]), over_mean_R[1:], config),
        max_over_min=None if withheld else interval(float(over_min_R[0]), over_min_R[1:], config),
        p_value=p_value,
        withheld=withheld,
    )


def permuted(
    group_U: NDArray[np.int64], match_UU: NDArray[Any], pairs_UU: NDArray[Any], config: BootstrapConfig
) -> NDArray[np.float64]:
    """Return the rates of groups when units are given their groups at random. Shape (R, G).

    Args:
        group_U: Number of the group of each unit.
        match_UU: Errors among the pairs of units, each pair once.
        pairs_UU: All their pairs.
        config: How often, and the seed.
    """
    name_G, group_U = np.unique(group_U, return_inverse=True)
    rng = np.random.default_rng([config.seed, 3])
    match_UU, pairs_UU = match_UU.astype(np.float32), pairs_UU.astype(np.float32)
    found = []
    for start in range(0, config.replicates, BATCH):
        size = min(BATCH, config.replicates - start)
        given_RU = np.stack([rng.permutation(group_U) for _ in range(size)])
        onehot_XU = (given_RU[:, None] == np.arange(len(name_G))[:, None]).astype(np.float32).reshape(-1, len(group_U))
        sums = [
            np.einsum("xu,xu->x", onehot_XU @ part_UU, onehot_XU, dtype=np.float64) for part_UU in (match_UU, pairs_UU)
        ]
        with np.errstate(invalid="ignore"):
            found.append((sums[0] / sums[1]).reshape(size, len(name_G)))
    return np.concatenate(found)


def _ratios(rate_RG: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the highest rate over the geometric mean, and over the lowest; a draw without an error has none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        highest_R = rate_RG.max(1)
        return highest_R / np.exp(np.log(rate_RG).mean(1)), highest_R / rate_RG.min(1)
