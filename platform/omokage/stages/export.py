"""Chips to picture files."""

import hashlib
import json
import posixpath
from dataclasses import dataclass

import pyarrow as pa

from omokage import schema
from omokage.report import tally
from omokage.stages import base
from omokage.storage import LONGEST_NAME, Folder


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportConfig:
    """Where the files go."""

    out: str
    """Path or URL of a folder."""


class Export:
    """Write every chip as a file. The last stage: it returns a mark in place of the rows."""

    reads = pa.unify_schemas([schema.LISTED, schema.ALIGNED])

    def __init__(self, config: ExportConfig) -> None:
        self.folder = Folder.at(config.out)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return one row: what was written, as JSON."""
        files = 0
        for uri, chips in zip(batch["uri"].to_pylist(), batch["chip"].to_pylist(), strict=True):
            for number, chip in enumerate(chips or []):
                self.folder.write(name(uri, number), chip)
                files += 1
        mark = {"pictures": batch.num_rows, "files": files, "reasons": tally(batch["reason"])}
        return pa.table({"mark": [json.dumps(mark | {"seconds": base.total_seconds(batch)})]})


def name(uri: str, number: int) -> str:
    """Return where face ``number`` of a picture goes, below the folder: beside its neighbours, as in the source.

    The picture's whole name stays in it, so that ``a.png`` and ``a.jpg`` do not meet; one that would get too long
    is cut, and kept apart by a part of its hash. What lies outside the source goes into a folder named by a hash.
    """
    folder, file = posixpath.split(uri)
    if posixpath.isabs(folder) or "://" in folder or ".." in folder.split("/"):
        folder = hashlib.sha256(folder.encode()).hexdigest()[:12]
    ending = f"-{number}.jpg"
    if len((file + ending).encode()) > LONGEST_NAME:
        digest = "-" + hashlib.sha256(file.encode()).hexdigest()[:12]
        room = LONGEST_NAME - len(digest + ending)
        file = file.encode()[:room].decode(errors="ignore") + digest
    return posixpath.join(folder, file + ending)
