"""What the command knows of a search's trials: told by Tune, kept in the journal, told on to trackers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune as raytune

from omokage.flows.points import Climb, Drawn, Optuna
from omokage.flows.tracked import tell
from omokage.flows.tune_config import TuneConfig
from omokage.progress import OnProgress
from omokage.tracking.tracker import About, Tracker
from omokage.train import run as runs
from omokage.train.run import RunHead
from omokage.train.space import Space
from omokage.train.tuned import Search, TrialLine


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search is."""

    search: Search
    """Begun."""
    space: Space
    config: TuneConfig
    head: RunHead
    """Of the run of the base settings."""
    trials: int
    """How many there are to be, in all."""
    said: dict[str, Any]
    """The same in plain values."""

    def key(self, number: int | None) -> str:
        """Return what finds a trial's tracked run; the search's own for None."""
        return f"{self.head.key}-search" if number is None else f"{self.head.key}-{number}" if number else self.head.key


class Trackers:
    """The trackers of a search as a whole, and of its trials."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.whole = Tracker.start(asked.config.tracking, self._about(None))
        self._trials: dict[int, Tracker] = {}

    def of(self, line: TrialLine) -> Tracker:
        """Return the tracker of a trial; it is started where it was not yet."""
        if line.number not in self._trials:
            self._trials[line.number] = Tracker.start(self.asked.config.tracking, self._about(line))
        return self._trials[line.number]

    def end(self, line: TrialLine) -> None:
        """Tell how a trial ended."""
        tracker = self.of(line)
        if line.why:
            tracker.tag("omokage.why", line.why)
        tracker.end("FAILED" if line.status == "failed" else "FINISHED")
        del self._trials[line.number]

    def broken_off(self, error: BaseException) -> None:
        """Tell all that have not ended that the search did, by an error, or was stopped from outside."""
        for tracker in (self.whole, *self._trials.values()):
            tracker.broken_off(error)

    def _about(self, line: TrialLine | None) -> About:
        """Return what a tracked run says of itself."""
        asked, head = self.asked, self.asked.head
        name = Path(asked.search.folder.url).name
        return About(
            name=name if line is None else f"{name} {line.number:03d}",
            key=asked.key(None if line is None else line.number),
            experiment=asked.config.experiment,
            where=asked.search.folder.url if line is None else asked.search.place(line.number),
            dataset=head.given,
            digest=head.digest,
            commit=head.code.get("commit") or "",
            params=asked.said if line is None else runs.plain(asked.space.recipe(line.point)),
            parent="" if line is None else asked.key(None),
        )


class Trials:
    """The trials of one start of a search."""

    def __init__(
        self, asked: Asked, points: Climb | Drawn | Optuna, trackers: Trackers, on_progress: OnProgress
    ) -> None:
        """Begin with what the journal knows.

        Args:
            asked: The search.
            points: Say what is tried next.
            trackers: Told of each epoch.
            on_progress: Told of epochs done, over all trials.
        """
        self.points, self.trackers, self.on_progress = points, trackers, on_progress
        self.search, self.asked = asked.search, asked

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune stores a copy of what it is given, for its own way back, which is not gone here."""
        return {}

    def next(self, number: int) -> dict[str, Any] | None:
        """Return what a trial is given, after taking note that it begins; None where there is nothing more to try."""
        line = self._known(number)
        if line is None:
            point = self.points.ask(number)
            if point is None:
                return None
            line = TrialLine(number=number, point=point)
            self.search.lines.append(line)
            self.search.write()
        recipe = runs.plain(self.asked.space.recipe(line.point))
        return {"number": number, "run": self.search.place(number), "recipe": recipe, "key": self.asked.key(number)}

    def take(self, number: int, result: dict[str, Any]) -> None:
        """Take note of an epoch of a trial."""
        line = self._line(number)
        if "failed" in result:
            line.status, line.why = "failed", result["failed"]
            return
        if line.told(result["epoch"], result["good"], result["value"], result["spent"]):
            self.search.write()
            tracker = self.trackers.of(line)
            tell(tracker, json.loads(result["line"]))
            tracker.best(result["metric"], line.value or 0.0, line.epochs)
        trials, epochs = self.asked.trials, self.asked.config.loop.epochs
        best = next((row["value"] for row in self.search.ranked()), None)
        said = "" if best is None else f", best {result['metric']} {best:.4f}"
        done = sum(each.epochs for each in self.search.lines)
        self.on_progress(done, trials * epochs, f"epochs of {trials} trials{said}")

    def end(self, number: int, error: str | None) -> None:
        """Take note that a trial has ended."""
        line = self._line(number)
        if line.status != "failed":
            line.status = "failed" if error else "finished" if self._whole(line) else "stopped"
            line.why = error or ""
        self.search.write()
        self.points.tell(line)
        self.trackers.end(line)

    def _whole(self, line: TrialLine) -> bool:
        """Return whether a trial ended by itself: at the last epoch, or when no better model came."""
        loop = self.asked.config.loop
        best = next((epoch for epoch, good in line.history if good == line.best), 0)
        return line.epochs >= loop.epochs or bool(loop.patience and line.epochs - best >= loop.patience)

    def _known(self, number: int) -> TrialLine | None:
        return next((line for line in self.search.lines if line.number == number), None)

    def _line(self, number: int) -> TrialLine:
        line = self._known(number)
        assert line is not None
        return line


class Journal(raytune.Callback):
    """Told by Tune, in the driver, what trials report."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Take note of a report."""
        self.trials.take(trial.config["number"], result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Take note that a trial has ended, or was stopped."""
        self.trials.end(trial.config["number"], None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Take note that a trial failed, and will not be tried again."""
        said = str(trial.get_error() or "").strip().splitlines()
        self.trials.end(trial.config["number"], said[-1] if said else "its process died")
