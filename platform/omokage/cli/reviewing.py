"""The verb for judging findings by eye."""

import dataclasses
import sys
import webbrowser
from typing import Annotated

import tyro

from omokage.cli.words import FLAT, DatasetPlace, Json, Settings, parse

LOCAL = ("127.0.0.1", "localhost", "::1")


def review(argv: list[str]) -> str:
    """Open a local web page on which a person judges what was found."""
    from omokage.review.serve import ReviewConfig
    from omokage.review.serve import review as serve

    @dataclasses.dataclass
    class Review:
        """Open a local web page on which a person judges what was found, until Ctrl-C.

        Each decision goes to the dataset's ledger at once, and can be undone; no picture is touched. The page works
        offline, and only with the key in the address that is printed.
        """

        dataset: DatasetPlace
        how: Annotated[ReviewConfig, *FLAT]
        no_open: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """Only print the address; do not open a browser."""
        settings: Settings = None
        json: Json = False

    asked = parse(Review, argv, "review", how=ReviewConfig)

    def ready(address: str) -> None:
        if asked.how.host not in LOCAL:
            print(
                f"Warning: the page is open to the network on {asked.how.host}, not encrypted; whoever has this "
                "address sees all faces and can decide.",
                file=sys.stderr,
            )
        print(f"Review: {address}\nCtrl-C ends it.", file=sys.stderr, flush=True)
        if not asked.no_open:
            webbrowser.open(address)

    report = serve(asked.dataset, asked.how, ready)
    return report.json() if asked.json else report.text()
