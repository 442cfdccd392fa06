"""The folder of a search: taken up as it was begun, its ranks, its report."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from finished import judged
from omokage.errors import ConfigError, DatasetError
from omokage.train.loop import BEST_FIGURES
from omokage.train.run import METRICS
from omokage.train.tuned import Search, TrialLine, TuneReport

SAID = {"dataset": "/d", "space": {"optim.lr": ["uniform", [0.1, 0.2]]}, "trials": 3}


def search(folder: Path) -> Search:
    found = Search.at(str(folder))
    found.check(SAID)
    found.begin(SAID)
    return found


def ended(number: int, *goods: float) -> TrialLine:
    line = TrialLine(number=number, point={"optim.lr": number / 10} if number else {}, status="finished")
    for epoch, good in enumerate(goods, 1):
        line.told(epoch, good, abs(good), 2.0)
    return line


def test_what_is_known_of_trials_outlives_the_process(tmp_path: Path) -> None:
    first = search(tmp_path / "out")
    first.lines = [ended(0, 0.5, 0.75, 0.625), ended(1, 0.25)]
    first.write()
    again = Search.at(str(tmp_path / "out"))
    again.check(SAID | {"trials": 9})  # more of them may be tried
    assert again.lines == [
        TrialLine(**vars(line) | {"history": [list(each) for each in line.history]}) for line in first.lines
    ]
    assert (again.lines[0].best, again.lines[0].epochs, again.lines[0].seconds) == (0.75, 3, 6.0)


def test_an_epoch_that_is_told_again_counts_once() -> None:
    line = ended(0, 0.5, 0.75)
    assert not line.told(2, 0.9, 0.9, 1.0)
    assert (line.best, line.epochs, line.seconds) == (0.75, 2, 4.0)
    assert line.told(3, 0.9, 0.9, 1.0) and line.best == 0.9


def test_a_search_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    first = search(tmp_path / "out")
    first.lines = [ended(0, 0.5)]
    first.write()
    first.run(0).folder.write(METRICS, b"{}")
    with pytest.raises(ConfigError, match="was begun with other settings: space differ"):
        Search.at(str(tmp_path / "out")).check(SAID | {"space": {}})


def test_a_search_of_which_nothing_came_is_begun_anew_as_another(tmp_path: Path) -> None:
    first = search(tmp_path / "out")
    first.lines = [TrialLine(number=0, point={}, status="failed", why="not a number")]
    first.write()
    again = Search.at(str(tmp_path / "out"))
    again.check(SAID)
    assert again.lines == first.lines  # the same search goes on as it was
    other = Search.at(str(tmp_path / "out"))
    other.check(SAID | {"space": {}})
    other.begin(SAID | {"space": {}})
    again = Search.at(str(tmp_path / "out"))
    again.check(SAID | {"space": {}})
    assert again.lines == []


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(DatasetError, match="holds other files"):
        Search.at(str(tmp_path)).check(SAID)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.doc"]


def test_a_folder_of_folders_is_left_alone_but_not_what_a_killed_beginning_left(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    Search.at(str(tmp_path)).check(SAID)
    (tmp_path / "a person").mkdir()
    with pytest.raises(DatasetError, match="holds other files"):
        Search.at(str(tmp_path)).check(SAID)


@pytest.mark.parametrize("name", ["search.json", "trials.jsonl"])
@pytest.mark.parametrize("content", ["", "{", "[]\n", '{"format": 9}\n'])
def test_damage_is_said(tmp_path: Path, name: str, content: str) -> None:
    search(tmp_path / "out").write()
    (tmp_path / "out" / name).write_text(content)
    if (name, content) == ("trials.jsonl", ""):
        Search.at(str(tmp_path / "out")).check(SAID)  # no trial yet
        return
    with pytest.raises(DatasetError, match=r"is damaged|another version"):
        Search.at(str(tmp_path / "out")).check(SAID)


def test_the_best_comes_first_and_failures_last(tmp_path: Path) -> None:
    found = search(tmp_path / "out")
    failed = ended(2, -0.05)  # however good it had been before
    failed.status, failed.why, failed.point = "failed", "the loss is not a number", {"optim.lr": 9.0}
    # goodness is bigger for better, whatever the value: an EER of 0.1 is better than one of 0.3
    found.lines = [ended(0, -0.3), ended(1, -0.4, -0.1), failed, ended(3, -0.3)]
    rows = found.ranked()
    assert [(row["rank"], row["number"], row["value"]) for row in rows] == [
        (1, 1, 0.1),
        (2, 0, 0.3),  # of two that are as good, the base settings
        (3, 3, 0.3),
        (None, 2, 0.05),
    ]
    found.write_table()
    table = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert [row["number"] for row in table] == [1, 0, 3, 2]
    assert json.loads(table[0]["point"]) == {"optim.lr": 0.1} and table[3]["why"] == "the loss is not a number"


def test_a_search_has_ended_when_it_has_so_many_trials(tmp_path: Path) -> None:
    found = search(tmp_path / "out")
    assert found.report(3) is None
    found.folder.write("report.json", json.dumps({"trials": [{}, {}, {}]}).encode())
    assert found.report(3) is not None and found.report(4) is None


def test_the_gain_is_that_on_the_same_people(tmp_path: Path) -> None:
    found = search(tmp_path / "out")
    assert found.gain(1, "auc") is None  # there are no figures
    for number in (0, 1):
        found.run(number).folder.write(BEST_FIGURES, json.dumps(judged().sure(1)).encode())
    assert found.gain(1, "auc") == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found.gain(0, "auc") is None  # the best is the base


def test_a_report_says_honestly_whether_the_base_was_beaten(tmp_path: Path) -> None:
    found = search(tmp_path / "out")
    found.lines = [ended(0, 0.5), ended(1, 0.75), TrialLine(number=2, point={}, status="failed", why="no memory")]
    given = {
        "out": "/o", "dataset": "/d", "version": None, "search": "random", "scheduler": "asha", "metric": "auc",
        "trials": tuple(found.ranked()), "base": 0.5, "best": 0.75, "config": "/o/best.toml", "seconds": 1.0,
    }  # fmt: skip
    text = TuneReport(**given, better=True).text()
    assert "Best auc: 0.7500, better than the base settings' 0.5000" in text
    assert "flattered" in text and "Trial 2 failed: no memory" in text and "--config /o/best.toml" in text
    gain = {"value": 0.25, "low": 0.125, "high": 0.375}
    text = TuneReport(**given, better=True, gain=gain).text()
    assert "base settings' 0.5000 by +0.2500 (+0.1250 to +0.3750 with other people)\n" in text
    text = TuneReport(**given, better=True, gain=gain | {"low": -0.125}).text()
    assert "(-0.1250 to +0.3750 with other people), which may be chance\n" in text
    assert "those of the base settings" in TuneReport(**given | {"best": 0.5}, better=False).text()
    assert json.loads(TuneReport(**given, better=True).json())["trials"][0]["rank"] == 1
