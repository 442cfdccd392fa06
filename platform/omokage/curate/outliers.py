"""Faces that do not belong to their folder, and folders that are several people.

A face is judged by how near it comes to the other faces of its folder that agree, in weighed vectors (``weigh``), by
levels that the dataset itself shows (``levels``). Not by how sparse its neighbourhood is: a stranger filed into the
wrong folder has dense neighbours, his own.

- Whom its folder supports belongs there, whoever else looks alike: of a person in two folders nobody is an outlier.
- Whom it does not support belongs elsewhere if another folder clearly supports it, and is a stranger if none does.
- Of a folder in which no two faces agree nobody can say who is right: undecided, except where all but one of the
  faces clearly belong elsewhere. Of a folder with one face nothing can be said at all.
- Several unsupported faces that agree with each other are a second person, and no outliers: ``mixed``.

Shape key: N faces, P people, C candidates (faces that their folder does not support), D numbers of an embedding.
"""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.centres import Centres, centres
from omokage.curate.gallery import Gallery
from omokage.curate.levels import Levels, levels, others, share_of_strangers
from omokage.curate.lof import local_factors
from omokage.curate.mixed import Rule, mixed, split
from omokage.curate.weigh import weighed
from omokage.errors import ConfigError

SUSPICION: Final = -6.0
"""Score from which the other people are asked about a face; they cannot change the verdict on faces below."""

FACES_AT_ONCE: Final = 2048
CENTRES_AT_ONCE: Final = 8192
"""Of the products of candidates with all centres: 64 MiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutlierConfig:
    """How sure a finding must be."""

    certainty: float = 0.5
    """Probability of being a stranger's, above which a face is reported; in (0, 1)."""
    part: float = 0.25
    """Share of a folder above which faces that agree are a second person, not outliers; in (0, 1)."""
    neighbours: int = 20
    """Of the local outlier factor; half of a person's faces where those are fewer. At least 2."""

    def __post_init__(self) -> None:
        for key in ("certainty", "part"):
            if not 0 < getattr(self, key) < 1:
                raise ConfigError(f"outliers: {key} must lie in (0, 1), got {getattr(self, key)}")
        if self.neighbours < 2:
            raise ConfigError(f"outliers: neighbours must be at least 2, got {self.neighbours}")


@dataclass(frozen=True)
class _Suspects:
    """Faces that their folder hardly supports, sorted by person and face_id."""

    row_C: NDArray[np.int64]
    score_C: NDArray[np.float64]
    """Logarithm of the odds that the face does not belong to its folder."""
    other_C: NDArray[np.float32]
    """Similarity to the nearest other person; nan where there is none."""
    label_C: NDArray[np.int64]
    """Who that is."""
    elsewhere_C: NDArray[np.bool_]
    """Whether that person supports the face."""

    def take(self, chosen_C: NDArray[Any]) -> "_Suspects":
        """Return some of them."""
        return _Suspects(*(getattr(self, field.name)[chosen_C] for field in fields(self)))


def outliers(gallery: Gallery, config: OutlierConfig) -> tuple[pa.Table, pa.Table]:
    """Return the faces that do not belong to their identity, and the identities that are several people.

    The similarities in both are those of weighed vectors. A face is in one of the tables at most.

    Returns:
        Rows of ``schema.OUTLIERS``, the surest first, and of ``schema.MIXED``, by identity and part.
    """
    space = weighed(gallery)
    known = centres(space)
    level = levels(space, known)
    evidence_N = _evidence(space, known, level)
    share = share_of_strangers(evidence_N[np.isfinite(evidence_N)])
    prior = float(np.log(share / (1 - share)))
    cut = float(np.log(config.certainty / (1 - config.certainty)))
    part_N = split(space, known, evidence_N + prior > cut, level, Rule(config.part, cut - prior))
    evidence_N = _evidence(space, known, level)
    of_several_N = np.isin(space.label_N, space.label_N[part_N > 0])
    evidence_N[of_several_N & (part_N >= 0)] = -np.inf
    suspects = _suspects(space, known, level, evidence_N + prior)
    suspects = suspects.take(suspects.score_C > cut)
    # Where so few agree, they must do so beyond doubt before others are called strangers.
    core_N = known.kept_N & (evidence_N < 0)
    core_N[suspects.row_C] = False
    kind_C = _kinds(space, suspects, core_N)
    return _table(space, known, suspects, kind_C, config), mixed(space, part_N)


def _evidence(gallery: Gallery, known: Centres, level: Levels) -> NDArray[np.float64]:
    """Return the evidence that each face is a stranger's in its folder; -inf for faces that are alone, or nobody's."""
    others_N = others(gallery, known)
    able_N = (others_N > 0) & ~np.isnan(known.own_N)
    evidence_N = np.full(len(able_N), -np.inf)
    evidence_N[able_N] = level.evidence(known.own_N[able_N], others_N[able_N])
    return evidence_N


def _suspects(gallery: Gallery, known: Centres, level: Levels, score_N: NDArray[np.float64]) -> _Suspects:
    """Return the faces whose folder hardly supports them, the likelier strangers if another one does.

    Not if that other one shows the same person: then it tells nothing against the face's own folder.
    """
    row_C = gallery.order[score_N[gallery.order] > SUSPICION]
    own_C = gallery.label_N[row_C]
    other_C, label_C = _nearest_others(gallery, known.robust_PD, row_C)
    made_of = np.bincount(gallery.label_N[known.kept_N], minlength=len(gallery.names)).clip(1)
    # Any of so many people would have done: that one of them looks alike by chance is so much likelier.
    chance = float(np.log(max(1, int(np.count_nonzero(gallery.sizes)) - 1)))
    there_C = np.isfinite(other_C)
    found_C = np.where(there_C, -level.evidence(np.where(there_C, other_C, 0), made_of[label_C]) - chance, -np.inf)
    alike_C = np.vecdot(known.robust_PD[own_C], known.robust_PD[label_C])
    apart_C = level.apart(alike_C, made_of[own_C], made_of[label_C])
    score_C = score_N[row_C] + np.where(apart_C, np.logaddexp(0, found_C), 0)
    return _Suspects(row_C, score_C, np.where(there_C, other_C, np.nan), label_C, found_C > 0)


def _nearest_others(
    gallery: Gallery, centre_PD: NDArray[np.float32], row_C: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the similarity of faces to the nearest centre of another person, -inf without one, and whose it is.

    The exact product with all centres, in blocks.
    """
    other_C, label_C = np.full(len(row_C), -np.inf, np.float32), np.zeros(len(row_C), np.int64)
    empty = np.flatnonzero(gallery.sizes == 0)
    for start in range(0, len(row_C), FACES_AT_ONCE):
        span = slice(start, min(start + FACES_AT_ONCE, len(row_C)))
        x_BD, own_B = gallery.vectors[row_C[span]], gallery.label_N[row_C[span]]
        for first in range(0, len(gallery.names), CENTRES_AT_ONCE):
            near_BP = x_BD @ centre_PD[first : first + CENTRES_AT_ONCE].T
            end = first + near_BP.shape[1]
            near_BP[:, empty[(empty >= first) & (empty < end)] - first] = -np.inf
            here_B = np.flatnonzero((own_B >= first) & (own_B < end))
            near_BP[here_B, own_B[here_B] - first] = -np.inf
            best_B = near_BP.argmax(axis=1)
            value_B = near_BP[np.arange(len(best_B)), best_B]
            better_B = value_B > other_C[span]
            label_C[span] = np.where(better_B, first + best_B, label_C[span])
            other_C[span] = np.where(better_B, value_B, other_C[span])
    return other_C, label_C


def _kinds(gallery: Gallery, suspects: _Suspects, core_N: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Return the kind of each suspect; empty for one who is left alone in its folder when all others have gone."""
    people = len(gallery.names)
    core_P = np.bincount(gallery.label_N[core_N], minlength=people)
    own_C = gallery.label_N[suspects.row_C]
    staying_P = gallery.sizes - np.bincount(own_C[suspects.elsewhere_C], minlength=people)
    kind_C = np.where(suspects.elsewhere_C, "belongs_elsewhere", "stranger")
    headless_C = core_P[own_C] < 2
    kind_C[headless_C & ~suspects.elsewhere_C] = "undecided"
    kind_C[headless_C & (staying_P[own_C] == 0)] = "undecided"
    kind_C[headless_C & (staying_P[own_C] == 1) & ~suspects.elsewhere_C] = ""
    return kind_C


def _table(
    gallery: Gallery, known: Centres, suspects: _Suspects, kind_C: NDArray[np.str_], config: OutlierConfig
) -> pa.Table:
    # Rows come sorted by person and face_id; a stable sort leaves ties so.
    told = np.argsort(-suspects.score_C, kind="stable")
    told = told[kind_C[told] != ""]
    kind_C, suspects = kind_C[told], suspects.take(told)
    row_C, other_C = suspects.row_C, suspects.other_C
    faces = gallery.faces.select(["face_id", "uri", "identity"]).take(pa.array(row_C))
    names = [gallery.names[label] for label in suspects.label_C.tolist()]
    none_C = np.isnan(other_C)
    reasons = {
        "belongs_elsewhere": "unlike the rest of its folder ({own:.2f}), like {name} ({other:.2f})",
        "stranger": "unlike the rest of its folder ({own:.2f}), and like no other person ({other:.2f})",
        "undecided": "no two faces of the folder agree ({own:.2f}), so nobody can say which one is wrong",
    }
    own_C = known.own_N[row_C]
    columns = {
        "face_id": faces["face_id"],
        "uri": faces["uri"],
        "identity": faces["identity"],
        "kind": pa.array(kind_C.tolist(), pa.string()),
        "score": pa.array(suspects.score_C.astype(np.float32)),
        "own": pa.array(own_C),
        "other": pa.array(other_C, mask=none_C),
        "other_identity": pa.array(names, pa.string(), mask=none_C),
        "lof": local_factors(gallery, row_C, config.neighbours),
        "reason": pa.array(
            [
                reasons[kind].format(own=own, other=other, name=name)
                for kind, own, other, name in zip(kind_C.tolist(), own_C, other_C, names, strict=True)
            ],
            pa.string(),
        ),
    }
    return pa.table(columns, schema=schema.OUTLIERS)
