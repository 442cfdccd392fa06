"""Shared libraries of the operating system that the wheels do not carry."""

import ctypes
import sys
from collections.abc import Iterable

from omokage.errors import SystemLibraryError

OPENCV = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}
"""What OpenCV's wheel wants: file and Debian package."""

LIBRARIES = OPENCV | {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}
"""The same with what the mediapipe package adds."""


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
