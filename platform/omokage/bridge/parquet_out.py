"""A dataset as one Parquet file: a row a face, with plain columns that pandas, DuckDB and Polars read."""

import json
import time
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omokage import schema
from omokage.bridge.exported import ExportReport, streamed
from omokage.curate.decided import Decided
from omokage.errors import ConfigError, DatasetError
from omokage.storage import Folder

MADE_BY: Final = b"omokage"
"""Key of the file's own metadata: from what it was made. A file without it is never written over."""

COLUMNS: Final = (*schema.VERSION.names, "score", *schema.QUALITY_NAMES, "box", "landmarks", "embedding")

ROWS: Final = 16_384
"""Of a row group; many small shards go into one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParquetOutConfig:
    """What goes into the file."""

    chips: bool = False
    """Also the chips (JPEG), about 20 kB a face."""


def export_parquet(faces: Decided, version: str | None, out: str, config: ParquetOutConfig) -> ExportReport:
    """Return the report of writing every face, kept or not, to the Parquet file ``out``.

    Raises:
        ConfigError: There is another file.
        DatasetError: A shard is missing or damaged.
    """
    began = time.perf_counter()
    folder, name = Folder.at(out).parted()
    _check_free(out)
    columns = [*COLUMNS, *(["chip"] if config.chips else [])]
    about = {"dataset": faces.data.folder.url, "version": version, "encoder": faces.data.head.recipe["encoder"]}
    form = _form(faces.dim, columns).with_metadata({MADE_BY: json.dumps(about, ensure_ascii=False)})
    rows = 0
    try:
        with streamed(folder, name) as path, pq.ParquetWriter(path, form, compression="zstd") as writer:
            waiting: list[pa.Table] = []
            for table, _ in faces.numbered(columns, kept=False):
                rows += table.num_rows
                waiting.append(table.cast(form))
                if sum(each.num_rows for each in waiting) >= ROWS:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            writer.write_table(pa.concat_tables([form.empty_table(), *waiting]))
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror or error}") from error
    return ExportReport(
        dataset=faces.data.folder.url,
        version=version,
        format="parquet",
        out=out,
        files=1,
        faces=rows,
        identities=int(pc.count_distinct(faces.version["identity"]).as_py()),
        left_out={"faces that the dataset no longer has": faces.version.num_rows - rows},
        seconds=round(time.perf_counter() - began, 3),
    )


def _form(dim: int, columns: list[str]) -> pa.Schema:
    """Return the file's columns. Parquet has no lists of fixed size, and some readers trip over Arrow's note."""
    known = {field.name: field for field in [*schema.face(dim), *schema.VERSION]}
    fields = [known[name] for name in columns]
    plain = [
        pa.field(f.name, pa.list_(f.type.value_type) if pa.types.is_fixed_size_list(f.type) else f.type) for f in fields
    ]
    return pa.schema(plain)


def _check_free(out: str) -> None:
    folder, name = Folder.at(out).parted()
    if not folder.exists(name):
        return
    if folder.files.isdir(folder.place(name)):
        raise ConfigError(f"{out} is a folder: give the name of a file")
    try:
        with folder.files.open(folder.place(name), "rb") as file:
            mine = MADE_BY in (pq.ParquetFile(file).schema_arrow.metadata or {})
    except pa.ArrowException:
        mine = False
    except OSError as error:
        raise DatasetError(f"{out} cannot be read: {error}") from error
    if not mine:
        raise ConfigError(f"{out} is there already and is no export of ours: give another name")
