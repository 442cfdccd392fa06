"""Train a model on a dataset: a plan that is checked before anything starts, then Ray Train, then the report.

Ray Train starts the workers, and starts them again when one dies; each begins with the newest checkpoint in the run's
folder (``train.state``). So a killed worker, a lost node and a killed command all end the same way: it goes on.
"""

import dataclasses
import os
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from omokage import config as settings
from omokage.errors import ConfigError, DatasetError
from omokage.flows.cluster import ClusterConfig, connected
from omokage.flows.fitting import Fitted, fit
from omokage.flows.placing import Placing, check_machine, check_precision, nodes, placing
from omokage.flows.tracked import finish, tell, tracker
from omokage.ledger.version import Version, opened
from omokage.progress import OnProgress, quietly
from omokage.store import Dataset
from omokage.system import code
from omokage.tracking import place
from omokage.train import heap, validate
from omokage.train import run as runs
from omokage.train.batches import Batches
from omokage.train.loop import BEST, LAST
from omokage.train.model import beginning
from omokage.train.recipe import Recipe
from omokage.train.report import TrainReport
from omokage.train.run import Run, RunHead
from omokage.train.split import counts, labels, split


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(Recipe):
    """How to train, and on what machines."""

    workers: int | None = None
    """Processes that train together; by default one a GPU or, where there is none, one a machine."""
    max_failures: int = 3
    """Workers may die so often, and are started again from the last checkpoint; -1: without end."""
    tracking: str | None = None
    """Where figures are tracked: sqlite:///FILE.db, http://SERVER:PORT, or "off". By default MLFLOW_TRACKING_URI, else
    a file in your data folder."""
    experiment: str = "omokage"
    """Name under which MLflow lists this training beside others."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        Recipe.__post_init__(self)
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {self.workers}")
        if self.max_failures < -1:
            raise ConfigError(f"max_failures must be at least -1, got {self.max_failures}")

    @property
    def recipe(self) -> Recipe:
        """The part of it that decides the result."""
        return Recipe(**{each.name: getattr(self, each.name) for each in dataclasses.fields(Recipe)})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be trained on what."""

    run: Run
    head: RunHead
    recipe: Recipe
    table: pa.Table
    """The split."""
    data: Dataset


def train(
    dataset: str,
    run: str,
    config: TrainConfig,
    on_progress: OnProgress = quietly,
) -> TrainReport:
    """Return the report of a training, begun now or taken up where it was stopped.

    Args:
        dataset: Place of the dataset, or DATASET@VERSION.
        run: Folder or s3:// prefix that holds all of the training.
        config: How.
        on_progress: Told of pictures done in the epoch that is going on.

    Raises:
        OmokageError: A setting or the dataset is wrong, or the work could not go on; checkpoints are kept.
    """
    began = time.monotonic()
    there = Run.at(run)
    check_machine(config.cluster, config.loop)
    with there.locked() as still:
        planned = plan(dataset, there, config)
        if (done := there.report()) is not None:
            return TrainReport(**done | {"warnings": (*done["warnings"], "this training had ended already")})
        with tracker(there, planned.head, config.tracking, config.experiment) as telling:
            with connected(config.cluster, heap.KEPT):
                where = placing(nodes(), config.workers, config.cluster.cpus, config.cluster.gpus)
                check_precision(config.loop, where.gpu)
                _check_people(planned, where.workers)

                def on_epoch(line: dict[str, Any]) -> None:
                    still()
                    tell(telling, line)

                fitted = fit(there, where, config.max_failures, on_progress, on_epoch)
            report = _report(planned, config, where, fitted, began)
            there.folder.write(runs.REPORT, report.json().encode())  # what is exported says which epoch it is of
            wrong = finish(telling, there, report)
        report = replace(report, warnings=(*report.warnings, *([wrong] if wrong else []), *telling.warnings))
        there.folder.write(runs.REPORT, report.json().encode())
        return report


def plan(dataset: str, run: Run, config: TrainConfig) -> Plan:
    """Return what will be trained, the run begun if it was not; all that can be wrong is found here.

    Raises:
        OmokageError: A setting or the dataset is wrong.
    """
    data, version = opened(dataset)
    recipe = config.recipe
    place.resolve(config.tracking)
    head = run.going_on(data.folder.url, version, recipe)
    if head is not None:
        return Plan(run=run, head=head, recipe=recipe, table=run.split(head), data=data)
    parted = split(data, version, recipe.split, recipe.loop.seed)
    notes = _checked(parted.table, recipe)
    table, sha256 = runs.table_bytes(parted.table)
    head = RunHead(
        dataset=data.folder.url,
        version=version,
        recipe=runs.plain(recipe),
        version_sha256=Version.open(data, version).sha256 if version else None,
        generation=data.head.generation,
        split_sha256=sha256,
        code=code(),
        key=os.urandom(16).hex(),
        notes=(*parted.notes, *notes),
    )
    run.begin(head, settings.to_toml(config), table, beginning(recipe.model, recipe.loop.seed))
    return Plan(run=run, head=head, recipe=recipe, table=parted.table, data=data)


def _checked(table: pa.Table, recipe: Recipe) -> list[str]:
    """Return what a person should know of how the recipe goes with a split.

    Raises:
        ConfigError: They cannot go together.
        DatasetError: There is nobody to learn from.
    """
    train_N, people = labels(table, "train")
    if len(people) < 2:
        raise DatasetError(f"training tells people apart, and its part of the dataset has {len(people)}")
    notes = list(Batches(train_N, recipe.batches, recipe.loop.seed).notes)
    val_N = labels(table, "val")[0]
    shown = list(validate.shown(val_N[val_N >= 0]))
    if not shown:
        return [*notes, "nobody is there to validate on: no best model is chosen, only the last one is kept"]
    validate.goodness(dict.fromkeys(shown, 0.0), recipe.loop.best)
    return notes


def _tracked(uri: str | None) -> str | None:
    store = place.resolve(uri)
    return place.shown(store) if store else None


def _check_people(planned: Plan, workers: int) -> None:
    """Check that a step of all workers finds people enough.

    Raises:
        ConfigError: It does not.
    """
    Batches(labels(planned.table, "train")[0], planned.recipe.batches, planned.recipe.loop.seed, world=workers)


def _report(planned: Plan, config: TrainConfig, where: Placing, fitted: Fitted, began: float) -> TrainReport:
    outcome, recipe, folder = fitted.outcome, planned.recipe, planned.run.folder
    people, faces = counts(planned.table)
    history = outcome.history
    seconds = sum(line["seconds"] for line in history) or 1.0
    return TrainReport(
        run=folder.url,
        dataset=planned.head.dataset,
        version=planned.head.version,
        people=people,
        faces=faces,
        backbone=recipe.model.backbone,
        loss=recipe.loss.loss,
        workers=where.workers,
        device=f"{where.workers} GPU" if where.gpu else f"{where.workers} x {where.cpus} CPU",
        precision=f"{outcome.precision} ({outcome.why_precision})",
        epochs=len(history),
        stopped_early=outcome.stopped_early,
        best={key: outcome.best[key] for key in ("epoch", "metric", "value")} if outcome.best else None,
        last=history[-1],
        model=folder.place(BEST if outcome.best else LAST),
        broken=outcome.broken,
        starts=outcome.starts,
        seconds=round(time.monotonic() - began, 3),
        start_seconds=round(fitted.began - began, 3),
        images_per_second=round(sum(line["images"] for line in history) / seconds, 2),
        waiting=round(sum(line["waiting"] * line["seconds"] for line in history) / seconds, 4),
        licence=recipe.model.licence(),
        tracked=_tracked(config.tracking),
        warnings=(*planned.head.notes, *outcome.notes),
    )
