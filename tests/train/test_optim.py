import io
import itertools
import math
import typing
from pathlib import Path

import pytest
import torch
from torch import nn

from omokage.errors import ConfigError
from omokage.train import optim
from omokage.train.optim import OptimConfig, Optimiser, Preset

PRESETS: tuple[Preset, ...] = typing.get_args(Preset)
PER_EPOCH, EPOCHS = 8, 4

pytestmark = pytest.mark.filterwarnings("error")


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 3))


def loss(net: nn.Module, step: int) -> torch.Tensor:
    """A problem that can be learnt: which of three directions a point lies nearest to."""
    draw = torch.Generator().manual_seed(step)
    directions = torch.randn(3, 6, generator=torch.Generator().manual_seed(99))
    points = torch.randn(32, 6, generator=draw)
    return nn.functional.cross_entropy(net(points), (points @ directions.T).argmax(1))


def optimiser(net: nn.Module, epochs: int = EPOCHS, per_epoch: int = PER_EPOCH, **settings: typing.Any) -> Optimiser:
    half = list(net.parameters())
    return Optimiser(OptimConfig(**settings), [half[:2], half[2:]], per_epoch, epochs)


def run(net: nn.Module, opt: Optimiser, start: int, stop: int) -> list[float]:
    """Train from one step to another, with an evaluation at the end of each epoch; return the rates."""
    rates = []
    for step in range(start, stop):
        rates.append(opt.lr)
        opt.zero()
        loss(net, step).backward()
        opt.step()
        if (step + 1) % PER_EPOCH == 0:
            opt.eval()
            opt.end_epoch(0.5)
            opt.train()
    return rates


def through_a_file(state: dict[str, typing.Any]) -> dict[str, typing.Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def rates(preset: Preset, per_epoch: int, epochs: int, **settings: typing.Any) -> list[float]:
    opt = Optimiser(OptimConfig(preset=preset, **settings), [[nn.Parameter(torch.ones(2))]], per_epoch, epochs)
    out = []
    for _ in range(per_epoch * epochs):
        out.append(opt.lr)
        opt.step()
    return out


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_lowers_the_loss(preset):
    net = network()
    opt = optimiser(net, epochs=40, preset=preset, warmup_epochs=1, lr=0.05)  # a small problem bears a high rate
    before = loss(net, 10_000).item()
    run(net, opt, 0, 40 * PER_EPOCH)
    opt.eval()
    assert loss(net, 10_000).item() < 0.6 * before


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("stop", [PER_EPOCH, PER_EPOCH + 3, 2])
def test_going_on_from_a_checkpoint_is_never_having_stopped(preset, stop):
    whole = network()
    run(whole, optimiser(whole, preset=preset), 0, EPOCHS * PER_EPOCH)

    first = network()
    opt = optimiser(first, preset=preset)
    run(first, opt, 0, stop)
    saved = through_a_file({"net": first.state_dict(), "opt": opt.state_dict()})
    second = network(seed=1)
    opt = optimiser(second, preset=preset)
    second.load_state_dict(saved["net"])
    opt.load_state_dict(saved["opt"])
    run(second, opt, stop, EPOCHS * PER_EPOCH)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


@pytest.mark.parametrize("preset", PRESETS)
def test_a_checkpoint_that_was_saved_while_evaluating(preset):
    first = network()
    opt = optimiser(first, preset=preset)
    run(first, opt, 0, PER_EPOCH)
    opt.eval()
    saved = through_a_file({"net": first.state_dict(), "opt": opt.state_dict()})
    opt.train()
    run(first, opt, PER_EPOCH, 2 * PER_EPOCH)

    second = network(seed=1)
    opt = optimiser(second, preset=preset)
    second.load_state_dict(saved["net"])
    opt.load_state_dict(saved["opt"])
    opt.train()
    run(second, opt, PER_EPOCH, 2 * PER_EPOCH)
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


@pytest.mark.parametrize(("per_epoch", "epochs"), [(1, 100), (7, 50), (20, 30), (20, 1)])
@pytest.mark.parametrize("preset", ["adam-cosine", "sgd-step", "ranger-exp"])
def test_after_warm_up_the_rate_never_climbs_and_it_falls_to_the_end_of_the_run(preset, per_epoch, epochs):
    found = rates(preset, per_epoch, epochs, warmup_epochs=0.5, lr=1.0)
    warm = round(0.5 * per_epoch)
    assert found[:warm] == [(step + 1) / warm for step in range(warm)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(found[warm:]))
    if per_epoch * epochs >= 100:
        assert found[-1] < 0.12
    assert min(found) > 0


def test_the_cosine_is_torchs_own():
    steps, warm = 40, 4
    parameter = nn.Parameter(torch.ones(2))
    theirs = torch.optim.Adam([parameter], lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=steps - warm)
    wanted = []
    for _ in range(steps - warm):
        wanted.append(schedule.get_last_lr()[0])
        theirs.step()
        schedule.step()
    assert rates("adam-cosine", 8, 5, lr=0.01, warmup_epochs=0.5)[warm:] == pytest.approx(wanted, abs=1e-12)


def test_the_plateau_is_torchs_own():
    values = [0.1, 0.3, 0.2, 0.3, 0.25, 0.3, 0.3, 0.29, math.nan, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.6]
    parameter = nn.Parameter(torch.ones(2))
    theirs = torch.optim.SGD([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs,
        mode="max",
        factor=optim.PLATEAU_FACTOR,
        patience=optim.PLATEAU_EPOCHS - 1,
        threshold=optim.PLATEAU_GAIN,
        threshold_mode="abs",
    )
    ours = Optimiser(OptimConfig(preset="adamw-plateau", lr=1.0, warmup_epochs=0), [[parameter]], 1, len(values))
    for value in values:
        schedule.step(value)
        ours.end_epoch(value)
        assert ours.lr == pytest.approx(schedule.get_last_lr()[0])
    assert ours.lr < 0.1


def test_a_metric_that_goes_up_never_lowers_the_rate_and_other_presets_do_not_listen():
    for preset, values in (("adamw-plateau", [n / 10 for n in range(10)]), ("adam-cosine", [0.0] * 10)):
        opt = Optimiser(OptimConfig(preset=preset, warmup_epochs=0), [[nn.Parameter(torch.ones(2))]], 1, 20)
        before = opt.lr
        for value in values:
            opt.end_epoch(value)
        assert opt.lr == before


def test_schedule_free_evaluates_with_the_average_of_where_it_was():
    net = network()
    opt = optimiser(net, preset="schedule-free", warmup_epochs=0)
    where = []
    for step in range(10):
        opt.zero()
        loss(net, step).backward()
        opt.step()
        where.append([opt.inner.state[p]["z"].clone() for p in net.parameters()])
    in_training = [p.detach().clone() for p in net.parameters()]
    opt.eval()
    for parameter, *places in zip(net.parameters(), *where, strict=True):
        torch.testing.assert_close(parameter.detach(), torch.stack(places).mean(0), atol=1e-6, rtol=0)
    opt.eval()  # asked twice, it is the same place
    opt.train()
    for parameter, before in zip(net.parameters(), in_training, strict=True):
        torch.testing.assert_close(parameter.detach(), before, atol=1e-6, rtol=0)
        assert not torch.equal(parameter.detach(), before * 0)


def test_schedule_free_warms_up():
    net = network()
    opt = optimiser(net, preset="schedule-free", warmup_epochs=0.5, lr=1.0)
    assert run(net, opt, 0, 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert opt.inner.param_groups[0]["scheduled_lr"] == 1.0


@pytest.mark.parametrize("preset", PRESETS)
def test_norms_and_biases_do_not_decay(preset):
    net = network()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    opt = optimiser(net, preset=preset, weight_decay=0.1, lr=0.01, warmup_epochs=0)
    for _ in range(PER_EPOCH):
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        opt.step()
    opt.eval()
    for name, parameter in net.named_parameters():
        if parameter.ndim > 1:
            assert parameter.norm() < before[name].norm(), name
        else:
            assert torch.equal(parameter.detach(), before[name]), name


def test_the_help_names_each_presets_own_rate_and_decay():
    text = Path(optim.__file__).read_text()
    for kind in ("lr", "weight_decay"):
        own = ", ".join(f"{getattr(parts, kind):g}" for parts in optim.PRESETS.values())
        assert f"Without, the preset's own: {own}." in text


def test_each_preset_has_a_rate_of_its_own_that_a_setting_replaces():
    for preset in PRESETS:
        assert rates(preset, 4, 2, warmup_epochs=0)[0] == optim.PRESETS[preset].lr
        assert rates(preset, 4, 2, warmup_epochs=0, lr=0.125)[0] == 0.125


def test_another_number_of_workers_goes_on_at_the_same_share_of_the_run():
    net = network()
    opt = optimiser(net, preset="adam-cosine", warmup_epochs=0)
    run(net, opt, 0, 2 * PER_EPOCH)
    other = optimiser(network(), per_epoch=PER_EPOCH // 2, preset="adam-cosine", warmup_epochs=0)
    other.load_state_dict(through_a_file(opt.state_dict()))
    assert other.lr == opt.lr
    assert other.done == opt.done // 2


def test_a_run_of_another_length_is_refused_where_the_rate_would_jump():
    saved = optimiser(network(), preset="adam-cosine").state_dict()
    with pytest.raises(ConfigError, match=r"of a run of 4 epochs.*with 9 it would jump"):
        optimiser(network(), epochs=9, preset="adam-cosine").load_state_dict(saved)
    with pytest.raises(ConfigError, match="is of the preset adam-cosine, not sgd-step"):
        optimiser(network(), preset="sgd-step").load_state_dict(saved)
    for preset in ("adamw-plateau", "schedule-free"):
        longer = optimiser(network(), epochs=9, preset=preset)
        longer.load_state_dict(optimiser(network(), preset=preset).state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, r"lr must be above 0 and at most 1e\+30, got 0"),
        ({"lr": math.nan}, r"lr must be above 0 and at most 1e\+30, got nan"),
        ({"lr": math.inf}, r"lr must be above 0 and at most 1e\+30, got inf"),
        ({"lr": 1e38}, r"lr must be above 0 and at most 1e\+30, got 1e\+38"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"warmup_epochs": -0.1}, "warmup_epochs must be at least 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        OptimConfig(**settings)
