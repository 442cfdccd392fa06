"""The most similar faces to one, exactly: all codes are compared, and whoever may be among them is scored.

Shape key: N faces, K answers, D numbers of a vector.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.product import products, score

BLOCK: Final = 262_144
"""Codes that are compared at once."""


def nearest(
    faces: Faces,
    coder: Coder,
    query_D: NDArray[np.float32],
    count: int,
    live_N: NDArray[np.bool_],
    placed: Callable[[NDArray[np.int64]], NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the rows of the ``count`` most similar live faces and their similarities, falling; fewer if there are.

    Args:
        faces: To search among.
        coder: Of the faces.
        query_D: Unit length.
        count: Of answers.
        live_N: Which faces may be answers.
        placed: Returns the place of each of some rows, however they are stored: of equal ones the first comes first.
    """
    code_1E, error = coder.encode(query_D[None])
    unsure = 2 * coder.margin(error, faces.error) / coder.unit
    rows, near = np.zeros(0, np.int64), np.zeros(0, np.float64)
    for segment, base in zip(faces.segments, faces.bounds, strict=False):
        for start in range(0, len(segment), BLOCK):
            codes = segment.codes(slice(start, start + BLOCK))
            found = products(codes, torch.from_numpy(code_1E))[:, 0].numpy().astype(np.float64)
            mine = np.flatnonzero(live_N[base + start : base + start + len(codes)])
            rows = np.concatenate([rows, mine + base + start])
            near = np.concatenate([near, found[mine]])
            if len(near) > count:
                floor = np.partition(near, -count)[-count] - unsure
                rows, near = rows[near >= floor], near[near >= floor]
    similarity = score(faces[rows], query_D[None], np.arange(len(rows)), np.zeros(len(rows), np.int64))
    order = np.lexsort((placed(rows), -similarity))[:count]
    return rows[order], similarity[order].astype(np.float32)
