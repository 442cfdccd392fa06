"""What the network computes in follows from what the hardware says that it can do."""

import dataclasses

import numpy as np
import pytest
import torch
from lessons import changed, recipe

from omokage.errors import ConfigError
from omokage.train import precision
from omokage.train.learner import Learner
from omokage.train.loader import Batch
from omokage.train.losses import LossConfig
from omokage.train.optim import OptimConfig
from omokage.train.precision import choose, cpu_flags
from omokage.train.scaler import FIRST, Scaler

CPU = torch.device("cpu")


@pytest.fixture
def flags(monkeypatch):
    def have(*some: str) -> None:
        monkeypatch.setattr(precision, "cpu_flags", lambda: frozenset(some))

    return have


@pytest.mark.parametrize("some", [(), ("avx2",), ("avx512_bf16", "avx512f")])
def test_a_cpu_without_matrix_units_for_bf16_never_takes_it_by_itself(flags, some):
    flags(*some)
    found = choose("auto", True, CPU)
    assert found.kind == "float32" and found.autocast is None and not found.scaled
    assert found.layout == torch.channels_last and "amx_bf16" in found.why


def test_one_with_them_does(flags):
    flags("avx2", "amx_bf16")
    assert choose("auto", False, CPU).autocast == torch.bfloat16
    assert choose("auto", False, CPU).layout == torch.contiguous_format


def test_what_is_asked_for_is_taken_and_fp16_on_a_cpu_is_not_to_be_had():
    assert choose("bf16", True, CPU).autocast == torch.bfloat16
    with pytest.raises(ConfigError, match="fp16 is for GPUs"):
        choose("fp16", True, CPU)


def test_flags_are_those_that_the_system_states(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor : 0\nflags\t\t: fpu avx512_bf16 amx_bf16\nprocessor : 1\nflags\t\t: fpu\n")
    assert cpu_flags(file) == {"fpu", "avx512_bf16", "amx_bf16"}
    assert cpu_flags(tmp_path / "none") == frozenset()


def test_a_loss_scale_falls_with_each_gradient_that_is_too_big_and_rises_after_many_good_ones(monkeypatch):
    monkeypatch.setattr("omokage.train.scaler.PATIENCE", 3)
    scaler = Scaler(needed=True)
    weight = torch.ones(2, requires_grad=True)
    scaler.scaled((weight * 3).sum()).backward()
    assert torch.equal(weight.grad, torch.full((2,), 3 * FIRST))
    scaler.unscale([weight.grad])
    assert torch.equal(weight.grad, torch.full((2,), 3.0))
    assert not scaler.goes_on(torch.tensor(float("inf"))) and scaler.scale == FIRST / 2
    assert [scaler.goes_on(torch.tensor(1.0)) for _ in range(3)] == [True] * 3 and scaler.scale == FIRST
    other = Scaler(needed=True)
    other.load_state_dict(scaler.state_dict())
    assert other.scale == scaler.scale and other.good == scaler.good


def test_a_scale_that_is_not_needed_changes_nothing():
    scaler = Scaler(needed=False)
    loss = torch.tensor(2.0)
    assert scaler.scaled(loss) is loss and scaler.goes_on(torch.tensor(float("nan")))


def test_weights_of_people_that_are_spread_move_alike_under_a_scale_and_stay_in_a_step_that_is_given_up():
    what = changed(
        recipe(),
        loss=LossConfig(loss="cosface", scale=16.0, sampled=1.0),
        optim=OptimConfig(preset="sgd-step", lr=0.1, warmup_epochs=0),
    )
    what = dataclasses.replace(what, augment=dataclasses.replace(what.augment, strength=0))
    label_B = torch.arange(8) % 4
    pixels_BCHW = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = Batch(pixels_BCHW, label_B, np.arange(8))

    def rows_after(scaled, given_up=0):
        learner = Learner(what, 4, 1, CPU)
        learner.scaler = Scaler(scaled)
        held = learner.objective.loss.weight_LKE
        first = held.clone()
        for _ in range(given_up):
            handle = learner.embedder.head.weight.register_hook(lambda grad: grad + torch.inf)
            assert not learner.step([batch], torch.Generator()).kept and torch.equal(held, first)
            handle.remove()
        learner.embedder.eval()  # batch norms have seen the batch once more by then
        assert learner.step([batch], torch.Generator()).kept and not torch.equal(held, first)
        return held

    torch.testing.assert_close(rows_after(True), rows_after(False), rtol=1e-5, atol=1e-6)
    assert rows_after(True, given_up=1).isfinite().all()
