"""A process that kills itself by kill -9 just before one of the things that it does to files."""

import os
import signal
import sys
from pathlib import Path

from omokage.apply import disk
from omokage.apply.asked import Asked
from omokage.apply.move import move, undo

TOUCHES = frozenset(
    [
        "open",
        "os.rename",
        "os.link",
        "os.symlink",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.utime",
        "os.chmod",
        "os.chown",
    ]
)
"""Of Python's audit events, those of files; one comes before each call of the system."""


def run(dataset: str, back: bool, quarantine: str | None, at: int, plainly: bool) -> None:
    """Apply the decisions of a dataset, or take them back, and die before the event with number ``at``.

    Only events beside the dataset, or in the quarantine, count.

    Args:
        dataset: Its place.
        back: Whether to take back.
        quarantine: Where to.
        at: From 1; if there are fewer events, the process ends well.
        plainly: Whether the system call that renames without replacing is missing.
    """
    left = at
    watched = tuple(os.fsencode(place) for place in (Path(dataset).parent, quarantine) if place)

    def die(event: str, facts: tuple[object, ...]) -> None:
        nonlocal left
        if event in TOUCHES and isinstance(facts[0], str | bytes) and os.fsencode(facts[0]).startswith(watched):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if plainly:
        disk._renameat2 = lambda: None
    sys.addaudithook(die)
    if back:
        undo(dataset)
    else:
        move(Asked.at(dataset), quarantine)
