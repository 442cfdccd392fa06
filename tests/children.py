"""Processes that tests start many of, and kill."""

import multiprocessing
import os
from pathlib import Path

from omokage.ledger import book
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.storage import Folder

CHILDREN = multiprocessing.get_context("forkserver")
"""They come from a process that has no threads and has read the modules already, so that they start at once."""

CHILDREN.set_forkserver_preload(["omokage.apply.move", "omokage.apply.copy", __name__])


def write_lines(place: str, who: str, turns: int, full: int, said: Path, env: dict[str, str]) -> None:
    """Write lines into the ledger of the dataset at ``place``: one, two or three in each turn.

    Args:
        place: Path or URL.
        who: Writes; their lines are about faces WHO-TURN-0, WHO-TURN-1, ….
        turns: How often.
        full: Bytes from which a file of the ledger gets no more lines.
        said: File that gets NUMBER=FACE of every line that was acknowledged.
        env: Environment, beside what the first of all children began with.
    """
    os.environ.update(env)
    book.FULL = full
    ledger = Ledger.of(Folder.at(place))
    with said.open("a") as out:
        for turn in range(turns):
            faces = [f"{who}-{turn}-{k}" for k in range(1 + turn % 3)]
            numbers = ledger.append([Decision(do="keep", faces=(face,)) for face in faces], who)
            print(*(f"{number}={face}" for number, face in zip(numbers, faces, strict=True)), file=out, flush=True)


def acknowledged(said: Path) -> dict[int, str]:
    """Return the faces that ``write_lines`` noted, by number of the line."""
    return {int(number): face for number, face in (word.split("=") for word in said.read_text().split())}
