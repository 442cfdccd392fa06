"""Two evaluations side by side: by how much one encoder is better, and whether the people suffice to say so.

The same people were drawn in the same draws for both, so that a hard person is hard for both, and the difference is
known better than either figure. Evaluations of other people, faces or pairs are shown beside each other and not paired.

Source:
    B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13: percentile intervals; of
    differences, by drawing both alike.

Shape key: R draws.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from omokage.assess.evaluation import Evaluation, plain
from omokage.assess.opened import Judged
from omokage.evaluate.bootstrap import Intervals, paired
from omokage.evaluate.failures import frr_name
from omokage.evaluate.identification import RANK_ONE, fnir_name
from omokage.evaluate.interval import Interval
from omokage.evaluate.redrawn import ACCURACY, AP, MACRO
from omokage.evaluate.verification import tar_name
from omokage.sheet.words import visible

Verdict = Literal["higher", "lower", "the same", "cannot tell", "not shown", "not paired"]

PAIRS: Final = "1:1"

SETTINGS: Final = {AP: ("prevalence",), ACCURACY: ("prevalence", "folds")}
"""What must be set alike for two figures of one name to be the same figure."""

LOWER_IS_BETTER: Final = ("eer", "fnir", "frr")
"""How names of figures begin of which less is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One figure of both."""

    part: str
    """ "1:1", or "1:N, … people enrolled"."""
    name: str
    """As in reports: tar_at_fmr_1e-4."""
    said: str
    """For a person: TAR at FMR 1e-4."""
    a: Interval | None
    """None where A's data cannot show it."""
    b: Interval | None
    difference: Interval | None
    """B less A; None where it cannot be had."""
    verdict: Verdict
    """What B's figure is beside A's."""
    better: Literal["A", "B"] | None
    """Whose is better, where they differ."""

    def text(self) -> str:
        """Return what there is to say, as one sentence."""
        if self.a is None or self.b is None:
            if self.a is self.b:
                return f"neither shows {self.said}: too few comparisons"
            none, other, told = ("A", "B", self.b) if self.a is None else ("B", "A", self.a)
            return f"{none} shows no {self.said}; {other}'s is {_number(told)}"
        if self.difference is None:
            return f"{self.said} is {_number(self.a)} for A and {_number(self.b)} for B, which cannot be paired"
        if self.verdict == "the same":
            return f"{self.said} is the same for both, {_number(self.a)}"
        if self.verdict == "cannot tell":
            return f"cannot tell whose {self.said} is better: B's less A's is {decimals(self.difference)}"
        size = self.difference if self.verdict == "higher" else _negative(self.difference)
        worse = "" if self.better == "B" else ", which is worse"
        return f"B's {self.said} is {self.verdict} by {decimals(size)}{worse}"

    def turned(self, gap: Interval) -> Interval:
        """Return a difference of this figure so that more is better for B."""
        return _negative(gap) if self.name.startswith(LOWER_IS_BETTER) else gap


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """One of the two."""

    place: str
    """The evaluation's folder."""
    encoder: dict[str, Any]
    dataset: str
    """As it was given: DATASET, or DATASET@VERSION."""
    faces: int
    people: int
    licence: str

    @classmethod
    def of(cls, judged: Judged) -> "Who":
        """Return whom an evaluation is of."""
        told = judged.evaluation
        return cls(
            place=judged.place,
            encoder=told.encoder,
            dataset=told.given,
            faces=told.faces,
            people=told.people_judged,
            licence=told.licence,
        )

    @property
    def name(self) -> str:
        """What the encoder is called."""
        return str(self.encoder.get("name", "an encoder without a name"))

    def text(self) -> str:
        """Return it for a person."""
        return (
            f"{visible(self.name)} ({str(self.encoder.get('sha256'))[:12]}), {self.faces:,} faces of {self.people:,} "
            f"people of {visible(self.dataset)}; {visible(self.place)}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two evaluations, figure by figure."""

    a: Who
    b: Who
    confidence: float
    """Share of intervals that should hold the truth."""
    differences: tuple[Difference, ...]
    unpaired: dict[str, tuple[str, ...]]
    """By part: why its figures cannot be paired; empty where all can."""
    warnings: tuple[str, ...]

    def json(self) -> str:
        """Return the comparison as one JSON object."""
        told = [plain(each) | {"text": each.text()} for each in self.differences]
        return json.dumps({"kind": "comparison", **plain(self), "differences": told}, ensure_ascii=False)

    def text(self) -> str:
        """Return the comparison for a person."""
        lines = [f"A: {self.a.text()}", f"B: {self.b.text()}"]
        lines += [f"Warning: {visible(warning)}" for warning in self.warnings]
        for part in self.parts():
            lines.append(part)
            lines += [f"  not paired: {why}" for why in self.unpaired.get(part, ())]
            lines += [f"  {each.text()}" for each in self.differences if each.part == part]
        return "\n".join([*lines, self.note()])

    def parts(self) -> list[str]:
        """Return the parts that there are, in order."""
        return list(dict.fromkeys(each.part for each in self.differences))

    def note(self) -> str:
        """Return how to read the figures."""
        several = sum(each.difference is not None for each in self.differences)
        if not several:
            return "Nothing could be paired, so that nothing is said of which is better"
        sure = self.confidence
        return (
            f"{sure:.0%} intervals of B's figure less A's, people drawn anew, the same ones for both. A difference is "
            f"told where its interval leaves out 0: of figures that are equal in truth {1 - sure:.0%} are told apart "
            f"all the same, by chance, and {several} were looked at"
        )


def compared(a: Judged, b: Judged) -> Comparison:
    """Return what there is to say of B's figures beside A's."""
    unpaired, differences = {}, list[Difference]()
    for part, one, other, why in _parts(a, b):
        if why:
            unpaired[part] = tuple(why)
        gaps = {} if why else paired(one, other)
        gaps = {name: gap for name, gap in gaps.items() if _alike(name, a.evaluation, b.evaluation)}
        for name, said in _names(part, a.evaluation, b.evaluation):
            pair = one.figures.get(name), other.figures.get(name)
            differences.append(_difference(part, name, said, pair, gaps.get(name)))
    return Comparison(
        a=Who.of(a),
        b=Who.of(b),
        confidence=a.evaluation.intervals.config.confidence,
        differences=tuple(differences),
        unpaired=unpaired,
        warnings=tuple(_warnings(a, b)),
    )


def _difference(
    part: str, name: str, said: str, pair: tuple[Interval | None, Interval | None], gap: Interval | None
) -> Difference:
    verdict, better = _verdict(name, pair, gap)
    return Difference(
        part=part, name=name, said=said, a=pair[0], b=pair[1], difference=gap, verdict=verdict, better=better
    )


def _verdict(
    name: str, pair: tuple[Interval | None, Interval | None], gap: Interval | None
) -> tuple[Verdict, Literal["A", "B"] | None]:
    if None in pair:
        return "not shown", None
    if gap is None:
        return "not paired", None
    if gap.low == gap.high == 0:
        return "the same", None
    if not (gap.low > 0 or gap.high < 0):  # also where no draw gave a figure
        return "cannot tell", None
    more = gap.low > 0
    return "higher" if more else "lower", "B" if more != name.startswith(LOWER_IS_BETTER) else "A"


def _parts(a: Judged, b: Judged) -> Iterator[tuple[str, Intervals, Intervals, list[str]]]:
    """Yield each part of both evaluations, and why it cannot be paired."""
    basic = [*_same_people(a.evaluation, b.evaluation), *_same_config(a.evaluation, b.evaluation)]
    same = {name: told == b.evaluation.same[name] for name, told in a.evaluation.same.items()}
    other = [] if basic or same["pairs"] else ["other pairs were compared"]
    one, two = a.evaluation.intervals, b.evaluation.intervals
    yield PAIRS, one, two, [*basic, *other] or _same_draws(one, two)
    other = [] if basic or same["searches"] else ["other faces were enrolled or searched for, or otherwise"]
    for size in sorted(a.searches.keys() & b.searches.keys()):
        one, two = a.searches[size], b.searches[size]
        yield part_of(size), one, two, [*basic, *other] or _same_draws(one, two)


def part_of(size: int) -> str:
    """Return what the part about a gallery of so many people is called."""
    return f"1:N, {size:,} people enrolled"


def _same_people(a: Evaluation, b: Evaluation) -> Iterator[str]:
    """Yield how the people and faces differ."""
    if a.people_judged != b.people_judged:
        yield f"A is of {a.people_judged:,} people, B of {b.people_judged:,}"
    elif a.faces != b.faces:
        yield f"A is of {a.faces:,} faces, B of {b.faces:,}"
    elif a.same["faces"] != b.same["faces"]:
        yield f"both are of {a.faces:,} faces of {a.people_judged:,} people, but not of the same"


def _same_config(a: Evaluation, b: Evaluation) -> Iterator[str]:
    """Yield how people were drawn otherwise."""
    one, other = a.intervals.config, b.intervals.config
    if (one.seed, one.replicates) != (other.seed, other.replicates):
        yield (
            f"people were drawn {one.replicates:,} times with the seed {one.seed} for A, {other.replicates:,} times "
            f"with {other.seed} for B: evaluate one of them again with the other's --replicates and --seed"
        )


def _alike(name: str, a: Evaluation, b: Evaluation) -> bool:
    """Return whether a figure is told for the same settings."""
    return all(a.config[each] == b.config[each] for each in SETTINGS.get(name, ()))


def _same_draws(a: Intervals, b: Intervals) -> list[str]:
    """Return why draws of the same people cannot be paired all the same."""
    gone = [name for name, told in (("A", a), ("B", b)) if told.figures.keys() - told.draws.keys()]
    if gone:
        return [f"the draws of {' and '.join(gone)} are no longer in the folder: evaluate again"]
    return [] if a.key == b.key else ["other people were drawn"]


def _names(part: str, a: Evaluation, b: Evaluation) -> Iterator[tuple[str, str]]:
    """Yield the figures of a part that either has or could have, and what they are called."""
    if part == PAIRS:
        yield from (("auc", "AUC"), ("eer", "EER"))
        rates = {point.fmr for each in (a, b) for point in each.verification.points}
        yield from ((tar_name(rate), f"TAR at FMR {_rate(rate)}") for rate in sorted(rates, reverse=True))
        more = {AP: "average precision", ACCURACY: "accuracy by cross-validation", MACRO: "mean AUC by person"}
        more |= {frr_name(rate): f"FRR at FMR {_rate(rate)}, failures counted" for rate in sorted(rates, reverse=True)}
        known = a.intervals.figures.keys() | b.intervals.figures.keys()
        yield from ((name, said) for name, said in more.items() if name in known)
        return
    yield RANK_ONE, "rank-1 rate"
    found = [each for side in (a, b) for each in side.identification if part_of(each.size) == part]
    rates = {point.fpir for each in found for point in each.points}
    yield from ((fnir_name(rate), f"FNIR at FPIR {_rate(rate)}") for rate in sorted(rates, reverse=True))


def _rate(rate: float) -> str:
    return f"{rate:.0e}".replace("e-0", "e-") if rate < 1e-3 else f"{rate:g}"


def _warnings(a: Judged, b: Judged) -> Iterator[str]:
    one, other = a.evaluation, b.evaluation
    if one.encoder == other.encoder:
        yield "both evaluations are of the same encoder"
    if one.intervals.config.confidence != other.intervals.config.confidence:
        yield f"differences are told as A's intervals are: {one.intervals.config.confidence:.0%}"
    for name, alone in (("A", a.searches.keys() - b.searches.keys()), ("B", b.searches.keys() - a.searches.keys())):
        if alone:
            sizes = ", ".join(f"{size:,}" for size in sorted(alone))
            yield f"1:N with {sizes} people enrolled is in {name} alone, and not shown here"
    shared = [text for text in one.warnings if text in other.warnings]
    yield from shared
    yield from (f"A: {text}" for text in one.warnings if text not in shared)
    yield from (f"B: {text}" for text in other.warnings if text not in shared)


def _negative(gap: Interval) -> Interval:
    return Interval(value=-gap.value, low=-gap.high, high=-gap.low)


def decimals(told: Interval) -> str:
    """Return an interval with as many digits as its width deserves."""
    if not math.isfinite(told.high - told.low):
        return f"{told.value:.3f} (too few people for an interval)"
    width = max(told.high - told.low, abs(told.value) / 100)
    digits = 3 if not width > 0 else min(max(1 - math.floor(math.log10(width)), 2), 6)
    return f"{told.value:.{digits}f} ({told.low:.{digits}f} to {told.high:.{digits}f})"


def _number(told: Interval | None) -> str:
    return "not known" if told is None else f"{told.value:.4g}"
