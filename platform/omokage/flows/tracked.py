"""A training in MLflow and TensorBoard: told by the command, in one thread, whatever becomes of the workers."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from omokage.errors import OmokageError, StorageError
from omokage.evaluate.plots import roc
from omokage.evaluate.verification import Verification
from omokage.flows.scratch import scratch
from omokage.tracking.events import Kept
from omokage.tracking.model import OnnxModel
from omokage.tracking.place import OFF
from omokage.tracking.tracker import About, Tracker
from omokage.train.export import CARD, DESCRIPTION, GRAPH, export
from omokage.train.loop import BEST_FIGURES
from omokage.train.report import TrainReport
from omokage.train.run import CONFIG, EVENTS, REPORT, Run, RunHead
from omokage.train.validate import INTERVALS

log = logging.getLogger(__name__)

ROC: Final = "roc.png"

MODEL: Final = "model"
"""What is exported, below the run's folder."""


@contextmanager
def tracker(run: Run, head: RunHead, uri: str | None, experiment: str) -> Iterator[Tracker]:
    """Yield what a training tells its figures, and tell it how the block ended.

    Args:
        run: The training's.
        head: What it says of itself.
        uri: Where it is tracked: ``omokage.tracking.place.resolve``.
        experiment: That it belongs to.

    Raises:
        ConfigError: Nothing can be tracked there.
    """
    about = About(
        name=run.folder.root.rpartition("/")[2],
        key=head.key,
        experiment=experiment,
        where=run.folder.url,
        dataset=head.given,
        digest=head.digest,
        commit=head.code["commit"] or "",
        params=head.recipe,
    )
    with _events(run) as (events, kept):
        telling = Tracker.start(uri, about, events if uri != OFF else None, 1, kept)
        for line in run.history():  # all again: what a killed command did not tell is told now
            tell(telling, line)
        try:
            yield telling
        except BaseException as error:
            telling.broken_off(error)
            raise
        telling.end("FINISHED")


@contextmanager
def _events(run: Run) -> Iterator[tuple[Path, Kept]]:
    """Yield where TensorBoard's files are written, and what brings them to the run where that is another place."""
    if run.folder.local:
        yield Path(run.folder.place(EVENTS)), lambda _: None
        return

    def bring(file: Path) -> None:
        try:
            run.folder.write(f"{EVENTS}/{file.name}", file.read_bytes())
        except StorageError as error:  # the run has all figures, or will go on when they can be written
            log.warning("TensorBoard's file was not brought to %s: %s", run.folder.url, error)

    with scratch() as place:
        yield place, bring


def tell(telling: Tracker, line: dict[str, Any]) -> None:
    """Tell what an epoch gave."""
    telling.log(line["epoch"], {name: value for name, value in line.items() if name != "epoch"})


def finish(telling: Tracker, run: Run, report: TrainReport) -> str | None:
    """Export the model into the run's folder, tell all that is known at the end, and return what went wrong."""
    if report.best:
        telling.best(report.best["metric"], report.best["value"], report.best["epoch"])
        figures = json.loads(run.folder.read(BEST_FIGURES))
        found = Verification.from_plain({name: value for name, value in figures.items() if name != INTERVALS})
        picture = roc({telling.about.name: found}).png()
        run.folder.write(ROC, picture)
        telling.file(ROC, picture)
    telling.file(CONFIG, run.folder.read(CONFIG))
    telling.file(REPORT, report.json().encode())
    with scratch() as beside:
        place = beside / MODEL
        try:
            made = export(run.folder.url, str(place))
        except OmokageError as error:
            return f"the model was not exported: {error}"
        for name in made.files:
            run.folder.write(f"{MODEL}/{name}", (place / name).read_bytes())
        extras = tuple(place / name for name in (DESCRIPTION, CARD))
        telling.model(OnnxModel(file=place / GRAPH, name=telling.about.name, extras=extras))
    return None
