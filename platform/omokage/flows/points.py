"""What Ray Tune is told to try next, which trials it stops, and what it is not to do."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, cast

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from omokage.errors import ConfigError
from omokage.train.nearby import beside, now
from omokage.train.space import TRIES, Point, Range, Space
from omokage.train.tuned import TrialLine

How = Literal["climb", "random", "grid", "optuna"]

QUIET: Final = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that fails tells why, and no figure
    "RAY_AIR_NEW_OUTPUT": "0",
}

HALVING: Final = 2
"""Of the trials that got so far, the better half goes on; between few of them, chance decides about more than that."""

GRACE: Final = 3
"""Epochs that every trial has: in the first ones warm-up tells more than the settings."""

STARTUP: Final = 5
"""Trials that Optuna draws at random before it follows what was found."""


class Drawn:
    """Points of a random or grid search, known before it begins."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points

    def ask(self, number: int) -> Point | None:
        """Return the point of a trial; None where there are no more."""
        return self.points[number] if number < len(self.points) else None

    def tell(self, line: TrialLine) -> None:
        """Take note of how a trial ended."""


class Climb:
    """Points beside the best so far (``train.nearby``)."""

    def __init__(self, space: Space, seed: int, lines: list[TrialLine]) -> None:
        """Begin.

        Args:
            space: What may be tried.
            seed: At least 0.
            lines: Trials of the search, which whoever runs them adds to and changes.
        """
        self.space, self.seed, self.lines = space, seed, lines

    def ask(self, number: int) -> Point | None:
        """Return the point of a trial; the base settings first, None where there is nothing new."""
        return beside(self.space, self.lines, number, self.seed)

    def tell(self, line: TrialLine) -> None:
        """Take note of how a trial ended; the lines say so."""


class Optuna:
    """Points that Optuna proposes by how earlier ones ended (tree-structured Parzen estimator)."""

    def __init__(self, space: Space, seed: int, lines: Iterable[TrialLine]) -> None:
        """Begin with the trials that have ended.

        Raises:
            ConfigError: Optuna is not installed.
        """
        try:
            import optuna
        except ImportError as error:
            raise ConfigError("--search optuna wants the package optuna: pip install 'omokage[optuna]'") from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space = space
        self._ended = optuna.trial.TrialState
        sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: dict[int, Any] = {}
        self._kinds = {name: _distribution(each) for name, each in space.ranges.items()}
        self._trial = optuna.trial.create_trial
        for line in lines:
            self.tell(line)

    def ask(self, number: int) -> Point | None:
        """Return the point of a trial that has not begun; the base settings first."""
        if number == 0:
            return {}
        for _ in range(TRIES):
            asked = self._study.ask(self._kinds)
            point = self.space.kept(asked.params)
            try:
                self.space.recipe(point)
            except ConfigError:
                self._study.tell(asked, state=self._ended.FAIL)  # they do not go together
                continue
            self._asked[number] = asked
            return point
        return None

    def tell(self, line: TrialLine) -> None:
        """Take note of how a trial ended; what it did not say of itself, as a margin of another loss, was not tried."""
        asked = self._asked.pop(line.number, None)
        if asked is not None:
            state = self._ended.COMPLETE if line.best is not None else self._ended.FAIL
            self._study.tell(asked, line.best, state=state)
        elif line.best is not None:
            point = line.point or self._base()
            kinds = {name: self._kinds[name] for name in point}
            self._study.add_trial(self._trial(params=point, distributions=kinds, value=line.best))

    def _base(self) -> Point:
        """Return the base settings as a point, as far as they lie within what may be tried."""
        point = {name: now(self.space.base, name) for name in self._kinds}
        return {name: value for name, value in point.items() if self.space.ranges[name].has(value)}


def _distribution(each: Range) -> Any:
    from optuna import distributions

    if each.kind == "choice":
        return distributions.CategoricalDistribution(each.values)
    low, high = each.values
    if each.kind == "int":
        return distributions.IntDistribution(low, high)
    return distributions.FloatDistribution(low, high, log=each.kind == "loguniform")


class Numbered(Searcher):
    """Tells Tune the number of each trial that is still to be run, and its settings."""

    def __init__(self, numbers: Iterable[int], asked: Callable[[int], dict[str, Any] | None]) -> None:
        """Prepare.

        Args:
            numbers: Of the trials to run, in this order.
            asked: Returns what a trial is given; None where there are no more.
        """
        super().__init__(metric="good", mode="max")
        self._numbers = iter(list(numbers))
        self._asked = asked

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **_: Any) -> bool:
        """Accept what Tune was told, which is the same."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return what the next trial is given."""
        number = next(self._numbers, None)
        asked = None if number is None else self._asked(number)
        return asked if asked is not None else cast(dict[str, Any], Searcher.FINISHED)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the journal is told."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the journal has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


class Asha(AsyncHyperBandScheduler):
    """Stops trials that are not among the best after as many epochs, but never the base settings.

    The others are compared with those, which is fair only where they had all their epochs.
    """

    def __init__(self, epochs: int, known: Iterable[TrialLine]) -> None:
        """Begin with what ended trials had reached."""
        grace = max(min(GRACE, epochs), epochs // HALVING**3)
        super().__init__(
            time_attr="epoch",
            metric="good",
            mode="max",
            max_t=epochs,
            grace_period=grace,
            reduction_factor=HALVING,
            stop_last_trials=False,
        )
        for line in known:
            for epoch, good in line.history:
                self._brackets[0].on_result(_Known(str(line.number)), epoch, good)  # type: ignore[arg-type]

    def set_search_properties(self, metric: str | None, mode: str | None, **_: Any) -> bool:
        """Accept what Tune was told, which is the same."""
        return True

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return whether a trial goes on."""
        decided = super().on_trial_result(tune_controller, trial, result)
        return TrialScheduler.CONTINUE if trial.config["number"] == 0 else decided


class _Known:
    """A trial of an earlier start, as a bracket wants it."""

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


SCHEDULERS: Final[dict[str, Callable[[int, list[TrialLine]], TrialScheduler]]] = {
    "asha": Asha,
    "fifo": lambda *_: FIFOScheduler(),  # type: ignore[no-untyped-call]
}


@contextmanager
def quietly_tuned() -> Iterator[None]:
    """Have Tune show and write nothing of its own while the block runs."""
    before = {name: os.environ.get(name) for name in QUIET}
    os.environ.update(QUIET)
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
