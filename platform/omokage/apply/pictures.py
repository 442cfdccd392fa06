"""What the decisions about faces mean for their pictures, which are the files that move."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

PICTURES: Final = pa.schema(
    [
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("was", pa.string()),  # identity that the source gives
        ("identity", pa.string()),  # of the faces that are kept; null for nobody, or where they are not of one mind
        ("faces", pa.int64()),
        ("kept", pa.int64()),
        ("people", pa.int64()),  # identities among the kept faces; nobody counts as one
        ("dropped", pa.bool_()),  # a face was dropped, not only found to be a duplicate
        ("line", pa.int64()),  # number of the last decision about one of the faces
        ("reason", pa.string()),  # Do of that decision
        ("face_ids", pa.list_(pa.string())),  # of the kept faces, sorted
    ]
)


def by_picture(faces: pa.Table) -> pa.Table:
    """Return one row per picture (``PICTURES``), sorted by uri, of faces (``schema.VERSION``)."""
    kept = pc.equal(faces["status"], "kept")
    nobody = pc.and_(kept, pc.is_null(faces["identity"]))
    whom = pc.if_else(kept, faces["identity"], pa.scalar(None, pa.string()))
    table = pa.table(
        {
            **{name: faces[name] for name in ("uri", "sha256", "was", "line", "reason")},
            "whom": whom,
            "kept": pc.cast(kept, pa.int64()),
            "nobody": pc.cast(nobody, pa.int64()),
            "dropped": pc.equal(faces["status"], "dropped"),
            "kept_id": pc.if_else(kept, faces["face_id"], pa.scalar(None, pa.string())),
        }
    ).sort_by([("uri", "ascending"), ("line", "ascending")])
    no_nulls = pc.CountOptions(mode="only_valid")
    found = table.group_by("uri", use_threads=False).aggregate(
        [
            *[(name, "first") for name in ("sha256", "was")],
            ("reason", "last"),
            ("line", "last"),
            ("whom", "count_distinct", no_nulls),
            ("whom", "max"),
            ("kept", "sum"),
            ("kept", "count"),
            ("nobody", "max"),
            ("dropped", "any"),
            ("kept_id", "list"),
        ]
    )
    people = pc.add(found["whom_count_distinct"], found["nobody_max"])
    one = pc.equal(people, 1)
    columns = {
        "uri": found["uri"],
        "sha256": found["sha256_first"],
        "was": found["was_first"],
        "identity": pc.if_else(one, found["whom_max"], pa.scalar(None, pa.string())),
        "faces": found["kept_count"],
        "kept": found["kept_sum"],
        "people": people,
        "dropped": found["dropped_any"],
        "line": found["line_last"],
        "reason": found["reason_last"],
        "face_ids": _sorted(found["kept_id_list"]),
    }
    return pa.table([columns[name] for name in PICTURES.names], schema=PICTURES).sort_by("uri")


def _sorted(lists: pa.ChunkedArray) -> pa.Array:
    return pa.array(
        [sorted(each for each in row if each is not None) for row in lists.to_pylist()], pa.list_(pa.string())
    )
