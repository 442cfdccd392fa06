"""What ``find`` proposed, read back; each proposal has an id that follows from what it is about.

So the same finding of two runs has the same id, and a decision that names it still fits after ``find`` ran again.
"""

import hashlib
from collections.abc import Iterable
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from omokage import schema
from omokage.errors import DatasetError
from omokage.storage import Folder

Name = Literal["collision_pairs", "collisions", "same_face", "outliers", "mixed", "leaks", "leak_people"]

SCHEMAS: Final[dict[Name, pa.Schema]] = {
    "collision_pairs": schema.COLLISION_PAIRS,
    "collisions": schema.COLLISIONS,
    "same_face": schema.SAME_FACE,
    "outliers": schema.OUTLIERS,
    "mixed": schema.MIXED,
    "leaks": schema.LEAKS,
    "leak_people": schema.COLLISION_PAIRS,
}


DECIDABLE: Final[tuple[Name, ...]] = ("collision_pairs", "same_face", "outliers", "mixed")
"""Findings that somebody can decide; the pairs of faces behind them can be many millions."""

FOLDER: Final = "findings"
"""Folder of all that ``find`` writes, below the dataset's."""


def place(name: Name) -> str:
    """Return the file of a table, below the dataset's folder."""
    return f"{FOLDER}/{name}.parquet"


def there(folder: Folder, names: Iterable[Name] = tuple(SCHEMAS)) -> bool:
    """Return whether ``find`` ever wrote one of some tables of the dataset in ``folder``."""
    return any(folder.exists(place(name)) for name in names)


def read(folder: Folder, name: Name) -> pa.Table:
    """Return a table of findings of the dataset in ``folder``; an empty one where ``find`` never looked for them.

    Raises:
        DatasetError: The file is damaged, or of another version.
    """
    at = place(name)
    try:
        table = pq.read_table(pa.BufferReader(folder.read(at)))
    except FileNotFoundError:
        return SCHEMAS[name].empty_table()
    except pa.ArrowInvalid as error:
        raise DatasetError(f"{folder.place(at)} is damaged: {error}; omokage find writes it anew") from error
    schema.require(table, SCHEMAS[name], folder.place(at))
    return table.select(SCHEMAS[name].names)


def finding_id(kind: str, *about: str) -> str:
    """Return the id of a finding of some kind about some faces or people, named in a fixed order."""
    digest = hashlib.sha256("\0".join((kind, *about)).encode(errors="surrogatepass")).hexdigest()
    return f"{kind}:{digest[:20]}"


def of_people(identity_a: str, identity_b: str) -> str:
    """Return the id of the finding that two identities may be one person; the order does not matter."""
    return finding_id("people", *sorted((identity_a, identity_b)))


def of_cluster(face_ids: list[str]) -> str:
    """Return the id of the finding that some faces of an identity are one shot."""
    return finding_id("same_face", *sorted(face_ids))


def of_outlier(face_id: str) -> str:
    """Return the id of the finding that a face does not belong to its identity."""
    return finding_id("outlier", face_id)


def of_mixed(identity: str) -> str:
    """Return the id of the finding that an identity is several people."""
    return finding_id("mixed", identity)
