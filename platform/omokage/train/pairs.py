"""Two faces, one question: the same person? A pair head over cosines, its loss, and the network of two towers.

Shape key: B pairs, P genuine pairs, Q impostor pairs; z is the logit, scale * cosine + bias.
"""

import math
from typing import Any, cast

import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import GenericPairLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor, nn
from torch.nn import functional

BOUNDARY = 0.5
"""Cosine at which a fresh pair head is undecided."""


class PairHead(nn.Module):
    """A learned line over the cosine: ``z = exp(log_scale) * cosine + bias``, a logit of "the same person".

    The scale is learned by its logarithm, so that it cannot turn negative and call the unlike alike.
    """

    def __init__(self, scale: float = 10.0) -> None:
        """Begin undecided at ``BOUNDARY``, with slope ``scale`` (above 0)."""
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(-scale * BOUNDARY))

    def forward(self, cosine: Tensor) -> Tensor:
        """Return logits of the shape of ``cosine`` (-1 to 1)."""
        return self.log_scale.exp() * cosine + self.bias


class PairLoss(GenericPairLoss):  # type: ignore[misc]
    """Binary cross-entropy over all pairs of a batch, or over those that a miner chose.

    Genuine and impostor pairs are averaged apart and added: a batch has dozens of times more impostor pairs, and one
    mean over all would be content with "never the same".
    """

    def __init__(self, scale: float = 10.0) -> None:
        super().__init__(mat_based_loss=False, distance=CosineSimilarity(), reducer=MeanReducer())
        self.head = PairHead(scale)

    def _compute_loss(self, genuine_P: Any, impostor_Q: Any, indices: tuple[Tensor, ...]) -> dict[str, Any]:
        """Return the loss of each pair; either kind comes as an empty list where the batch has none."""
        genuine = functional.softplus(-self.head(genuine_P)) if len(genuine_P) else 0
        impostor = functional.softplus(self.head(impostor_Q)) if len(impostor_Q) else 0
        return {
            "genuine": {"losses": genuine, "indices": indices[:2], "reduction_type": "pos_pair"},
            "impostor": {"losses": impostor, "indices": indices[2:], "reduction_type": "neg_pair"},
        }

    def _sub_loss_names(self) -> list[str]:
        return ["genuine", "impostor"]


class SiameseNetwork(nn.Module):
    """Two towers with the same weights, and a pair head over the cosine of what they say.

    For training on given pairs; ``loss = "pairs"`` trains the same head on all pairs of a batch of people, which
    makes far more of each picture.
    """

    def __init__(self, embedder: nn.Module, head: PairHead | None = None) -> None:
        """Use ``embedder``, which gives unit embeddings, for both sides."""
        super().__init__()
        self.embedder = embedder
        self.head = head or PairHead()

    def forward(self, left_BCHW: Tensor, right_BCHW: Tensor) -> Tensor:
        """Return the logit of each pair, ``(B,)``: above 0, rather the same person.

        Both sides go through the tower as one batch, so that a batch norm sees one set of pictures and the answer does
        not depend on which side a picture is.
        """
        both = self.embedder(torch.cat([left_BCHW, right_BCHW]))
        left_BE, right_BE = both.chunk(2)
        return cast(Tensor, self.head((left_BE * right_BE).sum(1)))

    def loss(self, left_BCHW: Tensor, right_BCHW: Tensor, same_B: Tensor) -> Tensor:
        """Return the binary cross-entropy of the pairs; ``same_B`` is true where both are one person."""
        logit_B = self(left_BCHW, right_BCHW)
        return functional.binary_cross_entropy_with_logits(logit_B, same_B.to(logit_B.dtype))
