"""TensorBoard's event files beside a training. They are read by TensorBoard only, never by us.

tensorboardX's SummaryWriter hands events to a thread, and its ``flush`` does not wait for it: what was told last would
be lost with a killed process. So its parts are used without the thread.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Kept = Callable[[Path], None]


class Events:
    """One more event file in a folder; TensorBoard reads them all as one."""

    def __init__(self, folder: Path, first_step: int, kept: Kept = lambda _: None) -> None:
        """Begin a file.

        Args:
            folder: Made if it is not there.
            first_step: What earlier files say of this step and later ones was given up, and is not shown.
            kept: Given the file whenever there is more in it.
        """
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        suffix = f".{time.time_ns()}"  # or two files of one second would be one; they are read by name
        before = set(folder.iterdir())
        self._writer: Any = EventsWriter(str(folder / "events"), suffix)
        (self._file,) = set(folder.iterdir()) - before
        self._kept = kept
        self._write(step=first_step, session_log=SessionLog(status=SessionLog.START))
        self._writer.flush()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write figures; they are in the file when this returns."""
        from tensorboardX.summary import scalar

        for name, value in metrics.items():
            self._write(step=step, summary=scalar(name, value))
        self._writer.flush()
        self._kept(self._file)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, **what: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), **what))
