"""Which pairs and triplets of a batch a loss is given: those that it can still learn from.

Shape key: B anchors, R references (the batch itself, or a memory), P genuine pairs, T triplets.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.miners import BaseMiner, BatchHardMiner, MultiSimilarityMiner
from pytorch_metric_learning.utils import loss_and_miner_utils as tuples
from torch import Tensor


class SemiHardMiner(BaseMiner):  # type: ignore[misc]
    """For each genuine pair, the impostor nearest to the anchor of those that are farther than the genuine face.

    Where all impostors are nearer, or just as near, the farthest of them: a model that gives every face the same
    embedding has no impostor that is farther, and must be told so nevertheless. (The semi-hard triplets of
    pytorch-metric-learning are every triplet within the margin, for which it makes a table of B * R * R; and a
    collapsed model has none.) The work and memory are P * R.

    Source: Schroff, Kalenichenko and Philbin, FaceNet (2015), section 3.2.
    """

    def mine(self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor, ref_labels: Tensor) -> tuple[Tensor, ...]:
        """Return anchors, genuine faces and impostors, ``(T,)`` each, as indices into batch and references."""
        anchor_P, genuine_P, _, _ = tuples.get_all_pairs_indices(labels, ref_labels)
        similarity_BR = self.distance(embeddings, ref_emb)
        impostor_BR = labels[:, None] != ref_labels[None, :]
        similarity_PR = similarity_BR[anchor_P]
        impostor_PR = impostor_BR[anchor_P]
        farther_PR = impostor_PR & (similarity_PR < similarity_BR[anchor_P, genuine_P, None])
        nearest_P = similarity_PR.masked_fill(~farther_PR, -torch.inf).argmax(1)
        farthest_P = similarity_PR.masked_fill(~impostor_PR, torch.inf).argmin(1)
        chosen_P = torch.where(farther_PR.any(1), nearest_P, farthest_P)
        there_P = impostor_PR.any(1)
        return anchor_P[there_P], genuine_P[there_P], chosen_P[there_P]

    def get_default_distance(self) -> Any:
        """Return the similarity: distance margins with a similarity made the old scripts' losses blind."""
        return CosineSimilarity()


MINERS: Final[dict[str, Callable[[], BaseMiner]]] = {
    "semihard": SemiHardMiner,
    "hard": lambda: BatchHardMiner(distance=CosineSimilarity()),
    "multi-similarity": lambda: MultiSimilarityMiner(epsilon=0.1, distance=CosineSimilarity()),
}


def miner_named(name: str) -> BaseMiner | None:
    """Return the miner of that name, or nothing for "none": then a loss is given all pairs or triplets."""
    return None if name == "none" else cast(BaseMiner, MINERS[name]())
