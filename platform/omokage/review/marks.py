"""Which findings are decided, kept up line by line, so that the answer to a key does not wait for a whole fold."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage.review.queue import Queue


class Marks:
    """The last active line that names each finding."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.line_Q: NDArray[np.int64] = np.zeros(len(queue), np.int64)
        """Number of the line that decided a finding; 0 while none did."""
        self._active = bytearray(b"\0")  # by number of the line; there is no line 0
        self._lines: defaultdict[int, list[int]] = defaultdict(list)
        self._number: dict[int, int] = {}
        self._undoes: dict[int, int] = {}
        self._undone_by: defaultdict[int, list[int]] = defaultdict(list)

    def active(self, line: int) -> bool:
        """Return whether a line holds."""
        return bool(self._active[line])

    def finding(self, line: int) -> int:
        """Return the number of the finding that a line decided; -1 where it named none of the queue."""
        return self._number.get(line, -1)

    def add(self, lines: pa.Table) -> NDArray[np.int64]:
        """Take the next lines of the ledger, and return the numbers of the findings whose line changed, sorted."""
        numbers = self._queue.numbers(lines["finding"].to_pylist()).tolist()
        changed: set[int] = set()
        columns = (lines["number"].to_pylist(), lines["do"].to_pylist(), lines["undoes"].to_pylist(), numbers)
        for line, do, undoes, number in zip(*columns, strict=True):
            self._active.append(1)
            if do == "undo":
                if undoes is not None and 0 < undoes < line:
                    self._undoes[line] = undoes
                    self._undone_by[undoes].append(line)
                    changed.update(self._turn(undoes))
            elif number >= 0:
                self._lines[number].append(line)
                self._number[line] = number
                changed.add(number)
        for number in changed:
            held = (line for line in reversed(self._lines[number]) if self._active[line])
            self.line_Q[number] = next(held, 0)
        return np.array(sorted(changed), np.int64)

    def _turn(self, line: int) -> list[int]:
        """Put right whether a line holds, and all that it undid; return the findings that are touched."""
        touched: list[int] = []
        while True:
            holds = not any(self._active[undo] for undo in self._undone_by[line])
            if holds == bool(self._active[line]):
                return touched
            self._active[line] = holds
            if line in self._number:
                touched.append(self._number[line])
            if line not in self._undoes:
                return touched
            line = self._undoes[line]
