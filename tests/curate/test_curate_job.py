"""The job for decisions, as ``ray job submit`` would start it."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

from crowd import Crowd
from omokage.cli.main import VERBS

JOB = Path(__file__).parents[2] / "jobs" / "curate.py"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(JOB.parents[1] / "platform")}
    return subprocess.run([sys.executable, JOB, *map(str, words)], env=env, capture_output=True, text=True, timeout=60)


def test_it_knows_only_verbs_that_there_are_and_none_that_somebody_must_watch():
    verbs = set(runpy.run_path(str(JOB))["VERBS"])
    assert verbs <= set(VERBS)
    assert not verbs & {"review", "draw"}
    refused = run("review", "x")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "give one of decide" in refused.stderr


def test_it_prints_the_verbs_report_and_fails_with_it(tmp_path):
    Crowd(folders=2, faces=2, dim=8, splits=0).write(str(tmp_path / "data"))
    done = run("version", tmp_path / "data", "--name", "v1", "--who", "job", "--json")
    assert json.loads(done.stdout)["who"] == "job", done.stderr
    assert run("version", tmp_path / "data", "--name", "v1").returncode == 1
