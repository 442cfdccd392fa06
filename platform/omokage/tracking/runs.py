"""The runs of a tracking store, for a list."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from omokage.errors import ConfigError, StorageError
from omokage.tracking import place, tracker, words


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedRun:
    """One run. What a run of another program does not say is empty."""

    name: str
    run_id: str
    experiment: str
    status: str
    """RUNNING, FINISHED, FAILED, KILLED or SCHEDULED; a killed machine leaves RUNNING."""
    started: str
    """In UTC, as ISO 8601."""
    seconds: float | None
    """None of a run that is not known to have ended."""
    dataset: str
    best: str
    """The figure that the best model was chosen by, and its value."""
    where: str
    """The training's folder."""
    part_of: str
    """Id of the run that this is a part of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunsReport:
    """Runs, the newest first."""

    store: str
    runs: tuple[TrackedRun, ...]
    left_out: bool
    """Whether there are more."""
    to_open: str

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        if not self.runs:
            return f"No runs in {self.store}"
        rows: list[tuple[str, ...]] = [("started", "status", "name", "best", "dataset", "where")]
        for run in self.runs:
            name = f"  {run.name}" if run.part_of else run.name
            cells = (run.started[:16].replace("T", " "), run.status, name, run.best, run.dataset, run.where)
            # tags are whatever anybody wrote there, and a terminal obeys what it is shown
            rows.append(tuple(words.text(cell, words.TAG).replace("\n", " ") for cell in cells))
        wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
        more = ["There are more; --most shows them"] if self.left_out else []
        return "\n".join([*lines, *more, "", self.to_open])


def listed(uri: str | None, experiment: str | None = None, most: int = 50) -> RunsReport:
    """Return the newest runs of a store.

    Args:
        uri: Of the store, as the user gave it: ``place.resolve``.
        experiment: Its name; all of them by default.
        most: Runs to list.

    Raises:
        ConfigError: Nothing is tracked, or there is no such experiment.
        StorageError: The store does not answer.
    """
    store = place.resolve(uri)
    if store is None:
        raise ConfigError("tracking is off: there are no runs to list")
    if most < 1:
        raise ConfigError(f"most must be at least 1, got {most}")
    file = place.local_file(store)
    found: list[Any] = []
    names: dict[str, str] = {}
    if file is None or file.exists():  # else asking would make one
        try:
            client = place.client(store)
            names = {each.experiment_id: each.name for each in client.search_experiments(max_results=1000)}
            wanted = [number for number, name in names.items() if experiment in (None, name)]
            if experiment is not None and not wanted:
                known = ", ".join(words.text(name, words.KEY) for name in names.values())
                raise ConfigError(f"there is no experiment {experiment!r}; known: {known}")
            found = list(client.search_runs(wanted, max_results=most + 1, order_by=["attributes.start_time DESC"]))
        except place.failures() as error:
            raise StorageError(f"{place.shown(store)} does not answer: {str(error).splitlines()[0]}") from error
    runs = tuple(_run(each, names) for each in found[:most])
    return RunsReport(store=place.shown(store), runs=runs, left_out=len(found) > most, to_open=place.how_to_open(store))


def _run(found: Any, names: dict[str, str]) -> TrackedRun:
    info, tags = found.info, found.data.tags
    ended = info.end_time is not None and info.status != "RUNNING"
    return TrackedRun(
        name=words.text(info.run_name or info.run_id, words.KEY).replace("\n", " "),
        run_id=info.run_id,
        experiment=names[info.experiment_id],
        status=info.status,
        started=datetime.fromtimestamp(info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        seconds=(info.end_time - info.start_time) / 1000 if ended else None,
        dataset=tags.get(tracker.DATASET, ""),
        best=tags.get(tracker.BEST, ""),
        where=tags.get(tracker.WHERE, ""),
        part_of=tags.get(tracker.PARENT, ""),
    )
