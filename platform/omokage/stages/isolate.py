"""A stage in a process of its own: without a network, and free to crash.

Decoders and detectors are native code fed with strangers' files. When one dies, this finds the picture that did
it and goes on without it. And MediaPipe's own package reports usage to its maker: in a process whose network
namespace is empty, nothing can.

Both sides speak Arrow IPC over pipes, a length before each message; the first message from the child is its
greeting. The child is ``python -m omokage.stages.child``.
"""

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from omokage.config import to_json
from omokage.errors import ConfigError, OmokageError
from omokage.stages import base

LENGTH = struct.Struct("<Q")

BLOCKED, OPEN = b"\x00blocked", b"\x00open"
"""Greetings of a child that is ready; any other greeting is the text of an error."""

TRIES = 2
"""How often a picture may end the child when it is alone in it."""

STARTS = 3
"""How often it is started when something kills it before it is ready: the memory's guard, an operator."""

ENDING_SECONDS = 10
"""From the closing of a child's pipe to its end."""

START_SECONDS = 300
"""For importing the libraries and loading the models on a busy machine."""


KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(128 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
"""For glibc: keep what one picture gives back for the next one. By default every picture's pixels are new memory,
which the kernel fills with zeros first: 0.5 ms of 11 for 640 by 640 pixels."""


class ChildEndedError(Exception):
    """The child ended, or did not answer in time."""

    def __init__(self, killed: bool) -> None:
        super().__init__()
        self.killed = killed
        """Whether a signal that we did not send ended it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IsolateConfig:
    """What runs in the child."""

    stage: str
    """The stage's class, as ``module:Class``."""
    config: Any
    """Its config dataclass."""
    block_network: bool = True
    """Whether the child gives its network up, where the kernel lets it."""
    seconds: float = 120.0
    """How long one batch may take before the child counts as hanging; more than 0."""

    def __post_init__(self) -> None:
        """Reject what no batch could be done in."""
        if not self.seconds > 0:
            raise ConfigError(f"isolate.seconds must be more than 0, and is {self.seconds}")


class Isolated:
    """Run a stage in a child process; ``crashed`` where a picture ends it twice."""

    def __init__(self, config: IsolateConfig) -> None:
        self.config = config
        self.child: subprocess.Popen[bytes] | None = None
        self.network_blocked = False
        self._start()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` as the stage makes it; after a crash its rows are tried one by one."""
        try:
            return self._ask(batch)
        except ChildEndedError:
            return pa.concat_tables([self._alone(batch.slice(row, 1)) for row in range(batch.num_rows)])

    def close(self) -> None:
        """End the child."""
        if self.child is not None:
            self.child.kill()
            with contextlib.suppress(BrokenPipeError):  # what was not sent yet is lost with it
                self.child.communicate()
            self.child = None

    def _alone(self, row: pa.Table) -> pa.Table:
        for _ in range(TRIES):
            try:
                return self._ask(row)
            except ChildEndedError:
                continue
        return self._ask(base.fail(row, ["crashed"]))  # a failed row passes through every stage untouched

    def _start(self) -> None:
        for _ in range(STARTS):
            self.child = self._process()
            try:
                greeting = self._receive(START_SECONDS)
            except ChildEndedError as error:
                if error.killed:
                    continue
                break
            if greeting in (BLOCKED, OPEN):
                self.network_blocked = greeting == BLOCKED
                return
            self.close()
            raise OmokageError(greeting.decode())
        raise OmokageError(f"the process for {self.config.stage} did not start; the lines above say why")

    def _process(self) -> "subprocess.Popen[bytes]":
        kind, name = type(self.config.config), self.config.config.__class__.__qualname__
        order = {
            "stage": self.config.stage,
            "config_kind": f"{kind.__module__}:{name}",
            "config": to_json(self.config.config),
            "block_network": self.config.block_network,
            "seconds": self.config.seconds,
        }
        # -P: the folder that the user happens to be in is no place to import modules from
        command = [sys.executable, "-P", "-m", "omokage.stages.child", json.dumps(order)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | KEEP_MEMORY)

    def _ask(self, batch: pa.Table) -> pa.Table:
        if self.child is None:
            self._start()
        try:
            send(self.child.stdin, table_bytes(batch))  # type: ignore[union-attr]
        except BrokenPipeError as error:
            raise ChildEndedError(killed=self._ended()) from error
        return read_table(self._receive(self.config.seconds))

    def _receive(self, seconds: float) -> bytes:
        """Return the child's next message; on silence or death, end it."""
        pipe = self.child.stdout  # type: ignore[union-attr]
        assert pipe is not None
        ready, _, _ = select.select([pipe], [], [], seconds)
        if not ready:
            self.close()
            raise ChildEndedError(killed=False)
        message = receive(pipe)
        if message is None:
            raise ChildEndedError(killed=self._ended())
        return message

    def _ended(self) -> bool:
        """Return whether a signal ended the child, which closed its pipe just now, and clear it away."""
        assert self.child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):  # the pipe closes a moment before the process is gone
            self.child.wait(ENDING_SECONDS)
        killed = (self.child.returncode or 0) < 0
        self.close()
        return killed


def can_block_network() -> bool:
    """Return whether a process here may give up its network."""
    code = "import sys; from omokage.stages import child; sys.exit(not child.block_network())"
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, check=False).returncode == 0


def send(pipe: Any, message: bytes | pa.Buffer) -> None:
    """Write one message."""
    pipe.write(LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def receive(pipe: Any) -> bytes | None:
    """Return the next message, or None when the other side is gone."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    message: bytes = pipe.read(length)
    return message if len(message) == length else None


def table_bytes(table: pa.Table) -> pa.Buffer:
    """Return a table as one message."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def read_table(message: bytes) -> pa.Table:
    """Return the table in a message."""
    return pa.ipc.open_stream(message).read_all()
