"""A comparison as a page and as plots: each difference with how to read it, and with what it does not show."""

from collections.abc import Mapping
from typing import Final

from omokage.assess.compared import Comparison, Difference, decimals
from omokage.assess.opened import Judged
from omokage.card.blocks import Block, Document, Picture, Points, Section, Table, Text
from omokage.evaluate import plots
from omokage.evaluate.drawing import COLOURS, Plot, framed, shown
from omokage.evaluate.interval import Interval

ROW: Final = 0.3
"""Height of a figure in the plot of differences, in inches."""

WHAT: Final = (
    "A difference that is told says that one encoder is better on people like these. It does not say that it is better "
    "on others: children, other cameras, other countries.",
    "That no difference can be told does not say that there is none: look at how wide the interval is. More people make"
    " it narrower, more pictures of the same people hardly.",
    "Thresholds are not compared: each encoder has its own scale, and a threshold of one says nothing for the other.",
)


def drawn(found: Comparison, a: Judged, b: Judged) -> dict[str, Plot]:
    """Return the plots of a comparison by name."""
    names = [f"A: {found.a.name}", f"B: {found.b.name}"]
    curves = dict(zip(names, (a.evaluation.verification, b.evaluation.verification), strict=True))
    made = {"differences": differences(found)} if any(each.difference for each in found.differences) else {}
    made |= {"roc": plots.roc(curves), "det": plots.det(curves)}
    found_by_size = [{each.size: each for each in side.evaluation.identification} for side in (a, b)]
    shared = found_by_size[0].keys() & found_by_size[1].keys()
    if shared:
        largest = dict(zip(names, (side[max(shared)] for side in found_by_size), strict=True))
        made["cmc"] = plots.cmc(largest)
        if all(each.dir_curve for each in largest.values()):
            made["dir"] = plots.dir_curve(largest)
    return made


def differences(found: Comparison) -> Plot:
    """Return by how much B is better in each figure, with intervals: to the right where it is."""
    rows = [each for each in found.differences if each.difference is not None]
    with framed("by how much B is better (to the left: worse)", "") as (figure, frame):
        figure.set_size_inches(7.5, 1.2 + ROW * len(rows))
        for row, each in enumerate(rows):
            assert each.difference is not None
            gap = each.turned(each.difference)
            colour = "#6b6b6b" if each.better is None else COLOURS[0] if each.better == "B" else COLOURS[1]
            frame.plot([gap.low, gap.high], [row, row], color=colour, linewidth=2.5, solid_capstyle="butt")
            frame.plot([gap.value], [row], "o", color=colour, markersize=5)
        frame.axvline(0, color="#999999", linewidth=1)
        frame.set_yticks(range(len(rows)), [shown(_label(each)) for each in rows], parse_math=False)
        frame.set_ylim(len(rows) - 0.5, -0.5)
    return Plot(figure)


def _label(each: Difference) -> str:
    return each.said if each.part == "1:1" else f"{each.said}, of {each.part.removeprefix('1:N, ').split(' ')[0]}"


def document(found: Comparison, plot: Mapping[str, Plot]) -> Document:
    """Return the page of a comparison."""
    told = [each for each in found.differences if each.difference is not None]
    better = {side: sum(each.better == side for each in told) for side in "AB"}
    return Document(
        kind="Comparison",
        command="compare",
        title=f"{found.a.name} and {found.b.name}",
        about=f"A: {found.a.name} on {found.a.dataset}; B: {found.b.name} on {found.b.dataset}",
        totals=(
            (f"{len(told):,}", "figures paired"),
            (f"{better['A']:,}", "where A is better"),
            (f"{better['B']:,}", "where B is better"),
            (f"{len(told) - sum(better.values()):,}", "that cannot be told apart"),
        ),
        sections=(
            _said(found, plot),
            *(_part(found, part) for part in found.parts()),
            _curves(plot),
            Section("What these figures show, and what they do not", (Points(WHAT),)),
            _made(found),
        ),
        warnings=(
            *(f"{part} is not paired: {'; '.join(why)}" for part, why in found.unpaired.items()),
            *found.warnings,
        ),
    )


def _said(found: Comparison, plot: Mapping[str, Plot]) -> Section:
    blocks: list[Block] = [Text(found.note())]
    if "differences" in plot:
        blocks.append(Picture(plot["differences"].png(), "Differences of all figures with their intervals"))
        blocks.append(Text("Grey: the interval holds 0, so that it cannot be told whose is better."))
    return Section("Which is better?", tuple(blocks))


def _part(found: Comparison, part: str) -> Section:
    mine = [each for each in found.differences if each.part == part]
    rows = tuple((each.said, _told(each.a), _told(each.b), _told(each.difference), _verdict(each)) for each in mine)
    why = found.unpaired.get(part, ())
    blocks: list[Block] = [Points(tuple(each.text() for each in mine))]
    if why:
        blocks = [Text("The two are not paired, and nothing is said of which is better:"), Points(why)]
    blocks.append(Table(("", "A", "B", "B less A", ""), rows))
    return Section(part, tuple(blocks))


def _verdict(each: Difference) -> str:
    return f"{each.better} is better" if each.better else each.verdict


def _told(figure: Interval | None) -> str:
    return "" if figure is None else decimals(figure)


def _curves(plot: Mapping[str, Plot]) -> Section:
    said = {
        "roc": "How often pairs of one person match, over how often pairs of different people do.",
        "det": "The same errors on axes on which small rates can be told apart: lower is better.",
        "cmc": "How often the person is among the first ranks, of people who are enrolled.",
        "dir": "How often an enrolled person is found, over how often a stranger finds anybody.",
    }
    blocks: list[Block] = []
    for name, text in said.items():
        if name in plot:
            blocks += [Text(text), Picture(plot[name].png(), text)]
    return Section("Both curves", tuple(blocks))


def _made(found: Comparison) -> Section:
    both = (found.a, found.b)
    rows: dict[str, list[str]] = {
        "encoder": [who.name for who in both],
        "sha256 of its weights": [str(who.encoder.get("sha256"))[:16] for who in both],
        "licence of its weights": [who.licence or "not known" for who in both],
        "faces": [f"{who.faces:,}" for who in both],
        "people": [f"{who.people:,}" for who in both],
        "dataset": [who.dataset for who in both],
        "evaluation": [who.place for who in both],
    }
    return Section(
        "How it was made",
        (Table(("", "A", "B"), tuple((name, *cells) for name, cells in rows.items()), numbers=False),),
    )
