"""Figures that can be drawn anywhere: without a display, in light, with the fonts that this machine has.

Names of people's making (encoders, groups) are drawn as they are where a font on this machine has their characters, and
spelt out by number where none has.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

COLOURS: Final = ("#2f6db2", "#b2452f", "#3d8b5f", "#8a5fa8", "#b8860b", "#4a9aa8", "#c2568f", "#6b6b6b")

FONTS: Final = {
    "NotoSansCJK-Regular": "Noto Sans CJK JP",
    "NotoSansJP-Regular": "Noto Sans JP",
    "ipaexg": "IPAexGothic",
    "ipag": "IPAGothic",
    "TakaoPGothic": "TakaoPGothic",
    "YuGothM": "Yu Gothic",
    "meiryo": "Meiryo",
    "msgothic": "MS Gothic",
    "NotoSans-Regular": "Noto Sans",
}
"""By file: fonts that stand in for what matplotlib's own lacks, Japanese above all, where this machine has them."""

OWN: Final = "DejaVu Sans"

BROAD: Final = 75
"""Characters that a legend has room for side by side."""

SIGN: Final = 8
"""Characters that the sign before a label takes, with the room between columns."""

ROW: Final = 0.19
"""Height of a row of a legend, in inches."""

LONGEST: Final = 32
"""Characters of a name that are drawn."""


class Plot:
    """A figure that can be written: to a page and to a file, so it is drawn once."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self._drawn: dict[str, bytes] = {}
        with style():  # laid out once: each layout begins where the last one ended
            figure.draw_without_rendering()
            figure.set_layout_engine("none")

    def png(self) -> bytes:
        """Return the plot as a PNG."""
        return self._saved("png", {"Software": "omokage"})

    def svg(self) -> bytes:
        """Return the plot as an SVG: characters are outlines, so that it looks the same everywhere."""
        return self._saved("svg", {"Creator": "omokage", "Date": None})

    def _saved(self, kind: str, metadata: Mapping[str, str | None]) -> bytes:
        if kind not in self._drawn:
            out = io.BytesIO()
            with style():
                self.figure.savefig(out, format=kind, metadata=dict(metadata))
            self._drawn[kind] = out.getvalue()
        return self._drawn[kind]


def shown(name: str) -> str:
    """Return a name as it can be drawn: spelt out what no font has, no markup, not too long."""
    fonts = charsets()
    name = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    drawn = "".join(
        char if char.isprintable() and any(ord(char) in font for font in fonts) else _spelt(char) for char in name
    )
    # a label that begins with an underscore would be hidden
    return " " + drawn if drawn.startswith("_") else drawn or '""'


def _spelt(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


@lru_cache(maxsize=1)
def _fonts() -> tuple[str, ...]:
    """Return the fonts to draw with, matplotlib's own first."""
    here = {font.name for font in font_manager.fontManager.ttflist}
    if here.isdisjoint(FONTS.values()):  # matplotlib's list may be older than the fonts
        for file in font_manager.findSystemFonts():
            if Path(file).stem in FONTS:
                font_manager.fontManager.addfont(file)
        here = {font.name for font in font_manager.fontManager.ttflist}
    return (OWN, *(name for name in FONTS.values() if name in here))


@lru_cache(maxsize=1)
def charsets() -> tuple[frozenset[int], ...]:
    """Return the characters of each font."""
    files = [font_manager.findfont(name) for name in _fonts()]
    return tuple(frozenset(font_manager.get_font(file).get_charmap()) for file in files)


@contextmanager
def style() -> Iterator[None]:
    """Draw in light, with fonts that this machine has, the same each time."""
    with rc_context({"font.family": list(_fonts()), "font.size": 9.5, "svg.hashsalt": "omokage"}):
        yield


@contextmanager
def framed(x: str, y: str) -> Iterator[tuple[Figure, Axes]]:
    """Give a figure with one frame."""
    with style():
        figure = Figure(figsize=(6.2, 4.7), dpi=150, layout="constrained")
        frame = figure.subplots()
        frame.set(xlabel=x, ylabel=y)
        frame.grid(alpha=0.3)
        frame.spines[["top", "right"]].set_visible(False)
        yield figure, frame


def named_axes(frame: Axes, names: Sequence[str], place: NDArray[Any]) -> None:
    """Write the names of groups along both axes."""
    labels = [shown(name) for name in names]
    frame.set_xticks(place, labels, rotation=40, ha="right", parse_math=False)
    frame.set_yticks(place, labels, parse_math=False)


def legend(frame: Axes) -> None:
    """Draw the legend above the frame, where it hides nothing; the figure grows by it."""
    labels = frame.get_legend_handles_labels()[1]
    if not labels:
        return
    rows = next(rows for rows in range(1, len(labels) + 1) if rows == len(labels) or _broad(labels, rows) <= BROAD)
    columns = -(-len(labels) // rows)
    figure = frame.get_figure()
    if isinstance(figure, Figure):
        figure.set_figheight(figure.get_figheight() + ROW * rows)
    for text in frame.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False).get_texts():
        text.set_parse_math(False)  # what is between dollars is no formula


def _broad(labels: Sequence[str], rows: int) -> int:
    """Return how many characters the columns of a legend take, which is filled column by column."""
    return sum(max(map(len, labels[top : top + rows])) + SIGN for top in range(0, len(labels), rows))


def plain_rates(axis: Axis) -> None:
    """Mark a logarithmic axis at 1, 2 and 5 of each decade, or at 1 alone where there are many, in plain numbers."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1,) if high / max(low, 1e-300) > 100 else (1, 2, 5), numticks=20))
    axis.set_major_formatter(plain_rate)
    axis.set_minor_formatter(NullFormatter())


def plain_rate(rate: float, _: Any = None) -> str:
    """Return a rate as an axis shows it."""
    return f"{rate:.4g}".replace("e-0", "e-")


def scale(told_GG: NDArray[np.float64], log: bool) -> Normalize:
    """Return a scale of colours so wide that what is nearly the same looks nearly the same."""
    told = told_GG[np.isfinite(told_GG)]
    if log and (told > 0).any():
        least = float(told[told > 0].min())
        return LogNorm(least, max(float(told.max()), 10 * least))
    if log or not len(told):
        return Normalize(0, 1)
    return Normalize(float(told.min()), max(float(told.max()), float(told.min()) + 0.1))


def colours() -> Iterator[str]:
    """Yield one colour after another, from the first again when all were used."""
    while True:
        yield from COLOURS
