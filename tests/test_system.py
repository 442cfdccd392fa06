import os
import subprocess
import sys
from pathlib import Path

import pytest

from omokage import system
from omokage.errors import SystemLibraryError


def find(name: str) -> Path | None:
    """Return where the loader finds a library, in its own words."""
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    places = [line.rpartition("=> ")[2] for line in known.splitlines() if line.strip().startswith(f"{name} ")]
    return Path(places[0]).resolve() if places else None


def test_what_is_here_is_required_in_silence():
    system.require(["libc.so.6"])
    system.require([])


def test_what_is_missing_is_named_with_its_package(monkeypatch):
    monkeypatch.setitem(system.LIBRARIES, "libnothere.so.7", "libnothere7")
    monkeypatch.setitem(system.LIBRARIES, "libnorthis.so.1", "libnorthis1")
    with pytest.raises(SystemLibraryError) as error:
        system.require(["libnothere.so.7", "libc.so.6", "libnorthis.so.1"])
    assert str(error.value) == (
        "missing system libraries: libnothere.so.7, libnorthis.so.1. "
        "On Debian and Ubuntu: apt-get install libnothere7 libnorthis1"
    )


@pytest.mark.parametrize("name", system.LIBRARIES)
def test_a_machine_without_a_library_is_told_in_one_line(name):
    """In a mount namespace of its own an empty file lies over the library; the rest of the machine sees nothing."""
    place = find(name)
    if place is None:
        pytest.skip(f"{name} is not here")
    if os.getuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("only root can hide a file")
    script = 'mount --bind /dev/null "$1" && exec "$2" -m omokage.system'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(place), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
    assert f"apt-get install {system.LIBRARIES[name]}" in done.stderr


def test_a_whole_machine_is_told_nothing():
    if any(find(name) is None for name in system.LIBRARIES):
        pytest.skip("this machine is not whole")
    done = subprocess.run([sys.executable, "-m", "omokage.system"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
