"""Objects behind a URL that go from one place to another, copied by the storage itself."""

from typing import Any, Final

from omokage.apply.check import sha256
from omokage.apply.journal import Step
from omokage.errors import WorkError
from omokage.source import stamp
from omokage.storage import Folder


def objects(folder: Folder) -> dict[str, dict[str, Any]]:
    """Return what the storage says of every object below, by place; nothing where there is not even a bucket."""
    try:
        return folder.tree()
    except FileNotFoundError:
        return {}


class Bucket:
    """Looks at and moves objects; a place is a path in the words of the storage."""

    threads: Final = 16
    """Each one mostly waits."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def holds(self, place: str, step: Step, thorough: bool) -> bool | None:
        """Return whether the object of ``step`` lies at ``place``; None where nothing does.

        An ETag that is right is enough, ``thorough`` or not: it is made from the content. One that is not right may
        only come from another way of uploading, so then the content is read.
        """
        info = self._info(place)
        if info is None:
            return None
        if info["size"] != step.size:
            return False
        return stamp(info) == step.stamp or self._sha256(place) == step.sha256

    def move(self, place: str, target: str, step: Step) -> None:
        """Copy an object to where nothing is, look whether it arrived, and remove it at its old place.

        Raises:
            StorageError: The storage cannot be reached, or refuses us.
            WorkError: What arrived is something else.
        """
        with self._folder.reached():
            self._folder.files.cp_file(place, target)
        if not self.holds(target, step, thorough=True):
            raise WorkError(f"{target} did not get the bytes of {place}: check the storage")
        self.remove(place)

    def settle(self, target: str, step: Step) -> None:
        """Do nothing: the time of an object cannot be set."""

    def remove(self, place: str) -> None:
        """Remove an object that lies at its new place too."""
        with self._folder.reached():
            self._folder.files.rm_file(place)

    def clean(self, target: str) -> None:
        """Do nothing: an object is whole or not there."""

    def _info(self, place: str) -> dict[str, Any] | None:
        try:
            with self._folder.reached():
                info: dict[str, Any] = self._folder.files.info(place)
        except FileNotFoundError:
            return None
        return info if info["type"] == "file" else None

    def _sha256(self, place: str) -> str:
        with self._folder.reached():
            return sha256(self._folder, place)
