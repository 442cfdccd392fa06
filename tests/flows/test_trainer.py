"""What runs beside the workers of a training, what they write on the board, and how a controller is stopped."""

import asyncio
import contextlib
import signal
import threading
import time
from pathlib import Path

import pytest

from conftest import finish, start, wait_until
from omokage.flows.board import Board
from omokage.flows.cluster import ClusterConfig, connected
from omokage.flows.trainer import _Stop
from test_kill import processes
from training import OPTIONS, crowd_of

LONG = 60.0

WATCHED = 5.0
"""Seconds for which wakes are counted."""

AGENTS = ("DashboardAgent", "RuntimeEnvAgent")
"""Of Ray itself, without which no node starts."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return crowd_of(tmp_path_factory.mktemp("crowd"), people=16)


def titles(session: int) -> list[str]:
    """Return what Ray's processes of a session call themselves."""
    lines = (Path(f"/proc/{pid}/cmdline") for pid in processes(session, "ray::"))
    return [line.read_bytes().split(b"\0")[0].decode().removeprefix("ray::") for line in lines if line.exists()]


def woken(session: int) -> int:
    """Return how often the main threads of a session's workers have been woken."""
    found = 0
    for pid in processes(session, "ray::TrainWorker"):
        lines = Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines()
        found += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return found


@pytest.mark.ray
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_nothing_of_rays_runs_beside_the_workers(data, tmp_path, workers):
    """Each process wakes a hundred times a second, and a step of all cores waits for each of them."""
    words = (*OPTIONS, "--epochs", "100", "--checkpoint-every", "2", "--workers", str(workers), "--json")
    command = start("train", data, tmp_path / "run", *words)
    wait_until(lambda: (tmp_path / "run" / "metrics.jsonl").exists(), command)
    there = [title for title in titles(command.pid) if not title.startswith(("IDLE", *AGENTS))]
    wakes = woken(command.pid)
    time.sleep(WATCHED)  # what is counted is what happens in some time
    wakes = woken(command.pid) - wakes
    command.send_signal(signal.SIGINT)
    said = finish(command)
    assert [title.partition(".")[0] for title in there] == ["TrainWorker"] * workers
    assert wakes < WATCHED * workers * 50, "a main thread that looks for signals does so 100 times a second"
    assert said.status == 130 and "the same command goes on from here" in said.err, said.err
    assert not titles(command.pid), "the end of the command is the end of all"


@pytest.mark.ray
def test_the_board_shows_what_was_written_and_nothing_twice():
    with connected(ClusterConfig(cpus=1, object_store_mb=80)):
        board, same, other = (Board(name) for name in ("a", "a", "ab"))
        assert board.seen(0).progress is None and not board.failed()
        for epoch in (9, 10, 11, 10):  # the last one is told again by a worker that was started anew
            same.tell({"epoch": epoch, "loss": float("nan"), "why": "山"})
        same.show(3, 4, "epoch 10 of 12")
        same.fail("WorkError", "first")
        same.fail("WorkError", "second")
        other.show(1, 2)
        seen = board.seen(1)
        assert [line["epoch"] for line in seen.epochs] == [10, 11] and seen.epochs[0]["why"] == "山"
        assert seen.progress == (3, 4, "epoch 10 of 12")
        assert seen.failure == ("WorkError", "first") and board.failed()
        board.wipe()
        assert board.seen(0) == Board("never").seen(0) and other.seen(0).progress == (1, 2, "")


@pytest.mark.parametrize("early", [True, False])
def test_a_controller_that_is_stopped_waits_for_nothing(early):
    stop, waiting = _Stop(), threading.Event()
    ends = []

    async def waits() -> None:
        waiting.set()
        while not stop.asked.is_set():
            await asyncio.sleep(LONG)

    def runs() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(stop.holding(waits))
        ends.append(time.monotonic())

    began = time.monotonic()
    if early:
        stop.now()
    thread = threading.Thread(target=runs, daemon=True)
    thread.start()
    assert waiting.wait(LONG)
    stop.now()
    thread.join(LONG)
    assert ends and ends[0] - began < LONG / 2
    stop.now()  # what has ended can be stopped
