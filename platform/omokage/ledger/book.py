"""The book of decisions: it only ever grows, several may write at once, and no line is lost or half there.

    DATASET/ledger/000000000001.jsonl   JSON Lines; named by the number of its first line
    DATASET/ledger/000000004711.jsonl   the newest, to which lines are added until it is big

Only the newest file is ever replaced, whole, and only where nobody was faster (``Folder.update``). A file that is
big enough is never touched again, and the next one is named by the line that follows it. So two writers can never
use a number twice, and a writer that is killed has written its lines or has not.
"""

import getpass
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from omokage import schema
from omokage.errors import DatasetError, WorkError
from omokage.ledger import lines
from omokage.ledger.decision import Decision
from omokage.storage import Folder

PLACE: Final = "ledger"
"""Folder of the book, below the dataset's."""

FULL: Final = 1 << 20
"""Bytes from which a file gets no more lines, so that a line costs at most about so many bytes to write."""

READERS: Final = 8
"""Files that are read and parsed at a time."""

_FILE: Final = re.compile(r"(\d{12,})\.jsonl")


class GrownError(DatasetError):
    """Lines were written that whoever wants to write now has not seen."""


class Ledger:
    """The book of one dataset; it need not have a line yet."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @classmethod
    def of(cls, folder: Folder) -> "Ledger":
        """Return the book of the dataset in ``folder``."""
        return cls(folder)

    def append(
        self,
        decisions: Sequence[Decision],
        who: str | None = None,
        by: schema.By = "person",
        *,
        length: int | None = None,
    ) -> range:
        """Write decisions down, all or none of them, and return the numbers of their lines.

        Args:
            decisions: What was decided, in order.
            who: Who decided; by default the login name.
            by: What kind of somebody that is.
            length: How many lines there were when it was decided; None where more of them do not matter.

        Raises:
            GrownError: Somebody has written since.
            ConfigError: A name is no text.
            DatasetError: The book is damaged.
            WorkError: The disk is full, or writing is not permitted.
            StorageError: The same, behind a URL.
        """
        if not decisions:
            return range(0)
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        rest = lines.written(decisions, at, login() if who is None else who, by)
        first = self._firsts()[-1]
        try:
            while True:
                page = _Page(rest, first, self._place(first), length)
                self.folder.update(_name(first), page.grown)
                if page.full is None:
                    return range(page.number, page.number + len(rest))
                first = page.full
        except OSError as error:
            raise WorkError(f"cannot write to {self.folder.place(PLACE)}: {error.strerror or error}") from error

    def table(self, after: int = 0, until: int | None = None) -> pa.Table:
        """Return the lines with ``after`` < number <= ``until`` as ``schema.LEDGER``; all that there are by default.

        Raises:
            DatasetError: A file is damaged or missing.
        """
        firsts = self._firsts()
        ends = [*firsts[1:], None]
        wanted = [
            (first, end)
            for first, end in zip(firsts, ends, strict=True)
            if (end is None or end > after + 1) and (until is None or first <= until)
        ]
        with ThreadPoolExecutor(READERS) as pool:
            found = pa.concat_tables([schema.LEDGER.empty_table(), *pool.map(lambda ours: self._read(*ours), wanted)])
        before = wanted[0][0] - 1 if wanted else after  # lines of the files that were not read
        last = before + found.num_rows if until is None else until
        return found.slice(max(0, after - before), max(0, last - max(after, before)))

    def length(self) -> int:
        """Return the number of the last line, 0 where there is none.

        Raises:
            DatasetError: The newest file is damaged.
        """
        first = self._firsts()[-1]
        try:
            data = self.folder.read(_name(first))
        except FileNotFoundError:
            return first - 1
        return first - 1 + _count(data, self._place(first))

    def _firsts(self) -> list[int]:
        """Return the number that each file begins with; 1 where there is none."""
        names = [match for name in self.folder.names(PLACE) if (match := _FILE.fullmatch(name))]
        firsts = sorted(int(match[1]) for match in names)
        if firsts and firsts[0] != 1:
            raise DatasetError(f"{self._place(1)} is missing; the first file there begins with line {firsts[0]}")
        return firsts or [1]

    def _read(self, first: int, end: int | None) -> pa.Table:
        """Return the lines of a file, which must end before line ``end``."""
        try:
            data = self.folder.read(_name(first))
        except FileNotFoundError as error:
            if first == 1 and end is None:
                return schema.LEDGER.empty_table()
            raise DatasetError(f"{self._place(first)} is missing") from error
        table = lines.parsed(data, first, self._place(first))
        if end is not None and first + table.num_rows != end:
            raise DatasetError(
                f"{self._place(first)} ends with line {first + table.num_rows - 1}, and {self._place(end)} follows it"
            )
        return table

    def _place(self, first: int) -> str:
        return self.folder.place(_name(first))


class _Page:
    """An attempt to add lines to one file."""

    def __init__(self, rest: list[bytes], first: int, place: str, length: int | None) -> None:
        self.rest, self.first, self.place, self.length = rest, first, place, length
        self.number = 0
        """Of our first line."""
        self.full: int | None = None
        """Where the file was full: the number that the next one begins with."""
        self._made = b""

    def grown(self, old: bytes | None) -> bytes | None:
        """Return the file with our lines; None where they are there already, or the file is full."""
        old = old or b""
        if self._made and old.startswith(self._made):  # we were heard, only the answer was lost
            return None
        self.number = self.first + _count(old, self.place)
        self.full = self.number if len(old) >= FULL else None
        if self.full is not None:
            return None
        if self.length is not None and self.number != self.length + 1:
            raise GrownError(f"somebody has written to {self.place} since it was read: line {self.length + 1} is there")
        self._made = old + lines.numbered(self.rest, self.number)
        return self._made


def login() -> str:
    """Return the name of whoever is logged in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container whose user has no name
        return "unknown"


def _name(first: int) -> str:
    return f"{PLACE}/{first:012d}.jsonl"


def _count(data: bytes, place: str) -> int:
    if data and not data.endswith(b"\n"):
        raise DatasetError(f"{place} is damaged: its last line is not whole")
    return data.count(b"\n")
