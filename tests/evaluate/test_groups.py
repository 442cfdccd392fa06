"""Groups from names, folders and tables."""

import pytest

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.groups import by_folder, by_pattern, by_table


def told(groups) -> list:
    return [None if number < 0 else groups.names[number] for number in groups.group_N]


def test_utkface_names_of_any_age_are_read_and_misfits_counted() -> None:
    files = [
        "part1/25_0_3_20170119181500.jpg.chip.jpg",
        "5_1_2_x.jpg",
        "101_1_0_20170105.jpg",
        "116_0_4_y.jpg",
        "39_1_20170116174525125.jpg.chip.jpg",  # as in the real dataset: no race
        "39_1__20170116.jpg",
        "_1_2_x.jpg",
        "25_0_7_x.jpg",
        "1234_0_1_x.jpg",
        "女.jpg",
    ]
    race = by_pattern(files)
    assert told(race)[:4] == ["Indian, male", "Asian, female", "White, female", "Others, male"]
    assert race.misfits == 6 and race.examples == tuple(files[4:9])
    age = by_pattern(files, fields=["age"])
    assert told(age)[:4] == ["18-29", "0-17", "60+", "60+"] and told(age)[4:] == [None] * 6
    assert told(by_pattern(files, fields=["gender", "age"], ages=[50]))[:3] == [
        "male, 0-49",
        "female, 0-49",
        "female, 50+",
    ]
    assert "6 of 10 faces fit none" in race.text()


def test_a_pattern_of_ones_own() -> None:
    files = ["a/Asia_f_1.png", "東-京_m_2_3.png", "x_.png", "_f_1.png"]
    groups = by_pattern(files, "{race}_{gender}_{rest}")
    assert told(groups) == ["Asia, f", "東-京, m", None, None]
    assert told(by_pattern(files, "{race}_{gender}_{rest}", ["race"])) == ["Asia", "東-京", None, None]
    assert told(by_pattern(["a.b+1", "a.b", "axb+2"], "{x}.b+{rest}")) == ["a", None, None]  # no expression
    assert told(by_pattern(["30-x", "y-x"], "{age}-{rest}")) == ["30-44", None]


@pytest.mark.parametrize(
    ("pattern", "fields", "said"),
    [
        ("no field", [], "names each of its fields once"),
        ("{a}_{a}", [], "names each of its fields once"),
        ("{1a}", [], "names each of its fields once"),
        ("{a}_{rest}", ["b"], r"and not \['b'\]"),
        ("{rest}", [], "one to group by"),
        ("utkface", ["sex"], "sex"),
    ],
)
def test_a_pattern_that_is_none_is_said(pattern: str, fields: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        by_pattern(["a_b"], pattern, fields)


def test_folders() -> None:
    files = ["set/Asia/p1/1.jpg", "set/Asia/p2/1.jpg", "set/Europe/p3/1.jpg", "1.jpg"]
    assert told(by_folder(files)) == ["Asia", "Asia", "Europe", None]
    assert told(by_folder(files, 1)) == ["p1", "p2", "p3", None]
    with pytest.raises(ConfigError, match="at least 1"):
        by_folder(files, 0)
    with pytest.raises(DatasetError, match=r"no face fits a group .* '1\.jpg'"):
        by_folder(["1.jpg"])


def test_tables() -> None:
    groups = by_table(["a", "b", "c", "d"], ["b", "a", "z", "d", "a"], ["y", "x", "q", "", "x"])
    assert told(groups) == ["x", "y", None, None] and groups.misfits == 2
    with pytest.raises(DatasetError, match="'a' is in the groups 'x' and 'y'"):
        by_table(["a"], ["a", "a"], ["x", "y"])
    with pytest.raises(DatasetError, match="no faces"):
        by_table([], [], [])
