import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from crowd import Crowd
from found import write_findings
from omokage.cli import deciding
from omokage.curate.listing import listing
from omokage.curate.undoing import undo
from omokage.errors import DatasetError, OmokageError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.fold import fold
from omokage.ledger.version import current
from omokage.store import Dataset

CROWD = Crowd(folders=3, faces=4, dim=8, splits=0, strangers=0, repeats=0)
A, B, C = (CROWD.name(folder) for folder in range(3))
FACES = [f"{0:04x}{folder:010x}{number:010x}" for folder in range(3) for number in range(4)]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return CROWD.write(str(tmp_path / "data"))


def decide(data: Dataset, *decisions: Decision) -> None:
    Ledger.of(data.folder).append(decisions, "me")


def active(data: Dataset) -> list[int]:
    lines = Ledger.of(data.folder).table()
    return (1 + np.flatnonzero(fold(lines).active_N)).tolist()


DECISIONS = (
    Decision(do="drop_face", faces=(FACES[0], "gone"), why="a stranger\x1b[31m"),
    Decision(do="merge", person=A, into=B),
    Decision(do="drop_duplicate", faces=(FACES[4],), into=FACES[5]),
    Decision(do="keep", faces=(FACES[0],)),
    Decision(do="relabel", faces=(FACES[8],), into=A),
    Decision(do="undo", undoes=2),
    Decision(do="split", faces=(FACES[9],), person=B, into="new"),
)


def test_the_ledger_in_words(data):
    decide(data, *DECISIONS)
    report = listing(data, 100)
    assert (report.lines, report.undone, report.gone, report.some_gone) == (7, 1, 1, ("gone",))
    assert [line["active"] for line in report.shown] == [True, False, True, True, True, True, True]
    assert report.conflicts == 2
    text = report.text()
    for said in (
        "drop 2 faces  because: a stranger␛[31m",
        f"merge {A} into {B}  [undone]",
        f"drop face {FACES[4]} as duplicate of {FACES[5]}",
        "undo line 2",
        f"line 4 keeps face {FACES[0]} which line 1 drops",
        f"line 7 takes out of {B} face {FACES[9]} of {C}",
        "1 face that lines are about is no longer in the dataset: gone",
    ):
        assert said in text, said
    assert json.loads(report.json())["kinds"]["drop_face"] == 1


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"last": 2}, [6, 7]),
        ({"last": 0}, []),
        ({"face": FACES[0]}, [1, 4]),
        ({"face": FACES[5]}, [3]),
        ({"face": "nothing"}, []),
        ({"person": A}, [1, 2, 4, 5, 6]),  # FACES[0] is theirs, FACES[8] was given to them, and 6 takes 2 back
        ({"person": B}, [2, 3, 6, 7]),
        ({"person": "new"}, [7]),
        ({"person": B, "face": FACES[4]}, [3]),
        ({"person": A, "last": 2}, [5, 6]),
    ],
)
def test_lines_about_somebody(data, asked, numbers):
    decide(data, *DECISIONS)
    assert [line["number"] for line in listing(data, **{"last": 100} | asked).shown] == numbers


def test_an_empty_ledger(data):
    assert "0 lines" in listing(data, 10, "x", "y").text()
    with pytest.raises(DatasetError, match="nothing to undo"):
        undo(data)


def test_undo_goes_back_one_by_one_and_comes_forth_again(data):
    decide(data, *DECISIONS[:3])
    start = current(data)
    first = undo(data)
    assert [line["number"] for line in first.undone] == [3]
    assert f"line 3 no longer holds: drop face {FACES[4]} as duplicate of {FACES[5]}" in first.text()
    assert [line["number"] for line in undo(data).undone] == [2]
    again = undo(data, 5)
    assert [line["number"] for line in again.again] == [2]
    assert "holds again" in again.text()
    undo(data, 4)
    assert current(data).drop(["line"]).equals(start.drop(["line"]))
    assert current(data).equals(start)


def test_what_is_undone_cannot_be_undone_again_and_how_to_have_it_back_is_said(data):
    decide(data, *DECISIONS[:3])
    undo(data, 2)
    with pytest.raises(DatasetError, match=r"line 2 does not hold any more: line 4 took it back.*undo DATASET 4"):
        undo(data, 2)
    for first, last in ((0, None), (5, None), (3, 2), (2, 9)):
        with pytest.raises(DatasetError, match="has 4 decisions"):
            undo(data, first, last)


def standing(lines: list[tuple[int, Decision]]) -> set[int]:
    """Return which of some numbered lines hold."""
    holding: set[int] = set()
    undone: set[int] = set()
    for number, line in reversed(lines):
        if number not in undone:
            holding.add(number)
            undone |= {line.undoes} if line.do == "undo" else set()
    return holding


def test_after_a_range_is_taken_back_all_is_as_if_it_had_not_been_written(data):
    rng = np.random.default_rng(0)
    for first, last in combinations(range(1, 10), 2):
        lines = [
            Decision(do="undo", undoes=int(rng.integers(1, number)))
            if number > 2 and rng.random() < 0.5
            else Decision(do="keep", faces=(FACES[number],))
            for number in range(1, 10)
        ]
        data.folder.remove("ledger/000000000001.jsonl")
        decide(data, *lines)
        numbered = list(enumerate(lines, 1))
        outside = [(number, line) for number, line in numbered if not first <= number <= last]
        try:
            undo(data, first, last)
        except DatasetError:  # all of it was taken back before
            assert not standing(numbered) & set(range(first, last + 1))
        assert {number for number in active(data) if number < 10} == standing(outside), (first, last)


def test_the_verbs(data):
    url = data.folder.url
    decide(data, *DECISIONS)
    assert json.loads(deciding.ledger([url, "--json", "--last", "1"]))["shown"][0]["number"] == 7
    assert "line 7 no longer holds" in deciding.undo([url])
    assert "lines" not in deciding.undo([url, "3", "--who", "you"])
    assert len(json.loads(deciding.undo([url, "4-5", "--json"]))["undone"]) == 2
    assert "no version yet" in deciding.version([url])
    assert json.loads(deciding.version([url, "--name", "v1", "--why", "now", "--json"]))["why"] == "now"
    assert "v1" in deciding.version([url])
    assert json.loads(deciding.version([url, "--json"]))["versions"][0]["name"] == "v1"
    assert "nothing changed" in deciding.diff([url, "v1"])
    assert json.loads(deciding.diff([url, "v1", "v1", "--json"]))["before"]["name"] == "v1"
    for name in ("same_face", "outliers"):
        write_findings(data.folder, name, [])
    assert "0 decisions would be written" in deciding.decide([url, "--same-face", "--dry-run"])
    assert json.loads(deciding.decide([url, "--outliers", "5", "--json"]))["decisions"] == 0
    for wrong in ("x", "3-", "-3-4", "1-2-3", "9" * 30):
        with pytest.raises((OmokageError, SystemExit)):
            deciding.undo([url, wrong])
    with pytest.raises(OmokageError, match="negative"):
        deciding.ledger([url, "--last", "-1"])
