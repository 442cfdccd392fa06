"""A source that is moved, ingested again and brought back, by the command as a person runs it."""

import shutil

import pytest

from conftest import content, run
from omokage.apply import journal
from omokage.apply.asked import Asked
from omokage.apply.move import move
from omokage.ledger.decision import Decision
from omokage.store import Dataset
from trees import decide, drop, tree

pytestmark = [pytest.mark.ray, pytest.mark.long]


def test_only_moved_files_are_read_again_and_all_comes_back(pictures, undisturbed, tmp_path):
    source, dataset = tmp_path / "pictures", tmp_path / "dataset"
    shutil.copytree(pictures, source)
    shutil.copytree(undisturbed, dataset)
    assert run("ingest", source, dataset, "--moved", "--json").report["done"] == 0
    first, before = content(dataset), tree(source)
    data = Dataset.open(str(dataset))
    drop(data, "Jane/00-0.jpg")
    drop(data, "_x/00-0.jpg")
    decide(
        data, Decision(do="relabel", faces=tuple(f for f, row in first.items() if row[0] == "_x/01-0.jpg"), into="Jane")
    )

    def stop(done: int, of: int, what: str) -> None:
        if (done, what) == (1, "moved"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(Asked.at(str(dataset)), on_progress=stop)
    refused = run("ingest", source, dataset)
    assert refused.status == 1
    assert f"omokage apply {dataset} --move finishes it" in refused.err
    assert run("apply", dataset, "--move", "--json").report["moved"] == 3
    assert "run omokage ingest first" in run("apply", dataset, "--move").err

    again = run("ingest", source, dataset, "--json").report
    assert [again[key] for key in ("done", "new", "removed")] == [1, 1, 3]
    assert run("apply", dataset, "--move", "--json").report["moved"] == 0

    back = run("undo", dataset, "--apply", "--json").report
    assert (back["restored"], back["ingest"]) == (3, True)
    assert tree(source) == before
    assert journal.entries(data.folder)[0].undone
