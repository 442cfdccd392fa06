"""A search: the folder that holds all of its trials, and what it hands back.

OUT/search.json       what is searched on what; written once
OUT/trials.jsonl      a line a trial: its settings, its figures so far, how it ended
OUT/trials/000/       the run of each trial; 000 is the base settings
OUT/best.toml         the best settings, for omokage train --config
OUT/results.parquet   a row a trial, the best first
OUT/report.json       the search has ended
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from omokage.errors import ConfigError, DatasetError
from omokage.storage import Folder
from omokage.train.lock import LOCK
from omokage.train.loop import BEST_FIGURES
from omokage.train.run import Run
from omokage.train.space import Point
from omokage.train.validate import difference

HEAD: Final = "search.json"
TRIALS: Final = "trials.jsonl"
RUNS: Final = "trials"
BEST: Final = "best.toml"
TABLE: Final = "results.parquet"

FORMAT: Final = 1

MORE: Final = ("trials",)
"""What may differ where a search goes on."""

Status = Literal["running", "finished", "stopped", "failed"]


@dataclass(kw_only=True)
class TrialLine:
    """What is known of a trial."""

    number: int
    """0 is the base settings."""
    point: Point
    """What it has in place of the base's settings."""
    status: Status = "running"
    """stopped: others were better after as many epochs."""
    why: str = ""
    """It failed."""
    epochs: int = 0
    best: float | None = None
    """Best goodness so far: bigger is better."""
    value: float | None = None
    """Best value so far of the metric that trials are compared by."""
    history: list[tuple[int, float]] = field(default_factory=list)
    """Epoch and goodness."""
    seconds: float = 0.0
    """In training and validation, over all epochs."""

    @property
    def counts(self) -> bool:
        """Whether it can be the best: one that failed would fail again, however good it had been."""
        return self.best is not None and self.status != "failed"

    def told(self, epoch: int, good: float, value: float, seconds: float) -> bool:
        """Take note of an epoch; return whether it was not known before."""
        if epoch <= self.epochs:
            return False
        self.epochs = epoch
        self.seconds = round(self.seconds + seconds, 3)
        self.history.append((epoch, good))
        if self.best is None or good > self.best:
            self.best, self.value = good, value
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneReport:
    """What a search found."""

    out: str
    dataset: str
    version: str | None
    search: str
    scheduler: str
    metric: str
    """What trials are compared by, on the validation part's people."""
    trials: tuple[dict[str, Any], ...]
    """The best first: rank, number, status, why, epochs, value, seconds, run, and in point what it tried."""
    base: float | None
    """Value of the base settings."""
    best: float | None
    better: bool
    """Whether some trial is better than the base settings."""
    gain: dict[str, float] | None = None
    """What the best has more than the base settings: value, and low and high had other people been looked at. That it
    was chosen for being the best is not in it. None where there is nothing to compare."""
    config: str | None
    """File with the best settings."""
    seconds: float
    """Of this command."""
    tracked: str | None = None
    """Where figures are tracked too."""
    warnings: tuple[str, ...] = ()

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        rows = [("rank", "trial", self.metric, "epochs", "status", "settings")]
        for each in self.trials:
            said = ", ".join(f"{name} {_short(value)}" for name, value in each["point"].items()) or "base settings"
            rank, value = each["rank"], each["value"]
            rows.append(
                (
                    "-" if rank is None else str(rank),
                    str(each["number"]),
                    "-" if value is None else f"{value:.4f}",
                    str(each["epochs"]),
                    each["status"],
                    said,
                )
            )
        wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [f"{len(self.trials)} trials by {self.search} search, scheduler {self.scheduler}, on {self.dataset}"]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
        lines += [f"Trial {each['number']} failed: {each['why']}" for each in self.trials if each["why"]]
        if self.best is not None and self.base is not None:
            how = f"better than the base settings' {self.base:.4f}" if self.better else "those of the base settings"
            lines.append(f"Best {self.metric}: {self.best:.4f}, {how}{_sure(self.gain)}")
        elif self.best is not None:
            lines.append(f"Best {self.metric}: {self.best:.4f}; the base settings failed")
        if self.best is not None:
            lines.append("Note: the best of many is a little flattered on the people that it was chosen by")
        lines += [f"Note: {warning}" for warning in self.warnings]
        if self.tracked:
            lines.append(f"Tracked in {self.tracked}")
        if self.config:
            lines.append(f"To train with the best: omokage train DATASET RUN --config {self.config}")
        return "\n".join(lines)


class Search:
    """A search's folder."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.lines: list[TrialLine] = []

    @classmethod
    def at(cls, url: str) -> "Search":
        """Return the search at a path or URL; it need not exist."""
        return cls(Folder.at(url))

    def check(self, said: Mapping[str, Any]) -> None:
        """Check that the search has not begun, or goes on as it did, and read what is known of its trials.

        One of which nothing has come yet may be begun anew as another.

        Args:
            said: What it is; plain values.

        Raises:
            ConfigError: It was begun as another.
            DatasetError: Its files are damaged, or there are others in its place.
        """
        try:
            old = json.loads(self.folder.read(HEAD))
            if old.pop("format") != FORMAT:
                raise DatasetError(f"{self.folder.url} was written by another version of omokage")
            self.lines = [TrialLine(**json.loads(line)) for line in self._read(TRIALS).splitlines()]
        except FileNotFoundError:
            if not set(self.folder.entries()) <= {LOCK, RUNS}:  # the base settings' run begins before the search does
                raise DatasetError(f"{self.folder.url} holds other files: give a new or empty folder") from None
            return
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{self.folder.url} is damaged: {error}") from error
        differ = [name for name in old | said if name not in MORE and old.get(name) != said.get(name)]
        if differ and any(self.run(line.number).learned() for line in self.lines):
            raise ConfigError(
                f"{self.folder.url} was begun with other settings: {', '.join(differ)} differ. "
                "Give the same, or another OUT"
            )
        if differ:
            self.lines = []

    def begin(self, said: Mapping[str, Any]) -> None:
        """Write what the search is."""
        if not self.lines:
            self.folder.remove(TRIALS)
        self.folder.write(HEAD, json.dumps({"format": FORMAT, **said}, indent=1, ensure_ascii=False).encode())

    def write(self) -> None:
        """Write what is known of the trials."""
        lines = [json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in self.lines]
        self.folder.write(TRIALS, "".join(lines).encode())

    def run(self, number: int) -> Run:
        """Return the run of a trial."""
        return Run.at(self.place(number))

    def gain(self, number: int, metric: str) -> dict[str, float] | None:
        """Return what a trial's best model has more than that of the base settings, on the same people.

        Args:
            number: Of the trial.
            metric: That trials are compared by.

        Returns:
            ``Interval``, as plain values; None where there is nothing to compare.
        """
        try:
            base, other = (json.loads(self.run(each).folder.read(BEST_FIGURES)) for each in (0, number))
        except FileNotFoundError:
            return None
        found = difference(base, other, metric) if number else None
        return asdict(found) if found else None

    def place(self, number: int) -> str:
        """Return the address of a trial's run."""
        return f"{self.folder.url}/{RUNS}/{number:03d}"

    def ranked(self) -> list[dict[str, Any]]:
        """Return a row a trial, the best first, the earlier of two that are as good; those that failed have no rank."""
        order = sorted(self.lines, key=lambda line: (not line.counts, -(line.best or 0.0), line.number))
        rows = []
        for rank, line in enumerate(order, 1):
            row = {name: getattr(line, name) for name in ("number", "status", "why", "epochs", "value", "seconds")}
            row |= {"rank": rank if line.counts else None, "run": self.place(line.number), "point": line.point}
            rows.append(row)
        return rows

    def write_table(self) -> None:
        """Write a row a trial as Parquet; settings as JSON, since each search has others."""
        rows = [row | {"point": json.dumps(row["point"], ensure_ascii=False)} for row in self.ranked()]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, RESULTS), sink)
        self.folder.write(TABLE, sink.getvalue().to_pybytes())

    def report(self, trials: int) -> dict[str, Any] | None:
        """Return the report of a search of so many trials that has ended; None before."""
        said = Run(self.folder).report()
        return said if said is not None and len(said["trials"]) >= trials else None

    def _read(self, name: str) -> bytes:
        try:
            return self.folder.read(name)
        except FileNotFoundError:
            return b""


RESULTS: Final = pa.schema(
    [
        ("rank", pa.int64()),
        ("number", pa.int64()),
        ("status", pa.string()),
        ("why", pa.string()),
        ("epochs", pa.int64()),
        ("value", pa.float64()),
        ("seconds", pa.float64()),
        ("run", pa.string()),
        ("point", pa.string()),
    ]
)


def _sure(gain: Mapping[str, float] | None) -> str:
    """Return what a person should make of a gain."""
    if gain is None:
        return ""
    said = f" by {gain['value']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f} with other people)"
    return f"{said}, which may be chance" if gain["low"] <= 0 <= gain["high"] else said


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
