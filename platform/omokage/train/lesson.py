"""What one rank of a training is given, and how it is read from the run's folder."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import torch

from omokage import config as settings
from omokage.storage import Folder
from omokage.store import Dataset
from omokage.train.chips import Chips
from omokage.train.recipe import Recipe
from omokage.train.run import HEAD, Run


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What one rank is given."""

    recipe: Recipe
    table: pa.Table
    """The split: ``schema.SPLIT``."""
    chips: Chips
    folder: Folder
    """The run's."""
    token: str
    """Eight hexadecimal digits, the same on all ranks and new in every start: ``state``."""
    device: torch.device
    threads: int
    """That decode pictures."""
    start: Mapping[str, torch.Tensor] | None = None
    """State of the network to start from; random numbers without. Of rank 0; the others get theirs from it."""


def lesson(run: Run, *, token: str, device: torch.device, threads: int, first: bool = True) -> Lesson:
    """Return what a rank is given in a training that has begun.

    Args:
        run: The training's.
        token: As in ``Lesson``.
        device: Where to compute.
        threads: That decode pictures.
        first: Whether it is rank 0.

    Raises:
        DatasetError: The run is not to be seen from here, or the dataset has not all of its faces.
        WorkError: Chips cannot be kept on this machine.
    """
    head = run.begun()
    table = run.split(head)
    return Lesson(
        recipe=settings.from_dict(Recipe, head.recipe, HEAD),
        table=table,
        chips=Chips(Dataset.open(head.dataset), table),
        folder=run.folder,
        token=token,
        device=device,
        threads=threads,
        start=run.start() if first else None,
    )
