"""Search for better settings: trainings in runs of their own, judged on the same people, the base settings among them.

Each trial is one process with its share of the machine, so that none waits for what another holds. What is known of
the trials is kept in a journal (``train.tuned``), from which a killed search goes on: trials that ended are not run
again, others go on from their checkpoints. (Tune's own way back unpickles code from the folder of results, and forgets
the last seconds.)
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from ray import tune as raytune

from omokage import config as settings
from omokage.errors import ConfigError, WorkError
from omokage.flows.cluster import connected
from omokage.flows.placing import Placing, check_machine, nodes, placing
from omokage.flows.points import SCHEDULERS, Drawn, Numbered, Optuna, quietly_tuned
from omokage.flows.scratch import scratch
from omokage.flows.tracked import tell
from omokage.flows.train import plan
from omokage.flows.trial import Given, trial
from omokage.flows.tune_config import TuneConfig
from omokage.ledger.version import normal
from omokage.progress import OnProgress, quietly
from omokage.tracking import place
from omokage.tracking.tracker import About, Tracker
from omokage.train import run as runs
from omokage.train import tuned, validate
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
    with Run(search.folder).locked():
        return _Tuning(dataset, search, config, on_progress).run(began)


class _Tuning:
    """One start of a search."""

    def __init__(self, dataset: str, search: Search, config: TuneConfig, on_progress: OnProgress) -> None:
        self.dataset, self.search, self.config, self.on_progress = dataset, search, config, on_progress
        self.base = config.base()
        self.space = from_toml(config.space, self.base.recipe)
        self.trials = config.trials
        self.trackers: dict[int | None, Tracker] = {}
        self.notes: list[str] = []

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune stores a copy of what it is given, for its own way back, which is not gone here."""
        return {}

    def run(self, began: float) -> TuneReport:
        """Try all, and report."""
        config, search = self.config, self.search
        ask = self._points()
        search.check(self._said())
        if (done := search.report(self.trials)) is not None:
            return TuneReport(**done | {"warnings": (*done["warnings"], "this search had ended already")})
        self.head = self._planned()
        search.begin(self._said())
        ended = [line for line in search.lines if line.status != "running"]
        self.points: Drawn | Optuna = Optuna(self.space, config.loop.seed, ended) if ask is None else ask
        todo = [number for number in range(self.trials) if number not in {line.number for line in ended}]
        with connected(config.cluster):
            where = placing(nodes(), config.at_once, config.cluster.cpus, config.cluster.gpus)
            whole = self._tracker(None)
            try:
                if todo:
                    self._fit(todo, ended, where)
                report = self._report(whole, began)
            except BaseException as error:
                for tracker in self.trackers.values():
                    tracker.broken_off(error)
                raise
            for tracker in self.trackers.values():
                tracker.end("FINISHED")
        return report

    def _points(self) -> Drawn | None:
        """Return the points of a search that knows them beforehand."""
        config = self.config
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

    def _fit(self, todo: list[int], ended: list[TrialLine], where: Placing) -> None:
        """Run the trials that have not ended."""
        config = self.config
        given = Given(first=self.search.place(0), threads=where.cpus)
        resources = {"cpu": float(where.cpus), "gpu": 1.0 if where.gpu else 0.0}
        with quietly_tuned(), scratch() as stored:
            tuner = raytune.Tuner(
                raytune.with_resources(raytune.with_parameters(trial, given=given), resources),
                tune_config=raytune.TuneConfig(
                    num_samples=len(todo),
                    max_concurrent_trials=where.workers,
                    search_alg=Numbered(todo, self._asked),
                    scheduler=SCHEDULERS[config.scheduler](config.loop.epochs, ended),
                ),
                run_config=raytune.RunConfig(
                    name="tune",
                    storage_path=str(stored),
                    verbose=0,
                    callbacks=[_Journal(self)],
                    failure_config=raytune.FailureConfig(max_failures=config.max_failures),
                ),
            )
            tuner.fit()

    def _asked(self, number: int) -> dict[str, Any] | None:
        """Return what a trial is given, after taking note that it begins."""
        line = self.line(number)
        if line is None:
            point = self.points.ask(number)
            if point is None:
                return None
            line = TrialLine(number=number, point=point)
            self.search.lines.append(line)
            self.search.write()
        recipe = self.space.recipe(line.point)
        run = self.search.place(number)
        return {"number": number, "run": run, "recipe": runs.plain(recipe), "key": _key(self.head, number)}

    def line(self, number: int) -> TrialLine | None:
        """Return what is known of a trial."""
        return next((line for line in self.search.lines if line.number == number), None)

    def take(self, number: int, result: dict[str, Any]) -> None:
        """Take note of an epoch of a trial."""
        line = self.line(number)
        assert line is not None
        if "failed" in result:
            line.status, line.why = "failed", result["failed"]
            return
        if line.told(result["epoch"], result["good"], result["value"], result["spent"]):
            self.search.write()
            tracker = self._tracker(line)
            tell(tracker, json.loads(result["line"]))
            tracker.best(result["metric"], line.value or 0.0, line.epochs)
        done = sum(each.epochs for each in self.search.lines)
        best = next((row["value"] for row in self.search.ranked()), None)
        said = "" if best is None else f", best {result['metric']} {best:.4f}"
        self.on_progress(done, self.trials * self.config.loop.epochs, f"epochs of {self.trials} trials{said}")

    def end(self, number: int, error: str | None) -> None:
        """Take note that a trial has ended."""
        line = self.line(number)
        assert line is not None
        if line.status != "failed":
            line.status = "failed" if error else "finished" if self._whole(line) else "stopped"
            line.why = error or ""
        self.search.write()
        self.points.tell(line)
        tracker = self._tracker(line)
        if line.why:
            tracker.tag("omokage.why", line.why)
        tracker.end("FAILED" if line.status == "failed" else "FINISHED")
        del self.trackers[number]

    def _whole(self, line: TrialLine) -> bool:
        """Return whether a trial ended by itself: at the last epoch, or when no better model came."""
        loop = self.config.loop
        best = next((epoch for epoch, good in line.history if good == line.best), 0)
        return line.epochs >= loop.epochs or bool(loop.patience and line.epochs - best >= loop.patience)

    def _tracker(self, line: TrialLine | None) -> Tracker:
        """Return the tracker of a trial, or of the search as a whole; it is started where it was not yet."""
        number = None if line is None else line.number
        if number not in self.trackers:
            self.trackers[number] = Tracker.start(self.config.tracking, self._about(line))
        return self.trackers[number]

    def _about(self, line: TrialLine | None) -> About:
        """Return what a tracked run says of itself."""
        head = self.head
        name = Path(self.search.folder.url).name
        return About(
            name=name if line is None else f"{name} {line.number:03d}",
            key=_key(head, None if line is None else line.number),
            experiment=self.config.experiment,
            where=self.search.folder.url if line is None else self.search.place(line.number),
            dataset=head.given,
            digest=head.digest,
            commit=head.code.get("commit") or "",
            params=self._said() if line is None else runs.plain(self.space.recipe(line.point)),
            parent="" if line is None else _key(head, None),
        )

    def _report(self, whole: Tracker, began: float) -> TuneReport:
        """Return the report, after telling it to the tracker of the search as a whole."""
        head, search, config = self.head, self.search, self.config
        rows = search.ranked()
        if not rows or rows[0]["rank"] is None:
            raise WorkError(f"no trial could be trained; the first failed: {rows[0]['why'] if rows else 'none began'}")
        best, base = rows[0], next(row for row in rows if row["number"] == 0)
        recipe = self.space.recipe(best["point"])
        found = {each.name: getattr(recipe, each.name) for each in dataclasses.fields(recipe)}
        search.folder.write(tuned.BEST, settings.to_toml(dataclasses.replace(self.base, **found)).encode())
        search.write_table()
        store = place.resolve(config.tracking)
        report = TuneReport(
            out=search.folder.url,
            dataset=head.dataset,
            version=head.version,
            search=config.search,
            scheduler=config.scheduler,
            metric=self._metric(),
            trials=tuple(rows),
            base=None if base["rank"] is None else base["value"],
            best=best["value"],
            better=best["number"] != 0,
            config=search.folder.place(tuned.BEST),
            seconds=round(time.monotonic() - began, 3),
            tracked=place.shown(store) if store else None,
            warnings=tuple(
                dict.fromkeys(
                    [*head.notes, *self.notes, *(said for each in self.trackers.values() for said in each.warnings)]
                )
            ),
        )
        whole.best(report.metric, best["value"], 0)
        whole.file(tuned.BEST, search.folder.read(tuned.BEST))
        whole.file(runs.REPORT, report.json().encode())
        search.folder.write(runs.REPORT, report.json().encode())
        return report

    def _metric(self) -> str:
        """Return what trials are compared by."""
        table = self.search.run(0).split(self.head)
        val_N = labels(table, "val")[0]
        return validate.goodness(dict.fromkeys(validate.shown(val_N[val_N >= 0]), 0.0), self.config.loop.best)[0]


def _key(head: RunHead, number: int | None) -> str:
    """Return what finds a trial's tracked run, or the search's, from the run of the base settings."""
    return f"{head.key}-search" if number is None else f"{head.key}-{number}" if number else head.key


class _Journal(raytune.Callback):
    """Told by Tune, in the driver, what trials report."""

    def __init__(self, tuning: _Tuning) -> None:
        self.tuning = tuning

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Take note of a report."""
        self.tuning.take(trial.config["number"], result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Take note that a trial has ended, or was stopped."""
        self.tuning.end(trial.config["number"], None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Take note that a trial failed, and will not be tried again."""
        said = str(trial.get_error() or "").strip().splitlines()
        self.tuning.end(trial.config["number"], said[-1] if said else "its process died")
