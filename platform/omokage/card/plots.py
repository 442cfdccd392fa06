"""Plots as SVG elements of the page: no script, and colours by classes, so that they are right in dark and light."""

import html
from typing import Final

import numpy as np

from omokage.card.blocks import Bars, Spread
from omokage.sheet.words import decimal, visible

WIDTH: Final = 450
ROW: Final = 24
LABEL: Final = 110
"""Of a bar chart, in px: whole width, height of a row, room for labels."""

SMALL: Final = (300, 120)
"""Width and height of a spread."""

BINS: Final = 30

BASE: Final = 24
"""Room below a spread for its axis."""


def bars(of: Bars) -> str:
    """Return bars that lie, each with its number; what was before is drawn as a line at its end."""
    most = max(1, *of.values, *(of.before or (0,)))
    room = WIDTH - LABEL - 90
    height = ROW * len(of.values)
    rows = []
    for row, (label, value) in enumerate(zip(of.labels, of.values, strict=True)):
        y, wide = ROW * row, room * value / most
        text = html.escape(visible(label))
        rows.append(f'<text class="label" x="{LABEL - 10}" y="{y + 16}">{text}</text>')
        size = f'width="{max(wide, 2):.1f}" height="{ROW - 8}"'  # one of a million is still seen
        rows.append(f'<rect class="fill" x="{LABEL}" y="{y + 4}" {size} rx="2"/>' if value else "")
        end = wide
        was = of.before[row] if of.before else value
        if was != value:
            at = LABEL + room * was / most
            rows.append(f'<line class="was" x1="{at:.1f}" x2="{at:.1f}" y1="{y + 2}" y2="{y + ROW - 2}"/>')
            end = max(wide, room * was / most)
        said = f"{value:,}" + (f" (was {was:,})" if was != value else "")
        rows.append(f'<text class="value" x="{LABEL + end + 8:.1f}" y="{y + 16}">{said}</text>')
    return (
        f'<svg class="bars" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{html.escape(of.title)}">{"".join(rows)}</svg>'
    )


def spread(of: Spread) -> str:
    """Return a histogram of people, with the median and the ends of the axis."""
    wide, high = SMALL
    counts = np.histogram(np.clip(of.values, of.low, of.high), BINS, (of.low, of.high))[0]
    bar, top = wide / BINS, high - BASE
    columns = "".join(
        f'<rect class="fill" x="{bar * n + 0.5:.1f}" y="{top - (top - 6) * count / counts.max():.1f}" '
        f'width="{bar - 1:.1f}" height="{(top - 6) * count / counts.max():.1f}"/>'
        for n, count in enumerate(counts.tolist())
        if count
    )
    middle = of.quantiles()[1]
    at = wide * min(1.0, max(0.0, (middle - of.low) / (of.high - of.low)))
    anchor = "start" if at < 0.2 * wide else "end" if at > 0.8 * wide else "middle"
    low, median, end = (decimal(value, of.digits) for value in (of.low, middle, of.high))
    left = "" if anchor == "start" else f'<text class="axis" x="0" y="{high - 6}">{low}</text>'
    right = "" if anchor == "end" else f'<text class="axis end" x="{wide}" y="{high - 6}">{end}</text>'
    return (
        f'<svg class="spread" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" role="img" '
        f'aria-label="{html.escape(of.title)}">{columns}<line class="ground" x1="0" x2="{wide}" y1="{top}" y2="{top}"/>'
        f'<line class="was" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{top + 4}"/>'
        f'<text class="median" text-anchor="{anchor}" x="{at:.1f}" y="{high - 6}">median {median}</text>'
        f"{left}{right}</svg>"
    )
