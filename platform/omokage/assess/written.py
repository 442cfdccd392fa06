"""A result as a folder that people look at and other programs read: ``report.json``, ``index.html``, ``plots/``.

The report is written last: a folder that has one is whole.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from omokage.card.blocks import Document
from omokage.card.page import made_by, page
from omokage.errors import ConfigError, WorkError
from omokage.evaluate.drawing import Plot
from omokage.storage import Folder

Kind = Literal["evaluation", "audit", "comparison"]

COMMANDS: Final[dict[Kind, str]] = {"evaluation": "evaluate", "audit": "audit", "comparison": "compare"}
"""Which command of omokage makes it: ``Document.command``."""

REPORT: Final = "report.json"
PAGE: Final = "index.html"
PLOTS: Final = "plots"

TABLES: Final = ".parquet"
"""How the names of a result's other files end."""

BEGINNING: Final = 1_000
"""Bytes in which a page says that it is one."""


def free(folder: Folder, kind: Kind, pictures: str = "") -> None:
    """Make sure, before any work, that nothing but an older result of the same kind would be written over.

    Args:
        folder: Where a result is to go; it need not exist.
        kind: Of the result.
        pictures: Folder of the source pictures, where one is known: nothing is written into it.

    Raises:
        ConfigError: There is something else, or the folder is among the pictures.
        StorageError: The storage cannot be reached, or refuses us.
    """
    if folder.kind() == "file":
        raise ConfigError(f"{folder.url} is a file: give the name of a folder")
    if pictures and folder.local and folder.within(Folder.at(pictures)):
        raise ConfigError(f"{folder.url} lies among the pictures of {pictures}, which are only read: give another")
    entries = folder.entries()
    strange = [name for name in entries if name not in (REPORT, PAGE, PLOTS) and not name.endswith(TABLES)]
    if REPORT in entries:
        there = (read(folder) or {}).get("kind")
        if there != kind:
            raise ConfigError(f"{folder.url} holds {_a(there)} and no {kind}: give another folder")
    elif strange:
        raise ConfigError(f"{folder.url} holds other files ({strange[0]} for one) and no {kind}: give another folder")
    if PAGE in entries and made_by(COMMANDS[kind]).encode() not in folder.read(PAGE)[:BEGINNING]:
        raise ConfigError(f"{folder.place(PAGE)} was not made by this command: give another folder")


def _a(kind: Any) -> str:
    return f"a report of another kind ({kind})" if isinstance(kind, str) else "a report of another program"


def read(folder: Folder) -> dict[str, Any] | None:
    """Return the report of a result that is whole; None where there is none, or no JSON object.

    Raises:
        StorageError: The storage cannot be reached, or refuses us.
    """
    try:
        found = json.loads(folder.read(REPORT))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(folder: Folder, kind: Kind, report_json: str, document: Document, plots: Mapping[str, Plot]) -> None:
    """Write a result; an older one in the folder stops counting as whole first.

    What a result has beside these files (draws, tables) is to be written before.

    Args:
        folder: That ``free`` was asked about.
        kind: Of the result; put into the report as "kind".
        report_json: One JSON object. Numbers that JSON does not have (NaN, infinity) become null.
        document: The page.
        plots: By name; each is written as PNG and as SVG.

    Raises:
        WorkError: The disk is full, or writing is not permitted.
        StorageError: The same behind a URL, or it cannot be reached.
    """
    report = json.loads(report_json, parse_constant=lambda _: None) | {"kind": kind}
    text = json.dumps(report, ensure_ascii=False, allow_nan=False)
    try:
        folder.remove(REPORT)
        for name, plot in plots.items():
            folder.write(f"{PLOTS}/{name}.png", plot.png())
            folder.write(f"{PLOTS}/{name}.svg", plot.svg())
        folder.write(PAGE, "".join(page(document)).encode(errors="replace"))
        folder.write(REPORT, text.encode(errors="replace"))
    except OSError as error:
        raise WorkError(f"cannot write {folder.url}: {error.strerror or error}") from error
