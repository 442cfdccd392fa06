"""Finding the pairs of faces of different people, or of two datasets, that look like one person.

A first run compares everything. Later ones, on a dataset that has grown, compare the new faces with all; what was
found before is kept with the index, with the threshold and the lists to probe that it was found by.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.curate.calibrate import Calibration
from omokage.errors import WorkError
from omokage.flows.cluster import ClusterConfig
from omokage.flows.collide import Joining, Terms, labels_key
from omokage.flows.index import Index
from omokage.flows.workspace import Workspace
from omokage.index import sample
from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.sample import Recall, Truth
from omokage.index.side import Rule
from omokage.progress import OnProgress

SAMPLED: Final = 2048
"""Faces that are searched exactly, half to choose by and half to measure."""

FIRST_LOOK: Final = 20_000_000
"""Comparisons that tell whether there are too many pairs: few enough for all of them to match."""

BYTES: Final = 120
"""That a pair takes on disk at most, in all files together."""

EXACT: Final = Rule()


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinSettings:
    """How a join is done."""

    threshold: float
    recall: float
    """To reach, in (0, 1)."""
    most: int
    """Pairs that are too many."""
    where: ClusterConfig
    device: str
    take_what_comes: bool = False
    """Whether to go on with what the lists can give where that is less than the recall."""


@dataclass(frozen=True)
class Found:
    """The matches, and by what they were found."""

    parts: Callable[[], Iterator[NDArray[np.void]]]
    rule: Rule
    recall: tuple[Recall, Recall] | None
    compared: float
    """Pairs of codes."""
    seconds: float
    """Of the join alone."""


def collisions(
    index: Index, settings: JoinSettings, calibration: Calibration | None, on_progress: OnProgress
) -> Found | None:
    """Return the pairs of faces of different people in a dataset; None if its lists cannot give the recall.

    Raises:
        WorkError: There are too many pairs.
    """
    gallery, names = index.gallery, tuple(part.name for part in index.head.parts)
    state = _usable_state(index, settings)
    seen = sampled(gallery.rank, index.faces, index.head.coder, gallery.label_N, settings)
    rule = Rule(state["floor"]) if state else chosen(seen, index.faces, settings)
    if rule is None:
        return None
    terms = Terms(
        segments=names,
        new_from=state["segments"] if state else 0,
        among_new=True,
        threshold=state["threshold"] if state else settings.threshold,
        floor=rule.floor,
        coder=index.head.coder,
        labels=labels_key(gallery.label_N),
        device=settings.device,
    )
    done: list[tuple[str, int]] = [tuple(each) for each in state["joins"]] if state else []
    compared, began = 0.0, time.perf_counter()
    if terms.new_from < len(names):
        joining = Joining(index.work, index.faces, gallery.label_N, terms, settings.most)
        joining.run(settings.where, on_progress)
        done.append((joining.folder, len(joining.units)))
        compared = joining.join.pairs()
        _remember(index, terms, calibration, settings, done)
    took = time.perf_counter() - began
    return Found(lambda: matches_of(index.work, done), rule, reached(seen, index.faces, rule), compared, took)


def remembered(index: Index, fmr: float) -> Calibration | None:
    """Return the calibration of an earlier run at this rate, if the dataset is still about the same."""
    kept = index.head.joined.get("calibration")
    if not kept or kept["fmr"] != fmr or index.head.joined["faces"] * 1.25 < len(index.faces):
        return None
    knots = [tuple(knot) for knot in kept["knots"]]
    return Calibration(**kept | {"knots": knots, "tail": tuple(kept["tail"])})


def _usable_state(index: Index, settings: JoinSettings) -> dict[str, Any] | None:
    """Return what earlier runs joined, if this one can build upon it."""
    state = index.head.joined
    known = [part.name for part in index.head.parts][: state.get("segments", 0)]
    good = (
        bool(state)
        and state["names"] == known
        and state["threshold"] <= settings.threshold
        and state["recall"] >= settings.recall
    )
    return state if good else None


def _remember(
    index: Index, terms: Terms, calibration: Calibration | None, settings: JoinSettings, joins: list[tuple[str, int]]
) -> None:
    head = index.work.head()
    assert head is not None
    state = {
        "names": list(terms.segments),
        "segments": len(terms.segments),
        "faces": len(index.faces),
        "threshold": terms.threshold,
        "recall": settings.recall,
        "floor": terms.floor,
        "joins": joins,
        "calibration": asdict(calibration) if calibration else None,
    }
    index.work.write(replace(head, joined=state))
    if index.work.folder.local:
        kept = {folder for folder, _ in joins}
        for place in (index.work.path / "pairs").glob("*"):
            if f"pairs/{place.name}" not in kept:
                shutil.rmtree(place, ignore_errors=True)


def matches_of(work: Workspace, joins: list[tuple[str, int]]) -> Iterator[NDArray[np.void]]:
    """Yield the matches that finished joins left: each a folder, and how many units it has."""
    for folder, count in joins:
        for number in range(count):
            yield work.load(f"{folder}/{number:05d}")


def sampled(
    rank_N: NDArray[np.int64],
    faces: Faces,
    coder: Coder,
    label_N: NDArray[np.int32],
    settings: JoinSettings,
    first: int = 0,
) -> Truth:
    """Return the true pairs of some faces from row ``first`` on, after a look at how many pairs there will be.

    Args:
        rank_N: Place of each face by its id.
        faces: To search among.
        coder: Of the faces.
        label_N: Their people.
        settings: How.
        first: Of the rows that may be chosen.

    Raises:
        WorkError: There are too many.
    """
    rows = np.arange(first, len(faces))
    rows = rows[label_N[rows] >= 0]
    live = len(rows)
    if live > SAMPLED:  # chosen by id, so that the choice does not hang on how the rows are stored
        by_id = rows[np.argsort(rank_N[rows])]
        rows = by_id[np.random.default_rng(0).permutation(len(by_id))[:SAMPLED]]
    for count in (max(2, FIRST_LOOK // len(faces)), SAMPLED if faces.lists > 1 else 0):
        if count:
            some = np.sort(rows[:count])
            truth = sample.search(faces, coder, some, label_N, settings.threshold)
            expected = float(truth.differ_M.sum()) / max(1, len(some)) * live / (1 if first else 2)
            _check(expected, settings)
    return truth


def _check(expected: float, settings: JoinSettings) -> None:
    if expected > settings.most:
        raise WorkError(
            f"about {expected:,.0f} pairs are at or above {settings.threshold:.4f}, some "
            f"{expected * BYTES / 1e9:,.0f} GB, and at most {settings.most:,} are wanted: "
            "take a higher --threshold, or raise --most-pairs"
        )


def chosen(seen: Truth, faces: Faces, settings: JoinSettings) -> Rule | None:
    """Return which lists to probe, by half of the sample."""
    if faces.lists == 1:
        return EXACT
    return sample.choose(seen.part(0, 2), faces, settings.recall) or (Rule() if settings.take_what_comes else None)


def reached(seen: Truth, faces: Faces, rule: Rule) -> tuple[Recall, Recall] | None:
    """Return the recall by the other half of the sample: of two people's pairs, of all; None where all is compared."""
    return None if faces.lists == 1 else sample.measure(seen.part(1, 2), faces, rule)
