"""The list of runs, and its verb."""

import json
from pathlib import Path

import pytest
import stores

from omokage.cli.tracking import runs
from omokage.errors import ConfigError, StorageError
from omokage.tracking import place
from omokage.tracking.runs import RunsReport, TrackedRun, listed
from omokage.tracking.tracker import About, Tracker


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    store = stores.new(tmp_path_factory.mktemp("runs"))
    for number, (status, parent) in enumerate((("FINISHED", ""), ("FAILED", ""), (None, "k0"))):
        about = About(
            name=f"run {number}",
            key=f"k{number}",
            where=f"/runs/{number}",
            dataset="/data@v1",
            parent=parent,
            experiment="faces",
        )
        tracker = Tracker.start(store, about)
        tracker.log(1, {"val_auc": 0.9})
        tracker.best("auc", 0.9 + number / 100, 1)
        if status:
            tracker.end(status)
        # two runs of one millisecond have no order
        client = place.client(store)
        client.set_tag(tracker.run_id, "note", "1")
    Tracker.start(store, About(name="elsewhere", key="k9", experiment="other")).end("FINISHED")
    return store


def test_runs_are_listed_newest_first(store: str) -> None:
    report = listed(store, "faces")
    assert [run.name for run in report.runs] == ["run 2", "run 1", "run 0"]
    newest, failed, first = report.runs
    assert (newest.status, failed.status, first.status) == ("RUNNING", "FAILED", "FINISHED")
    assert newest.seconds is None and first.seconds is not None and first.seconds >= 0
    assert (first.best, first.dataset, first.where) == ("auc 0.9", "/data@v1", "/runs/0")
    assert newest.part_of == first.run_id and not first.part_of
    text = report.text()
    assert text.index("run 2") < text.index("run 0")
    assert "mlflow ui --host 127.0.0.1" in text and "sqlite:///" in text
    assert len(listed(store).runs) == 4
    few = listed(store, most=2)
    assert len(few.runs) == 2 and few.left_out and "--most" in few.text()


def test_what_others_wrote_into_a_store_is_shown_and_never_obeyed() -> None:
    wrong = "x\x1b]0;title\x07\x1b[2J\u202ey\nz"
    names = ("name", "run_id", "experiment", "status", "started", "dataset", "best", "where", "part_of")
    run = TrackedRun(seconds=None, **dict.fromkeys(names, wrong))
    text = RunsReport(store="sqlite:///a.db", runs=(run,), left_out=False, to_open="open").text()
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert len(text.splitlines()) == 4


def test_the_verb_prints_json(store: str) -> None:
    said = json.loads(runs(["--tracking", store, "--experiment", "faces", "--json"]))
    assert [run["name"] for run in said["runs"]] == ["run 2", "run 1", "run 0"]
    assert said["to_open"].endswith(store)


def test_what_cannot_be_listed_is_said(store: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no experiment 'face'; known: .*faces"):
        listed(store, "face")
    with pytest.raises(ConfigError, match="tracking is off"):
        listed("off")
    with pytest.raises(ConfigError, match="most must be at least 1"):
        listed(store, most=0)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all, but long enough to look like one" * 100)
    with pytest.raises(StorageError, match="does not answer"):
        listed(f"sqlite:///{broken}")


def test_asking_makes_no_store(tmp_path: Path) -> None:
    report = listed(f"sqlite:///{tmp_path}/none/runs.db")
    assert report.runs == () and report.text().startswith("No runs in sqlite:///")
    assert list(tmp_path.iterdir()) == []
