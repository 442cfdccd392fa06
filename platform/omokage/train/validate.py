"""How well a network tells people apart whom it has not seen, and what the best one is chosen by.

Shape key: N faces, B of them at a time, E numbers of an embedding.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omokage.errors import ConfigError
from omokage.evaluate.bootstrap import BootstrapConfig, interval
from omokage.evaluate.interval import Interval
from omokage.evaluate.pairs import possible
from omokage.evaluate.redrawn import Found, intervals
from omokage.evaluate.verification import FMRS, Verification, can_show, tar_name, verification
from omokage.train import gather, ranks
from omokage.train.learner import Learner
from omokage.train.loader import Loader

TAR: Final = "tar_at_fmr_"
"""How the names of true accept rates begin."""

INTERVALS: Final = "intervals"
"""Among the figures of the best model: not there in runs of before they were made."""

DRAWS: Final = "draws"
"""Among the intervals: what they were read from, by figure, so that two models can be compared by the same people."""


def embedded(learner: Learner, loader: Loader, row_N: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Return the embeddings of some faces of the split's table, and their labels, the same on every rank.

    Nothing is altered at random, the ranks share the work, and a chip that cannot be decoded is left out.

    Args:
        learner: At rest (``Learner.resting``).
        loader: Of the labels that are wanted.
        row_N: Rows of the split's table.

    Returns:
        ``embedding_NE`` float32 and ``label_N``, both in the memory of the CPU. Their order depends on the ranks.
    """
    size = learner.recipe.batches.people * learner.recipe.batches.pictures
    mine = row_N[ranks.rank() :: ranks.count()]
    embeddings = [torch.zeros((0, learner.recipe.model.dim), device=learner.device)]
    labels = [torch.zeros(0, dtype=torch.int64, device=learner.device)]
    with torch.no_grad():
        for batch in loader((mine[at : at + size] for at in range(0, len(mine), size)), replace=False):
            with learner.computing():
                embeddings.append(learner.embedder(learner.prepared(batch)))
            labels.append(batch.label_B.to(learner.device))
        embedding_NE, label_N = torch.cat(embeddings), torch.cat(labels)
        return gather.gather(embedding_NE).cpu(), ranks.joined(label_N).cpu()


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """How well a network tells people apart; the same on every rank."""

    metrics: dict[str, float]
    """Figures by name."""
    figures: dict[str, Any]
    """All that is behind them: ``Verification``, as plain values."""
    embedding_NE: Tensor
    label_N: Tensor

    def sure(self, threads: int) -> dict[str, Any]:
        """Return the figures, and under ``INTERVALS`` how far they can be trusted (``Intervals``), as plain values."""
        found = Verification.from_plain(self.figures)
        drawn = intervals(self.embedding_NE.numpy(), self.label_N.numpy(), Found(found), threads=threads)
        draws = {name: [_plain(value) for value in drawn.draws[name]] for name in self.metrics if name in drawn.draws}
        return self.figures | {INTERVALS: json.loads(drawn.json()) | {DRAWS: draws}}


def _plain(value: float) -> float | None:
    """Return a draw as JSON has it; None for one that could not be made."""
    return round(float(value), 5) if np.isfinite(value) else None


def difference(a: Mapping[str, Any], b: Mapping[str, Any], name: str) -> Interval | None:
    """Return a figure of b less that of a, and its interval; each draw drew the same people for both.

    Args:
        a: Of one model, as ``Judged.sure`` gives them.
        b: Of another one.
        name: Of the figure.

    Returns:
        None where they were judged on different people, or by an earlier version of omokage.
    """
    first, second = a.get(INTERVALS, {}), b.get(INTERVALS, {})
    if first.get("key") != second.get("key") or not all(name in each.get(DRAWS, {}) for each in (first, second)):
        return None
    drawn_a, drawn_b = (np.array(each[DRAWS][name], np.float64) for each in (first, second))
    value = second["figures"][name]["value"] - first["figures"][name]["value"]
    return interval(value, drawn_b - drawn_a, BootstrapConfig(**first["config"]))


def validated(learner: Learner, loader: Loader, row_N: NDArray[np.int64], threads: int) -> Judged:
    """Return how well the network tells people apart; rank 0 works it out."""
    embedding_NE, label_N = embedded(learner, loader, row_N)
    said = ""
    if ranks.rank() == 0:
        found = verification(embedding_NE.numpy(), label_N.numpy(), threads=threads)
        said = json.dumps({"metrics": found.metrics(), "all": asdict(found)})
    heard = json.loads(ranks.told(said, learner.device))
    return Judged(metrics=heard["metrics"], figures=heard["all"], embedding_NE=embedding_NE, label_N=label_N)


def goodness(metrics: Mapping[str, float], best: str) -> tuple[str, float]:
    """Return the name of what the best model is chosen by, and its value, bigger for better.

    Args:
        metrics: Figures by name.
        best: As in ``LoopConfig.best``.

    Raises:
        ConfigError: The figures do not have it: there are too few pairs to show that rate.
    """
    if best == "tar":
        shown = [name for name in metrics if name.startswith(TAR)]
        best = min(shown, key=lambda name: float(name.removeprefix(TAR))) if shown else "auc"
    if best not in metrics:
        raise ConfigError(f"best: the validation part cannot show {best}; it shows {', '.join(metrics)}")
    return best, -metrics[best] if best == "eer" else metrics[best]


def shown(label_N: NDArray[np.int64]) -> Iterator[str]:
    """Yield the names of all figures that faces with these labels can show; none where no two can be compared."""
    genuine, impostor = possible(label_N)
    if not genuine or not impostor:
        return
    yield from ("auc", "eer")
    yield from (tar_name(fmr) for fmr in FMRS if can_show(fmr, impostor))
