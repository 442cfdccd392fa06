"""An evaluation as a page: the figures with their intervals first, how to read each plot, and faces to look at.

It is put together so:

    drawn = evaluation_page.plots(found)
    shown = examples(subject, evaluation_page.worst(found), config)
    write(folder, "evaluation", found.json(), evaluation_page.document(found, drawn, shown), drawn)

What it says of each kind of figure is in ``evaluation_sections``.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from omokage.assess import evaluation_sections as sections
from omokage.assess.evaluation import Evaluation
from omokage.assess.figures import TOO_FEW, asked, bounded, decimals, needed, percent
from omokage.assess.shown import Examples
from omokage.assess.written import COMMANDS
from omokage.card.blocks import Block, Document, Pairs, Points, Section, Table, Text
from omokage.card.contents import base
from omokage.evaluate import plots as draw
from omokage.evaluate.drawing import Plot
from omokage.evaluate.failures import frr_name
from omokage.evaluate.identification import Identification
from omokage.evaluate.redrawn import ACCURACY, AP
from omokage.evaluate.verification import SHOWN, tar_name
from omokage.sheet.words import count

LIMITS: Final = (
    "How the encoder does on other people, cameras, ages, light or poses. The intervals tell by how much the figures "
    "would move had other people like these been looked at, and nothing of people unlike these.",
    "Whether the names are right. A person with two names is counted as a false match, a stranger in a folder as a "
    "false non-match: look at the pairs above, let omokage find propose, decide, and evaluate the version.",
    "What a similarity means for one pair. It is a cosine and no probability; a threshold holds for this encoder "
    "alone. omokage calibrate gives one for a stated false match rate, with its interval.",
    "Whether groups of people fare alike: omokage audit tells.",
    "How often somebody is found by mistake in a larger gallery: with each person more there is one more to be "
    "mistaken for.",
    "Whether the encoder was trained on these people, unless a warning above says so: where the training set of an "
    "encoder is not known, its figures may be too good.",
)


def plots(found: Evaluation) -> dict[str, Plot]:
    """Return the plots of an evaluation, by name."""
    encoder = str(found.encoder.get("name", ""))
    thresholds = {
        f"FMR {asked(point.fmr)}:": point.threshold
        for point in found.verification.points
        if point.threshold is not None and point.threshold <= 1
    }
    drawn = {
        "roc": draw.roc({encoder: found.verification}),
        "det": draw.det({encoder: found.verification}),
        "scores": draw.scores(found.verification, dict(list(thresholds.items())[-4:])),
        "precision-recall": draw.precision_recall({encoder: found.precision_recall}),
    }
    if found.curves:
        drawn["people"] = draw.people(found.curves)
    galleries = {f"{each.size:,} enrolled": each for each in found.identification}
    if any(each.cmc for each in found.identification):
        drawn["cmc"] = draw.cmc(galleries)
    if any(each.dir_curve for each in found.identification):
        drawn["dir"] = draw.dir_curve(galleries)
    return drawn


def worst(found: Evaluation) -> list[str]:
    """Return the names of the people who fare worst, the worst first; none where pairs were listed."""
    return [str(person.label) for person in found.people.worst] if found.people else []


def document(found: Evaluation, plots: Mapping[str, Plot], examples: Examples) -> Document:
    """Return the page.

    Args:
        found: The figures.
        plots: As ``plots`` draws them; those that are missing are left out.
        examples: Faces to look at.
    """
    name = str(found.encoder.get("name", "unknown"))
    pictures = {each: plot.png() for each, plot in plots.items()}
    parts = (
        Section("The figures", tuple(_headline(found))),
        Section("Pairs to look at", tuple(_pairs(found, examples))),
        Section("1:1, are these two one person?", tuple(sections.one_to_one(found, pictures))),
        Section("Of pairs that match, how many are right?", tuple(sections.precision(found, pictures))),
        Section("Thresholds tried on other people", tuple(sections.folds(found))),
        Section("Person by person", tuple(sections.people(found, pictures, examples))),
        Section("1:N, who in the gallery is this?", tuple(sections.one_to_many(found, pictures))),
        Section("Pictures that gave no face", tuple(sections.failures(found))),
        Section("What was evaluated", tuple(_origin(found, examples))),
        Section("What these figures do not show", (Points(LIMITS),)),
    )
    totals = (
        (f"{found.faces:,}", "faces"),
        (f"{found.people_judged:,}", "people"),
        (f"{found.verification.genuine:,}", "pairs of one person"),
        (f"{found.verification.impostor:,}", "pairs of different people"),
    )
    state = f"version {found.version}" if found.version else "as it is decided now"
    return Document(
        kind="Evaluation",
        command=COMMANDS["evaluation"],
        title=f"{name} on {base(found.dataset)}",
        about=f"{base(found.dataset)}, {state}; {found.pairs}",
        totals=totals,
        sections=tuple(part for part in parts if part.blocks),
        warnings=found.warnings,
    )


def _headline(found: Evaluation) -> Iterator[Block]:
    told, one = found.intervals.figures, found.verification
    rows = [("AUC", decimals(one.auc, 5), bounded(told.get("auc"), lambda value: decimals(value, 5)))]
    rows.append(("EER", percent(one.eer), bounded(told.get("eer"), percent)))
    for point in one.points:
        title = f"TAR at FMR {asked(point.fmr)}"
        if point.tar is None:
            rows.append((title, TOO_FEW, f"{needed(point.fmr)} pairs of different people would show it"))
        else:
            rows.append((title, percent(point.tar), bounded(told.get(tar_name(point.fmr)), percent)))
    nearest = sections.nearest([point.fmr for point in found.failures.points])
    for failed in found.failures.points if found.failures.failed else ():
        if failed.fmr == nearest:
            title = f"FRR at FMR {asked(failed.fmr)}, pictures without a face counted as errors"
            rows.append((title, percent(failed.frr), bounded(told.get(frr_name(failed.fmr)), percent)))
    average = decimals(found.precision_recall.average_precision, 4)
    rows.append(("Average precision", average, bounded(told.get(AP), lambda value: decimals(value, 4))))
    if found.folds:
        mean, _ = found.folds.mean_accuracy()
        rows.append(("Accuracy, by cross-validation", percent(mean), bounded(told.get(ACCURACY), percent)))
    for each in found.identification[-1:]:
        rows += _headline_of(each)
    confidence = f"{found.intervals.config.confidence:.0%} interval"
    yield Table(("", "Value", confidence), tuple(rows))
    drawn = f"{found.intervals.people:,} people were drawn anew {found.intervals.config.replicates:,} times"
    grouped = f", in {found.intervals.units:,} groups" if found.intervals.units < found.intervals.people else ""
    yield Points(
        (
            "AUC: the chance that two faces of one person are more alike than two of different people. EER: the rate "
            "of errors where both kinds are as frequent.",
            "TAR at FMR 0.001: of the pairs of one person, the share that match at the threshold at which one in a "
            "thousand pairs of different people does.",
            f"The interval says where a figure would lie had other people been in the set ({drawn}{grouped}). Two "
            "encoders whose intervals overlap may still differ: omokage compare tells.",
            "Average precision and accuracy stand for one share of pairs of one person, which is told below; each draw "
            "of people learns the thresholds that its accuracy is judged by anew.",
            f"{TOO_FEW.capitalize()}: a rate is told only where so many comparisons would give {SHOWN} errors or more.",
        )
    )


def _headline_of(found: Identification) -> list[tuple[str, str, str]]:
    rows = []
    people = count(found.size, "person", "people")
    if found.rank_one:
        rows.append((f"Rank 1, {people} enrolled", percent(found.rank_one.value), bounded(found.rank_one, percent)))
    for point in found.points:
        title = f"FNIR at FPIR {asked(point.fpir)}, {people} enrolled"
        if point.fnir is None:
            rows.append((title, TOO_FEW, f"{needed(point.fpir)} searches for strangers would show it"))
        else:
            rows.append((title, percent(point.fnir.value), bounded(point.fnir, percent)))
    return rows


def _pairs(found: Evaluation, examples: Examples) -> Iterator[Block]:
    listed = "All faces were looked at here, not the listed pairs alone." if found.people is None else ""
    if examples.impostor:
        yield Pairs(
            "Different people who look most alike",
            "Their most similar pair, for each two people. One person with two names, relatives and lookalikes are "
            f"here. {listed or 'All of them are counted as different people in every figure.'}",
            examples.impostor,
        )
    if examples.genuine:
        yield Pairs(
            "One person who looks least alike",
            "The least similar pair of each person. Strangers in a folder, hard pictures and many years between two "
            f"pictures are here. {listed or 'All of them are counted as one person in every figure.'}",
            examples.genuine,
        )


def _origin(found: Evaluation, examples: Examples) -> Iterator[Block]:
    encoder = found.encoder
    rows = [
        ("Dataset", base(found.dataset)),
        ("State", f"version {found.version}" if found.version else "as it is decided now"),
        ("Faces, sha256 of what they are", found.digest),
        ("Pairs", found.pairs),
        ("Encoder", f"{encoder.get('name', 'unknown')}, {encoder.get('dim', '?')} numbers a face"),
        ("Encoder's sha256", str(encoder.get("sha256") or "not known")),
        ("Encoder's licence", found.licence or "not known here"),
        *((f"Licence of {model}", licence) for model, licence in examples.licences if model != encoder.get("name")),
    ]
    yield Table(("", ""), tuple(rows), numbers=False)
    settings = tuple((name.replace("_", " "), _setting(value)) for name, value in found.config.items())
    yield Table(("Setting", ""), settings, numbers=False)
    yield Text("report.json beside this page has every figure and every point of the curves; plots/ has the plots.")


def _setting(value: object) -> str:
    """Return a setting as a person would write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_setting(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_setting, value)) or "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not given" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
