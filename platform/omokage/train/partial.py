"""Partial FC: a margin softmax over millions of people, whose weights are spread over the ranks.

Rank r of W holds the people from ``r * C // W`` to ``(r + 1) * C // W``. A step looks at the people in the batch and at
a sample of the others, so that its memory and work go with the sample. Who is sampled depends on the seed, the step and
the person alone, not on who holds the person: the same training on another number of ranks draws the same people.

The weights are rows of unit length, and no ``nn.Parameter``: an optimiser would keep two more tables of their size,
and its momentum would go on moving people who were not sampled. Instead ``step`` moves the rows of the step alone, at
the learning rate that the optimiser has, whatever its preset: down the gradient along the sphere, divided (where the
preset is adaptive) by a running mean of the row's own gradient size, as Adam does, but with one number a row and
without momentum, as tables of embeddings are trained. Weight decay has nothing to do where only directions count. Of
Adam's three tables, one is left.

Source: An et al., Killing Two Birds with One Stone: Efficient and Robust Training of Face Recognition CNNs by Partial
FC (2022).

Shape key: N faces of all ranks, H faces whose own person is held here, C people, L people held here, S people looked
at in this step, U rows that a step moves, K weight vectors a person, E numbers of an embedding.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from omokage.errors import ConfigError
from omokage.train import ranks
from omokage.train.mix import mixed
from omokage.train.softmax import cross_entropy

BLOCK: Final = 4096
"""People whose first weights are drawn together, the same whoever holds them; and who are moved together."""

MEMORY: Final = 0.999
"""How much of the running mean of a row's squared gradient stays at each step that moves the row."""

FLAT: Final = 1e-12
"""Least squared sine: the margin has no slope at an angle of 0."""

TINY: Final = 1e-8
"""As Adam's: rows whose gradients are smaller than this hardly move."""

ROW_STATE: Final = ("weight", "square", "moved")
"""What there is for each person."""


def arcface(cosine: Tensor, margin_rad: float) -> Tensor:
    """Return ``cos(angle + margin)``; beyond ``pi - margin``, where that would rise again, a line that goes on falling.

    Source: Deng et al., ArcFace (2019), equation 3. The line is that of pytorch-metric-learning's ArcFaceLoss.
    """
    sine = (1 - cosine.square()).clamp_min(FLAT).sqrt()
    moved = cosine * math.cos(margin_rad) - sine * math.sin(margin_rad)
    return torch.where(cosine >= -math.cos(margin_rad), moved, cosine - margin_rad * math.sin(margin_rad))


def cosface(cosine: Tensor, margin_cos: float) -> Tensor:
    """Return ``cosine - margin``. Source: Wang et al., CosFace (2018), equation 4."""
    return cosine - margin_cos


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What a Partial FC head is made of."""

    dim: int
    """E."""
    classes: int
    """C, at least 2."""
    centres: int = 1
    """K."""
    scale: float = 64.0
    """What cosines are multiplied with."""
    sampled: float = 1.0
    """Share of the people outside the batch that a step looks at, in (0, 1]: each is drawn with this chance."""
    seed: int = 0
    """Of the first weights and of the samples."""


class PartialFC(nn.Module):
    """Margin softmax with people spread over ranks. Call, ``backward()``, then ``step(lr)``."""

    weight_LKE: Tensor
    square_LK: Tensor
    moved_LK: Tensor

    def __init__(self, head: Head, margin: Callable[[Tensor], Tensor]) -> None:
        """Hold this rank's people; ``margin`` gives the cosine of the own person with the margin taken off."""
        super().__init__()
        self.head = head
        self.margin = margin
        self.drawn = 0
        self.first, last = held(head.classes, ranks.rank(), ranks.count())
        count = last - self.first
        self.register_buffer("weight_LKE", first_weights(head, self.first, last), persistent=False)
        self.register_buffer("square_LK", torch.zeros(count, head.centres), persistent=False)
        self.register_buffer("moved_LK", torch.zeros(count, head.centres, dtype=torch.int32), persistent=False)
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._ready: tuple[Tensor, Tensor] | None = None

    def forward(self, embedding_NE: Tensor, label_N: Tensor) -> Tensor:
        """Return the loss of all faces, the same on every rank.

        Args:
            embedding_NE: Gathered with ``split_loss``: a rank finds the part of their gradient that is due to its
                people.
            label_N: int64, 0 to C - 1.
        """
        row_S = self._looked_at(label_N)
        weight_SKE = self.weight_LKE.detach() if len(row_S) == len(self.weight_LKE) else self.weight_LKE[row_S]
        if torch.is_grad_enabled():
            weight_SKE.requires_grad_()
            self._waiting.append((row_S, weight_SKE))
            self.drawn += 1
        cosine_NSK = (embedding_NE @ weight_SKE.flatten(0, 1).T).view(len(label_N), len(row_S), self.head.centres)
        cosine_NS = cosine_NSK[:, :, 0] if self.head.centres == 1 else cosine_NSK.max(2).values
        here_N = (label_N >= self.first) & (label_N < self.first + len(self.weight_LKE))
        face_H = here_N.nonzero()[:, 0]
        column_H = torch.searchsorted(row_S, label_N[face_H] - self.first)
        own_H = self.margin(cosine_NS[face_H, column_H])
        logit_NS = cosine_NS.index_put((face_H, column_H), own_H) * self.head.scale
        return cross_entropy(logit_NS, face_H, column_H)

    def _looked_at(self, label_N: Tensor) -> Tensor:
        """Return which rows this step looks at, ``(S,)`` ascending: the batch's people, and the sampled ones."""
        count = len(self.weight_LKE)
        if self.head.sampled == 1:
            return torch.arange(count, device=label_N.device)
        class_L = torch.arange(self.first, self.first + count, device=label_N.device)
        chosen_L = sample(class_L, self.head.sampled, self.head.seed, self.drawn)
        own_N = label_N - self.first
        chosen_L[own_N[(own_N >= 0) & (own_N < count)]] = True
        return chosen_L.nonzero()[:, 0]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients since the last step, as for a step that shall not be taken."""
        super().zero_grad(set_to_none)
        self._waiting.clear()
        self._ready = None

    def gradients(self) -> list[Tensor]:
        """Return the gradient that the next step will follow, ``(U, K, E)``, to be changed in place; nothing if none.

        It is that of all batches since the last step, each row once. Call it when they all went backward.
        """
        waiting = [(rows, weight.grad) for rows, weight in self._waiting if weight.grad is not None]
        self._waiting.clear()
        if waiting:
            self._ready = added_up(waiting)
        return [] if self._ready is None else [self._ready[1]]

    @torch.no_grad()
    def norm(self) -> Tensor:
        """Return the length of all ranks' gradients along the sphere, a scalar; every rank must call it."""
        self.gradients()
        square = torch.zeros((), device=self.weight_LKE.device)
        for row_U, grad_UKE in self._blocks():
            outward_UK = (grad_UKE * self.weight_LKE[row_U]).sum(2)  # moves nobody: rows keep their length
            square += (grad_UKE.square().sum(2) - outward_UK.square()).clamp_min(0).sum()
        return ranks.total(square).sqrt()

    @torch.no_grad()
    def step(self, lr: float, *, adaptive: bool) -> None:
        """Move the rows that were looked at since the last step, and no other."""
        self.gradients()
        for row_U, grad_UKE in self._blocks():
            self._move(row_U, grad_UKE, lr, adaptive)
        self._ready = None

    def _blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield rows and their gradients, few enough at a time to stay in a processor's cache."""
        if self._ready is not None:
            yield from zip(*(torch.split(each, BLOCK) for each in self._ready), strict=True)

    def _move(self, row_U: Tensor, grad_UKE: Tensor, lr: float, adaptive: bool) -> None:
        """Move some rows along the sphere."""
        weight_UKE = self.weight_LKE[row_U]
        along_UKE = grad_UKE - (grad_UKE * weight_UKE).sum(2, keepdim=True) * weight_UKE
        if adaptive:
            moved_UK = self.moved_LK[row_U] + 1
            square_UK = self.square_LK[row_U].lerp_(along_UKE.square().mean(2), 1 - MEMORY)
            self.moved_LK[row_U], self.square_LK[row_U] = moved_UK, square_UK
            size_UK = (square_UK / (1 - MEMORY ** moved_UK.to(square_UK.dtype))).sqrt_()
            along_UKE /= (size_UK + TINY)[:, :, None]
        self.weight_LKE[row_U] = functional.normalize(weight_UKE.sub_(along_UKE, alpha=lr), dim=2)

    def shard_state(self) -> dict[str, Any]:
        """Return this rank's rows (the live ones: save them before the next step) and where they belong."""
        rows = {name: getattr(self, buffer) for name, buffer in zip(ROW_STATE, self._buffers, strict=True)}
        return {"first": self.first, "classes": self.head.classes, "drawn": self.drawn, **rows}

    def load_shards(self, shards: Sequence[dict[str, Any]]) -> None:
        """Take this rank's rows out of the shards of all ranks that saved.

        Raises:
            ConfigError: They are of another number of people or of another shape, or some are missing.
        """
        count = len(self.weight_LKE)
        found = 0
        for shard in shards:
            if shard["classes"] != self.head.classes or shard["weight"].shape[1:] != self.weight_LKE.shape[1:]:
                raise ConfigError(
                    f"the checkpoint has weights of {shard['classes']} people, {list(shard['weight'].shape[1:])} each; "
                    f"this training has {self.head.classes}, {list(self.weight_LKE.shape[1:])} each"
                )
            begin = max(shard["first"], self.first)
            end = min(shard["first"] + len(shard["weight"]), self.first + count)
            if begin >= end:
                continue
            for name, buffer in zip(ROW_STATE, self._buffers.values(), strict=True):
                part = shard[name][begin - shard["first"] : end - shard["first"]]
                buffer[begin - self.first : end - self.first] = part  # type: ignore[index]
            found += end - begin
        if found != count:
            raise ConfigError(
                f"the checkpoint has the weights of {found} of this rank's {count} people: a file is missing"
            )
        self.drawn = max((shard["drawn"] for shard in shards), default=0)
        self._waiting.clear()
        self._ready = None


def held(classes: int, number: int, world: int) -> tuple[int, int]:
    """Return the first person that the rank of that number holds, and the first that it does not."""
    return number * classes // world, (number + 1) * classes // world


def first_weights(head: Head, first: int, last: int) -> Tensor:
    """Return random unit rows for the people from ``first`` to ``last - 1``, ``(L, K, E)`` float32."""
    weight_LKE = torch.empty(last - first, head.centres, head.dim)
    for block in range(first // BLOCK, -(-last // BLOCK)):
        generator = torch.Generator().manual_seed(head.seed * 1_000_003 + block)
        drawn = torch.randn(BLOCK, head.centres, head.dim, generator=generator)
        begin, end = max(first, block * BLOCK), min(last, (block + 1) * BLOCK)
        weight_LKE[begin - first : end - first] = drawn[begin - block * BLOCK : end - block * BLOCK]
    for part in torch.split(weight_LKE, BLOCK):
        part.copy_(functional.normalize(part, dim=2))
    return weight_LKE


def sample(class_L: Tensor, share: float, seed: int, step: int) -> Tensor:
    """Return which people are drawn, ``(L,)`` bool, each with the chance ``share``: a hash of person, step and seed."""
    start = torch.tensor(seed, dtype=torch.int64) * 0x632BE59BD9B4E019 + step
    key_L = mixed(class_L + mixed(start.to(class_L.device)))
    return (key_L & (2**53 - 1)) < int(share * 2**53)


def added_up(waiting: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return rows, each once, and their gradients, summed where several batches of a step looked at a row."""
    if len(waiting) == 1:
        return waiting[0]
    row_U, place = torch.unique(torch.cat([rows for rows, _ in waiting]), return_inverse=True)
    grad_UKE = waiting[0][1].new_zeros((len(row_U), *waiting[0][1].shape[1:]))
    return row_U, grad_UKE.index_add_(0, place, torch.cat([grad for _, grad in waiting]))


MARGINS: Final[dict[str, Callable[[float], Callable[[Tensor], Tensor]]]] = {
    "arcface": lambda margin: partial(arcface, margin_rad=margin),
    "cosface": lambda margin: partial(cosface, margin_cos=margin),
    "sub-arcface": lambda margin: partial(arcface, margin_rad=margin),
}
