"""What a stage is, and how a list of them is checked and run."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.errors import ConfigError

SECONDS = "seconds_"
"""Prefix of the columns in which ``run`` notes what each picture took."""


class Stage(Protocol):
    """A step built once per worker from its config, then called once per batch.

    A stage keeps every row, in order. A row that failed before it is passed on; a row that fails in it gets a
    ``reason``, and nulls in the columns that it adds.
    """

    reads: pa.Schema
    adds: pa.Schema

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with the columns of ``adds``."""
        ...


def check_plan(start: pa.Schema, stages: Sequence[Stage]) -> None:
    """Check that every stage finds what it reads.

    Raises:
        ConfigError: A stage reads a column that nothing before it adds.
    """
    have = set(start.names)
    for stage in stages:
        missing = [name for name in stage.reads.names if name not in have]
        if missing:
            raise ConfigError(f"{type(stage).__name__} reads {missing}, which nothing before it adds")
        have |= set(stage.adds.names)


def run(stages: Sequence[Stage], batch: pa.Table) -> pa.Table:
    """Return ``batch`` after every stage, each one's time per picture noted beside it."""
    for stage in stages:
        start = time.perf_counter()
        batch = stage(batch)
        batch = with_seconds(batch, type(stage).__name__.lower(), time.perf_counter() - start)
    return batch


def with_seconds(batch: pa.Table, stage: str, seconds: float) -> pa.Table:
    """Return ``batch`` with ``seconds``, the time that it took in ``stage``, shared evenly over its rows."""
    each = np.full(batch.num_rows, seconds / max(1, batch.num_rows), np.float32)
    return batch.append_column(SECONDS + stage, pa.array(each))


def total_seconds(batch: pa.Table) -> dict[str, float]:
    """Return the time that ``batch`` took in each stage."""
    noted = [name for name in batch.column_names if name.startswith(SECONDS)]
    return {name.removeprefix(SECONDS): float(pc.sum(batch[name]).as_py() or 0.0) for name in noted}


def good(batch: pa.Table) -> NDArray[np.bool_]:
    """Return which rows have not failed yet. Shape (N,)."""
    result: NDArray[np.bool_] = pc.is_null(batch["reason"]).to_numpy()
    return result


def fail(batch: pa.Table, reasons: Sequence[str | None]) -> pa.Table:
    """Return ``batch`` with each row's reason set, where one is given and none was before."""
    merged = pc.coalesce(batch["reason"], pa.chunked_array([pa.array(reasons, pa.string())]))
    return batch.set_column(batch.column_names.index("reason"), "reason", merged)


def append(batch: pa.Table, columns: pa.Schema, values: Sequence[Any]) -> pa.Table:
    """Return ``batch`` with ``columns`` appended; ``values`` holds, for each, an array or Python values."""
    for field, column in zip(columns, values, strict=True):
        ready = isinstance(column, pa.Array | pa.ChunkedArray)
        batch = batch.append_column(field, column if ready else pa.array(column, field.type))
    return batch


def pixels(batch: pa.Table) -> list[NDArray[np.uint8] | None]:
    """Return each row's decoded picture, shape (H, W, 3), without a copy; None where there is none."""
    rows = zip(_buffers(batch["pixels"]), batch["shape"].to_pylist(), strict=True)
    return [None if data is None else np.frombuffer(data, np.uint8).reshape(*shape, 3) for data, shape in rows]


def pixel_column(pictures: Sequence[NDArray[np.uint8] | None]) -> pa.ChunkedArray:
    """Return the column that ``pixels`` reads, without a copy: each picture a chunk, on its own memory."""
    kind = schema.PIXELS.field("pixels").type
    chunks = []
    for picture in pictures:
        if picture is None:
            chunks.append(pa.nulls(1, kind))
            continue
        offsets = pa.py_buffer(np.array([0, picture.nbytes], np.int64))
        chunks.append(pa.Array.from_buffers(kind, 1, [None, offsets, pa.py_buffer(picture)]))
    return pa.chunked_array(chunks, kind)


def _buffers(column: pa.ChunkedArray) -> Iterator[pa.Buffer | None]:
    """Yield the bytes of each row of a large binary column; to take them from its scalars would copy them."""
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        for row, valid in enumerate(chunk.is_valid().to_pylist(), chunk.offset):
            start, end = np.frombuffer(offsets, np.int64, 2, row * 8).tolist() if valid else (0, 0)
            yield data.slice(start, end - start) if valid else None


def faces(batch: pa.Table) -> Iterator[tuple[NDArray[np.uint8] | None, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield each row's picture, boxes (F, 4) and landmarks (F, 5, 2); no picture where the row has failed."""
    columns = (pixels(batch), batch["box"].to_pylist(), batch["landmarks"].to_pylist(), good(batch))
    for picture, boxes, landmarks, ok in zip(*columns, strict=True):
        box_F4 = np.asarray(boxes or [], np.float32).reshape(-1, 4)
        yield picture if ok else None, box_F4, np.asarray(landmarks or [], np.float32).reshape(-1, 5, 2)
