"""What a person who is given a model should know of it, on a page of Markdown."""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from omokage.evaluate.verification import tar_name
from omokage.sheet.words import visible
from omokage.train.trained import Trained
from omokage.train.validate import INTERVALS
from omokage.vision.crop import Crop

SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#&~])")
"""What could begin markup within a line; names may hold anything."""

USE: Final = (
    "Made to compare faces that were found and aligned in the same way as those that it was trained on, with a "
    "threshold that was calibrated on pictures like those that it will see. It was judged only on the people counted "
    "below, so nothing is known of how it treats groups of people who are few or absent among them, and a similarity "
    "alone is no proof of who somebody is."
)


def licence(trained: Trained) -> str:
    """Return what is known of the licence of a model: that of the weights it started from, never more."""
    return f"starting weights: {trained.recipe.model.licence()}; training pictures: unknown"


def markdown(trained: Trained, crop: Crop, licence: str, sha256: str) -> str:
    """Return the card.

    Args:
        trained: The model.
        crop: How faces must be cut to look like those that it was trained on.
        licence: As its description has it.
        sha256: Of its graph.
    """
    sections = {
        "Use and limits": [USE],
        "Input and output": _lines(_input(trained, crop, sha256)),
        "Data": _lines(_data(trained)),
        "Training": _lines(_training(trained)),
        "Figures": [*_figures(trained)],
        "Licence": _lines(_licences(trained)),
    }
    title = trained.place.rstrip("/").rpartition("/")[2] or "model"
    parts = [f"# {_plain(title)}"]
    for head, content in sections.items():
        parts += [f"## {head}", *content]
    return "\n\n".join(parts) + "\n"


def _input(trained: Trained, crop: Crop, sha256: str) -> Iterator[tuple[str, str]]:
    seen = trained.embedder.input
    yield "Takes", f"aligned faces of {seen.size} x {seen.size} px, RGB, (value / 255 - {seen.mean}) / {seen.std}"
    template = crop.template
    resized = "" if template.size == crop.size else f", cut at {template.size} px and brought to {crop.size} px"
    coded = f", through JPEG of quality {crop.jpeg}" if crop.jpeg else ""
    yield "Alignment", f"{template.version}, padding {template.padding:g}{resized}{coded}"
    yield "Gives", f"{trained.recipe.model.dim} numbers a face, a vector of length 1; compare by cosine"
    yield "SHA-256 of the graph", sha256


def _data(trained: Trained) -> Iterator[tuple[str, str]]:
    head = trained.head
    yield "Dataset", head.dataset
    version = f"{head.version}, SHA-256 {head.version_sha256}" if head.version else "none: the dataset as it was"
    yield "Version", f"{version}; generation {head.generation}"
    yield "Split", f"by {trained.recipe.split.split_by}, seed {trained.recipe.loop.seed}, SHA-256 {head.split_sha256}"
    for part, people in trained.people.items():
        yield f"Part {part}", f"{trained.faces[part]:,} faces of {people:,} people"
    for note in head.notes:
        yield "Note", note


def _training(trained: Trained) -> Iterator[tuple[str, str]]:
    recipe, code = trained.recipe, trained.head.code
    yield "Backbone", f"{recipe.model.backbone}, {_start(trained)}"
    yield "Loss", recipe.loss.loss
    yield "Optimiser", f"{recipe.optim.preset}, {recipe.loop.epochs} epochs at most"
    chosen = "the best on the people of the part val" if trained.best else "that of the last epoch"
    at = f" (epoch {trained.epoch})" if trained.epoch is not None else "; the training had not ended"
    yield "This model", f"{chosen}{at}"
    yield "Code", f"omokage {code['omokage']}, commit {code['commit'] or 'unknown'}"


def _start(trained: Trained) -> str:
    config = trained.recipe.model
    if config.from_scratch:
        return "from random numbers"
    return f"from the weights {config.weights}" if config.weights else "from its published pretrained weights"


def _figures(trained: Trained) -> Iterator[str]:
    found = trained.figures
    if found is None:
        yield "None: there were no people to judge it on."
        return
    drawn = found.get(INTERVALS)
    yield (
        f"1:1 verification on the part val, which also chose this model: {found['faces']:,} faces of "
        f"{found['people']:,} people, {found['genuine']:,} genuine and {found['impostor']:,} impostor pairs. "
        f"{_how_sure(drawn)}"
    )
    within = drawn["figures"] if drawn else {}
    rows = [
        ("AUC", f"{found['auc']:.5f}", _between(within, "auc"), ""),
        ("EER", f"{found['eer']:.4f}", _between(within, "eer"), f"{found['eer_threshold']:.4f}"),
        *(_point(point, within) for point in found["points"]),
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    yield "\n".join(["| | value | interval | threshold |", "| --- | ---: | ---: | ---: |", *lines])


def _how_sure(drawn: dict[str, Any] | None) -> str:
    if drawn is None:
        return "Intervals are not known: the training was ended by an earlier version of omokage."
    config = drawn["config"]
    return (
        f"Intervals of {config['confidence']:.0%}, of {config['replicates']:,} draws of these people with all their "
        "pairs; that this model was chosen by the same figures is not in them, and makes it look better than it is."
    )


def _between(within: dict[str, Any], name: str) -> str:
    """Return an interval; nothing where none could be made."""
    ends = [within[name]["low"], within[name]["high"]] if name in within else []
    return " to ".join(f"{end:.4f}" for end in ends) if all(map(math.isfinite, ends)) else ""


def _point(point: dict[str, Any], within: dict[str, Any]) -> tuple[str, str, str, str]:
    called = f"TAR at FMR {point['fmr']:g}"
    if point["tar"] is None:
        return called, "too few pairs to tell", "", ""
    return called, f"{point['tar']:.4f}", _between(within, tar_name(point["fmr"])), f"{point['threshold']:.4f}"


def _licences(trained: Trained) -> Iterator[tuple[str, str]]:
    yield "Weights that the training started from", trained.recipe.model.licence()
    yield "Training pictures", "unknown: ask whoever made the dataset"
    yield "This model", "to be stated by whoever trained it, within the two above"


def _lines(items: Iterator[tuple[str, str]]) -> list[str]:
    return ["\n".join(f"- {what}: {_plain(said)}" for what, said in items)]


def _plain(text: str) -> str:
    return SPECIAL.sub(r"\\\1", visible(text))
