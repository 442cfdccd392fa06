"""Pipeline tables and datasets made by hand, for tests below the flows."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from omokage import schema
from omokage.stages import base
from omokage.store import Head

DIM = 4


def listed(*rows: tuple[object, ...]) -> pa.Table:
    """Return rows of ``LISTED``; what a row leaves out at its end is null."""
    width = len(schema.LISTED)
    full = [dict(zip(schema.LISTED.names, (*row, *[None] * (width - len(row))), strict=True)) for row in rows]
    return pa.Table.from_pylist(full, schema.LISTED)


def looked(listing: pa.Table, faces: Sequence[int | str], seed: int = 0, dim: int = DIM) -> pa.Table:
    """Return ``listing`` as the last stage sees it: each row with so many faces, or failed for a reason."""
    rng = np.random.default_rng(seed)
    count_N = [f if isinstance(f, int) else 0 for f in faces]
    reasons = [None if isinstance(f, int) else f for f in faces]
    total = sum(count_N)

    def lists(values: pa.Array) -> pa.Array:
        column = schema.per_picture(values, np.array(count_N))
        return pa.array([None if r else v for v, r in zip(column.to_pylist(), reasons, strict=True)], column.type)

    def floats(width: int) -> pa.Array:
        return schema.fixed(rng.random((total, width)).astype(np.float32))

    chips = pa.array([rng.bytes(40) for _ in range(total)], pa.binary())
    columns = {
        "sha256": pa.array(
            [
                None if r == "unreadable" else f"sha of {u}"
                for u, r in zip(listing["uri"].to_pylist(), reasons, strict=True)
            ],
            pa.string(),
        )
    }
    columns["read_at"] = pa.array([1e9 + n for n in range(listing.num_rows)], pa.float64())
    columns |= {name: pa.nulls(listing.num_rows, schema.INSPECTED.field(name).type) for name in schema.INSPECTED.names}
    columns["found"] = pa.array([None if r else n for n, r in zip(count_N, reasons, strict=True)], pa.int32())
    columns |= {"box": lists(floats(4)), "landmarks": lists(floats(10)), "chip": lists(chips)}
    columns |= {n: lists(pa.array(rng.random(total), pa.float32())) for n in ("score", *schema.QUALITY_NAMES)}
    columns["embedding"] = lists(floats(dim))
    for name, column in columns.items():
        listing = listing.append_column(name, column)
    return base.with_seconds(base.fail(listing, reasons), "look", 2.0)


def head(source: str = "/pictures", **recipe: object) -> Head:
    """Return the head of a dataset of embeddings of ``DIM`` numbers."""
    usual = {"encoder": {"name": "tiny", "sha256": "0" * 64, "dim": DIM, "crop": "arcface-v1-112"}, "faces": "largest"}
    return Head(source=source, recipe=usual | recipe, runtime="openvino")
