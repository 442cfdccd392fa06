"""How many workers of which kind a machine or cluster carries, so that nothing waits for ever.

Ray Data waits without a word when the actors that it must start want more CPUs than there are, or leave none
for tasks. So the shares are worked out here, and their sum never exceeds what there is. They are shares for
Ray's book-keeping: on two cores three processes may well run at once, and the kernel divides the time.
"""

import math
from dataclasses import dataclass

from omokage.errors import ConfigError

LOOK_SHARE, ENCODE_SHARE, WRITE_SHARE = 0.5, 0.4, 0.1
"""Of all CPUs, what each kind of worker books."""

ENCODER_THREADS = 4
"""Cores that one encoder process uses well."""

ENCODERS_PER_GPU = 2
"""While one copies, the other computes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """Sizes of the pools, and what one worker of each books."""

    look: int
    look_cpus: float
    encode: int
    encode_cpus: float
    encode_gpus: float
    encode_threads: int
    write: int
    write_cpus: float

    @property
    def cpus(self) -> float:
        """What all of them book together."""
        return self.look * self.look_cpus + self.encode * self.encode_cpus + self.write * self.write_cpus


def plan(cpus: float, gpus: float, look: int | None = None) -> Workers:
    """Return the pools for so many CPUs and GPUs; ``look`` asks for a number of detecting workers.

    Raises:
        ConfigError: There is no CPU, or no such number of workers.
    """
    if cpus <= 0:
        raise ConfigError(f"at least one CPU is needed, and there are {cpus:g}")
    if look is not None and look < 1:
        raise ConfigError(f"workers must be at least 1, and is {look}")
    cores = max(1, int(cpus))
    lookers = look or cores
    encoders = math.ceil(gpus * ENCODERS_PER_GPU) if gpus else math.ceil(cores / ENCODER_THREADS)
    writers = max(1, cores // 2)
    return Workers(
        look=lookers,
        look_cpus=_share(cpus * LOOK_SHARE, lookers),
        encode=encoders,
        encode_cpus=_share(cpus * ENCODE_SHARE, encoders),
        encode_gpus=_share(gpus, encoders),
        encode_threads=min(ENCODER_THREADS, cores),
        write=writers,
        write_cpus=_share(cpus * WRITE_SHARE, writers),
    )


def _share(amount: float, workers: int) -> float:
    """Return an equal part, rounded down to the 1/10000 in which Ray counts."""
    return math.floor(amount / workers * 1e4) / 1e4
