"""All pairs of many faces, some rows with all faces after them at a time, and how far that is.

Whoever watches is found by context: between them and the loops lie functions that have nothing to do with it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from omokage.index.threads import each
from omokage.progress import OnProgress

OnPairs = Callable[[int], None]
"""Told how many more pairs have been compared, about every tenth of a second, in the thread that asked for the work."""

_WATCHER: Final[ContextVar[OnPairs | None]] = ContextVar("watcher", default=None)


@contextmanager
def watched(on_pairs: OnPairs) -> Iterator[None]:
    """Have the work of the block tell how many pairs it compares."""
    before = _WATCHER.set(on_pairs)
    try:
        yield
    finally:
        _WATCHER.reset(before)


def compared(pairs: int) -> None:
    """Tell whoever watches that so many more pairs have been compared."""
    on_pairs = _WATCHER.get()
    if on_pairs is not None:
        on_pairs(pairs)


def stripes(work: Callable[[int], None], faces: int, rows: int, threads: int | None = None) -> None:
    """Do the work of every stripe: of ``rows`` faces with themselves and all after them.

    Args:
        work: Of the stripe that begins with a face; several run side by side.
        faces: How many there are.
        rows: Of a stripe.
        threads: To work on; all cores by default.
    """
    starts = range(0, faces, rows)
    for start, _ in zip(starts, each(work, starts, threads), strict=True):
        mine = min(rows, faces - start)
        compared(mine * (faces - start) - mine * (mine + 1) // 2)


@contextmanager
def pairs_told(
    on_progress: OnProgress, mine: int, what: str = "pairs", done: int = 0, of: int | None = None
) -> Iterator[None]:
    """Tell, while the block runs, how many of its pairs have been compared.

    Args:
        on_progress: Who is told.
        mine: Pairs that the block compares, about; no more than these are told, and all of them at its end.
        what: What they are compared for.
        done: Pairs that were compared before.
        of: In all, with those before and after the block; by default ``mine``.
    """
    so_far, every = 0, mine if of is None else of

    def on_pairs(pairs: int) -> None:
        nonlocal so_far
        so_far = min(mine, so_far + pairs)
        on_progress(done + so_far, every, what)

    on_progress(done, every, what)
    with watched(on_pairs):
        yield
    on_progress(done + mine, every, what)
