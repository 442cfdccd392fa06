import os
import socket
import time
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from torch import nn

from omokage import weights
from omokage.errors import ConfigError, WeightsError
from omokage.train import pretrained
from omokage.train.model import Embedder, InputSpec, ModelConfig, build

TINY = {"resnet": "test_resnet", "vit": "test_vit", "mobile": "mobilenetv3_small_050", "effnet": "test_efficientnet"}
CONV = TINY["effnet"]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def no_network(monkeypatch):
    """A machine on which any use of the network is a failure."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def scratch(backbone: str = CONV, **settings) -> Embedder:
    return build(ModelConfig(backbone=backbone, from_scratch=True, **{"dim": 16, **settings}))


def saved(backbone: str, file: Path, num_classes: int = 5) -> dict[str, torch.Tensor]:
    """Write the weights of a network, classifier and all, and return them."""
    state = timm.create_model(backbone, num_classes=num_classes).state_dict()
    if file.suffix == ".safetensors":
        safetensors.torch.save_file(state, file)
    else:
        torch.save(state, file)
    return state


@pytest.mark.parametrize("backbone", TINY.values())
@pytest.mark.parametrize("batch_norm", [True, False])
def test_forward_and_backward(backbone, batch_norm, no_network):
    net = scratch(backbone, batch_norm=batch_norm)
    side = net.input.size
    pixels = net.normalised(torch.rand(4, 3, side, side))
    out = net(pixels)
    assert (out.shape, out.dtype) == ((4, 16), torch.float32)
    torch.testing.assert_close(out.detach().norm(dim=1), torch.ones(4), atol=1e-6, rtol=0)
    (out @ torch.randn(16)).sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []
    moved = [name for name, p in net.named_parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert "head.weight" in moved
    assert any(name.startswith("backbone.") for name in moved)


def test_the_default():
    config = ModelConfig(from_scratch=True)
    net = build(config)
    assert (config.backbone, config.dim) == ("tf_efficientnetv2_b0", 512)
    # what timm's own page of the network says
    assert net.input == InputSpec(size=192, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert net(torch.zeros(2, 3, 192, 192)).shape == (2, 512)


def test_input_size_of_ones_own():
    assert scratch(input_size=64).input.size == 64
    vit = scratch("vit_tiny_patch16_224", input_size=96)
    assert vit.input.size == 96
    assert vit(torch.zeros(2, 3, 96, 96)).shape == (2, 16)
    with pytest.raises(ConfigError, match="must be a multiple of 16 px for vit_tiny_patch16_224, got 100"):
        scratch("vit_tiny_patch16_224", input_size=100)


def test_normalised_is_timms_own():
    net = scratch("resnet10t", input_size=32)
    pixels = torch.rand(2, 3, 32, 32)
    timms = timm.data.create_transform(input_size=32, mean=net.input.mean, std=net.input.std).transforms[-1]
    torch.testing.assert_close(net.normalised(pixels), timms(pixels))
    last = net.normalised(pixels.contiguous(memory_format=torch.channels_last))
    assert torch.equal(last, net.normalised(pixels)) and last.is_contiguous(memory_format=torch.channels_last)
    assert net.input.mean == (0.485, 0.456, 0.406)


def test_unit_length_and_float32_under_autocast():
    net = scratch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(torch.randn(4, 3, net.input.size, net.input.size))
    assert out.dtype == torch.float32
    # bf16 itself has 3 digits: lengths this close to 1 were never rounded to it
    torch.testing.assert_close(out.detach().norm(dim=1), torch.ones(4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("filling", [0.0, 1e-30, 1e18])
def test_embeddings_of_no_length_or_of_a_huge_one_stay_finite(filling):
    net = scratch(batch_norm=False)
    nn.init.constant_(net.head.weight, filling)
    nn.init.constant_(net.head.bias, filling)
    out = net(torch.randn(2, 3, net.input.size, net.input.size))
    assert out.isfinite().all()
    out.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.head.parameters())


def test_a_typo_names_what_is_near():
    with pytest.raises(ConfigError, match=r"no network called 'resnet19'; did you mean resnet18 or .*\?"):
        ModelConfig(backbone="resnet19")
    with pytest.raises(ConfigError, match=r"'zzzzzzzz'; timm.list_models\(\) lists its \d,\d{3}"):
        ModelConfig(backbone="zzzzzzzz")


@pytest.mark.parametrize("backbone", ["hf-hub:timm/resnet18", "timm/resnet18", "./resnet18", "", "local-dir:/tmp/x"])
def test_only_names_of_timm(backbone, no_network):
    with pytest.raises(ConfigError, match="timm has no network called"):
        ModelConfig(backbone=backbone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 1}, "dim must lie in 2 to 4096, got 1"),
        ({"input_size": 31}, "input_size must lie in 32 to 1024 px, got 31"),
        ({"from_scratch": True, "weights": "x.pth"}, "from_scratch and weights exclude each other"),
        ({"weights": "efficientnet-lite0"}, "fit the backbone tf_efficientnet_lite0, not tf_efficientnetv2_b0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**settings)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("backbone", [CONV, TINY["vit"]])
def test_weights_of_a_file(backbone, name, tmp_path, no_network):
    state = saved(backbone, tmp_path / name)
    net = build(ModelConfig(backbone=backbone, weights=str(tmp_path / name), dim=16))
    loaded = net.backbone.state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in loaded)
    assert len(state) == len(loaded) + 2  # the classifier's two tensors are left out


def test_weights_in_a_wrapping(tmp_path):
    state = timm.create_model(CONV, num_classes=0).state_dict()
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "w.pt")
    net = build(ModelConfig(backbone=CONV, weights=str(tmp_path / "w.pt")))
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.backbone.state_dict().items())


def test_weights_of_an_embedder_give_its_backbone(tmp_path):
    trained = scratch()
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "model.safetensors")
    net = build(ModelConfig(backbone=CONV, weights=str(tmp_path / "model.safetensors"), dim=8))
    assert all(torch.equal(t, trained.backbone.state_dict()[name]) for name, t in net.backbone.state_dict().items())


def test_weights_for_another_side_of_picture_are_resized_as_timm_does(tmp_path):
    state = saved("vit_tiny_patch16_224", tmp_path / "w.pth")
    net = build(ModelConfig(backbone="vit_tiny_patch16_224", weights=str(tmp_path / "w.pth"), input_size=96))
    assert net.backbone.pos_embed.shape == (1, 1 + 36, 192)
    assert torch.equal(net.backbone.blocks[3].attn.qkv.weight, state["blocks.3.attn.qkv.weight"])


def test_a_file_of_another_network_is_refused_by_the_names_of_its_tensors(tmp_path):
    saved("test_resnet", tmp_path / "w.pth")
    with pytest.raises(WeightsError) as caught:
        build(ModelConfig(backbone=CONV, weights=str(tmp_path / "w.pth")))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/w.pth fits another network than {CONV}: ")
    assert "missing (conv_stem.weight, " in text
    assert "not expected (" in text
    assert text.count(",") < 30  # a few of them


def test_a_file_of_a_wider_network_of_the_same_kind_is_refused_by_shapes(tmp_path):
    saved("mobilenetv3_small_075", tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"\d+ of another shape \(.*conv_pw.weight \d+x\d+x1x1 for \d+x\d+x1x1"):
        build(ModelConfig(backbone="mobilenetv3_small_050", weights=str(tmp_path / "w.pth")))


def test_a_single_missing_tensor_is_not_overlooked(tmp_path):
    state = timm.create_model(CONV, num_classes=0).state_dict()
    del state["conv_stem.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"1 missing \(conv_stem.weight\)$"):
        build(ModelConfig(backbone=CONV, weights=str(tmp_path / "w.pth")))


class Trap:
    def __reduce__(self):
        return os.mkdir, (os.environ["TRAP"],)


def test_a_file_never_runs_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    torch.save({"conv_stem.weight": Trap()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="is no checkpoint of tensors only; save it as safetensors"):
        pretrained.read(tmp_path / "w.pth")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04" + bytes(100)])
def test_a_file_of_something_else(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=str(tmp_path / name)):
        pretrained.read(tmp_path / name)


@pytest.mark.parametrize("content", [{}, [1, 2], {"lr": 0.1}, torch.zeros(2)])
def test_a_checkpoint_without_tensors_by_name(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        pretrained.read(tmp_path / "w.pth")


def test_no_such_weights(no_network):
    with pytest.raises(ConfigError, match=r"no weights at none\.pth; give a file, or one of the names efficient"):
        build(ModelConfig(backbone=CONV, weights="none.pth"))
    with pytest.raises(ConfigError, match=r"did you mean efficientnet-lite0\?"):
        build(ModelConfig(backbone=CONV, weights="efficientnet_lite0"))


def test_the_stores_efficientnet_lite0_is_taken_tensor_by_tensor():
    net = build(ModelConfig(backbone="tf_efficientnet_lite0", weights="efficientnet-lite0"))
    assert net.input == InputSpec(size=224, mean=(0.5,) * 3, std=(0.5,) * 3)
    state = pretrained.read(weights.path("efficientnet-lite0"))
    assert len(state) == 296
    loaded = net.backbone.state_dict()
    assert len(loaded) == 294
    assert all(torch.equal(a, b) for a, b in zip(loaded.values(), list(state.values())[:294], strict=True))
    assert (
        ModelConfig(backbone="tf_efficientnet_lite0", weights="efficientnet-lite0").licence().startswith("Apache-2.0")
    )


def test_tensors_in_another_order_are_refused():
    state = pretrained.read(weights.path("efficientnet-lite0"))
    names = list(state)
    names[1], names[2] = names[2], names[1]  # a batch norm's weight and bias have one shape
    with pytest.raises(WeightsError, match="the lists of tensors differ"):
        pretrained.in_order({name: state[name] for name in names}, "tf_efficientnet_lite0")
    with pytest.raises(WeightsError, match="the lists of tensors differ"):
        pretrained.in_order(dict(list(state.items())[:-1]), "tf_efficientnet_lite0")


def test_without_a_network_three_ways_out_are_named_at_once(monkeypatch):
    def no_such_host(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    start = time.monotonic()
    with pytest.raises(WeightsError, match="cannot fetch the pretrained weights of test_resnet: ") as caught:
        build(ModelConfig(backbone="test_resnet"))
    assert time.monotonic() - start < 5
    assert all(way in str(caught.value) for way in ("--weights FILE", "efficientnet-lite0", "--from-scratch"))


def test_the_hub_is_asked_for_nothing_that_is_on_this_machine(monkeypatch, tmp_path, no_network):
    state = saved("test_resnet", tmp_path / "model.safetensors")
    asked = []

    def kept(repository: str, name: str) -> str | None:
        asked.append((repository, name))
        return str(tmp_path / name) if name == "model.safetensors" else None

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", kept)
    net = build(ModelConfig(backbone="test_resnet", dim=4))
    assert asked == [("timm/test_resnet.r160_in1k", "model.safetensors")]
    assert all(torch.equal(t, state[name]) for name, t in net.backbone.state_dict().items())


def test_a_backbone_without_published_weights(no_network):
    name = next(n for n in timm.list_models() if not timm.get_pretrained_cfg(n).has_weights)
    with pytest.raises(WeightsError, match=f"no pretrained weights of {name} are published; use --from-scratch"):
        pretrained.load(nn.Identity(), name, None)


def test_licences():
    assert ModelConfig(backbone="resnet18").licence() == "apache-2.0"
    assert ModelConfig(backbone="resnet18", weights="x.pth").licence() == "unknown"
    assert ModelConfig(backbone="resnet18", from_scratch=True).licence() == "none: trained from random numbers"


def test_the_same_seed_gives_the_same_network():
    nets = []
    for _ in range(2):
        torch.manual_seed(3)
        nets.append(scratch().state_dict())
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])
