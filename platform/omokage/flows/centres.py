"""Where the lists of a new index lie: around the people whom the labels know, or where k-means puts them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage.curate.gallery import labelled
from omokage.flows import vectors
from omokage.index import lists as training
from omokage.index import plan
from omokage.index.around import STRAY, Around, People, stray_lists, summed
from omokage.index.build import Assign, beside
from omokage.index.coder import Coder
from omokage.index.lists import Assigner
from omokage.index.threads import each
from omokage.progress import OnProgress, told
from omokage.shards import Shard
from omokage.store import Dataset

SAMPLE: Final = 8192
"""Faces that codes are fitted to, and that say what is typical."""

POINTS: Final = 10
"""Strays for each list of strays."""

ROOM: Final = 1.3
"""More strays than are wanted, by the guess of how many there are."""


@dataclass(frozen=True)
class Centres:
    """Lists, and what finds the lists of the faces that they were made for."""

    coder: Coder
    centroids_LD: NDArray[np.float32]
    floor: float
    """Product of codes from which a face can probe a list."""
    assign: Assign

    @property
    def name(self) -> str:
        """The same for the same lists."""
        return hashlib.sha256(repr(self.coder).encode() + self.centroids_LD.tobytes()).hexdigest()[:16]


def centres(
    data: Dataset, shards: list[Shard], people: int, speed: plan.Speed, lists: int | None, on_progress: OnProgress
) -> Centres:
    """Return lists for the faces of some shards; ``lists`` by k-means, or as many as suit, by what suits.

    The same faces give the same lists, whatever shards they are in.
    """
    faces = sum(shard.faces for shard in shards)
    chance_N = vectors.chances(data, shards)
    chosen = lists or plan.choose_lists(faces, people, data.dim, speed.pairs)
    if lists is None and chosen > 1 and plan.around_people(faces, people, data.dim):
        return _around(data, shards, speed, chance_N, on_progress)
    sample_ND, _ = vectors.sample(data, shards, chance_N, max(SAMPLE, training.sampled(chosen)))
    coder = Coder.fit(speed.kind, sample_ND)
    centroids = training.train(sample_ND, chosen)
    floor = _floor(coder, sample_ND, centroids)
    return Centres(coder, centroids, floor, Assigner(coder, centroids, floor))


def _around(
    data: Dataset, shards: list[Shard], speed: plan.Speed, chance_N: NDArray[np.float64], on_progress: OnProgress
) -> Centres:
    """Return a list for each person, in the order of names, and lists for strays."""
    identity = pa.concat_tables(vectors.tables(data, shards, ["identity"]))["identity"]
    label_N, names = labelled(identity, np.ones(len(chance_N), bool))
    people = People(len(names), data.dim)
    for some in each(
        lambda faces: summed(*faces),
        beside(told(vectors.blocks(data, shards), len(label_N), "faces for means", on_progress), label_N),
    ):
        people.add(*some)
    people.done()
    sample_ND, rows = vectors.sample(data, shards, chance_N, SAMPLE)
    people.look(sample_ND, label_N[rows])
    coder = Coder.fit(speed.kind, sample_ND)
    extra = stray_lists(len(names))
    again = told(vectors.blocks(data, shards), len(label_N), "faces for strays", on_progress)
    strays_ND = _strays(again, people, label_N, chance_N, extra * POINTS)
    extra = min(extra, len(strays_ND) // 2)
    centroids = np.concatenate([people.mean_PD, training.train(strays_ND, extra)]) if extra > 1 else people.mean_PD
    floor = _floor(coder, sample_ND, centroids)
    return Centres(coder, centroids, floor, Around(coder, centroids, people, floor))


def _floor(coder: Coder, sample_ND: NDArray[np.float32], centroids: NDArray[np.float32]) -> float:
    return training.floor_of(coder.encode(sample_ND)[0], coder.encode(centroids)[0])


def _strays(
    blocks: Iterator[NDArray[np.float32]],
    people: People,
    label_N: NDArray[np.int32],
    chance_N: NDArray[np.float64],
    count: int,
) -> NDArray[np.float32]:
    """Return the vectors of about ``count`` strays, the least of their chances first."""
    share = ROOM * count / (STRAY * max(1, len(chance_N)))

    def some(faces: tuple[NDArray[np.float32], NDArray[np.int64]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        vectors_BD, row_B = faces
        mine = np.flatnonzero((chance_N[row_B] <= share) & vectors_BD.any(1))
        own = people.own(vectors_BD[mine], label_N[row_B[mine]])
        mine = mine[people.strays(own, label_N[row_B[mine]])]
        return vectors_BD[mine], row_B[mine]

    parts = list(each(some, beside(blocks, np.arange(len(label_N)))))
    first = np.argsort(np.concatenate([chance_N[row_n] for _, row_n in parts]), kind="stable")[:count]
    strays_ND: NDArray[np.float32] = np.concatenate([vectors_nD for vectors_nD, _ in parts])[first]
    return strays_ND
