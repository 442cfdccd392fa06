"""Where a search that climbs looks next."""

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from omokage.train.losses import LossConfig
from omokage.train.nearby import STEP, beside, moved, now
from omokage.train.optim import OptimConfig
from omokage.train.recipe import Recipe
from omokage.train.space import Point, Range, Space, from_toml
from omokage.train.tuned import TrialLine

SPACE = """
loss.loss = ["arcface", "supcon"]
loss.margin_rad = { uniform = [0.2, 0.6] }
loss.temperature = { uniform = [0.05, 0.2] }
optim.preset = ["adam-cosine", "schedule-free"]
optim.lr = { loguniform = [1e-4, 1e-2] }
batches.pictures = { int = [2, 8] }
augment.strength = { uniform = [0.0, 2.0] }
"""


def space(folder: Path, text: str = SPACE, base: Recipe | None = None) -> Space:
    file = folder / "space.toml"
    file.write_text(text, encoding="utf-8")
    return from_toml(file, base or Recipe())


def ended(number: int, point: Point, good: float, status: str = "finished") -> TrialLine:
    line = TrialLine(number=number, point=point, status=status)  # type: ignore[arg-type]
    line.told(1, good, good, 1.0)
    return line


def test_each_setting_is_changed_in_turn_from_the_base(tmp_path: Path) -> None:
    found = space(tmp_path)
    lines = [ended(0, {}, 0.5)]
    assert beside(found, [], 0, 3) == {}
    for number in range(1, 7):
        point = beside(found, lines, number, 3)
        assert point is not None and len(point) == 1
        lines.append(ended(number, point, 0.4))
    # the base's loss has a margin and no temperature, so six of the seven can be changed
    assert sorted(name for line in lines for name in line.point) == sorted(set(found.ranges) - {"loss.temperature"})
    assert all(found.recipe(line.point) != found.base for line in lines[1:])


def test_it_goes_on_from_the_best_that_has_ended(tmp_path: Path) -> None:
    found = space(tmp_path)
    best = {"batches.pictures": 6}
    lines = [
        ended(0, {}, 0.5),
        ended(1, {"optim.lr": 1e-4}, 0.2, "stopped"),
        ended(2, best, 0.6),
        ended(3, {"augment.strength": 0.1}, 0.9, "failed"),
        ended(4, {"augment.strength": 0.2}, 0.9, "running"),
        ended(5, {"augment.strength": 0.3}, 0.6),  # as good as an earlier one
    ]
    for number in range(6, 20):
        point = beside(found, lines, number, 0)
        assert point is not None
        changed = {name for name in point.keys() | best.keys() if point.get(name) != best.get(name)}
        assert len(changed) == 1


def test_a_seed_decides_and_another_search_takes_other_ways(tmp_path: Path) -> None:
    found, lines = space(tmp_path), [ended(0, {}, 0.5)]
    points = [beside(found, lines, number, 0) for number in range(1, 7)]
    assert points == [beside(found, lines, number, 0) for number in range(1, 7)]
    assert points != [beside(found, lines, number, 1) for number in range(1, 7)]


def test_a_rate_belongs_to_its_preset_and_margins_to_their_loss(tmp_path: Path) -> None:
    found = space(tmp_path)
    best = {"optim.lr": 0.005, "loss.margin_rad": 0.3, "batches.pictures": 6}
    seen: dict[str, Point] = {}
    for number in range(1, 15):
        point = beside(found, [ended(0, {}, 0.1), ended(1, best, 0.2)], number, 0)
        assert point is not None
        seen |= {name: point for name in ("optim.preset", "loss.loss") if name in point}
    assert seen["optim.preset"] == {
        "optim.preset": "schedule-free",
        "loss.margin_rad": 0.3,
        "batches.pictures": 6,
    }
    assert seen["loss.loss"] == {"loss.loss": "supcon", "optim.lr": 0.005, "batches.pictures": 6}


def test_a_small_space_ends(tmp_path: Path) -> None:
    found = space(tmp_path, 'loss.loss = ["arcface", "triplet", "supcon"]')
    lines = [ended(0, {}, 0.5)]
    for number in (1, 2):
        point = beside(found, lines, number, 0)
        assert point is not None
        lines.append(ended(number, point, 0.1))
    assert {line.point.get("loss.loss") for line in lines} == {None, "triplet", "supcon"}
    assert beside(found, lines, 3, 0) is None
    assert beside(space(tmp_path, "loss.temperature = [0.05, 0.1]"), [], 1, 0) is None  # the base's loss has none


def test_what_the_preset_and_the_loss_decide_is_known() -> None:
    recipe = Recipe()
    assert now(recipe, "optim.lr") == 1e-3 and now(recipe, "loss.margin_rad") == 0.5
    assert now(recipe, "batches.people") == 16 and now(recipe, "loss.temperature") is None
    assert now(replace(recipe, optim=OptimConfig(preset="sgd-step")), "optim.lr") == 0.05
    assert now(replace(recipe, optim=OptimConfig(lr=0.2)), "optim.lr") == 0.2
    assert now(replace(recipe, loss=LossConfig(loss="supcon")), "loss.temperature") == 0.1
    assert now(recipe, "optim.weight_decay") == 0.0 and now(recipe, "model.weights") is None


@pytest.mark.parametrize("value", [1e-4, 1e-3, 1e-2, 5.0])
def test_a_rate_moves_by_a_factor_and_stays_in_its_range(value: float) -> None:
    rng = random.Random(0)
    each = Range("loguniform", (1e-4, 1e-2))
    start, wide = min(max(value, 1e-4), 1e-2), math.log(100)
    steps = [math.log(moved(each, value, rng) / start) / wide for _ in range(300)]
    assert all(STEP[0] - 1e-9 <= abs(step) <= STEP[1] + 1e-9 for step in steps)
    assert (min(steps) < 0) == (start > 1e-4) and (max(steps) > 0) == (start < 1e-2)


def test_other_kinds_move_to_another_value() -> None:
    rng = random.Random(0)
    pictures = Counter(moved(Range("int", (2, 8)), 4, rng) for _ in range(300))
    assert set(pictures) == {2, 3, 5, 6}
    assert {moved(Range("int", (2, 3)), 2, rng) for _ in range(50)} == {3}
    assert {moved(Range("choice", ("a", "b", "c")), "b", rng) for _ in range(50)} == {"a", "c"}
    assert {moved(Range("choice", ("a",)), "a", rng)} == {"a"}
    strengths = [moved(Range("uniform", (0.0, 2.0)), 1.0, rng) for _ in range(300)]
    assert all(0.25 <= abs(value - 1) <= 0.75 for value in strengths)
    drawn = [moved(Range("uniform", (0.05, 0.2)), None, rng) for _ in range(300)]  # it has none to begin at
    assert min(drawn) < 0.07 and max(drawn) > 0.18


def test_more_is_found_than_by_chance(tmp_path: Path) -> None:
    """Settings that help a little each are put together, as points drawn at random are not."""
    found = space(tmp_path, "\n".join(SPACE.splitlines()[4:]))

    def good(point: Point) -> float:
        recipe = found.recipe(point)
        rate = math.log10(now(recipe, "optim.lr")) + 2.4
        return -abs(rate) - abs(recipe.batches.pictures - 6) / 4 - abs(recipe.augment.strength - 0.4)

    climbed, drawn = [], []
    for seed in range(40):
        lines = [ended(0, {}, good({}))]
        for number in range(1, 8):
            point = beside(found, lines, number, seed)
            assert point is not None
            lines.append(ended(number, point, good(point)))
        climbed.append(max(line.best or -9.0 for line in lines))
        drawn.append(max(good(point) for point in found.drawn(8, seed)))
    assert sum(climbed) / 40 > sum(drawn) / 40 + 0.1
    assert sum(value > good({}) for value in climbed) >= sum(value > good({}) for value in drawn)
