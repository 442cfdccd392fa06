"""Who goes into which part: by a hash of names, in units that stay together.

Shape key: N faces, P people, U units.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from omokage import schema
from omokage.errors import ConfigError, DatasetError
from omokage.sheet import words

PARTS: Final[tuple[schema.Part, ...]] = get_args(schema.Part)
TRAIN, VAL, TEST = range(3)

FEWEST: Final = 2
"""People of each part: one alone cannot be told from anybody."""

LARGE: Final = 0.05
"""Share of people from which on a group of them that hangs together is no likely thing."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class People:
    """Faces, sorted by face_id, and whom they show."""

    person_N: Ints
    names: list[str]
    unit_N: Ints
    """Faces of one number stay together."""


def by_people(people: People, val_share: float, test_share: float, seed: int) -> tuple[Ints, list[str]]:
    """Return the part of each face, nobody's in two, and what there is to say of it.

    Units are put in order by the least hash of their people. Test takes from the beginning what fits, val from the end.

    Raises:
        ConfigError: A share is less than a person, or leaves too few to train with.
        DatasetError: So many hang together that a part cannot be filled.
    """
    count = len(people.names)
    wanted = {
        VAL: _people_wanted("val_share", val_share, count),
        TEST: _people_wanted("test_share", test_share, count),
    }
    if count - sum(wanted.values()) < FEWEST:
        raise ConfigError(
            f"of {count} people {wanted[VAL]} are for val and {wanted[TEST]} for test, which leaves fewer than "
            f"{FEWEST} to train with: give smaller shares, or --split-by pictures"
        )
    _, first_P = np.unique(people.person_N, return_index=True)
    _, unit_P = np.unique(people.unit_N[first_P], return_inverse=True)
    size_U, part_U = np.bincount(unit_P), np.full(int(unit_P.max()) + 1, TRAIN)
    least_U = np.full(len(size_U), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least_U, unit_P, _hashes(people.names, seed))
    order_U = np.argsort(least_U, kind="stable")
    notes = _groups(people.names, unit_P, size_U)
    for part, order in ((TEST, order_U), (VAL, order_U[::-1])):
        free = order[part_U[order] == TRAIN]
        taken = _fitting(free.tolist(), size_U, wanted[part])
        part_U[taken] = part
        got = int(size_U[taken].sum())
        if got < min(wanted[part], FEWEST):
            raise DatasetError(
                f"{PARTS[part]} cannot get {wanted[part]} of {count} people, since too many hang together: "
                f"{' '.join(notes)}; decide on them (omokage find, omokage review), or give another share"
            )
        if got < wanted[part]:
            notes.append(f"{PARTS[part]} has {got} people in place of {wanted[part]}, since groups stay together")
    if (left := int(size_U[part_U == TRAIN].sum())) < FEWEST:
        raise DatasetError(f"{left} people are left to train with: {' '.join(notes)}")
    return part_U[unit_P][people.person_N], notes


def by_pictures(
    people: People, ids: Sequence[str], val_share: float, test_share: float, seed: int
) -> tuple[Ints, list[str]]:
    """Return the part of each face, everybody's in train, and what there is to say of it.

    Each person gives every part its share of their pictures, to the nearest one; what they gave too much or too little
    is made up for by the next. Pictures that hang together with those of other people train.

    Args:
        people: Who, and what stays together.
        ids: face_id of each face.
        val_share: In [0, 1).
        test_share: In [0, 1).
        seed: Decides which pictures.

    Raises:
        ConfigError: The shares leave a part fewer than ``FEWEST`` people.
    """
    _, first_U, unit_N = np.unique(people.unit_N, return_index=True, return_inverse=True)
    size_U, person_U = np.bincount(unit_N), people.person_N[first_U]
    shared_U = np.zeros(len(size_U), np.bool_)
    shared_U[unit_N[people.person_N != person_U[unit_N]]] = True
    hash_U = _hashes((ids[row] for row in first_U.tolist()), seed)
    order_U = np.lexsort((hash_U, person_U))
    part_U, owed = np.full(len(size_U), TRAIN), {TEST: 0.0, VAL: 0.0}
    bounds = [*np.flatnonzero(np.diff(person_U[order_U], prepend=-1)).tolist(), len(order_U)]
    count_P = np.bincount(people.person_N)
    for start, end in pairwise(bounds):
        units = order_U[start:end]
        faces = int(count_P[person_U[units[0]]])
        for part, share in ((TEST, test_share), (VAL, val_share)):
            owed[part] = min(owed[part], 0.5) + share * faces  # who has one picture leaves no debt behind
        _give(units[~shared_U[units]].tolist() if shared_U[units].any() else units[:-1].tolist(), size_U, part_U, owed)
    part_N = part_U[unit_N]
    notes = [f"{int(shared_U.sum()):,} files are of several people: they train"] if shared_U.any() else []
    for part, share in ((VAL, val_share), (TEST, test_share)):
        got = len(np.unique(people.person_N[part_N == part]))
        if share and got < FEWEST:
            raise ConfigError(
                f"split.{PARTS[part]}_share {share} leaves {PARTS[part]} pictures of {got} people, and {FEWEST} are "
                "needed: give a larger share"
            )
    return part_N, notes


def _give(units: list[int], size_U: Ints, part_U: Ints, owed: dict[int, float]) -> None:
    """Give units of a person to the parts to which they are owed, to the nearest picture."""
    for unit in units:
        size = int(size_U[unit])
        for part in owed:
            if size <= owed[part] + 0.5:
                part_U[unit] = part
                owed[part] -= size
                break


def _people_wanted(name: str, share: float, people: int) -> int:
    if share == 0:
        return 0
    if share * people < FEWEST - 1:
        raise ConfigError(
            f"split.{name} {share} of {people} people is less than one person, and {FEWEST} are needed: give "
            f"--{name.replace('_', '-')} {min(FEWEST / people, 0.99):.2f} or more, or 0"
        )
    return max(FEWEST, round(share * people))


def _hashes(names: Iterable[str], seed: int) -> NDArray[np.uint64]:
    """Return 64 bits for each name that look like chance, the same for the same seed."""
    start = hashlib.blake2b(str(seed).encode(), digest_size=8, person=b"split")
    found = []
    for name in names:
        each = start.copy()
        each.update(b"\0" + name.encode("utf-8", "surrogateescape"))
        found.append(each.digest())
    return np.frombuffer(b"".join(found), np.uint64)


def _fitting(order: list[int], size_U: Ints, wanted: int) -> list[int]:
    """Return units in order, each that does not make them too many, until they are as many as wanted."""
    taken, left = [], wanted
    for unit in order:
        if not left:
            break
        if size_U[unit] <= left:
            taken.append(unit)
            left -= int(size_U[unit])
    return taken


def _groups(names: list[str], unit_P: Ints, size_U: Ints) -> list[str]:
    """Return what there is to say of people who hang together."""
    tied_U = size_U > 1
    if not tied_U.any():
        return []
    largest = int(size_U.argmax())
    some = ", ".join(repr(names[person]) for person in np.flatnonzero(unit_P == largest)[:3].tolist())
    note = (
        f"{int(size_U[tied_U].sum()):,} of {len(names):,} people share a file or a near-duplicate face with another, "
        f"and stay in one part with them: {words.count(int(tied_U.sum()), 'group')}, the largest of "
        f"{int(size_U[largest]):,} people: {some}{', …' if size_U[largest] > 3 else ''}"
    )
    if size_U[largest] > max(FEWEST, LARGE * len(names)):
        note += ". That is many: they may be one person, or pictures of groups, or the encoder sees no difference"
    return [note]
