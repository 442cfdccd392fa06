"""How the work will be done, and what it will cost, before it begins.

The costs come from rates that are measured on this machine, in pairs of codes a second.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from omokage.index.around import STRAY, stray_lists
from omokage.index.coder import Coder, Kind
from omokage.index.lists import GRAPH, POINTS, ROUNDS
from omokage.index.product import rate
from omokage.index.threads import each

SHORT: Final = 3.0
"""Seconds: an exact join that takes no longer than this needs no lists."""

PROBED: Final = 8
"""Lists that a face is joined with, as a first guess; the rule that is chosen later says how many."""

FACES_A_LIST: Final = 8
"""What lists are aimed at, at least."""

SEEN: Final = 128
"""Lists near a person that each of its faces is compared with, about."""

MEANS: Final = 2 << 30
"""Bytes that the means of people may take."""

ASSIGN: Final = 0.4
"""Rate of finding the nearest lists against that of a join: more comes out of a block."""

TRAIN: Final = 0.25
"""Rate of FAISS's k-means, in float32, against that of a join."""


CLEARLY: Final = 1.5
"""By how much float32 must be faster than int8 to be taken: a busy moment must not change what lists are made of."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What this machine does."""

    kind: Kind
    """Of codes: int8, or float32 where that is clearly faster."""
    pairs: float
    """Pairs of codes a second, all cores."""


def speed(dim: int, cores: int, device: str = "cpu") -> Speed:
    """Return how fast this machine compares codes of ``dim`` numbers, by trying."""
    kinds: tuple[Kind, Kind] = ("int8", "float32")
    rates = list(each(lambda kind: rate(kind, Coder(kind, dim).length, device), kinds, threads=1))
    best = int(rates[1] > CLEARLY * rates[0])
    return Speed(kinds[best], rates[best] * (cores if device == "cpu" else 1))


def exact_seconds(faces: int, pairs_a_second: float) -> float:
    """Return how long comparing all pairs takes."""
    return faces * faces / 2 / pairs_a_second


def around_people(faces: int, people: int, dim: int) -> bool:
    """Return whether lists lie around people: enough of them, with enough faces, and room for their means."""
    return np.sqrt(faces) <= people <= faces / FACES_A_LIST and people * dim * 8 <= MEANS


def lists_seconds(faces: int, people: int, dim: int, pairs_a_second: float) -> float:
    """Return how long a join by lists takes, finding them included."""
    lists = _lists(faces, people)
    if around_people(faces, people, dim):
        find = people * lists + faces * (STRAY * lists + SEEN)
    else:
        find = min(lists, GRAPH) * (min(faces, lists * POINTS) * ROUNDS * ASSIGN / TRAIN + faces)
    return float(find / ASSIGN + faces * (faces / lists) * PROBED) / pairs_a_second


def choose_lists(faces: int, people: int, dim: int, pairs_a_second: float) -> int:
    """Return how many lists to begin with; 1 means comparing all pairs.

    Somewhat more than people, so that few share a list and one's faces lie in few: then a face need not probe many
    lists to meet its likes. But not so many that there are hardly any faces in them.
    """
    exact = exact_seconds(faces, pairs_a_second)
    dear = exact <= SHORT or lists_seconds(faces, people, dim, pairs_a_second) >= exact
    return 1 if dear else _lists(faces, people)


def _lists(faces: int, people: int) -> int:
    least = 4 * np.sqrt(faces)
    return int(np.clip(people + stray_lists(people), least, max(faces / FACES_A_LIST, least)))
