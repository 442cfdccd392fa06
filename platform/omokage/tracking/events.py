"""TensorBoard's event files beside a training. They are read by TensorBoard only, never by us."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Events:
    """One more event file in a folder; TensorBoard reads them all as one."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Begin a file.

        Args:
            folder: Made if it is not there.
            first_step: What earlier files say of this step and later ones was given up, and is not shown.
        """
        from tensorboardX import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=first_step, flush_secs=3600)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write figures; they are on disk when this returns."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
