"""The verb that puts two evaluations side by side."""

import dataclasses
from typing import Annotated

import tyro

from omokage.cli.words import Json, parse


def compare(argv: list[str]) -> str:
    """Compare two evaluations: by how much one encoder is better, and whether the people suffice to say so."""
    from omokage.assess.compare import compare as compared

    @dataclasses.dataclass
    class Compare:
        """Compare two evaluations of the same faces, figure by figure, with intervals of the differences.

        People are drawn anew, the same for both. Evaluations of other people, faces or pairs are shown side by side,
        and it is said why they cannot be paired.
        """

        a: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN_A")]
        """Folder or s3:// prefix that omokage evaluate wrote."""
        b: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN_B")]
        """Another one."""
        out: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
        """Also write a page, plots and report.json there."""
        json: Json = False

    asked = parse(Compare, argv, "compare")
    found = compared(asked.a, asked.b, asked.out)
    return found.json() if asked.json else found.text()
