"""One trial of a search: a training in a run of its own, on one worker, which tells its figures after each epoch."""

import dataclasses
import json
import logging
import os
from typing import Any

import torch
from ray import tune

from omokage import config as settings
from omokage.errors import OmokageError
from omokage.train import run as runs
from omokage.train import validate
from omokage.train.lesson import lesson
from omokage.train.loop import train as teach
from omokage.train.model import beginning
from omokage.train.recipe import Recipe
from omokage.train.run import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
    """What every trial is told."""

    first: str
    """Run of the base settings, whose split is that of all."""
    threads: int


def trial(asked: dict[str, Any], given: Given) -> None:
    """Train, and tell Tune; a mistake in the settings is told too, and is no failure of the machine.

    Args:
        asked: ``run``, its address; ``recipe``; ``number``; ``key``, of its run.
        given: What every trial is told.
    """
    logging.getLogger("omokage").setLevel(logging.WARNING)
    torch.set_num_threads(given.threads)
    recipe = settings.from_dict(Recipe, asked["recipe"], "the trial's recipe")
    told = 0

    def tell(line: dict[str, Any]) -> None:
        nonlocal told
        if line["epoch"] <= told:
            return
        told = line["epoch"]
        found = {name.removeprefix("val_"): value for name, value in line.items() if name.startswith("val_")}
        name, good = validate.goodness(found, recipe.loop.best)
        seconds = line["seconds"] + line["val_seconds"]
        said = {"metric": name, "good": good, "value": found[name], "spent": seconds}
        tune.report({"number": asked["number"], "epoch": told, **said, "line": json.dumps(line)})

    try:
        there = Run.at(asked["run"])
        with there.locked():
            begin(there, Run.at(given.first), recipe, asked["key"])
            for line in there.history():  # a killed search is taken up with all that was known
                tell(line)
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            teach(lesson(there, token=os.urandom(4).hex(), device=device, threads=given.threads), on_epoch=tell)
    except OmokageError as error:
        tune.report({"number": asked["number"], "failed": str(error)})


def begin(there: Run, first: Run, recipe: Recipe, key: str) -> None:
    """Begin a trial's run with the split of the first one's, or check that it was begun so.

    Raises:
        OmokageError: It is another's, or its model cannot be had.
    """
    model = first.begun()
    if there.going_on(model.dataset, model.version, recipe) is not None:
        return
    start = beginning(recipe.model, recipe.loop.seed)
    head = dataclasses.replace(model, recipe=runs.plain(recipe), key=key)
    there.begin(head, settings.to_toml(recipe), first.folder.read(runs.SPLIT), start)
