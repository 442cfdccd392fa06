"""Real kills at real moments: the next run finishes the rest, and the result is that of a quiet run."""

import os
import signal
from pathlib import Path

import pytest

from conftest import content, finish, run, start, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.long]


def marks(dataset: Path) -> int:
    """Return how many shards are finished."""
    return len(list((dataset / "shards").glob("*.json"))) if (dataset / "shards").is_dir() else 0


def processes(session: int, title: str) -> list[int]:
    """Return the processes of a session whose command line contains ``title``."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if title in line and (os.getsid(int(entry.name)) == session or descends(int(entry.name), session)):
                found.append(int(entry.name))
        except (OSError, ProcessLookupError):
            continue
    return found


def descends(pid: int, ancestor: int) -> bool:
    """Return whether ``ancestor`` is among the parents of ``pid``."""
    while pid > 1:
        if pid == ancestor:
            return True
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return False


def begun(pictures, dataset, runtime):
    """Return a run that has finished shards of its own, and has more to do."""
    before = marks(dataset)
    process = start("ingest", pictures, dataset, "--workers", "1", "--runtime", runtime, "--json")
    wait_until(lambda: marks(dataset) >= before + 2, process)
    return process


def kill_one(process, title):
    wait_until(lambda: bool(processes(process.pid, title)), process)
    os.kill(processes(process.pid, title)[0], signal.SIGKILL)


def test_a_run_that_is_ended_in_every_way_is_finished_by_the_same_command(pictures, undisturbed, runtime, tmp_path):
    killed = begun(pictures, tmp_path, runtime)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()

    for number in (signal.SIGINT, signal.SIGTERM):
        stopped = begun(pictures, tmp_path, runtime)
        os.kill(stopped.pid, number)
        said = finish(stopped)
        assert said.status == 130, said.err
        assert "stopped" in said.err and "Traceback" not in said.err and "SIGTERM received" not in said.err

    headless = begun(pictures, tmp_path, runtime)
    kill_one(headless, "raylet/raylet")
    assert finish(headless).status != 0

    kept = marks(tmp_path)
    ran = run("ingest", pictures, tmp_path, "--json")
    assert ran.status == 0, ran.err
    assert 0 < ran.report["done"] < ran.report["pictures"], "nothing was kept, or nothing was left to do"
    assert kept >= 6
    assert content(tmp_path) == content(undisturbed)
    assert run("check", tmp_path).status == 0


def test_workers_are_killed_and_the_run_survives(pictures, undisturbed, runtime, tmp_path):
    process = begun(pictures, tmp_path, runtime)
    for number, title in enumerate(("MapBatches(Looker)", "omokage.stages.child", "MapBatches(Encoder)")):
        wait_until(lambda least=2 + 2 * number: marks(tmp_path) >= least, process)
        kill_one(process, title)
    ran = finish(process)
    assert ran.status == 0, ran.err
    assert content(tmp_path) == content(undisturbed)
