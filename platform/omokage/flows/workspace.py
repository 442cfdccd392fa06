"""Where an index lives: in the folder ``index`` of its dataset, and on this machine as files that can be mapped.

    index/index.json                  what there is; replaced at once
    index/centroids-<id>.npy          of the lists
    index/segments/<name>/            arrays of some shards' faces: omokage.index.segment
    index/pairs/<key>/                a join: its settings, and the matches of each finished unit

For a local dataset both are the same folder. Of a remote one, every machine keeps a copy of the segments in its cache.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pyarrow as pa
from numpy.typing import NDArray

from omokage.errors import DatasetError
from omokage.index.coder import Coder
from omokage.index.segment import ARRAYS, FACES, MARK, Segment
from omokage.storage import Folder

FORMAT = 3
HEAD = "index/index.json"


@dataclass(frozen=True, slots=True)
class Part:
    """A segment: the faces of some shards."""

    name: str
    faces: int
    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexHead:
    """What an index says of itself."""

    encoder: dict[str, Any]
    """Origin of the vectors, as the dataset's recipe has it."""
    coder: Coder
    lists: int
    """1: nothing is left out, every search is exact."""
    centres: str
    """Name of what they lie around."""
    floor: float
    """Product of codes from which a face can probe a list."""
    trained_on: int
    """Faces that there were when the lists were made."""
    parts: tuple[Part, ...] = ()
    joined: dict[str, Any] = field(default_factory=dict)
    """Joins that are finished, and the settings that they share: flows.collide."""

    @property
    def faces(self) -> int:
        """How many faces are in it, also those that the dataset no longer has."""
        return sum(part.faces for part in self.parts)


class Workspace:
    """An index's files."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        if folder.local:
            self.path = Path(folder.place("index"))
        else:
            key = hashlib.sha256(folder.url.encode()).hexdigest()[:24]
            self.path = Path(platformdirs.user_cache_dir("omokage")) / "index" / key

    def head(self) -> IndexHead | None:
        """Return what there is, or None.

        Raises:
            DatasetError: It is damaged.
        """
        try:
            data = json.loads(self.folder.read(HEAD))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DatasetError(f"{self.folder.place(HEAD)} is damaged: {error}; remove the folder index") from error
        if data.pop("format", None) != FORMAT:
            return None  # of another version: made anew
        parts = tuple(Part(p["name"], p["faces"], tuple(p["shards"])) for p in data["parts"])
        return IndexHead(**data | {"coder": Coder(**data["coder"]), "parts": parts})

    def write(self, head: IndexHead) -> None:
        """Make ``head`` what there is."""
        data = json.dumps({"format": FORMAT, **asdict(head)}, ensure_ascii=False, indent=1)
        self.folder.write(HEAD, data.encode())

    def scratch(self, name: str) -> Path:
        """Return a new empty folder in which a segment can be made."""
        place = self.path / "segments" / f".{name}.part"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def place(self, name: str) -> Path:
        """Return the folder of a segment on this machine."""
        return self.path / "segments" / name

    def publish(self, name: str) -> None:
        """Send a segment that was made here to the dataset, if that is elsewhere."""
        if not self.folder.local:
            for file in sorted(self.place(name).iterdir(), key=lambda path: path.name == MARK):
                self.folder.take(file, f"index/segments/{name}/{file.name}")

    def segment(self, name: str) -> tuple[Segment, pa.Table]:
        """Return a segment and its faces' table, mapped; fetched first if need be.

        Raises:
            DatasetError: It is missing or damaged.
        """
        place = self.place(name)
        try:
            if not self.folder.local and not (place / MARK).exists():
                for file in [*(f"{array}.npy" for array in ARRAYS), FACES, MARK]:
                    self.folder.fetch(f"index/segments/{name}/{file}", place / file)
            with pa.memory_map(str(place / FACES)) as source:
                return Segment.open(place), pa.ipc.open_file(source).read_all()
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(
                f"{self.folder.place(f'index/segments/{name}')} is missing or damaged ({error}): "
                "omokage index --rebuild makes it anew"
            ) from error

    def save(self, name: str, values: NDArray[Any]) -> None:
        """Write an array to the dataset, whole."""
        self.folder.write(f"index/{name}.npy", npy(values))

    def load(self, name: str) -> NDArray[Any]:
        """Return an array that ``save`` wrote.

        Raises:
            FileNotFoundError: There is none.
        """
        return unpacked(self.folder.read(f"index/{name}.npy"))

    def clear(self) -> None:
        """Remove all segments and joins from this machine; they are about to be made anew."""
        for folder in ("segments", "pairs"):
            shutil.rmtree(self.path / folder, ignore_errors=True)

    def sweep(self, head: IndexHead) -> None:
        """Remove segments that ``head`` does not name from this machine."""
        kept = {part.name for part in head.parts}
        for place in (self.path / "segments").glob("*"):
            if place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)


def npy(values: NDArray[Any]) -> bytes:
    """Return an array as the bytes of a .npy file."""
    sink = pa.BufferOutputStream()
    np.lib.format.write_array(sink, np.ascontiguousarray(values), allow_pickle=False)
    return bytes(sink.getvalue())


def unpacked(data: bytes) -> NDArray[Any]:
    """Return the array in the bytes of a .npy file."""
    values: NDArray[Any] = np.lib.format.read_array(pa.BufferReader(data), allow_pickle=False)
    return values
