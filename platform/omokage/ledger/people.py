"""Who is one person, and who is not, after all decisions about people.

Decisions about people can contradict each other by way of third people: A and B are one, B and C are one, A and C are
two. The newest decisions win: they are gone through from the newest to the oldest, and one that does not fit what
newer ones say is left out, and named.

Shape key: K decisions, from the oldest to the newest; P people, as numbers from 0; D pairs of people.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NONE = -1


class Overruled(NamedTuple):
    """A decision that does not hold, because of a newer one."""

    decision: int
    """Place of the one that does not hold."""
    by: int
    """Place of the newer one that it does not fit."""


class Renamed(NamedTuple):
    """A merge of two who were one person already, and now go by another name."""

    decision: int
    before: int
    """Place of the decision that had given them their name."""
    old: int
    """Person by whom they went."""


class People(NamedTuple):
    """What holds."""

    goes_by: dict[int, int]
    """Person to the person by whose name they go, where that is another."""
    since: dict[int, int]
    """The same people to the place of the decision that made it so."""
    different_D2: NDArray[np.int64]
    """Pairs of people who are two, as they were decided on, in any order; one may be there twice. Shape (D, 2)."""
    overruled: list[Overruled]
    renamed: list[Renamed]


def settle(person_K: NDArray[np.int64], into_K: NDArray[np.int64], merge_K: NDArray[np.bool_]) -> People:
    """Return what follows from decisions about people.

    A person who is merged goes by the name by which ``into`` goes. Where the two are one person already, as in a
    circle, all of them go by the name of ``into`` from then on.

    Args:
        person_K: One person of each decision.
        into_K: The other.
        merge_K: Whether they are one; else they are two.
    """
    in_merges_P = np.zeros(1 + max(person_K.max(initial=0), into_K.max(initial=0)), np.bool_)
    in_merges_P[person_K[merge_K]] = in_merges_P[into_K[merge_K]] = True
    # Most decisions are that two people are two, and most of those fit whatever else was decided.
    asked_K = in_merges_P[person_K] & in_merges_P[into_K]
    held, overruled = _consistent(person_K, into_K, merge_K, np.flatnonzero(asked_K))
    names = _Names()
    for k in held:
        names.merge(k, int(person_K[k]), int(into_K[k]))
    goes_by, since = {}, {}
    for person in names.parent:
        name, at = names.of(person)
        if name != person:
            goes_by[person], since[person] = name, at
    two_K = ~merge_K
    two_K[[lost.decision for lost in overruled]] = False
    return People(goes_by, since, np.stack([person_K[two_K], into_K[two_K]], axis=1), overruled, names.renamed)


def _consistent(
    person_K: NDArray[np.int64], into_K: NDArray[np.int64], merge_K: NDArray[np.bool_], asked: NDArray[np.int64]
) -> tuple[list[int], list[Overruled]]:
    """Return which merges hold, and which decisions do not; of those that are asked about, each the oldest first."""
    groups = _Groups()
    held: list[int] = []
    overruled: list[Overruled] = []
    columns = (asked, person_K[asked], into_K[asked], merge_K[asked])
    for k, a, b, merge in zip(*(column[::-1].tolist() for column in columns), strict=True):
        by = groups.join(a, b, k) if merge else groups.part(a, b, k)
        if by != NONE:
            overruled.append(Overruled(k, by))
        elif merge:
            held.append(k)
    return held[::-1], overruled[::-1]


class _Groups:
    """Groups of people who are one, and which of the groups are two; decisions come from the newest to the oldest.

    Trees are balanced and not shortened, so that a path still tells which decision joined two people.
    """

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.link: dict[int, int] = {}
        """Decision that made a person's parent its parent."""
        self.weight: dict[int, int] = {}
        self.apart: dict[int, dict[int, int]] = {}
        """Root to the roots of other people, each with the newest decision that says so."""

    def join(self, a: int, b: int, k: int) -> int:
        """Make two people one; where they are two, return the decision that says so instead."""
        a, b = self._root(a), self._root(b)
        if a == b:
            return NONE
        if b in self.apart.get(a, ()):
            return self.apart[a][b]
        small, big = sorted((a, b), key=lambda root: self.weight.get(root, 1))
        self.parent[small], self.link[small] = big, k
        self.weight[big] = self.weight.get(big, 1) + self.weight.pop(small, 1)
        for other, by in self.apart.pop(small, {}).items():
            del self.apart[other][small]
            by = max(by, self.apart.setdefault(big, {}).get(other, NONE))
            self.apart[big][other] = self.apart[other][big] = by
        return NONE

    def part(self, a: int, b: int, k: int) -> int:
        """Make two people two; where they are one, return the decision that made them so instead."""
        root_a, root_b = self._root(a), self._root(b)
        if root_a == root_b:
            return self._joined(a, b)
        for root, other in ((root_a, root_b), (root_b, root_a)):
            self.apart.setdefault(root, {}).setdefault(other, k)
            self.weight[root] = self.weight.get(root, 1) + 1
        return NONE

    def _root(self, person: int) -> int:
        while person in self.parent:
            person = self.parent[person]
        return person

    def _joined(self, a: int, b: int) -> int:
        """Return the decision that made two people of a group one: the oldest link between them."""
        oldest = NONE
        while a != b:
            if self.link.get(a, NONE) < self.link.get(b, NONE):
                a, b = b, a
            oldest, a = self.link[a], self.parent[a]
        return oldest


class _Names:
    """Names of groups; merges come from the oldest to the newest."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.since: dict[int, int] = {}
        """Decision by which a person came below its parent, or a root got its name."""
        self.name: dict[int, int] = {}
        self.renamed: list[Renamed] = []

    def merge(self, k: int, person: int, into: int) -> None:
        below, root = self._root(person), self._root(into)
        if below != root:
            self.parent[below], self.since[below] = root, k
            self.since.setdefault(root, k)
        elif self.name[root] != into:
            self.renamed.append(Renamed(k, self.since[root], self.name[root]))
            self.name[root], self.since[root] = into, k

    def of(self, person: int) -> tuple[int, int]:
        """Return the name by which a person goes, and since which decision."""
        root = self._root(person)
        return self.name[root], max(self.since.get(person, NONE), self.since.get(root, NONE))

    def _root(self, person: int) -> int:
        self.parent.setdefault(person, person)
        self.name.setdefault(person, person)
        path = []
        while self.parent[person] != person:
            path.append(person)
            person = self.parent[person]
        for below in reversed(path):  # whoever is above is shortened already
            if self.parent[below] != person:
                self.since[below] = max(self.since[self.parent[below]], self.since[below])
                self.parent[below] = person
        return person
