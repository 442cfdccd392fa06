"""The verb for what was trained."""

import dataclasses
from typing import Annotated

import tyro

from omokage.cli.words import Json, parse


def runs(argv: list[str]) -> str:
    """List trainings, the newest first."""
    from omokage.tracking.runs import listed

    @dataclasses.dataclass
    class Runs:
        """List trainings and searches, the newest first, and say how to see them in a browser."""

        tracking: Annotated[str | None, tyro.conf.arg(metavar="URI")] = None
        """Where runs are tracked: sqlite:///FILE.db or http://SERVER. By default MLFLOW_TRACKING_URI, else a file in
        your data folder."""
        experiment: str | None = None
        """Only runs of this experiment."""
        most: int = 50
        """Runs to list."""
        json: Json = False

    asked = parse(Runs, argv, "runs")
    report = listed(asked.tracking, asked.experiment, asked.most)
    return report.json() if asked.json else report.text()
