"""A dataset as a gallery: its people, whom faces are searched for among, and what speaks for each of them.

A person is as alike as the most similar of their faces. All faces are compared, block by block, so that nobody is
missed; only the best are remembered. Evidence is worked out for those alone.

Shape key: G enrolled faces sorted by person, P people, Q probes, C faces of a block, E numbers of an embedding, K hits.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.decided import Decided
from omokage.errors import DatasetError
from omokage.index.unit import unit
from omokage.ledger.version import at_version

BLOCK: Final = 8192
"""Faces that are compared at once, about: people are not divided."""

HELD: Final = 2 << 30
"""Bytes of vectors that are held in memory; more lie in a file that is mapped, and gone when the command ends."""

BEST: Final = 5
"""Most similar faces of a person that the mean is told of: one lucky hit moves it little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A person who may be shown, and the evidence."""

    person: int
    """Place in ``Enrolled.names``."""
    row: int
    """Enrolled face that is the most similar."""
    similarity: float
    """Of that face."""
    faces: int
    """That the person has in the gallery."""
    above: int
    """How many of them are at or above the floor."""
    mean_of_best: float
    """Mean similarity of the ``BEST`` most similar ones, or of all if there are fewer."""


class Enrolled:
    """Kept faces of somebody, sorted by person, then by face_id."""

    def __init__(self, decided: Decided, version: str | None) -> None:
        """Read faces and their vectors.

        Raises:
            DatasetError: None of them can be searched, or they are damaged.
        """
        self.data = decided.data
        self.version = version
        there = decided.present()
        kept_V = pc.equal(there.version["status"], "kept").to_numpy()
        named_V = kept_V & there.version["identity"].is_valid().to_numpy()
        self.nobody = int((kept_V & ~named_V).sum())
        """Kept faces of nobody: whoever is like them has no name, so they are left out."""
        faces = there.version.select(["face_id", "uri", "sha256", "identity"])
        row_G = np.flatnonzero(named_V)
        row_G = row_G[pc.sort_indices(faces["identity"].take(pa.array(row_G))).to_numpy()]
        self.vector_GE, good_G = _vectors(there, row_G)
        self.unusable = int((~good_G).sum())
        """Faces whose vector is no direction; they are left out, too."""
        self.faces = faces.take(pa.array(row_G[good_G])).combine_chunks()
        """``face_id``, ``uri``, ``sha256``, ``identity``."""
        if not len(self.faces):
            raise DatasetError(
                f"{self.given} has nobody to be found in it: no face that is kept, has an identity and can be compared"
            )
        coded = schema.whole(self.faces["identity"]).dictionary_encode()
        self.names: list[str] = coded.dictionary.to_pylist()
        """Of people, sorted."""
        self.first_P = np.searchsorted(coded.indices.to_numpy(), np.arange(len(self.names) + 1))
        """Where each person's faces begin, and where the last one's end."""

    @classmethod
    def at(cls, address: str) -> "Enrolled":
        """Return the gallery of DATASET[@VERSION].

        Raises:
            DatasetError: There is no such dataset or version, or nobody in it.
        """
        return cls(*Decided.at(address))

    @property
    def given(self) -> str:
        """The gallery as it is given to a command."""
        return at_version(self.data.folder.url, self.version)

    @property
    def digest(self) -> str:
        """SHA-256 of who is enrolled with which faces."""
        told = hashlib.sha256()
        for name in ("face_id", "identity"):
            told.update("\n".join(self.faces[name].to_pylist()).encode(errors="surrogatepass"))
        return told.hexdigest()

    def candidates(
        self, vector_QE: NDArray[np.float32], top: int, floor: float = float("inf")
    ) -> Iterator[list[Candidate]]:
        """Yield, for each probe, the people who are most like it, the most similar first; of equal ones by name.

        Args:
            vector_QE: Unit vectors of the gallery's encoder. Shape (Q, E).
            top: How many people, at least 1.
            floor: Similarity from which on a face is counted in ``above``.
        """
        person_QK = self._nearest(vector_QE, min(top, len(self.names)))
        for vector_E, people in zip(vector_QE, person_QK.tolist(), strict=True):
            found = [self._candidate(vector_E, person, floor) for person in people]
            yield sorted(found, key=lambda each: (-each.similarity, each.person))

    def _nearest(self, vector_QE: NDArray[np.float32], top: int) -> NDArray[np.int64]:
        """Return the people nearest to each probe. Shape (Q, top)."""
        probe_K, person_K = np.zeros(0, np.int64), np.zeros(0, np.int64)
        score_K = np.zeros(0, np.float32)
        floor_Q = np.full(len(vector_QE), -np.inf, np.float32)
        for start, stop in self._blocks():
            first_P = self.first_P[start : stop + 1]
            score_QC = vector_QE @ self.vector_GE[first_P[0] : first_P[-1]].T
            best_QP = np.maximum.reduceat(score_QC, first_P[:-1] - first_P[0], axis=1)
            least = max(0, stop - start - top)
            floor_Q = np.maximum(floor_Q, np.partition(best_QP, least, axis=1)[:, least] if least else -np.inf)
            probe, person = np.nonzero(best_QP >= floor_Q[:, None])
            probe_K, person_K = np.concatenate([probe_K, probe]), np.concatenate([person_K, person + start])
            score_K = np.concatenate([score_K, best_QP[probe, person]])
            order_K = np.lexsort((person_K, -score_K, probe_K))
            probe_K, person_K, score_K = probe_K[order_K], person_K[order_K], score_K[order_K]
            first_Q = np.searchsorted(probe_K, np.arange(len(vector_QE)))
            rank_K = np.arange(len(probe_K)) - first_Q[probe_K]
            full = rank_K == top - 1
            floor_Q[probe_K[full]] = np.maximum(floor_Q[probe_K[full]], score_K[full])
            kept_K = rank_K < top
            probe_K, person_K, score_K = probe_K[kept_K], person_K[kept_K], score_K[kept_K]
        return person_K.reshape(len(vector_QE), top)

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of people with some ``BLOCK`` faces together, or one person who alone has more."""
        start = 0
        while start < len(self.names):
            stop = int(np.searchsorted(self.first_P, self.first_P[start] + BLOCK, side="right")) - 1
            stop = max(start + 1, stop)
            yield start, stop
            start = stop

    def _candidate(self, vector_E: NDArray[np.float32], person: int, floor: float) -> Candidate:
        start, stop = int(self.first_P[person]), int(self.first_P[person + 1])
        score_F = self.vector_GE[start:stop] @ vector_E
        row = start + int(np.argmax(score_F))
        # the last digits of a product depend on how many faces are in it; what is told must not
        similarity = float(np.clip(self.vector_GE[row].astype(np.float64) @ vector_E.astype(np.float64), -1, 1))
        return Candidate(
            person=person,
            row=row,
            similarity=similarity,
            faces=stop - start,
            above=max(int((score_F >= floor).sum()), int(similarity >= floor)),
            mean_of_best=float(np.sort(score_F)[-BEST:].mean(dtype=np.float64)),
        )


def _vectors(decided: Decided, row_G: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the usable vectors of some rows of a version, in their order, and which of the rows have one."""
    place_V = np.full(len(decided.version), -1)
    place_V[row_G] = np.arange(len(row_G))
    vector_GE = _room(len(row_G), decided.dim)
    good_G = np.zeros(len(row_G), bool)
    for table in decided.data.faces(["face_id", "embedding"]):
        row_F = decided.rows(table)
        place_F = np.where(row_F >= 0, place_V[row_F], -1) if len(row_F) else row_F
        unit_FE, usable_F = unit(schema.vectors(schema.whole(table["embedding"]), decided.dim))
        mine_F = (place_F >= 0) & usable_F
        vector_GE[place_F[mine_F]] = unit_FE[mine_F]
        good_G[place_F[mine_F]] = True
    if good_G.all():
        return vector_GE, good_G
    end = 0
    for start in range(0, len(row_G), BLOCK):  # moved up where they lie: a copy might not fit
        mine = np.flatnonzero(good_G[start : start + BLOCK]) + start
        vector_GE[end : end + len(mine)] = vector_GE[mine]
        end += len(mine)
    return vector_GE[:end], good_G


def _room(faces: int, dim: int) -> NDArray[np.float32]:
    if 4 * faces * dim <= HELD:
        return np.empty((faces, dim), np.float32)
    with tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, 4 * faces * dim)  # a full disk is told now, and kills nobody later
        return np.memmap(file, np.float32, "r+", shape=(faces, dim))
