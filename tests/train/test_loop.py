"""The training of one rank: that it learns, goes on exactly, judges unseen people, and says what is wrong."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lessons import VAL, StoppedError, changed, crowd, curve, lesson, parted, recipe, same_tensors

import finished
from omokage.augment.config import AugmentConfig
from omokage.errors import ConfigError, WorkError
from omokage.progress import quietly
from omokage.storage import Folder
from omokage.store import Dataset
from omokage.train import loop
from omokage.train.batches import BatchConfig
from omokage.train.loop import BEST, LAST, METRICS, train
from omokage.train.losses import LossConfig
from omokage.train.optim import OptimConfig
from omokage.train.split import labels
from omokage.train.state import loaded

XBM = LossConfig(loss="contrastive", memory_size=64)
WEIGHTS = LossConfig(loss="arcface", scale=16.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    return crowd(tmp_path_factory.mktemp("crowd"))


def stop_after(steps: int):
    """Return an ``on_step`` that ends the training after so many steps of all."""
    seen = []

    def on_step(*_: object) -> None:
        seen.append(1)
        if len(seen) == steps:
            raise StoppedError

    return on_step


def stopped_and_taken_up(data, run: Path, what, steps, monkeypatch):
    """Return what a training comes to that ends after each of some numbers of steps, and is taken up again."""
    monkeypatch.setattr(loop, "SHOW_SECONDS", 0.0)
    for number, after in enumerate(steps):
        with pytest.raises(StoppedError):
            train(lesson(data, run, what, token=f"{number:08x}"), stop_after(after))
    return train(lesson(data, run, what, token="ffffffff"))


@pytest.mark.parametrize(
    ("loss", "preset"),
    [(WEIGHTS, "adam-cosine"), (XBM, "sgd-step"), (LossConfig(loss="triplet", miner="semihard"), "schedule-free")],
    ids=["class weights", "memory of batches", "schedule-free"],
)
def test_a_training_that_is_stopped_goes_on_to_the_very_same_bits(data, tmp_path, loss, preset, monkeypatch):
    what = changed(recipe(checkpoint_every="2"), loss=loss, optim=OptimConfig(preset=preset))
    quiet = train(lesson(data, tmp_path / "quiet", what))
    broken = stopped_and_taken_up(data, tmp_path / "broken", what, (4, 5), monkeypatch)
    assert curve(broken.history) == curve(quiet.history)
    assert len(quiet.history) == 3 and broken.starts == 3 and quiet.starts == 1
    for name in (BEST, LAST):
        one, other = (loaded(Folder.at(str(tmp_path / run)), name) for run in ("quiet", "broken"))
        assert same_tensors(one, other), name
    said = [json.loads(line) for line in (tmp_path / "broken" / METRICS).read_text().splitlines()]
    assert curve(said) == curve(quiet.history)


def test_a_training_that_has_ended_takes_no_more_steps(data, tmp_path):
    what = recipe(epochs=1)
    once = train(lesson(data, tmp_path, what))
    told = []
    again = train(lesson(data, tmp_path, what), on_epoch=told.append)
    assert again.history == once.history and told == []


def test_few_people_are_learned_by_heart(data, tmp_path):
    what = changed(
        recipe(epochs=12), augment=AugmentConfig(strength=0), optim=OptimConfig(preset="adam-cosine", lr=3e-3)
    )
    found = train(lesson(data, tmp_path, what))
    first, last = found.history[0]["train_loss"], found.history[-1]["train_loss"]
    assert last < 0.2 * first


def test_an_epoch_is_as_long_as_the_data(data, tmp_path):
    found = train(lesson(data, tmp_path, recipe(epochs=1)))
    train_N, _ = labels(parted(data), "train")
    faces, step = int((train_N >= 0).sum()), 16
    assert abs(found.history[0]["images"] - faces) <= step / 2


def test_the_learning_rate_never_climbs_after_its_warm_up(data, tmp_path):
    what = changed(recipe(epochs=6), optim=OptimConfig(preset="adam-cosine", warmup_epochs=1.0))
    rates = [line["lr"] for line in train(lesson(data, tmp_path, what)).history]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.1 * rates[0]


def test_only_training_pictures_are_altered(data, tmp_path, monkeypatch):
    """What judges the model must be the pictures as they are: altered ones gave other figures each time."""
    altered = []

    class Spy(loop.Learner):
        def prepared(self, batch, generator=None):
            is_altered = generator is not None or batch.pixels_BCHW.is_floating_point()
            altered.append((set(self_rows(batch)), is_altered))
            return super().prepared(batch, generator)

    def self_rows(batch):
        return batch.rows.tolist()

    monkeypatch.setattr(loop, "Learner", Spy)
    train(lesson(data, tmp_path, recipe(epochs=1)))
    val_N, _ = labels(parted(data), "val")
    val = set(np.flatnonzero(val_N >= 0).tolist())
    judged = [rows for rows, is_altered in altered if not is_altered]
    assert set().union(*judged) == val
    assert all(not rows & val for rows, is_altered in altered if is_altered)


def test_pictures_altered_ahead_are_those_that_a_step_alters(data, tmp_path):
    """A GPU's step alters its pictures itself, on a CPU they come altered."""
    what = recipe(epochs=2, accumulate=2)
    ahead = loop._Training(lesson(data, tmp_path / "ahead", what), quietly, lambda _: None)
    within = loop._Training(lesson(data, tmp_path / "within", what), quietly, lambda _: None)
    assert ahead.shares_cores
    within.shares_cores = False
    assert curve(ahead.run().history) == curve(within.run().history)


def judged(**metrics):
    """Return how a network was judged, were these its figures."""
    return dataclasses.replace(finished.judged(), metrics=metrics)


def test_the_best_is_chosen_on_unseen_people_and_never_by_the_loss(data, tmp_path, monkeypatch):
    """The loss falls in every epoch; the figures that are given here are best in the second."""
    figures = iter([0.2, 0.9, 0.5, 0.9])
    monkeypatch.setattr(
        loop.validate, "validated", lambda *_: judged(auc=0.5, eer=0.5, **{"tar_at_fmr_1e-1": next(figures)})
    )
    kept = {}

    def keep(line):
        kept[line["epoch"]] = loaded(Folder.at(str(tmp_path)), BEST)["model"]

    found = train(lesson(data, tmp_path, recipe(epochs=4)), on_epoch=keep)
    assert found.best == {"epoch": 2, "metric": "tar_at_fmr_1e-1", "value": 0.9, "good": 0.9}
    assert same_tensors(kept[2], kept[4]) and not same_tensors(kept[1], kept[2])


def test_training_ends_early_where_nothing_gets_better(data, tmp_path, monkeypatch):
    figures = iter([0.5, 0.9, 0.8, 0.7, 0.95])
    monkeypatch.setattr(loop.validate, "validated", lambda *_: judged(auc=next(figures), eer=0.5))
    found = train(lesson(data, tmp_path, recipe(epochs=9, patience=2, best="auc")))
    assert found.stopped_early and len(found.history) == 4 and found.best["epoch"] == 2
    again = train(lesson(data, tmp_path, recipe(epochs=9, patience=2, best="auc")))
    assert curve(again.history) == curve(found.history)


def test_without_anybody_to_judge_on_the_last_model_is_kept(data, tmp_path):
    found = train(lesson(data, tmp_path, recipe(epochs=1), parted(data, val=0)))
    assert found.best is None and "val_auc" not in found.history[0]
    assert (tmp_path / LAST).exists() and not (tmp_path / BEST).exists()


def test_numbers_that_are_none_stop_it_with_the_faces_of_the_batch(data, tmp_path):
    what = changed(
        recipe(checkpoint_every="1", clip_norm=0.0), optim=OptimConfig(preset="sgd-step", lr=1e30, warmup_epochs=0)
    )
    task = lesson(data, tmp_path, what)
    with pytest.raises(WorkError, match=r"not a number in epoch 1, step [12] .*--lr") as said:
        train(task)
    faces = str(said.value).partition("faces of that step: ")[2].split()
    known = set(task.table["face_id"].to_pylist())
    assert len(faces) == 16 and set(faces) <= known
    marks = [json.loads(file.read_text()) for file in (tmp_path / "checkpoints").glob("*.json")]
    assert all(mark["step"] < 2 for mark in marks)  # nothing that is no number was kept


def test_gradients_of_several_batches_add_up(data, tmp_path):
    """Two accumulated batches move the weights by the mean of what each alone would have them moved by."""
    what = changed(
        recipe(epochs=1, accumulate=2, clip_norm=0.0),
        optim=OptimConfig(preset="sgd-step", lr=0.1, warmup_epochs=0, weight_decay=0),
        augment=AugmentConfig(strength=0),
    )
    table = parted(data)
    task = lesson(data, tmp_path, what, table)
    train_N, people = labels(table, "train")
    batches = loop.Batches(train_N, what.batches, 0)
    loader = loop.Loader(task.chips, train_N, 32, 1)
    two = list(loader(list(batches.epoch(0))[:2]))

    def gradients(some):
        learner = loop.Learner(what, len(people), 1, torch.device("cpu"))
        learner.embedder.eval()  # batch norms would see each batch alone
        learner.step(some, torch.Generator())
        return [weight.grad.clone() for weight in learner.embedder.parameters()]

    both, first, second = gradients(two), gradients(two[:1]), gradients(two[1:])
    for total, one, other in zip(both, first, second, strict=True):
        torch.testing.assert_close(total, (one + other) / 2, rtol=1e-4, atol=1e-6)


def test_gradients_are_shortened_to_the_length_that_is_asked_for(data, tmp_path):
    table = parted(data)
    what = changed(recipe(clip_norm=0.01), optim=OptimConfig(preset="sgd-step", lr=0.1))
    task = lesson(data, tmp_path, what, table)
    train_N, people = labels(table, "train")
    learner = loop.Learner(what, len(people), 1, torch.device("cpu"))
    loader = loop.Loader(task.chips, train_N, 32, 1)
    taken = learner.step(list(loader([np.flatnonzero(train_N >= 0)[:16]])), torch.Generator())
    weights = [*learner.embedder.parameters(), *learner.objective.parameters()]
    length = torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    assert taken.norm > 0.01 and length == pytest.approx(0.01, rel=1e-3)


def test_and_those_of_people_who_are_spread_over_ranks_with_them(data, tmp_path):
    table = parted(data)
    train_N, people = labels(table, "train")
    loader = loop.Loader(lesson(data, tmp_path, recipe(), table).chips, train_N, 32, 1)
    (batch,) = loader([np.flatnonzero(train_N >= 0)[:16]])

    def step(clip_norm):
        what = changed(
            recipe(clip_norm=clip_norm),
            loss=LossConfig(loss="cosface", scale=16.0, sampled=1.0),
            optim=OptimConfig(preset="sgd-step", lr=0.1, warmup_epochs=0),
            augment=AugmentConfig(strength=0),
        )
        learner = loop.Learner(what, len(people), 1, torch.device("cpu"))
        before = learner.objective.loss.weight_LKE.clone()
        taken = learner.step([batch], torch.Generator())
        grads = [weight.grad for weight in learner.embedder.parameters()]
        way = (learner.objective.loss.weight_LKE - before).norm() / learner.rate  # of plain descent: the gradient
        return taken.norm.item(), torch.nn.utils.get_total_norm(grads).item(), way.item()

    norm, network, rows = step(0.0)
    assert norm == pytest.approx(math.hypot(network, rows), rel=1e-3) and norm > network
    shorter, network, shorter_rows = step(0.01)
    assert shorter == pytest.approx(norm) and math.hypot(network, shorter_rows) == pytest.approx(0.01, rel=0.01)
    assert shorter_rows == pytest.approx(rows * 0.01 / norm, rel=0.1)  # the sphere is round


def test_a_chip_that_does_not_decode_is_named_and_another_stands_in(tmp_path):
    data = crowd(tmp_path / "data", people=8)
    task = lesson(data, tmp_path / "run", changed(recipe(epochs=1), batches=BatchConfig(people=2, pictures=4)))
    read, bad = task.chips.__class__.__getitem__, task.chips.face_id(0)

    class Broken(task.chips.__class__):
        def __getitem__(self, row):
            return np.zeros(10, np.uint8) if self.face_id(row) == bad else read(self, row)

    task.chips.__class__ = Broken
    found = train(task)
    assert found.broken == [bad] and len(found.history) == 1


def test_progress_is_told_in_pictures_and_says_the_loss(data, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SHOW_SECONDS", 0.0)
    told = []
    train(lesson(data, tmp_path, recipe(epochs=2)), lambda *said: told.append(said))
    assert told[-1][0] == told[-1][1] == 80
    assert told[0][2].startswith("epoch 1 of 2") and "loss" in told[-1][2]


def test_what_cannot_be_shown_cannot_choose_the_best(data, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot show tar_at_fmr_1e-6; it shows auc"):
        train(lesson(data, tmp_path, recipe(epochs=1, best="tar_at_fmr_1e-6")), quietly)
    assert VAL == 4


def test_norms_at_rest_are_those_of_the_weights_at_rest(data, tmp_path):
    """Schedule-free weights at rest are an average that was never run; norms of the way there would not fit it."""
    what = changed(recipe(), optim=OptimConfig(preset="schedule-free", warmup_epochs=0))
    table = parted(data)
    train_N, people = labels(table, "train")
    learner = loop.Learner(what, len(people), 5, torch.device("cpu"))
    loader = loop.Loader(lesson(data, tmp_path, what, table).chips, train_N, 32, 1)
    batches = list(loader(loop.Batches(train_N, what.batches, 0).epoch(0)))
    for batch in batches:
        learner.step([batch], torch.Generator())
    conv, norm = learner.embedder.backbone.conv1[:2]
    before = norm.running_mean.clone()
    with learner.resting(batches), torch.no_grad():
        mean_BC = torch.stack([conv(learner.prepared(batch)).mean((0, 2, 3)) for batch in batches])
        torch.testing.assert_close(norm.running_mean, mean_BC.mean(0), rtol=1e-4, atol=1e-5)
        assert not norm.training
    assert torch.equal(norm.running_mean, before) and norm.momentum is not None and norm.training


def test_a_gpu_that_is_too_small_is_told_which_setting_to_lower(data, tmp_path):
    class Full(torch.nn.Module):
        def forward(self, pixels_BCHW):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    what, table = recipe(), parted(data)
    train_N, people = labels(table, "train")
    learner = loop.Learner(what, len(people), 1, torch.device("cpu"))
    learner.network = Full()
    batches = list(loop.Loader(lesson(data, tmp_path, what, table).chips, train_N, 32, 1)([np.arange(4)]))
    with pytest.raises(WorkError, match=r"4 people x 4 pictures of 32 px: lower --people .* Tried to allocate 2 GiB"):
        learner.step(batches, torch.Generator())
