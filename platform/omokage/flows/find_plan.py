"""What ``find`` is about to do, and what that will cost on this machine."""

from typing import Final

from omokage.curate.found import Plan
from omokage.curate.weigh import HELD
from omokage.errors import ConfigError
from omokage.flows.find_config import FindConfig
from omokage.flows.index import people
from omokage.index import plan
from omokage.store import Dataset

FIXED: Final = 850_000_000
"""Bytes that programs and libraries take, and work on one block."""

FACE: Final = 450
"""Bytes that are held of each face: ids, names, places in orders. Measured at 1,000,000 and 10,000,000 faces."""

MAPPED: Final = 5 << 17
"""Faces whose vectors may be mapped at once, at least: lists are made of so many before their pages are given back.
Measured at 1,000,000 faces, of 128 and of 512 numbers."""

USUAL: Final = 4_000_000_000
"""Bytes of memory that are used at most where nothing is said and the faces do not take more."""

READ: Final = 15e-6
"""Seconds that a face takes beside comparing: to be read, encoded, put into order and written, on two cores."""


def planned(data: Dataset, other: Dataset | None, config: FindConfig, speed: plan.Speed) -> Plan:
    """Return the plan for a dataset, and another to look for in it, by their heads and this machine's speed alone.

    Raises:
        ConfigError: The memory that is given does not suffice.
    """
    faces = _faces(data)
    persons = people(data)
    reading = faces * READ
    lists = plan.choose_lists(faces, persons, data.dim, speed.pairs)
    by_lists = plan.lists_seconds(faces, persons, data.dim, speed.pairs)
    vectors = 4 * data.dim * faces
    return Plan(
        faces=faces,
        people=persons,
        pairs=faces * (faces - 1) // 2,
        lists=lists,
        method="all pairs are compared" if lists == 1 else f"{lists:,} lists, for a recall of {config.recall}",
        seconds=reading + (plan.exact_seconds(faces, speed.pairs) if lists == 1 else by_lists),
        memory=min(allowed(data, other, config), needed(data, other) + 2 * vectors),
        disk=vectors + vectors // 4 + 150 * faces,
    )


def allowed(data: Dataset, other: Dataset | None, config: FindConfig) -> int:
    """Return the bytes of memory that may be used.

    Raises:
        ConfigError: What is given does not suffice.
    """
    faces = _faces(data)
    least = needed(data, other) + 4 * data.dim * min(MAPPED, 2 * faces)
    given = config.bytes
    if given is None:
        return max(USUAL, least)
    if given < least:
        raise ConfigError(
            f"memory: {faces + _faces(other):,} faces take at least {_said(least)}, and {config.memory} is given: "
            f"take --memory {_said(least)}, or leave it out"
        )
    return given


def needed(data: Dataset, other: Dataset | None) -> int:
    """Return the bytes of memory that finding takes beside mapped vectors and codes."""
    faces = _faces(data) + _faces(other)
    held = 4 * data.dim * faces
    return FIXED + FACE * faces + (held if held <= HELD else 0)


def _faces(data: Dataset | None) -> int:
    return sum(shard.faces for shard in data.head.shards) if data else 0


def _said(size: int) -> str:
    """Return a size as it can be given, rounded up."""
    return f"{-(-size // 100_000_000) / 10:.1f}GB"
