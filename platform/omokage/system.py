"""Shared libraries of the operating system that the wheels do not carry."""

import ctypes
import sys
from collections.abc import Iterable

from omokage.errors import SystemLibraryError

LIBRARIES = {"libGL.so.1": "libgl1", "libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}
"""File and Debian package. OpenCV's wheel wants the first, the mediapipe package all three."""


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
