"""What a backbone starts from: a file, an entry of the weights store, or the model hub.

A network and a file are matched strictly: every tensor must be there, by name and shape. Only the classifier, which
an embedder has no use for, is left out.
"""

import difflib
import inspect
import logging
import pickle
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import huggingface_hub
import safetensors
import safetensors.torch
import timm
import torch
from torch import Tensor, nn

from omokage import weights
from omokage.errors import ConfigError, WeightsError

log = logging.getLogger(__name__)

State = dict[str, Tensor]

STORED: Final = {"efficientnet-lite0": "tf_efficientnet_lite0"}
"""Entries of the weights store that hold a backbone, and which."""

HUB_FILES: Final = ("model.safetensors", "pytorch_model.bin")
"""What the hub calls a network's weights, the better one first."""

HUB_SECONDS = 10
"""How long the model hub may take to answer before it counts as out of reach."""

WAYS_OUT: Final = (
    "Without a network there are three ways: a file of the backbone's weights (--weights FILE.safetensors), the "
    "published --weights efficientnet-lite0 with --backbone tf_efficientnet_lite0, or --from-scratch."
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
    if source in STORED:
        state = in_order(read(weights.path(source)), backbone)
        fill(network, state, f"the weights {source}", backbone)
    elif source is not None:
        fill(network, read(_file(source)), source, backbone)
    else:
        fill(network, _from_hub(backbone), f"the model hub's weights of {backbone}", backbone)


def fill(network: nn.Module, state: State, called: str, backbone: str) -> None:
    """Put the tensors of ``state`` into ``network``, all of them by name and shape.

    Where names or shapes differ, timm's own conversion for this network is tried: it knows older names, and resizes
    what depends on the side of the picture.

    Args:
        network: The backbone, without a classifier.
        state: Its tensors; a classifier's are left out, and of a whole embedder all but the backbone's.
        called: What errors call the weights.
        backbone: Its timm name.

    Raises:
        WeightsError: A tensor is missing, unexpected or of another shape.
    """
    state = _without(_own(state), _classifiers(backbone))
    wanted = network.state_dict()
    wrong = differences(wanted, state)
    if wrong:
        state = _without(_converted(network, state), _classifiers(backbone))
        if differences(wanted, state):
            raise WeightsError(f"{called} fits another network than {backbone}: {'; '.join(wrong)}")
    network.load_state_dict(state)
    log.info("%s starts from %s (%d tensors)", backbone, called, len(state))


def differences(wanted: State, given: State) -> list[str]:
    """Return in what ``given`` differs from the names and shapes of ``wanted``; nothing where it fits."""
    kinds = {
        "missing": [name for name in wanted if name not in given],
        "not expected": [name for name in given if name not in wanted],
        "of another shape": [
            f"{name} {_shape(given[name])} for {_shape(wanted[name])}"
            for name in wanted
            if name in given and wanted[name].shape != given[name].shape
        ],
    }
    return [f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names]


def in_order(state: State, backbone: str) -> State:
    """Return ``state`` under the names of timm's ``backbone``, tensor after tensor as both list them.

    Raises:
        WeightsError: The two differ in number, or somewhere in kind or shape.
    """
    wanted = timm.create_model(backbone, pretrained=False).state_dict()
    pairs = list(zip(wanted.items(), state.items(), strict=False))
    if len(wanted) != len(state) or not all(
        old.shape == new.shape and _kind(there) == _kind(here) for (there, old), (here, new) in pairs
    ):
        raise WeightsError(f"these weights are not those of {backbone}: the lists of tensors differ")
    return {name: tensor for (name, _), (_, tensor) in pairs}


def read(file: Path) -> State:
    """Return the tensors of a .safetensors file, or of a torch checkpoint; nothing in it is ever run.

    Raises:
        WeightsError: It is no such file, or holds no tensors.
    """
    try:
        if file.suffix.lower() == ".safetensors":
            return dict(safetensors.torch.load_file(file))
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"cannot read the weights in {file}: {error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        # torch's text tells to switch its check off, which is the wrong advice for a file from elsewhere
        raise WeightsError(
            f"{file} is no checkpoint of tensors only; save it as safetensors, or with torch.save(network.state_dict())"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise WeightsError(f"{file} holds no tensors by name: give a state_dict of the backbone")
    return {name.removeprefix("_orig_mod.").removeprefix("module."): tensor for name, tensor in found.items()}


def _file(source: str) -> Path:
    file = Path(source).expanduser()
    if file.is_file():
        return file
    near = difflib.get_close_matches(source, STORED, n=1)
    hint = f"did you mean {near[0]}?" if near else f"give a file, or one of the names {', '.join(STORED)}"
    raise ConfigError(f"there are no weights at {source}; {hint}")


def _own(state: State) -> State:
    """Return the backbone's part if ``state`` is that of a whole embedder, which ``export`` writes."""
    part = {name.removeprefix("backbone."): tensor for name, tensor in state.items() if name.startswith("backbone.")}
    return part or state


def _without(state: State, parts: Iterable[str]) -> State:
    return {name: tensor for name, tensor in state.items() if name.rpartition(".")[0] not in parts}


def _classifiers(backbone: str) -> tuple[str, ...]:
    known = timm.get_pretrained_cfg(backbone)
    named = known.classifier if known is not None else None
    return (named,) if isinstance(named, str) else tuple(named or ())


def _converted(network: nn.Module, state: State) -> State:
    """Return ``state`` as timm converts it for this network, where it has a conversion."""
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is None or len(inspect.signature(convert).parameters) < 2:
        return state
    try:
        return dict(convert(dict(state), network))
    except (KeyError, RuntimeError, ValueError, IndexError, AttributeError, AssertionError):
        return state  # not what it can convert: the differences are told of the file as it is


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _from_hub(backbone: str) -> State:
    """Return the published weights, from the hub's cache on this machine if they are there.

    Raises:
        WeightsError: None are published, or the hub cannot be reached.
    """
    known = timm.get_pretrained_cfg(backbone)
    if known is None or not (known.hf_hub_id or known.url):
        raise WeightsError(f"no pretrained weights of {backbone} are published; use --from-scratch, or --weights FILE")
    try:
        if known.hf_hub_id:
            return read(_hub_file(known.hf_hub_id, known.hf_hub_filename))
        return dict(torch.hub.load_state_dict_from_url(str(known.url), map_location="cpu", weights_only=True))
    except OSError as error:
        raise WeightsError(f"cannot fetch the pretrained weights of {backbone}: {error}\n{WAYS_OUT}") from error


def _hub_file(repository: str, named: str | None) -> Path:
    names = (named,) if named else HUB_FILES
    for name in names:
        kept = huggingface_hub.try_to_load_from_cache(repository, name)
        if isinstance(kept, str):
            return Path(kept)
    # The hub's own client tries again for most of a minute, per file, where there is no network at all: ask first.
    there = [name for name in names if _there(huggingface_hub.hf_hub_url(repository, name))]
    return Path(huggingface_hub.hf_hub_download(repository, (there or names)[0], etag_timeout=HUB_SECONDS))


def _there(url: str) -> bool:
    """Return whether a site has this file; also True where it only says that one must log in.

    Raises:
        OSError: It does not answer.
    """
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=HUB_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code != 404
    except urllib.error.URLError as error:
        raise OSError(f"the model hub does not answer: {error.reason}") from error
