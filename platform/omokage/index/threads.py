"""Work spread over this machine's cores, with one thread of numerics each.

That is better than one product on all cores, since what comes between the products runs side by side too.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Protocol, TypeVar

import torch
from threadpoolctl import ThreadpoolController

from omokage.index.cores import cores
from omokage.index.turns import in_turn

In = TypeVar("In")
Out = TypeVar("Out")


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """Return the numeric libraries of this process, looked for once: that takes longer than many a task."""
    return ThreadpoolController()


def single() -> AbstractContextManager[object]:
    """Return a context in which this process's numerics have one thread: more wait for each other in small products."""
    limited: AbstractContextManager[object] = _libraries().limit(limits=1)
    return limited


class Start(Protocol):
    """Starts work beside other work."""

    def __call__(self, work: Callable[[], Out], /) -> Future[Out]:
        """Return what will be the work's result."""


@contextmanager
def aside() -> Iterator[Start]:
    """Give what starts work in up to two more threads, of one thread of numerics, beside what the block does.

    All numerics of the block have one thread each: what is set for the whole process must not change in between.
    """
    with single(), ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield pool.submit
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def each(work: Callable[[In], Out], items: Iterable[In], threads: int | None = None) -> Iterator[Out]:
    """Yield ``work`` of every item, in order; at most two items a thread are in hand."""
    threads = threads or cores()
    before = torch.get_num_threads()
    with single(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield from in_turn(pool, work, items, 2 * threads)
        finally:
            torch.set_num_threads(before)
