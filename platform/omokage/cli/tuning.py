"""The verb that looks for better settings."""

import dataclasses
from typing import Annotated

import tyro

from omokage.cli.words import FLAT, Json, Settings, VersionPlace, bar, parse


def tune(argv: list[str]) -> str:
    """Try other settings of a training, and keep the best."""
    from omokage.flows.tune import tune as flow
    from omokage.flows.tune_config import TuneConfig

    @dataclasses.dataclass
    class Tune:
        """Train with several settings, and write the best to OUT/best.toml, which omokage train --config takes.

        The options of train are the base settings, which are the first trial. All trials are judged on the same people
        of the validation part; the test part is not looked at. A killed or stopped search is taken up by the same
        command; with more --trials, one that has ended goes on.
        """

        dataset: VersionPlace
        out: Annotated[
            tyro.conf.Positional[str],
            tyro.conf.arg(metavar="OUT", help="New folder or s3:// prefix for all trials."),
        ]
        how: Annotated[TuneConfig, *FLAT]
        settings: Settings = None
        json: Json = False

    asked = parse(Tune, argv, "tune", how=TuneConfig)
    with bar("epochs", asked.json) as on_progress:
        report = flow(asked.dataset, asked.out, asked.how, on_progress)
    return report.json() if asked.json else report.text()
