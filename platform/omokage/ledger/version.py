"""Frozen versions of a dataset: what every face was at some moment, under a name, never to change.

    DATASET/versions/v2.json                  what the version is; written last, and never over another
    DATASET/versions/v2-1f3a9c5e7b02.parquet  its faces, ``schema.VERSION``; named by their sha256

The faces' file has its checksum in its name, so that two who freeze the same name at the same time cannot mix theirs:
the one who is second to write the JSON file is told so.
"""

import hashlib
import json
import re
from dataclasses import dataclass, fields
from typing import Any, Final, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omokage import schema, system
from omokage.errors import ConfigError, DatasetError, WorkError
from omokage.ledger.book import Ledger, login
from omokage.ledger.fold import Fold, fold
from omokage.report import tally
from omokage.shards import parquet_bytes, verified
from omokage.storage import Folder
from omokage.store import HEAD, Dataset

PLACE: Final = "versions"
"""Folder of all versions, below the dataset's."""

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
"""A version's name. It is a part of file names, and of addresses as in DATASET@v2."""

FORMAT: Final = 1

STATUSES: Final = get_args(schema.FaceStatus)


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A frozen version."""

    folder: Folder
    """The dataset's."""
    name: str
    generation: int
    """Of the dataset, when it was frozen."""
    lines: int
    """Lines of the ledger that it rests on: the first so many."""
    statuses: dict[str, int]
    """Faces by status."""
    people: int
    """Identities that have a face that is kept."""
    sha256: str
    """Of the file with the faces."""
    at: str
    who: str
    why: str | None = None

    @classmethod
    def open(cls, data: Dataset, name: str) -> "Version":
        """Return a version of ``data``.

        Raises:
            ConfigError: No version can have that name.
            DatasetError: There is none of that name, or it is damaged.
        """
        place = f"{PLACE}/{_checked(name)}.json"
        try:
            found: dict[str, Any] = json.loads(data.folder.read(place))
            if found.pop("format") != FORMAT:
                raise DatasetError(f"{data.folder.place(place)} was written by another version of omokage")
            return cls(folder=data.folder, **found)
        except FileNotFoundError as error:
            have = ", ".join(each.name for each in versions(data)) or "none"
            raise DatasetError(f"{data.folder.url} has no version {name}; there are: {have}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{data.folder.place(place)} is damaged: {error}") from error

    @property
    def file(self) -> str:
        """Name of the file with the faces, below the dataset's folder."""
        return f"{PLACE}/{self.name}-{self.sha256[:12]}.parquet"

    def faces(self) -> pa.Table:
        """Return the faces as ``schema.VERSION``.

        Raises:
            DatasetError: The file is missing, or not the one that was written.
        """
        table = pq.read_table(pa.BufferReader(verified(self.folder, self.file, self.sha256)))
        schema.require(table, schema.VERSION, self.file)
        return table.select(schema.VERSION.names)

    def missing(self, data: Dataset) -> int:
        """Return how many of its faces the dataset no longer has, since their pictures were changed or removed."""
        there = [table["face_id"] for table in data.faces(["face_id"])]
        known = pa.chunked_array([chunk for column in there for chunk in column.chunks], pa.string())
        return int(pc.sum(pc.invert(pc.is_in(self.faces()["face_id"], value_set=known))).as_py() or 0)

    def facts(self) -> dict[str, Any]:
        """Return all that it says of itself, but for where it is."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "folder"}

    def text(self) -> str:
        """Return the version for a person."""
        counts = ", ".join(f"{number:,} {status}" for status, number in self.statuses.items())
        return (
            f"{self.name:<16}{self.at[:10]} {self.at[11:19]}  {self.who}  {counts}, {self.people:,} people; "
            f"ingest {self.generation}, ledger up to line {self.lines:,}; sha256 {self.sha256[:12]}"
            + (f"; {self.why}" if self.why else "")
        )


def current(data: Dataset, until: int | None = None) -> pa.Table:
    """Return every face of the dataset after all decisions up to a line, as ``schema.VERSION``."""
    return after(data, fold(Ledger.of(data.folder).table(until=until)))


def after(data: Dataset, decided: Fold) -> pa.Table:
    """Return every face of the dataset after some decisions, as ``schema.VERSION``.

    Labels come first, then people: a face goes by the name that the identity goes by which it was given last, or
    which the source gives.
    """
    columns = ["face_id", "uri", "sha256", "identity"]
    empty = pa.schema([pa.field(name, pa.string()) for name in columns]).empty_table()
    faces = pa.concat_tables([empty, *(table.cast(empty.schema) for table in data.faces(columns))]).combine_chunks()
    at = pc.index_in(faces["face_id"], value_set=decided.faces["face_id"])
    mine = decided.faces.take(at)
    coded = pc.coalesce(mine["label"], faces["identity"]).combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    merged = pa.array([decided.people_line.get(name) for name in names], pa.int64()).take(coded.indices)
    line = pc.max_element_wise(mine["status_line"], mine["label_line"], merged)
    rows = {
        "face_id": faces["face_id"],
        "uri": faces["uri"],
        "sha256": faces["sha256"],
        "was": faces["identity"],
        "identity": pa.array([decided.name(name) for name in names], pa.string()).take(coded.indices),
        "status": pc.fill_null(mine["status"], "kept"),
        "line": line,
        "reason": decided.kinds.take(pc.subtract(line, 1)),
    }
    return pa.table(rows, schema=schema.VERSION).sort_by("face_id").combine_chunks()


def freeze(data: Dataset, name: str, who: str | None = None, why: str | None = None) -> Version:
    """Return a new version of what the dataset and its decisions are now.

    Args:
        data: The dataset.
        name: Of the version.
        who: Who freezes it; by default the login name.
        why: In words.

    Raises:
        ConfigError: No version can have that name, or who or why is no text.
        DatasetError: There is a version of that name.
        WorkError: The disk is full, or writing is not permitted.
    """
    place = f"{PLACE}/{_checked(name)}.json"
    if data.folder.exists(place):
        raise DatasetError(_exists(name))
    lines = Ledger.of(data.folder).table()
    faces = after(data, fold(lines))
    content = parquet_bytes(faces)
    version = Version(
        folder=data.folder,
        name=name,
        generation=data.head.generation,
        lines=lines.num_rows,
        statuses=dict.fromkeys(STATUSES, 0) | tally(faces["status"]),
        people=pc.count_distinct(faces.filter(pc.equal(faces["status"], "kept"))["identity"]).as_py(),
        sha256=hashlib.sha256(content).hexdigest(),
        at=system.now(),
        who=login() if who is None else who,
        why=why,
    )
    try:
        facts = json.dumps({"format": FORMAT, **version.facts()}, indent=1, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"who freezes a version, and why, must be text, got {who!r} and {why!r}") from error

    def first(old: bytes | None) -> bytes | None:
        if old is not None and old != facts:
            raise DatasetError(_exists(name))
        return facts if old is None else None

    try:
        data.folder.write(version.file, content)
        data.folder.update(place, first)
    except OSError as error:
        raise WorkError(f"cannot write to {data.folder.place(PLACE)}: {error.strerror or error}") from error
    return version


def names_of(data: Dataset) -> list[str]:
    """Return the names of all versions, sorted."""
    return [name.removesuffix(".json") for name in data.folder.names(PLACE) if name.endswith(".json")]


def versions(data: Dataset) -> list[Version]:
    """Return all versions, the oldest first.

    Raises:
        DatasetError: One is damaged.
    """
    found = (Version.open(data, name) for name in names_of(data))
    return sorted(found, key=lambda version: (version.at, version.name))


def parse(address: str) -> tuple[str, str | None]:
    """Return the dataset's place and the version's name of an address as in DATASET or DATASET@v2.

    A dataset whose folder has an @ in its name is still found under its own name.
    """
    place, at, name = address.rpartition("@")
    if not at or not place or not NAME.fullmatch(name) or Folder.at(address).exists(HEAD):
        return address, None
    return place, name


def normal(address: str) -> str:
    """Return an address as in DATASET or DATASET@v2 in its one form: absolute, without a slash at the folder's end."""
    place, name = parse(address)
    return at_version(Folder.at(place).url, name)


def at_version(dataset: str, version: str | None) -> str:
    """Return a dataset as it is given to a command: DATASET, or DATASET@VERSION."""
    return f"{dataset}@{version}" if version else dataset


def opened(address: str) -> tuple[Dataset, str | None]:
    """Return the dataset of an address as in DATASET or DATASET@v2, and the name of the version, if it has one.

    Raises:
        DatasetError: There is no such dataset.
    """
    place, name = parse(address)
    return Dataset.open(place), name


def faces_of(data: Dataset, name: str | None) -> pa.Table:
    """Return the faces, as ``schema.VERSION``, of a version; of the dataset as it is now where no name is given.

    Raises:
        DatasetError: There is no such version, or it is damaged.
    """
    return current(data) if name is None else Version.open(data, name).faces()


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ConfigError(f"a version's name has letters, digits, '.', '_' and '-', at most 64, got {name!r}")
    return name


def _exists(name: str) -> str:
    return f"there is a version {name} already, and versions never change: give another name"
