"""The verb that makes files what was decided."""

import dataclasses
import sys
from typing import Annotated, Literal

import tyro

from omokage.cli.words import Json, bar, only_with, parse
from omokage.errors import ConfigError


def apply(argv: list[str]) -> str:
    """Write a clean copy of the pictures, or move the source's files, as was decided."""

    @dataclasses.dataclass
    class Apply:
        """Write a clean copy of the pictures as they were decided (--to), or move the source's own files (--move).

        Dropped pictures and duplicates go to a quarantine folder, never away; every move is planned and written down
        before the first one, and omokage undo DATASET --apply brings every file back. A killed or stopped apply is
        finished by the same command.
        """

        dataset: Annotated[
            tyro.conf.Positional[str],
            tyro.conf.arg(metavar="DATASET[@VERSION]", help="The dataset, or a frozen version of it as in faces@v2."),
        ]
        to: Annotated[str | None, tyro.conf.arg(metavar="OUT")] = None
        """Folder or s3:// prefix for a clean copy: new, empty, or an earlier copy, which is brought up to date."""
        layout: Literal["pictures", "chips"] = "pictures"
        """With --to: copy the pictures, or the aligned faces."""
        link: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """With --to: hard links in place of copies; they share their bytes with the source."""
        move: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """Move the source's own files."""
        quarantine: Annotated[str | None, tyro.conf.arg(metavar="PLACE")] = None
        """With --move: folder for dropped pictures; by default the source's, plus ".quarantine"."""
        dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """With --move: show the plan and do nothing."""
        json: Json = False

    asked = parse(Apply, argv, "apply")
    if (asked.to is None) != asked.move:
        raise ConfigError("give --to OUT for a clean copy, or --move to move the source's own files")
    if asked.move:
        only_with("--to", {"--layout": asked.layout != "pictures", "--link": asked.link})
    else:
        only_with("--move", {"--quarantine": asked.quarantine is not None, "--dry-run": asked.dry_run})
    from omokage.apply.asked import Asked

    what = Asked.at(asked.dataset)
    with bar("files", asked.json) as on_progress:
        if asked.to is None:
            from omokage.apply.move import move

            moved = move(
                what, asked.quarantine, asked.dry_run, lambda plan: print(plan.text(), file=sys.stderr), on_progress
            )
            return moved.json() if asked.json else moved.text()
        from omokage.apply.copy import CopyConfig, copy

        copied = copy(what, asked.to, CopyConfig(layout=asked.layout, link=asked.link), on_progress)
        return copied.json() if asked.json else copied.text()
