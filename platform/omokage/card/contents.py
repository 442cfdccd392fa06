"""What the card says about the facts, section by section."""

import posixpath
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.card.blocks import Bars, Beside, Block, Picture, Points, Section, Spread, Spreads, Table, Text
from omokage.card.facts import Counts, Facts
from omokage.card.people import People
from omokage.card.plan import NOTES
from omokage.sheet.page import MEANING, STATUS
from omokage.sheet.words import decimal

STEPS: Final = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000)
"""Where the bars of faces a person begin."""

ENOUGH: Final = 3
"""Faces from which on a person's variety is spoken of."""

LISTED: Final = 12
"""People in a table."""

REVIEWERS: Final = 20
"""Names in a table."""

DECISIONS: Final = {
    "keep": "keep faces",
    "drop_face": "drop faces",
    "drop_duplicate": "drop near-duplicates",
    "relabel": "give faces to another person",
    "merge": "merge two people",
    "split": "split a person",
    "different": "two people are not the same",
    "undo": "undo",
}

LIMITS: Final = (
    "Who these people are. Age, sex, skin, origin and health are not measured, cannot be read off these figures, and "
    "no claim about any group of people follows from them. For that, people must be asked.",
    "Whether the pictures may be used: consent and rights are not known here.",
    "What find did not find. Its thresholds hold for this set; lookalikes and relatives are above them, the same "
    "person many years apart may be below.",
    "Whether every label is right: only the findings were looked at, and only those that are counted as decided.",
    "How good a model trained on it will be. A similarity is a cosine of one encoder's vectors, no probability, and "
    "means another thing with another encoder.",
    "Pose is estimated from five points, sharpness and exposure from the inner face: they sort, and are no measurement "
    "of the camera.",
)


def sections(facts: Facts) -> list[Section]:
    """Return the card's sections but for the faces."""
    made = [
        Section("What it is", tuple(_origin(facts))),
        Section("How much there is", tuple(_amount(facts))),
        Section("What it suffices for", tuple(_suits(facts))),
        Section("How varied the people are", tuple(_variety(facts))),
        Section("Pictures without a face", tuple(_rejects(facts))),
        Section("What find found", tuple(_findings(facts))),
        Section("What was decided", tuple(_decisions(facts))),
        Section("What these figures do not show", (Points(LIMITS),)),
    ]
    return [section for section in made if section.blocks]


def base(place: str) -> str:
    """Return the last part of a path or URL: a card goes to others, whom the rest is no business of."""
    return posixpath.basename(place.rstrip("/")) or place


def _origin(facts: Facts) -> Iterator[Block]:
    holds, recipe = facts.holds, facts.holds.recipe
    encoder, detector = recipe["encoder"], recipe.get("detector", {})
    foreign = str(encoder["name"]).startswith("foreign:")
    rows = [
        ("Source", base(holds.source)),
        ("Dataset", base(holds.dataset)),
        ("Commits", f"{holds.generation:,}"),
        ("State", f"version {facts.version}" if facts.version else "as it is decided now"),
        (
            "Encoder",
            f"{encoder['name']}, {encoder['dim']} numbers a face, input cut by {encoder.get('crop', 'unknown')}",
        ),
        ("Encoder's sha256", "not known" if foreign else str(encoder["sha256"])),
        ("Run by", holds.runtime or "unknown"),
    ]
    if detector and not foreign:
        settings = f"score at least {detector['min_score']:g}, side at least {detector['min_side']:g} px"
        rows.append(("Detector", f"{detector['name']}, {settings}; kept of a picture: {recipe.get('faces')}"))
        rows += [(f"sha256 of {name}", str(sha256)) for name, sha256 in detector["weights"].items()]
    rows += [(f"Licence of {name}", licence) for name, licence in facts.licences.items()]
    yield Table(("", ""), tuple(rows), numbers=False)
    if foreign:
        yield Text(
            "The vectors were made by another program and imported: how, and with which weights, is not known here."
        )


def _amount(facts: Facts) -> Iterator[Block]:
    before, after = facts.before, facts.after
    rows: list[tuple[str, ...]] = [
        (title, *(f"{value:,}" for value in values))
        for title, *values in (
            ("Pictures, all", facts.holds.pictures, facts.holds.pictures),
            ("Pictures with a face", before.pictures, after.pictures),
            ("Faces", before.faces, after.faces),
            ("Faces of nobody", before.nobody, after.nobody),
            ("Identities", before.identities, after.identities),
            ("Pairs of faces of one person", before.plan.positive, after.plan.positive),
            ("Pairs of faces of two people", before.plan.negative, after.plan.negative),
        )
    ]
    for key in ("min", "25%", "median", "75%", "max"):
        rows.append((f"Faces a person, {key}", *(f"{c.plan.quantiles[key]:,.0f}" for c in (before, after))))
    if facts.decided:
        table = Table(("", "As the source gives it", "After the decisions"), tuple(rows))
    else:
        table = Table(("", "Count"), tuple((row[0], row[2]) for row in rows))
    yield Beside(table, _histogram(facts))
    if facts.gone:
        yield Text(
            f"{facts.gone:,} faces of this version are no longer in the dataset, since their pictures were changed or "
            "removed. They are not counted."
        )
    if after.biggest and after.smallest:
        (most, many), (fewest, few) = after.biggest, after.smallest
        ends = ((most, f"{many:,}"), (fewest, f"{few:,}"))
        yield Table(("Person with the most faces, and with the fewest", "Faces"), ends)


def _histogram(facts: Facts) -> Bars:
    """Return how many people have how many faces."""
    now, was = (_steps(c) for c in (facts.after, facts.before))
    last = max((n for n, counts in enumerate(zip(now, was, strict=True)) if any(counts)), default=0)
    labels = [f"{low:,}" if end - low == 1 else f"{low:,} to {end - 1:,}" for low, end in pairwise(STEPS)]
    labels.append(f"{STEPS[-1]:,} or more")
    return Bars(
        "People by number of faces",
        tuple(labels[: last + 1]),
        tuple(now[: last + 1]),
        tuple(was[: last + 1]) if facts.decided else None,
    )


def _steps(counts: Counts) -> list[int]:
    """Return how many people lie in each of the steps."""
    return [
        sum(people for faces, people in counts.by_size.items() if low <= faces < end)
        for low, end in zip(STEPS, (*STEPS[1:], float("inf")), strict=True)
    ]


def _suits(facts: Facts) -> Iterator[Block]:
    found = facts.after.plan
    yield Text(f"{found.suits.text()}.")
    if found.warnings:
        yield Points(tuple(f"{warning[0].upper()}{warning[1:]}." for warning in found.warnings))
    yield Points(NOTES)


def _variety(facts: Facts) -> Iterator[Block]:
    people = facts.people
    enough = people.faces_P >= ENOUGH
    if not enough.any():
        yield Text(f"No person has {ENOUGH} faces or more, so there is nothing to say.")
        return
    yield Text(
        f"Each plot counts people ({int(enough.sum()):,}, those with {ENOUGH} faces or more); the line is the median."
    )
    yield Spreads(tuple(_spreads(people, enough, facts.found is not None)))
    yield Text(
        "The least varied people: whose faces are most alike on average. Many pictures of one day or of one film "
        "look like many, and teach little more than one."
    )
    looked = ("Same shot again",) if facts.found is not None else ()
    yaw = ("Yaw, spread",) if people.spread else ()
    yield Table(
        ("Person", "Faces", "Mean similarity", "Folders", *looked, *yaw),
        tuple(_line(people, p, bool(looked)) for p in least(people)[:LISTED]),
    )


def _spreads(people: People, enough: NDArray[np.bool_], looked: bool) -> Iterator[Spread]:
    within = people.within_P[enough]
    low = float(np.floor(10 * min(within.min(), 0.9)) / 10)
    yield Spread("Mean similarity within a person", "1: all faces alike", within, 2, low, 1.0)
    if looked:
        share = 100 * people.again_P[enough]
        yield Spread("Same shot again, % of faces", "of those still kept", share, 0, 0.0, 100.0)
    titles = {
        "yaw": ("Spread of yaw, degrees", 0, 45.0),
        "pitch": ("Spread of pitch, degrees", 0, 30.0),
        "exposure": ("Spread of exposure", 2, 0.3),
    }
    for name, spread_P in people.spread.items():
        title, digits, high = titles[name]
        yield Spread(title, "standard deviation within a person", spread_P[enough], digits, 0.0, high)
    if people.sharpness_P is not None:
        yield Spread("Mean sharpness", "0: no detail, 1: full", people.sharpness_P[enough], 2, 0.0, 1.0)
    folders = people.folders_P[enough].astype(np.float64)
    yield Spread("Folders that a person's pictures are in", "", folders, 0, 0.0, max(4.0, float(folders.max())))


def least(people: People) -> list[int]:
    """Return the people with enough faces, the least varied first."""
    enough = np.flatnonzero(people.faces_P >= ENOUGH)
    order: list[int] = enough[np.argsort(-people.within_P[enough], kind="stable")].tolist()
    return order


def _line(people: People, p: int, looked: bool) -> tuple[str, ...]:
    again = [f"{100 * people.again_P[p]:.0f} %"] if looked else []
    yaw = [f"{decimal(float(people.spread['yaw'][p]), 0)}°"] if people.spread else []
    return (
        people.names[p],
        f"{people.faces_P[p]:,}",
        decimal(float(people.within_P[p]), 3),
        f"{people.folders_P[p]:,}",
        *again,
        *yaw,
    )


def _rejects(facts: Facts) -> Iterator[Block]:
    status = facts.holds.status
    yield Bars(
        "Pictures by what became of them",
        tuple(STATUS.get(name, name) for name in status),
        tuple(status.values()),
    )
    if facts.rejects:
        meaning = {str(reason): words for reason, words in MEANING.items()}
        rows = tuple((f"{meaning.get(name, '')} ({name})", f"{count:,}") for name, count in facts.rejects.items())
        yield Table(("Reason", "Pictures"), rows)


def _findings(facts: Facts) -> Iterator[Block]:
    if facts.found is None:
        yield Text("find was not run on this dataset, so nothing is known of wrong labels and near-duplicates.")
        return
    rows = []
    for found in facts.found:
        by = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found.by.items())
        rows.append(
            (
                found.name[0].upper() + found.name[1:],
                f"{found.total:,}",
                by,
                "" if found.decided is None else f"{found.decided:,}",
            )
        )
    yield Table(("Proposed", "Findings", "Of these", "Decided"), tuple(rows), numbers=False)
    yield from _threshold(facts.report, facts)
    if facts.histogram:
        yield Picture(facts.histogram, "How alike two faces of one person and of two people are, and the threshold")


def _threshold(report: dict[str, Any], facts: Facts) -> Iterator[Block]:
    collisions = report.get("collisions") or {}
    if collisions.get("threshold") is not None:
        rate = collisions.get("fmr")
        said = (
            "" if rate is None else f" (false match rate {rate:.1e} among this set's own people, {collisions['how']})"
        )
        yield Text(f"Two faces match from a similarity of {collisions['threshold']:.4f}{said}.")
    looked = (report.get("plan") or {}).get("faces")
    if looked is not None and looked != facts.before.faces:
        yield Text(f"find ran when there were {looked:,} faces; there are {facts.before.faces:,} now, so run it again.")


def _decisions(facts: Facts) -> Iterator[Block]:
    book = facts.book
    if not book.lines:
        yield Text("Nothing was decided: the set is as the source gives it.")
    else:
        yield Table(
            ("Decision", "By people", "By rule"),
            tuple(
                (DECISIONS.get(do, do), *(f"{count.get(by, 0):,}" for by in ("person", "rule")))
                for do, count in book.kinds.items()
            ),
        )
        undone = f", {book.undone:,} of them undone" if book.undone else ""
        clash = f"; {book.conflicts:,} contradict an earlier one, and the last one holds" if book.conflicts else ""
        yield Text(f"{book.lines:,} lines in the ledger{undone}{clash}.")
        who = list(book.who.items())
        more = [("others", f"{sum(count for _, count in who[REVIEWERS:]):,}")] if len(who) > REVIEWERS else []
        yield Table(("By", "Lines"), (*((name, f"{count:,}") for name, count in who[:REVIEWERS]), *more))
    if book.versions:
        yield Table(
            ("Version", "Frozen at", "Ledger lines", "Faces kept", "People"),
            tuple(
                (v.name, v.at, f"{v.lines:,}", f"{v.statuses.get('kept', 0):,}", f"{v.people:,}") for v in book.versions
            ),
            numbers=False,
        )
