"""The ingest job on a cluster that ``ray start`` made, through ``ray job submit``."""

import json
import subprocess
from pathlib import Path

import pytest

import ray_head
from conftest import DEADLINE, content
from omokage.store import Dataset

pytestmark = pytest.mark.ray

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster():
    with ray_head.running() as env:
        yield env


def submit(env, *words):
    """Return a finished ``ray job submit`` of the ingest job, as its docstring has it."""
    job = [ray_head.RAY, "job", "submit", "--working-dir", ".", "--runtime-env", "cluster/runtime_env.yaml", "--"]
    command = [str(word) for word in [*job, "python", "jobs/ingest.py", *words]]
    return subprocess.run(command, env=env, cwd=REPOSITORY, capture_output=True, text=True, timeout=DEADLINE)


def test_a_job_makes_the_dataset_that_the_command_makes(cluster, pictures, undisturbed, tmp_path):
    runtime = Dataset.open(str(undisturbed)).head.runtime
    done = submit(cluster, pictures, tmp_path / "dataset", "--runtime", runtime, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert report["pictures"] == report["done"] == Dataset.open(str(undisturbed)).manifest().num_rows
    assert content(tmp_path / "dataset") == content(undisturbed)


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
