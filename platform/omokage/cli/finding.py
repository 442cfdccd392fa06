"""The verbs for what is wrong in a dataset, and for looking faces up."""

import dataclasses
import sys
from typing import Annotated

import tyro

from omokage.cli.words import FLAT, DatasetPlace, Json, Settings, bar, parse


def find(argv: list[str]) -> str:
    """Find one person in two folders, one shot several times, strangers, leaks."""
    from omokage.flows.find import find as flow
    from omokage.flows.find_config import FindConfig

    @dataclasses.dataclass
    class Find:
        """Find what is wrong in a dataset, and write it to its folder findings, as proposals.

        Collisions are faces of different people that look like one person; same-face is one shot several times in a
        folder; outliers are faces that do not belong to their folder; leaks are faces of another dataset in this one.
        A killed or stopped run is finished by the same command; on a dataset that has grown, only new faces are joined.
        """

        dataset: DatasetPlace
        how: Annotated[FindConfig, *FLAT]
        settings: Settings = None
        json: Json = False

    asked = parse(Find, argv, "find", how=FindConfig)
    with bar("pairs", asked.json) as on_progress:
        report = flow(asked.dataset, asked.how, on_progress, lambda plan: print(plan.text(), file=sys.stderr))
    return report.json() if asked.json else report.text()


def index(argv: list[str]) -> str:
    """Make a dataset's index, or bring it up to date."""
    from omokage.flows.index import index as flow

    @dataclasses.dataclass
    class Index:
        """Make a dataset's index, or bring it up to date: only new faces are added. find and search do so too."""

        dataset: DatasetPlace
        rebuild: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """Make it anew."""
        json: Json = False

    asked = parse(Index, argv, "index")
    with bar("faces", asked.json) as on_progress:
        report = flow(asked.dataset, asked.rebuild, on_progress)
    return report.json() if asked.json else report.text()


def search(argv: list[str]) -> str:
    """Show the faces of a dataset that are most like those in a picture."""
    from omokage.flows.search import SearchConfig
    from omokage.flows.search import search as flow

    @dataclasses.dataclass
    class Search:
        """Show the faces of a dataset that are most like each face in a picture, the most similar first."""

        dataset: DatasetPlace
        picture: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="IMAGE")]
        """A picture on this machine; it is only read."""
        how: Annotated[SearchConfig, *FLAT]
        json: Json = False

    asked = parse(Search, argv, "search", how=SearchConfig)
    report = flow(asked.dataset, asked.picture, asked.how)
    return report.json() if asked.json else report.text()
