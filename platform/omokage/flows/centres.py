"""Where the lists of a new index lie: around the people whom the labels know, or where k-means puts them."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage.curate.gallery import COLUMNS, NOBODY, Gallery, labelled
from omokage.flows import vectors
from omokage.index import lists as training
from omokage.index import plan
from omokage.index.around import STRAY, Around, People, stray_lists
from omokage.index.build import Assign, Builder
from omokage.index.coder import Coder
from omokage.index.lists import Assigner
from omokage.index.segment import released, taken
from omokage.index.threads import each
from omokage.progress import OnProgress, quietly, told
from omokage.shards import Shard
from omokage.store import Dataset

SAMPLE: Final = 8192
"""Faces that codes are fitted to, and that say what is typical."""

POINTS: Final = 10
"""Strays for each list of strays."""

ROOM: Final = 1.3
"""More strays than are wanted, by the guess of how many there are."""


@dataclass(frozen=True)
class Told:
    """What is called while an index is made."""

    on_progress: OnProgress = quietly
    on_faces: Callable[[Gallery], None] | None = None
    """Called with the faces of a new index, without chips, as soon as all vectors are there: before there are lists."""


@dataclass(frozen=True)
class Source:
    """Faces of some shards, which are about to become a segment."""

    data: Dataset
    shards: list[Shard]
    label_N: NDArray[np.int32]
    names: list[str]
    """Identity of each label."""
    told: Told

    @classmethod
    def of(cls, data: Dataset, shards: list[Shard], told: Told) -> "Source":
        """Return the faces of shards, with labels by name, whether their vectors can be used or not."""
        identity = pa.concat_tables(vectors.tables(data, shards, ["identity"]))["identity"]
        return cls(data, shards, *labelled(identity, np.ones(len(identity), bool)), told)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors, as they are stored."""
        return told(vectors.blocks(self.data, self.shards), len(self.label_N), "faces", self.told.on_progress)

    def known(self, builder: Builder) -> None:
        """Tell of the faces, which the builder has encoded."""
        if self.told.on_faces is not None:
            label_N = np.where(builder.usable_N, self.label_N, NOBODY).astype(np.int32)
            vectors_ND = np.asarray(builder.vectors_ND)
            self.told.on_faces(Gallery(self.faces, vectors_ND, label_N, self.names, lambda rows: [b""] * len(rows)))

    @cached_property
    def faces(self) -> pa.Table:
        """What is known of each face beside its vector."""
        return pa.concat_tables(vectors.tables(self.data, self.shards, COLUMNS))


@dataclass(frozen=True)
class Centres:
    """Lists, what finds the lists of the faces that they were made for, and the segment of these, encoded."""

    centroids_LD: NDArray[np.float32]
    floor: float
    """Product of codes from which a face can probe a list."""
    assign: Assign
    builder: Builder

    @property
    def name(self) -> str:
        """The same for the same lists."""
        return hashlib.sha256(repr(self.builder.coder).encode() + self.centroids_LD.tobytes()).hexdigest()[:16]


def centres(source: Source, speed: plan.Speed, lists: int | None, scratch: Path) -> Centres:
    """Return lists for some faces; ``lists`` by k-means, or as many as suit, by what suits.

    The same faces give the same lists, whatever shards they are in.
    """
    data, shards, faces, people = source.data, source.shards, len(source.label_N), len(source.names)
    chance_N = vectors.chances(data, shards)
    chosen = lists or plan.choose_lists(faces, people, data.dim, speed.pairs)
    around = lists is None and chosen > 1 and plan.around_people(faces, people, data.dim)
    count = SAMPLE if around else max(SAMPLE, training.sampled(chosen))
    sample_ND, row_n = vectors.sample(data, shards, chance_N, count)
    coder = Coder.fit(speed.kind, sample_ND)
    builder = Builder(scratch, coder, source.label_N)
    if around:
        return _around(source, builder, chance_N, coder.encode(sample_ND)[0], row_n)
    centroids = training.train(sample_ND, chosen)
    floor = training.floor_of(coder.encode(sample_ND)[0], coder.encode(centroids)[0])
    builder.encode(source.blocks())
    source.known(builder)
    return Centres(centroids, floor, Assigner(coder, centroids, floor), builder)


def _around(
    source: Source,
    builder: Builder,
    chance_N: NDArray[np.float64],
    sample_nE: NDArray[np.int8] | NDArray[np.float32],
    row_n: NDArray[np.int64],
) -> Centres:
    """Return a list for each person, in the order of names, and lists for strays.

    Args:
        source: The faces.
        builder: Takes them.
        chance_N: Of each face to be in a sample, [0, 1): the smaller, the sooner.
        sample_nE: Codes of a sample.
        row_n: Its rows.
    """
    people = People(len(source.names), builder.coder)
    builder.encode(source.blocks(), people.add)
    source.known(builder)
    people.done()
    people.look(sample_nE, source.label_N[row_n])
    extra = stray_lists(len(source.names))
    strays_nD = taken(builder.vectors_ND, _strays(builder, people, chance_N, extra * POINTS))
    extra = min(extra, len(strays_nD) // 2)
    centroids = people.centroids()
    if extra > 1:
        centroids = np.concatenate([centroids, training.train(strays_nD, extra)])
    floor = training.floor_of(sample_nE, builder.coder.encode(centroids)[0])
    return Centres(centroids, floor, Around(builder.coder, centroids, people, floor), builder)


def _strays(builder: Builder, people: People, chance_N: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the rows of about ``count`` strays, the least of their chances first."""
    share = ROOM * count / (STRAY * max(1, len(chance_N)))
    row_N = np.flatnonzero((chance_N <= share) & builder.usable_N)

    def some(start: int) -> NDArray[np.int64]:
        mine = row_N[start : start + vectors.BLOCK]
        label_n = builder.label_N[mine]
        own_n = people.own(builder.codes_NE[mine], label_n)
        released(builder.codes_NE)
        return mine[people.strays(own_n, label_n)]

    row_n = np.concatenate([np.zeros(0, np.int64), *each(some, range(0, len(row_N), vectors.BLOCK))])
    return row_n[np.argsort(chance_N[row_n], kind="stable")[:count]]
