"""Searches as a user runs them: small networks on made-up people, on two processors."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from conftest import Ran, start, wait_until
from omokage import config as settings
from omokage.errors import ConfigError, DatasetError
from omokage.flows.train import TrainConfig
from omokage.flows.tune import tune
from omokage.flows.tune_config import TuneConfig
from omokage.ledger.version import opened
from omokage.tracking.runs import listed
from omokage.train.split import split
from training import crowd_of

pytestmark = [pytest.mark.timeout(900)]

SIDE_BY_SIDE = ("--cpus", "2", "--at-once", "2")
"""All of a small machine is taken by trials: none may wait for a processor that another part of the work wants."""

PATIENCE = 500
"""Seconds for several trainings one after the other, on a machine that others use, too."""

OPTIONS = (
    *("--backbone", "test_resnet", "--from-scratch", "--dim", "16", "--input-size", "32"),
    *("--loss", "cosface", "--scale", "16", "--people", "4", "--pictures", "2"),
    *("--val-share", "0.3", "--test-share", "0.2", "--json"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return crowd_of(tmp_path_factory.mktemp("crowd"), people=20)


def finish(process: subprocess.Popen[str]) -> Ran:
    """Return what the command left."""
    out, err = process.communicate(timeout=PATIENCE)
    return Ran(process.returncode, out, err)


def run(*words: object) -> Ran:
    return finish(start(*words))


def spaced(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.toml").write_text(text)
    return folder / "space.toml"


def spoilt(data: Path, seed: int) -> None:
    """Make the chips of the test part no pictures, so that whoever looks at them is found out."""
    found, version = opened(str(data))
    config = TrainConfig().split
    table = split(found, version, type(config)(val_share=0.3, test_share=0.2), seed).table
    test = set(table["face_id"].filter(pc.equal(table["part"], "test")).to_pylist())
    assert test
    for shard in (data / "shards").glob("*.arrow"):
        raw = shard.read_bytes()
        with pa.ipc.open_file(pa.BufferReader(raw)) as reader:
            faces = reader.read_all()
        if "chip" not in faces.column_names:
            continue  # pictures
        spoiled = bytearray(raw)
        for face, chip in zip(faces["face_id"].to_pylist(), faces["chip"].to_pylist(), strict=True):
            if face in test:
                at = raw.index(chip)
                spoiled[at : at + len(chip)] = bytes(len(chip))
        shard.write_bytes(spoiled)


@pytest.mark.ray
def test_a_search_ranks_its_trials_and_a_failure_ends_nothing(data, tmp_path):
    out, store = tmp_path / "out", f"sqlite:///{tmp_path}/runs.db"
    space = spaced(tmp_path, "optim.lr = [0.004, 1e30]\n")
    words = (
        data,
        out,
        *OPTIONS,
        *SIDE_BY_SIDE,
        "--space",
        space,
        "--search",
        "grid",
        "--epochs",
        "2",
        "--tracking",
        store,
    )
    ran = run("tune", *words)
    assert ran.status == 0, ran.err
    report = ran.report
    trials = {trial["number"]: trial for trial in report["trials"]}
    assert set(trials) == {0, 1, 2} and trials[0]["point"] == {}
    assert trials[2]["status"] == "failed" and "not a number" in trials[2]["why"] and "lower --lr" in trials[2]["why"]
    assert trials[2]["rank"] is None and report["trials"][-1]["number"] == 2
    assert trials[0]["epochs"] == 2 and trials[0]["status"] == "finished"
    best = report["trials"][0]
    assert (best["rank"], best["value"]) == (1, report["best"]) and report["base"] == trials[0]["value"]
    assert report["better"] == (best["number"] == 1)

    # the best settings are ready to train with
    config = settings.from_toml(TrainConfig, Path(report["config"]))
    assert config.optim.lr == (0.004 if report["better"] else None)
    assert config.loss.loss == "cosface" and config.cluster.cpus == 2 and config.loop.epochs == 2

    # all were judged on the same people
    splits = [(out / "trials" / f"{number:03d}" / "split.parquet").read_bytes() for number in range(3)]
    assert splits[0] == splits[1] == splits[2]
    rows = pq.read_table(out / "results.parquet").to_pylist()
    assert [row["number"] for row in rows] == [trial["number"] for trial in report["trials"]]

    # a nested run a trial
    runs = {each.name: each for each in listed(store).runs}
    assert set(runs) == {"out", "out 000", "out 001", "out 002"}
    assert {each.part_of for name, each in runs.items() if name != "out"} == {runs["out"].run_id}
    assert (runs["out"].status, runs["out 001"].status, runs["out 002"].status) == ("FINISHED", "FINISHED", "FAILED")
    assert runs["out 000"].best.startswith(report["metric"])

    again = run("tune", *words)
    assert again.report["trials"] == report["trials"]
    assert "this search had ended already" in again.report["warnings"]
    other = run("tune", *words, "--lr", "0.1")
    assert other.status == 1 and "recipe differ" in other.err


def values(report: dict[str, Any]) -> dict[int, Any]:
    return {trial["number"]: (trial["point"], trial["status"], trial["value"]) for trial in report["trials"]}


@pytest.mark.ray
@pytest.mark.long
def test_a_killed_search_repeats_no_trial_and_finds_the_same(tmp_path):
    data = crowd_of(tmp_path / "crowd", people=20)
    spoilt(data, seed=0)  # nobody may look at the test part
    space = spaced(tmp_path, "optim.lr = { loguniform = [1e-4, 1e-2] }\naugment.strength = { uniform = [0.0, 1.0] }\n")
    words = (
        *OPTIONS,
        "--cpus",
        "1",
        "--space",
        space,
        "--trials",
        "4",
        "--scheduler",
        "fifo",
        "--epochs",
        "3",
        "--tracking",
        "off",
    )
    quiet = run("tune", data, tmp_path / "quiet", *words)
    assert quiet.status == 0, quiet.err

    out = tmp_path / "killed"
    command = start("tune", data, out, *words)

    def lines() -> list[dict[str, Any]]:
        there = out / "trials.jsonl"
        return [json.loads(line) for line in there.read_text().splitlines()] if there.exists() else []

    wait_until(lambda: any(each["number"] == 1 and each["epochs"] >= 1 for each in lines()), command)
    os.killpg(command.pid, signal.SIGKILL)
    command.communicate()
    ended = [each["number"] for each in lines() if each["status"] != "running"]
    assert 0 in ended and not (out / "report.json").exists()
    before = {number: (out / "trials" / f"{number:03d}" / "last.pt").stat().st_mtime_ns for number in ended}

    ran = finish(start("tune", data, out, *words))
    assert ran.status == 0, ran.err
    after = {number: (out / "trials" / f"{number:03d}" / "last.pt").stat().st_mtime_ns for number in ended}
    assert after == before  # trials that had ended were not run again
    for number, (point, status, value) in values(quiet.report).items():
        assert values(ran.report)[number] == (point, status, pytest.approx(value, abs=1e-6))
    assert not any("could not be decoded" in said for said in ran.report["warnings"])

    # an ended search goes on with more trials, and repeats none
    more = run("tune", data, out, *words, "--trials", "5")
    assert more.status == 0, more.err
    assert len(more.report["trials"]) == 5
    assert {number: values(more.report)[number] for number in range(4)} == values(ran.report)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trials": 0}, "trials must be at least 1"),
        ({"at_once": 0}, "at_once must be at least 1"),
        ({"workers": 2}, "a trial trains with one worker"),
        ({"max_failures": -2}, "max_failures must be"),
    ],
)
def test_settings_that_cannot_be_meant_are_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TuneConfig(**given)


def test_what_is_wrong_is_said_before_any_work(data, tmp_path):
    base = settings.from_dict(
        TuneConfig,
        {"model": {"from_scratch": True, "backbone": "test_resnet"}, "split": {"val_share": 0.0}, "tracking": "off"},
        "test",
    )
    with pytest.raises(ConfigError, match="shows none: raise --val-share"):
        tune(str(data), str(tmp_path / "out"), base)
    with pytest.raises(DatasetError):
        tune(str(tmp_path / "nothing"), str(tmp_path / "out2"), base)
    assert not (tmp_path / "out" / "search.json").exists()
