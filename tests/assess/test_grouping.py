"""Groups from tables, folders and file names; what is wrong with them is said, and misfits are counted and named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import biased
from omokage.assess.grouping import GroupConfig, Grouped, grouped, origin
from omokage.assess.subject import Subject, subject
from omokage.errors import ConfigError, DatasetError
from omokage.progress import quietly


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Twelve people of two faces each."""
    place = str(tmp_path_factory.mktemp("grouping") / "data")
    biased.crowd(people=12, faces=2).write(place)
    return subject(place)


def named(people: Subject, uris: list[str]) -> Subject:
    """Return the same faces in other files."""
    at = people.faces.column_names.index("uri")
    return replace(people, faces=people.faces.set_column(at, "uri", pa.array(uris)))


def asked(people: Subject, groups: str, *fields: str, **more) -> Grouped:
    return grouped(people, origin(GroupConfig(groups=groups, fields=fields, **more)), 1, quietly)


def told(found: Grouped) -> list[str | None]:
    """Return the name of each face's group."""
    return [None if group < 0 else found.groups.names[group] for group in found.groups.group_N]


def test_a_table_of_people(people: Subject, tmp_path: Path) -> None:
    crowd = biased.crowd(people=12, faces=2)
    found = asked(people, biased.groups_csv(tmp_path / "g.csv", crowd, without=[3, 4]))
    truth = [None if n in (3, 4) else biased.group(n) for n in np.repeat(np.arange(12), 2)]
    assert told(found) == truth
    assert found.groups.misfits == 4 and found.groups.examples == (crowd.name(3), crowd.name(4))
    assert found.groups.source == f"by the column group of {tmp_path / 'g.csv'}" and found.estimates is None


def test_a_table_of_pictures_with_several_columns_and_of_other_programs(people: Subject, tmp_path: Path) -> None:
    uris = people.faces["uri"].to_pylist()
    file = tmp_path / "表.csv"
    rows = [f"{uri};{'7' if n % 2 else '45'};{' x ' if n % 3 else ''}" for n, uri in enumerate(uris)]
    file.write_bytes(("﻿uri;age;light\r\n" + "\r\n".join([*rows, "elsewhere.jpg;1;x"]) + "\r\n").encode())
    found = asked(people, f"csv:{file}", "light", "age")
    assert told(found) == [(f"x, {'0-17' if n % 2 else '45-59'}" if n % 3 else None) for n in range(len(uris))]
    assert found.remarks == (f"1 row of {file}: of nobody among these faces",)
    assert told(asked(people, f"csv:{file}", "age", ages=(40,))) == ["0-39" if n % 2 else "40+" for n in range(24)]
    with pytest.raises(ConfigError, match=r"columns \['age', 'light'\]: say with --fields"):
        asked(people, f"csv:{file}")
    with pytest.raises(ConfigError, match=r"no column 'lihgt'; did you mean 'light'"):
        asked(people, f"csv:{file}", "lihgt")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("name,group\na,b\n", r"columns \['name', 'group'\], and none that says whose group"),
        ("identity,group\na\n", "row 2 has 1 values, and the head 2 names"),
        ('identity,group\n"a,b\n', "no CSV file with a head"),
        ("", "no CSV file with a head"),
        ("identity,group\n\xff,b\n".encode("latin-1"), "no UTF-8 text"),
    ],
)
def test_a_table_that_is_none(people: Subject, tmp_path: Path, content: str | bytes, why: str) -> None:
    file = tmp_path / "g.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=why):
        asked(people, f"csv:{file}")


def test_a_person_in_two_groups_and_a_table_of_others(people: Subject, tmp_path: Path) -> None:
    name = people.people[0]
    (tmp_path / "two.csv").write_text(f"identity,group\n{name},a\n{name},b\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"two\.csv: .* is in the groups 'a' and 'b', by its column identity"):
        asked(people, f"csv:{tmp_path / 'two.csv'}")
    (tmp_path / "others.csv").write_text("identity,group\nsomebody,a\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=rf"others\.csv: no face fits a group.*{name}"):
        asked(people, f"csv:{tmp_path / 'others.csv'}")
    with pytest.raises(ConfigError, match="cannot read the groups in"):
        asked(people, f"csv:{tmp_path / 'gone.csv'}")


def test_names_of_utkface_with_ages_of_any_length(people: Subject) -> None:
    ages = ["1", "45", "116", "x", ""]
    uris = [f"part1/{ages[n % 5]}_{n % 2}_{n % 3}_2017{n:013}.jpg.chip.jpg" for n in range(24)]
    found = asked(named(people, uris), "name:utkface", "age", "gender")
    sexes, years = ("male", "female"), ("0-17", "45-59", "60+")
    assert told(found) == [f"{years[n % 5]}, {sexes[n % 2]}" if n % 5 < 3 else None for n in range(24)]
    assert found.groups.misfits == 9 and len(found.groups.examples) == 5  # 1- and 3-digit ages are no misfits
    races = asked(named(people, uris), "name:utkface").groups.names
    assert races == ("Asian, female", "Asian, male", "Black, female", "Black, male", "White, female", "White, male")


def test_folders_and_own_patterns(people: Subject) -> None:
    uris = [f"群{n % 3}/person {n}/{'ab'[n % 2]}:{n}.jpg" for n in range(23)] + ["alone.jpg"]
    assert told(asked(named(people, uris), "folder")) == [f"群{n % 3}" for n in range(23)] + [None]
    assert told(asked(named(people, uris), "folder:1"))[:2] == ["person 0", "person 1"]
    assert told(asked(named(people, uris), "name:{kind}:{rest}")) == ["ab"[n % 2] for n in range(23)] + [None]


@pytest.mark.parametrize(
    ("groups", "fields", "why"),
    [
        ("", (), "say where the groups come from: --groups csv:FILE, folder"),
        ("cvs:x", (), r"got 'cvs:x'; did you mean 'csv'\?"),
        ("csv:", (), "--groups csv wants more: csv:FILE"),
        ("name", (), "wants more: name:utkface"),
        ("folder:up", (), "LEVEL wants a whole number, 1 the folder of the file, got 'up'"),
        ("folder", ("a",), "a folder has no fields"),
        ("estimate:sex", (), "estimate takes nothing after it"),
        ("estimate", ("race",), "what can be estimated is sex and age, not 'race'"),
    ],
)
def test_settings_that_name_no_groups(groups: str, fields: tuple[str, ...], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        origin(GroupConfig(groups=groups, fields=fields))


def test_more_settings_that_cannot_be(people: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="ages must rise"):
        GroupConfig(groups="estimate", ages=(30, 20))
    with pytest.raises(ConfigError, match=r"has the fields \['a', 'rest'\], and not \['b'\]"):
        asked(people, "name:{a}_{rest}", "b")
    with pytest.raises(DatasetError, match=r"no face fits a group by folder, 5 above the file.*folder:4 looks one"):
        asked(people, "folder:5")
    flat = named(people, [f"person {n}/{n}.jpg" for n in range(24)])
    with pytest.raises(
        DatasetError, match=r"first is 'person 0/0.jpg'\. folder:1 looks .* or say .* csv:FILE, columns"
    ):
        asked(flat, "folder")
    monkeypatch.setattr("omokage.assess.grouping.MOST", 11)
    with pytest.raises(ConfigError, match=r"12 groups by folder, 1 above the file.*more than 11. Are these people"):
        asked(people, "folder:1")
