"""What an evaluation's page says of each kind of figure: a table, plots, and how to read them."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from omokage.assess.evaluation import Evaluation
from omokage.assess.figures import TOO_FEW, asked, bounded, decimals, needed, percent, roughly, small
from omokage.assess.shown import Examples
from omokage.card.blocks import Block, Picture, Plots, Sample, Table, Text
from omokage.evaluate.failures import far_name, frr_name
from omokage.evaluate.folds import Folds
from omokage.evaluate.identification import Identification, OpenPoint
from omokage.evaluate.interval import Interval
from omokage.evaluate.people import PeopleSummary
from omokage.evaluate.redrawn import ACCURACY, AP, F1, MACRO, macro_name
from omokage.evaluate.verification import fmr_name, tar_name, threshold_name
from omokage.sheet.words import count

Pictures = Mapping[str, bytes]
"""PNG of each plot, by name."""

NAMED: Final = 1e-3
"""False match rate at which single people's rates are told, or the nearest that the data show."""

READING: Final[dict[str, tuple[str, str]]] = {
    "roc": (
        "ROC: true accept rate over false match rate",
        "ROC. Nearer to the top left is better; the dots are the rows of the table. The axis ends where the rate would "
        "be that of a single pair of different people.",
    ),
    "det": (
        "DET: false non-match rate over false match rate",
        "DET. The same as errors of both kinds: nearer to the bottom left is better. On the dotted line both rates are "
        "equal (EER). Steps at an end of the curve come from few pairs there.",
    ),
    "scores": (
        "How many pairs of one person and of different people have each similarity",
        "How alike pairs are; the scale is logarithmic. Where the two overlap no threshold is right for all pairs. "
        "Different people far to the right are most often one person with two names: look at the pairs above.",
    ),
    "precision-recall": (
        "Precision over recall",
        "Precision is the share of matching pairs that are of one person, recall the share of such pairs that match; "
        "the dotted line is what guessing reaches. Precision falls as pairs of one person get rarer, so it holds for "
        "this share of them alone.",
    ),
    "people": (
        "Every person's own ROC, their mean, and the worst",
        "One line a person: their own pairs against all their pairs with others. What is fine over all pairs can hide "
        "people whom the encoder fails: theirs are the lines that lie low.",
    ),
    "cmc": (
        "CMC: how often the person is among the first ranks",
        "CMC. How often the person is among the first so many of the gallery. It knows no threshold and no strangers: "
        "it shows what a person sees who looks through a list of candidates.",
    ),
    "dir": (
        "DIR: searches that find the person over searches for strangers that find anybody",
        "DIR, the open set. Nearer to the top left is better; the bars are the intervals of the table.",
    ),
}
"""What each plot is, and how to read it."""


def one_to_one(found: Evaluation, pictures: Pictures) -> Iterator[Block]:
    """Yield what thresholds do to pairs."""
    told = found.intervals.figures
    rows = []
    for point in found.verification.points:
        if point.tar is None or point.threshold is None or point.counted_fmr is None:
            rows.append((asked(point.fmr), TOO_FEW, "", "", "", "", ""))
            continue
        rows.append(
            (
                asked(point.fmr),
                decimals(point.threshold, 4),
                bounded(told.get(threshold_name(point.fmr)), lambda value: decimals(value, 4)),
                small(point.counted_fmr),
                bounded(told.get(fmr_name(point.fmr)), small),
                percent(1 - point.tar),
                bounded(_less(told.get(tar_name(point.fmr))), percent),
            )
        )
    names = ("FMR, at most", "Threshold", "its interval", "FMR here", "its interval", "FNMR", "its interval")
    yield Table(names, tuple(rows))
    yield Text(
        "Two faces match whose similarity is at or above the threshold. FMR is the share of pairs of different people "
        "that match, FNMR the share of pairs of one person that do not: 100 % less TAR. The interval of the FMR is "
        "what the threshold that was chosen here may do with other people."
    )
    yield from _plots(pictures, "roc", "det", "scores")


def precision(found: Evaluation, pictures: Pictures) -> Iterator[Block]:
    """Yield how far a match can be relied on."""
    curve, told = found.precision_recall, found.intervals.figures
    rows = [
        (said, decimals(value, 4), bounded(told.get(name), lambda value: decimals(value, 4)))
        for name, said, value in (
            (AP, "Average precision", curve.average_precision),
            (F1, f"Best F1, at a similarity of {decimals(curve.best_f1_threshold, 4)}", curve.best_f1),
        )
    ]
    yield Table((f"Where {percent(curve.prevalence)} of pairs are of one person", "Value", "its interval"), tuple(rows))
    yield from _plots(pictures, "precision-recall")


def folds(found: Evaluation) -> Iterator[Block]:
    """Yield what thresholds do to people whom they were not chosen by."""
    if found.folds is None:
        yield Text(f"Not told: {found.folds_withheld}.")
        return
    yield Table(
        ("", f"Mean of {len(found.folds.accuracy)} folds", "its interval", "From fold to fold", "FMR came to"),
        tuple(_fold_rows(found.folds, found.intervals.figures.get(ACCURACY))),
    )
    share = found.folds.prevalence
    at = "the share of pairs of one person that there is" if share is None else f"{roughly(share)} pairs of one person"
    yield Text(
        "People are parted into folds, and each fold is judged by the threshold that is best for all others; what FMR "
        "came to is what it did to people whom it was not chosen by. How much folds differ (one standard deviation) is "
        "no interval: it stands for TAR here, whose interval over people is in the first table. Accuracy is told for "
        f"{at}: where nearly all pairs are of different people, to call all of them different looks accurate."
    )


def _fold_rows(found: Folds, accuracy: Interval | None) -> Iterator[tuple[str, ...]]:
    mean, deviation = found.mean_accuracy()
    yield "Accuracy", percent(mean), bounded(accuracy, percent), _deviation(deviation), ""
    for point in found.points:
        told = point.mean()
        if told is None or point.counted_fmr is None:
            yield f"TAR at FMR {asked(point.fmr)}", TOO_FEW, "", "", ""
        else:
            came = small(sum(point.counted_fmr) / len(point.counted_fmr))
            yield f"TAR at FMR {asked(point.fmr)}", percent(told[0]), "", _deviation(told[1]), came


def _deviation(value: float) -> str:
    """Return a standard deviation of shares, in points of a percent."""
    return f"± {decimals(100 * value, 2)} points" if value == value else ""


def people(found: Evaluation, pictures: Pictures, examples: Examples) -> Iterator[Block]:
    """Yield whom the encoder fails."""
    summary = found.people
    if summary is None:
        return
    rates = [point.fmr for point in found.verification.points if point.threshold is not None]
    rows = tuple(_people_rows(summary, rates, found.intervals.figures))
    yield Table(("", "Mean over people", "its interval", "Worst person"), rows)
    yield Text(
        "Each person counts as much as any other, however many pictures there are of them; the thresholds are the same "
        f"for all. {summary.with_pairs:,} of {count(summary.people, 'person', 'people')} have two faces or more; only "
        "they have an AUC and an FNMR. For the intervals people are drawn anew; whom each is compared with and the "
        "thresholds stay. The worst has none: it gets worse the more people are looked at. Nor has the mean FMR: see "
        "that of all pairs."
    )
    yield from _plots(pictures, "people")
    rate = nearest(rates)
    at = None if rate is None else rates.index(rate)
    there = "" if at is None else f" at FMR {asked(rates[at])}"
    yield Table(
        ("The worst by AUC", "Faces", "AUC", f"FNMR{there}", "Own FMR there"),
        tuple(
            (
                str(person.label),
                f"{person.faces:,}",
                "" if person.auc is None else decimals(person.auc, 4),
                "" if at is None or (fnmr := person.fnmr[at]) is None else percent(fnmr),
                "" if at is None else small(person.fmr[at]),
            )
            for person in summary.worst
        ),
    )
    if examples.worst:
        yield Sample(
            "Who they are",
            "Under a face: how like the person's other faces it is. The most typical face stands apart, the least "
            "typical ones follow: strangers in the folder, hard pictures, or many years between two pictures.",
            examples.worst,
        )


def nearest(rates: Sequence[float]) -> float | None:
    """Return the false match rate nearest to ``NAMED``; None of none."""
    return min(rates, key=lambda rate: abs(math.log(rate / NAMED)), default=None)


def _people_rows(summary: PeopleSummary, rates: list[float], told: Mapping[str, Interval]) -> Iterator[tuple[str, ...]]:
    auc = bounded(told.get(MACRO), lambda value: decimals(value, 5))
    yield "AUC", decimals(summary.macro_auc, 5), auc, decimals(summary.worst_auc, 5)
    for rate, mean, worst in zip(rates, summary.macro_fnmr, summary.worst_fnmr, strict=False):
        fnmr = bounded(told.get(macro_name(rate)), percent)
        yield f"FNMR at the threshold of FMR {asked(rate)}", percent(mean), fnmr, percent(worst)
    for rate, mean, worst in zip(rates, summary.macro_fmr, summary.worst_fmr, strict=False):
        yield f"FMR at the threshold of FMR {asked(rate)}", small(mean), "", small(worst)


def one_to_many(found: Evaluation, pictures: Pictures) -> Iterator[Block]:
    """Yield who is found in galleries."""
    if not found.identification:
        yield Text(f"Not told: {found.identification_withheld}.")
        return
    rows = tuple(_gallery(each) for each in found.identification)
    yield Table(("People enrolled", "Faces enrolled", "Searches for them", "for strangers", "Rank 1", "interval"), rows)
    yield Text(
        f"{found.searched[:1].upper()}{found.searched[1:]}. Rank 1 is the share of searches for enrolled people in "
        "which that person comes first (closed set: strangers are left out)."
    )
    yield from _plots(pictures, "cmc")
    ranks = "first" if found.identification[-1].within == 1 else f"among the first {found.identification[-1].within}"
    open_rows = tuple(row for each in found.identification for row in _open(each))
    if open_rows:
        yield Table(("FPIR, at most", "People enrolled", "FNIR", "interval", "Threshold", "FPIR here"), open_rows)
        yield Text(
            "Open set, as in use: FPIR is the share of searches for strangers that find anybody at or above the "
            "threshold, FNIR the share of searches for enrolled people that do not find that person "
            f"{ranks} and at or above it. The threshold rises with the gallery."
        )
    yield from _plots(pictures, "dir")


def _gallery(found: Identification) -> tuple[str, ...]:
    return (
        f"{found.size:,}",
        f"{found.faces:,}",
        f"{found.mated:,}",
        f"{found.strangers:,}",
        percent(found.rank_one.value) if found.rank_one else TOO_FEW,
        bounded(found.rank_one, percent),
    )


def _open(found: Identification) -> Iterator[tuple[str, ...]]:
    for point in found.points:
        size = f"{found.size:,}"
        if point.fnir is None or point.threshold is None or point.counted_fpir is None:
            yield asked(point.fpir), size, TOO_FEW, f"{needed(point.fpir)} searches for strangers needed", "", ""
        else:
            interval = bounded(point.fnir, percent)
            threshold = decimals(point.threshold, 4)
            yield asked(point.fpir), size, percent(point.fnir.value), interval, threshold, small(point.counted_fpir)


def failures(found: Evaluation) -> Iterator[Block]:
    """Yield what pictures without a face do to the figures."""
    told = found.failures
    if not told.failed:
        yield Text(f"None of {count(told.tried, 'picture')} of these people.")
        return
    yield Text(
        f"{told.failed:,} of {count(told.tried, 'picture')} of these people ({percent(told.failed / told.tried)}) gave "
        "no face that could be compared. The figures above leave them out of 1:1 and count them as misses in 1:N; who "
        "drops hard pictures must not look better for it, so here are both."
    )
    within = found.intervals.figures
    rows = [
        (
            f"FNMR at FMR {asked(point.fmr)}",
            percent(point.fnmr),
            bounded(_less(within.get(tar_name(point.fmr))), percent),
            percent(point.frr),
            bounded(within.get(frr_name(point.fmr)), percent),
            small(point.far),
            bounded(within.get(far_name(point.fmr)), small),
        )
        for point in told.points
    ]
    names = ("", "Without failures", "its interval", "Counted as errors (FRR)", "its interval", "FAR", "its interval")
    yield Table(names, tuple(rows))
    both = [
        row
        for without, with_ in zip(found.without_failures, found.identification, strict=False)
        for row in _both(without, with_)
    ]
    if both:
        yield Table(("1:N", "Without failures", "its interval", "Counted as misses", "its interval"), tuple(both))


def _both(without: Identification, with_: Identification) -> Iterator[tuple[str, ...]]:
    """Yield the figures of a gallery without failures, and with them."""
    people = f"{count(with_.size, 'person', 'people')} enrolled"
    sides: list[tuple[str, Interval | None, Interval | None]] = [
        (f"Rank 1, {people}", without.rank_one, with_.rank_one)
    ]
    points: Iterable[tuple[OpenPoint, OpenPoint]] = zip(without.points, with_.points, strict=True)
    sides += [(f"FNIR at FPIR {asked(a.fpir)}, {people}", a.fnir, b.fnir) for a, b in points]
    for said, one, other in sides:
        if one and other:
            yield said, percent(one.value), bounded(one, percent), percent(other.value), bounded(other, percent)


def _less(share: Interval | None) -> Interval | None:
    """Return the interval of what is left of 1."""
    return share and Interval(value=1 - share.value, low=1 - share.high, high=1 - share.low)


def _plots(pictures: Pictures, *names: str) -> Iterator[Block]:
    """Yield plots, each with what it is and how to read it; those that are not there are left out."""
    found = tuple((Picture(pictures[name], READING[name][0]), READING[name][1]) for name in names if name in pictures)
    if found:
        yield Plots(found)
