"""Which faces of one person are one shot: each is held against a few better ones, until one is found or none is.

Shape key: n faces of a person, B faces of a block, O faces of another block, T nearest ones, D numbers of an embedding.
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

TRIED: Final = 4
"""Kept faces with which the pixels of one face are compared at most; those whose small pictures fit best."""

HOPELESS: Final = 0.5
"""Likeness of pixels below which the second try is the last."""

BLOCK: Final = 2048
"""Faces on each side of one matrix product: 16 MB of similarities."""

LOOKS: Final = 128
"""Chips held ready to be compared: up to 1.3 MB each."""

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
    """Similarity from which the nearest face is looked at too; at most ``threshold``."""
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
        """Yield the faces that are like a better one: all those at the threshold, and the nearest one at the floor."""
        for start in range(0, len(self.rows), BLOCK):
            place_BT, alike_BT = self._nearest(start)
            for face in np.flatnonzero(alike_BT[:, 0] >= self.rule.floor).tolist():
                count = max(1, int((alike_BT[face] >= self.rule.threshold).sum()))
                near = dict(zip(place_BT[face, :count].tolist(), alike_BT[face, :count].tolist(), strict=True))
                yield Candidates(start + face, near)

    def _nearest(self, start: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the nearest better faces of a block of faces and their similarities; -1 where there is none."""
        mine_BD = self.vectors[self.rows[start : start + BLOCK]]
        own_B1 = np.arange(start, start + len(mine_BD))[:, None]
        place_BT = np.zeros((len(mine_BD), 0), np.int64)
        alike_BT = np.zeros((len(mine_BD), 0), np.float32)
        for other in range(0, start + 1, BLOCK):
            theirs_OD = mine_BD if other == start else self.vectors[self.rows[other : other + BLOCK]]
            place_O = np.arange(other, other + len(theirs_OD))
            alike_BO = np.where(place_O < own_B1, mine_BD @ theirs_OD.T, np.float32(-1))
            place_BO = np.broadcast_to(place_O, alike_BO.shape)
            if len(place_O) > NEAREST:
                near_BT = np.argpartition(-alike_BO, NEAREST - 1, axis=1)[:, :NEAREST]
                place_BO, alike_BO = np.take_along_axis(place_BO, near_BT, 1), np.take_along_axis(alike_BO, near_BT, 1)
            place_BT, alike_BT = np.hstack([place_BT, place_BO]), np.hstack([alike_BT, alike_BO])
            order_BT = np.lexsort((place_BT, -alike_BT), axis=1)[:, :NEAREST]
            place_BT, alike_BT = np.take_along_axis(place_BT, order_BT, 1), np.take_along_axis(alike_BT, order_BT, 1)
        return place_BT, np.minimum(alike_BT, 1)

    def settle(self, these: Candidates, chips: Chips) -> None:
        """Find what a face is to those that are kept. Better faces must have been settled before."""
        face, near = these.place, dict(these.near)
        for place in these.near:
            if place in self.gone and self.gone[place].to not in near:
                near[self.gone[place].to] = self._alike(face, self.gone[place].to)
        near = {place: alike for place, alike in near.items() if place not in self.gone}
        rows = {place: int(self.rows[place]) for place in near}
        found: dict[int, Found] = {}
        for place in chips.likeliest(int(self.rows[face]), rows):
            found[place] = self._look(face, place, near[place], chips)
            if found[place].kind in ("same_file", "same_shot"):
                self.gone[face] = found[place]
                self.listed.pop(place, None)  # it stands for others now, in a cluster of its own
                return
            seen = found[place].likeness
            if len(found) == TRIED or (len(found) > 1 and seen is not None and seen.pixels < HOPELESS):
                break
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
