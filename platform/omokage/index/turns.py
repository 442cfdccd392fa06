"""Work given to a pool, taken back in order, a few items at a time.

Apart from ``threads``, since whoever shows two pictures must not wait until torch is loaded.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def in_turn(pool: Executor, work: Callable[[In], Out], items: Iterable[In], most: int) -> Iterator[Out]:
    """Yield ``work`` of every item, in order; at most so many items are in hand, and none is begun for nobody."""
    waiting: deque[Future[Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
