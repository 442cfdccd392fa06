"""Where training workers write what the command shows: values that Ray's own server of names keeps, no process more.

An actor in its place took as much of a core as all else that is asked nothing: each wakes a hundred times a second.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from ray.experimental import internal_kv

SPACE: Final = "omokage"
"""Of the names, so that they meet nobody else's on a shared cluster."""

PROGRESS: Final = "progress"
FAILURE: Final = "failure"
EPOCH: Final = "epoch-"
"""And its number, with so many digits that names sort as numbers do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is on the board."""

    progress: tuple[int, int, str] | None
    """Done, of how much, of what; None before the first step."""
    epochs: list[dict[str, Any]]
    """Figures of epochs that were not asked for before, in order."""
    failure: tuple[str, str] | None
    """Name of the error, and its text."""


class Board:
    """What workers have written; any process of the cluster that has a board of the same name has the same one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def show(self, done: int, of: int, what: str = "") -> None:
        """Write how far the epoch is."""
        self._write(PROGRESS, [done, of, what])

    def tell(self, line: dict[str, Any]) -> None:
        """Write the figures of an epoch that has ended; told twice, they are there once."""
        self._write(f"{EPOCH}{line['epoch']:09d}", line)

    def fail(self, kind: str, text: str) -> None:
        """Write why a worker gave up; the first reason stays."""
        self._write(FAILURE, [kind, text], overwrite=False)

    def failed(self) -> bool:
        """Return whether a worker gave up."""
        return self._read(FAILURE) is not None

    def seen(self, told: int) -> Seen:
        """Return what is on the board, without the first ``told`` epochs."""
        names = sorted(self._names())
        epochs = [name for name in names if name.startswith(EPOCH)][told:]
        progress = self._read(PROGRESS) if PROGRESS in names else None
        failure = self._read(FAILURE) if FAILURE in names else None
        return Seen(
            progress=progress and tuple(progress),
            epochs=[self._read(name) for name in epochs],
            failure=failure and tuple(failure),
        )

    def wipe(self) -> None:
        """Remove all that is on it."""
        internal_kv._internal_kv_del(f"{self.name}/", del_by_prefix=True, namespace=SPACE)

    def _names(self) -> list[str]:
        found = internal_kv._internal_kv_list(f"{self.name}/", namespace=SPACE)
        return [name.decode().partition("/")[2] for name in found]

    def _read(self, what: str) -> Any:
        value = internal_kv._internal_kv_get(f"{self.name}/{what}", namespace=SPACE)
        return None if value is None else json.loads(value)

    def _write(self, what: str, value: Any, overwrite: bool = True) -> None:
        internal_kv._internal_kv_put(f"{self.name}/{what}", json.dumps(value), overwrite, namespace=SPACE)
