"""Names of folders and files that can be made anywhere, and that never meet."""

import hashlib
import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterable
from typing import Literal

from omokage.storage import LONGEST_NAME

Kind = Literal["file", "folder", "link"]
"""What lies at a place. A link is a folder that is one."""


def key(path: str) -> str:
    """Return what two names share when a disk that ignores case, or how letters are composed, takes them for one."""
    return unicodedata.normalize("NFC", path).casefold()


def safe(identity: str) -> str:
    """Return a folder name for an identity: its own where it can be one, else one that ends in a part of its hash."""
    name = _cut(identity.replace("/", "_").replace("\0", "_"), LONGEST_NAME)
    return identity if name == identity and name not in ("", ".", "..") else marked(name.strip(".") or "_", identity)


def marked(name: str, identity: str) -> str:
    """Return ``name`` with a part of the identity's hash at its end, which keeps it apart from others."""
    mark = "-" + hashlib.sha256(identity.encode()).hexdigest()[:12]
    return _cut(name, LONGEST_NAME - len(mark)) + mark


def folders(identities: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a folder name for each identity, no two the same, also where case does not count.

    Args:
        identities: Names of people; anything.
        taken: Names that no folder may get.
    """
    used = {key(name) for name in taken}
    found: dict[str, str] = {}
    # Those that can keep their name come first, so that a made-up name never takes a real one.
    for identity in sorted(set(identities), key=lambda each: (safe(each) != each, each)):
        name = safe(identity)
        found[identity] = marked(name, identity) if key(name) in used else name
        used.add(key(found[identity]))
    return found


def renaming(identity: str, folder: str) -> str:
    """Return, for a person, that an identity gets a folder of another name."""
    return f"Note: {identity!r} gets the folder {folder!r}: its own name cannot be one, or is another's but for case"


def numbered(name: str, number: int) -> str:
    """Return "name (2).jpg" for "name.jpg"; a name that would get too long is cut."""
    stem, ending = posixpath.splitext(name)
    return ended(stem, f" ({number}){ending}")


def ended(stem: str, ending: str) -> str:
    """Return ``stem`` and ``ending``; a stem that is too long for both is cut."""
    return _cut(stem, LONGEST_NAME - len(os.fsencode(ending))) + ending


def _cut(name: str, room: int) -> str:
    while len(os.fsencode(name)) > room:
        name = name[: min(len(name) - 1, room)]
    return name


class Places:
    """Gives out places for files, each once and none that is taken."""

    def __init__(self, there: Callable[[str], Kind | None]) -> None:
        """Take what tells whether something lies at a path already."""
        self._there = there
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._next: dict[str, int] = {}
        """How far the numbers of a name have been given out, or many files of one name would take forever."""

    def take(self, folder: str, inside: str) -> str:
        """Return where a file goes: ``folder/inside``, straight below ``folder`` if a file is in that way.

        A file of that name gets company by the name of "name (2).jpg".
        """
        inner, name = posixpath.split(inside)
        below = self._below(folder, inner)
        wanted = posixpath.join(below, name)
        number = self._next.get(key(wanted), 1)
        place = wanted if number == 1 else posixpath.join(below, numbered(name, number))
        while not self._free(place):
            number += 1
            place = posixpath.join(below, numbered(name, number))
        self._next[key(wanted)] = number + 1
        self._files.add(key(place))
        while below and key(below) not in self._folders:
            self._folders.add(key(below))
            below = posixpath.dirname(below)
        return place

    def _below(self, folder: str, inner: str) -> str:
        """Return ``folder/inner``, or ``folder`` where a part of it is a file or a link."""
        below = folder
        for part in inner.split("/") if inner else ():
            below = posixpath.join(below, part)
            if key(below) in self._files or self._there(below) in ("file", "link"):
                return folder
        return below

    def _free(self, place: str) -> bool:
        mine = key(place)
        return mine not in self._files and mine not in self._folders and self._there(place) is None
