"""Which share of each group's pictures gave no face.

Shape key: P people, U units (people of one group), R draws.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omokage.assess.subject import Subject
from omokage.evaluate.audit import AuditConfig
from omokage.evaluate.bootstrap import BootstrapConfig, draw, interval, room, units_for
from omokage.evaluate.groups import Groups
from omokage.evaluate.interval import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupFailures:
    """Pictures of a group's people that gave no face."""

    name: str
    tried: int
    """Pictures of people whose faces are all in this group, those that failed included."""
    failed: int
    rate: Interval | None
    withheld: str
    """Why there is no rate; empty where there is one."""

    def text(self) -> str:
        """Return the failures for a person."""
        told = self.rate.text() if self.rate else f"withheld, {self.withheld}"
        return f"{self.name}: {self.failed:,} of {self.tried:,} pictures gave no face, {told}"


def failures(
    subject: Subject, groups: Groups, rates: AuditConfig, bootstrap: BootstrapConfig
) -> tuple[GroupFailures, ...]:
    """Return how many pictures of each group's people gave no face; of people whose faces are all in one group."""
    group_P = np.full(len(subject.people), -2)
    for group in range(-1, len(groups.names)):
        mine = np.unique(subject.label_N[groups.group_N == group])
        group_P[mine] = np.where(group_P[mine] == -2, group, -1)
    made_P = np.bincount(subject.label_N, minlength=len(subject.people))
    failed_P = np.bincount(subject.failed_label_F, minlength=len(subject.people))
    return tuple(
        _failures(name, made_P[group_P == group], failed_P[group_P == group], (rates, bootstrap))
        for group, name in enumerate(groups.names)
    )


def _failures(
    name: str, made_U: NDArray[np.int64], failed_U: NDArray[np.int64], how: tuple[AuditConfig, BootstrapConfig]
) -> GroupFailures:
    rates, bootstrap = how
    tried_U = made_U + failed_U
    withheld = rates.too_small(len(tried_U), int(tried_U.sum()))
    rate = None
    if not withheld:
        unit_U = units_for(len(tried_U), room(2), bootstrap.seed)
        drawn_RU = draw(int(unit_U.max()) + 1, bootstrap).astype(np.float64)
        with np.errstate(invalid="ignore"):
            rate_R = (drawn_RU @ np.bincount(unit_U, failed_U)) / (drawn_RU @ np.bincount(unit_U, tried_U))
        rate = interval(float(failed_U.sum() / tried_U.sum()), rate_R, bootstrap)
    return GroupFailures(name=name, tried=int(tried_U.sum()), failed=int(failed_U.sum()), rate=rate, withheld=withheld)
