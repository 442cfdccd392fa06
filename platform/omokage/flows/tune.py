"""Search for better settings: trainings in runs of their own, judged on the same people, the base settings among them.

Each trial is one process with its share of the machine, so that none waits for what another holds. What is known of
the trials is kept in a journal (``train.tuned``), from which a killed search goes on: trials that ended are not run
again, others go on from their checkpoints. (Tune's own way back unpickles code from the folder of results, and forgets
the last seconds.)
"""

import dataclasses
import json
import time
from typing import Any

from ray import tune as raytune

from omokage import config as settings
from omokage.errors import ConfigError, WorkError
from omokage.flows.cluster import connected
from omokage.flows.placing import Placing, check_machine, nodes, placing
from omokage.flows.points import SCHEDULERS, Climb, Drawn, Numbered, Optuna, quietly_tuned
from omokage.flows.scratch import scratch
from omokage.flows.train import plan
from omokage.flows.trial import Given, trial
from omokage.flows.trials import Asked, Journal, Trackers, Trials
from omokage.flows.tune_config import TuneConfig
from omokage.ledger.version import normal
from omokage.progress import OnProgress, quietly
from omokage.tracking import place
from omokage.train import heap, tuned, validate
from omokage.train import run as runs
from omokage.train.lock import Still
from omokage.train.run import Run, RunHead
from omokage.train.space import from_toml
from omokage.train.split import labels
from omokage.train.tuned import Search, TrialLine, TuneReport


def tune(dataset: str, out: str, config: TuneConfig, on_progress: OnProgress = quietly) -> TuneReport:
    """Return the report of a search, begun now or taken up where it was stopped.

    Args:
        dataset: Place of the dataset, or DATASET@VERSION.
        out: Folder or s3:// prefix that holds all of the search.
        config: What to search.
        on_progress: Told of epochs done, over all trials.

    Raises:
        OmokageError: A setting or the dataset is wrong, or no trial could be trained; what was done is kept.
    """
    began = time.monotonic()
    place.resolve(config.tracking)  # what is wrong with it is said before the work
    check_machine(config.cluster, config.loop)
    search = Search.at(out)
    with Run(search.folder).locked() as still:
        return _Tuning(dataset, search, config).run(began, _heeding(still, on_progress))


def _heeding(still: Still, on_progress: OnProgress) -> OnProgress:
    """Return what shows progress, and ends the search where another command has taken it over."""

    def shown(done: int, of: int, what: str = "") -> None:
        still()
        on_progress(done, of, what)

    return shown


class _Tuning:
    """One start of a search."""

    def __init__(self, dataset: str, search: Search, config: TuneConfig) -> None:
        self.dataset, self.search, self.config = dataset, search, config
        self.base = config.base()
        self.space = from_toml(config.space, self.base.recipe)
        self.trials = config.trials
        self.notes: list[str] = []

    def run(self, began: float, on_progress: OnProgress) -> TuneReport:
        """Try all, and report."""
        config, search = self.config, self.search
        drawn = self._drawn()
        said = self._said()
        search.check(said)
        if (done := search.report(self.trials)) is not None:
            return TuneReport(**done | {"warnings": (*done["warnings"], "this search had ended already")})
        head = self._planned()
        search.begin(said)
        ended = [line for line in search.lines if line.status != "running"]
        points = drawn or self._asked(ended)
        asked = Asked(search=search, space=self.space, config=config, head=head, trials=self.trials, said=said)
        with connected(config.cluster, heap.KEPT):
            where = placing(nodes(), config.at_once, config.cluster.cpus, config.cluster.gpus)
            trackers = Trackers(asked)
            try:
                self._fit(Trials(asked, points, trackers, on_progress), ended, where)
                report = self._report(trackers, head, began)
            except BaseException as error:
                trackers.broken_off(error)
                raise
            trackers.whole.end("FINISHED")
        return report

    def _asked(self, ended: list[TrialLine]) -> Climb | Optuna:
        """Return what makes points of what the trials before were like."""
        seed = self.config.loop.seed
        if self.config.search == "optuna":
            return Optuna(self.space, seed, ended)
        return Climb(self.space, seed, self.search.lines)

    def _drawn(self) -> Drawn | None:
        """Return the points of a search that knows them beforehand."""
        config = self.config
        if config.search == "climb":
            return None
        if config.search == "optuna":
            Optuna(self.space, 0, ())  # is it there?
            return None
        grid = config.search == "grid"
        points = self.space.grid() if grid else self.space.drawn(config.trials, config.loop.seed)
        self.trials = min(config.trials, len(points))
        if len(points) > self.trials:
            self.notes.append(f"the grid has {len(points):,} settings, and only the first {self.trials} were tried")
        if config.trials > self.trials:
            self.notes.append(f"the space has no more than {self.trials} settings: all were tried")
        return Drawn(points[: self.trials])

    def _said(self) -> dict[str, Any]:
        """Return what the search is, as plain values."""
        ranges = {name: [each.kind, list(each.values)] for name, each in self.space.ranges.items()}
        said = {
            "dataset": normal(self.dataset),
            "recipe": runs.plain(self.base.recipe),
            "space": ranges,
            "search": self.config.search,
            "scheduler": self.config.scheduler,
            "trials": self.trials,
        }
        plain: dict[str, Any] = json.loads(json.dumps(said))
        return plain

    def _planned(self) -> RunHead:
        """Begin the run of the base settings, whose split is that of all; all that can be wrong is found here.

        Raises:
            OmokageError: Something is.
        """
        planned = plan(self.dataset, self.search.run(0), self.base)
        val_N = labels(planned.table, "val")[0]
        if not list(validate.shown(val_N[val_N >= 0])):
            raise ConfigError(
                "settings are compared on people of the validation part, which shows none: raise --val-share"
            )
        return planned.head

    def _fit(self, trials: Trials, ended: list[TrialLine], where: Placing) -> None:
        """Run the trials that have not ended."""
        config = self.config
        over = {line.number for line in ended}
        todo = [number for number in range(self.trials) if number not in over]
        if not todo:
            return
        given = Given(first=self.search.place(0), threads=where.cpus)
        resources = {"cpu": float(where.cpus), "gpu": 1.0 if where.gpu else 0.0}
        with quietly_tuned(), scratch() as stored:
            tuner = raytune.Tuner(
                raytune.with_resources(raytune.with_parameters(trial, given=given), resources),
                tune_config=raytune.TuneConfig(
                    num_samples=len(todo),
                    max_concurrent_trials=where.workers,
                    search_alg=Numbered(todo, trials.next),
                    scheduler=SCHEDULERS[config.scheduler](config.loop.epochs, ended),
                ),
                run_config=raytune.RunConfig(
                    name="tune",
                    storage_path=str(stored),
                    verbose=0,
                    callbacks=[Journal(trials)],
                    failure_config=raytune.FailureConfig(max_failures=config.max_failures),
                ),
            )
            tuner.fit()

    def _report(self, trackers: Trackers, head: RunHead, began: float) -> TuneReport:
        """Return the report, after telling it to the tracker of the search as a whole."""
        search, config, whole = self.search, self.config, trackers.whole
        rows = search.ranked()
        if not rows or rows[0]["rank"] is None:
            raise WorkError(f"no trial could be trained; the first failed: {rows[0]['why'] if rows else 'none began'}")
        best, base = rows[0], next(row for row in rows if row["number"] == 0)
        recipe = self.space.recipe(best["point"])
        found = {each.name: getattr(recipe, each.name) for each in dataclasses.fields(recipe)}
        search.folder.write(tuned.BEST, settings.to_toml(dataclasses.replace(self.base, **found)).encode())
        search.write_table()
        store = place.resolve(config.tracking)
        metric = self._metric(head)
        if len(rows) < self.trials:
            self.notes.append(f"after {len(rows)} trials nothing new was found to try")
        report = TuneReport(
            out=search.folder.url,
            dataset=head.dataset,
            version=head.version,
            search=config.search,
            scheduler=config.scheduler,
            metric=metric,
            trials=tuple(rows),
            base=None if base["rank"] is None else base["value"],
            best=best["value"],
            better=best["number"] != 0,
            gain=search.gain(best["number"], metric),
            config=search.folder.place(tuned.BEST),
            seconds=round(time.monotonic() - began, 3),
            tracked=place.shown(store) if store else None,
            warnings=tuple(dict.fromkeys([*head.notes, *self.notes, *whole.warnings])),
        )
        whole.best(metric, best["value"], 0)
        whole.file(tuned.BEST, search.folder.read(tuned.BEST))
        whole.file(runs.REPORT, report.json().encode())
        search.folder.write(runs.REPORT, report.json().encode())
        return report

    def _metric(self, head: RunHead) -> str:
        """Return what trials are compared by."""
        table = self.search.run(0).split(head)
        val_N = labels(table, "val")[0]
        return validate.goodness(dict.fromkeys(validate.shown(val_N[val_N >= 0]), 0.0), self.config.loop.best)[0]
