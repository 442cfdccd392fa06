"""Programs that take turns on the same cores: one runs while all of the others are stopped.

A machine that is shared with others may be half as quick for minutes. What is compared takes turns of seconds, so that
each program sees the same machine.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

PROC = Path("/proc")

LOOK = 0.01
"""Seconds between two looks for a new line."""


class Program:
    """A program that writes a line to a file at the end of each turn; it is stopped between turns."""

    def __init__(self, command: list[str], lines: Path | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Start it; its first turn begins.

        Args:
            command: Program and arguments.
            lines: The file; its standard output without.
            environ: Variables that it starts with, beside ours.
        """
        self.output = tempfile.NamedTemporaryFile()  # noqa: SIM115 - as long as we live
        self.lines = lines or Path(self.output.name)
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        env = os.environ | dict(environ or {})
        self.process = subprocess.Popen(command, stdout=self.output, stderr=self.errors, env=env)
        self.turns = 0

    def turn(self) -> None:
        """Let it run until its next line is there."""
        self._send(signal.SIGCONT)
        while self._written() <= self.turns:
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode} before its turn {self.turns + 1}")
            time.sleep(LOOK)
        self.turns += 1
        self._send(signal.SIGSTOP)

    def end(self) -> str:
        """Let it run to its end; return its standard output."""
        self._send(signal.SIGCONT)
        if self.process.wait(timeout=120):
            self.errors.seek(0)
            raise RuntimeError(f"ended with {self.process.returncode}: {self.errors.read()[-4000:].decode()}")
        return Path(self.output.name).read_text()

    def kill(self) -> None:
        """End it and all that it started, where it still runs."""
        if self.process.poll() is None:
            self._send(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(timeout=60)

    def _written(self) -> int:
        return self.lines.read_bytes().count(b"\n") if self.lines.exists() else 0

    def _send(self, number: int) -> None:
        """Send a signal to the program and all that it started."""
        for pid in _family(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _family(root: int) -> set[int]:
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return family
