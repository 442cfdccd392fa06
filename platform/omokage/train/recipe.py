"""All that decides what a training makes of its data, in one config; the same in every run with the same result."""

import re
from dataclasses import dataclass, field
from typing import Final

from omokage import config as settings
from omokage.augment.config import AugmentConfig
from omokage.errors import ConfigError
from omokage.evaluate.verification import FMRS, tar_name
from omokage.train.batches import BatchConfig
from omokage.train.kinds import CLASSIFY
from omokage.train.losses import LossConfig
from omokage.train.model import ModelConfig
from omokage.train.optim import OptimConfig
from omokage.train.precision import Kind
from omokage.train.split import SplitConfig

BEST: Final = ("tar", "auc", "eer", *map(tar_name, FMRS))
"""What the best model can be chosen by."""

EVERY: Final = re.compile(r"(\d+)([smh]?)")

UNITS: Final = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """How long to train, what counts as best, and when to write checkpoints."""

    epochs: int = 20
    """Times that every person of the training part is gone through; at least 1."""
    accumulate: int = 1
    """Batches whose gradients are added up before the weights are changed; at least 1."""
    clip_norm: float = 1.0
    """Longest gradient, of all weights together; a longer one is shortened to it. 0: never."""
    seed: int = 0
    """Of weights, batches and augmentation; the split's, too. At least 0."""
    best: str = "tar"
    """What the best model is chosen by, on unseen people: "tar", the true accept rate at the smallest false match
    rate that they can show; "tar_at_fmr_1e-3" and the like for that rate; "auc"; or "eer"."""
    patience: int = 0
    """Epochs without a better model after which training ends; 0: never."""
    precision: Kind = "auto"
    """Numbers to compute in: "float32", "bf16", "fp16"; "auto" for what the hardware does well."""
    channels_last: bool = True
    """Lay pictures out in the order that convolutions like; a fifth quicker on CPUs, more on GPUs."""
    compile: bool = False
    """Translate the network with torch.compile: minutes at first, then quicker, mostly on GPUs."""
    checkpoint_every: str = "5m"
    """Also write a checkpoint within an epoch: after so many steps, as in "500", or so much time, as in "90s", "10m",
    "1h". "0": only at the end of each epoch."""

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        for name, least in (("epochs", 1), ("accumulate", 1), ("seed", 0), ("patience", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.clip_norm < float("inf"):
            raise ConfigError(f"clip_norm must be at least 0, got {self.clip_norm}")
        if self.best not in BEST:
            raise ConfigError(f"best cannot be {self.best!r}; {settings.nearest(self.best, BEST)}")
        if not EVERY.fullmatch(self.checkpoint_every):
            raise ConfigError(
                f'checkpoint_every must be steps as in "500", or a time as in "90s", "10m", "1h"; '
                f"got {self.checkpoint_every!r}"
            )

    @property
    def every(self) -> tuple[int, int]:
        """Steps and seconds between checkpoints within an epoch; 0 for never."""
        found = EVERY.fullmatch(self.checkpoint_every)
        assert found is not None
        number = int(found[1])
        return (0, number * UNITS[found[2]]) if found[2] else (number, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """All that decides what a training makes of its data."""

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """Reject parts that do not go together."""
        loss, batches = self.loss, self.batches
        if loss.loss not in CLASSIFY and batches.pictures < 2 and not loss.memory_size:
            raise ConfigError(
                f"{loss.loss} compares pictures of one person, and with 1 picture of each a batch has none to compare: "
                "give --pictures 2 or more, or --memory-size"
            )
        if 0 < loss.memory_size < batches.people * batches.pictures:
            raise ConfigError(
                f"loss.memory_size must hold at least a batch, {batches.people} people x {batches.pictures} pictures = "
                f"{batches.people * batches.pictures}, got {loss.memory_size}"
            )
