"""A dataset's data card, written as a page and as Markdown."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Final

from omokage.card import markdown, page
from omokage.card.blocks import Document, Section
from omokage.card.contents import base, sections
from omokage.card.facts import Facts, gather
from omokage.card.sample import CardConfig, samples
from omokage.curate.decided import Decided
from omokage.errors import ConfigError
from omokage.sheet.write import place

COMMAND: Final = "report"
"""That makes cards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CardReport:
    """What a card says in short."""

    dataset: str
    version: str | None
    file: str
    markdown: str
    bytes: int
    faces: int
    """Kept."""
    identities: int
    positive: int
    negative: int
    findings: int | None
    """That can be decided; None: find was never run."""
    decided: int | None
    """Of the findings."""
    lines: int
    """Of the ledger."""
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        found = (
            "find was not run" if self.findings is None else f"{self.decided:,} of {self.findings:,} findings decided"
        )
        return (
            f"{self.file} ({self.bytes / 1e6:,.1f} MB) and {self.markdown}: {self.faces:,} faces of "
            f"{self.identities:,} identities, {found}, {self.lines:,} ledger lines, {self.seconds:.1f} s"
        )


def write(address: str, file: str, config: CardConfig) -> CardReport:
    """Return the report of writing the data card of ``address`` (DATASET or DATASET@v2) to ``file``, and beside it.

    Args:
        address: Dataset, or version of one.
        file: Path or URL, ending in .html; the Markdown goes beside it. Older cards are written over, nothing else is.
        config: How many faces to show.

    Raises:
        ConfigError: ``file`` is no place for a card.
        DatasetError: There is no such dataset or version, or it is damaged.
    """
    began = time.perf_counter()
    faces, version = Decided.at(address)
    beside = file.rpartition(".")[0] + ".md"
    folder, name = place(file, faces.data, (".html", ".htm"), page.made_by(COMMAND))
    _, note = place(beside, faces.data, (".md",), markdown.MADE_BY)
    whole, faces = faces.version.num_rows, faces.present()
    facts = gather(faces, version, whole - faces.version.num_rows)
    card = made(faces, facts, config)
    html = "".join(page.page(card)).encode(errors="replace")
    try:
        folder.write(name, html)
        folder.write(note, markdown.markdown(card).encode(errors="replace"))
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror or error}") from error
    found = facts.found
    return CardReport(
        dataset=facts.holds.dataset,
        version=version,
        file=file,
        markdown=beside,
        bytes=len(html),
        faces=facts.after.faces,
        identities=facts.after.identities,
        positive=facts.after.plan.positive,
        negative=facts.after.plan.negative,
        findings=None if found is None else sum(each.total for each in found if each.decided is not None),
        decided=None if found is None else sum(each.decided or 0 for each in found),
        lines=facts.book.lines,
        seconds=round(time.perf_counter() - began, 3),
    )


def made(faces: Decided, facts: Facts, config: CardConfig) -> Document:
    """Return the card of some facts."""
    state = f"version {facts.version}" if facts.version else "as it is decided now"
    *parts, limits = sections(facts)
    shown = tuple(samples(faces, facts, config))
    if shown:
        parts.append(Section("Some of its people", shown))
    after = facts.after
    totals = (
        (f"{facts.holds.pictures:,}", "pictures"),
        (f"{after.identities:,}", "identities"),
        (f"{after.faces:,}", "faces kept" if facts.decided else "faces"),
        (f"{after.plan.positive:,}", "pairs of one person"),
    )
    about = f"{state}, made from {base(facts.holds.source)}"
    return Document("Data card", COMMAND, base(facts.holds.dataset), about, totals, (*parts, limits))
