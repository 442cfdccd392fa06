"""Every loss with every miner and memory that can be asked for."""

from collections.abc import Iterator
from itertools import product

from omokage.errors import ConfigError
from omokage.train.kinds import SETTINGS
from omokage.train.losses import LossConfig


def offered() -> Iterator[LossConfig]:
    """Every loss with every miner, memory (of 30, so that it is gone round) and share of people that it takes."""
    for loss, miner, memory, sampled in product(
        SETTINGS, ("none", "semihard", "hard", "multi-similarity"), (0, 30), (0.0, 0.4, 1.0)
    ):
        try:
            yield LossConfig(loss=loss, miner=miner, memory_size=memory, sampled=sampled)
        except ConfigError:
            continue


OFFERED = list(offered())


def name(config: LossConfig) -> str:
    return f"{config.loss}-{config.miner}-{config.memory_size}-{config.sampled}"
