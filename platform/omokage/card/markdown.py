"""A document as Markdown: the same facts, without pictures."""

import re
from collections.abc import Iterator
from typing import Final

from omokage.card.blocks import Bars, Beside, Block, Document, Points, Spread, Spreads, Table, Text
from omokage.sheet.words import decimal, visible

MADE_BY: Final = "<!-- omokage report -->"

SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#&~])")
"""What could begin markup within a line; names may hold anything."""


def markdown(card: Document) -> str:
    """Return the file's text."""
    parts = [MADE_BY, f"# {_plain(card.title)}", _plain(card.about)]
    parts.append("\n".join(f"- {number} {what}" for number, what in card.totals))
    for section in card.sections:
        written = [text for block in section.blocks for text in _block(block)]
        if written:
            parts += [f"## {_plain(section.title)}", *written]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text(text):
            yield _plain(text)
        case Points(points):
            yield "\n".join(f"- {_plain(point)}" for point in points)
        case Table():
            yield _table(block)
        case Beside(left, right):
            yield from (*_block(left), *_block(right))
        case Bars(title, labels, values, before):
            yield f"### {_plain(title)}"
            head = ("", "count") if before is None else ("", "after", "before")
            columns = (values,) if before is None else (values, before)
            rows = [(label, *(f"{n:,}" for n in row)) for label, *row in zip(labels, *columns, strict=True)]
            yield _table(Table(head, tuple(rows)))
        case Spreads(spreads):
            yield _table(Table(("", "5 %", "median", "95 %"), tuple(map(_quantiles, spreads))))


def _quantiles(of: Spread) -> tuple[str, ...]:
    return (of.title, *(decimal(value, of.digits) for value in of.quantiles()))


def _table(table: Table) -> str:
    right = "---:" if table.numbers else "---"
    lines = [table.head, ("---", *[right] * (len(table.head) - 1))]
    return "\n".join(
        [
            *(f"| {' | '.join(cells)} |" for cells in lines),
            *(f"| {' | '.join(map(_plain, row))} |" for row in table.rows),
        ]
    )


def _plain(text: str) -> str:
    """Return text that means itself in Markdown; spaces at its ends do not count there."""
    return SPECIAL.sub(r"\\\1", visible(text))
