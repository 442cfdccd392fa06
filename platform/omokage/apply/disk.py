"""Files of a local disk that go from one place to another: never over something else, and whole at every moment."""

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import posixpath
import shutil
import stat
from collections.abc import Callable
from typing import Final

from omokage.apply.journal import Step, Touched
from omokage.errors import WorkError
from omokage.storage import part_of

_HERE: Final = -100  # AT_FDCWD
_NOREPLACE: Final = 1  # RENAME_NOREPLACE

UNABLE: Final = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK)
"""How file systems say that they do not know a way of moving a file."""

# This module deals in paths that may be undecodable, as str with surrogates; pathlib would add nothing.
# ruff: noqa: PTH101, PTH103, PTH104, PTH108, PTH106, PTH112, PTH115, PTH116, PTH123


class Disk:
    """Looks at and moves files; a place is an absolute path."""

    threads: Final = 1
    """More would not move files faster."""

    def holds(self, place: str, step: Step, thorough: bool) -> bool | None:
        """Return whether the file of ``step`` lies at ``place``; None where nothing does.

        Args:
            place: Absolute path.
            step: Which file; a link is compared by what it says.
            thorough: Whether the content is read even where size and time are right.
        """
        try:
            info = os.lstat(place)
        except FileNotFoundError:
            return None
        except NotADirectoryError:  # a file lies where its folder was
            return False
        if stat.S_ISLNK(info.st_mode):
            return step.link == os.fsencode(os.readlink(place))
        if step.link is not None or not stat.S_ISREG(info.st_mode) or info.st_size != step.size:
            return False
        return (str(info.st_mtime_ns) == step.stamp and not thorough) or _sha256(place) == step.sha256

    def move(self, place: str, target: str, step: Step) -> None:
        """Move a file to a place where nothing is; if the process is killed, it is at one of the two, or at both.

        Raises:
            FileExistsError: Something came to lie there.
            OSError: The disk is full, or writing is not permitted.
        """
        os.makedirs(posixpath.dirname(target), exist_ok=True)
        try:
            _rename(place, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(place, target, step)
            os.unlink(place)

    def settle(self, target: str, step: Step) -> None:
        """Give a file that arrived the time that it had; somebody may have touched it."""
        if str(os.lstat(target).st_mtime_ns) != step.stamp:
            os.utime(target, ns=(int(step.stamp), int(step.stamp)), follow_symlinks=False)

    def remove(self, place: str) -> None:
        """Remove a file that lies at its new place too."""
        os.unlink(place)

    def clean(self, target: str) -> None:
        """Remove what a copy across disks that was killed may have left."""
        try:
            os.unlink(part_of(target))
        except (FileNotFoundError, NotADirectoryError):
            return


def touched(path: str, loses: bool) -> Touched:
    """Return what is to be known of a folder before anything in it is moved."""
    try:
        info = os.stat(path)
    except FileNotFoundError:
        return Touched(os.fsencode(path), there=False)
    mode = stat.S_IMODE(info.st_mode)
    return Touched(os.fsencode(path), True, loses, info.st_mtime_ns, mode, info.st_uid, info.st_gid)


def remove_emptied(folders: tuple[Touched, ...]) -> None:
    """Remove those folders that were there, lost files, and are empty now."""
    _remove_empty([folder.path for folder in folders if folder.there and folder.loses])


def make_anew(folders: tuple[Touched, ...]) -> None:
    """Make those folders that were there and are gone."""
    for folder in sorted(folders):
        if folder.there and not os.path.lexists(folder.path):
            os.makedirs(folder.path)


def restore(folders: tuple[Touched, ...]) -> None:
    """Remove those folders that were not there and are empty now, and give the others their modes and times."""
    _remove_empty([folder.path for folder in folders if not folder.there])
    for folder in folders:
        if not folder.there or not os.path.isdir(folder.path):
            continue
        info = os.stat(folder.path)
        with contextlib.suppress(PermissionError):  # only its owner may, and it need not be ours
            if (info.st_uid, info.st_gid) != (folder.uid, folder.gid):
                os.chown(folder.path, folder.uid, folder.gid)
            if stat.S_IMODE(info.st_mode) != folder.mode:
                os.chmod(folder.path, folder.mode)
            os.utime(folder.path, ns=(folder.mtime_ns, folder.mtime_ns))


def _remove_empty(paths: list[bytes]) -> None:
    for path in sorted(paths, reverse=True):  # what lies deeper comes first
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """Return the system call that renames and never replaces, where the C library has it."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def _rename(place: str, target: str) -> None:
    call = _renameat2()
    if call is not None:
        if call(_HERE, os.fsencode(place), _HERE, os.fsencode(target), _NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in UNABLE:
            raise OSError(number, os.strerror(number), place, None, target)
    try:
        os.link(place, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
    else:
        os.unlink(place)
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(place, target)  # a file system that has neither way: nobody else may write there meanwhile


def _copy(place: str, target: str, step: Step) -> None:
    """Copy a file to another disk, whole or not at all."""
    part = part_of(target)
    try:
        if os.path.lexists(part):
            os.unlink(part)
        shutil.copy2(place, part, follow_symlinks=False)
        owner = os.lstat(place)
        with contextlib.suppress(PermissionError):
            os.chown(part, owner.st_uid, owner.st_gid, follow_symlinks=False)
        os.utime(part, ns=(int(step.stamp), int(step.stamp)), follow_symlinks=False)
        if step.link is None:
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            if _sha256(part) != step.sha256:
                raise WorkError(f"{target!r} did not get the bytes of {place!r}: check the disk")
        _rename(part, target)
    except OSError:
        if os.path.lexists(part):
            os.unlink(part)
        raise


def _sha256(place: str) -> str:
    with open(place, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
