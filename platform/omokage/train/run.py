"""A run: the folder that holds all of one training.

RUN/config.toml       the settings, for --config
RUN/run.json          what is trained on what: dataset, version, checksums, code; written last of what begins a run
RUN/split.parquet     which face trains, validates, tests
RUN/start.pt          weights that the training starts from, where it does not start from random numbers
RUN/checkpoints/      to go on from
RUN/events/           the same figures as metrics.jsonl, for TensorBoard
RUN/metrics.jsonl     a line an epoch
RUN/best.pt best.json last.pt
RUN/report.json       the training has ended
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from omokage.errors import ConfigError, DatasetError
from omokage.ledger.version import at_version
from omokage.shards import parquet_bytes, verified
from omokage.storage import Folder
from omokage.train.lock import LOCK, Still, held
from omokage.train.recipe import Recipe
from omokage.train.state import MARK, loaded
from omokage.train.state import PLACE as CHECKPOINTS

HEAD: Final = "run.json"
CONFIG: Final = "config.toml"
SPLIT: Final = "split.parquet"
START: Final = "start.pt"
METRICS: Final = "metrics.jsonl"
EVENTS: Final = "events"
REPORT: Final = "report.json"

FORMAT: Final = 1

ABSENT: Final = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunHead:
    """What a run says of itself."""

    dataset: str
    """Its place."""
    version: str | None
    """Name of the dataset's version; None: what the dataset was when the run began."""
    version_sha256: str | None
    generation: int
    """Of the dataset."""
    split_sha256: str
    """Of the file with the split."""
    recipe: dict[str, Any]
    """What the run must keep to."""
    code: dict[str, str | None]
    """Version of omokage, and the commit of its checkout if it has one."""
    key: str
    """Drawn at random; what tells this run from all others, wherever it is tracked."""
    notes: tuple[str, ...] = ()
    """What a person should know of the split."""

    @property
    def given(self) -> str:
        """The dataset as it is given to a command: DATASET, or DATASET@VERSION."""
        return at_version(self.dataset, self.version)

    @property
    def digest(self) -> str:
        """SHA-256 of what the run is trained on: the dataset's version or, where it has none, the split."""
        return self.version_sha256 or self.split_sha256


class Run:
    """A run's folder."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @classmethod
    def at(cls, url: str) -> "Run":
        """Return the run at a path or URL; it need not exist."""
        return cls(Folder.at(url))

    def head(self) -> RunHead | None:
        """Return what the run says of itself; None where it has not begun.

        Raises:
            DatasetError: It is damaged, or there are other files in its place.
        """
        try:
            said = json.loads(self.folder.read(HEAD))
            if said.pop("format") != FORMAT:
                raise DatasetError(f"{self.folder.url} was written by another version of omokage")
            return RunHead(**said | {"notes": tuple(said["notes"])})
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{self.folder.place(HEAD)} is damaged: {error}") from error

    def begun(self) -> RunHead:
        """Return what a run says of itself that another machine has begun.

        Raises:
            DatasetError: It is not to be seen from here, or damaged.
        """
        head = self.head()
        if head is None:
            raise DatasetError(f"{self.folder.url} is not to be seen on every machine: give a shared folder or s3://")
        return head

    def begin(self, head: RunHead, config: str, table: bytes, start: Mapping[str, torch.Tensor] | None) -> None:
        """Write what begins a run, its head last; in place of what an earlier beginning wrote."""
        self.folder.remove(HEAD)
        self.folder.write(CONFIG, config.encode())
        self.folder.write(SPLIT, table)
        if start is None:
            self.folder.remove(START)
        else:
            sink = io.BytesIO()
            torch.save(dict(start), sink)
            self.folder.write(START, sink.getvalue())
        self.folder.write(HEAD, json.dumps({"format": FORMAT, **asdict(head)}, indent=1, ensure_ascii=False).encode())

    def check_free(self) -> None:
        """Check that a new run can begin here.

        Raises:
            DatasetError: There are other files.
        """
        there = set(self.folder.entries()) - {LOCK}
        left = CONFIG in there and there <= {CONFIG, SPLIT, START, CHECKPOINTS, EVENTS} and not self.learned()
        if there and not left:  # of a beginning that was killed, or came to nothing
            raise DatasetError(f"{self.folder.url} holds other files and no run: give a new or empty folder")

    def going_on(self, dataset: str, version: str | None, recipe: Recipe) -> RunHead | None:
        """Return what the run says of itself if it goes on; None if it is to be begun.

        A run of which nothing has come yet is begun anew where other settings are given: those that it was begun with
        may have been refused on the machine that was to train, or led nowhere at the first step.

        Args:
            dataset: Place of the dataset that is given.
            version: Name of its version, if one is given.
            recipe: What is asked for.

        Raises:
            ConfigError: It was begun, and trained, with other settings; the text says in what they differ.
            DatasetError: It is damaged, or there are other files in its place.
        """
        head = self.head()
        if head is None:
            self.check_free()
            return None
        differ = differences(head, dataset, version, recipe)
        if not differ:
            return head
        if self.learned():
            raise ConfigError(
                f"{self.folder.url} was begun with other settings: {differ}. Give the same, or another RUN"
            )
        return None

    def learned(self) -> bool:
        """Return whether anything has come of the run: an epoch, or a checkpoint."""
        marks = (MARK.fullmatch(name) for name in self.folder.names(CHECKPOINTS))
        return any(marks) or any(self.folder.exists(name) for name in (METRICS, REPORT))

    def split(self, head: RunHead) -> pa.Table:
        """Return which face trains, validates, tests.

        Raises:
            DatasetError: The file is missing, or not the one that was written.
        """
        return pq.read_table(pa.BufferReader(verified(self.folder, SPLIT, head.split_sha256)))

    def start(self) -> dict[str, torch.Tensor] | None:
        """Return the weights that the training starts from; None for random numbers."""
        return loaded(self.folder, START) if self.folder.exists(START) else None

    def report(self) -> dict[str, Any] | None:
        """Return the report of a training that has ended; None before."""
        try:
            said: dict[str, Any] = json.loads(self.folder.read(REPORT))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DatasetError(f"{self.folder.place(REPORT)} is damaged: {error}; remove it") from error
        return said

    def history(self) -> list[dict[str, Any]]:
        """Return what each epoch gave that was told so far; the last may be told again, since its end was not kept."""
        try:
            lines = self.folder.read(METRICS).decode().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def locked(self) -> AbstractContextManager[Still]:
        """Keep other commands out of the run while a block runs: ``lock.held``."""
        return held(self.folder)


def table_bytes(table: pa.Table) -> tuple[bytes, str]:
    """Return a split as the bytes of its file, and their sha256."""
    data = parquet_bytes(table).to_pybytes()
    return data, hashlib.sha256(data).hexdigest()


def plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON would give it back."""
    parts = {field.name: asdict(getattr(recipe, field.name)) for field in dataclasses.fields(Recipe)}
    said: dict[str, Any] = json.loads(json.dumps(parts))
    return said


def differences(old: RunHead, dataset: str, version: str | None, recipe: Recipe) -> str:
    """Return in what a run was begun otherwise than is asked for now; nothing if in nothing.

    Args:
        old: What it says of itself.
        dataset: Place of the dataset that is given now.
        version: Name of its version, if one is given.
        recipe: What is asked for now.
    """
    was = {"dataset": old.dataset, "version": old.version} | _flat(old.recipe)
    now = {"dataset": dataset, "version": version} | _flat(plain(recipe))
    differ = [name for name in was | now if was.get(name, ABSENT) != now.get(name, ABSENT)]
    return "; ".join(f"{name} is {_say(was.get(name))} there and {_say(now.get(name))} here" for name in differ)


def _flat(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{part}.{name}": value for part, values in recipe.items() for name, value in values.items()}


def _say(value: Any) -> str:
    return "not given" if value is None else json.dumps(value, ensure_ascii=False)
