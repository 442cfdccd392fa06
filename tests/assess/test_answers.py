"""Answers in a file: whole or absent, and gone on with where a command was stopped."""

import csv
from collections import Counter

import pytest

from omokage.assess.answers import Answers
from omokage.errors import ConfigError, WorkError

COLUMNS = ("picture", "answer")


def batch(start: int) -> list[tuple[str, object]]:
    """Return the rows of two inputs, with what a name can hold."""
    return [(f'{start} 花,"子"\n', "match"), (f"\ud800{start + 1}", None)]


def whole(file, key: str = "k", batches: int = 3, stop_after: int = 99) -> Counter[str]:
    """Write answers, going on where they stop; a stop is as sudden as a kill: nothing is closed or tidied."""
    answers = Answers(str(file), COLUMNS, key)
    counts = answers.counts
    for number in range(answers.done // 2, batches):
        if number == stop_after:
            answers._out.write(b"torn,li")
            answers._out.flush()
            answers._out.close()
            return counts
        counts["match"] += 1
        answers.add(batch(2 * number), 2, counts)
    answers.finish()
    return counts


@pytest.mark.parametrize("stop_after", [0, 1, 2])
def test_a_stopped_command_is_gone_on_with_and_ends_as_an_undisturbed_one(tmp_path, stop_after):
    whole(tmp_path / "plain.csv")
    whole(tmp_path / "killed.csv", stop_after=stop_after)
    assert not (tmp_path / "killed.csv").exists()
    assert Answers(str(tmp_path / "killed.csv"), COLUMNS, "k").done == 2 * stop_after
    assert whole(tmp_path / "killed.csv") == {"match": 3}
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed.csv", "plain.csv"]
    with (tmp_path / "plain.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(COLUMNS) and rows[1] == ['0 花,"子"\n', "match"] and len(rows) == 7


def test_what_another_command_left_is_not_gone_on_with(tmp_path):
    whole(tmp_path / "a.csv", key="one", stop_after=2)
    other = Answers(str(tmp_path / "a.csv"), COLUMNS, "two")
    assert (other.done, other.counts) == (0, {})
    other._out.close()


@pytest.mark.parametrize("damage", ["{torn", "[]", '{"key": "k", "done": 4, "bytes": 99999, "counts": {}}'])
def test_a_damaged_state_is_begun_anew(tmp_path, damage):
    whole(tmp_path / "a.csv", stop_after=2)
    [state] = tmp_path.glob(".*.state")
    state.write_text(damage)
    assert whole(tmp_path / "a.csv") == {"match": 3}
    whole(tmp_path / "plain.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_a_file_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.csv").write_text("picture,notes\n")
    with pytest.raises(ConfigError, match="holds something else"):
        Answers(str(tmp_path / "mine.csv"), COLUMNS, "k")
    assert (tmp_path / "mine.csv").read_text() == "picture,notes\n"
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="give the name of a file"):
        Answers(str(tmp_path / "folder"), COLUMNS, "k")
    with pytest.raises((WorkError, ConfigError)):
        Answers(str(tmp_path / "mine.csv" / "x.csv"), COLUMNS, "k")
    whole(tmp_path / "again.csv", batches=1)
    whole(tmp_path / "again.csv", batches=2)  # an older one of ours is replaced
    assert len((tmp_path / "again.csv").read_bytes().splitlines()) == 1 + 2 * 3


def test_two_commands_do_not_write_one_file(tmp_path):
    one = Answers(str(tmp_path / "a.csv"), COLUMNS, "k")
    with pytest.raises(WorkError, match="another command is writing"):
        Answers(str(tmp_path / "a.csv"), COLUMNS, "k")
    one.finish()
