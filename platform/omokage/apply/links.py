"""Symbolic links in a source, whose pictures lie elsewhere in truth, or twice."""

import os
import posixpath
from collections.abc import Iterable

from omokage.source import unwritten

# Paths may be undecodable: str with surrogates, which pathlib would not make easier to follow.
# ruff: noqa: PTH114


class Links:
    """The links of a source on a local disk."""

    def __init__(self, root: str, uris: Iterable[str]) -> None:
        """Look at every picture of the source in the folder ``root``."""
        self._root = os.path.realpath(root)
        self._behind: dict[str, bool] = {}
        self._shown_twice = {
            os.path.realpath(self._place(uri)) for uri in uris if self.behind(uri) or os.path.islink(self._place(uri))
        }

    def behind(self, uri: str) -> bool:
        """Return whether a folder on the way to a picture is a link, so that it lies somewhere else."""
        folder = posixpath.dirname(unwritten(uri))
        if folder not in self._behind:
            place = posixpath.join(self._root, folder).rstrip("/")
            self._behind[folder] = os.path.realpath(place) != place
        return self._behind[folder]

    def shows(self, uri: str) -> bool:
        """Return whether a link shows the picture at another place, too, and would break if it were moved."""
        return self._place(uri) in self._shown_twice and not os.path.islink(self._place(uri))

    def is_link(self, folder: str) -> bool:
        """Return whether a folder below the source is a link."""
        return os.path.islink(posixpath.join(self._root, folder))

    def _place(self, uri: str) -> str:
        return posixpath.join(self._root, unwritten(uri))


def breaks(place: str, target: str, says: bytes) -> bool:
    """Return whether a link at ``place`` that says ``says`` would point to something else from ``target``."""
    ends = [posixpath.normpath(posixpath.join(posixpath.dirname(each), os.fsdecode(says))) for each in (place, target)]
    return ends[0] != ends[1]
