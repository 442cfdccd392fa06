"""The folder ``findings`` of a dataset: what the finders found, as tables that other programs read."""

import csv
import io
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from omokage.curate.proposals import FOLDER
from omokage.flows.workspace import Workspace


class Findings:
    """Writes findings, each file whole."""

    def __init__(self, work: Workspace) -> None:
        self.folder = work.folder
        self.scratch = work.path
        self.files: list[str] = []

    def table(self, name: str, table: pa.Table) -> None:
        """Write a table."""
        self.tables(name, table.schema, [table])

    def tables(self, name: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
        """Write tables one after the other as one file, and return the rows."""
        part, rows = self.scratch / f".{uuid.uuid4().hex}.part", 0
        try:
            with pq.ParquetWriter(part, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table)
                    rows += table.num_rows
            self._take(part, f"{name}.parquet")
        finally:
            part.unlink(missing_ok=True)
        return rows

    def data(self, name: str, content: bytes) -> None:
        """Write a file."""
        self.folder.write(f"{FOLDER}/{name}", content)
        self.files.append(f"{self.folder.url}/{FOLDER}/{name}")

    def _take(self, part: Path, name: str) -> None:
        self.folder.take(part, f"{FOLDER}/{name}")
        self.files.append(f"{self.folder.url}/{FOLDER}/{name}")


def write_csv(file: Path, tables: Iterable[pa.Table], resolve: Callable[[str], str]) -> Iterator[pa.Table]:
    """Yield the tables of pairs as they pass by, after writing ``path_a,path_b,similarity`` of each to a file.

    Args:
        file: Replaced when all is written.
        tables: With the columns uri_a, uri_b and similarity.
        resolve: Returns a picture's full path from its uri.
    """
    part = file.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
            out.write("path_a,path_b,similarity\n")
            for table in tables:
                lines = io.StringIO()
                writer = csv.writer(lines)
                for uri_a, uri_b, similarity in zip(
                    *(table[name].to_pylist() for name in ("uri_a", "uri_b", "similarity")), strict=True
                ):
                    writer.writerow([resolve(uri_a), resolve(uri_b), f"{similarity:.6f}"])
                out.write(lines.getvalue())
                yield table
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
