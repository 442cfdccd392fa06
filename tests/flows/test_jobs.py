"""The jobs on a cluster that ``ray start`` made, through ``ray job submit``."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import ray_head
from conftest import DEADLINE, content, run, wait_until
from crowd import Crowd
from omokage.flows.find import find
from omokage.flows.find_config import FindConfig
from omokage.store import Dataset
from omokage.train.trained import load
from training import OPTIONS, crowd_of, curve_of

pytestmark = [pytest.mark.ray, pytest.mark.long]

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster():
    with ray_head.running() as env:
        yield env


def submitted(env, script, *words):
    """Return a started ``ray job submit``, as the docstring of the job has it."""
    job = [ray_head.RAY, "job", "submit", "--working-dir", ".", "--runtime-env", "cluster/runtime_env.yaml", "--"]
    command = [str(word) for word in [*job, "python", f"jobs/{script}.py", *words]]
    return subprocess.Popen(command, env=env, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def submit(env, *words):
    """Return a finished ingest job."""
    process = submitted(env, "ingest", *words)
    out, err = process.communicate(timeout=DEADLINE)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def workers(env, title):
    """Return the processes of the cluster's workers that are at a task of this name."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            named = entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(title.encode())
            if named and env["RAY_AUTH_TOKEN"].encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def test_a_job_makes_the_dataset_that_the_command_makes(cluster, pictures, undisturbed, tmp_path):
    runtime = Dataset.open(str(undisturbed)).head.runtime
    done = submit(cluster, pictures, tmp_path / "dataset", "--runtime", runtime, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert report["pictures"] == report["done"] == Dataset.open(str(undisturbed)).manifest().num_rows
    assert content(tmp_path / "dataset") == content(undisturbed)


def test_workers_find_what_one_machine_finds_also_when_one_is_killed(cluster, tmp_path):
    Crowd(folders=1500, faces=20, dim=256, seed=8).write(str(tmp_path / "far"))
    shutil.copytree(tmp_path / "far", tmp_path / "here")
    process = submitted(cluster, "find", tmp_path / "far", "--what", "collisions", "--json")
    wait_until(lambda: bool(workers(cluster, "ray::_units")), process)
    os.kill(workers(cluster, "ray::_units")[0], signal.SIGKILL)
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, out + err
    find(str(tmp_path / "here"), FindConfig(what="collisions"))
    for name in ("collisions", "collision_pairs"):
        far, here = (pq.read_table(tmp_path / place / "findings" / f"{name}.parquet") for place in ("far", "here"))
        assert far.num_rows
        if name == "collision_pairs":  # sums in other threads differ in the last digits of a score
            np.testing.assert_allclose(far["score"], here["score"], atol=1e-3)
            far, here = far.drop_columns("score"), here.drop_columns("score")
        assert far.equals(here)


def test_two_workers_of_a_job_train_and_a_search_takes_up_what_they_trained_with(cluster, tmp_path):
    data, run, out = crowd_of(tmp_path / "data", people=16), tmp_path / "run", tmp_path / "search"
    words = [data, run, *OPTIONS, "--epochs", "2", "--workers", "2", "--json"]
    process = submitted(cluster, "train", *words)
    said, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, said + err
    report = next(json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert report["workers"] == 2 and report["epochs"] == len(curve_of(run)) == 2
    assert load(str(run)).embedder.config.backbone == "test_resnet"

    space = tmp_path / "space.toml"
    space.write_text("optim.lr = { loguniform = [1e-3, 1e-2] }")
    words = [data, out, *OPTIONS, "--epochs", "1", "--trials", "2", "--space", space, "--json"]
    process = submitted(cluster, "tune", *words)
    said, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, said + err
    assert (out / "best.toml").exists()


def told(folder, place):
    """Return the report below a place, which is called the same for all, without what clocks and checkouts say."""
    text = (folder / place / "told" / "report.json").read_text(encoding="utf-8")
    report = json.loads(text.replace(str(folder / place), "PLACE"))
    return {name: value for name, value in report.items() if name not in ("seconds", "code", "key")}


@pytest.mark.parametrize(("verb", "words"), [("evaluate", ()), ("audit", ("--groups", "folder:1", "--fmr", "0.01"))])
def test_another_encoder_is_judged_by_a_job_as_by_the_command(verb, words, cluster, undisturbed, runtime, tmp_path):
    words = [*words, "--encoder", "sface", "--from-chips", "--runtime", runtime, "--tracking", "off", "--json"]
    for place in ("far", "here"):  # each makes the vectors anew
        shutil.copytree(undisturbed, tmp_path / place / "data")
    process = submitted(cluster, verb, tmp_path / "far" / "data", tmp_path / "far" / "told", *words)
    said, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, said + err
    job = next(json.loads(line) for line in said.splitlines() if line.startswith("{"))
    ran = run(verb, tmp_path / "here" / "data", tmp_path / "here" / "told", *words)
    assert ran.status == 0, ran.err
    assert job["new"] and job["folder"] == str(tmp_path / "far" / "told")
    assert told(tmp_path, "far") == told(tmp_path, "here")
    assert list((tmp_path / "far" / "data" / "encoded").glob("*/*.arrow"))


def test_a_job_that_fails_says_why_and_fails(cluster, tmp_path):
    done = submit(cluster, tmp_path / "gone", tmp_path / "dataset")
    assert done.returncode == 1
    assert f"omokage ingest: there is nothing at {tmp_path / 'gone'}" in done.stdout
    assert "Traceback" not in done.stdout


def test_without_the_token_nobody_gets_in(cluster, tmp_path):
    done = submit(cluster | {"RAY_AUTH_TOKEN": "0" * 64}, tmp_path / "gone", tmp_path / "dataset")
    assert done.returncode != 0
    assert "Invalid authentication token" in done.stdout + done.stderr
    assert "there is nothing at" not in done.stdout
