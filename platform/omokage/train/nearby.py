"""Where a search looks next that climbs: beside the best settings so far, one of them changed.

Base settings are seldom bad in everything, and points far from them in everything are mostly worse. So a short search
finds more by small changes of what is known to be good, each kept where it helped, than by points drawn at random. As
one setting is changed at a time, the report also says what each change did.
"""

import math
import random
from collections.abc import Iterable
from typing import Any, Final

from omokage.errors import ConfigError
from omokage.train.optim import PRESETS
from omokage.train.recipe import Recipe
from omokage.train.space import LOSS, TRIES, Point, Range, Space
from omokage.train.tuned import TrialLine

PRESET: Final = "optim.preset"
RATE: Final = "optim.lr"

STEP: Final = (1 / 8, 3 / 8)
"""Least and most by which a number is changed, as a share of its range (of its logarithm's, where that is even)."""


def beside(space: Space, lines: Iterable[TrialLine], number: int, seed: int) -> Point | None:
    """Return the point of a trial: the best so far with one setting changed; None where nothing new was found.

    Settings are changed in turn, in an order that the seed decides. What a trial is given depends on the seed, its
    number and the trials before it, so a search that is taken up goes on as it would have.

    Args:
        space: What may be tried.
        lines: Trials known so far; those that still run, or failed, are no place to begin at.
        number: Of the trial; 0 is the base itself.
        seed: At least 0.
    """
    if number == 0:
        return {}
    known = list(lines)
    ended = [line for line in known if line.counts and line.status != "running"]
    best = max(ended, key=lambda line: (line.best, -line.number), default=None)
    origin = best.point if best is not None else {}
    tried = [space.recipe(line.point) for line in known] + [space.base]
    there = [name for name in sorted(space.ranges) if _has(space.recipe(origin), name)]
    if not there:
        return None
    order = random.Random(seed).sample(there, len(there))
    rng = random.Random(f"{seed} {number}")
    for attempt in range(TRIES):  # where a setting has nothing new to offer, the next one has its turn
        name = order[(number - 1 + attempt) % len(order)]
        point = _changed(space, origin, name, rng)
        try:
            recipe = space.recipe(point)
        except ConfigError:
            continue
        if recipe not in tried:
            return point
    return None


def _changed(space: Space, origin: Point, name: str, rng: random.Random) -> Point:
    """Return a point with another value of one setting, and without what belonged to its old value."""
    value = moved(space.ranges[name], now(space.recipe(origin), name), rng)
    left = {key: old for key, old in origin.items() if not (name == PRESET and key == RATE)}  # a rate is of its preset
    if name == LOSS:
        left = {key: old for key, old in left.items() if not key.startswith("loss.")}
    point = {**left, name: value}
    return space.kept({key: point[key] for key in space.ranges if key in point})


def now(recipe: Recipe, name: str) -> Any:
    """Return what a setting is, also where it is left to the preset or the loss; None where that has none."""
    part, field = name.split(".")
    value = getattr(getattr(recipe, part), field)
    if value is not None:
        return value
    if name in (RATE, "optim.weight_decay"):
        return getattr(PRESETS[recipe.optim.preset], field)
    try:
        return recipe.loss.value(field) if part == "loss" else None
    except KeyError:
        return None


def _has(recipe: Recipe, name: str) -> bool:
    """Return whether a setting can be changed: one of the loss may be another loss's."""
    return name == LOSS or not name.startswith("loss.") or now(recipe, name) is not None


def moved(each: Range, value: Any, rng: random.Random) -> Any:
    """Return another value of a range: another choice, or a number some way up or down from this one."""
    if each.kind == "choice":
        others = [other for other in each.values if other != value]
        return rng.choice(others or each.values)
    if value is None:
        return each.draw(rng)
    low, high = each.values
    log = each.kind == "loguniform"
    start, end, at = (math.log(x) if log else x for x in (low, high, min(max(value, low), high)))
    way = rng.uniform(*STEP) * (end - start) * rng.choice((-1, 1))
    if not start <= at + way <= end:
        way = -way
    to = math.exp(at + way) if log else at + way
    if each.kind == "int":
        to = round(to) if round(to) != value else value + (1 if way > 0 else -1)
    return min(max(to, low), high)
