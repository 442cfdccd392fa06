"""What a command runs on: this program's own version, and shared libraries that the wheels do not carry."""

import ctypes
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import omokage
from omokage.errors import SystemLibraryError

OPENCV = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}
"""What OpenCV's wheel wants: file and Debian package."""

LIBRARIES = OPENCV | {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}
"""The same with what the mediapipe package adds."""


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
