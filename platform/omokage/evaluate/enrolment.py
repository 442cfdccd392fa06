"""Who is enrolled with which faces, and which faces are searched for: gallery and probes of 1:N identification.

Shape key: N faces, G of the gallery, Q probes.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError

Rule = Literal["first", "best"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EnrolmentConfig:
    """Which faces are enrolled, which searched for."""

    enrol: Rule = "first"
    """first: a person's first faces in the dataset's order; best: those of the highest quality."""
    enrol_pictures: int = 1
    """Faces a person is enrolled with, at least 1."""
    strangers: float = 0.2
    """Share of people that are not enrolled, in [0, 1): all their faces are searches that must find nobody."""
    enrol_seed: int = 0
    """Of the choice of strangers."""

    def __post_init__(self) -> None:
        """Reject what nobody could be enrolled with."""
        if self.enrol not in ("first", "best"):
            raise ConfigError(f"enrol must be first or best, got {self.enrol}")
        if self.enrol_pictures < 1:
            raise ConfigError(f"enrol_pictures must be at least 1, got {self.enrol_pictures}")
        if not 0 <= self.strangers < 1:
            raise ConfigError(f"strangers must lie in [0, 1), got {self.strangers}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrolment:
    """Rows of faces: enrolled, and searched for. No face is both."""

    gallery_G: NDArray[np.int64]
    probe_Q: NDArray[np.int64]


def enrol(label_N: Any, config: EnrolmentConfig, quality_N: Any = None) -> Enrolment:
    """Return who is enrolled by the rule, and all their other faces and all faces of strangers as probes.

    People with no more faces than are enrolled are in the gallery, where they can be mistaken for others, and are never
    searched for. Strangers are drawn among all people.

    Raises:
        ConfigError: The rule needs qualities that are not given.
        DatasetError: Qualities do not go with the faces, or nobody is left to enrol or to search for.
    """
    _, person_N = np.unique(np.asarray(label_N), return_inverse=True)
    people = int(person_N.max(initial=-1)) + 1
    worth_N = np.zeros(len(person_N))
    if config.enrol == "best":
        if quality_N is None:
            raise ConfigError("enrol best needs the quality of every face, and these have none: enrol first")
        worth_N = np.nan_to_num(np.asarray(quality_N, np.float64), nan=-np.inf)
        if worth_N.shape != person_N.shape:
            raise DatasetError(f"{worth_N.shape} qualities do not go with {len(person_N)} faces")
    order_N = np.lexsort((np.arange(len(person_N)), -worth_N, person_N))
    size_P = np.bincount(person_N, minlength=people)
    place_N = np.empty(len(person_N), np.int64)
    place_N[order_N] = np.arange(len(person_N)) - np.repeat(np.cumsum(size_P) - size_P, size_P)
    strange_P = np.zeros(people, bool)
    rng = np.random.default_rng(config.enrol_seed)
    strange_P[rng.permutation(people)[: round(people * config.strangers)]] = True
    enrolled_N = (place_N < config.enrol_pictures) & ~strange_P[person_N]
    if enrolled_N.all() or not enrolled_N.any():
        raise DatasetError(
            f"of {len(person_N):,} faces of {people:,} people {int(enrolled_N.sum()):,} would be enrolled: "
            "a search needs enrolled people and other faces to search for"
        )
    return Enrolment(gallery_G=np.flatnonzero(enrolled_N), probe_Q=np.flatnonzero(~enrolled_N))


def given(gallery_G: Any, probe_Q: Any) -> Enrolment:
    """Return an enrolment that somebody else chose.

    Raises:
        DatasetError: A face is in both, or one of them is empty.
    """
    gallery_G, probe_Q = np.unique(np.asarray(gallery_G, np.int64)), np.unique(np.asarray(probe_Q, np.int64))
    both = np.intersect1d(gallery_G, probe_Q)
    if len(both):
        raise DatasetError(f"{len(both):,} faces are both enrolled and searched for, row {both[0]} for one")
    if not len(gallery_G) or not len(probe_Q):
        raise DatasetError(f"{len(gallery_G):,} faces are enrolled and {len(probe_Q):,} searched for")
    return Enrolment(gallery_G=gallery_G, probe_Q=probe_Q)


def repeated(content_N: Any, enrolment: Enrolment) -> NDArray[np.int64]:
    """Return which probes' picture is enrolled, too, by a hash of the pictures' bytes: rows of faces.

    A search that finds the very file it was made with says nothing about the model.
    """
    content_N = np.asarray(content_N)
    again_Q = np.isin(content_N[enrolment.probe_Q], content_N[enrolment.gallery_G])
    return enrolment.probe_Q[again_Q]
