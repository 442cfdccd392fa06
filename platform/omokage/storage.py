"""Folders of files on a local disk or behind a URL (s3://, …), with writes that are whole or absent."""

import os
import posixpath
import re
import uuid
from collections.abc import Iterator
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
        try:
            with self.reached():
                found = self.files.ls(self.root, detail=False)
        except FileNotFoundError:
            return True
        return all(PART.fullmatch(posixpath.basename(path)) for path in found)

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
        folder = posixpath.dirname(place)
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - any name, also undecodable
        part = f"{folder}/.{uuid.uuid4().hex}.part"
        try:
            with open(part, "wb") as out:  # noqa: PTH123
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.replace(part, place)
        except OSError:
            Path(part).unlink(missing_ok=True)
            raise

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

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Return some columns, or all, of an Arrow IPC file; local files are mapped, of others only those are read.

        Raises:
            FileNotFoundError: There is no such file.
            pa.ArrowInvalid: It is not an Arrow file.
        """
        if self.local:
            table = pa.ipc.open_file(pa.memory_map(self.place(name))).read_all()
            return table.select(columns) if columns else table
        if columns is None:
            return pa.ipc.open_file(pa.BufferReader(self.read(name))).read_all()
        with self.reached(), self.files.open(self.place(name), "rb", cache_type="none") as file:
            schema = pa.ipc.open_file(file).schema
            options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(column) for column in columns])
            return pa.ipc.open_file(file, options=options).read_all().select(columns)


def arrow_bytes(table: pa.Table) -> pa.Buffer:
    """Return ``table`` as the bytes of an Arrow IPC file; the same table always gives the same bytes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()
