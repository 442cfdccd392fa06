"""Which faces of one person are one shot: each is held against a few better ones, until one is found or none is.

Shape key: n faces of a person, B faces of a block, H of them, O faces of another block,
T nearest ones, D numbers of an embedding.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.gallery import Vectors
from omokage.vision import likeness
from omokage.vision.likeness import Likeness, Look

NEAREST: Final = 16
"""Better faces that may be candidates of one face: the most alike."""

BELOW: Final = 3
"""Of those, how many are candidates although they are below the threshold: copies of small faces are the third nearest
at times."""

TRIED: Final = 6
"""Kept faces with which the pixels of one face are compared at most; those whose small pictures fit best."""

BLOCK: Final = 2048
"""Faces on each side of one matrix product: 16 MB of similarities."""

LOOKS: Final = 128
"""Chips held ready to be compared: up to 1.3 MB each."""

NONE: Final = -2.0
"""In place of a similarity where there is no such face."""

EQUAL: Final = Likeness(1.0, 1.0, 0.0)
"""Of chips that are the same bytes."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """A face, and better ones of the same person that may be the same shot."""

    place: int
    """Of the face in its person, best first."""
    near: dict[int, float]
    """Place of a better face: similarity; the most alike first."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one face is to another one, which is kept."""

    kind: schema.SameFace
    to: int
    """Place of the face that is kept."""
    similarity: float
    likeness: Likeness | None
    """None where there is no chip to look at."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Where the cuts lie."""

    threshold: float
    """Similarity from which faces are looked at, and listed."""
    floor: float
    """Similarity from which the nearest few are looked at too; at most ``threshold``."""
    pixels: float
    """Likeness of pixels from which two chips are one shot."""


class Chips:
    """Chips by row of the gallery: fetched many at once, decoded once while they are in use."""

    def __init__(self, fetch: Callable[[NDArray[np.int64]], list[bytes]]) -> None:
        self._fetch = fetch
        self._data: dict[int, bytes] = {}
        self._looks: dict[int, Look | None] = {}

    def fetch(self, rows: Iterable[int]) -> None:
        """Have the chips of ``rows`` at hand, and let go of the others."""
        want = sorted(set(rows))
        missing = [row for row in want if row not in self._data]
        fresh = dict(zip(missing, self._fetch(np.array(missing, np.int64)), strict=True)) if missing else {}
        self._data = {row: fresh[row] if row in fresh else self._data[row] for row in want}

    def compare(self, row_a: int, row_b: int) -> Likeness | None:
        """Return how alike two chips are; None where one is missing or broken."""
        look_a, look_b = self._look(row_a), self._look(row_b)
        if look_a is None or look_b is None:
            return None
        return EQUAL if self._bytes(row_a) == self._bytes(row_b) else likeness.compare(look_a, look_b)

    def likeliest(self, row: int, others: dict[int, int]) -> list[int]:
        """Return the keys of ``others`` (key: row), those first whose small pictures fit best; stable."""
        look = self._look(row) if len(others) > 1 else None
        if look is None:
            return list(others)
        fits = {key: likeness.glance(look, it) if (it := self._look(o)) else -1.0 for key, o in others.items()}
        return sorted(others, key=lambda key: -fits[key])

    def _bytes(self, row: int) -> bytes:
        if row not in self._data:
            self._data[row] = self._fetch(np.array([row]))[0]
        return self._data[row]

    def _look(self, row: int) -> Look | None:
        look = self._looks.pop(row) if row in self._looks else likeness.try_look(self._bytes(row))
        self._looks[row] = look  # the last one used stands last
        if len(self._looks) > LOOKS:
            del self._looks[next(iter(self._looks))]
        return look


class Person:
    """The faces of one person, numbered from the best to the worst, and what has been found of each.

    ``rows`` of the gallery and the hash of each one's file come in that order.
    """

    def __init__(self, rows: NDArray[np.int64], sha_n: list[str], vectors: Vectors, rule: Rule) -> None:
        self.rows, self.sha_n, self.vectors, self.rule = rows, sha_n, vectors, rule
        self.gone: dict[int, Found] = {}
        """Faces that go, each to the face that is kept in its stead."""
        self.listed: dict[int, Found] = {}
        """Faces that are kept but alike, each to the best face of its cluster."""

    def candidates(self) -> Iterator[Candidates]:
        """Yield the faces that have a better one at the floor, with those at the threshold and the nearest few."""
        for start in range(0, len(self.rows), BLOCK):
            place_BT, alike_BT = self._nearest(start)
            for face in np.flatnonzero(alike_BT[:, 0] >= self.rule.floor).tolist():
                few = int((alike_BT[face, :BELOW] >= self.rule.floor).sum())
                count = max(few, int((alike_BT[face] >= self.rule.threshold).sum()))
                near = dict(zip(place_BT[face, :count].tolist(), alike_BT[face, :count].tolist(), strict=True))
                yield Candidates(start + face, near)

    def _nearest(self, start: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the nearest better faces of a block of faces, and their similarities: ``NONE`` below the floor."""
        mine_BD = self.vectors[self.rows[start : start + BLOCK]]
        place_BT = np.zeros((len(mine_BD), NEAREST), np.int64)
        alike_BT = np.full((len(mine_BD), NEAREST), NONE, np.float32)
        for other in range(0, start + 1, BLOCK):
            theirs_OD = mine_BD if other == start else self.vectors[self.rows[other : other + BLOCK]]
            alike_BO = mine_BD @ theirs_OD.T
            if other == start:
                place_B = np.arange(len(mine_BD))
                alike_BO[place_B[:, None] <= place_B] = NONE  # no better faces, or itself
            # most faces of most blocks are like nobody, and finding the nearest costs more than the product
            hot = np.flatnonzero(alike_BO.max(axis=1) >= np.maximum(alike_BT[:, -1], self.rule.floor))
            if not len(hot):
                continue
            alike_HO = np.minimum(alike_BO[hot], 1)
            near_HT = np.argpartition(-alike_HO, min(NEAREST, alike_HO.shape[1]) - 1, axis=1)[:, :NEAREST]
            place_HT = np.hstack([place_BT[hot], near_HT + other])
            alike_HT = np.hstack([alike_BT[hot], np.take_along_axis(alike_HO, near_HT, 1)])
            order_HT = np.lexsort((place_HT, -alike_HT), axis=1)[:, :NEAREST]
            place_BT[hot] = np.take_along_axis(place_HT, order_HT, 1)
            alike_BT[hot] = np.take_along_axis(alike_HT, order_HT, 1)
        return place_BT, alike_BT

    def settle(self, these: Candidates, chips: Chips) -> None:
        """Find what a face is to those that are kept. Better faces must have been settled before."""
        face, near = these.place, dict(these.near)
        for place in these.near:
            if place in self.gone and self.gone[place].to not in near:
                near[self.gone[place].to] = self._alike(face, self.gone[place].to)
        near = {place: alike for place, alike in near.items() if place not in self.gone}
        rows = {place: int(self.rows[place]) for place in near}
        found: dict[int, Found] = {}
        for place in chips.likeliest(int(self.rows[face]), rows)[:TRIED]:
            found[place] = self._look(face, place, near[place], chips)
            if found[place].kind in ("same_file", "same_shot"):
                self.gone[face] = found[place]
                self.listed.pop(place, None)  # it stands for others now, in a cluster of its own
                return
        self._list(face, near, found, chips)

    def _look(self, face: int, other: int, alike: float, chips: Chips) -> Found:
        seen = chips.compare(int(self.rows[face]), int(self.rows[other]))
        kind: schema.SameFace = "unknown" if seen is None else "other_shot"
        if seen is not None and seen.pixels >= self.rule.pixels:
            kind = "same_shot"
        # a file may hold several faces, and equal bytes give equal vectors
        if self.sha_n[face] == self.sha_n[other] and kind != "other_shot" and alike >= self.rule.threshold:
            kind = "same_file"
        return Found(kind, other, alike, seen)

    def _list(self, face: int, near: dict[int, float], found: dict[int, Found], chips: Chips) -> None:
        """Note a face that is kept, in the cluster of the most alike face that is the best of one or may become it."""
        near = dict(near)
        for place in [self.listed[place].to for place in near if place in self.listed]:
            if place not in near:
                near[place] = self._alike(face, place)
        near = {place: alike for place, alike in near.items() if alike >= self.rule.threshold}
        heads = [place for place in near if place not in self.listed] or list(near)
        if not heads:
            return
        head = min(heads, key=lambda place: (-near[place], place))
        self.listed.pop(head, None)
        self.listed[face] = found[head] if head in found else self._look(face, head, near[head], chips)

    def _alike(self, a: int, b: int) -> float:
        one, other = self.vectors[self.rows[[a, b]]]
        return float(np.minimum(one @ other, 1))
