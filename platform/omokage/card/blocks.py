"""What a page is made of, whatever it is written as. Text is plain: names may hold anything, and writers escape it.

A data card is such a page; so are an evaluation, an audit and a comparison (``omokage.assess``).
"""

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
class Plots:
    """Pictures with how to read each, next to each other where there is room."""

    plots: tuple[tuple[Picture, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """People with some of their faces."""

    title: str
    text: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A face that is shown beside another."""

    person: str
    uri: str
    jpeg: bytes
    """Empty where the dataset has no chip of it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two faces, side by side."""

    left: Seen
    right: Seen
    similarity: float
    """Cosine."""
    note: str = ""
    """What else is known of the two."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of faces to look at."""

    title: str
    text: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Two blocks next to each other, where there is room."""

    left: Table
    right: Bars


Block = Text | Points | Table | Bars | Spreads | Picture | Plots | Sample | Pairs | Beside


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """All of it."""

    kind: str
    """What it is, as a person would call it: Data card, Evaluation, …"""
    command: str
    """Of omokage that made it: what tells our own files from others."""
    title: str
    about: str
    """One line below the title."""
    totals: tuple[tuple[str, str], ...]
    """The biggest figures: number, and what it counts."""
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    """What to know before any figure is read."""
