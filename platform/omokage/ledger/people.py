"""Who is one person, and who is not, after all decisions about people.

Decisions about people can contradict each other by way of third people: A and B are one, B and C are one, A and C are
two. The newest decisions win: they are gone through from the newest to the oldest, and one that does not fit what
newer ones say is left out, and named.

Shape key: K decisions, from the oldest to the newest; people are numbers from 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

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
    different: frozenset[tuple[int, int]]
    """Pairs of people who are two, as they were decided on, smaller number first."""
    overruled: list[Overruled]
    renamed: list[Renamed]


def settle(person_K: Sequence[int], into_K: Sequence[int], merge_K: Sequence[bool]) -> People:
    """Return what follows from decisions about people.

    A person who is merged goes by the name by which ``into`` goes. Where the two are one person already, as in a
    circle, all of them go by the name of ``into`` from then on.

    Args:
        person_K: One person of each decision.
        into_K: The other.
        merge_K: Whether they are one; else they are two.
    """
    held, different, overruled = _consistent(person_K, into_K, merge_K)
    names = _Names()
    for k in held:
        names.merge(k, person_K[k], into_K[k])
    goes_by, since = {}, {}
    for person in names.parent:
        name, at = names.of(person)
        if name != person:
            goes_by[person], since[person] = name, at
    return People(goes_by, since, frozenset(different), overruled, names.renamed)


def _consistent(
    person_K: Sequence[int], into_K: Sequence[int], merge_K: Sequence[bool]
) -> tuple[list[int], set[tuple[int, int]], list[Overruled]]:
    """Return the merges that hold, the pairs that are two people, and what does not hold, each the oldest first."""
    groups = _Groups()
    held: list[int] = []
    different: set[tuple[int, int]] = set()
    overruled: list[Overruled] = []
    for k in range(len(person_K) - 1, -1, -1):
        a, b = person_K[k], into_K[k]
        by = groups.join(a, b, k) if merge_K[k] else groups.part(a, b, k)
        if by != NONE:
            overruled.append(Overruled(k, by))
        elif merge_K[k]:
            held.append(k)
        else:
            different.add((min(a, b), max(a, b)))
    return held[::-1], different, overruled[::-1]


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
