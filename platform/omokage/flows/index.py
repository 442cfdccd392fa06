"""The index of a dataset: made when it is first needed, and kept up with the dataset from then on.

New shards become a segment of their own and are joined only with what is there. Shards that are gone leave dead rows.
When the faces have grown fourfold since the lists were made, or a quarter of the rows is dead, it is made anew.
"""

import hashlib
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.gallery import COLUMNS, Gallery, labelled, ranked
from omokage.errors import DatasetError
from omokage.flows.workspace import IndexHead, Part, Workspace
from omokage.index import lists as training
from omokage.index import plan
from omokage.index.build import Builder
from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.segment import FACES
from omokage.index.threads import cores
from omokage.report import IndexReport
from omokage.shards import Shard, read_table
from omokage.store import Dataset

GROWN: Final = 4.0
DEAD: Final = 0.25
"""When an index is made anew: grown by this factor, or with this share of dead rows."""

SAMPLE: Final = 4096
"""Faces that the codes are fitted to, at least."""

OFF: Final = 1e-3
"""How far from 1 the length of a vector may be before it is brought to 1."""

TAKEN: Final = 1 << 20
"""Faces whose rows are put into order at once."""

BLOCK: Final = 4096
"""Faces whose lists are found by one thread at a time."""


@dataclass(frozen=True)
class Index:
    """An index that is up to date with its dataset."""

    data: Dataset
    work: Workspace
    head: IndexHead
    faces: Faces
    alive_N: NDArray[np.bool_]
    """Which faces the dataset still has, and can be used."""
    gallery: Gallery
    """Its rows are those of ``faces``. Of faces that are dead or cannot be used the label is ``NOBODY``."""
    unusable: int
    """Faces whose vector is no direction: zero, or not a number."""
    added: int
    """Faces that this call added."""
    dead: int
    """Rows whose face the dataset no longer has."""


def up_to_date(data: Dataset, speed: plan.Speed, rebuild: bool = False, lists: int | None = None) -> Index:
    """Return the index of a dataset, made or brought up to date; ``lists`` of a new one are chosen if None."""
    work = Workspace(data.folder)
    old = None if rebuild else work.head()
    shards = [shard for shard in data.head.shards if shard.faces]
    head = old if old is not None and _keeps(old, data, shards, lists) else None
    covered = {name for part in head.parts for name in part.shards} if head else set()
    fresh = [shard for shard in shards if shard.name not in covered]
    added = sum(shard.faces for shard in fresh)
    if fresh:
        if head is None:
            work.clear()
            head, centroids = _trained(data, work, shards, speed, lists)
        else:
            centroids = work.load(f"centroids-{_id(head)}")
        head = replace(head, parts=(*head.parts, _segment(data, work, head, fresh, centroids)))
        work.write(head)
        work.sweep(head)
    if head is None:
        raise DatasetError(f"{data.folder.url} has no faces: run omokage ingest first")
    return _open(data, work, head, added)


def index(dataset: str, rebuild: bool = False) -> IndexReport:
    """Return the report of making a dataset's index, or bringing it up to date."""
    began = time.time()
    data = Dataset.open(dataset)
    with data.locked():
        found = up_to_date(data, plan.speed(data.dim, cores()), rebuild)
    return IndexReport(
        dataset=data.folder.url,
        faces=len(found.faces) - found.dead,
        added=found.added,
        dead=found.dead,
        unusable=found.unusable,
        lists=found.head.lists,
        segments=len(found.head.parts),
        codes=found.head.coder.kind,
        seconds=round(time.time() - began, 3),
    )


def _keeps(head: IndexHead, data: Dataset, shards: list[Shard], lists: int | None) -> bool:
    """Return whether an index is still good for what the dataset now holds."""
    live = {shard.name for shard in shards}
    faces = sum(shard.faces for shard in shards)
    dead = sum(part.faces for part in head.parts if not live & set(part.shards))
    return (
        head.encoder == data.head.recipe["encoder"]
        and faces <= GROWN * head.trained_on
        and dead <= DEAD * head.faces
        and lists in (None, head.lists)
    )


def people(data: Dataset) -> int:
    """Return how many people a dataset has."""
    return len(set(data.manifest()["identity"].unique().to_pylist()) - {None})


def _id(head: IndexHead) -> str:
    """Return a name of what an index was trained to."""
    return hashlib.sha256(repr((head.encoder, head.coder, head.lists, head.trained_on)).encode()).hexdigest()[:16]


def _trained(
    data: Dataset, work: Workspace, shards: list[Shard], speed: plan.Speed, lists: int | None
) -> tuple[IndexHead, NDArray[np.float32]]:
    """Return an index without faces, and its centroids."""
    faces = sum(shard.faces for shard in shards)
    lists = lists or plan.choose_lists(faces, people(data), speed.pairs)
    sample_ND = _sample(data, shards, max(SAMPLE, training.sampled(lists)))
    coder = Coder.fit(speed.kind, sample_ND)
    centroids = training.train(sample_ND, lists)
    head = IndexHead(data.head.recipe["encoder"], coder, len(centroids), faces)
    work.save(f"centroids-{_id(head)}", centroids)
    return head, centroids


def _sample(data: Dataset, shards: list[Shard], count: int) -> NDArray[np.float32]:
    """Return the vectors of faces chosen by chance, the same ones whatever shard they are in."""
    chances, parts = [], []
    share = min(1.0, 1.1 * count / max(1, sum(shard.faces for shard in shards)))
    for table in _tables(data, shards, ["face_id", "embedding"]):
        chance = np.array([zlib.crc32(each.encode()) for each in table["face_id"].to_pylist()]) / 2**32
        mine = np.flatnonzero(chance <= share)
        vectors_nD, good = _unit(schema.vectors(table["embedding"].combine_chunks(), data.dim)[mine])
        chances.append(chance[mine[good]])
        parts.append(vectors_nD[good])
    first = np.argsort(np.concatenate(chances), kind="stable")[:count]
    return np.concatenate(parts)[first]


def _tables(data: Dataset, shards: list[Shard], columns: list[str]) -> Iterator[pa.Table]:
    """Yield columns of the shards' faces: small shards together, a big one alone, since joining them copies."""
    some: list[pa.Table] = []
    for shard in shards:
        some.append(read_table(data.folder, shard.file("faces"), columns))
        if sum(table.num_rows for table in some) >= BLOCK:
            yield pa.concat_tables(some)
            some = []
    if some:
        yield pa.concat_tables(some)


def _blocks(data: Dataset, shards: list[Shard]) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of the shards, unit length; those that are no direction are zeros."""
    for table in _tables(data, shards, ["embedding"]):
        vectors_ND = schema.vectors(table["embedding"].combine_chunks(), data.dim)
        for start in range(0, len(vectors_ND), BLOCK):
            yield _unit(vectors_ND[start : start + BLOCK])[0]


def _unit(vectors_ND: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return vectors at unit length, and which of them are vectors; those that are no direction become zeros."""
    length_N = np.sqrt(np.einsum("nd,nd->n", vectors_ND, vectors_ND))
    good_N = np.isfinite(length_N) & (length_N > OFF)
    if (np.abs(length_N - 1) <= OFF).all():
        return vectors_ND, good_N
    scale_N = np.where(good_N & (np.abs(length_N - 1) > OFF), length_N, 1).astype(np.float32)
    vectors_ND = vectors_ND / scale_N[:, None]
    vectors_ND[~good_N] = 0
    return vectors_ND, good_N


def _segment(
    data: Dataset, work: Workspace, head: IndexHead, shards: list[Shard], centroids: NDArray[np.float32]
) -> Part:
    """Return the segment of some shards, written."""
    name = hashlib.sha256(" ".join([_id(head), *(shard.name for shard in shards)]).encode()).hexdigest()[:20]
    part = Part(name, sum(shard.faces for shard in shards), tuple(shard.name for shard in shards))
    if work.place(name).exists():
        return part  # of a run that was stopped
    scratch = work.scratch(name)
    builder = Builder(scratch, head.coder, centroids)
    table = pa.concat_tables(_tables(data, shards, COLUMNS))
    label_N, _ = labelled(table["identity"], np.ones(table.num_rows, bool))
    order_N = builder.write(_blocks(data, shards), label_N, ranked(table["face_id"]))
    counts = [shard.faces for shard in shards]
    builder.save("shards", np.repeat(np.arange(len(shards)), counts)[order_N].astype(np.int32))
    builder.save("shard_rows", training.within(np.array(counts))[order_N].astype(np.int32))
    table = table.combine_chunks()
    with pa.OSFile(str(scratch / FACES), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        for start in range(0, len(order_N), TAKEN):
            writer.write_table(table.take(pa.array(order_N[start : start + TAKEN])))
    builder.finish(work.place(name))
    work.publish(name)
    return part


def _open(data: Dataset, work: Workspace, head: IndexHead, added: int) -> Index:
    opened = [work.segment(part.name) for part in head.parts]
    faces = Faces([segment for segment, _ in opened])
    table = pa.concat_tables(table for _, table in opened)
    live = {shard.name for shard in data.head.shards}
    alive_N = np.concatenate(
        [
            np.array([name in live for name in part.shards], bool)[segment.shard_N]
            for part, (segment, _) in zip(head.parts, opened, strict=True)
        ]
    )
    usable_N = np.concatenate([segment.usable_N for segment in faces.segments])
    label_N, names = labelled(table["identity"], alive_N & usable_N)
    gallery = Gallery(table, faces, label_N, names, Chips([(data, part) for part in head.parts], faces))
    unusable, dead = int((alive_N & ~usable_N).sum()), int((~alive_N).sum())
    return Index(data, work, head, faces, alive_N & usable_N, gallery, unusable, added, dead)


def guest(here: Index, other: Dataset) -> Index:
    """Return another dataset's faces in the lists of an index, to be joined with it. That index stays what it was.

    Raises:
        DatasetError: The vectors come from different encoders, or there are none.
    """
    same_origin(here.data, other)
    shards = [shard for shard in other.head.shards if shard.faces]
    if not shards:
        raise DatasetError(f"{other.folder.url} has no faces: run omokage ingest first")
    centroids = here.work.load(f"centroids-{_id(here.head)}")
    part = _segment(other, here.work, here.head, shards, centroids)
    return _open(other, here.work, replace(here.head, parts=(part,)), part.faces)


class Chips:
    """Reads chips by row, from the shards."""

    def __init__(self, parts: list[tuple[Dataset, Part]], faces: Faces) -> None:
        self.parts = parts
        self.faces = faces

    @classmethod
    def of_both(cls, one: Index, other: Index) -> "Chips":
        """Return what reads the chips of two datasets, whose rows follow each other."""
        parts = [(index.data, part) for index in (one, other) for part in index.head.parts]
        return cls(parts, Faces([*one.faces.segments, *other.faces.segments]))

    def __call__(self, rows: NDArray[np.int64]) -> list[bytes]:
        """Return the chips of some rows; each shard is opened once."""
        out: list[bytes] = [b""] * len(rows)
        part_n = np.searchsorted(self.faces.bounds, rows, side="right") - 1
        for part in np.unique(part_n):
            mine = np.flatnonzero(part_n == part)
            segment, local = self.faces.segments[part], rows[mine] - self.faces.bounds[part]
            shard_n = segment.shard_N[local]
            for shard in np.unique(shard_n):
                of = np.flatnonzero(shard_n == shard)
                data, names = self.parts[part][0], self.parts[part][1].shards
                table = read_table(data.folder, Shard(names[shard], 0, 0, 0, {}).file("faces"), ["chip"])
                chips = table["chip"].take(pa.array(segment.shard_row_N[local[of]])).to_pylist()
                for place, chip in zip(mine[of], chips, strict=True):
                    out[place] = chip
        return out


def same_origin(one: Dataset, other: Dataset) -> None:
    """Check that the vectors of two datasets can be compared.

    Raises:
        DatasetError: They come from different encoders.
    """
    mine, theirs = one.head.recipe["encoder"], other.head.recipe["encoder"]
    if mine != theirs:
        raise DatasetError(
            f"{one.folder.url} was encoded by {_say(mine)}, and {other.folder.url} by {_say(theirs)}: "
            "their vectors cannot be compared; ingest one of them again with the other's encoder"
        )


def _say(encoder: dict[str, object]) -> str:
    return f"{encoder.get('name')} (sha256 {str(encoder.get('sha256'))[:12]}…)"
