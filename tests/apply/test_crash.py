"""Death at every single thing that an apply and an undo do to files, one after the other."""

import os
import shutil
from pathlib import Path

import crash
import pytest

from children import CHILDREN
from omokage.apply import journal
from omokage.apply.asked import Asked
from omokage.apply.move import move, undo
from trees import drop, known, plant, relabel, tree


@pytest.fixture(params=["renamed", "linked", "copied"])
def way(request, tmp_path):
    """How files move: by a rename, by a link where there is no such rename, by copying to another disk."""
    other = Path(f"/dev/shm/omokage-crash-{os.getpid()}")
    if request.param == "copied" and (
        not other.parent.is_dir() or other.parent.stat().st_dev == tmp_path.stat().st_dev
    ):
        pytest.skip("there is no second disk here")
    yield {"plainly": request.param == "linked", "quarantine": str(other) if request.param == "copied" else None}
    shutil.rmtree(other, ignore_errors=True)


def dies(place: Path, at: int, back: bool, way: dict) -> bool:
    process = CHILDREN.Process(
        target=crash.run, args=(str(place / "data"), back, way["quarantine"], at, way["plainly"])
    )
    process.start()
    process.join()
    assert process.exitcode in (0, -9), "it failed by itself"
    return process.exitcode == -9


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=pytest.mark.long)])
def test_whatever_it_was_about_to_do(tmp_path, way, step):
    """Die before every so many of its events."""
    at, apply_dies, undo_dies = 1, True, True
    while apply_dies or undo_dies:
        place = tmp_path / f"{at}"
        plant(place / "pictures", "A/1.jpg", "A/x/2.jpg", "B/1.jpg", "C/no picture.txt", "C/5.jpg")
        before = tree(place / "pictures")
        data = known(place / "pictures", place / "data", {"C/no picture.txt": 0})
        drop(data, "A/x/2.jpg", "C/5.jpg")
        relabel(data, "B", "A/1.jpg")
        relabel(data, "New", "B/1.jpg")
        apply_dies = dies(place, at, False, way)
        if not any(entry.applied for entry in journal.entries(data.folder)):
            move(Asked.at(data.folder.url), way["quarantine"])
        assert {str(f.relative_to(place / "pictures")) for f in (place / "pictures").rglob("*.*")} == {
            "B/1 (2).jpg",
            "C/no picture.txt",
            "New/1.jpg",
        }
        undo_dies = dies(place, at, True, way)
        if not journal.entries(data.folder)[0].undone:
            undo(data.folder.url)
        assert tree(place / "pictures") == before
        assert not Path(way["quarantine"] or place / "pictures.quarantine").exists()
        at += step
    assert at > 30, "nothing was watched"
