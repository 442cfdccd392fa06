"""The verb that makes models."""

import dataclasses
from typing import Annotated

import tyro

from omokage.cli.words import FLAT, Json, Settings, VersionPlace, bar, parse


def train(argv: list[str]) -> str:
    """Train a model on a dataset, or go on with a training that was stopped."""
    from omokage.flows.train import TrainConfig
    from omokage.flows.train import train as flow

    @dataclasses.dataclass
    class Train:
        """Train a face recognition model on a dataset, and keep what is best on people whom it has not seen.

        RUN holds everything: config.toml with the settings (for --config), the split, checkpoints, a line of figures an
        epoch in metrics.jsonl, and the models best.pt and last.pt. A killed or stopped training is taken up by the same
        command, and ends as if nothing had happened.
        """

        dataset: VersionPlace
        run: Annotated[
            tyro.conf.Positional[str],
            tyro.conf.arg(metavar="RUN", help="New folder or s3:// prefix for all of this training."),
        ]
        how: Annotated[TrainConfig, *FLAT]
        settings: Settings = None
        json: Json = False

    asked = parse(Train, argv, "train", how=TrainConfig)
    with bar("pictures", asked.json) as on_progress:
        report = flow(asked.dataset, asked.run, asked.how, on_progress)
    return report.json() if asked.json else report.text()
