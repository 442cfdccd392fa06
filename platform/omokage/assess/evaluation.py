"""What an evaluation tells: how well an encoder tells a dataset's people apart, and finds them in a gallery."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.evaluate.bootstrap import BootstrapConfig, Intervals
from omokage.evaluate.failures import FailurePoint, Failures, far_name, frr_name
from omokage.evaluate.folds import FoldPoint, Folds
from omokage.evaluate.identification import RANK_ONE, Identification, OpenPoint, fnir_name
from omokage.evaluate.interval import Interval
from omokage.evaluate.people import People, PeopleSummary, Person
from omokage.evaluate.precision_recall import PrecisionRecall
from omokage.evaluate.redrawn import ACCURACY, AP, F1, MACRO, macro_name
from omokage.evaluate.verification import Verification, tar_name, threshold_name
from omokage.ledger.version import at_version
from omokage.sheet.words import visible

FORMAT: Final = 2

MEMORY: Final = frozenset({"curves", "search_draws"})
"""Fields that are not part of the report."""

AT: Final = "@"
"""Between a figure's name and the size of the gallery, among draws."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """All figures of an encoder on some people, and what a person should know of them."""

    dataset: str
    version: str | None
    encoder: dict[str, Any]
    """As a recipe has it: name, sha256, dim."""
    licence: str
    """Of the encoder's weights; empty where nothing is known of it."""
    digest: str
    """Of the faces that are judged: ``Subject.digest``."""
    faces: int
    people_judged: int
    failed: int
    """Pictures of somebody in which no face was found or encoded."""
    config: dict[str, Any]
    """``EvaluateConfig`` as plain values."""
    pairs: str
    """Which pairs were compared, in words."""
    verification: Verification
    precision_recall: PrecisionRecall
    folds: Folds | None
    folds_withheld: str
    """Why there is no cross-validation; empty where there is."""
    people: PeopleSummary | None
    """Labels are names. None where the pairs were listed: they are no person's all."""
    intervals: Intervals
    """Of the figures of 1:1, by name, with the draws where they are known."""
    failures: Failures
    """Error rates with pictures that failed counted as errors."""
    identification: tuple[Identification, ...]
    """By size of gallery, the smallest first; pictures that failed are misses. Closed and open set."""
    without_failures: tuple[Identification, ...]
    """The same without pictures that failed; empty where there are none."""
    identification_withheld: str
    """Why there is no 1:N; empty where there is."""
    searched: str
    """How the galleries were searched, in words."""
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    """By part of the work."""
    same: dict[str, str]
    """Each equal to another evaluation's where both compared the same "people", "faces", "pairs", or "searches"."""
    search_draws: dict[int, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    """Of 1:N, by size of gallery and name of the figure; in memory only, as are those of ``intervals``."""
    curves: People | None = None
    """Every person's curve, in memory only: they go into a table of their own."""

    @property
    def given(self) -> str:
        """The dataset as it is given to a command: DATASET, or DATASET@VERSION."""
        return at_version(self.dataset, self.version)

    @classmethod
    def from_plain(
        cls, values: Mapping[str, Any], draws: Mapping[str, NDArray[np.float64]] | None = None
    ) -> "Evaluation":
        """Return the evaluation that ``json`` wrote.

        Args:
            values: What JSON gives; keys that an evaluation does not have are left alone.
            draws: What ``draws`` gave, for paired differences.
        """
        named = {field.name for field in dataclasses.fields(cls)} - MEMORY
        mine = {name: value for name, value in values.items() if name in named}
        folds, people = mine["folds"], mine["people"]
        pairs, searches = _parted(draws or {})
        return cls(
            **mine
            | {
                "verification": Verification.from_plain(mine["verification"]),
                "precision_recall": PrecisionRecall(**_tuples(mine["precision_recall"])),
                "folds": folds and _folds(folds),
                "people": people and _people(people),
                "intervals": _intervals(mine["intervals"], pairs),
                "search_draws": searches,
                "failures": _failures(mine["failures"]),
                "identification": tuple(map(_identification, mine["identification"])),
                "without_failures": tuple(map(_identification, mine["without_failures"])),
                "warnings": tuple(mine["warnings"]),
            }
        )

    def json(self) -> str:
        """Return the evaluation as one JSON object, without draws and curves; numbers that JSON lacks are null."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in MEMORY]
        values = {name: getattr(self, name) for name in names}
        values["intervals"] = {
            field.name: getattr(self.intervals, field.name)
            for field in dataclasses.fields(Intervals)
            if field.name != "draws"
        }
        return json.dumps({"kind": "evaluation", "format": FORMAT, **plain(values)}, ensure_ascii=False)

    def draws(self) -> dict[str, NDArray[np.float64]]:
        """Return the draws of all figures, one value a draw, by name; those of 1:N as in ``rank_1@1000``."""
        searches = {
            f"{name}{AT}{size}": draw_R for size, draws in self.search_draws.items() for name, draw_R in draws.items()
        }
        return self.intervals.draws | searches

    def headline(self) -> dict[str, dict[str, float | None]]:
        """Return the figures that have an interval, by name, those of 1:N of the largest gallery."""
        told = dict(self.intervals.figures)
        for found in self.identification[-1:]:
            told |= {RANK_ONE: found.rank_one} if found.rank_one else {}
            told |= {fnir_name(point.fpir): point.fnir for point in found.points if point.fnir}
        figures: dict[str, dict[str, float | None]] = plain(told)
        return figures

    def metrics(self) -> dict[str, float]:
        """Return the figures by name, those that the data do not show left out."""
        told = self.verification.metrics()
        told |= {"average_precision": self.precision_recall.average_precision}
        told |= self.folds.metrics() if self.folds else {}
        if self.people:
            told |= {"macro_auc": self.people.macro_auc, "worst_auc": self.people.worst_auc}
        for found in self.identification[-1:]:
            told |= {RANK_ONE: found.rank_one.value} if found.rank_one else {}
            told |= {fnir_name(point.fpir): point.fnir.value for point in found.points if point.fnir}
        return told

    def text(self) -> str:
        """Return the figures for a person."""
        within = self.intervals.figures
        found = self.verification
        lines = [
            f"{self.given}: {self.faces:,} faces of {self.people_judged:,} people, encoded by "
            f"{visible(str(self.encoder.get('name')))}",
            *(f"Warning: {visible(warning)}" for warning in self.warnings),
            f"1:1, {self.pairs}: {found.genuine:,} of one person, {found.impostor:,} of different people; "
            f"{self.intervals.config.confidence:.0%} intervals over people",
            f"  AUC {within['auc'].text()}, EER {within['eer'].text()}",
            *(f"  {_point(self, place)}" for place in range(len(found.points))),
            *(f"  {line}" for line in _precise(self)),
            *_indented(self.folds.text() if self.folds else f"no cross-validation: {self.folds_withheld}"),
            *(f"  {line}" for line in _told(self, {ACCURACY: "accuracy over people"})),
        ]
        if self.people:
            lines += ["By person", *_indented(self.people.text()), *(f"  {line}" for line in _by_person(self))]
        if self.failures.failed:
            lines += [f"  {line}" for line in _with_failures(self)]
        if self.identification_withheld:
            lines.append(f"1:N: none: {self.identification_withheld}")
        if self.identification:
            lines.append(f"1:N, {self.searched}")
        for each in self.identification:
            lines += _indented(each.text())
        return "\n".join(lines)


def plain(value: Any) -> Any:
    """Return a value as JSON has it: dataclasses as objects, numbers that are none as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _parted(
    draws: Mapping[str, NDArray[np.float64]],
) -> tuple[dict[str, NDArray[np.float64]], dict[int, dict[str, NDArray[np.float64]]]]:
    """Return the draws of 1:1 by name, and those of 1:N by size and name."""
    pairs: dict[str, NDArray[np.float64]] = {}
    searches: dict[int, dict[str, NDArray[np.float64]]] = {}
    for full, draw_R in draws.items():
        name, at, size = full.rpartition(AT)
        (searches.setdefault(int(size), {}) if at else pairs)[name if at else full] = draw_R
    return pairs, searches


def _point(evaluation: Evaluation, place: int) -> str:
    """Return an operating point with its interval."""
    point = evaluation.verification.points[place]
    told = evaluation.intervals.figures.get(tar_name(point.fmr))
    if told is None or point.threshold is None:
        return point.text()
    threshold = evaluation.intervals.figures.get(threshold_name(point.fmr))
    at = f"{point.threshold:.4f}" + (f" ({threshold.low:.4f} to {threshold.high:.4f})" if threshold else "")
    return f"TAR at FMR {point.fmr:g}: {told.text()}, threshold {at}"


def _precise(evaluation: Evaluation) -> list[str]:
    """Return average precision and the best F1 with their intervals."""
    found = evaluation.precision_recall
    at = f"where {found.prevalence:.4%} of pairs are of one person"
    told = _told(evaluation, {AP: "average precision", F1: f"best F1, at {found.best_f1_threshold:.4f}"})
    return [f"{line}, {at}" for line in told] or [found.text()]


def _by_person(evaluation: Evaluation) -> list[str]:
    """Return means over people with their intervals; the worst of a set gets worse with its size, and has none."""
    fnmr = {
        macro_name(point.fmr): f"mean FNMR at the threshold of FMR {point.fmr:g}"
        for point in evaluation.verification.points
    }
    return _told(evaluation, {MACRO: "mean AUC", **fnmr})


def _with_failures(evaluation: Evaluation) -> list[str]:
    """Return error rates with failures and their intervals."""
    head, *lines = evaluation.failures.text().splitlines()
    figures = evaluation.intervals.figures
    for place, point in enumerate(evaluation.failures.points):
        frr, far = (figures.get(name(point.fmr)) for name in (frr_name, far_name))
        if frr and far:
            rates = f"FNMR {point.fnmr:.4g}, with failures FRR {frr.text()}, FAR {far.text()}"
            lines[place] = f"at FMR {point.fmr:g}: {rates}"
    return [head, *lines]


def _told(evaluation: Evaluation, names: Mapping[str, str]) -> list[str]:
    """Return figures with their intervals, each as it is called; those that have none are left out."""
    figures = evaluation.intervals.figures
    return [f"{said}: {figures[name].text()}" for name, said in names.items() if name in figures]


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values with lists made tuples again."""
    return {name: _tuple(value) for name, value in values.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(one) for one in value) if isinstance(value, list) else value


def _interval(value: Mapping[str, Any] | None) -> Interval | None:
    if value is None:
        return None
    return Interval(**{name: float("nan") if one is None else one for name, one in value.items()})


def _intervals(values: Mapping[str, Any], draws: Mapping[str, NDArray[np.float64]]) -> Intervals:
    figures = {name: interval for name, one in values["figures"].items() if (interval := _interval(one))}
    config = BootstrapConfig(**values["config"])
    return Intervals(**{**values, "config": config, "figures": figures, "draws": dict(draws)})


def _folds(values: Mapping[str, Any]) -> Folds:
    points = tuple(FoldPoint(**_tuples(point)) for point in values["points"])
    return Folds(**{**_tuples(values), "points": points})


def _people(values: Mapping[str, Any]) -> PeopleSummary:
    worst = tuple(Person(**_tuples(person)) for person in values["worst"])
    return PeopleSummary(**{**_tuples(values), "worst": worst})


def _failures(values: Mapping[str, Any]) -> Failures:
    return Failures(**{**values, "points": tuple(FailurePoint(**point) for point in values["points"])})


def _identification(values: Mapping[str, Any]) -> Identification:
    points = tuple(OpenPoint(**{**point, "fnir": _interval(point["fnir"])}) for point in values["points"])
    ranks = tuple((rank, _interval(told)) for rank, told in values["ranks"])
    told = {"rank_one": _interval(values["rank_one"]), "ranks": ranks, "points": points}
    return Identification(**{**_tuples(values), **told})
