"""A dataset: a folder with a head, a manifest and shards of faces.

    dataset.json                 the head: recipe, source, and the list of committed shards; replaced at once
    manifest-000002.parquet      one row per input, named by the head
    shards/<name>.faces.arrow    faces, with chips and embeddings
    shards/<name>.pictures.arrow the pictures that they came from
    shards/<name>.json           written last: counts and checksums; without it the shard does not exist

A run writes shards as it goes and the head at its end. What a killed run finished is found by the shards' own
marks, taken over by the next run, and never computed twice.
"""

import fcntl
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omokage import schema
from omokage.errors import DatasetError
from omokage.report import Summary, by_status, tally
from omokage.shards import SHARDS, Shard, keep_live, parquet_bytes, read_table, verified
from omokage.storage import PART, Folder

FORMAT = 1
HEAD = "dataset.json"
MANIFEST_FILE = re.compile(r"manifest-\d{6,}\.parquet")
READERS = 16
"""Threads that read small files; on s3 each one mostly waits."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a dataset says of itself."""

    source: str
    recipe: dict[str, Any]
    """Everything that decides what a picture's faces and vectors are; two runs must agree on all of it."""
    runtime: str = ""
    """What ran the encoder. Others give the same vectors to 1e-4, so a run that can keeps to it and need not."""
    generation: int = 0
    manifest: str | None = None
    manifest_sha256: str | None = None
    shards: tuple[Shard, ...] = ()

    def json(self) -> bytes:
        """Return the head as it is stored."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False).encode()


class Dataset:
    """A dataset that exists, open for reading; ``commit`` and ``write_shard`` add to it."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.head = _read_head(folder)

    @classmethod
    def open(cls, url: str) -> "Dataset":
        """Return the dataset at ``url``.

        Raises:
            DatasetError: There is none, or it is of a format that this version does not know.
        """
        return cls(Folder.at(url))

    @classmethod
    def open_or_create(cls, folder: Folder, head: Head, moved: bool = False) -> "Dataset":
        """Return the dataset in ``folder``, made now if there is none.

        Args:
            folder: The dataset's folder; one with other files in it is refused.
            head: What a new one would say of itself, and an old one must agree with.
            moved: The source of an existing dataset now lies elsewhere.

        Raises:
            DatasetError: The dataset was made from another source, or in another way.
        """
        if not folder.exists(HEAD):
            if not folder.empty():
                raise DatasetError(f"{folder.url} holds other files and no dataset: give a new or empty folder")
            folder.write(HEAD, head.json())
        dataset = cls(folder)
        for key in head.recipe | dataset.head.recipe:
            _check_same(key, dataset.head.recipe.get(key), head.recipe.get(key), folder.url)
        if moved:
            folder.write(HEAD, replace(dataset.head, source=head.source).json())
            return cls(folder)
        if dataset.head.source != head.source:
            raise DatasetError(
                f"{folder.url} was made from {dataset.head.source}, and this run has {head.source}: give another "
                "dataset folder or, if the pictures were moved there, --moved"
            )
        return dataset

    def encoded_by(self, runtime: str) -> "Dataset":
        """Return the dataset after noting what runs its encoder."""
        self.folder.write(HEAD, replace(self.head, runtime=runtime).json())
        return Dataset(self.folder)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.head.recipe["encoder"]["dim"])

    def manifest(self) -> pa.Table:
        """Return one row per input of the last committed run, columns ``MANIFEST`` and ``SHARD``."""
        if self.head.manifest is None:
            return schema.MANIFEST.append(schema.SHARD).empty_table()
        data = pa.BufferReader(verified(self.folder, self.head.manifest, self.head.manifest_sha256))
        return pq.read_table(data, schema=schema.MANIFEST.append(schema.SHARD))

    def faces(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the faces of every committed shard; local files are mapped, not read."""
        for shard in self.head.shards:
            yield read_table(self.folder, shard.file("faces"), columns)

    def known(self) -> pa.Table:
        """Return every picture whose shard is there, finished ones first, columns ``MANIFEST`` and ``SHARD``.

        So a shard that was lost, or removed because it was damaged, is made anew by the next run.
        """
        manifest = self.manifest()
        there = pc.is_in(manifest["shard"], value_set=pa.array(self._there(), pa.string()))
        rest = manifest.filter(pc.or_(there, pc.is_null(manifest["shard"])))
        return pa.concat_tables([self.pictures(self.finished()), rest])

    def finished(self) -> list[Shard]:
        """Return the shards that a killed run finished and nobody committed."""
        committed = {shard.name for shard in self.head.shards}
        loose = [f"{SHARDS}/{name}.json" for name in self._there() if name not in committed]
        with ThreadPoolExecutor(READERS) as pool:
            return [Shard(**json.loads(data)) for data in pool.map(self.folder.read, loose)]

    def _there(self) -> list[str]:
        """Return the names of all shards that have their mark and their files, sorted."""
        names = set(self.folder.names(SHARDS))
        marked = sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))
        return [name for name in marked if {f"{name}.faces.arrow", f"{name}.pictures.arrow"} <= names]

    def pictures(self, shards: Iterable[Shard]) -> pa.Table:
        """Return the picture rows of ``shards``, columns ``MANIFEST`` and ``SHARD``."""

        def rows(shard: Shard) -> pa.Table:
            table = read_table(self.folder, shard.file("pictures"))
            return table.append_column(schema.SHARD, pa.array([shard.name] * table.num_rows, pa.string()))

        with ThreadPoolExecutor(READERS) as pool:
            return pa.concat_tables([schema.MANIFEST.append(schema.SHARD).empty_table(), *pool.map(rows, shards)])

    def commit(self, manifest: pa.Table, shards: Iterable[Shard]) -> "Dataset":
        """Return the dataset after making ``manifest`` and ``shards`` its content, all at once.

        Rows of a shard whose picture is not in the manifest with that shard are taken out first. Files that the
        new head does not name are removed last.

        Raises:
            DatasetError: A shard that must be rewritten is damaged.
            OSError: The disk is full, or writing is not permitted; the dataset stays what it was.
        """
        live = [shard for old in shards if (shard := keep_live(self.folder, old, manifest)) is not None]
        renamed = {old.name: new.name for old, new in live}
        names = manifest["shard"].to_pylist()
        manifest = manifest.set_column(
            manifest.column_names.index("shard"),
            schema.SHARD,
            pa.array([renamed.get(n, n) for n in names], pa.string()),
        )
        generation = self.head.generation + 1
        name = f"manifest-{generation:06d}.parquet"
        data = parquet_bytes(manifest.sort_by("uri"))
        self.folder.write(name, data)
        head = replace(
            self.head,
            generation=generation,
            manifest=name,
            manifest_sha256=hashlib.sha256(data).hexdigest(),
            shards=tuple(sorted((new for _, new in live), key=lambda shard: shard.name)),
        )
        self.folder.write(HEAD, head.json())
        after = Dataset(self.folder)
        after.sweep()
        return after

    def sweep(self) -> None:
        """Remove every file of ours that the head does not name: old manifests, dead shards, half-written files."""
        named = {HEAD, self.head.manifest}
        for shard in self.head.shards:
            named |= {shard.mark, shard.file("faces"), shard.file("pictures")}
        ours = [n for n in self.folder.names("") if MANIFEST_FILE.fullmatch(n) or PART.fullmatch(n)]
        marks_first = sorted(self.folder.names(SHARDS), key=lambda name: not name.endswith(".json"))
        for name in [*ours, *(f"{SHARDS}/{n}" for n in marks_first)]:
            if name not in named:
                self.folder.remove(name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs on this machine from writing at the same time; a killed holder's lock is free at once.

        Raises:
            DatasetError: Another process is writing, or writing is not permitted.
        """
        if not self.folder.local:
            yield
            return
        with self._lock_file() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DatasetError(f"another run is writing to {self.folder.url}: wait for it, or stop it") from error
            self.head = _read_head(self.folder)  # another run may have ended since it was read
            yield

    def _lock_file(self) -> BinaryIO:
        try:
            return Path(self.folder.place(".lock")).open("wb")
        except OSError as error:
            raise DatasetError(
                f"{self.folder.url} cannot be written to: {error.strerror}; this command keeps its results there. "
                "Change the folder's permissions or free its disk, or copy it and give the copy"
            ) from error

    def check(self) -> list[str]:
        """Return what is wrong with the files, a line each; nothing when all is well."""
        files = {shard.file(kind): sha256 for shard in self.head.shards for kind, sha256 in shard.sha256.items()}
        if self.head.manifest is not None:
            files[self.head.manifest] = self.head.manifest_sha256 or ""
        problems = []
        for name, sha256 in sorted(files.items()):
            try:
                verified(self.folder, name, sha256)
            except DatasetError as error:
                problems.append(str(error))
        return problems


def summary(data: Dataset) -> Summary:
    """Return what ``data`` holds."""
    manifest = data.manifest()
    return Summary(
        dataset=data.folder.url,
        source=data.head.source,
        generation=data.head.generation,
        pictures=manifest.num_rows,
        status=by_status(manifest),
        reasons=tally(manifest["reason"]),
        identities=int(pc.count_distinct(manifest["identity"]).as_py()),
        faces=sum(shard.faces for shard in data.head.shards),
        shards=len(data.head.shards),
        bytes=sum(shard.bytes for shard in data.head.shards),
        unfinished=len(data.finished()),
        recipe=data.head.recipe,
        runtime=data.head.runtime,
    )


def _read_head(folder: Folder) -> Head:
    try:
        data = json.loads(folder.read(HEAD))
        if data.pop("format", None) != FORMAT:
            raise DatasetError(f"{folder.url} was written by another version of omokage")
        return Head(**data | {"shards": tuple(Shard(**shard) for shard in data["shards"])})
    except FileNotFoundError as error:
        raise DatasetError(f"{folder.url} is no dataset (it has no {HEAD}); omokage ingest makes one") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{folder.place(HEAD)} is damaged: {error}") from error


def _check_same(what: str, have: Any, want: Any, where: str) -> None:
    if have != want:
        raise DatasetError(
            f"{where} was made with {what} {_say(have)}, and this run has {what} {_say(want)}: "
            "use the same, or give another dataset folder"
        )


def _say(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
