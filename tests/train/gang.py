"""Several ranks on this machine, each a process, joined by gloo; and trainings small enough to be played by them.

A leader is started afresh, reads the modules once and forks the ranks: seconds less than starting each of them.
"""

import atexit
import functools
import importlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from omokage.train.losses import Objective

Task = tuple[Callable[..., Any], int, tuple[Any, ...]]
"""A function, the number of ranks that call it, and its arguments. It returns tensors and plain values."""


def play(tasks: list[Task], folder: Path) -> list[list[Any]]:
    """Return, for each task, what each rank answered; the tasks run one after another."""
    leader = _leader()
    leader.send((tasks, folder))
    if not leader.poll(200):
        raise TimeoutError("the ranks hang: one of them waits for another")
    assert leader.recv() == 0, "a rank failed; its error is on standard error"
    return [
        [torch.load(folder / f"{number}-{rank}.pt", weights_only=True) for rank in range(world)]
        for number, (_, world, _) in enumerate(tasks)
    ]


@functools.cache
def _leader() -> Connection:
    """Return the line to the leader, which serves all tests and goes when they do."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=_lead, args=(theirs,)).start()
    theirs.close()
    atexit.register(ours.close)  # before multiprocessing waits for its processes: the last to register is called first
    return ours


def _lead(line: Connection) -> None:
    importlib.import_module("torch._dynamo")  # DistributedDataParallel reads it, for seconds: once, not in each
    while True:
        try:
            tasks, folder = line.recv()
        except EOFError:
            return
        folder.mkdir(parents=True, exist_ok=True)
        line.send(sum(_failures(number, task, folder) for number, task in enumerate(tasks)))


def _failures(number: int, task: Task, folder: Path) -> int:
    """Return how many ranks failed."""
    context = multiprocessing.get_context("fork")
    ranks = [context.Process(target=_follow, args=(number, task, rank, folder)) for rank in range(task[1])]
    for each in ranks:
        each.start()
    for each in ranks:
        each.join()
    return sum(each.exitcode != 0 for each in ranks)


def _follow(number: int, task: Task, rank: int, folder: Path) -> None:
    function, world, args = task
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{number}", rank=rank, world_size=world)
    torch.save(function(*args), folder / f"{number}-{rank}.pt")
    dist.destroy_process_group()


class Small(torch.nn.Module):
    """A network without batch norm, from 12 numbers to unit embeddings of 8."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.layers = torch.nn.Sequential(torch.nn.Linear(12, 16), torch.nn.Tanh(), torch.nn.Linear(16, 8))

    def forward(self, pixels_BX: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.layers(pixels_BX), dim=1)


def batch(step: int, rows: slice, people: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return some of the 12 rows of a step's batch: 6 of the people, 2 pictures each."""
    generator = torch.Generator().manual_seed(1000 + step)
    person_P = torch.randperm(people, generator=generator)[:6].repeat(2)
    look_P = torch.randn(people, 12, generator=torch.Generator().manual_seed(7))[person_P]
    pixels = look_P + 0.7 * torch.randn(12, 12, generator=generator)
    return pixels[rows], person_P[rows]


def part(sizes: tuple[int, ...]) -> slice:
    """Return which rows of a batch are this rank's, of ranks that have ``sizes`` of them."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    return slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))


def learn(
    network: torch.nn.Module, objective: Objective, steps: range, sizes: tuple[int, ...]
) -> dict[str, list[torch.Tensor]]:
    """Return losses and gradients of some steps of gradient descent, by the name of the weight."""
    found: dict[str, list[torch.Tensor]] = {"loss": []}
    weights = [*network.named_parameters(), *objective.named_parameters()]
    for step in steps:
        pixels, label = batch(step, part(sizes), people=20)
        for _, weight in weights:
            weight.grad = None
        loss = objective(network(pixels), label)
        loss.backward()
        objective.average_gradients()
        found["loss"].append(loss.detach().clone())
        for name, weight in weights:
            found.setdefault(name.removeprefix("module."), []).append(weight.grad.clone())
            weight.data -= 0.005 * weight.grad
        objective.step(0.02)
    return found
