"""Chips to pixels in threads, ahead of the step that needs them, in the order in which they were asked for.

Decoding lets go of Python's lock, so threads run beside the step, and nothing is sent from process to process. At
most ``AHEAD`` batches are in memory. Where the step computes on the same cores, threads run in its pauses alone, and
whoever needs a batch that is not ready makes the rest of it.

Shape key: N rows of the split's table, B pictures of a batch, H = W sides of a picture, C colours.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from omokage import system
from omokage.augment.batch import Change, one_changed
from omokage.errors import DatasetError
from omokage.train.chips import Chips
from omokage.vision.shrink import square

AHEAD: Final = 3
"""Batches that are made while a step runs."""

AHEAD_BEHIND: Final = 1
"""The same where threads give way: each that is made may take of the step's time, and whoever needs one helps."""

PATIENCE: Final = 0.02
"""Seconds that pictures which other threads have begun are waited for; they take a millisecond each, if a thread has
a core. Those that give way may have none for as long as others compute, and then it is quicker to make them again."""

NONE: Final = -1

RGB: Final = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION

Alter = Callable[[Sequence[int]], Sequence[Change]]
"""Given the shape (B, C, H, W) of each batch in turn, returns what becomes of its pictures."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pictures."""

    pixels_BCHW: torch.Tensor
    """RGB, uint8, or float32 from 0 to 1 if altered; in memory pixel by pixel (channels last), pinned where there is a
    GPU."""
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
        behind: Whether they give way to all else that runs.
    """

    def __init__(
        self, chips: Chips, label_N: NDArray[np.int64], size: int, threads: int = 2, *, behind: bool = False
    ) -> None:
        self.chips, self.label_N, self.size, self.threads, self.behind = chips, label_N, size, threads, behind
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

    def __call__(
        self, batches: Iterable[NDArray[np.int64]], replace: bool = True, alter: Alter | None = None
    ) -> Iterator[Batch]:
        """Yield the pictures of some rows at a time, in order; threads end with the iterator.

        A picture that cannot be decoded is replaced by the next one of its person that can, always the same.

        Args:
            batches: Rows of each batch.
            replace: False: leave out what cannot be decoded, since what judges a model must not see a picture twice;
                a batch of which nothing is left does not come.
            alter: What becomes of pictures before they are yielded.

        Raises:
            DatasetError: No picture of a person can be decoded.
        """
        before, began = cv2.getNumThreads(), time.perf_counter()
        cv2.setNumThreads(1)  # each of our threads has pictures of its own
        pool = ThreadPoolExecutor(self.threads, "chips", system.give_way if self.behind else None)
        try:
            for batch in self._in_order(pool, (self._coming(rows_B, replace, alter) for rows_B in batches)):
                self.waited += time.perf_counter() - began
                if len(batch.rows):
                    yield batch
                began = time.perf_counter()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            cv2.setNumThreads(before)

    def _in_order(self, pool: ThreadPoolExecutor, batches: Iterable["_Coming"]) -> Iterator[Batch]:
        """Yield batches, each while the next ones are made."""
        waiting: deque[_Coming] = deque()
        for coming in batches:
            coming.tasks = [pool.submit(coming.work) for _ in range(self.threads)]
            waiting.append(coming)
            if len(waiting) > (AHEAD_BEHIND if self.behind else AHEAD):
                yield self._end(waiting.popleft())
        while waiting:
            yield self._end(waiting.popleft())

    def _coming(self, rows_B: NDArray[np.int64], replace: bool, alter: Alter | None) -> "_Coming":
        """Return a batch of which nothing is made."""
        shape, kind = (len(rows_B), self.size, self.size, 3), torch.float32 if alter else torch.uint8
        pixels_BHWC = torch.empty(shape, dtype=kind, pin_memory=pinned())
        changes = alter(pixels_BHWC.permute(0, 3, 1, 2).shape) if alter else None
        return _Coming(rows_B, pixels_BHWC, lambda row: self._picture(row, replace), changes)

    def _end(self, coming: "_Coming") -> Batch:
        coming.end()
        pixels_BHWC, used_B = coming.pixels_BHWC, coming.used_B
        self.skipped += int((used_B != coming.rows_B).sum())
        if (used_B == NONE).any():
            pixels_BHWC, used_B = pixels_BHWC[torch.from_numpy(used_B != NONE)], used_B[used_B != NONE]
        label_B = torch.from_numpy(self.label_N[used_B])
        return Batch(pixels_BHWC.permute(0, 3, 1, 2), label_B.pin_memory() if pinned() else label_B, used_B)

    def _picture(self, row: int, replace: bool) -> tuple[int, NDArray[np.uint8]] | None:
        """Return a row's picture, or the one that stands in for it, after whose row it is; None if it is left out."""
        if (picture_HWC := self._read(row)) is not None:
            return row, picture_HWC
        if not replace:
            return None
        for other in self._others(row).tolist():
            if (picture_HWC := self._read(other)) is not None:
                return other, picture_HWC
        raise DatasetError(
            f"none of the chips of a person can be decoded, among them that of face {self.chips.face_id(row)}: "
            "leave the person out (omokage review), or ingest the pictures anew"
        )

    def _read(self, row: int) -> NDArray[np.uint8] | None:
        """Return a row's picture, or None if its chip is none."""
        if row in self._broken:
            return None
        picture_HWC = _decoded(self.chips[row])
        if picture_HWC is None:
            with self._lock:
                self._broken[row] = self.chips.face_id(row)
            return None
        return square(picture_HWC, self.size)

    def _others(self, row: int) -> NDArray[np.int64]:
        """Return the other rows of a person, from the one after this and round to the one before."""
        same = np.flatnonzero(self.label_N == self.label_N[row])
        place = int(np.searchsorted(same, row))
        return np.concatenate([same[place + 1 :], same[:place]])


class _Coming:
    """A batch that threads are making.

    Args:
        rows_B: Whose pictures are asked for.
        pixels_BHWC: Where they go.
        picture: Returns that of a row, after whose row it is, or None.
        changes: What becomes of them; None: nothing.
    """

    def __init__(
        self,
        rows_B: NDArray[np.int64],
        pixels_BHWC: torch.Tensor,
        picture: Callable[[int], tuple[int, NDArray[np.uint8]] | None],
        changes: Sequence[Change] | None,
    ) -> None:
        self.rows_B, self.pixels_BHWC, self.changes = rows_B, pixels_BHWC, changes
        self.used_B = np.full(len(rows_B), NONE)
        """Row whose picture it became; ``NONE`` for none."""
        self.made_B = np.zeros(len(rows_B), bool)
        self.tasks: list[Future[None]] = []
        """Of threads that ``work``."""
        self._picture, self._out_BHWC = picture, pixels_BHWC.numpy()
        self._left = iter(enumerate(rows_B.tolist()))

    def work(self) -> None:
        """Make pictures until all are begun, beside any other threads that do."""
        for place, row in self._left:
            self._make(place, row)

    def _make(self, place: int, row: int) -> None:
        """Make a picture; made twice, it is the same."""
        if (found := self._picture(row)) is not None:
            self.used_B[place], picture_HWC = found
            changes = self.changes
            self._out_BHWC[place] = picture_HWC if changes is None else one_changed(place, picture_HWC, changes)
        self.made_B[place] = True

    def end(self) -> None:
        """Return when all are made: by those who have begun them, or here.

        Raises:
            DatasetError: No picture of a person can be decoded.
        """
        self.work()
        begun = [task for task in self.tasks if not task.cancel()]
        for task in wait(begun, PATIENCE).done:
            task.result()
        for place in np.flatnonzero(~self.made_B).tolist():
            self._make(place, int(self.rows_B[place]))


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
