"""What long work calls while it goes on."""

from collections.abc import Iterable, Iterator, Sized
from typing import Protocol, TypeVar

Piece = TypeVar("Piece", bound=Sized)
Thing = TypeVar("Thing")


class OnProgress(Protocol):
    """Told how far the work is."""

    def __call__(self, done: int, of: int, what: str = "") -> None:
        """Take note: so much is done of so much, of what this part of the work counts."""


def quietly(done: int, of: int, what: str = "") -> None:
    """Show no progress."""


def told(pieces: Iterable[Piece], of: int, what: str, on_progress: OnProgress) -> Iterator[Piece]:
    """Yield pieces of ``of`` things in all, and tell how many have been taken."""
    done = 0
    on_progress(0, of, what)
    for piece in pieces:
        yield piece
        done += len(piece)
        on_progress(done, of, what)


def each_told(things: Iterable[Thing], of: int, what: str, on_progress: OnProgress) -> Iterator[Thing]:
    """Yield things, ``of`` in all, and tell how many have been taken."""
    for (thing,) in told(((each,) for each in things), of, what, on_progress):
        yield thing
