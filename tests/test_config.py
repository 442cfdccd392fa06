import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omokage import config
from omokage.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    side: int = 24
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ConfigError(f"side must be at least 1, and is {self.side}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    name: str
    kind: Literal["a", "b"] = "a"
    share: float = 0.5
    workers: int | None = None
    moved: bool = False
    batch: str | int = "dynamic"
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None


numbers = st.floats(allow_nan=False, width=32)
inners = st.builds(
    Inner,
    side=st.integers(1, 10**9),
    mean=st.tuples(numbers, numbers, numbers),
    names=st.lists(st.text(), max_size=3).map(tuple),
)
outers = st.builds(
    Outer,
    name=st.text(),
    kind=st.sampled_from(["a", "b"]),
    share=numbers,
    workers=st.none() | st.integers(),
    moved=st.booleans(),
    batch=st.text() | st.integers(),
    inner=inners,
    maybe=st.none() | inners,
)


@settings(max_examples=50, deadline=None)
@given(outers)
def test_json_gives_back_what_it_was_made_from(made):
    assert config.from_json(Outer, config.to_json(made)) == made


@settings(max_examples=100, deadline=None)
@given(outers)
def test_toml_gives_back_what_it_was_made_from(made):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.toml"
        file.write_text(config.to_toml(made), encoding="utf-8")
        assert config.from_toml(Outer, file) == made


def test_settings_that_toml_cannot_say_are_refused():
    with pytest.raises(ConfigError, match="cannot be written as TOML"):
        config.to_toml(Outer(name="\ud800"))


def test_toml_keeps_the_defaults_of_what_it_leaves_out(tmp_path):
    file = tmp_path / "設定.toml"
    file.write_text('name = "面影"\nshare = 1\n[inner]\nmean = [1, 2.5, 3]\n', encoding="utf-8")
    assert config.from_toml(Outer, file) == Outer(name="面影", share=1.0, inner=Inner(mean=(1.0, 2.5, 3.0)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('nme = "x"', r"unknown key 'nme'; did you mean 'name'\?"),
        ('name = "x"\n[inner]\nsied = 3', r"inner: unknown key 'sied'; did you mean 'side'\?"),
        ('name = "x"\nzzzzzz = 1', "unknown key 'zzzzzz'; known: name, kind"),
        ("share = 0.1", "the key 'name' is missing"),
        ("name = 3", "name must be of type str, and is 3"),
        ('name = "x"\nkind = "c"', "kind must be one of 'a', 'b', and is 'c'"),
        ('name = "x"\nkind = ["a"]', "kind must be one of"),
        ('name = "x"\nshare = "much"', "share must be of type float"),
        ('name = "x"\nworkers = true', "workers must be of type int, and is True"),
        ('name = "x"\nmoved = 1', "moved must be of type bool"),
        ('name = "x"\nbatch = 1.5', "batch must be of type str or int, and is 1.5"),
        ('name = "x"\ninner = 3', "inner must be a table, and is 3"),
        ('name = "x"\n[inner]\nmean = [1, 2]', r"inner: mean must be a list of 3 values, and is \[1, 2\]"),
        ('name = "x"\n[inner]\nmean = 1', "inner: mean must be a list, and is 1"),
        ('name = "x"\n[inner]\nnames = "abc"', "inner: names must be a list, and is 'abc'"),
        ('name = "x"\n[inner]\nnames = ["a", 1]', "inner: names must be of type str, and is 1"),
        ('name = "x"\n[inner]\nside = 0', "side must be at least 1, and is 0"),
        ("name = ", "cannot read the settings"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, says):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says) as error:
        config.from_toml(Outer, file)
    assert "settings.toml" in str(error.value) or "at least" in says


@pytest.mark.parametrize("data", [None, b"name = '\xff'"])
def test_a_file_that_cannot_be_read(tmp_path, data):
    if data is not None:
        (tmp_path / "settings.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=r"cannot read the settings in .*settings\.toml"):
        config.from_toml(Outer, tmp_path / "settings.toml")
