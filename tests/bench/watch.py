"""Run a command and watch all its processes: memory, processor time, by kind."""

import os
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")

KINDS = (
    (re.compile(r"omokage\.stages\.child"), "isolated child"),
    (re.compile(r"^ray::.*Looker"), "looker"),
    (re.compile(r"^ray::.*Encode"), "encoder"),
    (re.compile(r"^ray::"), "other Ray workers"),
    (re.compile(r"gcs_server"), "gcs_server"),
    (re.compile(r"raylet/raylet|/raylet "), "raylet"),
    (re.compile(r"ray/(dashboard|_private|autoscaler)"), "Ray's helpers"),
)
"""Command lines to kinds of process; the first that fits. The process that was started is "driver"."""


@dataclass(slots=True)
class Seen:
    """What a command used."""

    seconds: float = 0.0
    output: str = ""
    peak_mb: float = 0.0
    """Largest sum of the processes' proportional set sizes, so that shared memory counts once."""
    peak_by_kind: dict[str, float] = field(default_factory=dict)
    """The parts of ``peak_mb``."""
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """User and system time by kind, up to the last look at each process."""


class CommandError(Exception):
    """The command failed."""


def run(
    command: list[str],
    *,
    every: float = 0.5,
    memory: bool = False,
    seconds: float = 1800,
    environ: Mapping[str, str] | None = None,
) -> Seen:
    """Return what ``command`` used, and its standard output.

    Args:
        command: Program and arguments.
        every: Seconds between two looks.
        memory: Whether to sum memory too; a look then costs some milliseconds for every process.
        seconds: After which it is ended.
        environ: Variables that it starts with, beside ours.

    Raises:
        CommandError: Its exit status is not 0.
    """
    start = time.perf_counter()
    pipe, environ = subprocess.PIPE, os.environ | dict(environ or {})
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environ) as process:
        watcher = _Watcher(process.pid, every, memory)
        watcher.start()
        try:
            output, errors = process.communicate(timeout=seconds)
        except BaseException:
            process.terminate()  # the verb stops its own Ray
            raise
        finally:
            watcher.stopped.set()
    watcher.join()
    if process.returncode:
        raise CommandError(f"{' '.join(command)}\nended with {process.returncode}:\n{errors[-4000:]}")
    seen = watcher.seen()
    seen.seconds, seen.output = time.perf_counter() - start, output
    return seen


def python(*arguments: str) -> list[str]:
    """Return the command that runs Python with ``arguments``."""
    return [sys.executable, *arguments]


class _Watcher(threading.Thread):
    """Looks at a process and everything that it started, until ``stopped``."""

    def __init__(self, root: int, every: float, memory: bool) -> None:
        super().__init__(daemon=True)
        self.stopped = threading.Event()
        self.root, self.every, self.memory = root, every, memory
        self.family: set[int] = {root}  # kept: a child whose parent is gone is nobody's child any more
        self.kind: dict[int, str] = {root: "driver"}
        self.cpu: dict[int, float] = {}
        self.peak = 0.0
        self.peak_by_kind: dict[str, float] = {}

    def run(self) -> None:
        """Look until told to stop."""
        while not self.stopped.wait(self.every):
            self._look()

    def seen(self) -> Seen:
        """Return what was seen so far."""
        cpu: dict[str, float] = defaultdict(float)
        for pid, seconds in self.cpu.items():
            cpu[self.kind[pid]] += seconds
        largest_first = sorted(self.peak_by_kind.items(), key=lambda item: -item[1])
        return Seen(peak_mb=self.peak, peak_by_kind=dict(largest_first), cpu_seconds=dict(cpu))

    def _look(self) -> None:
        parents = {}
        for pid in [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]:
            fields = _text(pid, "stat").rpartition(")")[2].split()
            if fields:
                parents[pid] = int(fields[1])
                if pid in self.family:
                    self.cpu[pid] = (int(fields[11]) + int(fields[12])) / TICK
        while grown := {pid for pid, parent in parents.items() if parent in self.family} - self.family:
            self.family |= grown
        alive = self.family & parents.keys()
        for pid in alive:
            if pid != self.root:  # looked at each time, since Ray renames its workers
                self.kind[pid] = _kind(_text(pid, "cmdline").replace("\0", " ")) or self.kind.get(pid, "other")
        if self.memory:
            self._weigh(alive)

    def _weigh(self, alive: set[int]) -> None:
        sizes: dict[str, float] = defaultdict(float)
        for pid in alive:
            found = re.search(r"^Pss:\s+(\d+) kB", _text(pid, "smaps_rollup"), re.MULTILINE)
            sizes[self.kind[pid]] += int(found[1]) / 1024 if found else 0.0
        if sum(sizes.values()) > self.peak:
            self.peak, self.peak_by_kind = sum(sizes.values()), sizes


def _kind(command: str) -> str | None:
    """Return what kind of process has this command line; None if it has none, as when it just ended."""
    if not command.strip():
        return None
    return next((kind for pattern, kind in KINDS if pattern.search(command)), "other")


def _text(pid: int, name: str) -> str:
    """Return a file of a process; nothing if the process is gone."""
    try:
        return (PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""
