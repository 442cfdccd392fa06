"""What a backbone starts from: a file, an entry of the weights store, or the model hub.

A network and a file are matched strictly: every tensor must be there, by name and shape. Only the classifier, which
an embedder has no use for, is left out.
"""

import logging
import pickle
import sys
from pathlib import Path
from typing import Any, Final

import huggingface_hub
import safetensors
import safetensors.torch
import timm
import torch
from huggingface_hub.errors import HfHubHTTPError
from torch import Tensor, nn

from omokage import weights
from omokage.errors import ConfigError, WeightsError

log = logging.getLogger(__name__)

State = dict[str, Tensor]

STORED: Final = {"efficientnet-lite0": "tf_efficientnet_lite0"}
"""Entries of the weights store that hold a backbone, and which."""

HUB_SECONDS = 10
"""How long the model hub may take to answer before it counts as out of reach."""

WAYS_OUT: Final = (
    "Without a network, give one of: a file of the backbone's weights (--weights FILE.safetensors), "
    "--backbone tf_efficientnet_lite0 --weights efficientnet-lite0, or --from-scratch."
)

SHOWN = 3
"""Tensors that an error names of each kind."""


def load(network: nn.Module, backbone: str, source: str | None) -> None:
    """Fill ``network`` with the weights that it starts from.

    Args:
        network: The backbone, without a classifier.
        backbone: Its timm name.
        source: A file, a name of ``STORED``, or None for the model hub.

    Raises:
        ConfigError: There is no such file or name.
        WeightsError: The weights cannot be had, cannot be read, or are those of another network.
    """
    raise NotImplementedError
