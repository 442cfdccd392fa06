"""The verb that looks at how groups of people are treated."""

import dataclasses
from typing import Annotated

import tyro

from omokage.cli.words import FLAT, Json, Settings, VersionPlace, bar, parse


def audit(argv: list[str]) -> str:
    """Compare how groups of people are treated: false matches, false non-matches, failures."""
    from omokage.flows.audit import AuditFlowConfig
    from omokage.flows.audit import audit as flow

    @dataclasses.dataclass
    class Audit:
        """Compare how an encoder treats groups of people, at one threshold for all.

        Groups come from outside: a CSV file, folders, or names of files. With --groups estimate two small models guess
        age and sex, and everything that comes of it says so. Groups that are too small are named, and their figures
        withheld. OUT gets index.html, report.json, plots and the group of each face; the same command again finds it
        unchanged, and computes nothing.
        """

        dataset: VersionPlace
        out: Annotated[
            tyro.conf.Positional[str | None],
            tyro.conf.arg(metavar="[OUT]", help="Folder or s3:// prefix; by default in the dataset's folder audits."),
        ] = None
        how: Annotated[AuditFlowConfig, *FLAT] = dataclasses.field(default_factory=AuditFlowConfig)
        settings: Settings = None
        json: Json = False

    asked = parse(Audit, argv, "audit", how=AuditFlowConfig)
    with bar("faces", asked.json) as on_progress:
        report = flow(asked.dataset, asked.out, asked.how, on_progress)
    return report.json() if asked.json else report.text()
