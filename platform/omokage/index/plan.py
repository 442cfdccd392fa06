"""How the work will be done, and what it will cost, before it begins.

The costs come from rates that are measured on this machine, in pairs of codes a second.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from omokage.index.coder import Coder, Kind
from omokage.index.lists import GRAPH, POINTS, ROUNDS
from omokage.index.product import rate
from omokage.index.threads import each

SHORT: Final = 3.0
"""Seconds: an exact join that takes no longer than this needs no lists."""

PROBED: Final = 8
"""Lists that a face is joined with, as a first guess; the rule that is chosen later says how many."""

LISTS_A_PERSON: Final = 1.4
FACES_A_LIST: Final = 8
"""What lists are aimed at."""

ASSIGN: Final = 0.4
"""Rate of finding the nearest lists against that of a join: more comes out of a block."""

TRAIN: Final = 0.25
"""Rate of FAISS's k-means, in float32, against that of a join."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What this machine does."""

    kind: Kind
    """Of codes: those that it compares fastest."""
    pairs: float
    """Pairs of codes a second, all cores."""


def speed(dim: int, cores: int, device: str = "cpu") -> Speed:
    """Return how fast this machine compares codes of ``dim`` numbers, by trying."""
    kinds: tuple[Kind, Kind] = ("int8", "float32")
    rates = list(each(lambda kind: rate(kind, Coder(kind, dim).length, device), kinds, threads=1))
    best = int(np.argmax(rates))
    return Speed(kinds[best], rates[best] * (cores if device == "cpu" else 1))


def exact_seconds(faces: int, pairs_a_second: float) -> float:
    """Return how long comparing all pairs takes."""
    return faces * faces / 2 / pairs_a_second


def lists_seconds(faces: int, lists: int, pairs_a_second: float) -> float:
    """Return how long a join by so many lists takes, training and assigning included."""
    train = min(lists, GRAPH) * min(faces, lists * POINTS) * ROUNDS / TRAIN
    assign = faces * min(lists, GRAPH) / ASSIGN
    join = faces * (faces / lists) * PROBED
    return (train + assign + join) / pairs_a_second


def choose_lists(faces: int, people: int, pairs_a_second: float) -> int:
    """Return how many lists to begin with; 1 means comparing all pairs.

    Somewhat more than people, so that few share a list and one's faces lie in few: then a face need not probe many
    lists to meet its likes. But not so many that there are hardly any faces in them.
    """
    lists = int(np.clip(LISTS_A_PERSON * people, 4 * np.sqrt(faces), max(faces / FACES_A_LIST, 4 * np.sqrt(faces))))
    exact = exact_seconds(faces, pairs_a_second)
    return 1 if exact <= SHORT or lists_seconds(faces, lists, pairs_a_second) >= exact else lists
