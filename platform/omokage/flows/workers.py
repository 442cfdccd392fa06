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

DETECT_GPU_SHARE = 0.5
"""Of all GPUs, where detectors run there too."""

ENCODERS_PER_GPU = 2
"""While one copies, the other computes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """Sizes of the pools, and what one worker of each books."""

    look: int
    look_cpus: float
    look_gpus: float
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


def plan(cpus: float, gpus: float, look: int | None = None, detect_on: str = "cpu") -> Workers:
    """Return the pools for so many CPUs and GPUs.

    Args:
        cpus: CPUs to use.
        gpus: GPUs to use.
        look: Number of detecting workers; None for one a CPU.
        detect_on: "cuda" where they share the GPUs with the encoders.

    Raises:
        ConfigError: There is no CPU, or no such number of workers.
    """
    if cpus <= 0:
        raise ConfigError(f"at least one CPU is needed, and there are {cpus:g}")
    if look is not None and look < 1:
        raise ConfigError(f"workers must be at least 1, and is {look}")
    if detect_on == "cuda" and not gpus:
        raise ConfigError("detect_on is cuda, and there is no GPU")
    detecting = DETECT_GPU_SHARE if detect_on == "cuda" else 0.0
    cores = max(1, int(cpus))
    lookers = look or cores
    encoders = math.ceil(gpus * ENCODERS_PER_GPU) if gpus else math.ceil(cores / ENCODER_THREADS)
    writers = max(1, cores // 2)
    return Workers(
        look=lookers,
        look_cpus=_share(cpus * LOOK_SHARE, lookers),
        look_gpus=min(1.0, _share(gpus * detecting, lookers)),
        encode=encoders,
        encode_cpus=_share(cpus * ENCODE_SHARE, encoders),
        encode_gpus=min(1.0, _share(gpus * (1 - detecting), encoders)),
        encode_threads=min(ENCODER_THREADS, cores),
        write=writers,
        write_cpus=_share(cpus * WRITE_SHARE, writers),
    )


def _share(amount: float, workers: int) -> float:
    """Return an equal part of ``amount``, rounded down to the 1/10000 in which Ray counts."""
    return math.floor(amount / workers * 1e4) / 1e4
