"""Addresses to bytes. The only stage that may use the network: the user's own storage."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from omokage import schema
from omokage.source import locate
from omokage.stages import base
from omokage.storage import Folder

THREADS = 8
"""Files read at once; behind a URL each one mostly waits."""

MAX_BYTES = 1 << 30
"""A larger file is no picture that we would decode; only its beginning is read, to tell what it is."""

BEGINNING = 1 << 16

PICTURES_AT_ONCE = 16
BYTES_AT_ONCE = 64 << 20
"""Bounds of what is read ahead and handed to an isolated process in one go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadConfig:
    """Where relative uris start."""

    root: str
    """Path or URL of the source's root folder."""


class Read:
    """Add ``data``, ``sha256`` and ``read_at``."""

    reads = schema.LISTED
    adds = schema.READ

    def __init__(self, config: ReadConfig) -> None:
        self.root = Folder.at(config.root)
        self.pool = ThreadPoolExecutor(THREADS)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with each file's bytes; ``unreadable`` where it cannot be opened any more."""
        now = time.time()
        wanted = [
            (uri, size) if ok else None
            for uri, size, ok in zip(batch["uri"].to_pylist(), batch["size"].to_pylist(), base.good(batch), strict=True)
        ]
        data = list(self.pool.map(self._bytes, wanted))
        sums = [None if d is None else hashlib.sha256(d).hexdigest() for d in data]
        failed = ["unreadable" if w and d is None else None for w, d in zip(wanted, data, strict=True)]
        times = [now if w else None for w in wanted]
        return base.append(base.fail(batch, failed), self.adds, [data, sums, times])

    def _bytes(self, wanted: tuple[str, int | None] | None) -> bytes | None:
        if wanted is None:
            return None
        uri, size = wanted
        folder, place = locate(self.root, uri)
        end = BEGINNING if size is not None and size > MAX_BYTES else None
        try:
            data: bytes = folder.files.cat_file(place, end=end)
        except OSError:
            return None
        return data


def parts(listed: pa.Table) -> Iterator[pa.Table]:
    """Yield runs of listed pictures that are few enough and small enough to be held together."""
    sizes = listed["size"].fill_null(0).to_pylist()
    start, held = 0, 0
    for row, size in enumerate(sizes):
        if row > start and (row - start == PICTURES_AT_ONCE or held + size > BYTES_AT_ONCE):
            yield listed.slice(start, row - start)
            start, held = row, 0
        held += size
    yield listed.slice(start)
