"""Which codes of two blocks have a product above a floor: the one inner loop of every join, on CPU or GPU.

Shape key: M, N codes of the two blocks, E numbers of a code.
"""

import math
import time
from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.index.coder import Kind

ROWS: Final = {"cpu": 512, "cuda": 8192}
COLUMNS: Final = {"cpu": 1024, "cuda": 16384}
"""Of a block of products: on a CPU it stays in the cache, on a GPU it is worth a launch."""

FINE: Final = 2.0**-26
"""Step of the numbers of vectors that are scored."""

DENSE: Final = 64
"""Products that may be made for each pair that is asked for: cheaper than bringing the vectors of each together."""

PRODUCTS: Final = 3 << 30
"""Bytes that products, and what is found in them, take on a GPU."""

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def device() -> str:
    """Return where products are made: on a GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def fits(codes: int, device: str) -> bool:
    """Return whether so many bytes of codes have room on a GPU, products beside them; a CPU's stay on disk, mapped."""
    return device == "cpu" or codes + PRODUCTS <= torch.cuda.mem_get_info()[0]


def above(a_ME: torch.Tensor, b_NE: torch.Tensor, floor: float, upper: bool = False) -> Iterator[Pairs]:
    """Yield the (row of a, row of b) whose codes' product is at least ``floor``, block by block.

    Args:
        a_ME: Codes, int8 or float32.
        b_NE: Codes of the same kind, on the same device.
        floor: In units of the codes' product (``Coder.unit``).
        upper: The blocks begin with the same codes, and only pairs with row of a < row of b are wanted.
    """
    rows, columns = ROWS[a_ME.device.type], COLUMNS[a_ME.device.type]
    for i in range(0, len(a_ME), rows):
        part_RE = a_ME[i : i + rows]
        for j in range(i if upper else 0, len(b_NE), columns):
            row, column = reaching(products(part_RE, b_NE[j : j + columns]), floor)
            if len(row):
                row, column = row + i, column + j
                if upper and j < i + rows:
                    late = column > row
                    row, column = row[late], column[late]
                yield row, column


def reaching(found_MN: torch.Tensor, floor: float) -> Pairs:
    """Return row and column of the products that are at least ``floor``, by row, then by column."""
    if found_MN.device.type != "cpu":
        return reaching_on_gpu(found_MN, floor)
    # numpy finds them four times as quickly as torch, and whole numbers are best compared with one
    found = found_MN.numpy()
    whole = found.dtype == np.int32
    least = np.int32(math.ceil(min(max(floor, -(2.0**31)), 2.0**31 - 1))) if whole else np.float32(floor)
    row, column = np.divmod(np.flatnonzero(found >= least), found.shape[1])
    return row, column


def reaching_on_gpu(found_MN: torch.Tensor, floor: float) -> Pairs:
    """Return the same as a GPU finds it, where floor and products are compared as float32.

    Rounding keeps the order of numbers, so nothing is lost; of products above 2^24 one a little below may come too.
    """
    pair = torch.nonzero(found_MN >= floor).cpu().numpy()
    return pair[:, 0], pair[:, 1]


def products(a_ME: torch.Tensor, b_NE: torch.Tensor) -> torch.Tensor:
    """Return all products of codes, shape (M, N): int32 of int8 codes, else float32."""
    if a_ME.dtype == torch.float32:
        if a_ME.device.type == "cpu":  # numpy's BLAS serves more processors well than torch's
            return torch.from_numpy(a_ME.numpy() @ b_NE.numpy().T)
        return a_ME @ b_NE.T
    return products_on_gpu(a_ME, b_NE) if a_ME.device.type == "cuda" else torch._int_mm(a_ME, b_NE.T)


def products_on_gpu(a_ME: torch.Tensor, b_NE: torch.Tensor) -> torch.Tensor:
    """Return all products of int8 codes as a GPU makes them: of more than 16 rows, and multiples of 8 on each side."""
    rows, columns = len(a_ME), len(b_NE)
    a_ME = torch.nn.functional.pad(a_ME, (0, 0, 0, max(-rows % 8, 24 - rows)))
    b_NE = torch.nn.functional.pad(b_NE, (0, 0, 0, -columns % 8))
    return torch._int_mm(a_ME, b_NE.T)[:rows, :columns]


def score(
    a_ND: NDArray[np.float32], b_ND: NDArray[np.float32], at_a: NDArray[np.int64], at_b: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the similarity of each pair of vectors, the same in any company.

    The numbers of unit vectors are taken as multiples of ``FINE``, which changes them by 7.5e-9 at most: their
    products, and sums of those up to 1, are whole multiples of ``FINE`` squared that a double holds. So no order of
    summing rounds anything, and where the pairs are among few vectors one product of matrices gives them all.

    Args:
        a_ND: Vectors of unit length.
        b_ND: Likewise.
        at_a: Places among the first ones.
        at_b: Places among the second ones, beside them.
    """
    whole_a, whole_b = _whole(a_ND), _whole(b_ND)
    if len(a_ND) * len(b_ND) <= DENSE * len(at_a):
        found = (whole_a @ whole_b.T)[at_a, at_b]
    else:
        found = np.vecdot(whole_a[at_a], whole_b[at_b])
    return (found * FINE**2).astype(np.float32)


def _whole(vectors_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return vectors in multiples of ``FINE``."""
    whole_ND = vectors_ND * np.float64(1 / FINE)
    return np.rint(whole_ND, out=whole_ND)


def rate(kind: Kind, length: int, device: str = "cpu", seconds: float = 0.02) -> float:
    """Return how many pairs of codes a second one thread compares, by trying for so long.

    On a CPU the thread's own time counts: what else the machine does must not change what lists are made of.
    """
    clock = time.thread_time if device == "cpu" else time.perf_counter
    dtype = torch.int8 if kind == "int8" else torch.float32
    rows, columns = ROWS[device], COLUMNS[device]
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(-9, 10, (rows + columns, length), generator=generator).to(dtype).to(device)
    done, began = 0, 0.0
    while done < 4 or clock() - began < seconds:
        for _ in above(codes[:rows], codes[rows:], 10**9):
            raise AssertionError("no product is that big")
        done += 1
        if done == 1:  # the first one prepares
            began = clock()
    return (done - 1) * rows * columns / max(clock() - began, 1e-6)
