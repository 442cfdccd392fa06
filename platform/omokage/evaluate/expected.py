"""Where the operating points will be, told by a sample, before all pairs are counted.

Shape key: N faces, E numbers of an embedding, B bins, H coarse bins, P parts of the sample, S faces of a part, M pairs
of one person.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.evaluate import pairs
from omokage.evaluate.pairs import BINS, SHIFT, Faces
from omokage.index.threads import each

SAMPLE: Final = 8192
"""Most faces that tell where the operating points will be."""

PARTS: Final = 8
"""Of the sample, with no face in common: how they differ tells how far to trust it."""

COARSE: Final = 4
"""Sixteen bins in one (as a shift) are enough to tell where operating points will be."""

PAIRS: Final = 8192
"""Most pairs of one person in the sample."""

AT_ONCE: Final = 256
"""Of them that are held."""

SURE: Final = 50
"""Pairs of a part beyond a similarity without which it tells nothing about that similarity."""


def expected(faces: Faces, fmrs: Sequence[float], threads: int | None) -> NDArray[np.bool_]:
    """Return the bins that probably hold the operating points, by a sample."""
    size = max(2, min(SAMPLE, len(faces.person_N) // 2) // PARTS)
    row_PS = np.random.default_rng(0).permutation(len(faces.person_N))[: PARTS * size].reshape(-1, size)
    same = _one_person(faces)
    parts = list(each(lambda n: _part(faces, np.sort(row_PS[n]), same[n::PARTS], fmrs), range(len(row_PS)), threads))
    wanted_H = np.zeros(_coarse(BINS) + 1, bool)
    for place, rate in enumerate([*fmrs, 1.0]):  # the last: where errors are equal, of which any sample tells something
        low, high = min(part[place][0] for part in parts), max(part[place][1] for part in parts)
        spread = (high - low) // 4 + 1
        sure = rate * size * (size - 1) / 2 > SURE
        wanted_H[max(0, low - spread) : high + spread + 1 if sure else len(wanted_H)] = True
    return np.repeat(wanted_H, 1 << COARSE)[:BINS]


def _part(
    faces: Faces, row_S: NDArray[np.int64], same: NDArray[np.int32], fmrs: Sequence[float]
) -> list[tuple[int, int]]:
    """Return between which coarse bins some faces have each operating point, and at last the equal errors."""
    some_SE = faces.vector_NE[row_S]
    cell_SS = pairs.rounded(some_SE @ some_SE.T)
    strange_SS = np.triu(faces.person_N[row_S, None] != faces.person_N[row_S], 1)
    bins = _coarse(BINS) + 1
    above_H = np.cumsum(np.bincount(_coarse(cell_SS[strange_SS] >> SHIFT), minlength=bins)[::-1])[::-1]
    count = max(1, int(above_H[0]))
    floors = [max(int(rate * count), min(SURE, count - 1)) for rate in fmrs]
    at = [max(0, int(np.count_nonzero(above_H > floor)) - 1) for floor in floors]
    genuine_H = np.bincount(same, minlength=bins)
    fnmr_H, fmr_H = (np.cumsum(genuine_H) - genuine_H) / max(1, len(same)), above_H / count
    # where nobody is mistaken there are two such: below all pairs of one person, above all others
    equal = int(np.argmax(fnmr_H >= fmr_H)), bins - 1 - int(np.argmax((fmr_H >= fnmr_H)[::-1]))
    return [*((one, one) for one in at), (min(equal), max(equal))]


def _one_person(faces: Faces) -> NDArray[np.int32]:
    """Return the coarse bins of some pairs of one person: of faces far apart in their order, which may be of time."""
    first_P = np.flatnonzero(np.diff(faces.person_N, prepend=-1))
    size_P = np.diff(first_P, append=len(faces.person_N))
    row_M = np.flatnonzero(size_P[faces.person_N] > 1)
    row_M = row_M[:: -(-len(row_M) // PAIRS)]
    first_M, size_M = first_P[faces.person_N[row_M]], size_P[faces.person_N[row_M]]
    other_M = first_M + (row_M - first_M + size_M // 2) % size_M
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(row_M), AT_ONCE)]
    score = [np.vecdot(faces.vector_NE[row_M[part]], faces.vector_NE[other_M[part]]) for part in parts]
    coarse_M: NDArray[np.int32] = _coarse(pairs.rounded(np.concatenate(score)) >> SHIFT)
    return coarse_M


def _coarse(bin_: Any) -> Any:
    """Return the coarse bin that a bin is in."""
    return bin_ >> COARSE
