"""Files that list pairs of pictures by name, as ``pairs.txt`` of Labeled Faces in the Wild does.

The first line gives the number of folds and of pairs of each kind in a fold (``10 300``; without a number of folds
there is one). Then every fold lists its pairs of one person, ``name 1 4``, and then its pairs of different people,
``name 2 other 3``; fields are parted by tabs, or by spaces where a line has no tab.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omokage.errors import DatasetError
from omokage.evaluate.folds import steps_of
from omokage.evaluate.pairs import Steps


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a person by number."""

    name: str
    number: int

    def file(self, ending: str = ".jpg") -> str:
        """Return where it lies in a folder of people: ``name/name_0004.jpg``."""
        return f"{self.name}/{self.name}_{self.number:04d}{ending}"


@dataclass(frozen=True, slots=True)
class NamedPair:
    """Two pictures to compare."""

    a: Picture
    b: Picture
    fold: int
    """From 0."""

    @property
    def same(self) -> bool:
        """Return whether both are of one person."""
        return self.a.name == self.b.name


def parse(text: str) -> list[NamedPair]:
    """Return the pairs of a pairs file.

    Raises:
        DatasetError: A line is none of a pairs file, or there are too few or too many; said by its number.
    """
    lines = [(number, line) for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1) if line.strip()]
    if not lines:
        raise DatasetError("the pairs file is empty")
    folds, each = _head(lines[0][1])
    if len(lines) - 1 != 2 * folds * each:
        raise DatasetError(
            f"the pairs file promises {folds} folds of {each} and {each} pairs and has {len(lines) - 1:,} pairs"
        )
    return list(_pairs(lines[1:], each))


def by_fold(pairs: Sequence[NamedPair], score_N: Sequence[float]) -> list[Steps]:
    """Return the steps of every fold, for ``folds.cross_validated``.

    Args:
        pairs: Those that could be compared.
        score_N: The similarity of each.

    Raises:
        DatasetError: They are not equally many, or a similarity is no number.
    """
    if len(pairs) != len(score_N):
        raise DatasetError(f"{len(score_N):,} similarities do not go with {len(pairs):,} pairs")
    rows: dict[int, list[int]] = {}
    for row, pair in enumerate(pairs):
        rows.setdefault(pair.fold, []).append(row)
    return [steps_of([score_N[r] for r in rows[fold]], [pairs[r].same for r in rows[fold]]) for fold in sorted(rows)]


def _head(line: str) -> tuple[int, int]:
    """Return folds and pairs of each kind in a fold."""
    fields = line.split()
    if len(fields) not in (1, 2) or not all(field.isdecimal() and int(field) for field in fields):
        raise DatasetError(f"line 1 of a pairs file gives folds and pairs in a fold, like 10 300; got {line[:80]!r}")
    return (1, int(fields[0])) if len(fields) == 1 else (int(fields[0]), int(fields[1]))


def _pairs(lines: Sequence[tuple[int, str]], each: int) -> Iterator[NamedPair]:
    for n, (number, line) in enumerate(lines):
        fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]
        fold, place = divmod(n, 2 * each)
        wanted = "name number number" if place < each else "name number other number"
        numbers = [fields[1:2], fields[-1:]]
        if len(fields) != len(wanted.split()) or not all(field[0].isdecimal() for field in numbers):
            raise DatasetError(f"line {number} of the pairs file must read {wanted!r}, got {line[:80]!r}")
        pair = NamedPair(
            Picture(fields[0], int(fields[1])), Picture(fields[-2 if place >= each else 0], int(fields[-1])), fold
        )
        if place >= each and pair.same:
            raise DatasetError(f"line {number} of the pairs file is among pairs of different people: {line[:80]!r}")
        yield pair
