"""The figures of Partial FC: memory and time of a step with very many people, on one rank without a GPU.

``python -m tests.bench.partial [--out FILE] [--quick]``, from the root of the repository. Each measurement is a process
of its own, so that peak memory is its own too: Python, torch and the embeddings are in it.
"""

import multiprocessing
import resource
import statistics
import time
from dataclasses import dataclass

import torch
from tests.bench.figures import CORES, Figure, measure
from torch.nn import functional

from omokage.train.losses import LossConfig, Objective

DIM = 512
BATCH = 128
GB = 1e9


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    people: int = 1_000_000
    compared: int = 100_000
    """People beside whom all weights in one place still fit."""
    steps: int = 5


QUICK = Size(people=20_000, compared=5_000, steps=3)


@dataclass(frozen=True, slots=True)
class Used:
    """What a training used."""

    seconds: float
    """Median of a step, the first left out."""
    start_seconds: float
    gb: float
    """Greatest resident memory."""
    first: float
    """Loss of the first batch, on first meeting it"""
    last: float
    """and after the steps."""


def trained(people: int, sampled: float, steps: int) -> Used:
    """Return what some steps over one batch used; with ``sampled`` 0 all weights are the optimiser's, which is Adam."""
    torch.set_num_threads(CORES)
    begun = time.perf_counter()
    objective = Objective(LossConfig(loss="arcface", sampled=sampled), DIM, people)
    start_seconds = time.perf_counter() - begun
    weights = list(objective.parameters())
    optimiser = torch.optim.Adam(weights, lr=0.01) if weights else None
    generator = torch.Generator().manual_seed(9)
    embedding_BE = functional.normalize(torch.randn(BATCH, DIM, generator=generator), dim=1).requires_grad_()
    label_B = torch.randint(people, (BATCH,), generator=generator)
    seconds, losses = [], []
    for _ in range(steps + 1):
        begun = time.perf_counter()
        objective.zero_grad()
        loss = objective(embedding_BE, label_B)
        loss.backward()
        if optimiser is not None:
            optimiser.step()
        objective.step(0.01)
        seconds.append(time.perf_counter() - begun)
        losses.append(loss.item())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Used(statistics.median(seconds[1:]), start_seconds, peak / GB, losses[0], losses[-1])


def apart(people: int, sampled: float, steps: int) -> Used:
    """Return what ``trained`` does, from a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(trained, (people, sampled, steps))


def many(size: Size) -> list[Figure]:
    """Return what a step over all people uses, a tenth of them sampled."""
    used = apart(size.people, 0.1, size.steps)
    table = size.people * DIM * 4 / GB
    notes = (
        f"The table of weights alone is {table:.2f} GB; the same with Adam's gradient and moments would be "
        f"{4 * table:.2f} GB before the first logit.",
        f"Drawing the first weights took {used.start_seconds:.1f} s.",
        f"The loss of the batch went from {used.first:.1f} to {used.last:.1f}.",
    )
    what = f"{size.people:,} people x {DIM}, batch {BATCH}, a tenth sampled: memory"
    ours = f"{used.gb:.2f} GB; {used.seconds:.2f} s a step"
    return [Figure(what=what, peer="6 GB", ours=ours, ratio=used.gb / 6, most=1, notes=notes)]


def beside(size: Size) -> list[Figure]:
    """Return a step of Partial FC beside one of the plain loss whose weights Adam moves."""
    plain, ours = apart(size.compared, 0.0, size.steps), apart(size.compared, 0.1, size.steps)
    base = apart(1000, 0.1, 1).gb
    return [
        Figure(
            what=f"{size.compared:,} people: time of a step",
            peer=f"plain ArcFaceLoss and Adam: {plain.seconds:.2f} s",
            ours=f"{ours.seconds:.2f} s",
            ratio=ours.seconds / plain.seconds,
            most=0.5,
        ),
        Figure(
            what=f"{size.compared:,} people: memory above that of 1,000 people",
            peer=f"plain: {plain.gb - base:.2f} GB",
            ours=f"{ours.gb - base:.2f} GB",
            ratio=(ours.gb - base) / (plain.gb - base),
            most=0.5,
        ),
    ]


def main() -> None:
    """Measure, and write it down."""
    measure("partial", {"many": many, "beside": beside}, Size(), QUICK)


if __name__ == "__main__":
    main()
