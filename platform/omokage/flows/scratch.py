"""Folders of a command's own in the machine's folder for temporary files; those of dead commands are swept.

Whoever makes one holds a lock on it, which the kernel ends with its holder, also by kill -9. So whichever folder of our
user can be locked belongs to nobody any more.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PREFIX: Final = "omokage-scratch-"


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a new folder, which goes with the block; and remove what killed commands of this user left."""
    sweep()
    while True:
        place = Path(tempfile.mkdtemp(prefix=PREFIX))
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if place.exists():  # or another command swept it before it was locked
            break
        os.close(handle)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(handle)


def sweep() -> None:
    """Remove the folders of this user whose makers are gone."""
    for place in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # gone meanwhile, no folder, or in use
            handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(handle).st_uid == os.getuid():
                    shutil.rmtree(place, ignore_errors=True)
            finally:
                os.close(handle)
