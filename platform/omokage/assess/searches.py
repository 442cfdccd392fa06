"""1:N identification in a dataset: who is enrolled, who is searched for, and what the searches find.

Shape key: N faces, G faces of the gallery, Q probes, F pictures that failed.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.assess import face_lists
from omokage.assess.evaluate_config import EvaluateConfig
from omokage.assess.searched import searched
from omokage.assess.subject import Subject
from omokage.errors import ConfigError
from omokage.evaluate.enrolment import Enrolment, enrol, given, repeated
from omokage.evaluate.identification import Identification, drawn
from omokage.evaluate.search import Gallery, Searches

Ints = NDArray[np.int64]

STEP: Final = 10
"""Times as many people are in each gallery as in the one before."""


@dataclass(frozen=True, kw_only=True)
class Identified:
    """What was found in galleries of several sizes, the smallest first."""

    found: tuple[Identification, ...]
    """Pictures that failed are misses."""
    without: tuple[Identification, ...]
    """Without them; empty where there are none."""
    searched: str
    """How the galleries were searched, in words; what was lost where not all was compared."""
    draws: dict[int, dict[str, NDArray[np.float64]]]
    """Of ``found``, by size of gallery and name of the figure."""
    digest: str
    """Equal where the same faces are enrolled and searched for, and the same pictures failed."""
    remarks: tuple[str, ...]


def identified(subject: Subject, config: EvaluateConfig, threads: int | None = None) -> Identified:
    """Return what searches find.

    Raises:
        ConfigError: A size of a gallery, or ``within``, is more than there are people.
        DatasetError: Nobody can be enrolled or searched for, or a list names faces that are not there.
    """
    chosen = enrolled(subject, config)
    vector_NE, label_N = subject.vector_NE, subject.label_N
    gallery_G, probe_Q = chosen.gallery_G, chosen.probe_Q
    seed = config.enrolment.enrol_seed
    gallery = Gallery(vector_NE[gallery_G], label_N[gallery_G], templates=config.templates, seed=seed)
    sizes = sizes_of(len(gallery), config.sizes)
    through = searched(gallery, vector_NE[probe_Q], label_N[probe_Q], sizes, config.search, threads)
    missed_F = _missed(subject, config)
    told, without, draws = [], [], {}
    for each in through.searches:
        # a smaller gallery may have fewer ranks than are looked at
        within = config.within if each.size == len(gallery) else min(config.within, each.size)
        failed_F = _failed(missed_F, gallery, each, label_N[probe_Q])
        with_failures, draws[each.size] = _told(each, config, within, failed_F)
        told.append(with_failures)
        if len(missed_F):
            without.append(_told(each, config, within, failed_F[:0])[0])
    return Identified(
        found=tuple(told),
        without=tuple(without),
        searched=through.text(),
        draws=draws,
        digest=_digest(subject, chosen, config),
        remarks=tuple(_remarks(subject, chosen)),
    )


def enrolled(subject: Subject, config: EvaluateConfig) -> Enrolment:
    """Return which faces are enrolled, and which searched for.

    Raises:
        DatasetError: Nobody can be, or a list names faces that are not there.
    """
    if config.gallery is None:
        return enrol(subject.label_N, config.enrolment, subject.quality_N)
    gallery_G = face_lists.rows(subject, config.gallery, "gallery")
    if config.probes is not None:
        return given(gallery_G, face_lists.rows(subject, config.probes, "list of probes"))
    return given(gallery_G, np.setdiff1d(np.arange(len(subject.label_N)), gallery_G))


def sizes_of(people: int, asked: tuple[int, ...]) -> list[int]:
    """Return sizes of galleries smaller than the whole: as asked, or each ten times the one before.

    Raises:
        ConfigError: More people are asked for than are enrolled.
    """
    if asked:
        if max(asked) > people:
            raise ConfigError(f"sizes must be {people:,} at most, as many people as are enrolled; got {max(asked):,}")
        return sorted(asked)
    sizes, size = [], STEP
    while size < people:
        sizes.append(size)
        size *= STEP
    return sizes


def _told(
    found: Searches, config: EvaluateConfig, within: int, failed_F: Ints
) -> tuple[Identification, dict[str, NDArray[np.float64]]]:
    return drawn(found, config.fpirs, within=within, failed_person_F=failed_F, bootstrap=config.bootstrap)


def _digest(subject: Subject, chosen: Enrolment, config: EvaluateConfig) -> str:
    ids = subject.faces["face_id"].to_numpy()
    sides = [ids[row_X].tolist() for row_X in (chosen.gallery_G, chosen.probe_Q)]
    told = [*sides, subject.failed_uri_F, config.enrolment.enrol_seed, config.within, config.templates]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _missed(subject: Subject, config: EvaluateConfig) -> Ints:
    """Return whose the pictures are that would have been searched for had they given a face."""
    if config.probes is None:
        return subject.failed_label_F
    return subject.failed_label_F[face_lists.failures(subject, config.probes, "list of probes")]


def _failed(missed_F: Ints, gallery: Gallery, found: Searches, label_Q: Ints) -> Ints:
    """Return whose each failed picture of somebody enrolled is, in the numbers of ``found.person_Q``."""
    mine_F = missed_F[gallery.places(missed_F) < found.size]
    name_P = np.unique(label_Q)
    at_F = np.minimum(np.searchsorted(name_P, mine_F), len(name_P) - 1)
    other_F: Ints = np.where(name_P[at_F] == mine_F, at_F, len(name_P) + mine_F)
    return other_F


def _remarks(subject: Subject, chosen: Enrolment) -> Iterator[str]:
    """Yield what a person should know of who is searched for."""
    again = len(repeated(subject.faces["sha256"].to_numpy(), chosen))
    if again:
        yield (
            f"{again:,} of {len(chosen.probe_Q):,} searches are made with a file that is enrolled, too: they find it "
            "whatever the encoder is"
        )
