"""How parameters move: presets of optimiser and schedule, with one face for all of them.

A schedule is a factor on the learning rate that depends on how much of the run is done, so it always ends when the run
ends: it never starts over and, after warm-up, never climbs.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import schedulefree
import torch
from timm.optim.lookahead import Lookahead
from torch import nn

from omokage.errors import ConfigError

Preset = Literal["adam-cosine", "adamw-plateau", "sgd-step", "ranger-exp", "schedule-free"]

Groups = list[dict[str, Any]]
Inner = Any
"""A torch.optim.Optimizer; Lookahead and the schedule-free one have no types."""

STEPS: Final = (0.5, 0.75, 0.9)
"""Shares of the run after which sgd-step divides the learning rate by 10."""

EXPONENTIAL_END: Final = 0.05
"""What ranger-exp has brought the learning rate down to at the end of the run, as a factor."""

LARGEST_LR: Final = 1e30
"""Learning rate; steps of larger ones overflow float32 by themselves, whatever the gradient."""

PLATEAU_EPOCHS: Final = 3
"""adamw-plateau lowers the learning rate when so many epochs in a row are no better than the best."""

PLATEAU_FACTOR: Final = 0.3

PLATEAU_GAIN: Final = 1e-4
"""By how much an epoch must be better to count as better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig:
    """How parameters move."""

    preset: Preset = "adam-cosine"
    """adam-cosine: down to 0 along a cosine. adamw-plateau: down when validation is no better for 3 epochs. sgd-step:
    with momentum, a tenth after 50, 75 and 90 % of the run. ranger-exp: RAdam with lookahead, down exponentially.
    schedule-free: AdamW that averages its way instead of a schedule."""

    lr: float | None = None
    """Learning rate after warm-up, above 0. Without, the preset's own: 0.001, 0.001, 0.05, 0.003, 0.0025."""

    weight_decay: float | None = None
    """At least 0. Without, the preset's own: 0, 0.05, 0.0005, 0.01, 0.01. Biases and norms have none. adam-cosine and
    sgd-step add it to the gradient, the others shrink the weights by it."""

    warmup_epochs: float = 0.5
    """Epochs over which the learning rate grows from 0, step by step; at least 0, a fraction will do."""

    def __post_init__(self) -> None:
        """Reject what nothing could be trained with."""
        if self.lr is not None and not 0 < self.lr <= LARGEST_LR:
            raise ConfigError(f"lr must be above 0 and at most {LARGEST_LR:g}, got {self.lr}")
        if self.weight_decay is not None and not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"weight_decay must be at least 0, got {self.weight_decay}")
        if not 0 <= self.warmup_epochs < math.inf:
            raise ConfigError(f"warmup_epochs must be at least 0, got {self.warmup_epochs}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Parts:
    """What a preset is made of."""

    make: Callable[[Groups, float, int], Inner]
    """From parameter groups, learning rate and steps of warm-up."""
    factor: Callable[[float], float]
    """From the share of the run after warm-up that is done, 0 to 1, to a factor on the learning rate."""
    lr: float
    weight_decay: float


def _adam(groups: Groups, lr: float, _: int) -> Inner:
    return torch.optim.Adam(groups, lr=lr)


def _adamw(groups: Groups, lr: float, _: int) -> Inner:
    return torch.optim.AdamW(groups, lr=lr)


def _sgd(groups: Groups, lr: float, _: int) -> Inner:
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)


def _ranger(groups: Groups, lr: float, _: int) -> Inner:
    # RAdam takes full steps only after some 1 / (1 - beta2) of them: with the usual 0.999, a short run is over by then
    inner = torch.optim.RAdam(groups, lr=lr, betas=(0.9, 0.99), decoupled_weight_decay=True)
    return Lookahead(inner)  # type: ignore[no-untyped-call]


def _schedule_free(groups: Groups, lr: float, warmup_steps: int) -> Inner:
    return schedulefree.AdamWScheduleFree(groups, lr=lr, warmup_steps=warmup_steps)


def _flat(_: float) -> float:
    return 1.0


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _in_steps(done: float) -> float:
    return 0.1 ** sum(done >= at for at in STEPS)


def _exponential(done: float) -> float:
    return float(EXPONENTIAL_END**done)


PRESETS: Final[dict[Preset, _Parts]] = {
    "adam-cosine": _Parts(make=_adam, factor=_cosine, lr=1e-3, weight_decay=0.0),
    "adamw-plateau": _Parts(make=_adamw, factor=_flat, lr=1e-3, weight_decay=0.05),
    "sgd-step": _Parts(make=_sgd, factor=_in_steps, lr=0.05, weight_decay=5e-4),
    "ranger-exp": _Parts(make=_ranger, factor=_exponential, lr=3e-3, weight_decay=0.01),
    "schedule-free": _Parts(make=_schedule_free, factor=_flat, lr=2.5e-3, weight_decay=0.01),
}


class Optimiser:
    """A preset at work: optimiser, warm-up and schedule.

    Attributes:
        inner: The optimiser.
        done: Steps taken.
    """

    def __init__(
        self, config: OptimConfig, groups: Sequence[Iterable[nn.Parameter]], steps_per_epoch: int, epochs: int
    ) -> None:
        """Make it for one run.

        Args:
            config: The preset and its settings.
            groups: Parameters of the backbone, of the objective; all of them are treated alike.
            steps_per_epoch: Calls of ``step`` in an epoch.
            epochs: The run's length.
        """
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.steps = max(1, steps_per_epoch * epochs)
        self.warmup_steps = min(round(config.warmup_epochs * steps_per_epoch), self.steps)
        self.done = 0
        self._parts = PRESETS[config.preset]
        self._peak = config.lr if config.lr is not None else self._parts.lr
        self._plateau = Plateau()
        decay = config.weight_decay if config.weight_decay is not None else self._parts.weight_decay
        self.inner = self._parts.make(_decayed(groups, decay), self._peak, self.warmup_steps)
        self.train()

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        if self.done < self.warmup_steps:
            return self._peak * (self.done + 1) / self.warmup_steps
        share = (self.done - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self._peak * self._parts.factor(min(share, 1.0)) * self._plateau.factor

    def zero(self) -> None:
        """Forget the gradients."""
        self.inner.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Move the parameters by their gradients; the schedule goes on by a step."""
        if self.config.preset != "schedule-free":  # which warms up by itself, to weigh its average by the rate
            for group in self.inner.param_groups:
                group["lr"] = self.lr
        self.inner.step()
        self.done += 1

    def end_epoch(self, metric: float) -> None:
        """Tell the schedule the validation metric of an epoch that has ended; higher is better, NaN is no better."""
        if self.config.preset == "adamw-plateau":
            self._plateau.note(metric)

    def train(self) -> None:
        """Put the parameters where gradients are taken; only schedule-free has another place for them."""
        if self.config.preset == "schedule-free":
            self.inner.train()

    def eval(self) -> None:
        """Put the parameters where they are best, to evaluate and to save the model: schedule-free's average."""
        if self.config.preset == "schedule-free":
            self.inner.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that going on depends on; only plain values and tensors.

        It belongs to the parameters as they are now: save both together, in ``train`` or in ``eval``.
        """
        return {
            "preset": self.config.preset,
            "inner": self.inner.state_dict(),
            "done": self.done,
            "steps_per_epoch": self.steps_per_epoch,
            "steps": self.steps,
            "plateau": self._plateau.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave, also where an epoch has another number of steps than it had then.

        Raises:
            ConfigError: It is the state of another preset, or of a run of another length, whose rate would jump.
        """
        if state["preset"] != self.config.preset:
            raise ConfigError(f"the checkpoint is of the preset {state['preset']}, not {self.config.preset}")
        before, now = (steps / per for steps, per in self._lengths(state))
        if self._parts.factor is not _flat and round(before) != round(now):
            raise ConfigError(
                f"the checkpoint is of a run of {round(before)} epochs, and its learning rate fell accordingly: with "
                f"{round(now)} it would jump. Go on with {round(before)}, or start a new run from its weights"
            )
        self.inner.load_state_dict(state["inner"])
        self.done = round(state["done"] * self.steps_per_epoch / state["steps_per_epoch"])
        self._plateau.load(state["plateau"])

    def _lengths(self, state: dict[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
        return (state["steps"], state["steps_per_epoch"]), (self.steps, self.steps_per_epoch)


class Plateau:
    """Lowers a factor when a metric stays where it is. Higher is better."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._best = -math.inf
        self._waited = 0

    def note(self, metric: float) -> None:
        """Take an epoch's metric into account."""
        if metric > self._best + PLATEAU_GAIN:
            self._best, self._waited = metric, 0
            return
        self._waited += 1
        if self._waited >= PLATEAU_EPOCHS:
            self.factor, self._waited = self.factor * PLATEAU_FACTOR, 0

    def state(self) -> dict[str, float]:
        """Return what ``load`` takes."""
        return {"factor": self.factor, "best": self._best, "waited": self._waited}

    def load(self, state: dict[str, float]) -> None:
        """Take up what ``state`` gave."""
        self.factor, self._best, self._waited = state["factor"], state["best"], int(state["waited"])


def _decayed(groups: Sequence[Iterable[nn.Parameter]], decay: float) -> Groups:
    """Return the parameters in two groups: matrices and filters with weight decay, all others without."""
    parameters = [parameter for group in groups for parameter in group if parameter.requires_grad]
    made = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in made if group["params"]]
