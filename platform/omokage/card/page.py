"""A document as one HTML file that needs nothing else: no network, no script, no other file."""

import base64
import html
import posixpath
import re
from collections.abc import Iterator
from importlib import resources
from typing import Final

from omokage.card import plots
from omokage.card.blocks import (
    Bars,
    Beside,
    Block,
    Document,
    Pair,
    Pairs,
    Picture,
    Plots,
    Points,
    Sample,
    Section,
    Seen,
    Spread,
    Spreads,
    Table,
    Text,
)
from omokage.sheet import page as sheet
from omokage.sheet.words import decimal, name, quoted_place, visible

EXACT: Final = re.compile(r"[^A-Za-z0-9]+")
"""What an id of an element is not made of."""


def made_by(command: str) -> str:
    """Return the element that stands near the start of every page of a command, so that no other file is replaced."""
    return f'<meta name="generator" content="omokage {command}">'


def page(document: Document) -> Iterator[str]:
    """Yield the parts of the file."""
    style = resources.files("omokage.card").joinpath("card.css").read_text(encoding="utf-8")
    yield sheet.opening(f"{document.title} · {document.kind.lower()}", made_by(document.command), style)
    yield f'<header>\n<p class="kind">{html.escape(document.kind)}</p>\n<h1>{name(document.title)}</h1>\n'
    yield f'<p class="from">{name(document.about)}</p>\n<ul class="totals">\n'
    for count, what in document.totals:
        yield f'<li id="{EXACT.sub("-", what)}"><b>{html.escape(count)}</b> {html.escape(what)}</li>\n'
    yield "</ul>\n"
    if document.warnings:
        rows = "".join(f"<li>{name(warning)}</li>\n" for warning in document.warnings)
        yield f'<section class="warnings">\n<h2>Before you read on</h2>\n<ul>\n{rows}</ul>\n</section>\n'
    yield "</header>\n<main>\n"
    for number, section in enumerate(document.sections):
        yield from _section(number, section)
    yield (
        "</main>\n<footer>\n<p>This file may hold pictures of faces. Keep it as you keep the pictures. "
        "It opens no connection.</p>\n</footer>\n</body>\n</html>\n"
    )


def _section(number: int, section: Section) -> Iterator[str]:
    yield f'<section class="part" id="s{number}">\n<h2>{html.escape(section.title)}</h2>\n'
    for place, block in enumerate(section.blocks):
        yield from _block(f"s{number}-{place}", block)
    yield "</section>\n"


def _block(key: str, block: Block) -> Iterator[str]:
    match block:
        case Text(text):
            yield f"<p>{name(text)}</p>\n"
        case Points(points):
            yield '<ul class="points">\n' + "".join(f"<li>{name(point)}</li>\n" for point in points) + "</ul>\n"
        case Table():
            yield _table(block)
        case Bars():
            yield f"<h3>{html.escape(block.title)}</h3>\n{plots.bars(block)}\n"
        case Spreads(spreads):
            yield '<div class="spreads">\n' + "".join(map(_spread, spreads)) + "</div>\n"
        case Beside(left, right):
            yield f'<div class="beside">{_table(left)}<div>'
            yield from _block(key, right)
            yield "</div></div>\n"
        case Picture() | Plots():
            yield _plots(block)
        case Sample() | Pairs():
            yield from _faces(key, block)


def _plots(block: Picture | Plots) -> str:
    if isinstance(block, Picture):
        return f'<p class="plot">{_image(block)}</p>\n'
    figures = "".join(
        f'<figure class="plot">{_image(picture)}<figcaption>{html.escape(reading)}</figcaption></figure>\n'
        for picture, reading in block.plots
    )
    return f'<div class="plots">\n{figures}</div>\n'


def _image(of: Picture) -> str:
    source = base64.b64encode(of.png).decode()
    return f'<img src="data:image/png;base64,{source}" alt="{html.escape(of.alt)}">'


def _faces(key: str, block: Sample | Pairs) -> Iterator[str]:
    yield f"<h3>{html.escape(block.title)}</h3>\n<p>{html.escape(block.text)}</p>\n"
    if isinstance(block, Pairs):
        bare = bool(block.pairs) and not any(side.jpeg for of in block.pairs for side in (of.left, of.right))
        yield "<p>The dataset keeps no chips of these faces: they are told by name.</p>\n" if bare else ""
        yield '<div class="pairs">\n' + "".join(_pair(of, bare) for of in block.pairs) + "</div>\n"
        return
    for number, group in enumerate(block.groups):
        yield from sheet.section(f"{key}-{number}", group)


def _table(table: Table) -> str:
    kind = "numbers" if table.numbers else "words"
    head = ""
    if any(table.head):
        head = "<tr>" + "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in table.head) + "</tr>\n"
    rows = "".join(
        f'<tr><th scope="row">{name(first)}</th>'
        + "".join(f"<td>{name(cell) if cell else ''}</td>" for cell in cells)
        + "</tr>\n"
        for first, *cells in table.rows
    )
    return f'<div class="wide"><table class="{kind}">\n{head}{rows}</table></div>\n'


def _pair(of: Pair, bare: bool) -> str:
    sides = (of.left,) if of.left.person == of.right.person else (of.left, of.right)
    names = "".join(
        f'<span class="person" title="{html.escape(visible(side.person))}">{name(side.person)}</span>' for side in sides
    )
    note = f'<span class="note">{html.escape(of.note)}</span>' if of.note else ""
    return (
        f'<figure class="pair">{_seen(of.left, bare)}{_seen(of.right, bare)}'
        f"<figcaption><b>{decimal(of.similarity, 3)}</b>{names}{note}</figcaption></figure>\n"
    )


def _seen(of: Seen, bare: bool) -> str:
    file = f'<span class="file">{name(posixpath.basename(of.uri))}</span>'
    return f'<span class="seen" title="{quoted_place(of.uri)}">{"" if bare else sheet.image(of.jpeg)}{file}</span>'


def _spread(of: Spread) -> str:
    five, middle, most = (decimal(value, of.digits) for value in of.quantiles())
    meaning = f"{of.meaning}; " if of.meaning else ""
    said = f"{meaning}5 % of people below {five}, half {middle}, 95 % {most}"
    return f"<div><h3>{html.escape(of.title)}</h3>{plots.spread(of)}<p>{html.escape(said)}</p></div>\n"
