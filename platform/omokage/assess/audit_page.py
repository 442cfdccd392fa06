"""An audit as a page and as plots: each figure with how to read it, and with what it does not show."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from omokage.assess import shown
from omokage.assess.audited import PAIRS, WORDS, Audited
from omokage.card.blocks import Block, Document, Pairs, Picture, Points, Sample, Section, Table, Text
from omokage.card.contents import base
from omokage.evaluate import plots
from omokage.evaluate.drawing import Plot
from omokage.evaluate.gaps import Gap
from omokage.evaluate.interval import Interval
from omokage.sheet.words import count
from omokage.vision.attributes import LIMITS

EACH: Final = 8
"""Faces that are shown of a group; half of them where there are more than so many groups."""

MANY: Final = 12

NOBODY: Final = 20
"""People without a group that are named."""

ESTIMATED: Final = (
    "The groups of this audit are estimates: two small models looked at the faces and guessed. Nobody said who these "
    "people are, and some of them are in the wrong group."
)


def drawn(found: Audited) -> dict[str, Plot]:
    """Return the plots of an audit by name."""
    names, group_N = found.groups.names, found.groups.group_N
    made = {
        "rates": plots.groups(found.audit),
        "cross_fmr": plots.matrix(names, found.audit.cross_fmr, "FMR"),
        "spread": plots.spread(found.spread),
        "similarity": plots.matrix(names, found.spread.similarity, "mean similarity (cosine)", log=False),
        "heat_map": plots.heat_map(found.heat, names),
        "axes": plots.scatter(found.axes, group_N, names),
    }
    return made | ({"umap": plots.layout(found.manifold, group_N, names)} if found.manifold else {})


def document(found: Audited, plot: Mapping[str, Plot]) -> Document:
    """Return the page of an audit."""
    subject, groups = found.subject, found.groups
    estimated = found.grouped.estimates is not None
    return Document(
        kind="Audit",
        command="audit",
        title=base(subject.dataset),
        about=f"{subject.given}, encoded by {subject.encoder['name']}; groups {groups.source}",
        totals=(
            (f"{len(groups.names):,}", "estimated groups" if estimated else "groups"),
            (f"{found.audit.people:,}", "people in a group"),
            (f"{found.audit.faces:,}", "faces in a group"),
            (f"{groups.misfits:,}", "faces in none"),
            (f"{found.audit.threshold:.4f}", "threshold for all"),
        ),
        sections=(
            _found(found),
            _groups(found),
            _rates(found, plot),
            _between(plot),
            _failed(found),
            _near(found, plot),
            _axes(found, plot),
            *_strangers(found),
            Section("What these figures show, and what they do not", (Points((*found.audit.words, *WORDS)),)),
            _made(found),
        ),
        warnings=((ESTIMATED,) if estimated else ()) + found.remarks,
    )


def _found(found: Audited) -> Section:
    rows = tuple(_gap(gap) for gap in found.audit.gaps)
    return Section(
        "Do the groups differ?",
        (
            Points(tuple(verdict.text() for verdict in found.verdicts)),
            Text(
                "Each test exchanges people's groups at random and looks how often they then are as far apart. The "
                "limits add up to 5 %: so often would equal groups be said to differ in anything. That groups are not "
                "shown to differ does not say that they are equal: look at how wide the intervals are."
            ),
            Table(("", "highest", "lowest", "highest / geometric mean", "highest / lowest"), rows),
            Text(
                "In brackets: where the figure would lie for 95 % of other samples of people, by drawing people anew. "
                "The highest over the lowest is above 1 even where groups do not differ."
                if found.config.bootstrap.confidence == 0.95
                else f"In brackets: {found.config.bootstrap.confidence:.0%} intervals, by drawing people anew."
            ),
        ),
    )


def _gap(gap: Gap) -> tuple[str, ...]:
    if gap.max_over_mean is None or gap.max_over_min is None:
        return (gap.rate, gap.highest, gap.lowest, f"withheld: {gap.withheld}", "")
    return (gap.rate, gap.highest, gap.lowest, _told(gap.max_over_mean), _told(gap.max_over_min))


def _told(figure: Interval | None, withheld: str = "") -> str:
    if figure is None:
        return f"withheld: {withheld}"
    return f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def _rates(found: Audited, plot: Mapping[str, Plot]) -> Section:
    rows = tuple(
        (
            group.name,
            f"{group.people:,}",
            f"{group.faces:,}",
            _told(group.fmr, group.fmr_withheld),
            _told(group.fnmr, group.fnmr_withheld),
        )
        for group in found.audit.groups
    )
    overall = "none" if found.audit.fnmr_interval is None else _told(found.audit.fnmr_interval)
    return Section(
        "Error rates of each group",
        (
            Text(
                f"At one {found.how}. FMR: of pairs of different people, both of the group, how many match. FNMR: of "
                f"pairs of one person's faces, how many do not. All groups together: "
                f"FMR {_told(found.audit.fmr_interval)}, FNMR {overall} (the dashed lines)."
            ),
            Table(("group", "people", "faces", "FMR", "FNMR"), rows),
            Picture(plot["rates"].png(), "FMR and FNMR of each group with intervals"),
            Text(
                "A figure is withheld where a group has too few people or faces, or too few pairs for the rate to "
                "show: that is no sign that the group is treated well."
            ),
        ),
    )


def _between(plot: Mapping[str, Plot]) -> Section:
    return Section(
        "Who is mistaken for whom",
        (
            Text(
                "FMR of pairs of different people, one of the row's group and one of the column's; the diagonal is "
                "within a group. It is mostly higher there, since people of one group look more alike to an encoder. "
                "None: withheld, too few people or pairs."
            ),
            Picture(plot["cross_fmr"].png(), "False match rate between groups"),
        ),
    )


def _failed(found: Audited) -> Section:
    if not any(group.failed for group in found.failures):
        return Section(
            "Pictures without a face", (Text("In every picture of these groups' people a face was found and encoded."),)
        )
    rows = tuple(
        (group.name, f"{group.tried:,}", f"{group.failed:,}", _told(group.rate, group.withheld))
        for group in found.failures
    )
    return Section(
        "Pictures without a face",
        (
            Text(
                "Pictures in which no face was found or encoded (failure to enrol), of people all of whose faces are "
                "in one group. They are in none of the rates above: a group that fails more often looks better there."
            ),
            Table(("group", "pictures", "failed", "share"), rows),
        ),
    )


def _near(found: Audited, plot: Mapping[str, Plot]) -> Section:
    rows = tuple(
        (
            group.name,
            f"{group.faces:,}",
            _told(group.per_face, group.withheld),
            "withheld" if group.wss is None else f"{group.wss:,.1f}",
        )
        for group in found.spread.groups
    )
    return Section(
        "How near to each other faces lie",
        (
            Text(
                "The sum of squares of each face is how far a group's faces lie from their mean: the lower, the closer "
                "together, and the harder to tell apart. The plain sum grows with the number of faces, and cannot be "
                "compared between groups; it stands here only because other reports show it."
            ),
            Table(("group", "faces", "sum of squares of each face", "plain sum"), rows),
            Picture(plot["spread"].png(), "Within-group sum of squares of each face with intervals"),
            Text("Mean similarity of all faces of two groups, a face with itself left out; none of a group withheld."),
            Picture(plot["similarity"].png(), "Mean similarity between groups"),
            Text(
                f"Similarities of {len(found.heat.row_S):,} faces drawn at random, group by group, and person by "
                "person within a group: small dark blocks along the diagonal are people; a large block is a group "
                "whose people look alike to the encoder."
            ),
            Picture(plot["heat_map"].png(), "Similarities of sampled faces by group"),
        ),
    )


def _axes(found: Audited, plot: Mapping[str, Plot]) -> Section:
    total, rows = 0.0, []
    for number, share in enumerate(found.axes.explained, start=1):
        total += share
        rows.append((f"axis {number}", f"{share:.1%}", f"{total:.1%}"))
    two = sum(found.axes.explained[:2])
    blocks: list[Block] = [
        Text(
            f"The two axes along which embeddings vary most show {two:.1%} of how they differ; {1 - two:.1%} cannot be "
            "seen here. Groups that lie apart are told apart by the encoder, which says nothing of its errors."
        ),
        Picture(plot["axes"].png(), "Faces on the first two principal axes"),
        Table(("", "of the variance", "up to here"), tuple(rows)),
    ]
    if found.manifold:
        blocks += [
            Text(
                f"{len(found.manifold.row_S):,} faces as UMAP lays them out: near ones stay near. Neither distances "
                "nor the sizes of heaps mean anything, and another seed draws another picture."
            ),
            Picture(plot["umap"].png(), "Faces laid out by UMAP"),
        ]
    return Section("Pictures of the embeddings", tuple(blocks))


def _strangers(found: Audited) -> tuple[Section, ...]:
    """Return the strangers who look most alike, where there are any."""
    if not found.alike:
        return ()
    text = (
        f"The {PAIRS} most similar pairs of different people of {found.audit.gaps[0].highest}, the group with the "
        "highest FMR. Look at them first: if they show one person under two names, the figure is the dataset's "
        "mistake, not the encoder's."
    )
    block = Pairs("Most similar strangers", text, shown.pairs(found.subject, found.alike))
    return (Section("What a false match looks like", (block,)),)


def _groups(found: Audited) -> Section:
    groups, nobody = found.groups, found.ungrouped
    blocks: list[Block] = [Text(f"Groups come from outside the encoder: {groups.source}.")]
    if found.grouped.estimates:
        blocks = [Text(ESTIMATED), Points(LIMITS)]
    blocks += _some(found)
    if not nobody:
        return Section("The groups", (*blocks, Text("Every face is in a group.")))
    rows = tuple((name, f"{faces:,}") for name, faces in nobody[:NOBODY])
    more = f", of whom {NOBODY} are named here, and all in groups.parquet" if len(nobody) > NOBODY else ""
    blocks += [
        Text(
            f"{count(groups.misfits, 'face')} of {count(len(nobody), 'person', 'people')} {_is(groups.misfits)} in no "
            f"group{more}. They count in no group's figure; pairs of theirs only helped to find the threshold."
        ),
        Table(("person", "faces in no group"), rows),
    ]
    return Section("The groups", tuple(blocks))


def _some(found: Audited) -> list[Block]:
    """Return some faces of each group, where the dataset has pictures of them."""
    names = found.groups.names
    rows = {name: np.flatnonzero(found.groups.group_N == number) for number, name in enumerate(names)}
    sets = shown.sets(found.subject, rows, EACH if len(names) <= MANY else EACH // 2, found.config.bootstrap.seed)
    if not any(chip.jpeg for each in sets for chip in each.others):
        return []
    text = "Drawn at random, each of another person where there are so many. Are they what the group is called?"
    return [Sample("Some faces of each group", text, sets)]


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _made(found: Audited) -> Section:
    subject, config = found.subject, found.config
    rows = [
        ("dataset", subject.dataset),
        ("version", subject.version or "as it is decided now"),
        ("encoder", f"{subject.encoder['name']}, sha256 {subject.encoder['sha256']}"),
        ("licence", subject.licence or "not known here"),
        ("threshold", found.how),
        ("groups", found.groups.source),
        ("a group needs", f"{config.rates.fewest_people} people and {config.rates.fewest_faces} faces to be shown"),
        ("intervals", f"{config.bootstrap.confidence:.0%}, people drawn {config.bootstrap.replicates:,} times"),
        ("seed", str(config.bootstrap.seed)),
    ]
    if found.grouped.estimates:
        models = found.grouped.estimates.plain()["models"]
        rows += [(f"estimates: {model['name']}", f"{model['licence']}; sha256 {model['sha256']}") for model in models]
    return Section("How it was made", (Table(("", ""), tuple(rows), numbers=False),))
