"""How many training workers a machine or cluster carries, and what each gets, so that none waits for ever.

Ray Train asks again without end for workers that the cluster cannot hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ray
import torch

from omokage.errors import ConfigError
from omokage.flows.cluster import ClusterConfig
from omokage.train.precision import choose
from omokage.train.recipe import LoopConfig


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Placing:
    """The workers of a training."""

    workers: int
    cpus: int
    """Of each."""
    gpu: bool
    """Whether each has one."""


def check_machine(config: ClusterConfig, loop: LoopConfig) -> None:
    """Check that this machine, if it is the one that trains, has what it is to use, before anything begins.

    Ray believes what it is told of GPUs, and workers would fail.

    Raises:
        ConfigError: It has fewer GPUs, or cannot compute as it is to.
    """
    if config.address != "local":
        return
    there = torch.cuda.device_count()
    if (config.gpus or 0) > there:
        raise ConfigError(f"gpus is {config.gpus}, and this machine has {there or 'none'}")
    check_precision(loop, bool(there if config.gpus is None else config.gpus))


def check_precision(loop: LoopConfig, gpu: bool) -> None:
    """Check that workers on GPUs, or on CPUs, can compute as they are to; of GPUs, only they themselves know all.

    Raises:
        ConfigError: They cannot.
    """
    if not gpu:
        choose(loop.precision, loop.channels_last, torch.device("cpu"))


def nodes() -> list[Node]:
    """Return the machines of the connected cluster."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [Node(there.get("CPU", 0.0), there.get("GPU", 0.0)) for there in alive]


def placing(
    there: Sequence[Node], workers: int | None = None, cpus: int | None = None, gpus: int | None = None
) -> Placing:
    """Return how many workers train, and what each gets.

    Args:
        there: The machines.
        workers: How many; by default one a GPU or, where there is none, one a machine.
        cpus: To use at most; all by default.
        gpus: To use at most; all by default.

    Raises:
        ConfigError: So many cannot be placed.
    """
    all_gpus = sum(int(node.gpus) for node in there)
    all_gpus = all_gpus if gpus is None else min(gpus, all_gpus)
    machines = sum(node.cpus >= 1 for node in there)
    wanted = workers or all_gpus or machines
    on_gpus = all_gpus > 0
    if on_gpus and wanted > all_gpus:
        raise ConfigError(f"{wanted} workers want a GPU each, and there are {all_gpus}: lower --workers, or --gpus 0")
    most = int(max((node.cpus for node in there), default=0))
    if cpus is not None:
        most = min(most, cpus // max(wanted, 1))
    for share in range(most, 0, -1):
        if sum(_carries(node, share, on_gpus) for node in there) >= wanted:
            return Placing(wanted, share, on_gpus)
    total = sum(node.cpus for node in there) if cpus is None else cpus
    raise ConfigError(f"{wanted} workers want a CPU each, and there are {total:g}: lower --workers")


def _carries(node: Node, share: int, on_gpus: bool) -> int:
    """Return how many workers of ``share`` CPUs a machine carries."""
    by_cpus = int(node.cpus // share)
    return min(by_cpus, int(node.gpus)) if on_gpus else by_cpus
