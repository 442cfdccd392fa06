"""One training as one MLflow run, from its start through every restart to its end, with TensorBoard events beside it.

A store that is away never stops a training: what it has not taken waits, and is offered again each time. What it has
taken is not written twice: a run is found again by its key, and its points are asked for first.
"""

import json
import logging
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from omokage.errors import ConfigError
from omokage.tracking import place, words
from omokage.tracking.events import Events, Kept

log = logging.getLogger(__name__)

Status = Literal["FINISHED", "FAILED", "KILLED"]

RUN_KEY: Final = "omokage.key"
WHERE: Final = "omokage.run"
DATASET: Final = "omokage.dataset"
BEST: Final = "omokage.best"
PARENT: Final = "mlflow.parentRunId"
COMMIT: Final = "mlflow.source.git.commit"

AT_ONCE: Final = 100
"""Parameters or tags of one request; MLflow takes no more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a run is of."""

    name: str
    key: str
    """What finds the run again after a restart: random, kept with the training. Runs with other keys are others."""
    experiment: str = "omokage"
    where: str = ""
    """The training's folder."""
    dataset: str = ""
    """The dataset's URL, and its version."""
    digest: str = ""
    """Hash of the dataset's version."""
    context: str = "training"
    """What the dataset was used for."""
    commit: str = ""
    """Of the program, by git."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Settings, nested as they like."""
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: str = ""
    """Key of the run that this is a part of."""


class Tracker:
    """What a training tells about itself; used by the driver, in one thread."""

    def __init__(self, store: str | None, about: About, events: Events | None = None) -> None:
        """Prepare to tell; ``start`` also begins to.

        Args:
            store: As ``place.resolve`` returns it; None to track nothing.
            about: The run.
            events: TensorBoard's file.
        """
        self.about = about
        self.run_id: str | None = None
        """MLflow's; None as long as no store has taken the run."""
        self.warnings: list[str] = []
        self._store = store
        self._events = events
        self._client: Any = None
        self._begun = False
        self._points: dict[str, set[int]] = {}
        self._waiting: list[Callable[[], None]] = []

    @classmethod
    def start(
        cls,
        uri: str | None,
        about: About,
        events: Path | None = None,
        first_step: int = 0,
        kept: Kept = lambda _: None,
    ) -> "Tracker":
        """Return a tracker with its run begun, or taken up again where one has the same key.

        Args:
            uri: Of the store, as the user gave it: ``place.resolve``.
            about: The run.
            events: Folder for TensorBoard's files.
            first_step: Where the training begins: what TensorBoard's files say of later steps was given up.
            kept: Given TensorBoard's file whenever there is more in it.

        Raises:
            ConfigError: There is no such store, or its experiment was deleted.
        """
        tracker = cls(place.resolve(uri), about, Events(events, first_step, kept) if events else None)
        try:
            if tracker._store is not None:
                tracker._begin()
        except place.failures() as error:
            tracker._warn(error)
        return tracker

    def log(self, step: int, metrics: Mapping[str, float | None]) -> None:
        """Tell the figures of a step; a step told before is not told again."""
        known = {words.key(name): float(value) for name, value in metrics.items() if value is not None}
        if self._events is not None:
            self._events.log(step, known)
        at = time.time()
        self._offer(lambda: self._log(step, known, at))

    def best(self, metric: str, value: float, step: int) -> None:
        """Tell what the best figure is so far, for lists of runs."""
        self.tag(BEST, f"{metric} {value:.6g}")
        self.tag(f"{BEST}.step", str(step))

    def tag(self, name: str, value: str) -> None:
        """Tell something else about the run; the last value of a name stays."""
        self._offer(lambda: self._client.set_tag(self.run_id, words.key(name), words.text(value, words.TAG)))

    def file(self, name: str, content: bytes) -> None:
        """Keep a file with the run, by its name with slashes; one of the same name is replaced."""
        self._offer(lambda: self._file(name, content))

    def model(self, model: Callable[[Any, str, str], None]) -> None:
        """Register a model; see ``omokage.tracking.model``."""
        self._offer(lambda: model(self._client, self._experiment(), str(self.run_id)))

    def end(self, status: Status) -> None:
        """Tell how the training ended. A run that goes on later is set to running again."""
        if self._events is not None:
            self._events.close()
        self._offer(lambda: self._client.set_terminated(self.run_id, status))

    def broken_off(self, error: BaseException) -> None:
        """Tell that the training ended by an error, or was stopped from outside."""
        self.end("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED")

    def _offer(self, what: Callable[[], None]) -> None:
        """Tell the store what waits, and this, in order; keep what it does not take."""
        if self._store is None:
            return
        self._waiting.append(what)
        try:
            if not self._begun:
                self._begin()
            while self._waiting:
                self._waiting[0]()
                del self._waiting[0]
        except place.failures(ConfigError) as error:
            if not self.warnings:
                self._warn(error)

    def _warn(self, error: Exception) -> None:
        said = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        self.warnings.append(
            f"{place.shown(str(self._store))} does not take what is tracked ({said}); the training goes on, "
            "and its own folder has all figures"
        )
        log.warning("%s", self.warnings[-1])

    def _begin(self) -> None:
        """Find the run, or create it.

        Raises:
            ConfigError: Its experiment was deleted.
        """
        self._client = self._client or place.client(str(self._store))
        experiment = self._experiment()
        there = self._client.search_runs([experiment], _of(self.about.key), max_results=1)
        known: set[str] = set()
        if there:
            self.run_id = there[0].info.run_id
            known = set(there[0].data.params)
            self._points = {name: self._told(name) for name in there[0].data.metrics}
            self._client.update_run(self.run_id, status="RUNNING")
        else:
            tags = {RUN_KEY: words.key(self.about.key)} | self._tags(experiment)
            name = words.text(self.about.name, words.KEY)
            self.run_id = self._client.create_run(experiment, tags=tags, run_name=name).info.run_id
            self._inputs()
        self._params(known)
        self._begun = True

    def _experiment(self) -> str:
        """Return the id of the experiment, created where it is not there.

        Raises:
            ConfigError: It was deleted.
        """
        name = words.text(self.about.experiment, words.KEY)
        found = self._client.get_experiment_by_name(name)
        if found is None:
            file = place.local_file(str(self._store))
            # by default, files would go wherever the program was started
            files = (file.parent / "files" / words.key(name)).as_uri() if file else None
            return str(self._client.create_experiment(name, artifact_location=files))
        if found.lifecycle_stage != "active":
            raise ConfigError(
                f"the experiment {name!r} was deleted: restore it in MLflow, or give another --experiment"
            )
        return str(found.experiment_id)

    def _tags(self, experiment: str) -> dict[str, str]:
        about = self.about
        tags = {WHERE: about.where, DATASET: about.dataset, COMMIT: about.commit, "mlflow.source.name": "omokage"}
        if about.parent:
            found = self._client.search_runs([experiment], _of(about.parent), max_results=1)
            tags |= {PARENT: found[0].info.run_id} if found else {}
        tags |= about.tags
        return {words.key(name): words.text(value, words.TAG) for name, value in tags.items() if value}

    def _params(self, known: set[str]) -> None:
        """Tell the settings that the run does not have: MLflow lets none be changed."""
        from mlflow.entities import Param

        params = [Param(name, value) for name, value in words.flat(self.about.params).items() if name not in known]
        for start in range(0, len(params), AT_ONCE):
            self._client.log_batch(self.run_id, params=params[start : start + AT_ONCE])

    def _inputs(self) -> None:
        """Tell the dataset."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if not self.about.dataset:
            return
        name = words.text(self.about.dataset, words.KEY)
        digest = self.about.digest[: words.DIGEST] or "unknown"
        of = Dataset(name=name, digest=digest, source_type="omokage", source=json.dumps({"url": name}))
        self._client.log_inputs(self.run_id, [DatasetInput(of, [InputTag("mlflow.data.context", self.about.context)])])

    def _told(self, name: str) -> set[int]:
        return {point.step for point in self._client.get_metric_history(self.run_id, name)}

    def _log(self, step: int, metrics: Mapping[str, float], at: float) -> None:
        from mlflow.entities import Metric

        new = {name: value for name, value in metrics.items() if step not in self._points.setdefault(name, set())}
        points = [Metric(name, _finite(value), int(at * 1000), step) for name, value in new.items()]
        if points:
            self._client.log_batch(self.run_id, metrics=points)
        for name in new:
            self._points[name].add(step)

    def _file(self, name: str, content: bytes) -> None:
        folder, _, last = words.key(name).rpartition("/")
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / last
            file.write_bytes(content)
            self._client.log_artifact(self.run_id, str(file), folder or None)


def _of(key: str) -> str:
    """Return the search for a run by its key."""
    return f"tags.`{RUN_KEY}` = '{words.key(key)}'"


def _finite(value: float) -> float:
    """Return a figure that a database takes: some have no infinity."""
    return value if math.isnan(value) else max(min(value, 1e308), -1e308)
