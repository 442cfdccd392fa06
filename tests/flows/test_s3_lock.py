"""One command at a time in a run behind a URL, and no holder that blocks it for ever."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from omokage.errors import DatasetError, WorkError
from omokage.storage import Folder
from omokage.train.lock import LOCK, Lease, held, process
from omokage.train.run import Run

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("address")]

QUICK = {"beat": 0.05, "patience": 30.0, "look": 0.05}

HOLDER = """
import sys
from omokage.storage import Folder
from omokage.train.lock import Lease
lease = Lease(Folder.at(sys.argv[1]), beat=0.05)
lease.take()
print("held", flush=True)
sys.stdin.read()
lease.give_back()
"""


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Folder:
    place = Folder.at(f"s3://lock/{request.node.name} 一")
    place.files.makedirs("lock", exist_ok=True)
    return place


@contextmanager
def leased(lease: Lease) -> Iterator[Lease]:
    lease.take()
    try:
        yield lease
    finally:
        lease.give_back()


def said(folder: Folder) -> dict:
    return json.loads(folder.read(LOCK))


def elsewhere(folder: Folder) -> None:
    """Write what a holder on another machine says of itself, who will never give a sign."""
    holder = Lease(folder).said | {"host": "far", "who": "mari", "machine": "another", "process": 7}
    folder.write(LOCK, json.dumps(holder).encode())


def test_the_second_is_told_who_is_at_work_and_nothing_is_left_in_the_end(folder):
    with leased(Lease(folder, **QUICK)) as first:
        who, host = first.said["who"], first.said["host"]
        with pytest.raises(DatasetError, match=rf"another training is at work .* by {who} on {host} \(process "):
            Lease(folder, **QUICK).take()
        first.still()
        assert said(folder)["token"] == first.said["token"]
    assert not folder.exists(LOCK)
    run = Run.at(folder.url)
    with run.locked() as still:
        still()
        assert folder.exists(LOCK)
        run.check_free()
    assert not folder.exists(LOCK)


@contextmanager
def holder(folder: Folder) -> Iterator[subprocess.Popen[str]]:
    """Yield another process of this machine that holds the folder."""
    words = [sys.executable, "-c", HOLDER, folder.url]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_holder_that_was_killed_on_this_machine_is_taken_over_at_once(folder):
    with holder(folder) as other:
        with pytest.raises(DatasetError, match=f"process {other.pid}"):
            Lease(folder, **QUICK).take()
        os.kill(other.pid, signal.SIGKILL)
        other.communicate()
        with leased(Lease(folder, beat=60, patience=1e9)):  # it would watch for ever
            assert said(folder)["process"] == os.getpid()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_holder_elsewhere_that_gives_no_sign_is_taken_over_after_a_while(folder, damaged, caplog):
    elsewhere(folder)
    if damaged:
        folder.write(LOCK, b"{")
    with leased(Lease(folder, beat=60, patience=0.3, look=0.05)) as ours:
        assert said(folder)["token"] == ours.said["token"]
        ours.still()
    assert ("by mari on far (process 7, since" in caplog.text) != damaged
    assert "looking for up to 0.3 s" in caplog.text


def test_a_holder_that_was_taken_over_stops_and_leaves_the_others_hold(folder):
    first = Lease(folder, **QUICK)
    with leased(first):
        elsewhere(folder)
        first._beats.join(30)
        assert first.lost
        with pytest.raises(WorkError, match="another command has taken over"):
            first.still()
    assert said(folder)["host"] == "far"


def test_a_block_that_fails_gives_back(folder):
    with pytest.raises(KeyError), held(folder):
        raise KeyError
    assert not folder.exists(LOCK)


def test_a_process_is_known_from_its_successor_of_the_same_number():
    mine = process(os.getpid())
    assert mine["machine"] and mine["born"] and process(os.getpid()) == mine
    assert process(2**22 + 1)["born"] is None  # above the greatest number that Linux gives
