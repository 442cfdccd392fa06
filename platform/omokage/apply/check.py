"""Whether pictures are what they were when they were ingested."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import pyarrow as pa

from omokage.apply.threads import side_by_side
from omokage.errors import ConfigError, OmokageError, SourceError, StorageError, WorkError
from omokage.progress import OnProgress, each_told
from omokage.source import Source, locate
from omokage.storage import Folder

THREADS: Final = 4
"""Pictures that are read at once."""

SHOWN: Final = 20
"""Lines of a list in an error; the rest is counted."""


class Trouble(NamedTuple):
    """What is wrong with a file."""

    uri: str
    what: str


class Wanted(NamedTuple):
    """A picture that must be what it was."""

    uri: str
    sha256: str


def refuse(troubles: Sequence[Trouble], headline: str, cure: str) -> None:
    """Raise an error that lists ``troubles``, if there are any.

    Raises:
        SourceError: There are.
    """
    if troubles:
        raise SourceError("\n".join([headline, *listed([f"{t.uri!r} {t.what}" for t in troubles]), cure]))


def cure(version: str | None, otherwise: str) -> str:
    """Return what to do about pictures that are not what they were when ``version`` was frozen, if one is meant."""
    if version is None:
        return otherwise
    return (
        f"Bring them back as they were when {version} was frozen (omokage undo --apply, if apply moved them), or run "
        "omokage ingest, and freeze and apply another version."
    )


def apart(one: Folder, other: Folder, what: str, other_what: str) -> None:
    """Check that neither of two folders is, or lies in, the other.

    Raises:
        ConfigError: One does.
    """
    if one.within(other) or other.within(one):
        raise ConfigError(f"{what} {one.url} and {other_what} {other.url} must be apart: neither inside the other")


@contextmanager
def stopped(what: str, ways: str) -> Iterator[None]:
    """Say, with what went wrong in the block, what stopped in the middle, and how to go on.

    Raises:
        WorkError: Something did.
    """
    try:
        yield
    except (WorkError, StorageError, OSError) as error:
        raise WorkError(f"{what} was stopped in the middle: {error}; {ways}") from error


def listed(lines: Sequence[str]) -> list[str]:
    """Return the first lines, indented, and how many more there are."""
    shown = [f"  {line}" for line in lines[:SHOWN]]
    return [*shown, f"  and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else shown


def sha256(folder: Folder, place: str) -> str:
    """Return the hash of a file, read piece by piece."""
    with folder.files.open(place, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def changed(
    source: Source, manifest: pa.Table, wanted: Sequence[Wanted], thorough: bool, on_progress: OnProgress
) -> list[Trouble]:
    """Return what is wrong with the pictures that are wanted, by uri.

    Args:
        source: Where they lie.
        manifest: Rows of ``schema.MANIFEST``: what was noted at the ingest.
        wanted: Pictures, and the content that they must have.
        thorough: Whether a picture of the same size and stamp is read all the same. A stamp of a bucket is made from
            the content, so there it is believed.
        on_progress: Is told how many have been looked at.
    """
    columns = ("uri", "size", "stamp", "sha256")
    now = {row[0]: row[1:] for row in _rows(source.listing(), ("uri", "size", "stamp", "reason"))}
    then = {row[0]: row[1:] for row in _rows(manifest, columns)}

    def look(picture: Wanted) -> Trouble | None:
        if picture.uri not in now or now[picture.uri][2] is not None:
            return Trouble(picture.uri, "is gone or cannot be read")
        noted = (*now[picture.uri][:2], picture.sha256)
        if noted == then.get(picture.uri) and not (thorough and source.root.local):
            return None
        try:
            same = sha256(*locate(source.root, picture.uri)) == picture.sha256
        except OSError as error:
            return Trouble(picture.uri, f"cannot be read: {error.strerror or error}")
        return None if same else Trouble(picture.uri, "has changed")

    try:
        found = each_told(side_by_side(look, wanted, THREADS), len(wanted), "read", on_progress)
        return [trouble for trouble in found if trouble is not None]
    except OSError as error:
        raise OmokageError(f"cannot read {source.url}: {error}") from error


def _rows(table: pa.Table, columns: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return zip(*(table[name].to_pylist() for name in columns), strict=True)
