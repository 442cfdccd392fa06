"""Findings written by hand, so that they are known."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from omokage.curate import proposals
from omokage.storage import Folder


def write_findings(folder: Folder, name: proposals.Name, rows: Sequence[dict[str, Any]]) -> None:
    """Write a table of findings of the dataset in ``folder``; columns that a row does not name are null."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), proposals.SCHEMAS[name]), sink)
    folder.write(proposals.place(name), sink.getvalue())
