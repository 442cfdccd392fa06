"""Leaks: faces and people of another dataset, an evaluation set say, that are in this one too."""

import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from omokage import schema
from omokage.curate import leaks as leaking
from omokage.curate.calibrate import Calibration
from omokage.curate.collisions import CollisionConfig, Judge
from omokage.curate.gallery import ranked
from omokage.curate.matches import Matches
from omokage.flows.collide import Joining, Terms, labels_key
from omokage.flows.collisions import Found, JoinSettings, chosen, matches_of, reached, sampled
from omokage.flows.findings import Findings
from omokage.flows.index import Chips, Index
from omokage.index.faces import Faces
from omokage.progress import OnProgress


def pairs(here: Index, other: Index, settings: JoinSettings, on_progress: OnProgress) -> Found | None:
    """Return the pairs of a face of one dataset and one of another, whose rows follow; None as ``collisions``.

    Raises:
        WorkError: There are too many pairs.
    """
    faces = Faces.both(here.faces, other.faces)
    side_N = np.where(np.arange(len(faces)) < len(here.faces), 0, 1).astype(np.int32)
    side_N[~np.concatenate([here.alive_N, other.alive_N])] = -1
    ids = pa.chunked_array([*here.gallery.faces["face_id"].chunks, *other.gallery.faces["face_id"].chunks])
    seen = sampled(ranked(ids), faces, here.head.coder, side_N, settings, first=len(here.faces))
    rule = chosen(seen, faces, settings)
    if rule is None:
        return None
    terms = Terms(
        segments=tuple(part.name for index in (here, other) for part in index.head.parts),
        new_from=len(here.head.parts),
        among_new=False,
        threshold=settings.threshold,
        floor=rule.floor,
        coder=here.head.coder,
        labels=labels_key(side_N),
        device=settings.device,
    )
    began = time.perf_counter()
    joining = Joining(here.work, faces, side_N, terms, settings.most)
    joining.run(settings.where, on_progress)
    parts = [(joining.folder, len(joining.units))]
    took = time.perf_counter() - began
    return Found(lambda: matches_of(here.work, parts), rule, reached(seen, faces, rule), joining.join.pairs(), took)


def written(
    findings: Findings, here: Index, other: Index, found: Found, threshold: float, calibration: Calibration | None
) -> tuple[dict[str, int], pa.Table]:
    """Return how many leaks of each kind were written, and the people who leak, ``schema.COLLISION_PAIRS``.

    Without a calibration people cannot be judged, and there are none.
    """
    count = len(here.faces)
    faces = Faces.both(here.faces, other.faces)
    pair = leaking.both(here.gallery, other.gallery, faces, Chips.of_both(here, other))
    everybody = leaking.with_nobody(pair, count, np.concatenate([here.alive_N, other.alive_N]))
    files = leaking.same_files(everybody, count)
    matches = Matches(found.parts, everybody, threshold)
    kinds = {"same_file": files.num_rows, "same_person": 0}

    def tables() -> Iterator[pa.Table]:
        yield files
        for table in leaking.same_people(matches.tables(), files):
            kinds["same_person"] += table.num_rows
            yield table

    findings.tables("leaks", schema.LEAKS, tables())
    people = schema.COLLISION_PAIRS.empty_table()
    if calibration is not None:
        hits = Matches(found.parts, pair, threshold).hits()
        people = leaking.across(Judge(pair, CollisionConfig()).pairs(hits, threshold))
    findings.table("leak_people", people)
    return kinds, people
