"""Real kills at real moments: the next run finishes the rest, and the result is that of a quiet run."""

import os
import signal
from pathlib import Path

import pytest

from conftest import content, finish, run, start, wait_until

pytestmark = pytest.mark.ray


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


def kill_one(process, title):
    wait_until(lambda: bool(processes(process.pid, title)), process)
    os.kill(processes(process.pid, title)[0], signal.SIGKILL)


def begun(pictures, dataset):
    """Return a run that has finished a shard and has more to do."""
    process = start("ingest", pictures, dataset, "--workers", "1", "--json")
    wait_until(lambda: marks(dataset) >= 2, process)
    return process


def test_the_driver_is_killed(pictures, undisturbed, tmp_path):
    process = begun(pictures, tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    ran = run("ingest", pictures, tmp_path, "--json")
    assert ran.status == 0, ran.err
    assert 0 < ran.report["done"] < ran.report["pictures"], "either nothing was kept, or it was not killed in time"
    assert content(tmp_path) == content(undisturbed)
    assert run("check", tmp_path).status == 0


def test_it_is_stopped_and_goes_on(pictures, undisturbed, tmp_path):
    process = begun(pictures, tmp_path)
    os.kill(process.pid, signal.SIGINT)
    stopped = finish(process)
    assert stopped.status == 130
    assert "stopped" in stopped.err and "Traceback" not in stopped.err
    assert run("ingest", pictures, tmp_path).status == 0
    assert content(tmp_path) == content(undisturbed)


@pytest.mark.parametrize("title", ["MapBatches(Looker)", "omokage.stages.child", "MapBatches(Encoder)"])
def test_a_worker_is_killed_and_the_run_survives(title, pictures, undisturbed, tmp_path):
    process = begun(pictures, tmp_path)
    kill_one(process, title)
    ran = finish(process)
    assert ran.status == 0, ran.err
    assert content(tmp_path) == content(undisturbed)


def test_the_raylet_is_killed(pictures, undisturbed, tmp_path):
    process = begun(pictures, tmp_path)
    kill_one(process, "raylet/raylet")
    ended = finish(process)
    assert ended.status != 0
    ran = run("ingest", pictures, tmp_path, "--json")
    assert ran.status == 0, ran.err
    assert content(tmp_path) == content(undisturbed)
