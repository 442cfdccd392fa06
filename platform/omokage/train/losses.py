"""What a model is taught: the loss of a batch that is spread over all ranks, with whatever it learns itself.

Shape key: B rows of this rank, N rows of all ranks, E numbers of an embedding.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from pytorch_metric_learning.reducers import ThresholdReducer
from torch import Tensor, nn

from omokage.config import nearest
from omokage.errors import ConfigError
from omokage.train import gather, ranks
from omokage.train.kinds import BUILDERS, CLASSIFY, RANGES, REMEMBER, SETTINGS, Loss
from omokage.train.miners import MINERS, miner_named
from omokage.train.partial import MARGINS, Head, PartialFC


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """What the model is taught by. Settings that the chosen loss does not have are refused."""

    loss: Loss = "arcface"
    """Of a batch's pairs: contrastive, triplet, multi-similarity, supcon, pairs (binary cross-entropy).
    Of people's own weights: arcface, cosface, sub-arcface."""
    miner: Literal["none", "semihard", "hard", "multi-similarity"] = "none"
    """Which pairs of a batch count; for losses of a batch's pairs. "none" takes all."""
    margin_rad: float | None = None
    """Angle in radians by which a face must be nearer to its own person; arcface, sub-arcface: 0.5 if not given."""
    margin_cos: float | None = None
    """Cosine by which the own person must be ahead; cosface: 0.35, triplet: 0.3 if not given."""
    genuine_cos: float | None = None
    """Cosine from which contrastive leaves two faces of a person alone; 0.9 if not given."""
    impostor_cos: float | None = None
    """Cosine up to which contrastive leaves faces of two people alone; 0.2 if not given."""
    scale: float | None = None
    """What cosines are multiplied with before the softmax; arcface, cosface, sub-arcface: 64 if not given. For pairs,
    where it is learned, the value to begin with: 10 if not given."""
    temperature: float | None = None
    """What cosines are divided by before supcon's softmax; 0.1 if not given."""
    memory_size: int = 0
    """Embeddings of earlier batches that a batch is compared with too; 0 is none. At least the batch of all ranks.
    For contrastive, triplet, multi-similarity, supcon."""
    sub_centres: int | None = None
    """Weight vectors a person, of which the nearest counts; sub-arcface: 3 if not given."""
    sampled: float = 0.0
    """For very many people: above 0, the people's weights are spread over the ranks, and each step compares with the
    people in the batch and this share of the others, 1.0 being all (Partial FC). 0: every rank holds all weights."""

    def __post_init__(self) -> None:
        """Reject what the chosen loss does not have, and values without a meaning."""
        if self.loss not in SETTINGS:
            raise ConfigError(f"loss.loss: none is called {self.loss!r}; {nearest(self.loss, SETTINGS)}")
        if self.miner not in ("none", *MINERS):
            raise ConfigError(f"loss.miner: none is called {self.miner!r}; {nearest(self.miner, ('none', *MINERS))}")
        known = SETTINGS[self.loss]
        optional = [field.name for field in dataclasses.fields(self) if field.default is None]
        for name in optional:
            value = getattr(self, name)
            if value is None:
                continue
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has no settings of its own"
                fits = ", ".join(loss for loss, names in SETTINGS.items() if name in names)
                raise ConfigError(f"loss.{name} is no setting of {self.loss}: {has}; {name} belongs to {fits}")
            _check_range(name, value)
        if self.loss == "contrastive" and self.value("genuine_cos") <= self.value("impostor_cos"):
            raise ConfigError("loss.genuine_cos must be above loss.impostor_cos")
        self._check_combination()

    def _check_combination(self) -> None:
        tuples = [loss for loss in SETTINGS if loss not in CLASSIFY]
        if self.miner != "none" and self.loss in CLASSIFY:
            raise ConfigError(f"loss.miner: {self.loss} takes no pairs to choose from; miners fit {', '.join(tuples)}")
        if self.memory_size < 0:
            raise ConfigError(f"loss.memory_size must be 0 or more, got {self.memory_size}")
        if self.memory_size and self.loss not in REMEMBER:
            raise ConfigError(f"loss.memory_size: {self.loss} has no memory; {', '.join(REMEMBER)} have")
        if not 0 <= self.sampled <= 1:
            raise ConfigError(f"loss.sampled must lie in 0 to 1, got {self.sampled}")
        if self.sampled and self.loss not in CLASSIFY:
            raise ConfigError(f"loss.sampled: {self.loss} has no weights of people; {', '.join(CLASSIFY)} have")

    def value(self, name: str) -> float:
        """Return a setting of this loss: as given, or the loss's own."""
        given = getattr(self, name)
        return SETTINGS[self.loss][name] if given is None else cast(float, given)


class Objective(nn.Module):
    """A loss over all ranks.

    One step: ``loss = objective(embedding_BE, label_B)``, ``loss.backward()``, ``objective.average_gradients()``,
    the optimiser's step, ``objective.step(lr)``. Weights of people that are spread over ranks (``sampled``) are not
    among the ``parameters()``: ``step`` moves them, and ``shard_state`` saves them.
    """

    def __init__(self, config: LossConfig, dim: int, classes: int, seed: int = 0) -> None:
        """Build the loss; the same on every rank.

        Args:
            config: Which, and its settings.
            dim: E.
            classes: People in training; labels are 0 to ``classes - 1``.
            seed: Of the first weights, and of Partial FC's samples.

        Raises:
            ConfigError: Fewer than 2 people: there is nobody to tell them from.
        """
        super().__init__()
        if classes < 2:
            raise ConfigError(f"training needs at least 2 people, got {classes}: there is nobody to tell them from")
        self.classes = classes if config.loss in CLASSIFY else None
        self.miner = miner_named(config.miner)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.loss = _built(config, dim, classes, seed)
        if config.memory_size:
            self.loss = CrossBatchMemory(self.loss, dim, config.memory_size, self.miner)

    def forward(self, embedding_BE: Tensor, label_B: Tensor) -> Tensor:
        """Return the loss of the whole batch of all ranks, the same scalar on each; every rank must call it.

        Not a number where any embedding is not a number, although comparisons with one are merely false.

        Args:
            embedding_BE: Unit length. Ranks may differ in B.
            label_B: int64, 0 to ``classes - 1``.

        Raises:
            ConfigError: The memory is smaller than the batch.
            ValueError: A label is none of the classes.
        """
        with torch.autocast(embedding_BE.device.type, enabled=False):
            embedding_NE = gather.gather(embedding_BE.float(), split_loss=isinstance(self.loss, PartialFC))
            label_N = ranks.joined(label_B)
            self._check(label_N)
            # 0 times the embeddings is 0, but not where one is not a number; and it keeps a gradient, of zeros, for
            # batches without a single pair.
            return self._loss(embedding_NE, label_N) + 0.0 * embedding_NE.sum()

    def _loss(self, embedding_NE: Tensor, label_N: Tensor) -> Tensor:
        if self.miner is None or isinstance(self.loss, CrossBatchMemory):
            return cast(Tensor, self.loss(embedding_NE, label_N))
        return cast(Tensor, self.loss(embedding_NE, label_N, self.miner(embedding_NE, label_N)))

    def _check(self, label_N: Tensor) -> None:
        if isinstance(self.loss, CrossBatchMemory) and self.loss.memory_size < len(label_N):
            size, batch = self.loss.memory_size, len(label_N)
            raise ConfigError(f"loss.memory_size must hold at least the batch of all ranks, {batch}, got {size}")
        if self.classes is not None:
            low, high = int(label_N.min()), int(label_N.max())
            if low < 0 or high >= self.classes:
                raise ValueError(f"labels must lie in 0 to {self.classes - 1}, got {low} to {high}")

    @property
    def active(self) -> float | None:
        """Share of the last step's pairs or triplets that had a loss; nothing where all have one by nature."""
        counted = [each for each in self.loss.modules() if isinstance(each, ThresholdReducer)]
        total = sum(each.losses_size for each in counted)
        return sum(each.num_past_filter for each in counted) / total if total else None

    def average_gradients(self) -> None:
        """Replace the gradients of the own weights that every rank holds by their mean over the ranks."""
        gather.average_gradients(self)

    def step(self, lr: float, *, adaptive: bool = True) -> None:
        """Move the weights of people that are spread over the ranks; nothing to do without them.

        Args:
            lr: The optimiser's learning rate now.
            adaptive: As Adam does, steps of the size of ``lr``; else plain gradient descent, for the SGD preset.
        """
        if isinstance(self.loss, PartialFC):
            self.loss.step(lr, adaptive=adaptive)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients since the last step, those of people spread over ranks too: the step is not taken."""
        super().zero_grad(set_to_none)
        if isinstance(self.loss, PartialFC):
            self.loss.zero_grad(set_to_none)

    def spread_gradients(self) -> list[Tensor]:
        """Return the gradients that ``step`` will follow, to be changed in place; of this rank's people alone."""
        return self.loss.gradients() if isinstance(self.loss, PartialFC) else []

    def with_spread(self, norm: Tensor) -> Tensor:
        """Return the length of a gradient together with that of the people who are spread over all ranks.

        Args:
            norm: Of all other weights, a scalar, the same on every rank; every rank must call this.
        """
        return torch.hypot(norm, self.loss.norm()) if isinstance(self.loss, PartialFC) else norm

    def shard_state(self) -> dict[str, Any]:
        """Return this rank's share of the people's weights, to be saved by each rank; empty without Partial FC."""
        return self.loss.shard_state() if isinstance(self.loss, PartialFC) else {}

    def load_shards(self, shards: Sequence[dict[str, Any]]) -> None:
        """Take this rank's share out of what all ranks saved, however many they were."""
        if isinstance(self.loss, PartialFC):
            self.loss.load_shards(shards)

    def get_extra_state(self) -> dict[str, int]:
        """Return what ``state_dict`` would leave out: where the memory goes on, and whether it is full."""
        if not isinstance(self.loss, CrossBatchMemory):
            return {}
        return {"at": self.loss.queue_idx, "full": int(self.loss.has_been_filled)}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on in the memory where it was."""
        if isinstance(self.loss, CrossBatchMemory):
            self.loss.queue_idx, self.loss.has_been_filled = state["at"], bool(state["full"])


def _built(config: LossConfig, dim: int, classes: int, seed: int) -> nn.Module:
    if not config.sampled:
        return BUILDERS[config.loss](config.value, dim, classes)
    margin = config.value("margin_cos" if config.loss == "cosface" else "margin_rad")
    centres = int(config.value("sub_centres")) if config.loss == "sub-arcface" else 1
    head = Head(
        dim=dim, classes=classes, centres=centres, scale=config.value("scale"), sampled=config.sampled, seed=seed
    )
    return PartialFC(head, MARGINS[config.loss](margin))


def _check_range(name: str, value: float) -> None:
    """Refuse a value that has no meaning."""
    low, high = RANGES[name]
    if not low < value <= high:
        raise ConfigError(f"loss.{name} must be above {low:g} and at most {high:g}, got {value}")
