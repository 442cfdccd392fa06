"""Which faces train a model, which choose it, and which judge it.

By people (the default), nobody of one part is in another. Two people who share a file, or of whom two faces are all but
the same, are likely one person under two names or were taken together, and stay in one part. By pictures, everybody is
in train, and pictures that are all but the same stay in one part.

People are put in an order that a hash of seed and name tells. The first ones are the test part, the last ones val. So
a split does not depend on how faces are stored, and who joins the dataset moves few others.

Shape key: N faces of the split, P people, U units that stay together.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.errors import ConfigError, DatasetError
from omokage.ledger.version import faces_of
from omokage.report import tally
from omokage.store import Dataset
from omokage.train.alike import alike, doubles, places
from omokage.train.near import joined
from omokage.train.parting import FEWEST, PARTS, TRAIN, People, by_people, by_pictures

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitConfig:
    """How faces are parted."""

    split_by: Literal["people", "pictures"] = "people"
    """people: nobody of val or test is in train. pictures: everybody is in train, with other pictures (closed set)."""
    val_share: float = 0.1
    """Share that is validated on, in [0, 1)."""
    test_share: float = 0.1
    """Share that is kept for the end, in [0, 1). The rest trains."""

    def __post_init__(self) -> None:
        """Reject shares that leave nothing to train with."""
        if self.split_by not in ("people", "pictures"):
            raise ConfigError(f"split.split_by must be people or pictures, got {self.split_by!r}")
        for key in ("val_share", "test_share"):
            if not 0 <= getattr(self, key) < 1:
                raise ConfigError(f"split.{key} must lie in 0 to 1, 1 left out, got {getattr(self, key)}")
        if self.val_share + self.test_share >= 1:
            raise ConfigError(
                f"split.val_share {self.val_share} and split.test_share {self.test_share} leave nothing to train with: "
                "together they must be below 1"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Faces by part."""

    table: pa.Table
    """``schema.SPLIT``, sorted by face_id: what is to be stored with a run."""
    notes: tuple[str, ...]
    """What a person should know of it."""


def split(data: Dataset, version: str | None, config: SplitConfig, seed: int) -> Split:
    """Return the faces of a version that are kept and have an identity, parted.

    Args:
        data: The dataset.
        version: Name of the version; None: what the dataset is after its decisions now.
        config: How.
        seed: Another one gives other parts of the same sizes.

    Raises:
        ConfigError: The shares leave a part too few people.
        DatasetError: There is no such version, nothing left in it, or too much of it hangs together to be parted.
    """
    faces, notes = _faces(data, version)
    names = sorted(pc.unique(faces["identity"]).to_pylist())
    if len(names) < FEWEST:
        raise DatasetError(f"all faces that are left of {data.folder.url} are {names[0]!r}: nobody to be told from")
    person_N = places(faces["identity"], pa.array(names, pa.string()))
    found = alike(data, faces["face_id"], person_N, across=config.split_by == "people")
    file_N = places(faces["sha256"], pc.unique(faces["sha256"]))
    _, first = np.unique(file_N, return_index=True)
    # who shares a file hangs together too
    people = People(person_N, names, joined(found.group_N, np.arange(len(file_N)), first[file_N]))
    if config.split_by == "people":
        part_N, more = by_people(people, config.val_share, config.test_share, seed)
    else:
        ids = faces["face_id"].to_pylist()
        part_N, more = by_pictures(people, ids, config.val_share, config.test_share, seed)
    columns = [faces["face_id"], faces["identity"], pa.array(PARTS).take(pa.array(part_N))]
    table = pa.table(columns, schema=schema.SPLIT)
    together = {"files": file_N, "near-duplicates": found.group_N}
    if config.split_by == "people":
        together["people"] = person_N
        more += _doubles(doubles(data, table))
    assert_disjoint(table, together)
    return Split(table=table, notes=(*notes, *found.notes, *more, *_remarks(people, part_N)))


def counts(table: pa.Table) -> tuple[dict[str, int], dict[str, int]]:
    """Return people and faces of each part of a split's table, by its name."""
    mine: dict[str, pa.ChunkedArray] = {part: table["identity"].filter(pc.equal(table["part"], part)) for part in PARTS}
    people = {part: pc.count_distinct(identity).as_py() for part, identity in mine.items()}
    return people, {part: len(identity) for part, identity in mine.items()}


def labels(table: pa.Table, part: schema.Part) -> tuple[Ints, list[str]]:
    """Return the class of every row of a split's table, -1 where it is of another part, and the classes' identities.

    Classes are numbered by their identities in order, from 0.
    """
    mine = pc.equal(table["part"], part)
    names = sorted(pc.unique(table["identity"].filter(mine)).to_pylist())
    label_N = places(table["identity"], pa.array(names, pa.string()))
    label_N[~mine.to_numpy()] = -1
    return label_N, names


def assert_disjoint(table: pa.Table, together: dict[str, Ints]) -> None:
    """Check that no face is there twice, and that nothing which belongs together is in two parts.

    Args:
        table: ``schema.SPLIT``.
        together: By what it is called, a number for every row: rows of one number belong together.

    Raises:
        DatasetError: It is not so.
    """
    if pc.count_distinct(table["face_id"]).as_py() != table.num_rows:
        raise DatasetError("the split has a face twice")
    part_N = places(table["part"], pa.array(PARTS))
    if (part_N < 0).any():
        raise DatasetError(f"the split has parts other than {', '.join(PARTS)}")
    for what, number_N in together.items():
        _, first, place_N = np.unique(number_N, return_index=True, return_inverse=True)
        torn = np.flatnonzero(part_N != part_N[first][place_N])
        if len(torn):
            a, b = (table["face_id"][int(row)].as_py() for row in (first[place_N[torn[0]]], torn[0]))
            raise DatasetError(f"the split parts {what}: of face {a} and face {b}, and {len(torn) - 1:,} more")


def _faces(data: Dataset, version: str | None) -> tuple[pa.Table, list[str]]:
    """Return the faces to be parted, sorted by face_id, and what there is to say of those left out."""
    every = faces_of(data, version)
    kept = every.filter(pc.and_(pc.equal(every["status"], "kept"), pc.is_valid(every["identity"]))).sort_by("face_id")
    notes = []
    if version is not None:  # what is frozen may be older than the dataset
        chunks = [chunk for table in data.faces(["face_id"]) for chunk in table["face_id"].chunks]
        there = pc.is_in(kept["face_id"], value_set=schema.whole(pa.chunked_array(chunks, pa.string())))
        lost = kept.num_rows - (pc.sum(there).as_py() or 0)
        if lost:
            notes.append(f"{lost:,} faces of {version} are left out: the dataset no longer has them")
            kept = kept.filter(there)
    if not kept.num_rows:
        statuses = tally(every["status"])
        raise DatasetError(
            f"{data.folder.url}{'@' + version if version else ''} has no face to train with: of {every.num_rows:,} "
            f"faces {', '.join(f'{n:,} {status}' for status, n in statuses.items()) or 'none'}, "
            f"{every['identity'].null_count:,} of nobody"
        )
    return kept.combine_chunks(), notes


def _doubles(pairs: list[tuple[str, str]]) -> list[str]:
    """Return what there is to say of people in two parts who are likely one person."""
    if not pairs:
        return []
    return [
        f"{len(pairs):,} pairs of people in different parts are one person as omokage find has it, such as "
        f"{pairs[0][0]!r} and {pairs[0][1]!r}: decide on them (omokage review), or the model is judged on people "
        "whom it has seen"
    ]


def _remarks(people: People, part_N: Ints) -> list[str]:
    """Return what there is to say of the parts."""
    count_P = np.bincount(people.person_N[part_N == TRAIN], minlength=len(people.names))
    single = int((count_P == 1).sum())
    notes = []
    if single:
        notes.append(
            f"{single:,} people have one picture in train: nothing that they could be recognised by; they stay as "
            "others, from whom people are told"
        )
    return notes
