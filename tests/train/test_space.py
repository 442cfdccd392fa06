"""What a search may try: ranges as written, drawn points, mistakes in the file."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from omokage.errors import ConfigError
from omokage.train.losses import LossConfig
from omokage.train.model import ModelConfig
from omokage.train.optim import OptimConfig
from omokage.train.recipe import Recipe
from omokage.train.space import Space, from_toml, replaced


def space(folder: Path, text: str, base: Recipe | None = None) -> Space:
    file = folder / "space.toml"
    file.write_text(text, encoding="utf-8")
    return from_toml(file, base or Recipe())


def test_every_kind_is_drawn_within_its_ends(tmp_path: Path) -> None:
    found = space(
        tmp_path,
        """
        model.dim = [64, 128]
        optim.lr = { loguniform = [1e-4, 1e-2] }
        batches.pictures = { int = [2, 5] }
        [augment]
        strength = { uniform = [0.0, 2] }
        """,
    )
    points = found.drawn(400, seed=1)
    assert points[0] == {} and found.recipe({}) == Recipe()  # what is had without a search comes first
    rest = points[1:]
    assert len(rest) == 399 and len({str(point) for point in rest}) == 399
    drawn = {name: [point[name] for point in rest if name in point] for name in found.ranges}
    assert all(110 < len(values) < 270 for values in drawn.values())  # half keep what the base says, or draw it
    assert Counter(drawn["model.dim"]).keys() == {64, 128}
    assert set(drawn["batches.pictures"]) == {2, 3, 5}  # the base has 4
    rates = sorted(drawn["optim.lr"])
    assert rates[0] >= 1e-4 and rates[-1] <= 1e-2
    assert 6e-4 < math.exp(sum(map(math.log, rates)) / len(rates)) < 1.6e-3  # even over magnitudes, not over values
    strengths = drawn["augment.strength"]
    assert 0.85 < sum(strengths) / len(strengths) < 1.15 and min(strengths) >= 0 and max(strengths) <= 2
    assert all(isinstance(value, float) for value in strengths)
    point = next(point for point in rest if "optim.lr" in point and "model.dim" not in point)
    recipe = found.recipe(point)
    assert recipe.optim.lr == point["optim.lr"] and recipe.model == Recipe().model and recipe.loss == Recipe().loss


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    found = space(tmp_path, "optim.lr = { loguniform = [1e-4, 1e-2] }")
    assert found.drawn(9, 3) == found.drawn(9, 3) != found.drawn(9, 4)
    assert found.drawn(5, 3) == found.drawn(9, 3)[:5]  # more trials repeat none that were run


def test_a_small_space_is_not_gone_over_twice(tmp_path: Path) -> None:
    found = space(tmp_path, 'loss.loss = ["arcface", "triplet", "supcon"]')
    points = found.drawn(20, 0)
    assert points[0] == {} and sorted(point["loss.loss"] for point in points[1:]) == ["supcon", "triplet"]


def test_a_grid_is_every_combination_and_the_base_once(tmp_path: Path) -> None:
    base = Recipe()
    found = space(tmp_path, 'optim.preset = ["adam-cosine", "sgd-step"]\nbatches.pictures = { int = [4, 6] }', base)
    points = found.grid()
    assert points[0] == {}
    assert len(points) == 6  # the base is one of them
    assert len({found.recipe(point).batches.pictures for point in points}) == 3
    with pytest.raises(ConfigError, match=r"a grid needs choices, and optim.lr is a loguniform: list some"):
        space(tmp_path, "optim.lr = { loguniform = [1e-4, 1e-2] }").grid()


def test_a_margin_goes_only_with_losses_that_have_it(tmp_path: Path) -> None:
    found = space(
        tmp_path,
        """
        loss.loss = ["arcface", "cosface", "supcon"]
        loss.margin_rad = { uniform = [0.2, 0.6] }
        loss.margin_cos = [0.1, 0.3]
        loss.temperature = [0.05, 0.1]
        """,
    )
    has = {"arcface": {"loss.margin_rad"}, "cosface": {"loss.margin_cos"}, "supcon": {"loss.temperature"}}
    points = found.drawn(30, 0)[1:]
    losses = [point.get("loss.loss", "arcface") for point in points]
    assert set(losses) == set(has)
    for loss, point in zip(losses, points, strict=True):
        assert set(point) - {"loss.loss"} <= has[loss]
        found.recipe(point)
    assert set().union(*points) == {"loss.loss"}.union(*has.values())


def test_another_loss_begins_with_its_own_settings() -> None:
    base = Recipe(loss=LossConfig(loss="triplet", miner="hard", margin_cos=0.4))
    assert replaced(base, {"loss.loss": "arcface"}).loss == LossConfig(loss="arcface")
    assert replaced(base, {"loss.margin_cos": 0.3}).loss == LossConfig(loss="triplet", miner="hard", margin_cos=0.3)


def test_the_default_space_draws_recipes_that_can_be_trained() -> None:
    found = from_toml(None, Recipe())
    points = found.drawn(60, 0)
    assert len(points) == 60
    assert {"model.backbone", "loss.loss", "optim.preset", "optim.lr", "batches.people", "augment.strength"} <= set(
        found.ranges
    )
    assert len({found.recipe(point).loss.loss for point in points}) == 4


def test_the_default_space_leaves_alone_what_was_asked_for() -> None:
    base = replace(Recipe(), optim=OptimConfig(lr=0.01), model=ModelConfig(weights="some.safetensors"))
    names = set(from_toml(None, base).ranges)
    assert "optim.lr" not in names and "optim.preset" in names
    assert "model.backbone" not in names  # the weights are those of one
    lite = ModelConfig(backbone="tf_efficientnet_lite0", weights="efficientnet-lite0")  # which fit no other backbone
    assert "loss.loss" in from_toml(None, replace(Recipe(), model=lite)).ranges


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optin.lr = [0.1]", r"unknown key 'optin'; did you mean 'optim'"),
        ("optim.presset = [0.1]", r"unknown key 'optim.presset'; did you mean 'preset'"),
        ("optim.lr = { logunifrom = [1e-4, 1e-2] }", r"unknown kind 'logunifrom'; did you mean 'loguniform'"),
        ("optim.lr = 0.1", "optim.lr must be a list of choices, or one of choice, uniform, loguniform, int"),
        ("optim.lr = { uniform = [1, 2], int = [1, 2] }", "must be a list of choices, or one of"),
        ("optim = 3", "optim must be a table of settings"),
        ("optim.lr = []", "wants a list of values"),
        ("optim.lr = { uniform = 3 }", "wants a list of values, and has 3"),
        ("optim.lr = { uniform = [0.2, 0.1] }", "wants the lower end first"),
        ("optim.lr = { uniform = [0.1, nan] }", "wants the lower end first"),
        ("optim.lr = { uniform = [0.1, inf] }", "wants the lower end first"),
        ("optim.lr = { uniform = [0.1, 0.2, 0.3] }", "wants two numbers"),
        ("optim.lr = { loguniform = [0, 0.1] }", "loguniform wants ends above 0"),
        ("optim.lr = { int = [1, 2] }", "optim.lr is no whole number"),
        ('optim.lr = ["big"]', "must be of type float"),
        ("batches.pictures = { uniform = [2, 4] }", "batches.pictures is no number with fractions"),
        ("batches.pictures = { int = [2.5, 4] }", "wants two whole numbers"),
        ("batches.pictures = [2, 2]", "has a choice twice"),
        ("batches.pictures = { int = [0, 4] }", r"batches.pictures = 0: .*at least 1"),
        ("model.dim = [1]", "model.dim = 1: "),
        ('model.backbone = ["resnet18", "resnat34"]', "model.backbone = 'resnat34': .*resnet34"),
        ('loss.loss = ["archface"]', "must be one of"),
        ("loss.margin_rad = [9.0]", "loss.margin_rad = 9.0: "),
        (
            "split.val_share = [0.1, 0.2]",
            "split.val_share cannot be searched over: all trials must be judged on the same",
        ),
        ("loop.seed = [0, 1]", "loop.seed cannot be searched over"),
        ('loop.best = ["auc", "eer"]', "loop.best cannot be searched over"),
        ("", "has nothing to search over"),
        ("optim.lr = [", "cannot read the space in"),
    ],
)
def test_a_mistake_in_the_file_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        space(tmp_path, text)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the space in"):
        from_toml(tmp_path / "none.toml", Recipe())
