"""The verbs for decisions: the ledger, undo, versions, decisions by rule."""

import dataclasses
import json as jsonlib
import re
from typing import Annotated

import tyro

from omokage.cli.words import FLAT, DatasetPlace, Json, Settings, bar, only_with, parse
from omokage.errors import ConfigError

Who = Annotated[str | None, tyro.conf.arg(metavar="NAME", help="Who says so; by default the login name.")]


def ledger(argv: list[str]) -> str:
    """List what was decided about faces and people, and what does not fit."""
    from omokage.curate.listing import listing
    from omokage.store import Dataset

    @dataclasses.dataclass
    class Ledger:
        """List what was decided about faces and people: who, when, what and why; and decisions that do not fit."""

        dataset: DatasetPlace
        last: int = 20
        """How many lines, at most; the newest of those that are asked for."""
        face: str | None = None
        """Only lines about this face_id."""
        person: str | None = None
        """Only lines about this identity and its faces."""
        json: Json = False

    asked = parse(Ledger, argv, "ledger")
    if asked.last < 0:
        raise ConfigError(f"--last must not be negative, got {asked.last}")
    report = listing(Dataset.open(asked.dataset), asked.last, asked.face, asked.person)
    return report.json() if asked.json else report.text()


def undo(argv: list[str]) -> str:
    """Take back a decision, a range of them, or the last apply --move."""
    from omokage.curate.undoing import undo as take_back
    from omokage.store import Dataset

    @dataclasses.dataclass
    class Undo:
        """Take back a decision, by a line of its own; nothing is removed from the ledger.

        Of an undo, what it undid holds again. With --apply, bring every file back that omokage apply --move moved.
        """

        dataset: DatasetPlace
        line: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="N|N-M")] = None
        """Number of the line, or of the first and the last; by default the last that holds and is no undo."""
        apply: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """Take back what the last apply --move (or the one with number N, if it is the last) did to the files."""
        partly: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """With --apply: bring back the rest although some files changed, are gone, or have others in their places."""
        who: Who = None
        json: Json = False

    asked = parse(Undo, argv, "undo")
    first, last = _range(asked.line)
    if asked.apply:
        from omokage.apply.move import undo as bring_back

        if last is not None:
            raise ConfigError("--apply takes back one apply: give one number, or none")
        with bar("files", asked.json) as on_progress:
            back = bring_back(asked.dataset, first, asked.partly, on_progress)
        return back.json() if asked.json else back.text()
    only_with("--apply", {"--partly": asked.partly})
    report = take_back(Dataset.open(asked.dataset), first, last, asked.who)
    return report.json() if asked.json else report.text()


def _range(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    match = re.fullmatch(r"(\d{1,15})(?:-(\d{1,15}))?", text)
    if match is None:
        raise ConfigError(f"which line is a number, or two as in 12-40, got {text!r}")
    return int(match[1]), int(match[2]) if match[2] else None


def version(argv: list[str]) -> str:
    """Freeze a dataset's faces and decisions under a name, or list what was frozen."""
    from omokage.ledger.version import freeze, versions
    from omokage.sheet.words import visible
    from omokage.store import Dataset

    @dataclasses.dataclass
    class Version:
        """Freeze a dataset's faces, after all decisions, under a name; without a name, list what was frozen.

        A version never changes. Other verbs read it as DATASET@NAME.
        """

        dataset: DatasetPlace
        name: str | None = None
        """Of the new version: letters, digits, '.', '_' and '-'."""
        why: str | None = None
        """In words."""
        who: Who = None
        json: Json = False

    asked = parse(Version, argv, "version")
    data = Dataset.open(asked.dataset)
    if asked.name is not None:
        made = freeze(data, asked.name, asked.who, asked.why)
        return jsonlib.dumps(made.facts(), ensure_ascii=False) if asked.json else visible(made.text())
    found = versions(data)
    if asked.json:
        return jsonlib.dumps(
            {"dataset": data.folder.url, "versions": [each.facts() for each in found]}, ensure_ascii=False
        )
    return "\n".join(visible(each.text()) for each in found) or f"{data.folder.url} has no version yet: give --name"


def diff(argv: list[str]) -> str:
    """Count what changed between two versions of a dataset, by reason."""
    from omokage.ledger.diff import diff as compare
    from omokage.store import Dataset

    @dataclasses.dataclass
    class Diff:
        """Count what changed between two versions of a dataset, by reason."""

        dataset: DatasetPlace
        before: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="BEFORE")]
        """Name of a version."""
        after: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="AFTER")] = None
        """Name of another; by default the dataset as it is now."""
        json: Json = False

    asked = parse(Diff, argv, "diff")
    report = compare(Dataset.open(asked.dataset), asked.before, asked.after)
    return report.json() if asked.json else report.text()


def decide(argv: list[str]) -> str:
    """Decide by rule about findings that are so clear that nobody needs to look."""
    from omokage.curate.rules import RuleConfig
    from omokage.curate.rules import decide as by_rule
    from omokage.store import Dataset

    @dataclasses.dataclass
    class Decide:
        """Decide by rule about what find proposed, and write it into the ledger.

        Never goes against what a person decided. Run it with --dry-run first: it then says what it would do.
        """

        dataset: DatasetPlace
        how: Annotated[RuleConfig, *FLAT]
        dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """Write nothing."""
        who: Who = None
        settings: Settings = None
        json: Json = False

    asked = parse(Decide, argv, "decide", how=RuleConfig)
    report = by_rule(Dataset.open(asked.dataset), asked.how, asked.dry_run, asked.who)
    return report.json() if asked.json else report.text()
