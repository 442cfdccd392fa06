"""What goes wrong in collections of pictures, planted on purpose, and the list of files to draw.

A plan is a list of ``Item``: each says all that is needed to draw one file, so files can be drawn in any order and by
any number of processes. Ordinary pictures do not depend on whether faults are planted; a split only moves some.
"""

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

import numpy as np

from omokage.synth import names
from omokage.synth.formats import FORMATS

FAULTS: Final = {
    "split": "lies in a second folder of the same person",
    "reencoded": "a picture of the folder again, saved at a lower quality",
    "resized": "a picture of the folder again, smaller",
    "cropped": "a picture of the folder again, with its border cut off",
    "copied": "the very bytes of a picture of another folder",
    "stranger": "shows somebody else than the folder's person",
    "group": "shows several people",
    "no_face": "shows nobody",
    "truncated": "a JPEG cut off in the middle",
    "empty": "a file of no bytes",
    "not_a_picture": "text under a picture's name",
    "wrong_extension": "a PNG under a JPEG's name; readable",
    "other_file": "a file that nobody takes for a picture",
}
"""Kind: what it means."""

BROKEN: Final = ("truncated", "empty", "not_a_picture", "other_file")
"""Kinds of which no pixel can be had."""

EXTRA_SHOT: Final = 100_000
"""Planted pictures take shots from here on, ordinary ones from 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One file to draw."""

    path: str
    """Relative to the pictures folder."""
    people: tuple[int, ...]
    """Numbers of those in the picture; the first is the one who matters. Empty: nobody."""
    shot: int
    encoding: str = "jpeg"
    quality: int = 90
    fault: str | None = None
    original: str | None = None
    shrink: float = 1.0
    """Side after resizing, as a share of the drawn side, in (0, 1]."""
    keep: float = 1.0
    """Side after cropping round the middle, as a share, in (0, 1]."""

    @property
    def folder(self) -> str:
        """The first folder level."""
        return PurePosixPath(self.path).parts[0]


def ordinary(seed: int, people: int, pictures: int) -> list[Item]:
    """Return the pictures without faults: ``pictures`` of each person in a folder of the person's name."""
    return [
        Item(
            path=f"{names.name(number)}/{shot:03d}.jpg",
            people=(number,),
            shot=shot,
            quality=int(np.random.default_rng([seed, number, 4, shot]).integers(68, 97)),
        )
        for number in range(people)
        for shot in range(pictures)
    ]


def plant(items: list[Item], seed: int, people: int, pictures: int) -> list[Item]:
    """Return ``items`` with faults among them; how many of each grows with people and pictures."""
    return _Planter(items, seed, people, pictures).plant()


class _Planter:
    def __init__(self, items: list[Item], seed: int, people: int, pictures: int) -> None:
        self.items = list(items)
        self.rng = np.random.default_rng([seed, people, pictures, 5])
        self.people = people
        self.few = max(1, people * pictures // 200)
        self.some = max(1, people // 6)
        self.next = {names.name(number): pictures for number in range(people)}
        self.shots = EXTRA_SHOT

    def plant(self) -> list[Item]:
        self._split()
        for kind in ("reencoded", "resized", "cropped"):
            for _ in range(self.some):
                self._repeat(kind)
        for _ in range(max(1, self.people // 12)):
            self._copy()
        for turn in range(2 * self.few):
            self._stranger(outsider=turn % 2 == 0, turn=turn)
        for _ in range(2 * self.few):
            self._group()
            self._add("no_face", ())
        for _ in range(self.few):
            self._broken()
            for encoding in FORMATS:
                if encoding != "jpeg":
                    self._add(None, (self._somebody(),), encoding=encoding)
        return self.items

    def _split(self) -> None:
        """Move the later half of some people's pictures to a folder of another name."""
        count = min(self.people, max(1, self.people // 12))
        for place, number in enumerate(sorted(self.rng.choice(self.people, count, replace=False).tolist())):
            mine = [row for row, item in enumerate(self.items) if item.people[0] == number]
            for step, row in enumerate(mine[len(mine) // 2 :] if len(mine) > 1 else ()):
                path = f"{names.album(place)}/{step:03d}.jpg"
                self.items[row] = replace(self.items[row], path=path, fault="split")
                self.next[names.album(place)] = step + 1

    def _somebody(self) -> int:
        return int(self.rng.integers(self.people))

    def _add(
        self, fault: str | None, people: tuple[int, ...], *, folder: str | None = None, encoding: str = "jpeg"
    ) -> None:
        """Append a new picture to a folder: the first person's own unless another is named."""
        self.shots += 1
        owner = folder or names.name(people[0] if people else self._somebody())
        quality = int(self.rng.integers(70, 96))
        item = Item(path="", people=people, shot=self.shots, encoding=encoding, quality=quality, fault=fault)
        self.items.append(replace(item, path=self._path(owner, FORMATS[encoding][0])))

    def _path(self, folder: str, ending: str) -> str:
        number = self.next[folder]
        self.next[folder] = number + 1
        return f"{folder}/{number:03d}{ending}"

    def _original(self) -> Item:
        plain = [item for item in self.items if item.fault is None and item.encoding == "jpeg"]
        return plain[int(self.rng.integers(len(plain)))]

    def _repeat(self, kind: str) -> None:
        first = self._original()
        path = self._path(first.folder, ".jpg")
        again = replace(first, path=path, fault=kind, original=first.path)
        if kind == "reencoded":
            again = replace(again, quality=int(self.rng.integers(35, 60)))
        elif kind == "resized":
            again = replace(again, shrink=round(float(self.rng.uniform(0.5, 0.75)), 3))
        else:
            again = replace(again, keep=round(float(self.rng.uniform(0.86, 0.94)), 3))
        self.items.append(again)

    def _copy(self) -> None:
        first = self._original()
        others = [folder for folder in self.next if folder != first.folder] or [first.folder]
        folder = others[int(self.rng.integers(len(others)))]
        self.items.append(
            replace(first, path=self._path(folder, ".jpg"), fault="copied", original=first.path),
        )

    def _stranger(self, *, outsider: bool, turn: int) -> None:
        owner = self._somebody()
        who = names.STRANGERS + turn
        if not outsider and self.people > 1:
            who = (owner + 1 + int(self.rng.integers(self.people - 1))) % self.people
        self._add("stranger", (who,), folder=names.name(owner))

    def _group(self) -> None:
        count = min(self.people, int(self.rng.integers(2, 5)))
        picked = tuple(self.rng.choice(self.people, count, replace=False).tolist())
        while len(picked) < 2:
            picked = (*picked, names.STRANGERS + 500_000)
        self._add("group", picked)

    def _broken(self) -> None:
        for kind in ("truncated", "empty", "not_a_picture"):
            self._add(kind, (self._somebody(),) if kind == "truncated" else ())
        self._add("wrong_extension", (self._somebody(),))
        item = self.items[-1]
        self.items[-1] = replace(item, encoding="png")
        folder = names.name(self._somebody())
        path = self._path(folder, ".txt").replace(f"{folder}/", f"{folder}/notes ")
        self.items.append(Item(path=path, people=(), shot=0, fault="other_file"))
