"""How an encoder treats groups of people: error rates at one threshold for all, how near faces lie, who failed.

Shape key: N faces, E numbers of an embedding, P people with a face, G groups, F pictures that failed, R draws.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from omokage.assess.group_failures import GroupFailures, failures
from omokage.assess.grouping import Grouped
from omokage.assess.subject import Subject
from omokage.assess.verdicts import Verdict, verdicts
from omokage.errors import ConfigError
from omokage.evaluate import manifold as laying
from omokage.evaluate.audit import Audit, AuditConfig, audit
from omokage.evaluate.bootstrap import BootstrapConfig, room
from omokage.evaluate.extremes import Alike, extremes
from omokage.evaluate.groups import Groups
from omokage.evaluate.manifold import Manifold
from omokage.evaluate.spread import Axes, HeatMap, Spread, axes, heat_map, spread
from omokage.evaluate.stripes import pairs_told
from omokage.evaluate.verification import verification
from omokage.progress import OnProgress
from omokage.sheet.words import visible
from omokage.vision.attributes import LIMITS

AXES: Final = 10
"""Principal axes whose variance is told."""

PAIRS: Final = 8
"""Pairs of strangers that are shown of the group with the highest FMR."""

STEPS: Final = 5
"""Parts of the work."""

WORDS: Final = (
    "The sum of squares of each face says how far apart a group's faces lie: 1 where they point anywhere, 0 where they "
    "are one. It mixes how people differ and how pictures of one person do; a group in which everybody was "
    "photographed once lies further apart than one of many pictures of few people. Only FMR and FNMR count errors.",
    "The plain sum of squares grows with the number of faces: it says which group is large, and is here so that it can "
    "be compared with reports that have nothing else.",
    "Principal axes and UMAP are pictures, not figures: two axes show a small part of how faces differ, and neither "
    "distances nor the sizes of heaps mean anything in UMAP's. No group can be judged by them.",
    "Pictures in which no face was found or encoded are in no FMR and no FNMR: a group that fails more often has its "
    "easier pictures left.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditedConfig:
    """How groups are compared."""

    fmr: float = 1e-3
    """Share of pairs of different people, of whatever groups, that may match: it gives the one threshold."""
    threshold: float | None = None
    """The threshold itself, as omokage calibrate gives it; then --fmr is not looked at."""
    umap: bool = False
    """Also lay faces out by UMAP, which is an extra and takes its time."""
    rates: AuditConfig = field(default_factory=AuditConfig)
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        """Reject what is no rate or no similarity."""
        if not 0 < self.fmr < 1:
            raise ConfigError(f"fmr must lie between 0 and 1, got {self.fmr}")
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise ConfigError(f"threshold must be a similarity, -1 to 1, got {self.threshold}")


@dataclass(frozen=True, kw_only=True)
class Audited:
    """All of an audit."""

    subject: Subject
    grouped: Grouped
    config: AuditedConfig
    how: str
    """Where the threshold comes from."""
    audit: Audit
    spread: Spread
    failures: tuple[GroupFailures, ...]
    verdicts: tuple[Verdict, ...]
    ungrouped: tuple[tuple[str, int], ...]
    """People with faces in no group and how many these are, the most first."""
    axes: Axes
    heat: HeatMap
    manifold: Manifold | None
    alike: tuple[Alike, ...]
    """The most similar strangers of the group with the highest FMR."""
    remarks: tuple[str, ...]

    @property
    def groups(self) -> Groups:
        """The groups."""
        return self.grouped.groups

    @property
    def words(self) -> tuple[str, ...]:
        """What the figures do and do not show."""
        return (*(LIMITS if self.grouped.estimates else ()), *self.audit.words, *WORDS)

    def plain(self) -> dict[str, Any]:
        """Return the audit as plain values."""
        subject, estimates = self.subject, self.grouped.estimates
        return {
            "dataset": subject.dataset,
            "version": subject.version,
            "encoder": subject.encoder,
            "licence": subject.licence,
            "faces": subject.faces.num_rows,
            "people": subject.named,
            "remarks": list(self.remarks),
            "settings": asdict(self.config),
            "groups": {
                "kind": self.grouped.kind,
                "source": self.groups.source,
                "names": list(self.groups.names),
                "estimated": estimates is not None,
                **({"estimates": estimates.plain()} if estimates else {}),
                "faces_without_a_group": self.groups.misfits,
                "people_without_a_group": len(self.ungrouped),
                "examples_without_a_group": list(self.groups.examples),
            },
            "threshold": {"value": self.audit.threshold, "from": self.how},
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "rates": {name: value for name, value in asdict(self.audit).items() if name != "words"},
            "failures": [asdict(group) for group in self.failures],
            "spread": asdict(self.spread),
            "explained_variance": list(self.axes.explained),
            "words": list(self.words),
        }

    def json(self) -> str:
        """Return the audit as one JSON object; NaN may be in it."""
        return json.dumps(self.plain(), ensure_ascii=False)

    def text(self) -> str:
        """Return the audit for a person."""
        lines = [f"{self.subject.given}, {self.subject.encoder['name']}: {self.groups.text()}", self.how]
        lines += [f"note: {remark}" for remark in self.remarks]
        lines += [self.audit.text().removesuffix("\n".join(self.audit.words)).rstrip()]
        lines += [group.text() for group in self.failures if group.failed]
        lines += [self.spread.text(), *(verdict.text() for verdict in self.verdicts)]
        whole = "\n".join([*lines, "", *self.words])
        return "\n".join(map(visible, whole.split("\n")))  # names may hold what a terminal would obey


def audited(
    subject: Subject, grouped: Grouped, config: AuditedConfig, threads: int | None, on_progress: OnProgress
) -> Audited:
    """Return how an encoder treats groups.

    Args:
        subject: The faces.
        grouped: Of each face.
        config: How groups are compared.
        threads: To work on; all cores by default.
        on_progress: Told pairs that were compared, then parts of the work.

    Raises:
        ConfigError: The data cannot show the rate that the threshold is to keep, or UMAP is not installed.
        DatasetError: Fewer than two faces are in a group, or too few for UMAP.
    """
    vector_NE, label_N, groups = subject.vector_NE, subject.label_N, grouped.groups
    every = len(label_N) * (len(label_N) - 1) // 2
    with pairs_told(on_progress, every, "pairs, the threshold", 0, 2 * every):
        at, how = threshold(subject, config, threads)
    with pairs_told(on_progress, every, "pairs, by group", every, 2 * every):
        counted = audit(vector_NE, label_N, groups, at, config.rates, config.bootstrap, threads)
    told = _tested(counted, subject, grouped, config)
    on_progress(2, STEPS, "parts of the audit")
    wide = spread(vector_NE, label_N, groups, config.rates, config.bootstrap)
    on_progress(3, STEPS, "parts of the audit")
    seed = config.bootstrap.seed
    laid = laying.manifold(vector_NE, seed=seed) if config.umap else None
    on_progress(4, STEPS, "parts of the audit")
    return Audited(
        subject=subject,
        grouped=grouped,
        config=config,
        how=how,
        audit=told,
        spread=wide,
        failures=failures(subject, groups, config.rates, config.bootstrap),
        verdicts=verdicts(told.gaps, wide),
        ungrouped=_ungrouped(subject, groups),
        axes=axes(vector_NE, AXES, seed=seed),
        heat=heat_map(vector_NE, label_N, groups, seed=seed),
        manifold=laid,
        alike=_alike(subject, groups, told, threads),
        remarks=(*subject.remarks, *grouped.remarks, *_remarks(groups, told)),
    )


def threshold(subject: Subject, config: AuditedConfig, threads: int | None) -> tuple[float, str]:
    """Return the threshold for all, and where it comes from.

    Raises:
        ConfigError: These faces cannot show the rate.
    """
    if config.threshold is not None:
        return config.threshold, f"threshold {config.threshold:.4f}, as it was given"
    if len(np.unique(subject.label_N)) == len(subject.label_N):
        raise ConfigError(
            "nobody here has two faces, so that no threshold can be found: give --threshold, as omokage calibrate "
            "finds it in other faces"
        )
    found = verification(subject.vector_NE, subject.label_N, [config.fmr], threads)
    point = found.points[0]
    if point.threshold is None:
        raise ConfigError(
            f"{point.text()}, and there are {found.impostor:,}: ask for a higher --fmr, or give --threshold, as "
            "omokage calibrate finds it in other faces"
        )
    how = (
        f"threshold {point.threshold:.4f}, at which {point.counted_fmr:.2e} of all {found.impostor:,} pairs of "
        f"different people match (asked for: at most {config.fmr:g}); it was found in these very faces"
    )
    return point.threshold, how + ("; not even equal vectors match there" if point.threshold > 1 else "")


def _tested(told: Audit, subject: Subject, grouped: Grouped, config: AuditedConfig) -> Audit:
    """Return the audit with permutation tests, on a sample of people where there are too many to exchange them all."""
    lacking = [gap for gap in told.gaps if gap.highest and gap.p_value is None]
    if not lacking:
        return told
    group_N = grouped.groups.group_N
    here_N = group_N >= 0
    members = np.unique(np.stack([group_N[here_N], subject.label_N[here_N]]), axis=1).shape[1]
    rng = np.random.default_rng([config.bootstrap.seed, 4])
    share = room(2) / members
    some = rng.permutation(subject.named)[: int(0.95 * share * subject.named)]
    keep_N = np.isin(subject.label_N, some)
    part = replace(grouped.groups, group_N=group_N[keep_N])
    again = audit(
        subject.vector_NE[keep_N], subject.label_N[keep_N], part, told.threshold, config.rates, config.bootstrap
    )
    p_values = {gap.rate: gap.p_value for gap in again.gaps}
    gaps = [replace(gap, p_value=p_values[gap.rate]) if gap in lacking else gap for gap in told.gaps]
    return replace(told, gaps=tuple(gaps))


def _ungrouped(subject: Subject, groups: Groups) -> tuple[tuple[str, int], ...]:
    """Return people with faces in no group."""
    counts = Counter(subject.label_N[groups.group_N < 0].tolist())
    return tuple(
        (subject.people[label], count) for label, count in sorted(counts.items(), key=lambda of: (-of[1], of[0]))
    )


def _alike(subject: Subject, groups: Groups, told: Audit, threads: int | None) -> tuple[Alike, ...]:
    """Return the most similar strangers of the group with the highest FMR, by rows of the subject."""
    highest = told.gaps[0].highest
    if not highest:
        return ()
    row_n = np.flatnonzero(groups.group_N == groups.names.index(highest))
    label_n = subject.label_N[row_n]
    if len(np.unique(label_n)) == len(label_n):
        return ()
    found = extremes(subject.vector_NE[row_n], label_n, PAIRS, threads).impostor
    return tuple(replace(pair, a=int(row_n[pair.a]), b=int(row_n[pair.b])) for pair in found)


def _remarks(groups: Groups, told: Audit) -> list[str]:
    remarks = []
    if len(groups.names) == 1:
        remarks.append(f"there is one group, {groups.names[0]!r}: nothing to compare it with")
    shown = [group for group in told.groups if group.fmr or group.fnmr]
    if not shown:
        remarks.append("every group is too small for any figure: see what is withheld, and why")
    if groups.misfits:
        remarks.append(
            f"{groups.misfits:,} of {len(groups.group_N):,} faces are in no group, and in no group's figure; "
            f"{groups.examples[0]!r} for one"
        )
    if told.in_two_groups:
        remarks.append(
            f"{told.in_two_groups:,} people have faces in two groups or more; pairs of these are in no group's FNMR"
        )
    return remarks
