"""Partial FC: right against the plain losses, on any number of ranks, and still where nobody is looked at."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import gang
import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss, SubCenterArcFaceLoss
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from omokage.errors import ConfigError
from omokage.train import ranks
from omokage.train.losses import LossConfig, Objective
from omokage.train.partial import BLOCK, Head, PartialFC, arcface, cosface, first_weights, held, sample

PLAIN = {
    "arcface": lambda classes, dim: ArcFaceLoss(classes, dim, margin=math.degrees(0.5), scale=64),
    "cosface": lambda classes, dim: CosFaceLoss(classes, dim, margin=0.35, scale=64),
    "sub-arcface": lambda classes, dim: SubCenterArcFaceLoss(
        num_classes=classes, embedding_size=dim, margin=math.degrees(0.5), scale=64, sub_centers=3
    ),
}


def faces(count: int, dim: int, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(count, dim, generator=torch.Generator().manual_seed(900 + seed))
    return functional.normalize(drawn, dim=1).requires_grad_()


def along(grad: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Return the part of a gradient that is along the sphere, at a place on it."""
    return grad - (grad * place).sum(-1, keepdim=True) * place


def head_of(classes: int, dim: int = 6, **more: Any) -> PartialFC:
    return PartialFC(Head(dim=dim, classes=classes, **more), partial(cosface, margin_cos=0.35))


@pytest.mark.parametrize("loss", PLAIN)
def test_with_everybody_it_is_the_plain_loss(loss: Any) -> None:
    """Also where a face is on the far side of its person, beyond where the margin's cosine would rise again."""
    objective = Objective(LossConfig(loss=loss, sampled=1.0), 8, 20)
    plain = PLAIN[loss](20, 8)
    rows = objective.loss.weight_LKE.flatten(0, 1)
    plain.W.data = rows.T.clone()
    label = torch.arange(30) % 20
    embedding = faces(30, 8).detach()
    centres = len(rows) // 20
    embedding[:3] = -functional.normalize(rows[: 3 * centres : centres] + 0.1 * embedding[:3], dim=1)
    one, other = embedding.clone().requires_grad_(), embedding.clone().requires_grad_()
    ours, theirs = objective(one, label), plain(other, label)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    # The plain loss normalises both sides; ours takes them as unit vectors. Along the sphere, both are the same.
    torch.testing.assert_close(along(one.grad, embedding), other.grad, rtol=1e-4, atol=1e-4)
    (grad,) = objective.spread_gradients()
    torch.testing.assert_close(along(grad.flatten(0, 1), rows), plain.W.grad.T, rtol=1e-4, atol=1e-4)


def test_the_arcface_margin_falls_all_the_way() -> None:
    angle = torch.linspace(0, math.pi, 1000, dtype=torch.float64)
    moved = arcface(angle.cos(), 0.5)
    assert (moved.diff() < 0).all()
    near = angle < math.pi - 0.5
    torch.testing.assert_close(moved[near], (angle + 0.5).cos()[near], rtol=1e-5, atol=1e-5)


def test_only_those_who_are_looked_at_move() -> None:
    """Neither those sampled in earlier steps, by a momentum, nor those never looked at."""
    head = head_of(400, sampled=0.05)
    seen_before = torch.zeros(400, dtype=torch.bool)
    for step in range(5):
        before, square = head.weight_LKE.clone(), head.square_LK.clone()
        label = torch.tensor([step, 100 + step, 200])
        looked_at = set(head._looked_at(label).tolist())
        head(faces(3, 6, seed=step), label).backward()
        head.step(0.1, adaptive=True)
        moved = (head.weight_LKE != before).flatten(1).any(1)
        assert {step, 100 + step, 200} <= set(moved.nonzero()[:, 0].tolist()) <= looked_at
        assert set((head.square_LK != square)[:, 0].nonzero()[:, 0].tolist()) <= looked_at
        assert (seen_before & ~moved).any() or step == 0
        seen_before |= moved
    torch.testing.assert_close(head.weight_LKE.norm(dim=2), torch.ones(400, 1))


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_first_step_goes_down_the_gradient(adaptive: bool) -> None:
    head = head_of(5, dim=16, scale=8.0)
    before = head.weight_LKE.clone()
    head(faces(4, 16), torch.tensor([0, 1, 2, 3])).backward()
    grad = along(head.gradients()[0], before)
    head.step(0.002, adaptive=adaptive)
    step = head.weight_LKE - before
    assert functional.cosine_similarity(step, -grad, dim=2).min() > 0.99
    # Adam's first step is as long as lr in each number, so lr * sqrt(16) in all, whatever the gradient.
    long = torch.full((5, 1), 0.008) if adaptive else 0.002 * grad.norm(dim=2)
    torch.testing.assert_close(step.norm(dim=2), long, rtol=0.01, atol=0)


def test_batches_of_one_step_are_added_up() -> None:
    whole, parts = head_of(30, sampled=1.0), head_of(30, sampled=1.0)
    label = torch.arange(8)
    whole(faces(8, 6), label).backward()
    for half in (slice(0, 4), slice(4, 8)):
        (parts(faces(8, 6)[half], label[half]) / 2).backward()
    for head in (whole, parts):
        head.step(0.1, adaptive=False)
    torch.testing.assert_close(whole.weight_LKE, parts.weight_LKE)


def gradient_length() -> list[torch.Tensor]:
    """Return the length of a gradient of 3 of other weights and of some people of all ranks, by any rank."""
    objective = Objective(LossConfig(loss="cosface", sampled=1.0), 8, 20, seed=5)
    world = ranks.count()
    part = slice(ranks.rank() * 12 // world, (ranks.rank() + 1) * 12 // world)
    for half in (0, 1):  # two batches of one step, which look at the same people
        objective(faces(12, 8, seed=half).detach()[part].requires_grad_(), torch.arange(12)[part] % 5).backward()
    return [objective.with_spread(torch.tensor(3.0))]


def test_the_length_of_a_gradient_is_that_of_all_ranks_people(tmp_path: Path) -> None:
    objective = Objective(LossConfig(loss="cosface", sampled=1.0), 8, 20, seed=5)
    place = objective.loss.weight_LKE.clone()
    for half in (0, 1):
        objective(faces(12, 8, seed=half), torch.arange(12) % 5).backward()
    wanted = torch.hypot(along(objective.spread_gradients()[0], place).norm(), torch.tensor(3.0))
    (found,) = gang.play([(gradient_length, 3, ())], tmp_path / "length")
    for (length,) in [*found, gradient_length()]:
        torch.testing.assert_close(length, wanted, rtol=1e-4, atol=0)


def test_sampled_batches_of_one_step_are_added_up() -> None:
    head, slow = head_of(60, sampled=0.3), head_of(60, sampled=0.3)
    before = slow.weight_LKE.clone()
    total = torch.zeros_like(before)
    for number, label in enumerate((torch.tensor([1, 2]), torch.tensor([2, 3]))):
        head(faces(2, 6, seed=number), label).backward()
        rows = slow._looked_at(label)
        slow(faces(2, 6, seed=number), label).backward()
        total[rows] += slow.gradients()[0]
        slow.zero_grad()
    head.step(0.1, adaptive=False)
    torch.testing.assert_close(head.weight_LKE, functional.normalize(before - 0.1 * along(total, before), dim=2))


def test_a_step_not_taken_is_forgotten() -> None:
    objective = Objective(LossConfig(loss="arcface", sampled=0.5), 6, 40)
    before = objective.loss.weight_LKE.clone()
    objective(faces(4, 6), torch.arange(4)).backward()
    objective.zero_grad()
    objective.step(0.1)
    assert torch.equal(objective.loss.weight_LKE, before)
    with torch.no_grad():
        objective(faces(4, 6), torch.arange(4))
    assert objective.loss.drawn == 1, "judging draws no sample"


def test_people_are_drawn_evenly_anew_each_step_and_whoever_holds_them() -> None:
    people = torch.arange(200_000)
    drawn = [sample(people, 0.1, seed=3, step=step) for step in range(3)]
    for each in drawn:
        assert float(each.float().mean()) == pytest.approx(0.1, abs=0.004)
        assert each.reshape(200, -1).float().mean(1).sub(0.1).abs().max() < 0.05
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert float((drawn[one] & drawn[other]).float().mean()) == pytest.approx(0.01, abs=0.002)
    assert not torch.equal(sample(people, 0.1, seed=4, step=0), drawn[0])
    parts = [sample(people[begin:end], 0.1, 3, 1) for begin, end in (held(200_000, part, 7) for part in range(7))]
    assert torch.equal(torch.cat(parts), drawn[1])


def test_first_weights_are_the_same_whoever_holds_them() -> None:
    head = Head(dim=3, classes=3 * BLOCK - 5, centres=2, seed=8)
    whole = first_weights(head, 0, head.classes)
    parts = [first_weights(head, *held(head.classes, part, 5)) for part in range(5)]
    assert torch.equal(torch.cat(parts), whole)
    assert len(whole.flatten(0, 1).unique(dim=0)) == 2 * head.classes
    assert [held(3, part, 5) for part in range(5)] == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)]


def test_a_checkpoint_of_other_people_or_with_a_missing_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"weights of 8 people, \[1, 6\] each; this training has 9"):
        head_of(9).load_shards([head_of(8).shard_state()])
    with pytest.raises(ConfigError, match="3 people, \\[2, 6\\]"):
        head_of(3).load_shards([head_of(3, centres=2).shard_state()])
    state = head_of(8).shard_state()
    state = {**state, **{key: state[key][:5] for key in ("weight", "square", "moved")}}
    with pytest.raises(ConfigError, match="5 of this rank's 8 people: a file is missing"):
        head_of(8).load_shards([state])


CONFIG = LossConfig(loss="arcface", sampled=0.4)


def stretch(steps: range, before: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a stretch of a training ends with, begun from what the last one ended with."""
    network = gang.Small()
    objective = Objective(CONFIG, 8, 20, seed=5)
    if before is not None:
        objective.loss.weight_LKE.zero_()
        network.load_state_dict(before["network"])
        objective.load_state_dict(before["objective"])
        objective.load_shards(before["shards"])
    world = ranks.count()
    wrapped: nn.Module = network if world == 1 else DistributedDataParallel(network)
    found = gang.learn(wrapped, objective, steps, (12 // world,) * world)
    return {
        "loss": torch.stack(found["loss"]),
        "network": network.state_dict(),
        "objective": objective.state_dict(),
        "shard": objective.shard_state(),
    }


def resumed(steps: range, place: Path) -> dict[str, Any]:
    return stretch(steps, torch.load(place, weights_only=True))


def saved(answers: list[dict[str, Any]], place: Path) -> Path:
    torch.save({**answers[0], "shards": [answer["shard"] for answer in answers]}, place)
    return place


def test_a_training_goes_on_with_two_then_one_then_three_ranks(tmp_path: Path) -> None:
    (two,) = gang.play([(stretch, 2, (range(3), None))], tmp_path / "two")
    one = resumed(range(3, 6), saved(two, tmp_path / "two.pt"))
    (three,) = gang.play([(resumed, 3, (range(6, 9), saved([one], tmp_path / "one.pt")))], tmp_path / "three")
    assert [len(each["shard"]["weight"]) for each in three] == [6, 7, 7]
    whole = stretch(range(9), None)["loss"]
    for rank in range(3):
        losses = torch.cat([two[rank % 2]["loss"], one["loss"], three[rank]["loss"]])
        torch.testing.assert_close(losses, whole, rtol=1e-5, atol=1e-5)
    assert float(whole[-1]) != pytest.approx(float(whole[0]), rel=0.01)


def more_ranks_than_people() -> list[torch.Tensor]:
    objective = Objective(LossConfig(loss="cosface", sampled=1.0), 8, 2, seed=5)
    rows = faces(2, 8).detach()[ranks.rank() % 2][None].requires_grad_()
    loss = objective(rows, torch.tensor([ranks.rank() % 2]))
    loss.backward()
    objective.step(0.1)
    return [loss.detach(), rows.grad]


def test_a_rank_may_hold_nobody(tmp_path: Path) -> None:
    (answers,) = gang.play([(more_ranks_than_people, 3, ())], tmp_path / "nobody")
    embedding = faces(2, 8).detach()[[0, 1, 0]].requires_grad_()
    loss = Objective(LossConfig(loss="cosface", sampled=1.0), 8, 2, seed=5)(embedding, torch.tensor([0, 1, 0]))
    loss.backward()
    for rank, (found, grad) in enumerate(answers):
        torch.testing.assert_close(found, loss.detach())
        torch.testing.assert_close(grad / 3, embedding.grad[rank][None])
