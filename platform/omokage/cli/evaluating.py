"""The verb that judges an encoder."""

import dataclasses
import sys
from typing import Annotated

import tyro

from omokage.cli.words import FLAT, Json, Settings, VersionPlace, bar, parse


def evaluate(argv: list[str]) -> str:
    """Judge an encoder by a dataset: 1:1, 1:N and open set, with intervals, as a report and a page."""
    from omokage.flows.evaluate import EvaluateSettings
    from omokage.flows.evaluate import evaluate as flow

    @dataclasses.dataclass
    class Evaluate:
        """Judge an encoder by how it tells a dataset's people apart, and finds them in a gallery.

        1:1 compares all pairs, or those of a list; 1:N enrols some faces and searches with all others, those of people
        who are not enrolled included (open set). Intervals come from drawing people anew.
        OUT gets report.json with every figure, index.html to look at, plots, every person's curve in people.parquet,
        and in draws.parquet what omokage compare needs. The same command again, with nothing changed, computes nothing.
        """

        dataset: VersionPlace
        how: Annotated[EvaluateSettings, *FLAT]
        out: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[OUT]")] = None
        """Folder or s3:// prefix; by default DATASET/evaluations/ENCODER-VERSION-SETTINGS."""
        settings: Settings = None
        json: Json = False

    asked = parse(Evaluate, argv, "evaluate", how=EvaluateSettings)
    with bar("pairs", asked.json) as on_progress:
        report = flow(
            asked.dataset, asked.out, asked.how, on_progress, lambda plan: print(plan.text(), file=sys.stderr)
        )
    return report.json() if asked.json else report.text()
