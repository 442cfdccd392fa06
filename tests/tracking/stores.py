"""Tracking stores with their tables: making those takes seconds, so it is done once."""

import functools
import tempfile
from pathlib import Path

from omokage.tracking import place


@functools.cache
def tables() -> bytes:
    """Return an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.db"
        place.client(f"sqlite:///{file}").search_experiments()
        return file.read_bytes()


def new(folder: Path) -> str:
    """Return the URI of a new store in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs.db").write_bytes(tables())
    return f"sqlite:///{folder / 'runs.db'}"
