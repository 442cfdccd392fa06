"""What a card is made of, whatever it is written as. Text is plain: names may hold anything, and writers escape it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omokage.sheet.choose import Group


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences."""

    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first cell of each says what the row is about."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: bool = True
    """Whether all cells but the first are numbers."""


@dataclass(frozen=True, slots=True)
class Bars:
    """How many there are of each kind."""

    title: str
    labels: tuple[str, ...]
    values: tuple[int, ...]
    before: tuple[int, ...] | None = None
    """What they were before the decisions."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How the values of many people spread."""

    title: str
    meaning: str
    values: NDArray[np.float64]
    """Without NaN."""
    digits: int
    low: float
    high: float
    """Ends of the axis; what lies outside is counted into the outermost bars."""

    def quantiles(self) -> tuple[float, float, float]:
        """Return the 5 %, 50 % and 95 % quantiles."""
        five, half, most = np.quantile(self.values, (0.05, 0.5, 0.95))
        return float(five), float(half), float(most)


@dataclass(frozen=True, slots=True)
class Spreads:
    """Several side by side."""

    spreads: tuple[Spread, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG."""

    png: bytes
    alt: str


@dataclass(frozen=True, slots=True)
class Sample:
    """People with some of their faces."""

    title: str
    text: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Two blocks next to each other, where there is room."""

    left: Table
    right: Bars


Block = Text | Points | Table | Bars | Spreads | Picture | Sample | Beside


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the card."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """All of it."""

    title: str
    about: str
    """One line below the title."""
    totals: tuple[tuple[str, str], ...]
    """The biggest figures: number, and what it counts."""
    sections: tuple[Section, ...]
