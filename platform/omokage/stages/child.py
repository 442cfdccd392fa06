"""The other end of ``isolate.py``: one stage, fed through standard input, without a network."""

import ctypes
import importlib
import json
import os
import sys
from typing import Any

from omokage import config
from omokage.errors import OmokageError
from omokage.stages.isolate import BLOCKED, OPEN, read_table, receive, send, table_bytes

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def block_network() -> bool:
    """Return whether this process now is in an empty network namespace.

    Root may simply leave; others first take a user namespace of their own, where the kernel lets them.
    """
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    return bool(unshare(CLONE_NEWNET) == 0 or unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)


def named(place: str) -> Any:
    """Return what ``module:name`` names."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def main(order: dict[str, Any]) -> None:
    """Build the stage and answer batches until standard input ends."""
    blocked = order["block_network"] and block_network()  # before any library starts a thread
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native libraries print must not get between the messages
    try:
        stage = named(order["stage"])(config.from_json(named(order["config_kind"]), order["config"]))
    except OmokageError as error:
        send(out, str(error).encode())
        return
    send(out, BLOCKED if blocked else OPEN)
    while (message := receive(sys.stdin.buffer)) is not None:
        send(out, table_bytes(stage(read_table(message))))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
