"""Chips to pixels in threads, ahead of the step that needs them, in the order in which they were asked for.

Decoding lets go of Python's lock, so threads run beside the step, and nothing is sent from process to process. At
most ``AHEAD`` batches are in memory.

Shape key: N rows of the split's table, B pictures of a batch, H = W sides of a picture, C colours.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from omokage.errors import DatasetError
from omokage.train.chips import Chips
from omokage.vision.shrink import square

AHEAD: Final = 3
"""Batches that are made while a step runs."""

AT_ONCE: Final = 16
"""Pictures that a thread takes at once: some milliseconds of work, for the few microseconds that handing over costs."""

NONE: Final = -1

RGB: Final = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pictures."""

    pixels_BCHW: torch.Tensor
    """RGB, uint8; in memory pixel by pixel (channels last), pinned where there is a GPU."""
    label_B: torch.Tensor
    """int64."""
    rows: NDArray[np.int64]
    """Of the split's table: whose pictures they really are. Shape (B,)."""


class Loader:
    """Gives batches of pixels.

    Args:
        chips: By row.
        label_N: Person of each row; who shares a label can stand in for each other.
        size: Side of the pictures, px; chips of other sizes are brought to it (``vision.shrink.square``).
        threads: That decode.
    """

    def __init__(self, chips: Chips, label_N: NDArray[np.int64], size: int, threads: int = 2) -> None:
        self.chips, self.label_N, self.size, self.threads = chips, label_N, size, threads
        self.waited = 0.0
        """Seconds that whoever takes batches has waited for them."""
        self.skipped = 0
        """Pictures that were asked for and whose chip is none."""
        self._broken: dict[int, str] = {}
        self._lock = threading.Lock()

    @property
    def broken(self) -> list[str]:
        """The face_id of each chip that is no picture, sorted."""
        with self._lock:
            return sorted(self._broken.values())

    def __call__(self, batches: Iterable[NDArray[np.int64]], replace: bool = True) -> Iterator[Batch]:
        """Yield the pictures of some rows at a time, in order; threads end with the iterator.

        A picture that cannot be decoded is replaced by the next one of its person that can, always the same.

        Args:
            batches: Rows of each batch.
            replace: False: leave out what cannot be decoded, since what judges a model must not see a picture twice;
                a batch of which nothing is left does not come.

        Raises:
            DatasetError: No picture of a person can be decoded.
        """
        before, began = cv2.getNumThreads(), time.perf_counter()
        cv2.setNumThreads(1)  # each of our threads has pictures of its own
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="chips")
        try:
            for batch in self._in_order(pool, batches, replace):
                self.waited += time.perf_counter() - began
                if len(batch.rows):
                    yield batch
                began = time.perf_counter()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            cv2.setNumThreads(before)

    def _in_order(
        self, pool: ThreadPoolExecutor, batches: Iterable[NDArray[np.int64]], replace: bool
    ) -> Iterator[Batch]:
        """Yield batches, each while the next ones are made."""
        waiting: deque[_Coming] = deque()
        for rows_B in batches:
            waiting.append(self._begin(pool, rows_B, replace))
            if len(waiting) > AHEAD:
                yield self._end(waiting.popleft())
        while waiting:
            yield self._end(waiting.popleft())

    def _begin(self, pool: ThreadPoolExecutor, rows_B: NDArray[np.int64], replace: bool) -> "_Coming":
        pixels_BHWC = torch.empty((len(rows_B), self.size, self.size, 3), dtype=torch.uint8, pin_memory=pinned())
        used_B, view_BHWC = np.full(len(rows_B), NONE), pixels_BHWC.numpy()

        def some(start: int) -> None:
            for place in range(start, min(start + AT_ONCE, len(rows_B))):
                used_B[place] = self._picture(int(rows_B[place]), view_BHWC[place], replace)

        tasks = [pool.submit(some, start) for start in range(0, len(rows_B), AT_ONCE)]
        return _Coming(rows_B, pixels_BHWC, used_B, tasks)

    def _end(self, coming: "_Coming") -> Batch:
        for task in coming.tasks:
            task.result()
        pixels_BHWC, used_B = coming.pixels_BHWC, coming.used_B
        self.skipped += int((used_B != coming.rows_B).sum())
        if (used_B == NONE).any():
            pixels_BHWC, used_B = pixels_BHWC[torch.from_numpy(used_B != NONE)], used_B[used_B != NONE]
        label_B = torch.from_numpy(self.label_N[used_B])
        return Batch(pixels_BHWC.permute(0, 3, 1, 2), label_B.pin_memory() if pinned() else label_B, used_B)

    def _picture(self, row: int, out_HWC: NDArray[np.uint8], replace: bool) -> int:
        """Write a row's picture, or the one that stands in for it, and return whose row it is."""
        if self._read(row, out_HWC):
            return row
        if not replace:
            return NONE
        for other in self._others(row):
            if self._read(int(other), out_HWC):
                return int(other)
        raise DatasetError(
            f"none of the chips of a person can be decoded, among them that of face {self.chips.face_id(row)}: "
            "leave the person out (omokage review), or ingest the pictures anew"
        )

    def _read(self, row: int, out_HWC: NDArray[np.uint8]) -> bool:
        """Write a row's picture, and return whether there is one."""
        if row in self._broken:
            return False
        picture_HWC = _decoded(self.chips[row])
        if picture_HWC is None:
            with self._lock:
                self._broken[row] = self.chips.face_id(row)
            return False
        out_HWC[:] = square(picture_HWC, self.size)
        return True

    def _others(self, row: int) -> NDArray[np.int64]:
        """Return the other rows of a person, from the one after this and round to the one before."""
        same = np.flatnonzero(self.label_N == self.label_N[row])
        place = int(np.searchsorted(same, row))
        return np.concatenate([same[place + 1 :], same[:place]])


@dataclass(frozen=True, slots=True)
class _Coming:
    """A batch that threads are making."""

    rows_B: NDArray[np.int64]
    pixels_BHWC: torch.Tensor
    used_B: NDArray[np.int64]
    """Row whose picture it became; ``NONE`` for none."""
    tasks: list[Future[None]]


def pinned() -> bool:
    """Return whether batches lie in memory from which a GPU can take them by itself."""
    return torch.cuda.is_available()


def _decoded(chip: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return a chip's pixels as RGB, shape (H, W, 3), or None if it is no picture."""
    if not len(chip):
        return None
    try:
        picture_HWC = cv2.imdecode(chip, RGB)
    except cv2.error:
        return None
    return None if picture_HWC is None else np.asarray(picture_HWC, np.uint8)
