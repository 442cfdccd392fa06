"""What comes of a training: so far, as its checkpoints keep it, and in the end."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Progress:
    """What has come of a training so far: plain values, kept in its checkpoints."""

    history: list[dict[str, Any]] = field(default_factory=list)
    """What each epoch gave, a line of metrics.jsonl each."""
    best: dict[str, Any] | None = None
    """Of the best epoch so far: epoch, metric, value."""
    loss_sum: float = 0.0
    """Over the steps of the epoch that is going on."""
    steps: int = 0
    """Of that epoch."""
    seconds: float = 0.0
    """Spent in them."""
    waited: float = 0.0
    """Of these, waiting for pictures."""
    broken: list[str] = field(default_factory=list)
    """Face ids of the chips that could not be decoded."""
    starts: int = 0
    """How often the training was started or taken up."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training came to: plain values."""

    history: list[dict[str, Any]]
    best: dict[str, Any] | None
    stopped_early: bool
    broken: list[str]
    starts: int
    precision: str
    why_precision: str
    notes: list[str]
