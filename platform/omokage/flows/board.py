"""Where training workers write what the command shows: an actor that uses no CPU, asked a few times a second."""

from dataclasses import dataclass
from typing import Any

import ray


@dataclass(frozen=True, slots=True)
class Seen:
    """What is on the board."""

    progress: tuple[int, int, str] | None
    """Done, of how much, of what; None before the first step."""
    epochs: list[dict[str, Any]]
    """Figures of epochs that were not asked for before."""
    failure: tuple[str, str] | None
    """Name of the error, and its text."""


@ray.remote(num_cpus=0)
class Board:
    """What workers have written."""

    def __init__(self) -> None:
        self.progress: tuple[int, int, str] | None = None
        self.epochs: list[dict[str, Any]] = []
        self.failure: tuple[str, str] | None = None

    def show(self, done: int, of: int, what: str) -> None:
        """Write how far the epoch is."""
        self.progress = (done, of, what)

    def tell(self, line: dict[str, Any]) -> None:
        """Write the figures of an epoch that has ended."""
        self.epochs.append(line)

    def fail(self, kind: str, text: str) -> None:
        """Write why a worker gave up; the first reason stays."""
        self.failure = self.failure or (kind, text)

    def failed(self) -> bool:
        """Return whether a worker gave up."""
        return self.failure is not None

    def seen(self, told: int) -> Seen:
        """Return what is on the board, without the first ``told`` epochs."""
        return Seen(self.progress, self.epochs[told:], self.failure)
