"""Settings of the loop: what is refused, and what texts mean."""

import pytest

from omokage.errors import ConfigError
from omokage.train.batches import BatchConfig
from omokage.train.losses import LossConfig
from omokage.train.recipe import LoopConfig, Recipe


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"patience": -1}, "patience must be at least 0"),
        ({"clip_norm": -0.1}, "clip_norm must be at least 0"),
        ({"clip_norm": float("nan")}, "clip_norm must be at least 0"),
        ({"best": "aux"}, "did you mean 'auc'"),
        ({"best": "tar_at_fmr_1e-9"}, "did you mean 'tar_at_fmr_1e-"),
        ({"checkpoint_every": "soon"}, "checkpoint_every must be steps"),
        ({"checkpoint_every": "-5m"}, "checkpoint_every must be steps"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        LoopConfig(**wrong)


@pytest.mark.parametrize(
    ("text", "every"), [("500", (500, 0)), ("90s", (0, 90)), ("10m", (0, 600)), ("2h", (0, 7200)), ("0", (0, 0))]
)
def test_checkpoints_come_by_steps_or_by_the_clock(text, every):
    assert LoopConfig(checkpoint_every=text).every == every


@pytest.mark.parametrize("loss", ["triplet", "contrastive", "supcon", "multi-similarity", "pairs"])
def test_a_batch_without_two_pictures_of_anybody_is_refused_where_they_are_compared(loss):
    with pytest.raises(ConfigError, match="--pictures 2 or more"):
        Recipe(loss=LossConfig(loss=loss), batches=BatchConfig(pictures=1))


def test_one_picture_of_each_will_do_for_weights_of_people_and_with_a_memory():
    Recipe(loss=LossConfig(loss="arcface"), batches=BatchConfig(pictures=1))
    Recipe(loss=LossConfig(loss="triplet", memory_size=64), batches=BatchConfig(people=64, pictures=1))


def test_a_memory_smaller_than_a_batch_is_refused_before_any_work():
    with pytest.raises(ConfigError, match="16 people x 4 pictures = 64, got 63"):
        Recipe(loss=LossConfig(loss="supcon", memory_size=63))
