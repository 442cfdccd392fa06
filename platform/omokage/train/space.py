"""What a search may try: ranges and choices for settings of a recipe, from TOML, each value checked before any work.

loss.loss = ["arcface", "triplet"]
optim.lr = { loguniform = [1e-4, 1e-2] }
batches.pictures = { int = [2, 8] }
augment.strength = { uniform = [0.0, 2.0] }
"""

import dataclasses
import itertools
import math
import random
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from omokage import config as settings
from omokage.errors import ConfigError
from omokage.train.losses import LossConfig
from omokage.train.recipe import Recipe

Kind = Literal["choice", "uniform", "loguniform", "int"]

KINDS: Final = typing.get_args(Kind)

SAME: Final = {
    "split": "all trials must be judged on the same people",
    "loop.seed": "it parts the people, and all trials must be judged on the same",
    "loop.best": "it is what trials are compared by",
    "loop.epochs": "trials are compared after as many epochs",
}
"""What cannot be searched over, and why."""

DEFAULT: Final = """
model.backbone = ["tf_efficientnetv2_b0", "resnet18", "mobilenetv3_large_100"]
loss.loss = ["arcface", "cosface", "triplet", "supcon"]
loss.margin_rad = { uniform = [0.2, 0.6] }
loss.margin_cos = { uniform = [0.1, 0.5] }
optim.preset = ["adam-cosine", "adamw-plateau", "schedule-free"]
optim.lr = { loguniform = [1e-4, 5e-3] }
batches.people = [8, 16, 32]
batches.pictures = { int = [2, 8] }
augment.strength = { uniform = [0.0, 2.0] }
"""
"""Without a file, and less what the base settings say otherwise than they do by default."""

TRIES: Final = 200
"""To draw settings that go together and were not drawn before."""

CHANGED: Final = 0.5
"""Share of settings in which a random point differs from the base."""

LOSS: Final = "loss.loss"

Point = dict[str, Any]
"""Values by names such as ``optim.lr``."""


@dataclass(frozen=True, slots=True)
class Range:
    """What one setting may be."""

    kind: Kind
    values: tuple[Any, ...]
    """The choices, or the two ends, both of which may be taken."""

    def has(self, value: Any) -> bool:
        """Return whether a value is one of these."""
        if self.kind == "choice":
            return value in self.values
        return value is not None and bool(self.values[0] <= value <= self.values[1])

    def draw(self, rng: random.Random) -> Any:
        """Return a value at random."""
        if self.kind == "choice":
            return rng.choice(self.values)
        low, high = self.values
        if self.kind == "int":
            return rng.randint(low, high)
        if self.kind == "uniform":
            return rng.uniform(low, high)
        return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)


@dataclass(frozen=True, slots=True)
class Space:
    """What may be tried around base settings, which are the first trial."""

    base: Recipe
    ranges: Mapping[str, Range]

    def recipe(self, point: Mapping[str, Any]) -> Recipe:
        """Return the base settings with a point's values.

        Raises:
            ConfigError: They do not go together.
        """
        return replaced(self.base, point)

    def kept(self, point: Mapping[str, Any]) -> Point:
        """Return a point without settings that its loss does not have: a margin belongs to some losses only."""
        loss = {LOSS: point.get(LOSS, self.base.loss.loss)}
        return {
            name: value
            for name, value in point.items()
            if not name.startswith("loss.") or name == LOSS or _goes(self.base, loss | {name: value})
        }

    def drawn(self, count: int, seed: int) -> list[Point]:
        """Return points for a random search: the base, and others of which no two are alike.

        A point keeps each of the base's values by the chance of a coin, since base settings are seldom bad in all that
        may be tried, and a point that is far from them in everything seldom better. There are fewer where the space
        has no more.
        """
        rng = random.Random(seed)
        points: list[Point] = [{}]
        for _ in range(count - 1):
            for _ in range(TRIES):
                tried = {name: each.draw(rng) for name, each in self.ranges.items() if rng.random() < CHANGED}
                point = {name: value for name, value in self.kept(tried).items() if value != _get(self.base, name)}
                if self._new(point, points):
                    points.append(point)
                    break
        return points

    def grid(self) -> list[Point]:
        """Return all points for a grid search, the base first. What does not go together is left out.

        Raises:
            ConfigError: A setting has endlessly many values.
        """
        endless = [name for name, each in self.ranges.items() if each.kind in ("uniform", "loguniform")]
        if endless:
            raise ConfigError(f"a grid needs choices, and {endless[0]} is a {self.ranges[endless[0]].kind}: list some")
        listed = [
            each.values if each.kind == "choice" else range(each.values[0], each.values[1] + 1)
            for each in self.ranges.values()
        ]
        points: list[Point] = [{}]
        for values in itertools.product(*listed):
            point = self.kept(dict(zip(self.ranges, values, strict=True)))
            if self._new(point, points):
                points.append(point)
        return points

    def _new(self, point: Point, points: list[Point]) -> bool:
        """Return whether a point goes together, and is neither the base nor one of the others."""
        try:
            recipe = self.recipe(point)
        except ConfigError:
            return False
        return recipe != self.base and point not in points


def from_toml(file: Path | None, base: Recipe) -> Space:
    """Return the space that a TOML file describes, or without one the default space.

    Raises:
        ConfigError: The file cannot be read, has a name, a kind or a value that is none, or says nothing.
    """
    if file is None:
        return Space(base, _ranges(_free(base), base, "the default space"))
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the space in {file}: {error}") from error
    ranges = _ranges(said, base, str(file))
    if not ranges:
        raise ConfigError(f'{file} has nothing to search over: write a line such as optim.preset = ["sgd-step"]')
    return Space(base, ranges)


def _free(base: Recipe) -> dict[str, dict[str, Any]]:
    """Return the default space without what the base settings say already."""
    default: dict[str, dict[str, Any]] = tomllib.loads(DEFAULT)
    said = {f"{part}.{name}" for part, table in default.items() for name in table}
    said = {name for name in said if _get(base, name) != _get(Recipe(), name)}
    if base.model.weights is not None:  # they are those of one backbone
        said.add("model.backbone")
    return {
        part: {name: value for name, value in table.items() if f"{part}.{name}" not in said}
        for part, table in default.items()
    }


def replaced(recipe: Recipe, point: Mapping[str, Any]) -> Recipe:
    """Return a recipe with other values, by names such as ``optim.lr``.

    Nothing else is changed, but that another loss begins with its own settings: it may not have those of the old one.

    Raises:
        ConfigError: The values do not go together.
    """
    parts: dict[str, dict[str, Any]] = {}
    for name, value in point.items():
        part, field = name.split(".")
        parts.setdefault(part, {})[field] = value
    of = {part: getattr(recipe, part) for part in parts}
    if point.get(LOSS, recipe.loss.loss) != recipe.loss.loss:
        of["loss"] = LossConfig(loss=point[LOSS])
    made: dict[str, Any] = {part: dataclasses.replace(of[part], **values) for part, values in parts.items()}
    return dataclasses.replace(recipe, **made)


def _ranges(said: Mapping[str, Any], base: Recipe, where: str) -> dict[str, Range]:
    parts = {field.name: getattr(base, field.name) for field in dataclasses.fields(Recipe)}
    ranges: dict[str, Range] = {}
    for part, table in said.items():
        if part not in parts:
            raise ConfigError(f"{where}: unknown key {part!r}; {settings.nearest(part, parts)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: {part} must be a table of settings, as in {part}.NAME = […]")
        hints = typing.get_type_hints(type(parts[part]))
        for name, value in table.items():
            full = f"{part}.{name}"
            if name not in hints:
                raise ConfigError(f"{where}: unknown key {full!r}; {settings.nearest(name, hints)}")
            for kept in (part, full):
                if kept in SAME:
                    raise ConfigError(f"{where}: {full} cannot be searched over: {SAME[kept]}")
            ranges[full] = _range(value, hints[name], f"{where}: {full}")
            _check_values(ranges[full], base, full, where)
    return ranges


def _range(value: Any, hint: Any, where: str) -> Range:
    if isinstance(value, list):
        value = {"choice": value}
    if not isinstance(value, dict) or len(value) != 1:
        raise ConfigError(f"{where} must be a list of choices, or one of {', '.join(KINDS)} = [LOW, HIGH]")
    ((kind, values),) = value.items()
    if kind not in KINDS:
        raise ConfigError(f"{where}: unknown kind {kind!r}; {settings.nearest(kind, KINDS)}")
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{where}: {kind} wants a list of values, and has {values!r}")
    if kind == "choice":
        return _choice(values, hint, where)
    return _between(kind, values, hint, where)


def _choice(values: list[Any], hint: Any, where: str) -> Range:
    one = dataclasses.make_dataclass("Choice", [("choice", hint)])
    typed: tuple[Any, ...] = tuple(settings.from_dict(one, {"choice": value}, where).choice for value in values)
    if any(value in typed[:at] for at, value in enumerate(typed)):
        raise ConfigError(f"{where} has a choice twice")
    return Range("choice", typed)


def _between(kind: Kind, values: list[Any], hint: Any, where: str) -> Range:
    number = int if kind == "int" else float
    takes = {hint, *typing.get_args(hint)}
    if number not in takes:
        raise ConfigError(f"{where} is no {'whole number' if number is int else 'number with fractions'}: list choices")
    if len(values) != 2 or not all(type(value) in (number, int) for value in values):
        raise ConfigError(f"{where}: {kind} wants two {'whole ' if number is int else ''}numbers, and has {values}")
    low, high = map(number, values)
    if not low < high or not math.isfinite(high - low):
        raise ConfigError(f"{where}: {kind} wants the lower end first, and has {values}")
    if kind == "loguniform" and low <= 0:
        raise ConfigError(f"{where}: loguniform wants ends above 0, and has {values}")
    return Range(kind, (low, high))


def _check_values(each: Range, base: Recipe, name: str, where: str) -> None:
    """Check that a setting can have its values at all.

    Raises:
        ConfigError: A value is out of the setting's bounds.
    """
    others: list[Point] = [{}]
    if name.startswith("loss.") and name != LOSS:  # some losses have it, and others do not
        others += [{LOSS: loss} for loss in typing.get_args(typing.get_type_hints(LossConfig)["loss"])]
    for value in each.values:
        if not any(_goes(base, other | {name: value}) for other in others):
            try:
                replaced(base, {name: value})
            except ConfigError as error:
                raise ConfigError(f"{where}: {name} = {value!r}: {error}") from error


def _goes(base: Recipe, point: Point) -> bool:
    try:
        replaced(base, point)
    except ConfigError:
        return False
    return True


def _get(recipe: Recipe, name: str) -> Any:
    part, field = name.split(".")
    return getattr(getattr(recipe, part), field)
