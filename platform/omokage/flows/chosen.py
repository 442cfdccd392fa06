"""What runs an encoder on the machines that will run it."""

import ray
import ray.exceptions

from omokage.flows.workers import Workers
from omokage.vision import runtimes
from omokage.vision.encoder import EncoderSpec


def runtime(spec: EncoderSpec, before: str, pools: Workers, warnings: list[str]) -> str:
    """Return what ran an encoder before, or the quickest runtime where it will run now.

    Args:
        spec: The encoder.
        before: What made the vectors that there are; empty where there are none.
        pools: Where it will run.
        warnings: Gets a line where there is a GPU that cannot be used.
    """
    if before and runtimes.needs_card(before) == bool(pools.encode_gpus):
        return before

    def measure(device: str) -> str:
        choice = runtimes.choose(spec, device=device)
        choice.runtime.close()
        return choice.runtime.name

    there = ray.remote(num_cpus=pools.encode_cpus, num_gpus=pools.encode_gpus, max_calls=1)(measure)
    if pools.encode_gpus:
        try:
            return ray.get(there.remote("cuda"))
        except ray.exceptions.RayTaskError as error:
            warnings.append(f"the GPU is not used: {error.cause}")
    return ray.get(there.remote("cpu"))
