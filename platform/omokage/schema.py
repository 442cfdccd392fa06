"""The columns of every table: names, types, units. The only place that spells them.

In the pipeline a row is a picture, and what belongs to its faces stands in list columns of equal lengths
(``box``, ``chip``, ``embedding``, …). So no stage ever changes the number of rows, and a picture is never
torn apart between two files. On disk a dataset has two kinds of rows: pictures (``MANIFEST``) and faces
(``face(dim)``).
"""

from typing import Final, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage.errors import DatasetError

Status = Literal["ok", "no_face", "failed"]

Reason = Literal[
    # no_face
    "none_found",  # the detector saw no face
    "too_small",  # every face was below the minimum side
    # failed: the place
    "broken_link",
    "link_loop",
    "unreadable_folder",
    "unreadable",  # missing or not permitted when it was opened; tried again at the next run
    # failed: the file
    "empty",
    "not_a_picture",
    "truncated",
    "undecodable",
    "too_many_pixels",
    # failed: the work
    "several_faces",  # with --faces one
    "crashed",  # it ended the native code twice
    "not_aligned",  # landmarks that no chip can be cut by
    "not_encoded",  # the encoder gave no usable vector
]

REASONS: Final = get_args(Reason)

NO_FACE: Final = frozenset({"none_found", "too_small"})

RETRIED: Final = frozenset({"unreadable", "too_many_pixels"})
"""Reasons that may be gone although the picture did not change, so that the next run tries again."""

LISTED: Final = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),  # relative to the source where it lies below it: source.py
        pa.field("identity", pa.string()),  # null: nobody's
        pa.field("size", pa.int64()),  # bytes; null where the listing cannot say
        pa.field("stamp", pa.string()),  # changes when the content changes: mtime in ns, or an ETag
        pa.field("reason", pa.string()),  # set where listing already failed
    ]
)

READ: Final = pa.schema(
    [
        pa.field("data", pa.large_binary()),  # the file, as it is
        pa.field("sha256", pa.string()),
        pa.field("read_at", pa.float64()),  # seconds since 1970
    ]
)

INSPECTED: Final = pa.schema(
    [
        pa.field("format", pa.string()),  # JPEG, PNG, …, by content
        pa.field("width", pa.int32()),  # px, before orientation is applied
        pa.field("height", pa.int32()),
    ]
)

PIXELS: Final = pa.schema(
    [
        pa.field("pixels", pa.large_binary()),  # RGB, rows from the top
        pa.field("shape", pa.list_(pa.int32(), 2)),  # height, width after orientation
    ]
)

BOX: Final = pa.list_(pa.float32(), 4)  # x0 y0 x1 y1, source px
LANDMARKS: Final = pa.list_(
    pa.float32(), 10
)  # x y of left eye, right eye, nose, left and right mouth corner, source px

DETECTED: Final = pa.schema(
    [
        pa.field("found", pa.int32()),  # faces that the detector saw
        pa.field("box", pa.list_(BOX)),
        pa.field("landmarks", pa.list_(LANDMARKS)),
        pa.field("score", pa.list_(pa.float32())),  # [0, 1]
    ]
)

ALIGNED: Final = pa.schema(
    [
        pa.field("chip", pa.list_(pa.binary())),  # JPEG
        pa.field("crop", pa.list_(pa.binary())),  # the encoder's input: RGB, uint8
    ]
)

QUALITY_NAMES: Final = ("side", "sharpness", "exposure", "yaw", "pitch", "roll")
"""Units and ranges: ``vision/quality.py`` and ``vision/pose.py``; angles in degrees, side in px."""

MEASURED: Final = pa.schema([pa.field(name, pa.list_(pa.float32())) for name in QUALITY_NAMES])

LOOKED: Final = pa.unify_schemas([INSPECTED, DETECTED, ALIGNED, MEASURED])
"""What is known of a picture when its bytes are no longer needed."""

MANIFEST: Final = pa.schema(
    [
        *[LISTED.field(name) for name in ("uri", "identity", "size", "stamp")],
        READ.field("sha256"),
        *INSPECTED,
        pa.field("status", pa.string(), nullable=False),  # Status
        pa.field("reason", pa.string()),  # Reason; null when ok
        pa.field("found", pa.int32()),  # faces seen
        pa.field("kept", pa.int32()),  # faces stored
    ]
)

SHARD: Final = pa.field("shard", pa.string())  # where a picture's faces are; null where it was never opened


def embedding(dim: int) -> pa.DataType:
    """Return the type of one embedding: ``dim`` floats, unit length."""
    return pa.list_(pa.float32(), dim)


def face(dim: int) -> pa.Schema:
    """Return the columns of a stored face."""
    return pa.schema(
        [
            pa.field("face_id", pa.string(), nullable=False),
            pa.field("uri", pa.string(), nullable=False),
            pa.field("sha256", pa.string(), nullable=False),
            pa.field("identity", pa.string()),
            pa.field("box", BOX, nullable=False),
            pa.field("landmarks", LANDMARKS, nullable=False),
            pa.field("score", pa.float32(), nullable=False),
            *[pa.field(name, pa.float32(), nullable=False) for name in QUALITY_NAMES],
            pa.field("chip", pa.binary(), nullable=False),
            pa.field("embedding", embedding(dim), nullable=False),
        ]
    )


def require(table: pa.Table, columns: pa.Schema, who: str) -> None:
    """Check that ``table`` has ``columns``, with their types.

    Raises:
        DatasetError: One is missing or has another type.
    """
    for field in columns:
        if field.name not in table.column_names:
            raise DatasetError(f"{who} needs the column {field.name!r}; there are {table.column_names}")
        if table.schema.field(field.name).type != field.type:
            found = table.schema.field(field.name).type
            raise DatasetError(f"{who} needs {field.name!r} as {field.type}, and it is {found}")


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; without a copy where it has one chunk."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def flat(column: pa.ChunkedArray) -> pa.Array:
    """Return the faces' values of a list column as one array, in order."""
    return whole(column).flatten()


def vectors(array: pa.Array, width: int) -> NDArray[np.float32]:
    """Return an array of fixed-size lists as floats of shape (N, ``width``), without a copy where possible."""
    values: NDArray[np.float32] = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return values


def fixed(values_NW: NDArray[np.float32]) -> pa.FixedSizeListArray:
    """Return floats of shape (N, W) as an array of N lists of W."""
    flat_values = pa.array(np.ascontiguousarray(values_NW, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat_values, values_NW.shape[1])


def counts(table: pa.Table) -> NDArray[np.int64]:
    """Return how many faces each row of a pipeline table has; rows that failed have none."""
    lengths = table["box"].combine_chunks().value_lengths() if table.num_rows else pa.array([], pa.int32())
    result: NDArray[np.int64] = lengths.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return result


def per_picture(values: pa.Array, count_N: NDArray[np.int64], valid_N: NDArray[np.bool_] | None = None) -> pa.ListArray:
    """Return the faces' ``values`` as one list a picture, of the lengths ``count_N``; null where not ``valid_N``."""
    offsets = np.zeros(len(count_N) + 1, np.int32)
    np.cumsum(count_N, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=None if valid_N is None else pa.array(~valid_N))


def _columns(*parts: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in parts])


COLLISIONS: Final = _columns(
    ("face_a", pa.string()),
    ("face_b", pa.string()),
    ("uri_a", pa.string()),
    ("uri_b", pa.string()),
    ("identity_a", pa.string()),  # of two people the one whose name comes first
    ("identity_b", pa.string()),
    ("similarity", pa.float32()),
)
"""Two faces of different identities that look like one person."""

COLLISION_PAIRS: Final = _columns(
    ("rank", pa.int64()),  # 1: the strongest evidence
    ("identity_a", pa.string()),
    ("identity_b", pa.string()),
    ("verdict", pa.string()),  # Verdict
    ("score", pa.float32()),  # what ranks; where the cut lies: curate/collisions.py
    ("group", pa.int64()),  # number of the people who are all proposed to be one; null alone
    ("faces_a", pa.int64()),  # that the identity has
    ("faces_b", pa.int64()),
    ("hits", pa.int64()),  # pairs of faces at or above the threshold
    ("hit_faces_a", pa.int64()),  # distinct faces that take part in hits
    ("hit_faces_b", pa.int64()),
    ("share", pa.float32()),  # hits among all cross pairs, [0, 1]
    ("best", pa.float32()),  # similarity
    ("mean", pa.float32()),  # similarity, over the hits
    ("cross", pa.float32()),  # mean similarity of all cross pairs
    ("within_a", pa.float32()),  # mean similarity within the identity; null with one face
    ("within_b", pa.float32()),
    ("reason", pa.string()),
)
"""Two identities with evidence that they are one person."""

Verdict = Literal["same_person", "stray_face", "unclear"]

SAME_FACE: Final = _columns(
    ("cluster", pa.int64()),
    ("face_id", pa.string()),
    ("uri", pa.string()),
    ("identity", pa.string()),
    ("kind", pa.string()),  # SameFace: what it is to the face that is kept
    ("keep", pa.bool_()),
    ("similarity", pa.float32()),  # to the face that is kept
    ("pixels", pa.float32()),  # likeness of the chips to the face that is kept, [-1, 1]; null where there is no chip
    ("reason", pa.string()),
)
"""Faces of one identity that are near-duplicates, by cluster."""

SameFace = Literal["best", "same_file", "same_shot", "other_shot", "unknown"]

OUTLIERS: Final = _columns(
    ("face_id", pa.string()),
    ("uri", pa.string()),
    ("identity", pa.string()),
    ("kind", pa.string()),  # Outlier
    ("score", pa.float32()),  # logarithm of the odds that it does not belong; what ranks
    ("own", pa.float32()),  # similarity to the rest of its identity, of weighed vectors (curate/weigh.py)
    ("other", pa.float32()),  # similarity to the nearest other identity, likewise
    ("other_identity", pa.string()),
    ("lof", pa.float32()),  # local outlier factor within the identity; null with too few faces
    ("reason", pa.string()),
)
"""Faces that do not belong to their identity."""

Outlier = Literal["belongs_elsewhere", "stranger", "undecided"]

MIXED: Final = _columns(
    ("identity", pa.string()),
    ("part", pa.int64()),  # 1: the biggest
    ("face_id", pa.string()),
    ("uri", pa.string()),
    ("between", pa.float32()),  # mean similarity of the part to the other parts, of weighed vectors
    ("within", pa.float32()),  # mean similarity within the part
)
"""Identities that are really several people, with the faces of each."""

LEAKS: Final = _columns(
    ("face_a", pa.string()),  # in the dataset
    ("face_b", pa.string()),  # in the other one
    ("uri_a", pa.string()),
    ("uri_b", pa.string()),
    ("identity_a", pa.string()),
    ("identity_b", pa.string()),
    ("kind", pa.string()),  # Leak
    ("similarity", pa.float32()),
)
"""Faces of another dataset that occur in this one. ``COLLISION_PAIRS`` is also the form of leaking people."""

Leak = Literal["same_file", "same_person"]

LEDGER: Final = _columns(
    ("number", pa.int64()),  # of the line, from 1
    ("at", pa.string()),  # ISO 8601, UTC
    ("who", pa.string()),
    ("by", pa.string()),  # By
    ("do", pa.string()),  # Do
    ("faces", pa.list_(pa.string())),  # keep, drop_face, drop_duplicate, relabel, split: whom it is about
    ("person", pa.string()),  # merge, different, split
    ("into", pa.string()),  # merge, different: the other person; relabel, split: the new one
    ("undoes", pa.int64()),  # undo: number of the line
    ("finding", pa.string()),  # id of what led to it: curate/proposals.py
    ("why", pa.string()),
)
"""Decisions, in the order in which they were taken. Columns that a decision does not need are null."""

Do = Literal["keep", "drop_face", "drop_duplicate", "relabel", "merge", "split", "different", "undo"]

By = Literal["person", "rule"]

VERSION: Final = _columns(
    ("face_id", pa.string()),
    ("uri", pa.string()),
    ("sha256", pa.string()),
    ("was", pa.string()),  # identity that the source gives; null for nobody
    ("identity", pa.string()),  # identity after all decisions
    ("status", pa.string()),  # FaceStatus
    ("line", pa.int64()),  # number of the last decision that touched it; null where none did
    ("reason", pa.string()),  # Do of that decision; null where none did
)
"""Every face of a dataset after its decisions, sorted by face_id."""

FaceStatus = Literal["kept", "dropped", "duplicate"]

SPLIT: Final = _columns(
    ("face_id", pa.string()),
    ("identity", pa.string()),
    ("part", pa.string()),  # Part
)
"""Faces that train a model or judge it, sorted by face_id."""

Part = Literal["train", "val", "test"]
