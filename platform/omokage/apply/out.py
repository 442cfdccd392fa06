"""The files of a clean copy: whether one is there already, and putting it there, whole and as it was."""

import contextlib
import errno
import fcntl
import hashlib
import os
import posixpath
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from omokage.apply.bucket import objects
from omokage.apply.check import sha256
from omokage.errors import ConfigError, SourceError
from omokage.source import stamp, unwritten
from omokage.storage import Folder, part_of

# Paths may be undecodable: str with surrogates, which pathlib would not make easier to follow.
# ruff: noqa: PTH103, PTH106, PTH108, PTH110, PTH113, PTH114, PTH116, PTH123

_FICLONE: Final = 0x40049409
"""Linux: share the blocks of another file until one of the two is written to."""

_PIECE: Final = 1 << 30
"""Bytes that the system copies at a time."""


class OnDisk:
    """A copy on a local disk; a path is one of ``COPIED``."""

    threads: Final = 4

    def __init__(self, folder: Folder, link: bool) -> None:
        self._folder = folder
        self._link = link

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other copies on this machine out of this folder; a killed holder's lock is free at once.

        Raises:
            ConfigError: One is being written.
        """
        os.makedirs(self._folder.root, exist_ok=True)
        handle = os.open(self._folder.root, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise ConfigError(f"another run is writing to {self._folder.url}: wait for it, or stop it") from error
        finally:
            os.close(handle)

    def shares_disk(self, source: Folder) -> bool:
        """Return whether hard links to files of ``source`` can be made here, which need not exist yet."""
        above = self._folder.root
        while not os.path.exists(above):
            above = posixpath.dirname(above)
        return source.local and os.stat(above).st_dev == os.stat(source.root).st_dev

    def there(self, path: str) -> bool:
        """Return whether anything lies at ``path``."""
        return os.path.lexists(self._place(path))

    def quickly(self, path: str, size: int | None, changed: str | None) -> bool:
        """Return whether what lies at ``path`` has the size and time of the picture that it was copied from."""
        info = os.lstat(self._place(path))
        return (info.st_size, str(info.st_mtime_ns)) == (size, changed)

    def sha256(self, path: str) -> str:
        """Return the hash of the file at ``path``; "" where it is no file."""
        place = self._place(path)
        return "" if os.path.islink(place) or not os.path.isfile(place) else sha256(self._folder, place)

    def copy(self, path: str, source: Folder, place: str, want: str) -> None:
        """Put a picture at ``path``, with its time.

        Args:
            path: Below the copy.
            source: The storage that holds it.
            place: Where it lies there.
            want: Hash that it must have.

        Raises:
            SourceError: It has another.
            OSError: The disk is full, or something may not be read or written.
        """
        with self._whole(path) as part:
            self._fill(part, source, place)
            if sha256(self._folder, part) != want:
                raise SourceError(f"{place!r} changed while it was copied: run omokage ingest, and then this again")

    def write(self, path: str, data: bytes) -> None:
        """Put a chip at ``path``."""
        with self._whole(path) as part, open(part, "wb") as file:
            file.write(data)

    def clean(self, path: str) -> None:
        """Remove what a copy to ``path`` that was killed may have left."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(part_of(self._place(path)))

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that are empty without it."""
        os.unlink(self._place(path))
        above = posixpath.dirname(unwritten(path))
        while above:
            try:
                os.rmdir(self._folder.place(above))
            except OSError:
                return
            above = posixpath.dirname(above)

    def last(self) -> None:
        """Make what was written last even if the power fails."""
        os.sync()

    def _fill(self, part: str, source: Folder, place: str) -> None:
        if not source.local:
            with source.reached():
                source.files.get_file(place, part)
            return
        if self._link:
            _hard_link(os.path.realpath(place), part)
            return
        with open(place, "rb") as there, open(part, "xb") as here:
            _copy_bytes(there.fileno(), here.fileno())
        info = os.stat(place)
        os.utime(part, ns=(info.st_atime_ns, info.st_mtime_ns))

    @contextmanager
    def _whole(self, path: str) -> Iterator[str]:
        """Give a place for a file that is renamed to ``path`` when the block ends well, and removed when not."""
        target = self._place(path)
        part = part_of(target)
        os.makedirs(posixpath.dirname(target), exist_ok=True)
        self.clean(path)
        try:
            yield part
            os.replace(part, target)
        finally:
            self.clean(path)

    def _place(self, path: str) -> str:
        return self._folder.place(unwritten(path))


class InBucket:
    """A copy behind a URL."""

    threads: Final = 16

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._seen = objects(folder)

    def shares_disk(self, source: Folder) -> bool:
        """Return whether hard links can be made here."""
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Do nothing: objects are whole at every moment, whoever writes them."""
        yield

    def clean(self, path: str) -> None:
        """Do nothing, likewise."""

    def there(self, path: str) -> bool:
        """Return whether an object is at ``path``, or was when the copy was begun."""
        return self._place(path) in self._seen

    def quickly(self, path: str, size: int | None, changed: str | None) -> bool:
        """Return whether what lies at ``path`` has the size of the picture that it came from; none has its time."""
        return bool(self._seen[self._place(path)]["size"] == size)

    def sha256(self, path: str) -> str:
        """Return the hash of the object at ``path``."""
        with self._folder.reached():
            return sha256(self._folder, self._place(path))

    def copy(self, path: str, source: Folder, place: str, want: str) -> None:
        """Put a picture at ``path``; within one storage it does not come by here.

        Raises:
            SourceError: It is not what it was.
            StorageError: The storage cannot be reached, or refuses us.
        """
        target = self._place(path)
        if source.files is self._folder.files:
            with source.reached():
                before = stamp(source.files.info(place))
                source.files.cp_file(place, target)
                same = stamp(self._folder.files.info(target)) == before
            if same or self.sha256(path) == want:
                return
            raise SourceError(f"{place!r} changed while it was copied: run omokage ingest, and then this again")
        with source.reached():
            data: bytes = source.files.cat_file(place)
        if hashlib.sha256(data).hexdigest() != want:
            raise SourceError(f"{place!r} changed while it was copied: run omokage ingest, and then this again")
        self._folder.write(_key(path), data)

    def write(self, path: str, data: bytes) -> None:
        """Put a chip at ``path``."""
        self._folder.write(_key(path), data)

    def remove(self, path: str) -> None:
        """Remove an object."""
        self._folder.remove(_key(path))

    def last(self) -> None:
        """Do nothing: what was written stays."""

    def _place(self, path: str) -> str:
        return self._folder.place(_key(path))


def _key(path: str) -> str:
    """Return the name of an object; one that is not valid UTF-8 can only be stored escaped."""
    name = unwritten(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        return path
    return name


def _copy_bytes(there: int, here: int) -> None:
    """Copy an open file: by sharing its blocks, within the system, or through this process, whichever can be done."""
    try:
        fcntl.ioctl(here, _FICLONE, there)
        return
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
    try:
        while os.copy_file_range(there, here, _PIECE):
            pass
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
            raise
        os.lseek(there, 0, os.SEEK_SET)
        os.ftruncate(here, 0)
        os.lseek(here, 0, os.SEEK_SET)
        with open(there, "rb", closefd=False) as source, open(here, "wb", closefd=False) as target:
            shutil.copyfileobj(source, target)


def _hard_link(place: str, part: str) -> None:
    try:
        os.link(place, part)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise ConfigError(f"no hard link can be made to {place!r} ({error.strerror}): leave --link out") from error
        raise
