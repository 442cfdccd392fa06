"""What was and is being done to a source, in the dataset's folder.

    DATASET/applied/000001/steps-<sha256>.parquet    every step, written before the first one is taken
    DATASET/applied/000001/folders-<sha256>.parquet  the folders that they touch, with times and modes as they were
    DATASET/applied/000001/plan.json                 names the two; written last: without it there is no plan
    DATASET/applied/000001/done.json                 all steps were taken
    DATASET/applied/000001/undoing.json              somebody began to take them back
    DATASET/applied/000001/undone.json               all were taken back

A step is not noted when it was taken: the disk itself says whether a file lies at its old place or its new one.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from omokage.errors import DatasetError
from omokage.shards import parquet_bytes, verified
from omokage.storage import Folder

PLACE: Final = "applied"

STEPS: Final = pa.schema(
    [
        ("uri", pa.string()),  # where the picture lies, below the source
        ("to", pa.string()),  # where it goes: below the source, or the quarantine
        ("quarantined", pa.bool_()),
        ("sha256", pa.string()),
        ("size", pa.int64()),  # of the file or link itself, bytes
        ("stamp", pa.string()),  # of the file or link itself: time of change in ns, or an ETag
        ("link", pa.binary()),  # what a symbolic link says; null for a file
        ("identity", pa.string()),  # that it gets; null for nobody's
        ("line", pa.int64()),  # of the ledger, that led to it
        ("reason", pa.string()),  # Do of that line
    ]
)

FOLDERS: Final = pa.schema(
    [
        ("path", pa.binary()),  # absolute
        ("there", pa.bool_()),  # before the first step
        ("loses", pa.bool_()),  # whether it may end up empty, and is removed then
        ("mtime_ns", pa.int64()),
        ("mode", pa.int64()),
        ("uid", pa.int64()),
        ("gid", pa.int64()),
    ]
)

_NUMBER: Final = re.compile(r"\d{6,}")


class Step(NamedTuple):
    """One file that moves; the columns of ``STEPS``."""

    uri: str
    to: str
    quarantined: bool
    sha256: str
    size: int
    stamp: str
    link: bytes | None = None
    identity: str | None = None
    line: int | None = None
    reason: str | None = None


class Touched(NamedTuple):
    """A folder that gets or loses something; the columns of ``FOLDERS``."""

    path: bytes
    there: bool
    loses: bool = False
    mtime_ns: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that an apply is going to do."""

    source: str
    """Path or URL."""
    quarantine: str
    """Path or URL of this plan's own folder in it."""
    generation: int
    """Of the dataset that it was made from."""
    version: str | None = None
    """Frozen version that it was made from; None for the decisions as they stood."""
    steps: tuple[Step, ...] = ()
    folders: tuple[Touched, ...] = ()


TABLES: Final = {"steps": STEPS, "folders": FOLDERS}
"""Parts of a plan that are tables of their own,"""

ROWS: Final[dict[str, type[Any]]] = {"steps": Step, "folders": Touched}
"""and what their rows are."""


def _table_file(name: str, sha256: str) -> str:
    """Return the name of a table; with its hash, so that two who begin at the same time cannot mix theirs."""
    return f"{name}-{sha256[:12]}.parquet"


class Entry:
    """One plan in the journal, and how far it came."""

    def __init__(self, folder: Folder, number: int) -> None:
        self.number = number
        self._folder = folder
        self._below = f"{PLACE}/{number:06d}"
        self._names = frozenset(folder.names(self._below))

    @property
    def planned(self) -> bool:
        """Whether the plan was written whole; before that, nothing was moved."""
        return "plan.json" in self._names

    @property
    def applying(self) -> bool:
        """Whether it was begun and never finished."""
        return self.planned and not self._names & {"done.json", "undoing.json", "undone.json"}

    @property
    def undoing(self) -> bool:
        """Whether taking it back was begun and never finished."""
        return "undoing.json" in self._names and "undone.json" not in self._names

    @property
    def applied(self) -> bool:
        """Whether all steps were taken, and nobody began to take them back."""
        return "done.json" in self._names and not self._names & {"undoing.json", "undone.json"}

    @property
    def undone(self) -> bool:
        """Whether all steps were taken back."""
        return "undone.json" in self._names

    def mark(self, name: str, **facts: Any) -> "Entry":
        """Return the entry after noting that it came so far ("done", "undoing", "undone")."""
        self._write(f"{name}.json", json.dumps(facts).encode())
        return Entry(self._folder, self.number)

    def facts(self, name: str) -> dict[str, Any]:
        """Return what was noted with a mark.

        Raises:
            DatasetError: It is damaged.
        """
        place = f"{self._below}/{name}.json"
        try:
            found: dict[str, Any] = json.loads(self._folder.read(place))
        except (FileNotFoundError, ValueError) as error:
            raise DatasetError(f"{self._folder.place(place)} is damaged: {error}") from error
        return found

    def write(self, plan: Plan) -> "Entry":
        """Return the entry after writing its plan down; it lasts even if the power fails now.

        Raises:
            DatasetError: Somebody else, who writes to the same bucket, has begun an apply meanwhile.
            OSError: The disk is full, or writing is not permitted.
        """
        head = {field.name: getattr(plan, field.name) for field in fields(plan) if field.name not in TABLES}
        for name, kind in TABLES.items():
            rows = [each._asdict() for each in getattr(plan, name)]
            content = parquet_bytes(pa.Table.from_pylist(rows, kind))
            head[name] = hashlib.sha256(content).hexdigest()
            self._write(_table_file(name, head[name]), content)
        data = json.dumps(head).encode()

        def first(old: bytes | None) -> bytes | None:
            if old not in (None, data):
                raise DatasetError(f"another apply of {self._folder.url} began at the same time: look what it did")
            return data if old is None else None

        self._folder.update(f"{self._below}/plan.json", first)
        self._sync()
        return Entry(self._folder, self.number)

    def plan(self) -> Plan:
        """Return the plan.

        Raises:
            DatasetError: It is damaged.
        """
        head = self.facts("plan")
        for name, kind in TABLES.items():
            place = f"{self._below}/{_table_file(name, head[name])}"
            table = pq.read_table(pa.BufferReader(verified(self._folder, place, head[name])), schema=kind)
            head[name] = tuple(ROWS[name](**row) for row in table.to_pylist())
        return Plan(**head)

    def _write(self, name: str, data: bytes | pa.Buffer) -> None:
        self._folder.write(f"{self._below}/{name}", data)
        self._sync()

    def _sync(self) -> None:
        if self._folder.local:
            sync(self._folder.place(self._below))


def entries(folder: Folder) -> list[Entry]:
    """Return every plan of the dataset in ``folder``, oldest first."""
    return [Entry(folder, number) for number in _numbers(folder)]


def new(folder: Folder) -> Entry:
    """Return an entry for the next plan; one that was never written whole is written over."""
    found = entries(folder)
    if found and not found[-1].planned:
        return found[-1]
    return Entry(folder, found[-1].number + 1 if found else 1)


def unfinished(folder: Folder) -> Entry | None:
    """Return the plan that was begun, or begun to be taken back, and not finished."""
    return next((each for each in entries(folder) if each.applying or each.undoing), None)


def refuse_unfinished(folder: Folder) -> None:
    """Check that the source is as an apply or an undo left it at its end.

    Raises:
        DatasetError: One was stopped in the middle.
    """
    entry = unfinished(folder)
    if entry is None:
        return
    verb = f"omokage apply {folder.url} --move" if entry.applying else f"omokage undo {folder.url} --apply"
    what = "apply" if entry.applying else "undo of apply"
    raise DatasetError(f"{what} {entry.number} was stopped in the middle: {verb} finishes it")


def refuse_unread(folder: Folder, generation: int) -> None:
    """Check that the dataset was ingested since files of its source were last moved.

    Raises:
        DatasetError: It was not, so that it does not know where they are.
    """
    moved = []  # generations at which the source became another than the dataset knows
    for entry in entries(folder):
        if entry.applied or entry.undone:
            began = entry.facts("plan")["generation"]
            ended = entry.facts("undone")["generation"] if entry.undone else None
            moved += [began] if ended is None else [ended] if ended != began else []
    if moved and generation <= max(moved):
        raise DatasetError(
            f"files of the source were moved since {folder.url} was made: run omokage ingest first "
            "(only the moved files are read again)"
        )


def sync(folder: str) -> None:
    """Make what was renamed in a local folder last even if the power fails."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _numbers(folder: Folder) -> list[int]:
    try:
        with folder.reached():
            found = folder.files.ls(folder.place(PLACE), detail=False)
    except FileNotFoundError:
        return []
    names = (Path(path).name for path in found)
    return sorted(int(name) for name in names if _NUMBER.fullmatch(name))
