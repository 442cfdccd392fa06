"""A run's folder: what it was begun with, what may go on in it, what may not."""

import dataclasses
import json

import pytest
import torch
from lessons import TINY, changed, crowd, parted, recipe

from omokage import schema
from omokage.errors import ConfigError, DatasetError
from omokage.storage import Folder
from omokage.system import code
from omokage.train import run as runs
from omokage.train.losses import LossConfig
from omokage.train.optim import OptimConfig
from omokage.train.run import Run, RunHead, differences, plain, table_bytes


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.at(str(tmp_path / "run"))


def head(**other) -> RunHead:
    given = {
        "dataset": "/data/最初",
        "version": "v1",
        "version_sha256": "0" * 64,
        "generation": 1,
        "split_sha256": "",
        "recipe": plain(recipe()),
        "code": code(),
        "key": "k",
        "notes": ("a note",),
    }
    return RunHead(**given | other)


def test_what_begins_a_run_comes_back(run, tmp_path):
    assert run.head() is None and run.report() is None and run.history() == []
    table = parted(crowd(tmp_path / "data", people=6))
    data, sha256 = table_bytes(table)
    began = head(split_sha256=sha256)
    run.begin(began, "[model]\n", data, None)
    assert run.head() == began
    assert run.split(began).equals(table) and run.start() is None
    run.folder.write(runs.SPLIT, data[:-1])
    with pytest.raises(DatasetError, match="damaged"):
        run.split(began)


def test_a_head_that_is_damaged_says_so(run):
    run.folder.write(runs.HEAD, b'{"format": 1}')
    with pytest.raises(DatasetError, match="damaged"):
        run.head()
    run.folder.write(runs.HEAD, b'{"format": 99}')
    with pytest.raises(DatasetError, match="another version"):
        run.head()


def begin(run, **other) -> RunHead:
    table, sha256 = table_bytes(schema.SPLIT.empty_table())
    began = head(split_sha256=sha256, **other)
    run.begin(began, "", table, None)
    return began


def test_other_settings_for_the_same_run_are_refused_with_what_differs(run):
    old = begin(run)
    run.folder.write(runs.METRICS, b"{}")
    assert run.going_on("/data/最初", "v1", recipe()) == old
    other = changed(recipe(epochs=9), optim=OptimConfig(lr=0.5), loss=LossConfig(loss="arcface", margin_rad=0.3))
    with pytest.raises(ConfigError, match="was begun with other settings") as said:
        run.going_on("/data/最初", "v2", other)
    text = str(said.value)
    assert "loop.epochs is 3 there and 9 here" in text
    assert "optim.lr is not given there and 0.5 here" in text
    assert 'loss.loss is "cosface" there and "arcface" here' in text
    assert 'version is "v1" there and "v2" here' in text
    assert "dim" not in text and "dataset" not in text


def test_settings_that_a_newer_program_knows_are_no_other_settings_by_name():
    """A field that this program has and the run's writer had not is said, not passed over."""
    old = head()
    del old.recipe["model"]["dim"]
    said = differences(old, "/data/最初", "v1", changed(recipe(), model=TINY))
    assert said == "model.dim is not given there and 16 here"


@pytest.mark.parametrize(
    "came", [None, "metrics.jsonl", "report.json", "checkpoints/000000-000012-1f3a9c5e.json", "checkpoints/x.all.pt"]
)
def test_a_run_of_which_nothing_came_is_begun_anew_with_other_settings(run, came):
    old = begin(run)
    if came:
        run.folder.write(came, b"{}")
    learned = came is not None and came.endswith(("l", "n"))
    assert run.learned() == learned
    assert run.going_on("/data/最初", "v1", recipe()) == old
    if learned:
        with pytest.raises(ConfigError, match="other settings"):
            run.going_on("/data/最初", "v1", recipe(epochs=9))
    else:
        assert run.going_on("/data/最初", "v1", recipe(epochs=9)) is None


def test_a_beginning_leaves_nothing_of_an_earlier_one(run):
    """Weights to start from that were for other settings would be taken for those of the new ones."""
    table, _ = table_bytes(schema.SPLIT.empty_table())
    run.begin(head(), "", table, {"w": torch.ones(1)})
    assert run.start() is not None
    begin(run)
    assert run.start() is None and run.head() is not None


@pytest.mark.parametrize("killed_after", [runs.CONFIG, runs.SPLIT])
def test_beginning_anew_may_be_killed_at_any_moment(run, killed_after, monkeypatch):
    begin(run)
    run.folder.write("checkpoints/000000-000012-1f3a9c5e.all.pt", b"")
    run.folder.write("events/events.out.tfevents.1", b"")
    write = type(run.folder).write

    def killed(folder, name, data):
        write(folder, name, data)
        if name == killed_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(type(run.folder), "write", killed)
    with pytest.raises(KeyboardInterrupt):
        begin(run, version="v2")
    monkeypatch.undo()
    for version in ("v1", "v2"):
        assert run.going_on("/data/最初", version, recipe()) is None


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="other files"):
        Run.at(str(tmp_path)).check_free()


def test_a_folder_of_folders_is_left_alone(tmp_path):
    (tmp_path / "a person").mkdir()
    with pytest.raises(DatasetError, match="other files"):
        Run.at(str(tmp_path)).check_free()


@pytest.mark.parametrize("there", [None, (), ("thesis.txt",)])
def test_where_nothing_was_begun_nothing_is_left(tmp_path, there):
    place = tmp_path / "new"
    if there is not None:
        place.mkdir()
        for name in there:
            (place / name).write_text("mine")
    with pytest.raises(DatasetError), Run.at(str(place)).locked():
        raise DatasetError("a setting is wrong")
    assert (sorted(each.name for each in place.iterdir()) if place.exists() else None) == (
        None if there is None else sorted(there)
    )


def test_what_a_killed_beginning_left_is_written_over(run):
    run.folder.write(runs.CONFIG, b"")
    run.folder.write(runs.SPLIT, b"")
    run.check_free()


def test_checkpoints_without_their_run_are_left_alone(run):
    run.folder.write(runs.CONFIG, b"")
    run.folder.write("checkpoints/000000-000012-1f3a9c5e.json", b"{}")
    with pytest.raises(DatasetError, match="other files"):
        run.check_free()


def test_two_at_once_are_kept_apart_and_a_lock_ends_with_its_holder(run):
    other = Run.at(run.folder.url)
    with run.locked(), pytest.raises(DatasetError, match="another training is at work"), other.locked():
        pass
    with Run.at(run.folder.url).locked():
        pass


def test_plain_recipes_are_read_back_as_they_were():
    from omokage import config
    from omokage.train.recipe import Recipe

    said = json.loads(json.dumps(plain(recipe())))
    assert config.from_dict(Recipe, said, "run.json") == recipe()
    assert set(said) == {field.name for field in dataclasses.fields(Recipe)}


def test_the_commit_is_that_of_the_checkout():
    said = code()
    assert said["omokage"] and (said["commit"] is None or len(said["commit"].removesuffix("-dirty")) == 40)
    assert Folder.at("/").local
