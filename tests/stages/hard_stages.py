"""Stages that misbehave on purpose, for ``test_isolate.py``; they run in child processes."""

import ctypes
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from omokage import schema
from omokage.errors import ConfigError
from omokage.stages import base


@dataclass(frozen=True, kw_only=True, slots=True)
class HardConfig:
    log: str = ""
    """File that gets a line for each picture, before it is looked at."""
    port: int = 0
    """Where on this machine somebody listens."""
    kills: int = 0
    """How many times its process is killed while it starts."""
    refuse: str = ""
    """Text of an error at the start."""


class Hard:
    """Do to this process what a picture's name says, and add ``pid``."""

    reads = schema.LISTED
    adds = pa.schema([pa.field("pid", pa.int64())])

    def __init__(self, config: HardConfig) -> None:
        if config.refuse:
            raise ConfigError(config.refuse)
        self.log = config.log

    def __call__(self, batch: pa.Table) -> pa.Table:
        for uri, ok in zip(batch["uri"].to_pylist(), base.good(batch), strict=True):
            if not ok:
                continue
            with Path(self.log).open("a") as log:
                log.write(f"{uri}\n")
            if uri == "segv":
                os.kill(os.getpid(), signal.SIGSEGV)
            if uri == "exit":
                os._exit(0)
            if uri == "hang":
                ctypes.PyDLL(None).pause()  # native code that keeps the interpreter's lock
            if uri == "print":
                os.write(1, b"native chatter\n" * 1000)
        return base.append(batch, self.adds, [[os.getpid()] * batch.num_rows])


class Caller:
    """Add ``answer``: what it hears from ``port``, or the error's name."""

    reads = schema.LISTED
    adds = pa.schema([pa.field("answer", pa.string())])

    def __init__(self, config: HardConfig) -> None:
        self.port = config.port

    def __call__(self, batch: pa.Table) -> pa.Table:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as there:
                answer = there.recv(100).decode()
        except OSError as error:
            answer = type(error).__name__
        return base.append(batch, self.adds, [[answer] * batch.num_rows])


class Broken:
    """A stage with a mistake in it."""

    reads = schema.LISTED
    adds = pa.schema([])

    def __init__(self, config: HardConfig) -> None:
        raise RuntimeError("a mistake")


class KilledYoung:
    """A stage whose process is killed while it starts, ``kills`` times."""

    reads = schema.LISTED
    adds = pa.schema([])

    def __init__(self, config: HardConfig) -> None:
        with Path(config.log).open("a") as log:
            log.write("start\n")
        if len(Path(config.log).read_text().split()) <= config.kills:
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, table: pa.Table) -> pa.Table:
        return table
