"""A CSV file of answers, written while they come; the same command goes on with it where one was stopped.

FILE                     whole, and only there when all is answered
.<hash of FILE>.part     what is answered so far, and possibly a torn end
.<hash of FILE>.state    how far it is whole, what of, and the counts up to there; replaced at once
"""

import contextlib
import csv
import fcntl
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from omokage.errors import ConfigError, WorkError
from omokage.storage import Folder, part_of


class Answers:
    """Rows that are added some inputs at a time."""

    def __init__(self, file: str, columns: Sequence[str], key: str) -> None:
        """Begin, or go on.

        Args:
            file: Path of the file; an older one of the same columns is replaced at the end.
            columns: Names in its first line.
            key: Of everything that decides on the answers: what another command has left is not gone on with.

        Raises:
            ConfigError: There is something else at the path.
            WorkError: It cannot be written there.
        """
        self.file, self.columns, self.key = Path(file).absolute(), tuple(columns), key
        self._part = Path(part_of(str(self.file)))
        self._state = self._part.with_suffix(".state")
        self._free()
        self.done, self.counts, size = self._former()
        """Inputs that are answered already, and what was counted of them."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._out: BinaryIO = self._part.open("ab")
            fcntl.flock(self._out, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a killed holder's lock is free at once
            self._out.truncate(size)
            if not size:
                self._out.write(_lines([self.columns]))
        except BlockingIOError as error:
            raise WorkError(f"another command is writing {self.file}: wait for it, or give another name") from error
        except OSError as error:
            raise WorkError(f"cannot write {self.file}: {error.strerror or error}") from error

    def add(self, rows: Iterable[Sequence[Any]], inputs: int, counts: Mapping[str, int]) -> None:
        """Add the rows of some more inputs; when this returns, they are kept whatever happens.

        Args:
            rows: Values, in the order of the columns.
            inputs: How many inputs they are of.
            counts: What was counted, of all inputs so far.

        Raises:
            WorkError: The disk is full.
        """
        self.done += inputs
        try:
            self._out.write(_lines(rows))
            self._out.flush()
            os.fsync(self._out.fileno())
            state = {"key": self.key, "done": self.done, "bytes": self._out.tell(), "counts": dict(counts)}
            Folder.at(str(self._state.parent)).write(self._state.name, json.dumps(state).encode())
        except OSError as error:
            raise WorkError(
                f"cannot write {self.file}: {error.strerror or error}; what is answered is kept, the same command "
                "goes on once that is mended"
            ) from error

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            WorkError: That is not permitted.
        """
        try:
            self._out.close()
            os.replace(self._part, self.file)
            self._state.unlink(missing_ok=True)
        except OSError as error:
            raise WorkError(f"cannot write {self.file}: {error.strerror or error}") from error

    def _free(self) -> None:
        """Check that nothing but an older file of ours would be replaced."""
        head = _lines([self.columns])
        try:
            with self.file.open("rb") as old:
                ours = old.read(len(head)) == head
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"{self.file} cannot be written: {error.strerror}; give the name of a file") from error
        if not ours:
            raise ConfigError(f"{self.file} is there already and holds something else: remove it, or give another name")

    def _former(self) -> tuple[int, Counter[str], int]:
        """Return what a stopped command has answered, its counts, and how many bytes of the file are whole."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            state = json.loads(self._state.read_bytes())
            if state["key"] == self.key and self._part.stat().st_size >= state["bytes"]:
                return int(state["done"]), Counter(state["counts"]), int(state["bytes"])
        return 0, Counter(), 0


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode(errors="backslashreplace")
