"""The other end of ``isolate.py``: one stage, fed through standard input, without a network.

Only the standard library is imported up here. Numpy and pyarrow start threads, and these would stay in the old
network; and a process with threads may not take a user namespace, which all but root need.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
from typing import Any

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
    blocked = order["block_network"] and block_network()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, whose end is ours
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native libraries print must not get between the messages
    from omokage import config
    from omokage.errors import OmokageError
    from omokage.stages.isolate import BLOCKED, OPEN, read_table, receive, send, table_bytes

    try:
        stage = named(order["stage"])(config.from_json(named(order["config_kind"]), order["config"]))
    except OmokageError as error:
        send(out, str(error).encode())
        return
    send(out, BLOCKED if blocked else OPEN)
    while (message := receive(sys.stdin.buffer)) is not None:
        # The kernel's own clock: it also ends native code that hangs, when there is no parent any more to do it.
        signal.setitimer(signal.ITIMER_REAL, order["seconds"])
        answer = table_bytes(stage(read_table(message)))
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(out, answer)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
