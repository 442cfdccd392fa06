"""How parameters move: presets of optimiser and schedule, with one face for all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

Preset = Literal["adam-cosine", "adamw-plateau", "sgd-step", "ranger-exp", "schedule-free"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig:
    """How parameters move."""

    preset: Preset = "adam-cosine"
    """Optimiser and schedule."""

    lr: float | None = None
    """Learning rate after warm-up; without, the preset's own."""

    weight_decay: float | None = None
    """Without, the preset's own. Norms and biases have none."""

    warmup_epochs: float = 0.5
    """Epochs in which the learning rate grows from 0, step by step; a fraction will do."""


class Optimiser:
    """An optimiser and its schedule."""

    def __init__(
        self, config: OptimConfig, groups: Sequence[Iterable[nn.Parameter]], steps_per_epoch: int, epochs: int
    ) -> None:
        self.config = config

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        raise NotImplementedError

    def zero(self) -> None:
        """Forget the gradients."""
        raise NotImplementedError

    def step(self) -> None:
        """Move the parameters by their gradients; the schedule goes on by a step."""
        raise NotImplementedError

    def end_epoch(self, metric: float) -> None:
        """Tell the schedule the validation metric of an epoch that has ended; higher is better."""
        raise NotImplementedError

    def train(self) -> None:
        """Put the parameters where gradients are taken."""
        raise NotImplementedError

    def eval(self) -> None:
        """Put the parameters where they are best: to evaluate, and to save the model."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return everything that going on depends on; only plain values and tensors."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        raise NotImplementedError
