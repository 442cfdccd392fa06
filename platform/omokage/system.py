"""What a command runs on: this program's own version, shared libraries that the wheels do not carry, and memory."""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import omokage
from omokage.errors import SystemLibraryError

OPENCV = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}
"""What OpenCV's wheel wants: file and Debian package."""

LIBRARIES = OPENCV | {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}
"""The same with what the mediapipe package adds."""

_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
_ARENA_MAX: Final = -8
"""What glibc's mallopt sets. Source: its malloc.h."""


def keep_memory() -> None:
    """Let this process keep what arrays give back for the next ones, in one heap for all threads; other than glibc: no.

    By default each large array is new memory, which the kernel fills with zeros first, and for which a virtual machine
    must ask its host: find took 3.0 s of 129,100 faces, and takes 2.5 s so.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for setting, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)):
            mallopt(setting, value)


def give_way() -> None:
    """Let this thread run only where a core has nothing else to do; without such a class of threads: no."""
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second: 2026-11-22T18:00:00Z."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def code() -> dict[str, str | None]:
    """Return the version of omokage and, in a checkout, its commit."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        said = ""
    return {"omokage": omokage.__version__, "commit": said or None}


def require(libraries: Iterable[str]) -> None:
    """Check that ``libraries`` can be loaded.

    Raises:
        SystemLibraryError: Some cannot; the text says what to install.
    """
    missing = [name for name in libraries if not _loads(name)]
    if missing:
        packages = " ".join(LIBRARIES[name] for name in missing)
        raise SystemLibraryError(
            f"missing system libraries: {', '.join(missing)}. On Debian and Ubuntu: apt-get install {packages}"
        )


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    try:
        require(LIBRARIES)
    except SystemLibraryError as error:
        sys.exit(str(error))
