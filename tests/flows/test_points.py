"""What Tune is told to try next, and which trials are stopped; no cluster."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from omokage.errors import ConfigError
from omokage.flows.points import Asha, Drawn, Numbered, Optuna
from omokage.train.recipe import Recipe
from omokage.train.space import Point, Space, from_toml
from omokage.train.tuned import TrialLine


@pytest.fixture
def space(tmp_path: Path) -> Space:
    file = tmp_path / "space.toml"
    file.write_text(
        """
        optim.lr = { loguniform = [1e-4, 1.0] }
        loss.loss = ["arcface", "supcon"]
        loss.margin_rad = { uniform = [0.2, 0.6] }
        batches.people = { int = [2, 32] }
        """
    )
    return from_toml(file, Recipe())


def ended(number: int, point: Point, *goods: float) -> TrialLine:
    line = TrialLine(number=number, point=point, status="finished")
    for epoch, good in enumerate(goods, 1):
        line.told(epoch, good, good, 1.0)
    return line


def score(point: Point) -> float:
    """Return how good a point is: best at a learning rate of 0.01 and 8 people."""
    import math

    return -abs(math.log10(point["optim.lr"]) + 2) - abs(point["batches.people"] - 8) / 16


def searched(optuna: Optuna, numbers: range) -> list[tuple[Point, float]]:
    found = []
    for number in numbers:
        point = optuna.ask(number)
        assert point is not None
        found.append((point, score(point) if point else 0.0))
        optuna.tell(ended(number, point, found[-1][1]))
    return found


def test_optuna_begins_with_the_base_and_learns(space: Space) -> None:
    found = searched(Optuna(space, 0, ()), range(41))
    assert found[0][0] == {}
    for point, _ in found[1:]:
        space.recipe(point)
        assert ("loss.margin_rad" in point) == (point["loss.loss"] == "arcface")
    early, late = [good for _, good in found[1:11]], [good for _, good in found[31:]]
    assert sum(late) / 10 > sum(early) / 10 + 0.3  # random points would be as good as before


def test_optuna_goes_on_from_what_ended(space: Space) -> None:
    found = searched(Optuna(space, 0, ()), range(31))
    lines = [ended(number, point, good) for number, (point, good) in enumerate(found)]
    again = searched(Optuna(space, 1, lines), range(31, 41))
    early = [good for _, good in found[1:11]]
    assert sum(good for _, good in again) / 10 > sum(early) / 10 + 0.3


def test_optuna_takes_a_failure(space: Space) -> None:
    optuna = Optuna(space, 0, [TrialLine(number=1, point={"optim.lr": 0.1}, status="failed", why="NaN")])
    point = optuna.ask(2)
    assert point is not None
    optuna.tell(TrialLine(number=2, point=point, status="failed", why="NaN"))
    assert optuna.ask(3) is not None


def test_optuna_that_is_not_there_is_said(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'omokage\[optuna\]'"):
        Optuna(space, 0, ())


def test_tune_is_given_what_is_still_to_run() -> None:
    drawn = Drawn([{}, {"optim.lr": 0.1}, {"optim.lr": 0.2}])

    def asked(number: int) -> dict[str, Any] | None:
        point = drawn.ask(number)
        return None if point is None else {"number": number, "point": point}

    numbered = Numbered([2, 0, 7], asked)
    assert [numbered.suggest(name) for name in "abcd"] == [
        {"number": 2, "point": {"optim.lr": 0.2}},
        {"number": 0, "point": {}},
        Searcher.FINISHED,
        Searcher.FINISHED,
    ]


def told(asha: Asha, number: int, goods: list[float]) -> int:
    """Return after how many epochs a trial is stopped, or all."""
    trial: Any = SimpleNamespace(trial_id=f"t{number}", config={"number": number})
    asha.on_trial_add(None, trial)  # type: ignore[arg-type]
    for epoch, good in enumerate(goods, 1):
        if asha.on_trial_result(None, trial, {"epoch": epoch, "good": good}) == TrialScheduler.STOP:
            return epoch
    return len(goods)


def test_the_worse_are_stopped_and_the_base_never() -> None:
    asha = Asha(9, ())
    assert told(asha, 1, [0.9] * 9) == 9
    assert told(asha, 2, [0.1] * 9) == 3  # not while it warms up
    assert told(asha, 3, [0.95] * 9) == 9
    assert told(asha, 0, [0.0] * 9) == 9


def test_a_search_that_is_taken_up_stops_as_it_would_have() -> None:
    known = [ended(1, {"optim.lr": 0.1}, *[0.9] * 9), ended(2, {"optim.lr": 0.2}, 0.8, 0.8, 0.8)]
    assert told(Asha(9, known), 3, [0.1] * 9) == 3
    assert told(Asha(9, ()), 3, [0.1] * 9) == 9  # nothing to compare with


def test_a_failed_trial_tells_no_figure() -> None:
    asha = Asha(9, ())
    trial: Any = SimpleNamespace(trial_id="t1", config={"number": 1})
    asha.on_trial_add(None, trial)  # type: ignore[arg-type]
    assert asha.on_trial_result(None, trial, {"failed": "NaN"}) == TrialScheduler.CONTINUE
    asha.on_trial_complete(None, trial, {"failed": "NaN"})  # type: ignore[arg-type]
