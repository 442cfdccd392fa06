"""Two ranks with half a batch each find what one rank with the whole batch finds.

The network has no batch norm: its statistics would be those of a rank's own pictures (``gather.share_norms`` shares
them on CUDA), and two ranks of B would rightly differ from one of 2B.
"""

from typing import Any

import gang
import pytest
import torch
from offered import OFFERED, name
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from omokage.train import gather, ranks
from omokage.train.losses import LossConfig, Objective

HALVES = (6, 6)
UNEQUAL = (9, 3)
STEPS = range(4)


def trained(config: LossConfig, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Return all that a training finds on this rank."""
    network: nn.Module = gang.Small()
    if ranks.count() > 1:
        network = DistributedDataParallel(network)
    objective = Objective(config, 8, 20, seed=5)
    found: dict[str, Any] = gang.learn(network, objective, STEPS, sizes)
    found["shard"] = objective.shard_state()
    return found


FEW = [each for each in OFFERED if (each.miner, each.memory_size) in (("semihard", 30), ("none", 0))]
"""Enough to see that ranks may have different numbers of faces."""


def all_trained(configs: list[LossConfig], sizes: tuple[int, ...]) -> dict[str, Any]:
    return {name(config): trained(config, sizes) for config in configs}


def gradients_of_a_sum() -> list[torch.Tensor]:
    """Return each rank's gradient where rank r weighs row n with (r + 1) * n, and the rows that it saw."""
    rows = torch.full((ranks.rank() + 1, 2), float(ranks.rank()), requires_grad=True)
    seen = gather.gather(rows)
    (seen * torch.arange(len(seen))[:, None] * (ranks.rank() + 1)).sum().backward()
    assert rows.grad is not None
    return [seen.detach(), rows.grad, ranks.joined(torch.arange(ranks.rank() + 1))]


def averaged() -> list[torch.Tensor | None]:
    module = nn.ModuleDict({"a": nn.Linear(2, 2), "unused": nn.Linear(2, 2)})
    layer = module["a"]
    for weight in layer.parameters():
        weight.grad = torch.full_like(weight, float(ranks.rank() * 2))
    gather.average_gradients(module)
    return [weight.grad for weight in module.parameters()]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    tasks: dict[str, gang.Task] = {
        "halves": (all_trained, 2, (OFFERED, HALVES)),
        "unequal": (all_trained, 2, (FEW, UNEQUAL)),
        "sum": (gradients_of_a_sum, 2, ()),
        "averaged": (averaged, 2, ()),
    }
    answers = gang.play(list(tasks.values()), tmp_path_factory.mktemp("gang") / "of-two")
    return dict(zip(tasks, answers, strict=True))


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return all_trained(OFFERED, (12,))


def same(left: torch.Tensor, right: torch.Tensor) -> None:
    """Nothing differs by more than 1e-5 of the greatest number: rounding, in float32 with logits of 64."""
    torch.testing.assert_close(left, right, rtol=0, atol=1e-5 * max(1.0, float(right.abs().max())))


@pytest.mark.parametrize(
    ("config", "split"),
    [(each, "halves") for each in OFFERED] + [(each, "unequal") for each in FEW],
    ids=lambda each: name(each) if isinstance(each, LossConfig) else each,
)
def test_two_ranks_find_the_loss_and_gradients_of_one(
    played: dict[str, list[Any]], alone: dict[str, Any], config: LossConfig, split: str
) -> None:
    whole = alone[name(config)]
    for rank in (0, 1):
        found = played[split][rank][name(config)]
        assert found.keys() == whole.keys()
        for key in found.keys() - {"shard"}:
            for left, right in zip(found[key], whole[key], strict=True):
                same(left, right)
    assert max(float(loss) for loss in whole["loss"]) > 0.01
    assert max(float(grad.abs().max()) for grad in whole["layers.0.weight"]) > 1e-4


@pytest.mark.parametrize("config", [each for each in OFFERED if each.sampled], ids=name)
def test_the_shards_of_two_ranks_are_the_weights_of_one(
    played: dict[str, list[Any]], alone: dict[str, Any], config: LossConfig
) -> None:
    shards = [played["halves"][rank][name(config)]["shard"] for rank in (0, 1)]
    assert [shard["first"] for shard in shards] == [0, 10]
    whole = alone[name(config)]["shard"]
    for key in ("weight", "square", "moved"):
        same(torch.cat([shard[key] for shard in shards]), whole[key])


@pytest.mark.parametrize("config", [each for each in OFFERED if not each.sampled], ids=name)
def test_weights_that_both_hold_never_part(played: dict[str, list[Any]], config: LossConfig) -> None:
    one, other = (played["halves"][rank][name(config)] for rank in (0, 1))
    for key in one.keys() - {"shard"}:
        assert all(torch.equal(left, right) for left, right in zip(one[key], other[key], strict=True))


def test_gathered_rows_are_in_the_order_of_ranks_and_their_gradients_are_summed(played: dict[str, list[Any]]) -> None:
    seen = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    for rank, slopes in ((0, [0.0]), (1, [3.0, 6.0])):
        rows, grad, labels = played["sum"][rank]
        assert torch.equal(rows, seen)
        assert torch.equal(grad, torch.tensor(slopes)[:, None].expand(-1, 2))
        assert labels.tolist() == [0, 0, 1]


def test_averaging_takes_the_mean_and_leaves_what_has_no_gradient(played: dict[str, list[Any]]) -> None:
    for rank in (0, 1):
        weight, bias, *unused = played["averaged"][rank]
        assert weight.eq(1).all()
        assert bias.eq(1).all()
        assert unused == [None, None]


def test_alone_nothing_is_gathered() -> None:
    rows = torch.randn(3, 2)
    assert gather.gather(rows) is rows
    assert ranks.count() == 1
    assert ranks.rank() == 0
    norm = nn.BatchNorm2d(3)
    assert gather.share_norms(norm) is norm
