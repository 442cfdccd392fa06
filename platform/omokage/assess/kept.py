"""Where an evaluation is kept, what it was made of, and its tables.

Shape key: P people, T thresholds.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from omokage import __version__
from omokage.assess import face_lists
from omokage.assess.evaluate_config import EvaluateConfig
from omokage.assess.evaluation import FORMAT, Evaluation, plain
from omokage.assess.shown import ShownConfig
from omokage.assess.subject import Subject
from omokage.evaluate.people import People
from omokage.shards import parquet_bytes
from omokage.storage import Folder, plain_name

PLACE: Final = "evaluations"
"""Folder of all evaluations, below the dataset's."""

DRAWS: Final = "draws.parquet"
"""What people drawn anew gave, a column a figure."""

PEOPLE: Final = "people.parquet"
"""Every person's figures and curve."""


def key(subject: Subject, config: EvaluateConfig, shown: ShownConfig, split: str | None = None) -> str:
    """Return what is equal where an evaluation would come out the same.

    Args:
        subject: The faces.
        config: What is compared.
        shown: What the page shows.
        split: SHA-256 of the split of the training that is told of.

    Raises:
        DatasetError: A list cannot be read.
    """
    files = {"pairs file": config.pairs_file, "gallery": config.gallery, "list of probes": config.probes}
    lists = {what: face_lists.read(place, what) if place else None for what, place in files.items()}
    told: list[Any] = [
        FORMAT,
        __version__,
        subject.version,
        subject.digest,
        plain(config),
        plain(shown),
        lists,
        subject.remarks,
    ]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()


def place(data: Folder, subject: Subject, key: str) -> Folder:
    """Return the folder that an evaluation goes to where none is given."""
    parts = [str(subject.encoder.get("name") or "encoder"), subject.version or ""]
    named = [plain_name(part) for part in parts]
    return data.below(f"{PLACE}/{'-'.join([*filter(None, named), key[:8]])}")


def write_tables(folder: Folder, found: Evaluation) -> None:
    """Write the draws, and every person's curve.

    Raises:
        OSError: The disk is full, or writing is not permitted.
    """
    folder.write(DRAWS, parquet_bytes(pa.table(found.draws())))
    if found.curves is not None:
        shown = [point.fmr for point in found.verification.points if point.threshold is not None]
        folder.write(PEOPLE, parquet_bytes(people_table(found.curves, shown)))
    else:
        folder.remove(PEOPLE)


def people_table(curves: People, fmrs: Sequence[float]) -> pa.Table:
    """Return every person's figures: AUC, FNMR and FMR at each operating point, and the whole curve; a row a person.

    Args:
        curves: Labels are names.
        fmrs: What the curves' asked thresholds stand for.
    """
    rows = [curves.person(row) for row in range(len(curves.label_P))]
    columns: dict[str, pa.Array] = {
        "identity": pa.array([row.label for row in rows], pa.string()),
        "faces": pa.array([row.faces for row in rows], pa.int64()),
        "auc": pa.array([row.auc for row in rows], pa.float64()),
    }
    for at, fmr in enumerate(fmrs):
        columns[f"fnmr_at_fmr_{fmr:g}"] = pa.array([row.fnmr[at] for row in rows], pa.float64())
        columns[f"fmr_at_fmr_{fmr:g}"] = pa.array([row.fmr[at] for row in rows], pa.float64())
    many = pa.list_(pa.float64())
    columns["threshold"] = pa.array([curves.threshold_T.tolist()] * len(rows), many)
    columns["fmr"] = pa.array(curves.fmr_PT.tolist(), many)
    columns["tar"] = pa.array(curves.tar_PT.tolist(), many)
    return pa.table(columns)
