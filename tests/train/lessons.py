"""Small trainings for tests: a crowd with pictures, a tiny network, seconds."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from crowd import Crowd
from omokage import schema
from omokage.augment.config import AugmentConfig
from omokage.storage import Folder
from omokage.store import Dataset
from omokage.train import loop
from omokage.train.batches import BatchConfig
from omokage.train.chips import Chips
from omokage.train.lesson import Lesson
from omokage.train.losses import LossConfig
from omokage.train.model import ModelConfig
from omokage.train.optim import OptimConfig
from omokage.train.recipe import LoopConfig, Recipe

PEOPLE, FACES, VAL = 14, 8, 4

TINY = ModelConfig(backbone="test_resnet", from_scratch=True, dim=16, input_size=32)


def crowd(folder: Path, people: int = PEOPLE) -> Dataset:
    """Return a dataset of people who are unlike each other in their pictures, each in a folder of its own."""
    plain = Crowd(folders=people, faces=FACES, splits=0, strangers=0, repeats=0, dim=8, chips=True)
    return plain.write(str(folder))


def parted(data: Dataset, val: int = VAL) -> pa.Table:
    """Return a split of which the last ``val`` people are kept to validate."""
    faces = pa.concat_tables(data.faces(["face_id", "identity"])).sort_by("face_id")
    names = sorted(set(faces["identity"].to_pylist()))
    kept = set(names[len(names) - val :])
    parts = ["val" if name in kept else "train" for name in faces["identity"].to_pylist()]
    return pa.table([faces["face_id"], faces["identity"], pa.array(parts)], schema=schema.SPLIT).combine_chunks()


def recipe(**loop: Any) -> Recipe:
    """Return a recipe that takes about a second an epoch; settings of the loop may be given."""
    return Recipe(
        model=TINY,
        loss=LossConfig(loss="cosface", scale=16.0),
        batches=BatchConfig(people=4, pictures=4),
        optim=OptimConfig(preset="adam-cosine"),
        augment=AugmentConfig(strength=0.3),
        loop=LoopConfig(**{"epochs": 3, "checkpoint_every": "0"} | loop),
    )


def lesson(data: Dataset, run: Path, what: Recipe, table: pa.Table | None = None, token: str = "00000000") -> Lesson:
    """Return what one rank is given."""
    table = parted(data) if table is None else table
    return Lesson(
        recipe=what,
        table=table,
        chips=Chips(data, table),
        folder=Folder.at(str(run)),
        token=token,
        device=torch.device("cpu"),
        threads=1,
    )


TIMED = frozenset({"seconds", "images_per_second", "waiting", "val_seconds"})
"""Figures of an epoch that no two runs share."""


def curve(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what each epoch gave, without what the clock says."""
    return [{name: value for name, value in line.items() if name not in TIMED} for line in history]


def changed(what: Recipe, **parts: Any) -> Recipe:
    """Return a recipe with other parts."""
    return dataclasses.replace(what, **parts)


def same_tensors(one: Any, other: Any) -> bool:
    """Return whether two nests of plain values and tensors are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_tensors(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same_tensors, one, other))
    return bool(one == other) or (isinstance(one, float) and np.isnan(one) and np.isnan(other))


class StoppedError(Exception):
    """What ends a training from outside."""


def taught(data: str, run: str, stop_after: int) -> tuple[list[dict[str, Any]], list[str], int]:
    """Return what a rank's training came to: its curve, its notes, how often it was begun or taken up.

    Args:
        data: Place of the dataset.
        run: Of the run.
        stop_after: Steps after which rank 0 is gone, and with it all the others; 0 for never.
    """
    loop.SHOW_SECONDS = 0.0
    steps = iter(range(1, 1 << 30))

    def on_progress(*_: object) -> None:
        if next(steps) == stop_after:
            raise StoppedError

    what = changed(
        recipe(epochs=2, checkpoint_every="1"),
        loss=LossConfig(loss="cosface", scale=16.0, sampled=0.5),
        batches=BatchConfig(people=2, pictures=4),
    )
    try:
        found = loop.train(lesson(Dataset.open(data), Path(run), what, token=f"{stop_after:08x}"), on_progress)
    except (StoppedError, RuntimeError):
        return [], [], 0
    return curve(found.history), found.notes, found.starts
