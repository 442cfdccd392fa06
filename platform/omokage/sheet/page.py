"""A contact sheet as one HTML file that needs nothing else: no network, no script, no other file."""

import base64
import hashlib
import html
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from omokage import schema
from omokage.report import Summary
from omokage.sheet.choose import Chip, Group
from omokage.sheet.words import count, decimal, name, place, quoted_place, visible

MADE_BY: Final = '<meta name="generator" content="omokage sheet">'
"""Stands near the start of every sheet, so that no other file is ever written over."""

LEAST: Final = 12
"""Identities in the list of those with the least typical faces."""

STEPS: Final = 40
"""Lengths that the bar under a face can have."""

MEANING: Final[dict[schema.Reason, str]] = {
    "none_found": "the detector saw no face",
    "too_small": "every face was below the smallest side that was asked for",
    "broken_link": "a link to nothing",
    "link_loop": "a folder that leads back into itself",
    "unreadable_folder": "a folder that may not be read",
    "unreadable": "missing, or not permitted, when it was opened; the next ingest tries again",
    "empty": "a file of no bytes",
    "not_a_picture": "a file of another kind, whatever its name says",
    "truncated": "the file ends before its picture does",
    "undecodable": "a damaged picture",
    "too_many_pixels": "more pixels than are allowed; the next ingest tries again",
    "several_faces": "more than one face, where one was asked for",
    "crashed": "it ended the decoder or the detector twice",
    "not_aligned": "landmarks that no face can be cut by",
    "not_encoded": "the encoder gave no usable numbers",
}

STATUS: Final[dict[str, str]] = {"ok": "with a face", "no_face": "without a face", "failed": "failed"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejects:
    """Pictures that gave no face, for one reason."""

    reason: str
    pictures: int
    names: tuple[str, ...]
    """The first of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """Everything that a sheet shows."""

    holds: Summary
    licences: dict[str, str]
    """Of the model files that made the dataset."""
    rejects: tuple[Rejects, ...]
    groups: tuple[Group, ...]

    @property
    def shown(self) -> int:
        """Faces shown."""
        return sum(group.shown for group in self.groups)

    @property
    def identities(self) -> int:
        """Identities that have a section."""
        return sum(group.identity is not None for group in self.groups)


def page(content: Content) -> Iterator[str]:
    """Yield the parts of the file."""
    holds = content.holds
    yield opening(f"{posixpath.basename(holds.dataset) or holds.dataset} · contact sheet", MADE_BY, _rules(holds))
    yield from _top(content)
    yield from _rejected(content)
    yield from _least(content.groups)
    for number, group in enumerate(content.groups):
        yield from section(f"i{number}", group)
    yield from _foot(content)


def opening(title: str, made_by: str, style: str) -> str:
    """Return the beginning of a page that may load nothing and run nothing.

    Args:
        title: Of the page; any text.
        made_by: The element that says what made it.
        style: Rules beside those of the sheet.
    """
    style = resources.files("omokage.sheet").joinpath("page.css").read_text(encoding="utf-8") + _steps() + style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{made_by}\n'
        f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        f"style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{html.escape(visible(title))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )


def _steps() -> str:
    return "".join(f".q{step}{{width:{100 * step / STEPS:g}%}}\n" for step in range(STEPS + 1))


def _rules(holds: Summary) -> str:
    """Return the style rules that depend on numbers; style attributes would need a laxer policy."""
    return "".join(f".bar .{status}{{flex-grow:{pictures}}}\n" for status, pictures in holds.status.items())


def _top(content: Content) -> Iterator[str]:
    holds = content.holds
    yield f'<header>\n<p class="kind">Contact sheet</p>\n<h1>{name(posixpath.basename(holds.dataset))}</h1>\n'
    yield f'<p class="from">{place(holds.dataset)}, made from {place(holds.source)}</p>\n<ul class="totals">\n'
    totals = (("picture", "pictures", holds.pictures), ("identity", "identities", holds.identities))
    for one, many, number in (*totals, ("face", "faces", holds.faces)):
        yield f'<li id="{many}"><b>{number:,}</b> {one if number == 1 else many}</li>\n'
    yield '</ul>\n<div class="bar" aria-hidden="true">'
    yield "".join(f'<i class="{status}"></i>' for status, pictures in holds.status.items() if pictures)
    yield '</div>\n<ul class="legend">\n'
    for status, pictures in holds.status.items():
        words = STATUS.get(status, status)
        yield f'<li><i class="{status}"></i><b id="status-{status}">{pictures:,}</b> {words}</li>\n'
    yield "</ul>\n</header>\n"
    yield '<div class="columns">\n' + _made(content) + _how_to_read(content) + "</div>\n"


def _made(content: Content) -> str:
    """Return how the dataset was made: what decides what its faces and numbers are, and under which licences."""
    recipe = content.holds.recipe
    encoder, detector = recipe["encoder"], recipe["detector"]
    rows = [
        ("Detector", f"{name(detector['name'])}, {_settings(detector)}; kept of a picture: {name(recipe['faces'])}"),
        ("Encoder", f"{name(encoder['name'])}, {encoder['dim']} numbers a face"),
        ("", f"its input cut by {name(encoder['crop'])}, the chips below by {name(recipe['chip'])}"),
        ("", f"sha256 <code>{html.escape(encoder['sha256'][:16])}…</code>"),
        *(
            ("" if number else "Licences", f"{name(model)}: {name(licence)}")
            for number, (model, licence) in enumerate(content.licences.items())
        ),
    ]
    body = "".join(f"<tr><th>{key}</th><td>{value}</td></tr>\n" for key, value in rows)
    return f'<section class="made">\n<h2>How it was made</h2>\n<table>\n{body}</table>\n</section>\n'


def _settings(detector: dict[str, Any]) -> str:
    return f"score ≥ {detector['min_score']:g}, side ≥ {detector['min_side']:g} px"


def _how_to_read(content: Content) -> str:
    return (
        '<section class="reading">\n<h2>How to read it</h2>\n'
        "<p>The number under a face is the cosine of its embedding to the mean of the identity's <em>other</em> "
        "faces: 1 is the same direction, 0 is unrelated. Each identity starts with its most typical face, set apart; "
        "the others follow, <strong>the least typical first</strong>.</p>\n"
        "<p>It sorts; it is no verdict. A turned head, hard light or blur lower it as a stranger does, and a number "
        "means another thing with another encoder. Point at a face for its file and its other figures.</p>\n"
        f'<p>On this page: <b id="shown">{content.shown:,}</b> of <b>{content.holds.faces:,}</b> faces, '
        f"<b>{content.identities:,}</b> of <b>{content.holds.identities:,}</b> identities, the first by name.</p>\n"
        "</section>\n"
    )


def _rejected(content: Content) -> Iterator[str]:
    rejected = sum(each.pictures for each in content.rejects)
    if not rejected:
        return
    yield f'<section class="rejected">\n<h2>{count(rejected, "picture")} gave no face</h2>\n<dl>\n'
    for each in content.rejects:
        meaning = MEANING.get(each.reason, "")  # type: ignore[call-overload]
        yield f"<div><dt><b>{each.pictures:,}</b> <code>{html.escape(each.reason)}</code> {meaning}</dt>\n<dd><ul>"
        yield "".join(f"<li>{place(uri)}</li>" for uri in each.names)
        more = each.pictures - len(each.names)
        yield f"</ul>{f'<p>and {more:,} more</p>' if more else ''}</dd></div>\n"
    yield "</dl>\n</section>\n"


def _least(groups: tuple[Group, ...]) -> Iterator[str]:
    """Yield links to the identities with the least typical faces."""
    first = [(group.others[0].similarity, number) for number, group in enumerate(groups) if group.others]
    least = sorted((similarity, number) for similarity, number in first if similarity is not None)[:LEAST]
    if not least:
        return
    yield '<nav>\n<h2>Identities with the least typical faces</h2>\n<ol class="least">\n'
    for similarity, number in least:
        label = name(groups[number].identity or "")
        yield f'<li><a href="#i{number}"><b>{decimal(similarity, 3)}</b> {label}</a></li>\n'
    yield "</ol>\n</nav>\n"


def section(key: str, group: Group) -> Iterator[str]:
    """Yield an identity with its faces; ``key`` is the id of its element."""
    title = "Nobody's" if group.identity is None else name(group.identity)
    hidden = group.faces - group.shown
    facts = f"{count(group.faces, 'face')} of {count(group.pictures, 'picture')}"
    if hidden:
        facts += f", {hidden:,} not shown"
    yield f'<section class="identity" id="{key}">\n<h2>{title} <small>{facts}</small></h2>\n'
    if group.identity is None:
        yield "<p>Faces of pictures that belong to no identity, by name of the picture.</p>\n"
    if group.shown:
        yield '<div class="faces">\n'
        if group.typical:
            yield _figure(group.typical, "typical")
        yield from (_figure(chip) for chip in group.others)
        yield "</div>\n"
    yield "</section>\n"


def _figure(chip: Chip, kind: str = "") -> str:
    figures = [
        f"{decimal(chip.side, 0)} px side",
        f"sharpness {decimal(chip.sharpness, 2)}",
        f"yaw {decimal(chip.yaw, 0)}°",
    ]
    cosine, bar = "", ""
    if chip.similarity is not None:
        cosine = decimal(chip.similarity, 3)
        figures.insert(0, f"cosine {cosine} to the identity's other faces")
        bar = f'<i class="q{round(min(1.0, max(0.0, chip.similarity)) * STEPS)}"></i>'
    tip = "\n".join([quoted_place(chip.uri), *map(html.escape, figures), f"face {html.escape(chip.face_id)}"])
    return (
        f'<figure class="{kind}" data-face="{html.escape(chip.face_id)}" title="{tip}">'
        f"{image(chip.jpeg)}"
        f'<span class="track">{bar}</span><figcaption><b>{cosine}</b> <span>{decimal(chip.side, 0)} px</span>'
        f'<span class="file">{name(posixpath.basename(chip.uri))}</span></figcaption></figure>\n'
    )


def image(jpeg: bytes) -> str:
    """Return a chip as an element."""
    if not jpeg:  # of faces that were imported without their pictures
        return '<span class="none">no picture</span>'
    source = base64.b64encode(jpeg).decode()
    return (
        f'<img src="data:image/jpeg;base64,{source}" alt="" width="112" height="112" loading="lazy" decoding="async">'
    )


def _foot(content: Content) -> Iterator[str]:
    more = content.holds.identities - content.identities
    yield "<footer>\n"
    if more:
        yield f"<p>And {count(more, 'identity', 'identities')} more, later by name.</p>\n"
    yield (
        "<p>This file holds pictures of faces. Keep it as you keep the pictures. It opens no connection.</p>\n"
        "</footer>\n</body>\n</html>\n"
    )
