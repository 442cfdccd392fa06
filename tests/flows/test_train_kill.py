"""Real kills in the middle of an epoch: the training goes on, and ends with the curve of one that nobody disturbed."""

import json
import os
import signal
from pathlib import Path

import pytest

import s3_server
from conftest import finish, run, start, wait_until
from test_kill import processes
from training import DATA, OPTIONS, crowd_of, curve, curve_of

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(900)]

WORKER = "ray::TrainWorker"

OPTIONS_HERE = (*OPTIONS, "--epochs", "3", "--checkpoint-every", "2", "--workers", "2", "--json")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A training takes longer than an ingest where others use the machine."""
    monkeypatch.setitem(finish.__globals__, "DEADLINE", 400)  # other folders have a conftest, too


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return crowd_of(tmp_path_factory.mktemp(DATA), people=24)


def in_mid_epoch(folder: Path, epoch: int) -> bool:
    """Return whether there is a checkpoint in the middle of an epoch, by the number of those before it."""
    marks = (name.stem.split("-") for name in (folder / "checkpoints").glob("*.json"))
    return any(int(done) >= epoch and int(step) > 0 for done, step, _ in marks)


def close(one: list[dict[str, float]], other: list[dict[str, float]]) -> bool:
    """Return whether two curves are the same to 1e-6."""
    return len(one) == len(other) and all(
        a == pytest.approx(b, abs=1e-6, rel=1e-6) for a, b in zip(one, other, strict=True)
    )


def test_a_killed_worker_and_a_killed_command_end_with_the_same_curve(data, tmp_path):
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    ran = run("train", data, quiet, *OPTIONS_HERE)
    assert ran.status == 0, ran.err
    assert ran.report["starts"] == 1

    command = start("train", data, killed, *OPTIONS_HERE)
    wait_until(lambda: in_mid_epoch(killed, 0), command)
    os.kill(processes(command.pid, WORKER)[0], signal.SIGKILL)
    wait_until(lambda: in_mid_epoch(killed, 1), command)
    os.kill(command.pid, signal.SIGKILL)
    command.communicate()
    assert not (killed / "report.json").exists()

    ran = finish(start("train", data, killed, *OPTIONS_HERE))
    assert ran.status == 0, ran.err
    assert ran.report["starts"] >= 3  # begun, after the worker, after the command
    assert close(curve_of(killed), curve_of(quiet))
    assert len(curve_of(quiet)) == 3
    best = [json.loads((folder / "report.json").read_text())["best"] for folder in (quiet, killed)]
    assert best[0] == pytest.approx(best[1], abs=1e-6)


@pytest.mark.usefixtures("address")
def test_a_training_behind_a_url_that_is_stopped_goes_on(data, server, tmp_path):
    """Dataset and run are in a bucket; Ctrl-C comes in mid-epoch."""
    files = s3_server.client(server)
    files.mkdir("trainings")
    files.put(str(data), "trainings/data", recursive=True)
    options = (*OPTIONS, "--epochs", "2", "--checkpoint-every", "2", "--workers", "1", "--json")
    ran = run("train", data, tmp_path / "local", *options)
    assert ran.status == 0, ran.err

    place = "s3://trainings/run 一"
    command = start("train", "s3://trainings/data", place, *options)
    wait_until(lambda: len(files.glob("trainings/run 一/checkpoints/*.json")) > 0, command)
    os.kill(command.pid, signal.SIGINT)
    said = finish(command)
    assert said.status == 130 and "the same command goes on from here" in said.err, said.err

    ran = run("train", "s3://trainings/data", place, *options)
    assert ran.status == 0, ran.err
    assert ran.report["starts"] == 2 and ran.report["model"].endswith("best.pt")
    assert not files.exists("trainings/run 一/.lock")
    lines = files.cat_file("trainings/run 一/metrics.jsonl").decode().splitlines()
    assert close(curve([json.loads(line) for line in lines]), curve_of(tmp_path / "local"))
