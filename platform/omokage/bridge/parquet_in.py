"""Embeddings made elsewhere, from Parquet files: a dataset that find, the ledger and versions work on.

Rows are streamed. What stays in memory is eight bytes a row, by which rows that occur twice are told, and the manifest.

Shape key: N rows of a batch, D numbers of an embedding.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omokage import schema
from omokage.bridge import foreign
from omokage.bridge.foreign import ImportReport, Intake
from omokage.errors import DatasetError
from omokage.progress import OnProgress, quietly, told
from omokage.source import Source
from omokage.storage import Folder

ROWS: Final = 16_384
ROWS_WITH_CHIPS: Final = 2_048
"""Rows of a shard: some 30 MB."""

NAMES: Final = ("uri", "path")
"""Columns that may name the picture, the first one first."""

OUT: Final = pa.array(["dropped", "duplicate"])
"""What an export of ours says of faces that somebody decided against."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParquetConfig:
    """What the files do not say of themselves."""

    encoder_name: str | None = None
    """Name of the encoder that made the vectors. Imports of one name are taken to be comparable; without, none are."""
    pictures: str | None = None
    """Folder or URL that uris are relative to; by default that of the Parquet file."""


def import_parquet(source: str, dataset: str, config: ParquetConfig, on_progress: OnProgress = quietly) -> ImportReport:
    """Return the report of making ``dataset`` from embeddings in a Parquet file, or in all of a folder.

    Needed are the columns ``embedding`` (lists of numbers) and ``uri`` or ``path``. Taken where they are there:
    ``identity``, ``sha256``, ``chip`` (JPEG), and all other columns of a face. A face_id is made anew. Rows that say
    ``dropped`` or ``duplicate`` in a column ``status``, as in an export of ours, are left out.

    Raises:
        DatasetError: There is no such file, it lacks a column, or the dataset is of another kind.
        SourceError: There are no pictures where the config says.
    """
    began = time.perf_counter()
    files = _Files.at(source)
    dim = files.dim()
    name = config.encoder_name
    place = files.url if config.pictures is None else Source.at(config.pictures).url
    head = foreign.head(place, name or "unnamed", "parquet" if name else files.url, dim)
    data = foreign.created(dataset, head)
    with data.locked():
        intake, reader = Intake(data), _Reader(dim)
        for table in told(files.tables(), files.rows, "faces", on_progress):
            intake.take(*reader.read(table))
        intake.left_out += reader.left_out
        after = intake.commit()
    return foreign.report(intake, after, time.perf_counter() - began, warnings=tuple(_warnings(after.manifest())))


def _warnings(manifest: pa.Table) -> Iterator[str]:
    twice = manifest.num_rows - int(pc.count_distinct(manifest["uri"]).as_py())
    if twice:
        yield f"{twice:,} pictures are counted more than once, since their faces lie apart in the files"


@dataclass(frozen=True, slots=True)
class _Files:
    """The Parquet files of an import."""

    url: str
    folder: Folder
    names: tuple[str, ...]
    rows: int
    columns: tuple[str, ...]
    """To read; the same in all files."""

    @classmethod
    def at(cls, url: str) -> "_Files":
        place = Folder.at(url)
        kind = place.kind()
        if kind is None:
            raise DatasetError(f"there is nothing at {url}: give a Parquet file, or a folder of them")
        folder, name = place.parted() if kind == "file" else (place, "")
        names = (name,) if kind == "file" else tuple(n for n in folder.names("") if n.lower().endswith(".parquet"))
        if not names:
            raise DatasetError(f"{url} holds no .parquet files")
        files = cls(place.url, folder, names, 0, ())
        rows, columns = 0, None
        for each in names:
            with files.open(each) as file:
                mine = _columns(file.schema_arrow, folder.place(each))
                if columns not in (None, mine):
                    raise DatasetError(f"{folder.place(each)} has other columns than {folder.place(names[0])}")
                rows, columns = rows + file.metadata.num_rows, mine
        return cls(place.url, folder, names, rows, columns or ())

    def open(self, name: str) -> pq.ParquetFile:
        place = self.folder.place(name)
        try:
            if self.folder.local:
                return pq.ParquetFile(place)
            with self.folder.reached():
                return pq.ParquetFile(self.folder.files.open(place, "rb"))
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{place} cannot be read as Parquet: {error}") from error

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows, so many at a time, whatever files and row groups they lie in."""
        size = ROWS_WITH_CHIPS if "chip" in self.columns else ROWS
        waiting: list[pa.Table] = []
        for name in self.names:
            with self.open(name) as file:
                for batch in self._batches(file, name, size):
                    waiting.append(pa.Table.from_batches([batch]).replace_schema_metadata())
                    while sum(table.num_rows for table in waiting) >= size:
                        whole = pa.concat_tables(waiting, promote_options="permissive")
                        yield whole.slice(0, size)
                        waiting = [whole.slice(size)]
        rest = pa.concat_tables(waiting, promote_options="permissive") if waiting else None
        if rest is not None and rest.num_rows:
            yield rest

    def _batches(self, file: pq.ParquetFile, name: str, size: int) -> Iterator[pa.RecordBatch]:
        try:
            for group in range(file.num_row_groups):  # all at once, those that were read would stay in memory
                yield from file.iter_batches(size, [group], list(self.columns))
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"{self.folder.place(name)} is damaged: {error}") from error

    def dim(self) -> int:
        """Return the length that most of the first vectors have."""
        lengths: Counter[int] = Counter()
        for table in self.tables():
            lengths.update(n for n in _lengths(table["embedding"]).tolist() if n > 0)
            break
        if not lengths:
            raise DatasetError(f"{self.url} has no vectors")
        return max(lengths, key=lambda n: (lengths[n], n))


def _columns(of: pa.Schema, where: str) -> tuple[str, ...]:
    """Return the columns to read.

    Raises:
        DatasetError: One that is needed is missing, or cannot be what its name says.
    """
    if len(set(of.names)) < len(of.names):
        raise DatasetError(f"{where} has two columns of one name: {', '.join(of.names)}")
    name = next((name for name in NAMES if name in of.names), None)
    if name is None or "embedding" not in of.names:
        raise DatasetError(f"{where} needs the columns embedding, and uri or path; it has {', '.join(of.names)}")
    kind = of.field("embedding").type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not lists or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise DatasetError(f"{where} needs embedding as lists of numbers, and it is {kind}")
    known = {field.name for field in schema.face(1)} - {"face_id", "uri", "embedding"}
    status = ("status",) if "status" in of.names and _textual(of.field("status").type) else ()
    return (name, "embedding", *(n for n in of.names if n in known), *status)


def _textual(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


class _Reader:
    """Turns rows into pictures and faces, and remembers which rows it saw."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.seen = np.zeros(0, np.uint64)
        self.left_out: Counter[str] = Counter()

    def read(self, table: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the pictures (``MANIFEST``) and the faces of some rows."""
        table = table.rename_columns(["uri", *table.column_names[1:]])
        table = table.set_column(0, "uri", _text(table["uri"]))
        named = pc.and_(pc.is_valid(table["uri"]), pc.not_equal(table["uri"], ""))
        self.left_out["no uri"] += table.num_rows - int(pc.sum(named).as_py() or 0)
        table = table.filter(named.fill_null(False)).combine_chunks()
        table = self._kept(table)
        length_N = _lengths(table["embedding"])
        whole = table.filter(pa.array(length_N == self.dim)).combine_chunks()
        vectors_ND, good_N = foreign.unit(_vectors(whole["embedding"], self.dim))
        self.left_out["no vector"] += int((length_N == 0).sum())
        self.left_out["another length"] += int(((length_N != 0) & (length_N != self.dim)).sum())
        self.left_out["zero, or not a number"] += int((~good_N).sum())
        faces = self._faces(whole.filter(pa.array(good_N)), vectors_ND[good_N])
        return _pictures(table, faces), faces

    def _kept(self, table: pa.Table) -> pa.Table:
        if "status" not in table.column_names:
            return table
        out = pc.is_in(_text(table["status"]), value_set=OUT)
        self.left_out["not kept"] += int(pc.sum(out).as_py() or 0)
        return table.filter(pc.invert(out)).drop_columns(["status"]).combine_chunks()

    def _faces(self, rows: pa.Table, vectors_ND: NDArray[np.float32]) -> pa.Table:
        sha256 = _text(rows["sha256"]).to_pylist() if "sha256" in rows.column_names else [None] * rows.num_rows
        digests = [
            hashlib.sha256(f"{sha or ''}\n{uri}\n".encode() + vector.tobytes()).digest()
            for sha, uri, vector in zip(sha256, rows["uri"].to_pylist(), vectors_ND, strict=True)
        ]
        new = self._new(np.array([int.from_bytes(digest[:8]) for digest in digests], np.uint64))
        ids = [digest.hex()[:24] for digest in digests]
        known = {
            "face_id": pa.array(ids, pa.string()),
            "sha256": pa.array(
                [sha or foreign.UNKNOWN + each for sha, each in zip(sha256, ids, strict=True)], pa.string()
            ),
            "uri": rows["uri"],
            "identity": identity(rows),
        }
        for field in schema.face(self.dim):
            if field.name in rows.column_names and field.name not in known:
                known[field.name] = _given(rows[field.name], field.type)
        return foreign.faces(known, vectors_ND).filter(pa.array(new))

    def _new(self, key_N: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which rows are here for the first time, and remember them."""
        new_N = np.zeros(len(key_N), bool)
        new_N[np.unique(key_N, return_index=True)[1]] = True
        if len(self.seen):
            place_N = np.minimum(np.searchsorted(self.seen, key_N), len(self.seen) - 1)
            new_N &= self.seen[place_N] != key_N
        self.left_out["repeated"] += int((~new_N).sum())
        self.seen = np.sort(np.concatenate([self.seen, key_N[new_N]]), kind="stable")
        return new_N


def identity(rows: pa.Table) -> pa.Array:
    """Return the identities, as text; none where there is no such column."""
    return _text(rows["identity"]) if "identity" in rows.column_names else pa.nulls(rows.num_rows, pa.string())


def _pictures(table: pa.Table, faces: pa.Table) -> pa.Table:
    """Return one row a picture; the first row of a picture says whose it is."""
    rows = pa.table(
        {"uri": table["uri"], "identity": identity(table), "one": pa.array([1] * table.num_rows, pa.int32())}
    )
    found = rows.group_by("uri", use_threads=False).aggregate([("identity", "first"), ("one", "sum")])
    kept = faces.group_by("uri", use_threads=False).aggregate([([], "count_all"), ("sha256", "first")])
    place = pc.index_in(found["uri"], value_set=kept["uri"].combine_chunks())
    count = kept["count_all"].take(place).fill_null(0).cast(pa.int32())
    ok = pc.greater(count, 0)
    sha256 = kept["sha256_first"].take(place)
    size = found.num_rows
    columns: dict[str, Any] = {
        "uri": found["uri"],
        "identity": found["identity_first"],
        "sha256": pc.if_else(pc.starts_with(sha256, foreign.UNKNOWN), pa.scalar(None, pa.string()), sha256),
        "status": pc.if_else(ok, "ok", "failed"),
        "reason": pc.if_else(ok, pa.scalar(None, pa.string()), "not_encoded"),
        "found": found["one_sum"].cast(pa.int32()),
        "kept": count,
    }
    want = schema.MANIFEST
    return pa.table([columns.get(f.name, pa.nulls(size, f.type)) for f in want], schema=want)


def _lengths(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return how many numbers each vector has; a missing one has none."""
    return np.asarray(pc.list_value_length(column).fill_null(0).to_numpy(), np.int64)


def _vectors(column: pa.ChunkedArray, dim: int) -> NDArray[np.float64]:
    """Return vectors of ``dim`` numbers each; a missing number is NaN."""
    values = pc.list_flatten(column).cast(pa.float64()).fill_null(np.nan)
    return np.asarray(values.to_numpy(), np.float64).reshape(-1, dim)


def _text(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as text; numbers and categories are that, too.

    Raises:
        DatasetError: It cannot be.
    """
    try:
        return column.cast(pa.string()).combine_chunks()
    except pa.ArrowException as error:
        raise DatasetError(f"a column of names cannot be read as text: {error}") from error


def _given(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """Return a column as a face has it; where it says nothing, zeros or nothing.

    Raises:
        DatasetError: It cannot be that.
    """
    try:
        if pa.types.is_fixed_size_list(kind):
            return _fixed(column, kind)
        column = column.cast(kind)
    except pa.ArrowException as error:
        raise DatasetError(f"a column that should be {kind} cannot be: {error}") from error
    return column.fill_null(b"" if pa.types.is_binary(kind) else 0.0).combine_chunks()


def _fixed(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    values_NW = np.zeros((len(column), kind.list_size), np.float32)
    fits_N = _lengths(column) == kind.list_size
    flat = pc.list_flatten(column.filter(pa.array(fits_N))).cast(pa.float32()).fill_null(0.0)
    values_NW[fits_N] = flat.to_numpy().reshape(-1, kind.list_size)
    return schema.fixed(values_NW)
