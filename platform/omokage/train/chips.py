"""The chips of a split, mapped from the dataset's shards and never held.

A local dataset's shards are mapped where they are. Those of a remote one are fetched once for each machine into its
cache, by whichever worker comes first while the others wait, and are only ever seen there after their checksum held.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import platformdirs
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.errors import DatasetError, StorageError, WorkError
from omokage.shards import SHARDS, Shard, read_table
from omokage.storage import Folder
from omokage.store import Dataset

FETCHERS: Final = 8
"""Shards that are fetched at once; each mostly waits."""

UNCHECKED: Final = ".unchecked"
"""End of the name of a file whose checksum was not looked at yet."""

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

LOCK: Final = ".lock"
"""Held by the worker that fetches."""


class Chips:
    """Chips (JPEG) by row of a split's table.

    Args:
        data: The dataset.
        table: Faces, with the column face_id; their order numbers the rows.
        cache: Where shards of a remote dataset are kept on this machine; the user's cache folder by default.

    Raises:
        DatasetError: The dataset has not all of the faces, or no chip of any of them; or a shard is damaged.
        WorkError: The cache's disk is full, or cannot be written to.
    """

    def __init__(self, data: Dataset, table: pa.Table, cache: Path | None = None) -> None:
        self.ids = schema.whole(table["face_id"])
        folder = data.folder if data.folder.local else _fetched(data, cache or default_cache())
        tables = [read_table(folder, shard.file("faces"), ["face_id", "chip"]) for shard in data.head.shards]
        chunks = [batch for table in tables for batch in table.to_batches() if len(batch)]
        self._chunks = [_mapped(batch["chip"]) for batch in chunks]
        self._chunk_N, self._place_N = _located(self.ids, [batch["face_id"] for batch in chunks])
        self._check(data)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.ids)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """Return a chip's bytes as they lie in the file, not to be written to."""
        start_M, content = self._chunks[self._chunk_N[row]]
        place = int(self._place_N[row])
        chip: NDArray[np.uint8] = content[start_M[place] : start_M[place + 1]]
        return chip

    def face_id(self, row: int) -> str:
        """Return whose chip it is."""
        return str(self.ids[row].as_py())

    def _check(self, data: Dataset) -> None:
        lost = np.flatnonzero(self._chunk_N < 0)
        if len(lost):
            raise DatasetError(
                f"{len(lost):,} of {len(self):,} faces are no longer in {data.folder.url}, among them "
                f"{self.face_id(int(lost[0]))}: make a new split"
            )
        if len(self) and not any(self._has_chips(chunk) for chunk in range(len(self._chunks))):
            raise DatasetError(
                f"{data.folder.url} has vectors only and no chips, so that nothing can be trained on it: "
                "ingest its pictures"
            )

    def _has_chips(self, chunk: int) -> bool:
        place = self._place_N[self._chunk_N == chunk]
        start_M, _ = self._chunks[chunk]
        return bool((start_M[place + 1] > start_M[place]).any())


def default_cache() -> Path:
    """Return where this machine keeps chips of remote datasets."""
    return Path(platformdirs.user_cache_dir("omokage")) / "chips"


def _mapped(chips: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return where each chip begins, and where the last ends, in the bytes of all; without a copy."""
    _, starts, content = chips.buffers()
    first = chips.offset
    start_M = np.frombuffer(starts, np.int32)[first : first + len(chips) + 1]
    return start_M, np.frombuffer(content if content is not None else b"", np.uint8)


def _located(ids: pa.Array, chunks: list[pa.Array]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the chunk that each face is in, -1 where it is in none, and its place there."""
    row_F = pc.index_in(pa.chunked_array(chunks, pa.string()), value_set=ids).fill_null(-1).to_numpy()
    found = np.flatnonzero(row_F >= 0)
    first_C = np.cumsum([0, *(len(chunk) for chunk in chunks)])
    chunk = np.searchsorted(first_C, found, side="right") - 1
    chunk_N, place_N = np.full(len(ids), -1, np.int32), np.zeros(len(ids), np.int32)
    chunk_N[row_F[found]] = chunk
    place_N[row_F[found]] = found - first_C[chunk]
    return chunk_N, place_N


def _fetched(data: Dataset, cache: Path) -> Folder:
    """Return a folder of this machine with the faces of all shards of a remote dataset, each whole and as written."""
    key = hashlib.sha256(data.folder.url.encode()).hexdigest()[:24]
    here = Folder.at(str(cache / key))
    try:
        with _alone(Path(here.root)):
            there = set(here.names(SHARDS))
            wanted = {Path(shard.file("faces")).name: shard for shard in data.head.shards}
            missing = [shard for name, shard in wanted.items() if name not in there]
            for name in there - set(wanted):
                # of a worker that was killed, or of faces that were taken out of the dataset: whoever maps it keeps it
                here.remove(f"{SHARDS}/{name}")
            with ThreadPoolExecutor(FETCHERS) as pool:
                for _ in pool.map(lambda shard: _fetch(data.folder, shard, here), missing):
                    pass
    except OSError as error:
        raise WorkError(f"cannot keep chips in {here.root}: {error.strerror or error}") from error
    return here


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Wait until no other worker of this machine is in the block; a killed one's lock is free at once."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(source: Folder, shard: Shard, here: Folder) -> None:
    """Fetch a shard's faces under another name, and give them their own when they are what was written."""
    name = shard.file("faces")
    place = Path(here.place(name))
    unchecked = place.with_name(place.name + UNCHECKED)
    try:
        source.fetch(name, unchecked)
    except FileNotFoundError as error:
        raise DatasetError(f"{source.place(name)} is missing") from error
    except StorageError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL:
            raise error.__cause__ from None  # of our disk, not of the storage
        raise
    with unchecked.open("rb") as file:
        right = hashlib.file_digest(file, "sha256").hexdigest() == shard.sha256["faces"]
    if not right:
        unchecked.unlink()
        raise DatasetError(f"{source.place(name)} is damaged: its bytes are not those that were written")
    os.replace(unchecked, place)
