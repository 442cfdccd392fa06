"""Real processes, killed by kill -9 wherever they happen to be."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from children import CHILDREN
from omokage.apply import journal
from omokage.apply.asked import Asked
from omokage.apply.copy import CopyConfig, copy
from omokage.apply.move import move, undo
from omokage.errors import ConfigError, DatasetError, SourceError
from omokage.ledger.decision import Decision
from trees import decide, drop, files, known, plant, relabel, tree

PEOPLE = 12
PICTURES = 50


def killed(work: Callable[..., object], words: tuple[object, ...], begun: Path, seed: int) -> int:
    """Run ``work`` until it ends by itself, kill it five times before, and return how often it had begun to move files.

    Args:
        work: What the process does.
        words: Its arguments.
        begun: File that it writes just before it moves the first one.
        seed: Of the moments at which it is killed.
    """
    chance = random.Random(seed)
    for number in range(10):
        process = CHILDREN.Process(target=work, args=words)
        process.start()
        if number < 5:
            while process.is_alive() and not begun.exists():
                time.sleep(0.0002)
            process.join(chance.uniform(0, 0.02) if number else 0)
            process.kill()
        process.join()
        if process.exitcode == 0:
            return number
        assert process.exitcode == -9, "it failed by itself"
    raise AssertionError("it never ends")


@pytest.fixture
def place(tmp_path):
    names = [f"person {who:02d}/{n % 3}/{n:03d}.jpg" for who in range(PEOPLE) for n in range(PICTURES)]
    return plant(tmp_path / "pictures", *names, *(f"person {who:02d}/no picture.txt" for who in range(0, PEOPLE, 2)))


@pytest.fixture
def data(place, tmp_path):
    uris = [str(path.relative_to(place)) for path in place.rglob("*.txt")]
    data = known(place, tmp_path / "data", dict.fromkeys(uris, 0))
    there = sorted(data.manifest()["uri"].to_pylist())
    drop(data, *there[::7])
    relabel(data, "person 01", *there[3::11])
    relabel(data, "Somebody new", *there[5::13])
    decide(data, *(Decision(do="merge", person=f"person {n:02d}", into=f"person {n + 1:02d}") for n in (2, 4, 6, 8)))
    return data


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again(place, data, tmp_path, seed):
    before = tree(place)
    other_disk = Path(f"/dev/shm/omokage-{os.getpid()}") if seed else None
    url, journalled = data.folder.url, tmp_path / "data/applied/000001"
    moves = (Asked.at(url), None if other_disk is None else str(other_disk))
    hits = killed(move, moves, journalled / "plan.json", seed)
    after = {name: facts[2] for name, facts in tree(place).items()}
    hits += killed(undo, (url,), journalled / "undoing.json", seed + 100)
    assert hits >= 3, "too quick to be killed"
    assert tree(place) == before
    assert not (other_disk or tmp_path / "pictures.quarantine").exists()
    move(Asked.at(url))
    assert {name: facts[2] for name, facts in tree(place).items()} == after, "not what an undisturbed apply does"
    undo(url)
    assert tree(place) == before


class Stop(BaseException):
    """What a kill in the middle looks like from within."""


@pytest.mark.parametrize("at", [1, 57, 100])
def test_nothing_else_is_done_until_a_stopped_apply_is_finished_or_taken_back(place, data, tmp_path, at):
    before = tree(place)

    def stop(done: int, of: int, what: str) -> None:
        if (done, what) == (at, "moved"):
            raise Stop

    with pytest.raises(Stop):
        move(Asked.at(data.folder.url), on_progress=stop)
    assert tree(place) != before
    with pytest.raises(DatasetError, match=r"apply 1 was stopped in the middle: omokage apply .* --move finishes it"):
        copy(Asked.at(data.folder.url), str(tmp_path / "out"), CopyConfig())
    with pytest.raises(DatasetError, match="was stopped in the middle"):
        journal.refuse_unfinished(data.folder)
    if at == 57:  # the same command
        assert move(Asked.at(data.folder.url)).resumed
        with pytest.raises(Stop):
            undo(data.folder.url, on_progress=stop)
        with pytest.raises(DatasetError, match=r"undo of apply 1 was stopped in the middle: omokage undo .* --apply"):
            move(Asked.at(data.folder.url))
    undo(data.folder.url)
    assert tree(place) == before


def test_without_its_disk_nothing_counts_as_gone(place, data, tmp_path):
    def stop(done: int, of: int, what: str) -> None:
        if (done, what) == (20, "moved"):
            raise Stop

    before = tree(place)
    with pytest.raises(Stop):
        move(Asked.at(data.folder.url), on_progress=stop)
    place.rename(tmp_path / "unmounted")
    for again in (lambda: move(Asked.at(data.folder.url)), lambda: undo(data.folder.url, partly=True)):
        with pytest.raises(SourceError, match="is its disk there"):
            again()
    (tmp_path / "unmounted").rename(place)
    undo(data.folder.url)
    assert tree(place) == before


def test_what_changed_while_an_apply_was_stopped_is_left_alone(place, data):
    def stop(done: int, of: int, what: str) -> None:
        if (done, what) == (20, "moved"):
            raise Stop

    with pytest.raises(Stop):
        move(Asked.at(data.folder.url), on_progress=stop)
    steps = journal.entries(data.folder)[0].plan().steps
    (place / steps[-1].uri).write_bytes(b"edited meanwhile")
    (place / steps[-2].uri).unlink()
    report = move(Asked.at(data.folder.url))
    assert [tuple(each) for each in report.skipped] == [(steps[-2].uri, "is gone"), (steps[-1].uri, "has changed")]
    assert (place / steps[-1].uri).read_bytes() == b"edited meanwhile"
    with pytest.raises(Exception, match="nothing was moved now"):
        undo(data.folder.url)
    assert len(undo(data.folder.url, partly=True).left) == 2
    with pytest.raises(ConfigError):
        undo(data.folder.url)


def test_a_killed_copy_is_finished_by_the_same_command(place, data, tmp_path):
    copy(Asked.at(data.folder.url), str(tmp_path / "whole"), CopyConfig())
    out = tmp_path / "out"
    assert killed(copy, (Asked.at(data.folder.url), str(out), CopyConfig()), out / ".omokage.parquet", 5)
    whole, found = tree(tmp_path / "whole"), tree(out)
    names = {name for name, facts in whole.items() if name.endswith(b".jpg")}
    assert {name: found[name] for name in names} == {name: whole[name] for name in names}
    assert files(out) == files(tmp_path / "whole")
