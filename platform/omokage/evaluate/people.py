"""Every person's own curve: whom the model fails, which means over all pairs hide.

Shape key: P people, L levels of similarity, T = L - 1 thresholds from the highest down.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.evaluate.sweep import THRESHOLDS, ByPerson, Levels
from omokage.evaluate.verification import Verification

WORST: Final = 10
"""People that are named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """How well one person is told from all others."""

    label: Any
    """As given."""
    faces: int
    auc: float | None
    """None where there is one face."""
    fnmr: tuple[float | None, ...]
    """At each threshold: share of the person's own pairs that do not match. None where there is one face."""
    fmr: tuple[float, ...]
    """At each threshold: share of the person's pairs with others that match."""


@dataclass(frozen=True)
class People:
    """All people's curves."""

    label_P: NDArray[Any]
    faces_P: NDArray[np.int64]
    threshold_T: NDArray[np.float64]
    """Of the curves, from the highest down."""
    fmr_PT: NDArray[np.float64]
    tar_PT: NDArray[np.float64]
    """NaN for people with one face."""
    auc_P: NDArray[np.float64]
    """NaN for people with one face."""
    auc_error_P: NDArray[np.float64]
    """By how much each AUC can be wrong at most, for the curve's thresholds being few."""
    asked: tuple[float, ...]
    """Thresholds at which rates are told."""

    def person(self, row: int) -> Person:
        """Return one person's figures."""
        at = [int(np.searchsorted(-self.threshold_T, -threshold)) for threshold in self.asked]
        several = self.faces_P[row] > 1
        label = self.label_P[row]
        return Person(
            label=label.item() if isinstance(label, np.generic) else label,
            faces=int(self.faces_P[row]),
            auc=float(self.auc_P[row]) if several else None,
            fnmr=tuple(float(1 - self.tar_PT[row, t]) if several else None for t in at),
            fmr=tuple(float(self.fmr_PT[row, t]) for t in at),
        )

    def summary(self, worst: int = WORST) -> "PeopleSummary":
        """Return means over people, and the people who fare worst by AUC, then by name."""
        several_P = self.faces_P > 1
        at = [int(np.searchsorted(-self.threshold_T, -threshold)) for threshold in self.asked]
        auc_P = self.auc_P[several_P]
        order = np.flatnonzero(several_P)[np.argsort(auc_P, kind="stable")][:worst]
        fnmr_PT = 1 - self.tar_PT[several_P][:, at]
        return PeopleSummary(
            people=len(self.faces_P),
            with_pairs=int(several_P.sum()),
            thresholds=self.asked,
            macro_auc=float(auc_P.mean()),
            worst_auc=float(auc_P.min()),
            auc_error=float(self.auc_error_P[several_P].max()),
            macro_fnmr=tuple(fnmr_PT.mean(0).tolist()),
            worst_fnmr=tuple(fnmr_PT.max(0).tolist()),
            macro_fmr=tuple(self.fmr_PT[:, at].mean(0).tolist()),
            worst_fmr=tuple(self.fmr_PT[:, at].max(0).tolist()),
            worst=tuple(self.person(int(row)) for row in order),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PeopleSummary:
    """Means over people, each counting as much as any other, and the worst. Plain values."""

    people: int
    with_pairs: int
    """People with two faces or more; only they have an AUC and an FNMR."""
    thresholds: tuple[float, ...]
    macro_auc: float
    worst_auc: float
    auc_error: float
    """By how much any person's AUC can be wrong at most."""
    macro_fnmr: tuple[float, ...]
    worst_fnmr: tuple[float, ...]
    macro_fmr: tuple[float, ...]
    worst_fmr: tuple[float, ...]
    worst: tuple[Person, ...]

    def json(self) -> str:
        """Return the summary as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the summary for a person."""
        lines = [
            f"{self.with_pairs:,} of {self.people:,} people have two faces or more",
            f"AUC by person: mean {self.macro_auc:.5f}, worst {self.worst_auc:.5f}",
        ]
        rows = zip(self.thresholds, self.macro_fnmr, self.worst_fnmr, self.macro_fmr, self.worst_fmr, strict=True)
        lines += [
            f"at {threshold:.4f}: FNMR mean {fnmr:.4f}, worst {worst:.4f}; FMR mean {fmr:.2e}, worst {most:.2e}"
            for threshold, fnmr, worst, fmr, most in rows
        ]
        return "\n".join(lines)


class Counting:
    """Every person's own pairs against all their pairs with others, to be counted by a sweep."""

    def __init__(self, label_N: NDArray[Any], thresholds: Sequence[float], found: Verification) -> None:
        """Begin with no pair.

        Args:
            label_N: Whose face each is, the faces of one person side by side.
            thresholds: One for all people; rates are exact there.
            found: In the same faces; the curves' other thresholds are taken from its ROC.

        Raises:
            ConfigError: There are too many thresholds.
        """
        if len(thresholds) > THRESHOLDS // 2:
            raise ConfigError(f"at most {THRESHOLDS // 2} thresholds, got {len(thresholds)}")
        self.asked = tuple(float(threshold) for threshold in thresholds)
        self.label_P, first_P, person_N = np.unique(label_N, return_index=True, return_inverse=True)
        self.faces_P = np.bincount(person_N)
        self.place_P = np.argsort(np.argsort(first_P))
        levels = Levels([*thresholds, *_spread(found, THRESHOLDS - len(thresholds))])
        self.counter = ByPerson(self.place_P[person_N], levels)

    def people(self) -> People:
        """Return all people's curves, in the order of their labels."""
        genuine_PL, impostor_PL = self.counter.genuine_PL[self.place_P], self.counter.impostor_PL[self.place_P]
        genuine_P1, impostor_P1 = genuine_PL.sum(1, keepdims=True), impostor_PL.sum(1, keepdims=True)
        with np.errstate(invalid="ignore"):
            tar_PL, fmr_PL = np.cumsum(genuine_PL, 1) / genuine_P1, np.cumsum(impostor_PL, 1) / impostor_P1
            share_PL, rate_PL = genuine_PL / genuine_P1, impostor_PL / impostor_P1
            auc_P = np.sum((tar_PL - share_PL / 2) * rate_PL, 1)
        return People(
            label_P=self.label_P,
            faces_P=self.faces_P,
            threshold_T=self.counter.levels.threshold_T,
            fmr_PT=fmr_PL[:, :-1],
            tar_PT=tar_PL[:, :-1],
            auc_P=auc_P,
            auc_error_P=np.sum(share_PL * rate_PL, 1) / 2,
            asked=self.asked,
        )


def _spread(found: Verification, count: int) -> NDArray[np.float64]:
    """Return thresholds spread evenly over the ROC's rates of both kinds, and over the logarithm of one."""
    threshold_K, fmr_K, tar_K = np.array(found.roc).T
    part = count // 3
    at = np.concatenate(
        [
            fmr_K.searchsorted(np.linspace(0, 1, part)),
            tar_K.searchsorted(np.linspace(0, 1, part)),
            fmr_K.searchsorted(np.geomspace(1 / found.impostor, 1, part)),
        ]
    )
    some_T: NDArray[np.float64] = threshold_K[np.unique(np.minimum(at, len(fmr_K) - 1))]
    return some_T
