"""Folders of files on a local disk or behind a URL (s3://, …), with writes that are whole or absent."""

import contextlib
import fcntl
import hashlib
import os
import posixpath
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from omokage.errors import DatasetError, StorageError

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""How an address begins; everything else is a path, whatever colons are in it."""

PART = re.compile(r"\.[0-9a-f]{32}\.part")
"""Name of a half-written file. It is short, since the finished name may be as long as a name can be."""

LONGEST_PLAIN = 40
"""Characters of ``plain_name``."""

LONGEST_NAME = 255
"""Bytes of a name on common file systems."""

UPDATING = ".updating"
"""Name of the file that whoever changes files of a local folder holds a lock on; it is empty, and stays."""

TAKEN = frozenset({409, 412})
"""HTTP answers to a conditional write when another writer was first."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder and everything below it; names are relative, with ``/``."""

    files: fsspec.AbstractFileSystem
    root: str

    @classmethod
    def at(cls, url: str) -> "Folder":
        """Return the folder at a path or URL; it need not exist.

        Raises:
            DatasetError: The URL names a kind of storage that is not known here.
        """
        if not url:
            raise DatasetError("the path of a folder is needed, and it is empty")
        try:
            files, root = (
                fsspec.core.url_to_fs(url, use_listings_cache=False) if URL.match(url) else (LocalFileSystem(), url)
            )
        except (ValueError, ImportError) as error:
            raise DatasetError(f"cannot open {url}: {error}") from error
        if isinstance(files, LocalFileSystem):
            path = Path(os.path.expanduser(root)).absolute()  # noqa: PTH111 - Path's own fails where there is no home
            root = str(path.resolve() if ".." in path.parts else path)  # one folder, one name; links stay
        return cls(files, root.rstrip("/") or "/")

    @property
    def local(self) -> bool:
        """Whether it lies on a disk of this machine."""
        return isinstance(self.files, LocalFileSystem)

    @property
    def shared(self) -> bool:
        """Whether it is a storage behind a URL in which several may change a file at the same time: ``update``."""
        return "s3" in self.files.protocol

    @property
    def url(self) -> str:
        """The folder's address, as a person would write it."""
        return self.root if self.local else str(self.files.unstrip_protocol(self.root))

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Give what a client library raises in the block as one error that a person can act on.

        Errors of a local disk, and that a file is missing, stay what they are.

        Raises:
            StorageError: The storage cannot be reached, or refuses us.
        """
        try:
            yield
        except (FileNotFoundError, StorageError):
            raise
        except Exception as error:
            if self.local:
                raise
            said = str(error) or type(error).__name__
            raise StorageError(f"cannot use {self.url}: {said}; check the address and the credentials") from error

    def kind(self) -> str | None:
        """Return whether a "file" or a "directory" is at this address, or None if there is nothing.

        Raises:
            StorageError: The storage cannot be reached, or refuses us.
        """
        with self.reached():
            return self.files.info(self.root)["type"] if self.files.exists(self.root) else None

    def parted(self) -> tuple["Folder", str]:
        """Return, where this is the address of a file, the folder that it is in, and its name there."""
        return Folder(self.files, posixpath.dirname(self.root)), posixpath.basename(self.root)

    def below(self, name: str) -> "Folder":
        """Return a folder in this one; it need not exist."""
        return Folder(self.files, self.place(name))

    def within(self, other: "Folder") -> bool:
        """Return whether this is ``other``, or lies in it; on a disk, wherever links lead."""
        if self.local != other.local:
            return False
        inner, outer = (os.path.realpath(each.root) if each.local else each.url for each in (self, other))
        return inner == outer or inner.startswith(outer.rstrip("/") + "/")

    def tree(self) -> dict[str, dict[str, Any]]:
        """Return what the storage says of every file below, by full path.

        Raises:
            StorageError: The storage cannot be reached, or refuses us.
        """
        with self.reached():
            found: dict[str, dict[str, Any]] = self.files.find(self.root, detail=True)
        return found

    def place(self, name: str) -> str:
        """Return the full path of ``name`` in the words of the file system."""
        return posixpath.join(self.root, name)

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""
        with self.reached():
            return bool(self.files.exists(self.place(name)))

    def empty(self) -> bool:
        """Return whether there is nothing in it but half-written files, or no such folder."""
        return not self.entries()

    def entries(self) -> list[str]:
        """Return the names of the files and folders directly in it, sorted; none if it does not exist."""
        try:
            with self.reached():
                found = self.files.ls(self.root, detail=False)
        except FileNotFoundError:
            return []
        names = (posixpath.basename(path.rstrip("/")) for path in found)
        return sorted(name for name in names if name and not PART.fullmatch(name))

    def names(self, under: str) -> list[str]:
        """Return the file names directly in the folder ``under``, sorted; none if it does not exist."""
        try:
            with self.reached():
                found = self.files.ls(self.place(under), detail=True)
        except FileNotFoundError:
            return []
        return sorted(posixpath.basename(info["name"]) for info in found if info["type"] == "file")

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            FileNotFoundError: There is no such file.
            StorageError: The storage cannot be reached, or refuses us.
        """
        with self.reached():
            data: bytes = self.files.cat_file(self.place(name))
        return data

    def write(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write a file whole: a reader sees the old content or the new one, never a part.

        Raises:
            OSError: The disk is full, or writing is not permitted.
            StorageError: The same, behind a URL.
        """
        place = self.place(name)
        if not self.local:
            try:
                with self.reached():
                    self.files.pipe_file(place, bytes(data))
            except FileNotFoundError as error:
                raise StorageError(f"cannot write to {self.url}: there is no such bucket") from error
            return
        os.makedirs(posixpath.dirname(place), exist_ok=True)  # noqa: PTH103 - any name, also undecodable
        _write_local(place, data, uuid.uuid4().hex)

    def update(self, name: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a file by what ``change`` makes of it; what others write at the same time is never lost.

        On a local disk, writers wait for each other. On s3 the write is conditional, and ``change`` is asked again
        with the newest bytes whenever another writer was first; it may then meet what it made itself, where the
        answer to a write that succeeded was lost on the way.

        Args:
            name: The file.
            change: Gets the file's bytes, None where there is no such file, and returns the new ones, or None to
                leave the file as it is.

        Raises:
            OSError: The disk is full, or writing is not permitted.
            StorageError: The same on s3; or a storage that knows no conditional writes.
        """
        if self.local:
            self._update_local(name, change)
            return
        if not self.shared:
            raise StorageError(f"{self.url} cannot be written by several at once: only local disks and s3 can")
        wait = 0.01
        while not self._swapped(name, change):
            time.sleep(random.uniform(0, wait))  # so that two writers do not meet again and again
            wait = min(2 * wait, 1.0)

    def _update_local(self, name: str, change: Callable[[bytes | None], bytes | None]) -> None:
        place = self.place(name)
        folder = posixpath.dirname(place)
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - any name, also undecodable
        with open(f"{folder}/{UPDATING}", "ab") as lock:  # noqa: PTH123
            fcntl.flock(lock, fcntl.LOCK_EX)  # a killed holder's lock is free at once
            try:
                old = self.read(name)
            except FileNotFoundError:
                old = None
            data = change(old)
            if data is not None:  # one name for the half-written file: what a killed writer left is written over
                _write_local(place, data, "0" * 32)

    def _swapped(self, name: str, change: Callable[[bytes | None], bytes | None]) -> bool:
        """Try once to change a file on s3, and return whether no other writer was first."""
        place = self.place(name)
        try:
            with self.reached():
                tag = self.files.info(place)["ETag"]  # asked first: bytes that are newer than it are refused below
            old = self.read(name)
            condition = {"IfMatch": tag}
        except FileNotFoundError:
            old, condition = None, {"IfNoneMatch": "*"}
        data = change(old)
        if data is None:
            return True
        try:
            # s3fs writes big files in parts, which it would do without the condition
            self.files.pipe_file(place, data, chunksize=len(data) + 1, **condition)
        except Exception as error:
            response = getattr(error.__cause__, "response", None) or {}
            if response.get("ResponseMetadata", {}).get("HTTPStatusCode") in TAKEN:
                return False
            if isinstance(error, FileNotFoundError):
                raise StorageError(f"cannot write to {self.url}: there is no such bucket") from error
            with self.reached():  # the same words as for every other write
                raise
        return True

    def remove(self, name: str) -> None:
        """Remove a file; it is no error if it is gone already."""
        try:
            with self.reached():
                self.files.rm_file(self.place(name))
        except FileNotFoundError:
            return

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file to a path of this machine, whole or not at all.

        Raises:
            FileNotFoundError: There is no such file.
            StorageError: The storage cannot be reached, or refuses us.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{uuid.uuid4().hex}.part")
        with self.reached():
            self.files.get_file(self.place(name), str(part))
        os.replace(part, path)

    def take(self, path: Path, name: str) -> None:
        """Take over a file of this machine, whole; on a local disk it is moved, and must lie on the same one.

        Raises:
            OSError: Writing is not permitted.
            StorageError: The storage cannot be reached, or refuses us.
        """
        if self.local:
            os.makedirs(posixpath.dirname(self.place(name)), exist_ok=True)  # noqa: PTH103 - any name
            os.replace(path, self.place(name))
            return
        with self.reached():
            self.files.put_file(str(path), self.place(name))


def plain_name(text: str) -> str:
    """Return some text as part of a file's name, which any system takes: letters, digits and ``_.-``; maybe nothing."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._-")[:LONGEST_PLAIN]


def part_of(target: str) -> str:
    """Return where a file is written before it is renamed to ``target``, beside it, under a name as in ``PART``.

    It is always the same, so that the next run finds what a killed one left.
    """
    name = hashlib.sha256(os.fsencode(posixpath.basename(target))).hexdigest()[:32]
    return posixpath.join(posixpath.dirname(target), f".{name}.part")


def _write_local(place: str, data: bytes | pa.Buffer, unique: str) -> None:
    part = f"{posixpath.dirname(place)}/.{unique}.part"
    try:
        with open(part, "wb") as out:  # noqa: PTH123
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, place)
    except OSError as error:
        with contextlib.suppress(OSError):  # what went wrong first is what matters
            Path(part).unlink()
        error.filename = error.filename or place  # a full disk does not say for what
        raise
