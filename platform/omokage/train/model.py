"""The network that is trained: a backbone by its timm name, a linear head, vectors of length 1.

Shape key: B faces, C = 3 channels (RGB), H rows = W columns of a face, F features of the backbone, E numbers of an
embedding.
"""

import difflib
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.data.config import resolve_data_config
from timm.layers.patch_embed import PatchEmbed
from torch import Tensor, nn

from omokage import weights
from omokage.errors import ConfigError
from omokage.train import pretrained

LEAST_LENGTH = 1e-6
"""A raw embedding shorter than this is divided by this instead: it stays finite, and so does its gradient."""

SMALLEST_INPUT, LARGEST_INPUT = 32, 1024
"""Sides of a face that a backbone is given, px. Below, most of them have no row left at the end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """What is trained, and what it starts from."""

    backbone: str = "tf_efficientnetv2_b0"
    """Any image network of timm by its name, such as resnet18, mobilenetv3_small_100 or vit_tiny_patch16_224."""

    weights: str | None = None
    """What the backbone starts from: a .safetensors or .pt/.pth file of it, or efficientnet-lite0 (for the backbone
    tf_efficientnet_lite0). Without, its pretrained weights are fetched from the model hub."""

    from_scratch: bool = False
    """Start from random numbers; nothing is fetched."""

    dim: int = 512
    """Numbers of an embedding; 2 to 4096."""

    batch_norm: bool = True
    """Batch normalisation after the linear head, which spreads the embeddings of a fresh head over all directions."""

    input_size: int | None = None
    """Side of the faces as the network sees them, px; 32 to 1024. Without, what the backbone was made for."""

    def __post_init__(self) -> None:
        """Reject what no network could be made of."""
        _check_name(self.backbone)
        if self.from_scratch and self.weights is not None:
            raise ConfigError("from_scratch and weights exclude each other: give one of them")
        if self.weights in pretrained.STORED and self.backbone != pretrained.STORED[self.weights]:
            fits = pretrained.STORED[self.weights]
            raise ConfigError(f"the weights {self.weights} fit the backbone {fits}, not {self.backbone}")
        if not 2 <= self.dim <= 4096:
            raise ConfigError(f"dim must lie in 2 to 4096, got {self.dim}")
        if self.input_size is not None and not SMALLEST_INPUT <= self.input_size <= LARGEST_INPUT:
            raise ConfigError(f"input_size must lie in {SMALLEST_INPUT} to {LARGEST_INPUT} px, got {self.input_size}")

    def licence(self) -> str:
        """Return the licence of what the backbone starts from, as far as it is known."""
        if self.from_scratch:
            return "none: trained from random numbers"
        if self.weights is None:
            known = timm.get_pretrained_cfg(self.backbone)
            return str(known.license) if known is not None and known.license else "unknown"
        return weights.ENTRIES[self.weights].licence if self.weights in pretrained.STORED else "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSpec:
    """How a face reaches the network: RGB, resized to a square, ``(value - mean) / std`` of values from 0 to 1."""

    size: int
    """Side, px."""
    mean: tuple[float, float, float]
    """One a channel."""
    std: tuple[float, float, float]
    """One a channel, none 0."""


class Embedder(nn.Module):
    """Backbone and head. Made with random numbers; ``build`` gives it what its config says that it starts from.

    Attributes:
        config: What it was made by.
        input: How faces reach it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone, self.input = _backbone(config)
        features = _features(self.backbone, config, self.input.size)
        self.head = nn.Linear(features, config.dim, bias=not config.batch_norm)
        self.norm = nn.BatchNorm1d(config.dim) if config.batch_norm else nn.Identity()
        self.mean_C11: Tensor
        self.std_C11: Tensor
        self.register_buffer("mean_C11", torch.tensor(self.input.mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std_C11", torch.tensor(self.input.std).reshape(3, 1, 1), persistent=False)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Return embeddings of length 1, in float32 also under autocast. Shape (B, E).

        Args:
            pixels_BCHW: Faces as ``normalised`` gives them. Shape (B, 3, size, size).
        """
        raw_BE: Tensor = self.norm(self.head(self.backbone(pixels_BCHW))).float()
        length_B1: Tensor = torch.linalg.vector_norm(raw_BE, dim=1, keepdim=True)
        return raw_BE / length_B1.clamp_min(LEAST_LENGTH)

    def normalised(self, pixels_BCHW: Tensor) -> Tensor:
        """Return RGB values from 0 to 1 as the network takes them. Shape (B, 3, H, W)."""
        pixels_BHWC = pixels_BCHW.permute(0, 2, 3, 1)
        scale_C11, offset_C11 = 1 / self.std_C11, -self.mean_C11 / self.std_C11
        if not pixels_BHWC.is_contiguous():
            return torch.addcmul(offset_C11, pixels_BCHW, scale_C11)
        # A row at a time: torch takes as long for three colours as for hundreds of numbers that lie side by side
        width = pixels_BHWC.shape[2]
        scale_N, offset_N = (each.flatten().repeat(width) for each in (scale_C11, offset_C11))
        row_BHN = torch.addcmul(offset_N, pixels_BHWC.flatten(2), scale_N)
        return row_BHN.view(pixels_BHWC.shape).permute(0, 3, 1, 2)


def build(config: ModelConfig) -> Embedder:
    """Return the network that training starts from.

    Only without ``weights`` and ``from_scratch`` is the model hub asked, and only if its file is not in the cache.
    The head's numbers, and with ``from_scratch`` all, come from torch's generator: seed it first.

    Raises:
        ConfigError: The backbone takes no such pictures.
        WeightsError: The weights cannot be had, or are those of another network.
    """
    embedder = Embedder(config)
    if not config.from_scratch:
        pretrained.load(embedder.backbone, config.backbone, config.weights)
    return embedder


def beginning(config: ModelConfig, seed: int) -> dict[str, Tensor] | None:
    """Return the state of the network that training starts from, kept with the run; None where it is random numbers.

    Args:
        config: The network.
        seed: Of the head's numbers.

    Raises:
        ConfigError: The backbone takes no such pictures.
        WeightsError: The weights cannot be had, or are those of another network.
    """
    if config.from_scratch:
        return None
    torch.manual_seed(seed)
    return build(config).state_dict()


def _check_name(backbone: str) -> None:
    if timm.is_model(backbone) and ":" not in backbone:
        return
    names = timm.list_models()
    near = difflib.get_close_matches(backbone, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"timm.list_models() lists its {len(names):,}"
    raise ConfigError(f"timm has no network called {backbone!r}; {hint}")


def _backbone(config: ModelConfig) -> tuple[nn.Module, InputSpec]:
    known = timm.get_pretrained_cfg(config.backbone)
    options: dict[str, Any] = {}
    if config.input_size is not None and known is not None and known.fixed_input_size:
        options["img_size"] = config.input_size
    network = timm.create_model(config.backbone, pretrained=False, num_classes=0, **options)
    data: dict[str, Any] = resolve_data_config({}, model=network)  # type: ignore[no-untyped-call]
    size = config.input_size or int(data["input_size"][1])
    return network, InputSpec(size=size, mean=tuple(data["mean"]), std=tuple(data["std"]))


def _features(network: nn.Module, config: ModelConfig, size: int) -> int:
    """Return how many numbers the backbone gives for a face, by asking it."""
    patch = _patch(network)
    if size % patch:
        raise ConfigError(f"input_size must be a multiple of {patch} px for {config.backbone}, got {size}")
    training = network.training
    try:
        with torch.no_grad():
            shape = tuple(network.eval()(torch.zeros(1, 3, size, size)).shape)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"{config.backbone} takes no faces of {size} px; leave input_size out, or give a multiple of 32 ({error})"
        ) from error
    finally:
        network.train(training)
    if len(shape) != 2:
        raise ConfigError(f"{config.backbone} gives no feature vector for a picture (its output is {shape})")
    return int(shape[1])


def _patch(network: nn.Module) -> int:
    """Return what the input's side must be a multiple of: a vision transformer's patch; else 1."""
    for module in network.modules():
        if isinstance(module, PatchEmbed):
            return int(module.patch_size[0])
    return 1
