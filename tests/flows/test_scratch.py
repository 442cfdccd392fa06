"""Temporary folders: gone with their command, or with the next one where that was killed."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from omokage.flows.scratch import PREFIX, scratch, sweep

HOLDER = """
import sys
from omokage.flows.scratch import scratch
with scratch() as place:
    (place / "file").write_text("x")
    print(place, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_goes_with_its_block(temporary):
    with scratch() as place:
        (place / "a").mkdir()
        assert place.parent == temporary
    with pytest.raises(KeyError), scratch():
        raise KeyError
    assert list(temporary.iterdir()) == []


def test_what_a_killed_command_left_goes_with_the_next_and_what_is_in_use_stays(temporary):
    command = [sys.executable, "-c", HOLDER]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as alive,
    ):
        dead, living = (Path(each.stdout.readline().strip()) for each in (killed, alive))
        sweep()
        assert dead.exists() and living.exists()
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert (dead / "file").exists()
        with scratch() as ours:
            assert sorted(temporary.iterdir()) == sorted([living, ours])
        alive.stdin.close()
    assert list(temporary.iterdir()) == []


def test_what_is_not_ours_is_left_alone(temporary):
    others = temporary / "others"
    others.mkdir()
    (others / "thesis.txt").write_text("mine")
    (temporary / f"{PREFIX}link").symlink_to(others)
    (temporary / f"{PREFIX}file").write_text("mine")
    (temporary / "omokage-other").mkdir()
    sweep()
    assert (others / "thesis.txt").exists() and len(list(temporary.iterdir())) == 4
