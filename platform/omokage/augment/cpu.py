"""Pictures of a batch on a CPU: one at a time, by OpenCV, on as many threads as torch has.

Geometry, light and blur are each one function; on a CPU, OpenCV computes there what torch computes elsewhere, to some
1e-6, in a fifth of the time: it goes over a picture while that lies in the cache, three colours of a pixel at a time.

Shape key: B pictures, C channels, H rows, W columns.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.float32]
"""Shape (H, W, C)."""


def each(pixels_BCHW: Tensor, change: Callable[..., object], *numbers: Iterable[object]) -> Tensor:
    """Return a new tensor, channels last in memory, of pictures that a function has written.

    Args:
        pixels_BCHW: float32, in the CPU's memory.
        change: Called with a picture, where to write the new one, and what is its own of each of ``numbers``.
        numbers: For each picture.
    """
    given_BHWC = pixels_BCHW.permute(0, 2, 3, 1).contiguous().numpy()
    out_BHWC = np.empty_like(given_BHWC)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in pool.map(change, given_BHWC, out_BHWC, *numbers):  # asked for, so that an error is raised
            pass
    return torch.from_numpy(out_BHWC).permute(0, 3, 1, 2)
