"""What an evaluation is about to do, and what it will cost on this machine."""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from omokage.assess.evaluate_config import EvaluateConfig
from omokage.assess.subject import Subject
from omokage.card.cost import spell
from omokage.evaluate import pairs
from omokage.index.cores import cores

SAMPLE: Final = 1024
"""Faces that each core compares with as many others to learn how quick this machine is."""

COST: Final = {"people": 1.4}
"""Of a pair in some parts of the work, against counting it."""

OTHERWISE: Final = 2.0
"""Seconds of drawing people anew, of plots and of the page, about."""

HELD: Final = 900 << 20
"""Bytes beside the vectors, about: most of it programs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatePlan:
    """What will be compared."""

    faces: int
    people: int
    failed: int
    pairs: dict[str, int]
    """That are compared, by part of the work."""
    seconds: float
    """Estimate, from a rate measured now."""
    memory: int
    """Bytes, at most about."""

    def text(self) -> str:
        """Return the plan for a person."""
        failed = f" and {self.failed:,} pictures without a face" if self.failed else ""
        return (
            f"Plan: {self.faces:,} faces of {self.people:,} people{failed}, {sum(self.pairs.values()):,} comparisons; "
            f"about {spell(self.seconds)}, {self.memory / 1e9:.1f} GB of memory"
        )


def planned(subject: Subject, config: EvaluateConfig, more: int = 0, threads: int | None = None) -> EvaluatePlan:
    """Return what an evaluation will compare, and how long that takes here.

    Args:
        subject: The faces.
        config: What is compared.
        more: How often all pairs are looked at beside.
        threads: To work on; all cores by default.
    """
    faces, dim = subject.vector_NE.shape
    parts = comparisons(subject, config)
    if more:
        parts["examples"] = more * (faces * (faces - 1) // 2)
    rate = _rate(dim) * (threads or cores())
    seconds = sum(count * COST.get(part, 1.0) for part, count in parts.items()) / rate
    return EvaluatePlan(
        faces=faces,
        people=subject.named,
        failed=len(subject.failed_label_F),
        pairs=parts,
        seconds=seconds + OTHERWISE,
        memory=HELD + 3 * subject.vector_NE.nbytes,  # as they are, sorted by person, and those searched for
    )


def comparisons(subject: Subject, config: EvaluateConfig) -> dict[str, int]:
    """Return how many pairs each part of the work compares, about."""
    faces = len(subject.label_N)
    every = faces * (faces - 1) // 2
    within = every // config.folds  # pairs of faces in one fold
    parts = {"pairs": every, "folds": within, "people": every + within}
    if config.pairs_file is not None:
        parts = {}
    if config.identify:
        enrolled = min(faces, subject.named * config.enrolment.enrol_pictures)
        parts["searches"] = enrolled * (faces - enrolled)
    return parts


def _rate(dim: int) -> float:
    """Return how many pairs a second one core of this machine counts."""
    rng = np.random.default_rng(0)
    vector_NE = rng.standard_normal((SAMPLE, dim), np.float32)
    vector_NE /= np.linalg.norm(vector_NE, axis=1, keepdims=True)
    person_N = np.arange(SAMPLE) // 2
    faces = pairs.Faces(vector_NE, person_N, np.arange(SAMPLE))
    began = time.perf_counter()
    pairs.count(faces, np.zeros(pairs.BINS, bool), 1)
    return faces.pairs / (time.perf_counter() - began)
