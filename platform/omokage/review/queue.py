"""The findings as one queue, the most suspicious first; a finding's number is its place in it.

Everything is held as columns: a hundred thousand findings are a few megabytes.

Shape key: Q findings, S rows of a table of findings.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage.curate import proposals
from omokage.errors import DatasetError
from omokage.review.faces import NOBODY, Faces
from omokage.storage import Folder

KINDS: Final = ("people", "mixed", "outlier", "same_face", "alike")
"""What a finding is about. ``alike``: a cluster of different photos, of which find proposes to drop none."""

TIERS: Final = {
    ("people", "same_person"): 0,
    ("mixed", ""): 1,
    ("outlier", "belongs_elsewhere"): 2,
    ("people", "stray_face"): 3,
    ("outlier", "stranger"): 4,
    ("people", "unclear"): 5,
    ("same_face", ""): 6,
    ("outlier", "undecided"): 7,
    ("alike", ""): 8,
}
"""What comes first: what does the most harm when it is trained on, and within a tier what is most certain.
Scores of different finders have different scales, so they are not compared."""


@dataclass(frozen=True)
class _Part:
    """Findings of one table, in its order."""

    kind_S: NDArray[np.uint8]
    tier_S: NDArray[np.uint8]
    ids: list[str]
    a_S: NDArray[np.int32]
    b_S: NDArray[np.int32]
    rank_S: NDArray[np.float64]
    """What sorts within a tier; the biggest first."""
    shown_S: NDArray[np.float32]
    first_S: NDArray[np.int64]
    count_S: NDArray[np.int64]
    good_S: NDArray[np.bool_]


class Queue:
    """All findings of a dataset that are about faces that it has."""

    def __init__(self, folder: Folder, faces: Faces) -> None:
        """Read the findings in ``folder``.

        Raises:
            DatasetError: Find never ran, or a file of its findings is damaged.
        """
        if not proposals.there(folder, proposals.DECIDABLE):
            raise DatasetError(f"nothing was found in {folder.url} yet: run omokage find {folder.url}")
        self.pairs = proposals.read(folder, "collision_pairs").combine_chunks()
        self.outliers = proposals.read(folder, "outliers").combine_chunks()
        self.same_face = proposals.read(folder, "same_face").sort_by("cluster").combine_chunks()
        self.mixed = proposals.read(folder, "mixed").combine_chunks()
        self.mixed = self.mixed.sort_by([("identity", "ascending"), ("part", "ascending")]).combine_chunks()
        about = [self.outliers["face_id"], self.same_face["face_id"], self.mixed["face_id"]]
        rows = np.split(
            faces.rows_of(pa.chunked_array([chunk for column in about for chunk in column.chunks], pa.string())),
            np.cumsum([len(column) for column in about])[:-1],
        )
        self.outlier_row_S, self.same_face_row_S, self.mixed_row_S = rows
        parts = [self._people(faces), self._outliers(faces), self._clusters(faces), self._mixed(faces)]
        self._join(parts)
        self.same_face = self.same_face.select(["kind", "keep", "similarity", "pixels", "reason"]).combine_chunks()
        self.outliers = self.outliers.drop_columns(["uri"])
        self.mixed = self.mixed.drop_columns(["uri", "face_id"])
        pa.default_memory_pool().release_unused()

    def __len__(self) -> int:
        """Return how many findings there are."""
        return len(self.kind_Q)

    def kind(self, number: int) -> str:
        """Return what a finding is about."""
        return KINDS[int(self.kind_Q[number])]

    def id(self, number: int) -> str:
        """Return a finding's id."""
        return bytes(self._id_Q[number]).decode()

    def numbers(self, ids: list[str | None]) -> NDArray[np.int64]:
        """Return the numbers of findings with some ids; -1 for those that are not in the queue."""
        if not len(self) or not ids:
            return np.full(len(ids), -1, np.int64)
        asked = np.array([(each or "").encode(errors="replace") for each in ids], np.bytes_)
        at = np.minimum(np.searchsorted(self._sorted_Q, asked), len(self) - 1)
        found: NDArray[np.int64] = np.where(self._sorted_Q[at] == asked, self._by_id_Q[at], -1)
        return found

    def with_people(self, has_P: NDArray[np.bool_]) -> NDArray[np.uint32]:
        """Return the numbers of the findings that are about one of some people."""
        has = np.append(has_P, False)  # code -1: nobody
        return np.flatnonzero(has[self.a_Q] | has[self.b_Q]).astype(np.uint32)

    def rows(self, number: int) -> slice:
        """Return where a finding lies in the table of its kind."""
        first = int(self.first_Q[number])
        return slice(first, first + int(self.count_Q[number]))

    def face_rows(self, number: int) -> NDArray[np.int32]:
        """Return the faces that a finding is about; of people and of mixed folders, all that find names."""
        kind, part = self.kind(number), self.rows(number)
        table = {"outlier": self.outlier_row_S, "mixed": self.mixed_row_S, "people": self.outlier_row_S[:0]}
        return table.get(kind, self.same_face_row_S)[part]

    def _join(self, parts: list[_Part]) -> None:
        def whole(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(part, name) for part in parts])

        good = whole("good_S")
        order = np.lexsort((-whole("rank_S"), whole("tier_S")))
        order = order[good[order]]
        self.stale = int((~good).sum())
        """Findings about faces or people that the dataset no longer has."""
        self.kind_Q: NDArray[np.uint8] = whole("kind_S")[order]
        self.a_Q: NDArray[np.int32] = whole("a_S")[order]
        self.b_Q: NDArray[np.int32] = whole("b_S")[order]
        self.shown_Q: NDArray[np.float32] = whole("shown_S")[order]
        self.first_Q: NDArray[np.int64] = whole("first_S")[order]
        self.count_Q: NDArray[np.int64] = whole("count_S")[order]
        self._id_Q = np.array([each for part in parts for each in part.ids], np.bytes_)[order]
        self._by_id_Q = np.argsort(self._id_Q, kind="stable")
        self._sorted_Q = self._id_Q[self._by_id_Q]

    def _people(self, faces: Faces) -> _Part:
        table, count = self.pairs, self.pairs.num_rows
        names_a, names_b = table["identity_a"].to_pylist(), table["identity_b"].to_pylist()
        a_S, b_S = faces.codes_of(table["identity_a"]), faces.codes_of(table["identity_b"])
        return _Part(
            kind_S=np.zeros(count, np.uint8),
            tier_S=_tiers("people", table["verdict"]),
            ids=[proposals.of_people(a, b) for a, b in zip(names_a, names_b, strict=True)],
            a_S=a_S,
            b_S=b_S,
            rank_S=-table["rank"].to_numpy().astype(np.float64),
            shown_S=table["best"].to_numpy(),
            first_S=np.arange(count),
            count_S=np.ones(count, np.int64),
            good_S=(a_S != NOBODY) & (b_S != NOBODY),
        )

    def _outliers(self, faces: Faces) -> _Part:
        table, count = self.outliers, self.outliers.num_rows
        a_S = faces.codes_of(table["identity"])
        return _Part(
            kind_S=np.full(count, KINDS.index("outlier"), np.uint8),
            tier_S=_tiers("outlier", table["kind"]),
            ids=[proposals.of_outlier(face) for face in table["face_id"].to_pylist()],
            a_S=a_S,
            b_S=faces.codes_of(table["other_identity"]),
            rank_S=table["score"].to_numpy().astype(np.float64),
            shown_S=table["score"].to_numpy(),
            first_S=np.arange(count),
            count_S=np.ones(count, np.int64),
            good_S=(a_S != NOBODY) & (self.outlier_row_S >= 0),
        )

    def _clusters(self, faces: Faces) -> _Part:
        table = self.same_face
        first_S, count_S = _runs(table["cluster"].to_numpy())
        ids = table["face_id"].to_pylist()
        drop = ~table["keep"].to_numpy(zero_copy_only=False)
        similarity = table["similarity"].to_numpy().astype(np.float64)
        dropped = np.add.reduceat(drop, first_S) if len(first_S) else np.zeros(0, np.int64)
        # the least alike of those that go: that is how sure the finding is as a whole
        least = np.where(drop | ~np.repeat(dropped > 0, count_S), similarity, np.inf)
        least_S = np.minimum.reduceat(least, first_S) if len(first_S) else np.zeros(0)
        same = dropped > 0
        codes = faces.codes_of(table["identity"])[first_S]
        return _Part(
            kind_S=np.where(same, KINDS.index("same_face"), KINDS.index("alike")).astype(np.uint8),
            tier_S=np.where(same, TIERS["same_face", ""], TIERS["alike", ""]).astype(np.uint8),
            ids=[proposals.of_cluster(ids[f : f + n]) for f, n in zip(first_S.tolist(), count_S.tolist(), strict=True)],
            a_S=codes,
            b_S=np.full(len(first_S), NOBODY, np.int32),
            rank_S=least_S,
            shown_S=least_S.astype(np.float32),
            first_S=first_S,
            count_S=count_S,
            good_S=_all(self.same_face_row_S >= 0, first_S),
        )

    def _mixed(self, faces: Faces) -> _Part:
        table = self.mixed
        codes = faces.codes_of(table["identity"])
        first_S, count_S = _runs(codes)
        between = table["between"].to_numpy().astype(np.float64)
        names = table["identity"].take(pa.array(first_S)).to_pylist()
        between_S = np.minimum.reduceat(between, first_S) if len(first_S) else np.zeros(0)
        return _Part(
            kind_S=np.full(len(first_S), KINDS.index("mixed"), np.uint8),
            tier_S=np.full(len(first_S), TIERS["mixed", ""], np.uint8),
            ids=[proposals.of_mixed(name) for name in names],
            a_S=codes[first_S],
            b_S=np.full(len(first_S), NOBODY, np.int32),
            rank_S=-between_S,
            shown_S=between_S.astype(np.float32),
            first_S=first_S,
            count_S=count_S,
            good_S=_all((self.mixed_row_S >= 0) & (codes != NOBODY), first_S),
        )


def _tiers(kind: str, verdicts: pa.ChunkedArray) -> NDArray[np.uint8]:
    last = max(TIERS.values())
    return np.array([TIERS.get((kind, verdict), last) for verdict in verdicts.to_pylist()], np.uint8)


def _runs(values_S: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each run of equal values begins, and how long it is."""
    first = np.flatnonzero(np.append(True, values_S[1:] != values_S[:-1])) if len(values_S) else np.zeros(0, np.int64)
    return first, np.diff(np.append(first, len(values_S)))


def _all(good_S: NDArray[np.bool_], first_S: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.logical_and.reduceat(good_S, first_S) if len(first_S) else np.zeros(0, np.bool_)
