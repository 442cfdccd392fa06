"""The vectors that an encoder gives a dataset's faces: its own, or those that another encoder made of its chips.

    DATASET/encoded/<name>-<key>/encoded.json                 which encoder, of which chips, run by what; written first
    DATASET/encoded/<name>-<key>/<shard>-<sha256>.arrow       face_id and embedding of one shard's faces, in its order

A part has its checksum in its name and is written at once, so that to list the folder is to know what is done.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow as pa

from omokage import schema
from omokage.errors import DatasetError
from omokage.shards import arrow_bytes, read_table
from omokage.storage import Folder, plain_name
from omokage.store import Dataset

PLACE: Final = "encoded"
"""Folder of all encodings, below the dataset's."""

HEAD: Final = "encoded.json"

FORMAT: Final = 1

CUT: Final = 1
"""Goes up whenever the same chip would give the encoder other pixels."""

COLUMNS: Final = ["face_id", "embedding"]

PART: Final = re.compile(r"(?P<shard>[0-9a-f]{20})-(?P<sum>[0-9a-f]{12})\.arrow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """Vectors of every face of a dataset, all made by one encoder, in the dataset's order."""

    encoder: dict[str, Any]
    """What made the vectors, in the words of a dataset's recipe: name, sha256, dim, crop, pixels, output."""
    licence: str
    """Of the encoder's weights; empty where the dataset does not say it."""
    runtime: str
    """What ran it."""
    own: bool
    """Whether they are those that the dataset itself holds."""
    data: Dataset
    folder: Folder
    """Where the vectors are."""
    files: tuple[str, ...]
    """Of each of the dataset's shards, in order; empty for a shard without faces."""
    made: int
    """Faces that were encoded just now."""
    remarks: tuple[str, ...]
    """What vectors made of chips cannot give exactly; to be shown wherever their figures are."""

    @classmethod
    def of(cls, data: Dataset) -> "Encoded":
        """Return the vectors that ``data`` itself holds."""
        return cls(
            encoder=data.head.recipe["encoder"],
            licence="",
            runtime=data.head.runtime,
            own=True,
            data=data,
            folder=data.folder,
            files=tuple(shard.file("faces") if shard.faces else "" for shard in data.head.shards),
            made=0,
            remarks=(),
        )

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.encoder["dim"])

    def faces(self) -> Iterator[pa.Table]:
        """Yield face_id and embedding of each shard's faces: the rows of ``data.faces()``, in their order.

        Unit vectors; all zero where a face could not be encoded. A shard is held at a time, or mapped.

        Raises:
            DatasetError: A file is missing or damaged.
        """
        want = pa.schema([("face_id", pa.string()), ("embedding", schema.embedding(self.dim))])
        for shard, file in zip(self.data.head.shards, self.files, strict=True):
            if not file:
                yield want.empty_table()
                continue
            table = (read_table(self.folder, file, COLUMNS) if self.own else read_part(self.folder, file)).cast(want)
            if table.num_rows != shard.faces:
                raise DatasetError(_damaged(self.folder, file))
            yield table


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedHead:
    """What a folder of vectors says of itself."""

    encoder: dict[str, Any]
    chip: str
    """How the chips that they were made of frame a face."""
    cut: int
    licence: str
    runtime: str

    def json(self) -> bytes:
        """Return the head as it is stored."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False).encode()


def place_of(encoder: Mapping[str, Any], chip: str) -> str:
    """Return the name of the folder of an encoder's vectors: never the same for vectors of other origin."""
    told = json.dumps([dict(encoder), chip, CUT], sort_keys=True)
    key = hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{plain_name(str(encoder['name'])) or 'encoder'}-{key}"


def begin(folder: Folder, head: EncodedHead) -> None:
    """Let a folder say what is to be in it, unless it says something already."""
    folder.update(HEAD, lambda old: head.json() if old is None else None)


def begun(folder: Folder, head: EncodedHead) -> EncodedHead | None:
    """Return what a folder says of itself; None where it says nothing yet.

    Raises:
        DatasetError: It is damaged, or holds vectors of another origin than ``head``.
    """
    try:
        said = json.loads(folder.read(HEAD))
        if said.pop("format") != FORMAT:
            raise DatasetError(f"{folder.url} was written by another version of omokage")
        there = EncodedHead(**said)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{folder.place(HEAD)} is damaged ({error}): remove the folder {folder.url}") from error
    if (there.encoder, there.chip, there.cut) != (head.encoder, head.chip, head.cut):
        raise DatasetError(f"{folder.url} holds vectors of another origin: remove that folder")
    return there


def parts(folder: Folder) -> dict[str, str]:
    """Return the file of each shard that is done, by the shard's name."""
    found = (PART.fullmatch(name) for name in reversed(folder.names("")))
    return {match["shard"]: match[0] for match in found if match}


def write_part(folder: Folder, shard: str, ids: pa.Array, vectors: pa.Array) -> str:
    """Return the name of the file that now holds a shard's vectors.

    Raises:
        OSError: The disk is full, or writing is not permitted.
    """
    data = arrow_bytes(pa.table([ids, vectors], names=COLUMNS))
    name = f"{shard}-{hashlib.sha256(data).hexdigest()[:12]}.arrow"
    folder.write(name, data)
    return name


def read_part(folder: Folder, name: str) -> pa.Table:
    """Return face_id and embedding of a shard's faces.

    Raises:
        DatasetError: The file is missing, or not the one that was written.
    """
    try:
        data = folder.read(name)
    except FileNotFoundError as error:
        raise DatasetError(f"{folder.place(name)} is missing: the same command makes it anew") from error
    match = PART.fullmatch(name)
    if match is None or not hashlib.sha256(data).hexdigest().startswith(match["sum"]):
        raise DatasetError(_damaged(folder, name))
    return pa.ipc.open_file(pa.BufferReader(data)).read_all()


def _damaged(folder: Folder, name: str) -> str:
    return f"{folder.place(name)} is damaged: remove it, and the same command makes it anew"
