"""A batch of pictures through changes: on a CPU each picture through all of them, elsewhere all pictures through each.

On a CPU, OpenCV computes what torch computes elsewhere, to some 1e-6, in a fifth of the time: a picture stays in the
cache from its first change to its last, three colours of a pixel side by side. Shape key: B pictures, C = 3 channels
(red, green, blue), H rows, W columns.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.float32]
"""Shape (H, W, C), one after the other in memory."""


class Change(Protocol):
    """What becomes of a batch of pictures. What either way is given is its own, and may be written to."""

    def batch(self, pixels_BCHW: Tensor) -> Tensor:
        """Return all pictures changed; float32, on any device."""

    def one(self, number: int, picture: Picture) -> Picture:
        """Return the picture of a number in the batch changed."""


class Some:
    """A change of some of the pictures, each by numbers of its own.

    Args:
        rows: Which pictures.
        batch: Called with them, as ``Change.batch`` is, and ``numbers``.
        one: Called with one of them, as ``Change.one`` is, and what is its own of each of ``numbers``.
        numbers: For each of the pictures, in the memory of the CPU.
    """

    def __init__(
        self, rows: list[int], batch: Callable[..., Tensor], one: Callable[..., Picture], *numbers: Tensor
    ) -> None:
        self._rows, self._batch, self._one, self._numbers = rows, batch, one, numbers
        own: list[list[Any]] = [each.tolist() for each in numbers]
        self._own = dict(zip(rows, zip(*own, strict=True), strict=True))

    def batch(self, pixels_BCHW: Tensor) -> Tensor:
        """Return all pictures, some of them changed."""
        if len(self._rows) == len(pixels_BCHW):
            return self._batch(pixels_BCHW, *self._numbers)
        if self._rows:
            pixels_BCHW[self._rows] = self._batch(pixels_BCHW[self._rows], *self._numbers)
        return pixels_BCHW

    def one(self, number: int, picture: Picture) -> Picture:
        """Return a picture, changed if it is one of those that are."""
        own = self._own.get(number)
        return picture if own is None else self._one(picture, *own)


def changed(pixels_BCHW: Tensor, changes: Sequence[Change]) -> Tensor:
    """Return a new tensor of the pictures after all changes, one after the other.

    Args:
        pixels_BCHW: On any device. Floats, or uint8 of which 255 becomes 1.
        changes: What becomes of the pictures.

    Returns:
        float32, on the same device; on a CPU pixel by pixel in memory (channels last).
    """
    if pixels_BCHW.device.type == "cpu":
        return _one_by_one(pixels_BCHW, changes)
    pixels_BCHW = pixels_BCHW.to(torch.float32, copy=True).div_(1 if pixels_BCHW.is_floating_point() else 255)
    for change in changes:
        pixels_BCHW = change.batch(pixels_BCHW)
    return pixels_BCHW


def one_changed(number: int, given_HWC: NDArray[Any], changes: Sequence[Change]) -> Picture:
    """Return the picture of a number in the batch after all changes, on the CPU.

    Args:
        number: From 0.
        given_HWC: Floats, or uint8 of which 255 becomes 1.
        changes: What becomes of it.
    """
    picture = given_HWC.astype(np.float32)
    if given_HWC.dtype == np.uint8:
        picture /= 255
    for change in changes:
        picture = change.one(number, picture)
    return picture


def _one_by_one(pixels_BCHW: Tensor, changes: Sequence[Change]) -> Tensor:
    if pixels_BCHW.is_floating_point():
        pixels_BCHW = pixels_BCHW.float()  # NumPy knows no bfloat16
    given_BHWC = pixels_BCHW.permute(0, 2, 3, 1).contiguous().numpy()
    out_BHWC = np.empty(given_BHWC.shape, np.float32)
    waiting = zip(range(len(given_BHWC)), given_BHWC, out_BHWC, strict=True)

    def work() -> None:
        for number, given, out in waiting:  # shared by all threads: who is free takes the next one
            out[:] = one_changed(number, given, changes)

    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for task in [pool.submit(work) for _ in range(threads)]:
            task.result()
    return torch.from_numpy(out_BHWC).permute(0, 3, 1, 2)
