"""What the network computes in follows from what the hardware says that it can do."""

import pytest
import torch

from omokage.errors import ConfigError
from omokage.train import precision
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
