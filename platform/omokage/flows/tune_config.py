"""What ``tune`` is asked for."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omokage.errors import ConfigError
from omokage.flows.points import How
from omokage.flows.train import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneConfig(TrainConfig):
    """What to search, and the base settings."""

    trials: int = 8
    """How many settings to try, the base settings among them; a finished search goes on with more."""
    search: How = "climb"
    """What is tried next: "climb", the best so far with one setting changed, each in turn; "random", the base with
    about half of the settings changed; "grid", all combinations; "optuna", by how all before ended, for many trials."""
    space: Path | None = None
    """TOML file that says what may be tried, as in optim.lr = { loguniform = [1e-4, 1e-2] }."""
    scheduler: Literal["asha", "fifo"] = "asha"
    """asha: a trial goes on only while it is among the better half after as many epochs; fifo: all end."""
    at_once: int | None = None
    """Trials that run side by side; by default one a GPU or, where there is none, one a machine."""

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        TrainConfig.__post_init__(self)
        if self.trials < 1:
            raise ConfigError(f"trials must be at least 1, got {self.trials}")
        if self.at_once is not None and self.at_once < 1:
            raise ConfigError(f"at_once must be at least 1, got {self.at_once}")
        if self.workers not in (None, 1):
            raise ConfigError("a trial trains with one worker: --at-once says how many trials run side by side")

    def base(self) -> TrainConfig:
        """Return the base settings."""
        return TrainConfig(**{each.name: getattr(self, each.name) for each in dataclasses.fields(TrainConfig)})
