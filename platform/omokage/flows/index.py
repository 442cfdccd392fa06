"""The index of a dataset: made when it is first needed, and kept up with the dataset from then on.

New shards become a segment of their own and are joined only with what is there. Shards that are gone leave dead rows.
When the faces have grown fourfold since the lists were made, or a quarter of the rows is dead, it is made anew.
"""

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from omokage.curate.gallery import Gallery, labelled
from omokage.errors import DatasetError
from omokage.flows.centres import Source, Told, centres
from omokage.flows.workspace import FORMAT, IndexHead, Part, Workspace
from omokage.index import plan
from omokage.index.build import Assign, Builder
from omokage.index.cores import cores
from omokage.index.faces import Faces
from omokage.index.lists import Assigner
from omokage.index.segment import FACES
from omokage.progress import OnProgress, quietly
from omokage.report import IndexReport
from omokage.shards import Shard, read_table, verified
from omokage.store import Dataset

GROWN: Final = 4.0
DEAD: Final = 0.25
"""When an index is made anew: grown by this factor, or with this share of dead rows."""

WHOLE: Final = 1 << 20
"""Faces of a piece of a segment's table."""


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


def up_to_date(
    data: Dataset,
    speed: plan.Speed,
    rebuild: bool = False,
    lists: int | None = None,
    told: Told | None = None,
) -> Index:
    """Return the index of a dataset, made or brought up to date; ``lists`` of a new one are chosen if None."""
    told = told or Told()
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
            head, part = _first(work, Source.of(data, shards, told), speed, lists)
        else:
            part = _segment(work, head, Source.of(data, fresh, told))
        head = replace(head, parts=(*head.parts, part))
        work.write(head)
        work.sweep(head)
    if head is None:
        raise DatasetError(f"{data.folder.url} has no faces: run omokage ingest first")
    return _open(data, work, head, added)


def index(dataset: str, rebuild: bool = False, on_progress: OnProgress = quietly) -> IndexReport:
    """Return the report of making a dataset's index, or bringing it up to date."""
    began = time.time()
    data = Dataset.open(dataset)
    with data.locked():
        found = up_to_date(data, plan.speed(data.dim, cores()), rebuild, told=Told(on_progress))
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
    live = {shard.name: shard.faces for shard in shards}
    faces = sum(live.values())
    dead = sum(part.faces - sum(live.get(name, 0) for name in part.shards) for part in head.parts)
    return (
        head.encoder == data.head.recipe["encoder"]
        and faces <= GROWN * head.trained_on
        and dead <= DEAD * head.faces
        and lists in (None, head.lists)
    )


def people(data: Dataset) -> int:
    """Return how many people a dataset has; of the manifest, which may be big, only their names are read."""
    if data.head.manifest is None:
        return 0
    content = pa.BufferReader(verified(data.folder, data.head.manifest, data.head.manifest_sha256))
    return int(pc.count_distinct(pq.read_table(content, columns=["identity"])["identity"]).as_py())


def _first(work: Workspace, source: Source, speed: plan.Speed, lists: int | None) -> tuple[IndexHead, Part]:
    """Return the head of a new index, without parts, and its first segment, written."""
    made = centres(source, speed, lists, work.scratch("new"))
    work.save(f"centroids-{made.name}", made.centroids_LD)
    encoder, faces = source.data.head.recipe["encoder"], len(source.label_N)
    head = IndexHead(encoder, made.builder.coder, len(made.centroids_LD), made.name, made.floor, faces)
    return head, _written(work, head, source, made.builder, made.assign)


def _segment(work: Workspace, head: IndexHead, source: Source) -> Part:
    """Return the segment of faces in the lists of an index, written."""
    part = _part(head, source)
    if work.place(part.name).exists():
        return part  # of a run that was stopped
    builder = Builder(work.scratch(part.name), head.coder, source.label_N)
    builder.encode(source.blocks())
    assign = Assigner(head.coder, work.load(f"centroids-{head.centres}"), head.floor)
    return _written(work, head, source, builder, assign)


def _part(head: IndexHead, source: Source) -> Part:
    names = tuple(shard.name for shard in source.shards)
    name = hashlib.sha256(" ".join([str(FORMAT), head.centres, *names]).encode()).hexdigest()[:20]
    return Part(name, len(source.label_N), names)


def _written(work: Workspace, head: IndexHead, source: Source, builder: Builder, assign: Assign) -> Part:
    """Return the segment of faces that are encoded already."""
    part = _part(head, source)
    builder.lists(assign, head.lists)
    _write_faces(source, builder)
    builder.finish(work.place(part.name))
    work.publish(part.name)
    return part


def _write_faces(source: Source, builder: Builder) -> None:
    """Write which faces a segment has, and where each comes from."""
    builder.save("shards", np.cumsum([0, *(shard.faces for shard in source.shards)]))
    with pa.OSFile(str(builder.folder / FACES), "wb") as sink, pa.ipc.new_file(sink, source.faces.schema) as writer:
        for start in range(0, len(source.label_N), WHOLE):  # rows are taken the quicker, the fewer pieces they lie in
            writer.write_table(source.faces.slice(start, WHOLE).combine_chunks())


def _open(data: Dataset, work: Workspace, head: IndexHead, added: int) -> Index:
    opened = [work.segment(part.name) for part in head.parts]
    faces = Faces([segment for segment, _ in opened])
    table = pa.concat_tables(table for _, table in opened)
    live = {shard.name for shard in data.head.shards}
    alive_N = np.concatenate(
        [
            np.repeat([name in live for name in part.shards], np.diff(segment.shard_S1))
            for part, (segment, _) in zip(head.parts, opened, strict=True)
        ]
    )
    usable_N = np.concatenate([segment.usable_N for segment in faces.segments])
    label_N, names = labelled(table["identity"], alive_N & usable_N)
    gallery = Gallery(table, faces, label_N, names, Chips([(data, part) for part in head.parts], faces))
    unusable, dead = int((alive_N & ~usable_N).sum()), int((~alive_N).sum())
    return Index(data, work, head, faces, alive_N & usable_N, gallery, unusable, added, dead)


def guest(here: Index, other: Dataset, on_progress: OnProgress = quietly) -> Index:
    """Return another dataset's faces in the lists of an index, to be joined with it. That index stays what it was.

    Raises:
        DatasetError: The vectors come from different encoders, or there are none.
    """
    same_origin(here.data, other)
    shards = [shard for shard in other.head.shards if shard.faces]
    if not shards:
        raise DatasetError(f"{other.folder.url} has no faces: run omokage ingest first")
    part = _segment(here.work, here.head, Source.of(other, shards, Told(on_progress)))
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
            shard_n = np.searchsorted(segment.shard_S1, local, side="right") - 1
            for shard in np.unique(shard_n):
                of = np.flatnonzero(shard_n == shard)
                data, names = self.parts[part][0], self.parts[part][1].shards
                table = read_table(data.folder, Shard(names[shard], 0, 0, 0, {}).file("faces"), ["chip"])
                chips = table["chip"].take(pa.array(local[of] - segment.shard_S1[shard])).to_pylist()
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
