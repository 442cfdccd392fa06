"""Work on very many files, some at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

A = TypeVar("A")
B = TypeVar("B")

GROUP: Final = 1024
"""Pieces of work that wait at a time, so that an error stops the rest soon and no million of them is held."""


def side_by_side(work: Callable[[A], B], things: Sequence[A], threads: int) -> Iterator[B]:
    """Yield what ``work`` makes of each thing, in order; the first error ends it."""
    if threads == 1:
        yield from map(work, things)
        return
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(things), GROUP):
            yield from pool.map(work, things[start : start + GROUP])
