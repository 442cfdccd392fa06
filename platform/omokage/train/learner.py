"""Everything that learns, and how it takes one step: network, loss, optimiser.

Shape key: B faces of this rank, C = 3 channels (RGB), H rows = W columns of a face, E numbers of an embedding.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from omokage.augment.augment import Augment
from omokage.errors import WorkError
from omokage.train import gather, ranks
from omokage.train.loader import Batch
from omokage.train.losses import Objective
from omokage.train.model import build
from omokage.train.optim import Optimiser
from omokage.train.precision import choose
from omokage.train.recipe import Recipe
from omokage.train.scaler import Scaler

AVERAGED = frozenset({"schedule-free"})
"""Presets whose best weights are an average of those on the way."""

TINY = 1e-6
"""Added to a gradient's length before it divides, as torch does when it shortens gradients."""

PLAIN = frozenset({"sgd-step"})
"""Presets of plain gradient descent; the others take steps of the learning rate's size."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a step found. Tensors, so that a GPU need not be waited for."""

    loss: Tensor
    """Of the batches of all ranks, a scalar."""
    norm: Tensor
    """Of the gradient before it was shortened."""
    kept: Tensor
    """Whether the weights moved; fp16 gives up a step whose scaled gradients are too big for it."""


class Learner:
    """Network, loss and optimiser of one rank."""

    def __init__(
        self, recipe: Recipe, classes: int, steps: int, device: torch.device, start: Mapping[str, Tensor] | None = None
    ) -> None:
        """Build all of it, the same on every rank.

        Args:
            recipe: How.
            classes: People in training.
            steps: Of an epoch.
            device: Where to compute.
            start: State of the network to start from; random numbers without.
        """
        self.recipe = recipe
        self.device = device
        self.precision = choose(recipe.loop.precision, recipe.loop.channels_last, device)
        torch.manual_seed(recipe.loop.seed)
        self.embedder = build(replace(recipe.model, weights=None, from_scratch=True))
        if start is not None:
            self.embedder.load_state_dict(start)
        self.embedder.to(device).to(memory_format=self.precision.layout)
        self.objective = Objective(recipe.loss, recipe.model.dim, classes, seed=recipe.loop.seed).to(device)
        self.network = self._wrapped()
        self.augment = Augment(recipe.augment)
        self.scaler = Scaler(self.precision.scaled)
        self.optimiser = Optimiser(
            recipe.optim, (self.embedder.parameters(), self.objective.parameters()), steps, recipe.loop.epochs
        )
        self.rate = self.optimiser.lr
        """Learning rate of the last step."""

    def _wrapped(self) -> nn.Module:
        """Return the network as training calls it."""
        network: nn.Module = gather.share_norms(self.embedder)
        if self.recipe.loop.compile:
            network = cast(nn.Module, torch.compile(network))
        if ranks.count() == 1:
            return network
        where = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=where)

    def prepared(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        """Return a batch as the network takes it, ``pixels_BCHW``; altered only where a generator is given."""
        pixels_BCHW = batch.pixels_BCHW.to(self.device, non_blocking=True)
        if generator is not None:
            pixels_BCHW = self.augment(pixels_BCHW, generator)
        elif not pixels_BCHW.is_floating_point():
            pixels_BCHW = pixels_BCHW.float().div_(255)
        return self.embedder.normalised(pixels_BCHW).contiguous(memory_format=self.precision.layout)

    def computing(self) -> AbstractContextManager[object]:
        """Return the context in which the network runs in the numbers that were chosen."""
        kind = self.precision.autocast
        return torch.autocast(self.device.type, dtype=kind) if kind else contextlib.nullcontext()

    def step(self, batches: Sequence[Batch], generator: torch.Generator | None) -> Taken:
        """Learn from some batches whose gradients are added up, and return what was found.

        Args:
            batches: Of this rank.
            generator: Of what alters the pictures; None where they come altered.

        Raises:
            WorkError: The GPU has too little memory.
        """
        self.optimiser.zero()
        self.objective.zero_grad()  # also of people who are spread over ranks, where the step before was given up
        total = torch.zeros((), device=self.device)
        with self._enough_memory():
            for number, batch in enumerate(batches):
                with self._alone(number + 1 < len(batches)):
                    with self.computing():
                        embedding_BE = self.network(self.prepared(batch, generator))
                    label_B = batch.label_B.to(self.device, non_blocking=True)
                    loss = self.objective(embedding_BE.float(), label_B) / len(batches)
                    self.scaler.scaled(loss).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
            self.objective.average_gradients()
            norm, kept = self._moved()
        return Taken(total, norm, kept)

    def _moved(self) -> tuple[Tensor, Tensor]:
        """Move the weights; return the length of the gradient, and whether they moved."""
        weights = [weight for part in (self.embedder, self.objective) for weight in part.parameters()]
        grads = [weight.grad for weight in weights if weight.grad is not None]
        spread = self.objective.spread_gradients()
        self.scaler.unscale([*grads, *spread])
        norm = self.objective.with_spread(torch.nn.utils.get_total_norm(grads))
        if not self.scaler.goes_on(norm):
            return norm, torch.zeros((), dtype=torch.bool, device=self.device)
        if self.recipe.loop.clip_norm:
            share = (self.recipe.loop.clip_norm / (norm + TINY)).clamp(max=1)
            torch._foreach_mul_([*grads, *spread], share)
        self.rate = self.optimiser.lr
        self.optimiser.step()
        self.objective.step(self.rate, adaptive=self.recipe.optim.preset not in PLAIN)
        return norm, torch.ones((), dtype=torch.bool, device=self.device)

    def _alone(self, more_follow: bool) -> AbstractContextManager[object]:
        """Return the context in which ranks do not exchange gradients yet, as more will be added."""
        if more_follow and isinstance(self.network, DistributedDataParallel):
            return self.network.no_sync()
        return contextlib.nullcontext()

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            batches, model = self.recipe.batches, self.embedder.input
            raise WorkError(
                f"the GPU has too little memory for a step of {batches.people} people x {batches.pictures} pictures "
                f"of {model.size} px: lower --people (and raise --accumulate by as much), or --pictures, or "
                f"--input-size; or take a smaller --backbone. It said: {str(error).splitlines()[0]}"
            ) from error

    @property
    def rests_elsewhere(self) -> bool:
        """Whether the weights at rest are others than those that it learns with, so that norms must be taken anew."""
        return self.recipe.optim.preset in AVERAGED and bool(self._norms())

    @contextmanager
    def resting(self, batches: Iterable[Batch] = ()) -> Iterator[None]:
        """Have the network as it is best, to be judged or saved, while the block runs.

        Args:
            batches: What batch norms take their means from, where ``rests_elsewhere``.
        """
        self.optimiser.eval()
        self.embedder.eval()
        learned = {name: buffer.clone() for name, buffer in self.embedder.named_buffers()}
        self._take_means(batches)
        if ranks.count() > 1:  # the running means of batch norms have parted a little
            for buffer in self.embedder.buffers():
                dist.broadcast(buffer, src=0)
        try:
            yield
        finally:
            if self.rests_elsewhere:
                for name, buffer in self.embedder.named_buffers():
                    buffer.copy_(learned[name])
            self.embedder.train()
            self.optimiser.train()

    def _norms(self) -> list[_BatchNorm]:
        return [module for module in self.embedder.modules() if isinstance(module, _BatchNorm)]

    def _take_means(self, batches: Iterable[Batch]) -> None:
        """Have batch norms hold the means over some batches; nothing else changes."""
        norms = self._norms()
        momenta = [norm.momentum for norm in norms]
        for number, batch in enumerate(batches):
            for norm in norms if number == 0 else ():
                norm.reset_running_stats()
                norm.momentum = None  # the plain mean over all that comes
                norm.train()
            with torch.no_grad(), self.computing():
                self.embedder(self.prepared(batch))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()

    def state(self) -> dict[str, Any]:
        """Return what all ranks share of what was learned, as tensors and plain values."""
        return {
            "model": self.embedder.state_dict(),
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load(self, state: Mapping[str, Any], shards: Sequence[dict[str, Any]]) -> None:
        """Take up what ``state`` gave, and the shards of class weights that every rank saved."""
        self.embedder.load_state_dict(state["model"])
        self.objective.load_state_dict(state["objective"])
        if shards:
            self.objective.load_shards(shards)
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])


def finite(taken: Taken) -> bool:
    """Return whether a step found numbers that one can go on with; waits for a GPU."""
    return math.isfinite(taken.loss.item()) and (math.isfinite(taken.norm.item()) or not bool(taken.kept.item()))
