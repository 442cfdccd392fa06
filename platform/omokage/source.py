"""Where the pictures are: a folder tree, or a list of them, on a disk or behind a URL.

We list ourselves, since every file must be accounted for: names with leading dots and underscores, broken
links and folders that may not be read are rows too.

A picture's ``uri`` is written relative to the source where it lies below it, so that a source that moves as a
whole stays the same source. Names that are not valid UTF-8 are written ``file:`` plus percent-escapes.
"""

import errno
import os
import posixpath
import stat
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from omokage import schema
from omokage.errors import SourceError
from omokage.storage import URL, Folder

STAT_THREADS = 32
"""For lists of pictures behind a URL, where asking for one size takes a round trip."""

ROWS_AT_ONCE = 65_536

_ESCAPED = "file:"


class Listed(NamedTuple):
    """One input; the columns of ``schema.LISTED``."""

    uri: str
    identity: str | None = None
    size: int | None = None
    stamp: str | None = None
    reason: schema.Reason | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Pictures to ingest."""

    url: str
    """What the user gave, made absolute."""
    root: Folder
    """What relative uris are relative to."""
    is_list: bool

    @classmethod
    def at(cls, url: str) -> "Source":
        """Return the source at a path or URL.

        Raises:
            SourceError: There is nothing.
        """
        root = Folder.at(url)
        kind = root.kind()
        if kind is None:
            raise SourceError(f"there is nothing at {url}: give a folder of pictures, or a CSV or Parquet list")
        if kind == "file":
            return cls(root.url, root.parted()[0], is_list=True)
        return cls(root.url, root, is_list=False)

    def listing(self) -> pa.Table:
        """Return one row per input, columns ``LISTED``, sorted by uri.

        Raises:
            SourceError: There is no file, the list cannot be read, or it names a picture for two people.
        """
        if self.is_list:
            rows = self._listed()
        else:
            rows = _local_tree(self.root.root) if self.root.local else _remote_tree(self.root)
        table = listed(rows).sort_by("uri")
        if not table.num_rows:
            raise SourceError(f"{self.url} holds no files")
        return table

    def resolve(self, uri: str) -> str:
        """Return the full path or URL of a picture of this source, as a person would write it."""
        folder, path = locate(self.root, uri)
        return path if folder.local else str(folder.files.unstrip_protocol(path))

    def _listed(self) -> Iterator[Listed]:
        table = _read_list(self.root, self.url)
        uris, identities = table["uri"].to_pylist(), table["identity"].to_pylist()
        with ThreadPoolExecutor(STAT_THREADS) as pool:
            yield from pool.map(partial(entry, self.root), uris, identities)


def entry(root: Folder, uri: str, identity: str | None = None) -> Listed:
    """Return what is known of one picture without opening it; a reason where it cannot be opened."""
    folder, path = locate(root, uri)
    try:
        info = folder.files.info(path)
        if info["type"] != "file":  # a pipe would block whoever opens it
            return Listed(uri, identity, reason="not_a_picture")
        return Listed(uri, identity, info["size"], stamp(info))
    except (OSError, ValueError):  # no path can have a NUL in it
        return Listed(uri, identity, reason="unreadable")


def resolver(url: str) -> Callable[[str], str]:
    """Return what gives a uri's full path, also when the source at ``url`` is no longer there."""
    try:
        return Source.at(url).resolve
    except SourceError:
        return Source(url, Folder.at(url), is_list=False).resolve


def locate(root: Folder, uri: str) -> tuple[Folder, str]:
    """Return the storage that holds a picture, and its place there."""
    if uri.startswith(_ESCAPED):
        return root, os.path.join(root.root, unwritten(uri))  # noqa: PTH118
    if URL.match(uri):
        folder = Folder.at(uri)
        return folder, folder.root
    return root, posixpath.join(root.root, uri)


def written(path: str) -> str:
    """Return a path below a source as a uri that Arrow can hold."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return _ESCAPED + urllib.parse.quote(os.fsencode(path))
    return _ESCAPED + urllib.parse.quote(path) if path.startswith(_ESCAPED) or URL.match(path) else path


def unwritten(uri: str) -> str:
    """Return the path that ``written`` wrote, in the words of the file system."""
    return os.fsdecode(urllib.parse.unquote_to_bytes(uri[len(_ESCAPED) :])) if uri.startswith(_ESCAPED) else uri


def check_apart(source: Source, dataset: Folder) -> None:
    """Check that neither of the two lies in the other.

    Raises:
        SourceError: One does, so that the next listing would find our own files, or ours hide theirs.
    """
    # A list names its pictures, so that a dataset below the list's own folder is not in its way.
    if source.root.within(dataset) or (dataset.within(source.root) and not source.is_list):
        raise SourceError(f"source {source.url} and dataset {dataset.url} must be apart: neither inside the other")


def _local_tree(root: str) -> Iterator[Listed]:
    """Yield every file below ``root``; an explicit stack, so that deep trees do not matter."""
    open_folders: list[tuple[str, str, str | None, frozenset[tuple[int, int]]]] = [
        (root, "", None, frozenset[tuple[int, int]]())
    ]
    while open_folders:
        path, relative, identity, above = open_folders.pop()
        try:
            info = os.stat(path)  # noqa: PTH116
            here = (info.st_dev, info.st_ino)
            if here in above:
                yield Listed(written(relative), identity, reason="link_loop")
                continue
            entries = list(os.scandir(path))
        except OSError as error:
            if not relative:
                raise SourceError(f"cannot read {root}: {error.strerror}") from error
            yield Listed(written(relative), identity, reason="unreadable_folder")
            continue
        for entry in entries:
            inside = f"{relative}/{entry.name}" if relative else entry.name
            if _is_folder(entry):
                person = identity if relative else _shown(entry.name)
                open_folders.append((entry.path, inside, person, above | {here}))
            else:
                yield _local_file(entry, inside, identity)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link onto itself
        return False


def _local_file(entry: os.DirEntry[str], relative: str, identity: str | None) -> Listed:
    uri = written(relative)
    try:
        info = entry.stat()
    except OSError as error:
        return Listed(uri, identity, reason=_why(entry, error))
    if not stat.S_ISREG(info.st_mode):  # a pipe would block whoever opens it
        return Listed(uri, identity, reason="not_a_picture")
    return Listed(uri, identity, info.st_size, str(info.st_mtime_ns))


def _why(entry: os.DirEntry[str], error: OSError) -> schema.Reason:
    if error.errno == errno.ELOOP:  # a link onto itself, maybe by way of others
        return "link_loop"
    return "broken_link" if entry.is_symlink() and error.errno in (errno.ENOENT, errno.ENOTDIR) else "unreadable"


def _remote_tree(root: Folder) -> Iterator[Listed]:
    below = root.root.rstrip("/") + "/"
    for path, info in root.tree().items():
        relative = path.removeprefix(below)
        first, slash, _ = relative.partition("/")
        if info["type"] == "file" and not relative.endswith("/"):
            yield Listed(written(relative), first if slash else None, info["size"], stamp(info))


def stamp(info: dict[str, object]) -> str:
    """Return the stamp (see ``schema.LISTED``) of a file, from what its storage says of it."""
    if "ino" in info and isinstance(path := info["name"], str):
        return str(os.stat(path).st_mtime_ns)  # noqa: PTH116 - fsspec gives the time as a float, which rounds
    return str(next((info[key] for key in ("ETag", "etag", "LastModified", "mtime") if info.get(key)), ""))


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def listed(rows: Iterator[Listed]) -> pa.Table:
    """Return inputs as a table, columns ``LISTED``, in their order."""
    batches = []
    while columns := list(zip(*(row for _, row in zip(range(ROWS_AT_ONCE), rows, strict=False)), strict=True)):
        arrays = [pa.array(values, field.type) for values, field in zip(columns, schema.LISTED, strict=True)]
        batches.append(pa.record_batch(arrays, schema=schema.LISTED))
    return pa.Table.from_batches(batches, schema.LISTED)


def _read_list(root: Folder, url: str) -> pa.Table:
    """Return the columns uri and identity of a CSV or Parquet list, each picture once."""
    try:
        table = _parse(root.read(posixpath.basename(url)))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{url} cannot be read as a CSV (UTF-8) or Parquet list: {error}") from error
    if not {"uri", "identity"} <= set(table.column_names):
        raise SourceError(f"{url} must have the columns uri and identity; it has {', '.join(table.column_names)}")
    table = table.select(["uri", "identity"])
    try:
        table = table.cast(pa.schema([("uri", pa.string()), ("identity", pa.string())]))
    except pa.ArrowException as error:
        raise SourceError(f"{url} must have text in the columns uri and identity: {error}") from error
    if table["uri"].null_count:
        raise SourceError(f"{url} has {table['uri'].null_count} rows without a uri")
    table = table.group_by(["uri", "identity"]).aggregate([])
    twice = table.group_by("uri").aggregate([([], "count_all")]).filter(pc.field("count_all") > 1)
    if twice.num_rows:
        raise SourceError(
            f"{url} gives {twice.num_rows} pictures to more than one identity, first {twice['uri'][0]}: "
            "list each picture once (omokage find tells who is in it)"
        )
    return table


def _parse(data: bytes) -> pa.Table:
    if data.startswith(b"PAR1"):
        return pq.read_table(pa.BufferReader(data))
    as_text = pa.csv.ConvertOptions(
        column_types={"uri": pa.string(), "identity": pa.string()}, strings_can_be_null=True, null_values=[""]
    )
    return pa.csv.read_csv(pa.BufferReader(data), convert_options=as_text)
