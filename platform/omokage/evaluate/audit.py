"""Error rates of groups of people at one threshold for all: who is mistaken for others, and who is not recognised.

Source:
    ISO/IEC 19795-10:2024, performance variation across demographic groups; NISTIR 8429, "Face Recognition Vendor Test
    part 8: summarizing demographic differentials", for the highest rate over the geometric mean of all.

Shape key: N faces, G groups, U units (people of one group), D draws of people that units go with, R draws.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.bootstrap import BootstrapConfig, among, draw, interval, room, units_for
from omokage.evaluate.gaps import Gap, gap, permuted
from omokage.evaluate.groups import Groups
from omokage.evaluate.interval import Interval
from omokage.evaluate.pairs import unit_vectors
from omokage.evaluate.sweep import ByUnit, Levels, sweep
from omokage.evaluate.verification import SHOWN
from omokage.sheet.words import count

WORDS: Final = (
    "All groups are judged at the one threshold that the system would use; one for each group would hide what is here.",
    "FMR is how often two different people of a group match: someone may be taken for someone else of that group. "
    "FNMR is how often two faces of one person do not match: someone is not recognised.",
    "The figures hold for these pictures and this model. Groups differ in light, cameras, ages, poses and wrong names, "
    "too; a difference here need not come from the group, and equal rates here do not promise equal rates elsewhere.",
    "A group is a label that somebody gave. It says nothing certain about a person, and people who fit no label are in "
    "no figure.",
    "Wrong names in a group look like errors of the model: false matches where one person has two names, false "
    "non-matches where strangers are among a person's pictures. Clean the dataset before you compare.",
    "The highest rate over the lowest is above 1 even where groups do not differ; p says how often groups that are "
    "put together at random are as far apart.",
    "Where a figure is withheld, the data are too few for it: that is no sign that the group is treated well.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditConfig:
    """When a group is too small to be judged."""

    fewest_people: int = 10
    """People a group needs for its figures to be shown, at least 2."""
    fewest_faces: int = 30
    """Faces a group needs for its figures to be shown."""

    def __post_init__(self) -> None:
        """Reject what shows nothing."""
        if self.fewest_people < 2 or self.fewest_faces < 2:
            raise ConfigError(
                f"fewest_people and fewest_faces must be at least 2, got {self.fewest_people} and {self.fewest_faces}"
            )

    def too_small(self, people: int, faces: int) -> str:
        """Return why a group is too small to be judged; empty where it is not."""
        if people < self.fewest_people:
            return f"{count(people, 'person', 'people')}, fewer than {self.fewest_people}"
        return f"{count(faces, 'face')}, fewer than {self.fewest_faces}" if faces < self.fewest_faces else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRates:
    """One group at the threshold."""

    name: str
    people: int
    faces: int
    genuine: int
    """Pairs of one person, both faces in the group."""
    impostor: int
    """Pairs of different people of the group."""
    fmr: Interval | None
    fmr_withheld: str
    """Why there is no FMR; empty where there is one."""
    fnmr: Interval | None
    fnmr_withheld: str

    def text(self) -> str:
        """Return the group for a person."""
        fmr = self.fmr.text() if self.fmr else f"withheld, {self.fmr_withheld}"
        fnmr = self.fnmr.text() if self.fnmr else f"withheld, {self.fnmr_withheld}"
        size = f"{count(self.people, 'person', 'people')}, {count(self.faces, 'face')}"
        return f"{self.name}: {size}; FMR {fmr}; FNMR {fnmr}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """Groups at one threshold. Plain values."""

    threshold: float
    faces: int
    people: int
    misfits: int
    """Faces that are in no group, and in no figure."""
    in_two_groups: int
    """People with faces in two groups or more; their pairs across groups are in no group's FNMR."""
    fmr: float
    """Of all pairs of different people, in whatever groups."""
    fnmr: float | None
    fmr_interval: Interval
    """At the threshold as it is, whatever it was found in."""
    fnmr_interval: Interval | None
    groups: tuple[GroupRates, ...]
    gaps: tuple[Gap, ...]
    cross_fmr: tuple[tuple[float | None, ...], ...]
    """FMR between groups by row and column; None where a group is too small, or their pairs are too few."""
    words: tuple[str, ...] = WORDS
    """What the figures do and do not show."""

    def json(self) -> str:
        """Return the audit as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the audit for a person."""
        fnmr = "none" if self.fnmr_interval is None else self.fnmr_interval.text()
        rates = f"FMR {self.fmr_interval.text()}, FNMR {fnmr}"
        head = f"at {self.threshold:.4f} for all: {rates}; {self.misfits:,} faces in no group"
        rows = [group.text() for group in self.groups] + [gap.text() for gap in self.gaps]
        return "\n".join([head, *rows, *self.words])


def audit(
    embedding_NE: Any,
    label_N: Any,
    groups: Groups,
    threshold: float,
    config: AuditConfig | None = None,
    bootstrap: BootstrapConfig | None = None,
    threads: int | None = None,
) -> Audit:
    """Return the error rates of groups at one threshold.

    Args:
        embedding_NE: Unit vectors. Shape (N, E).
        label_N: Whose face each is. Shape (N,).
        groups: Of each face.
        threshold: Similarity at or above which two faces match.
        config: When a figure is withheld.
        bootstrap: How intervals are made.
        threads: To work on; all cores by default.

    Raises:
        DatasetError: These are no unit vectors, do not go together, or fewer than two faces are in a group.
    """
    vector_NE, label_N = unit_vectors(embedding_NE), np.asarray(label_N)
    if not len(vector_NE) == len(label_N) == len(groups.group_N):
        raise DatasetError(
            f"{len(vector_NE):,} embeddings, {len(label_N):,} labels, {len(groups.group_N):,} groups: not equally many"
        )
    counted = _Counted(vector_NE, label_N, groups, threshold, (bootstrap or BootstrapConfig(), threads))
    return counted.audit(config or AuditConfig())


class _Counted:
    """Pairs between units of people of one group, that match and that do not."""

    def __init__(
        self,
        vector_NE: NDArray[np.float32],
        label_N: NDArray[Any],
        groups: Groups,
        threshold: float,
        how: tuple[BootstrapConfig, int | None],
    ) -> None:
        self.groups, self.threshold, self.config = groups, threshold, how[0]
        row_N = np.flatnonzero(groups.group_N >= 0)
        if len(row_N) < 2:
            raise DatasetError(f"{len(row_N)} faces are in a group; there is nothing to compare")
        person_N = np.unique(label_N[row_N], return_inverse=True)[1]
        group_N = groups.group_N[row_N]
        self.people, self.faces = int(person_N.max()) + 1, len(row_N)
        member_M, self.faces_M = np.unique(np.stack([group_N, person_N], 1), axis=0, return_counts=True)
        self.group_M = member_M[:, 0]
        self.in_two = int((np.bincount(member_M[:, 1]) > 1).sum())
        most = room(2) if len(member_M) <= room(2) else room(2) // len(groups.names)
        draw_P = units_for(self.people, most, self.config.seed)
        key_N = group_N * (int(draw_P.max()) + 1) + draw_P[person_N]
        key_U, unit_N = np.unique(key_N, return_inverse=True)
        self.group_U, self.draw_U = key_U // (int(draw_P.max()) + 1), key_U % (int(draw_P.max()) + 1)
        order_N = np.argsort(unit_N, kind="stable")
        self.counts = ByUnit(unit_N[order_N], Levels([threshold]))
        sweep(vector_NE[row_N][order_N], person_N[order_N], [self.counts], how[1])
        drawn_RD = draw(int(draw_P.max()) + 1, self.config)
        # the first row is of the faces as they are
        self.weight_RU = np.concatenate([np.ones((1, len(key_U)), np.float32), drawn_RD[:, self.draw_U]])

    def audit(self, config: AuditConfig) -> Audit:
        """Return all figures."""
        impostor_UUL, genuine_UL = self.counts.impostor_UUL, self.counts.genuine_UL
        fmr = float(impostor_UUL[..., 0].sum() / max(1, impostor_UUL.sum()))
        rates = [self._rates(np.flatnonzero(self.group_U == group)) for group in range(len(self.groups.names))]
        fmr_R, fnmr_R = self._rates(np.arange(len(self.group_U)))
        told = [self._group(group, fmr, config, *rates[group]) for group in range(len(self.groups.names))]
        genuine = int(genuine_UL.sum())
        return Audit(
            threshold=self.threshold,
            faces=self.faces,
            people=self.people,
            misfits=self.groups.misfits,
            in_two_groups=self.in_two,
            fmr=fmr,
            fnmr=1 - float(genuine_UL[:, 0].sum()) / genuine if genuine else None,
            fmr_interval=interval(fmr, fmr_R[1:], self.config),
            fnmr_interval=interval(float(fnmr_R[0]), fnmr_R[1:], self.config) if genuine else None,
            groups=tuple(told),
            gaps=self._gaps(told, rates),
            cross_fmr=self._cross(fmr, config),
        )

    def _rates(self, unit: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return FMR and FNMR of some units in every draw; NaN where a draw has no such pair."""
        weight_RU = self.weight_RU[:, unit]
        count_UUL = self.counts.impostor_UUL[np.ix_(unit, unit)]
        match_R, all_R = among(weight_RU, count_UUL[..., 0]), among(weight_RU, count_UUL.sum(-1))
        genuine_RL = weight_RU.astype(np.float64) @ self.counts.genuine_UL[unit]
        with np.errstate(invalid="ignore", divide="ignore"):
            return match_R / all_R, genuine_RL[:, 1] / genuine_RL.sum(1)

    def _small(self, group: int, config: AuditConfig) -> str:
        """Return why a group is too small to be judged; empty where it is not."""
        faces_M = self.faces_M[self.group_M == group]
        return config.too_small(len(faces_M), int(faces_M.sum()))

    def _group(
        self, group: int, fmr: float, config: AuditConfig, fmr_R: NDArray[np.float64], fnmr_R: NDArray[np.float64]
    ) -> GroupRates:
        unit = np.flatnonzero(self.group_U == group)
        faces_M = self.faces_M[self.group_M == group]
        impostor = int(self.counts.impostor_UUL[np.ix_(unit, unit)].sum())
        genuine = int(self.counts.genuine_UL[unit].sum())
        small = self._small(group, config)
        needed = _needed(fmr)
        few = "no pair of different people matches, in whatever groups"
        if fmr:
            few = f"{impostor:,} pairs of different people; the rate of all, {fmr:.1e}, would show in {needed:,}"
        fmr_withheld = small or (few if impostor < needed else "")
        paired = int((faces_M > 1).sum())
        few = f"{paired} people with two faces or more, fewer than {config.fewest_people}"
        fnmr_withheld = small or (few if paired < config.fewest_people else "")
        return GroupRates(
            name=self.groups.names[group],
            people=len(faces_M),
            faces=int(faces_M.sum()),
            genuine=genuine,
            impostor=impostor,
            fmr=None if fmr_withheld else interval(float(fmr_R[0]), fmr_R[1:], self.config),
            fmr_withheld=fmr_withheld,
            fnmr=None if fnmr_withheld else interval(float(fnmr_R[0]), fnmr_R[1:], self.config),
            fnmr_withheld=fnmr_withheld,
        )

    def _gaps(self, told: Sequence[GroupRates], rates: Sequence[tuple[NDArray[np.float64], ...]]) -> tuple[Gap, Gap]:
        """Return how far groups are apart in FMR, and in FNMR."""
        impostor_UUL, genuine_UL = self.counts.impostor_UUL, self.counts.genuine_UL
        gaps = []
        for which, rate in enumerate(("FMR", "FNMR")):
            shown = [n for n, group in enumerate(told) if (group.fmr, group.fnmr)[which]]
            unit = np.flatnonzero(np.isin(self.group_U, shown))
            by_chance = None
            if len(self.group_U) == len(self.group_M) and len(shown) > 1:  # a unit is a person
                match, every = impostor_UUL[..., 0], impostor_UUL.sum(-1)
                if rate == "FNMR":
                    match, every = np.diag(genuine_UL[:, 1]), np.diag(genuine_UL.sum(-1))
                own = np.ix_(unit, unit)
                by_chance = permuted(self.group_U[unit], match[own], every[own], self.config)
            gaps.append(gap(rate, {told[n].name: rates[n][which] for n in shown}, by_chance, self.config))
        return gaps[0], gaps[1]

    def _cross(self, fmr: float, config: AuditConfig) -> tuple[tuple[float | None, ...], ...]:
        """Return FMR between groups, withheld as it is within a group."""
        groups = len(self.groups.names)
        onehot_UG = (self.group_U[:, None] == np.arange(groups)).astype(np.float64)
        # each pair was counted at one of (row, column) and (column, row)
        sums = [
            onehot_UG.T @ part_UU @ onehot_UG
            for part_UU in (self.counts.impostor_UUL[..., 0], self.counts.impostor_UUL.sum(-1))
        ]
        match_GG, all_GG = (part + part.T for part in sums)  # within a group each pair twice
        few_GG = all_GG / (1 + np.eye(groups)) < _needed(fmr)
        small = [bool(self._small(group, config)) for group in range(groups)]
        return tuple(
            tuple(
                None if small[g] or small[h] or few_GG[g, h] else float(match_GG[g, h] / all_GG[g, h])
                for h in range(groups)
            )
            for g in range(groups)
        )


def _needed(fmr: float) -> float:
    """Return how many pairs of different people would show a rate."""
    return math.ceil(SHOWN / fmr) if fmr else math.inf
