"""Find what is wrong in a dataset: one person in two folders, one shot several times, strangers, leaks."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow.compute as pc

from omokage import schema
from omokage.curate.calibrate import Calibration
from omokage.curate.found import Collided, FindReport, Plan
from omokage.curate.histogram import plot
from omokage.curate.matches import Matches
from omokage.curate.outliers import OutlierConfig, outliers
from omokage.curate.same_face import SameFaceConfig, same_face
from omokage.errors import DatasetError
from omokage.flows import collisions, leaks
from omokage.flows.centres import Told
from omokage.flows.collisions import Found, JoinSettings
from omokage.flows.find_config import FindConfig
from omokage.flows.find_run import Ahead, Run
from omokage.flows.findings import write_csv
from omokage.flows.index import guest, same_origin
from omokage.index.threads import Start, aside
from omokage.progress import OnProgress, quietly
from omokage.report import tally
from omokage.source import resolver
from omokage.store import Dataset
from omokage.system import keep_memory


def find(
    dataset: str,
    config: FindConfig,
    on_progress: OnProgress = quietly,
    on_plan: Callable[[Plan], None] | None = None,
) -> FindReport:
    """Return the report of what is wrong in a dataset, after writing it to its folder ``findings``.

    Raises:
        OmokageError: A setting or a dataset is wrong, or the work could not go on; finished parts are kept.
    """
    keep_memory()
    data = Dataset.open(dataset)
    other = Dataset.open(config.against) if config.against and "leaks" in config.kinds else None
    if other is not None:
        same_origin(data, other)
    if not any(shard.faces for shard in data.head.shards):
        raise DatasetError(f"{data.folder.url} has no faces: run omokage ingest first")
    with data.locked():
        run = Run(data, other, config, on_progress)
        if on_plan:
            on_plan(run.plan)
        return _report(run, _found(run, other))


def _found(run: Run, other: Dataset | None) -> dict[str, Any]:
    """Return all that was asked for, by its name in the report."""
    kinds, found, calibration = run.config.kinds, dict[str, Any](), None
    if "collisions" in kinds:
        with aside() as start:
            ahead = Ahead(start, run.roomy, run.config.fmr)
            run.open(Told(run.on_progress, ahead.calibrate))
            ahead.look(run.gallery)
            calibration = run.calibration(ahead)
            with run.timed("collisions"):
                found["collisions"] = _collisions(run, calibration, ahead, start)
    else:
        run.open(Told(run.on_progress))
        calibration = run.calibration() if "leaks" in kinds else None
    if other is not None:
        with run.timed("leaks"):
            found["leaks"], found["leak_kinds"] = _leaks(run, other, calibration)
    if "same-face" in kinds:
        with run.timed("same-face"):
            found["same_face"] = _same_face(run)
    if "outliers" in kinds:
        with run.timed("outliers"):
            found["outliers"], found["mixed"] = _outliers(run)
    return found


def _report(run: Run, found: dict[str, Any]) -> FindReport:
    """Return the report, written."""
    report = FindReport(
        dataset=run.data.folder.url,
        source=run.data.head.source,
        plan=run.plan,
        nobody=run.nobody,
        unusable=run.index.unusable,
        added=run.index.added,
        against=run.config.against,
        encoder=run.data.head.recipe["encoder"],
        seconds={name: round(seconds, 3) for name, seconds in run.seconds.items()},
        warnings=tuple(run.notes()),
        **found,
        files=tuple(run.findings.files),
    )
    run.findings.data("report.json", report.json().encode())
    return report


def _collisions(run: Run, calibration: Calibration | None, ahead: Ahead, start: Start) -> Collided | None:
    """Return what was found, written; ``start`` starts what goes on beside."""
    threshold = run.threshold(calibration)
    if threshold is None:
        return None
    drawn = start(partial(plot, calibration, threshold)) if calibration else None
    found = run.reached(
        lambda wanted: collisions.collisions(run.index, wanted, calibration, run.on_progress), threshold
    )
    matches = Matches(found.parts, run.gallery, threshold)
    hits = matches.hits()
    writing = start(partial(_written, run, matches))
    pairs = schema.COLLISION_PAIRS.empty_table()
    if calibration is not None:
        pairs = ahead.judge(run.gallery).pairs(hits, threshold)
    rows = writing.result()
    run.findings.table("collision_pairs", pairs)
    if drawn:
        run.findings.data("histogram.png", drawn.result())
    return run.collided(found, threshold, calibration, rows, pairs)


def _written(run: Run, matches: Matches) -> int:
    """Return how many pairs of faces were written."""
    tables = matches.tables()
    if run.config.csv:
        tables = write_csv(run.config.csv, tables, resolver(run.data.head.source))
    return run.findings.tables("collisions", schema.COLLISIONS, tables)


def _leaks(
    run: Run, dataset: Dataset, calibration: Calibration | None
) -> tuple[Collided | None, dict[str, int] | None]:
    """Return what was found of another dataset in this one, written."""
    threshold = run.threshold(calibration)
    if threshold is None:
        run.warnings.append("leaks by likeness need a threshold: give --threshold")
        threshold = 1.0
    other = guest(run.index, dataset, run.on_progress)

    def attempt(wanted: JoinSettings) -> Found | None:
        nonlocal other
        if other.head.lists != run.index.head.lists:  # the lists were made anew
            other = guest(run.index, dataset, run.on_progress)
        return leaks.pairs(run.index, other, wanted, run.on_progress)

    found = run.reached(attempt, threshold)
    kinds, people = leaks.written(run.findings, run.index, other, found, threshold, calibration)
    return run.collided(found, threshold, calibration, sum(kinds.values()), people), kinds


def _same_face(run: Run) -> dict[str, int]:
    table = same_face(run.gallery, SameFaceConfig(threshold=run.config.same_face_threshold))
    run.findings.table("same_face", table)
    drop = table.filter(pc.invert(table["keep"])).num_rows
    return {"clusters": int(pc.count_distinct(table["cluster"]).as_py()), "to_drop": drop} | tally(table["kind"])


def _outliers(run: Run) -> tuple[dict[str, int], int]:
    strange, several = outliers(run.gallery, OutlierConfig())
    run.findings.table("outliers", strange)
    run.findings.table("mixed", several)
    return tally(strange["kind"]), int(pc.count_distinct(several["identity"]).as_py())
