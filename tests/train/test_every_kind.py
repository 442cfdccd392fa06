"""Every loss and every preset that is offered learns to tell the people apart whom it is shown."""

from typing import get_args

import numpy as np
import pytest
from lessons import changed, crowd, lesson, parted, recipe

from omokage.augment.config import AugmentConfig
from omokage.store import Dataset
from omokage.train.batches import BatchConfig
from omokage.train.learner import Learner
from omokage.train.loader import Loader
from omokage.train.loop import LAST, train
from omokage.train.losses import CLASSIFY, Loss, LossConfig
from omokage.train.optim import OptimConfig, Preset
from omokage.train.split import labels
from omokage.train.state import loaded
from omokage.train.validate import validated

PEOPLE, EPOCHS = 20, 12

LOSSES = [*(LossConfig(loss=loss) for loss in get_args(Loss) if loss not in CLASSIFY)]
LOSSES += [LossConfig(loss=loss, scale=16.0) for loss in CLASSIFY]  # 64 is for millions of steps
LOSSES += [
    LossConfig(loss="triplet", miner="semihard"),
    LossConfig(loss="contrastive", memory_size=128),
    LossConfig(loss="cosface", scale=16.0, sampled=0.5),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    return crowd(tmp_path_factory.mktemp("crowd"), people=PEOPLE)


def learned(data, run, loss: LossConfig, preset: Preset) -> tuple[float, float]:
    """Return the area under the curve of the people in training, before and after it."""
    what = changed(
        recipe(epochs=EPOCHS),
        loss=loss,
        optim=OptimConfig(preset=preset, warmup_epochs=0.5),
        batches=BatchConfig(people=8, pictures=4),
        augment=AugmentConfig(strength=0.0),
    )
    task = lesson(data, run, what, parted(data, val=0))
    train_N, _ = labels(task.table, "train")
    learner = Learner(what, PEOPLE, 1, task.device)

    def area() -> float:
        with learner.resting():
            return validated(learner, Loader(task.chips, train_N, 32, 1), np.arange(len(train_N)), 1).metrics["auc"]

    before = area()
    train(task)
    learner.embedder.load_state_dict(loaded(task.folder, LAST)["model"])
    return before, area()


@pytest.mark.long
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss.loss} {loss.miner} {loss.memory_size} {loss.sampled}")
def test_every_loss_learns(data, tmp_path, loss):
    before, after = learned(data, tmp_path, loss, "adam-cosine")
    assert after > before + 0.1


@pytest.mark.long
@pytest.mark.parametrize("preset", get_args(Preset))
def test_every_preset_learns(data, tmp_path, preset):
    before, after = learned(data, tmp_path, LossConfig(loss="supcon"), preset)
    assert after > before + 0.1
