"""The losses that can be chosen by name, their settings, and how each is made.

All of them compare cosines, never distances: a distance's margins with a similarity gave a collapsed model, which
answers every face with one embedding, a loss of zero.

E is how many numbers an embedding has.
"""

import math
from collections.abc import Callable
from typing import Any, Final, Literal

from pytorch_metric_learning import losses as pml
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.reducers import AvgNonZeroReducer, MeanReducer
from torch import nn

from omokage.train.pairs import PairLoss

Value = Callable[[str], float]
"""Gives a setting by its name."""

Loss = Literal["contrastive", "triplet", "multi-similarity", "supcon", "pairs", "arcface", "cosface", "sub-arcface"]

SETTINGS: Final[dict[str, dict[str, float]]] = {
    "contrastive": {"genuine_cos": 0.9, "impostor_cos": 0.2},
    "triplet": {"margin_cos": 0.3},
    "multi-similarity": {},
    "supcon": {"temperature": 0.1},
    "pairs": {"scale": 10.0},
    "arcface": {"margin_rad": 0.5, "scale": 64.0},
    "cosface": {"margin_cos": 0.35, "scale": 64.0},
    "sub-arcface": {"margin_rad": 0.5, "scale": 64.0, "sub_centres": 3},
}
"""The settings that each loss has, with their values where nobody gives one."""

CLASSIFY: Final = ("arcface", "cosface", "sub-arcface")
"""Losses that hold one weight vector a person; the others compare the faces of a batch with each other."""

REMEMBER: Final = ("contrastive", "triplet", "multi-similarity", "supcon")
"""Losses that pytorch-metric-learning can give a memory of earlier batches."""


RANGES: Final[dict[str, tuple[float, float]]] = {
    "margin_rad": (0, math.pi / 2),
    "margin_cos": (0, 1),
    "genuine_cos": (-1, 1),
    "impostor_cos": (-1, 1),
    "scale": (0, 1000),
    "temperature": (0, 10),
    "sub_centres": (0, 100),
}
"""What lies above the first and at most at the second makes sense."""


def _violators() -> dict[str, Any]:
    """Return what hinged losses are made with: the mean over the pairs or triplets that have a loss at all.

    (And supcon: a face without another of its person in the batch has none, and is not counted.)

    Most of a batch's pairs are fine soon, and a mean over all of them would make the step ever smaller although those
    that are not fine are as wrong as before. What it costs: such a loss says how wrong the wrong ones are, not how
    many there are. It is no measure of a model, and ``Objective.active`` tells how many.
    """
    return {"distance": CosineSimilarity(), "reducer": AvgNonZeroReducer(collect_stats=True)}


def _everybody() -> dict[str, Any]:
    """Return what smooth losses are made with: the mean over all faces, each of which has a loss."""
    return {"distance": CosineSimilarity(), "reducer": MeanReducer()}


BUILDERS: Final[dict[str, Callable[[Value, int, int], nn.Module]]] = {
    "contrastive": lambda value, dim, classes: pml.ContrastiveLoss(
        pos_margin=value("genuine_cos"), neg_margin=value("impostor_cos"), **_violators()
    ),
    "triplet": lambda value, dim, classes: pml.TripletMarginLoss(margin=value("margin_cos"), **_violators()),
    "multi-similarity": lambda value, dim, classes: pml.MultiSimilarityLoss(**_everybody()),
    "supcon": lambda value, dim, classes: pml.SupConLoss(temperature=value("temperature"), **_violators()),
    "pairs": lambda value, dim, classes: PairLoss(value("scale")),
    "arcface": lambda value, dim, classes: pml.ArcFaceLoss(
        num_classes=classes,
        embedding_size=dim,
        margin=math.degrees(value("margin_rad")),
        scale=value("scale"),
        **_everybody(),
    ),
    "cosface": lambda value, dim, classes: pml.CosFaceLoss(
        num_classes=classes,
        embedding_size=dim,
        margin=value("margin_cos"),
        scale=value("scale"),
        **_everybody(),
    ),
    "sub-arcface": lambda value, dim, classes: pml.SubCenterArcFaceLoss(
        num_classes=classes,
        embedding_size=dim,
        margin=math.degrees(value("margin_rad")),
        scale=value("scale"),
        sub_centers=int(value("sub_centres")),
        **_everybody(),
    ),
}
"""How each loss is made from its settings, E and the number of people."""
