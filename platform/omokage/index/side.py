"""One side of a join: the members and the visitors of every list.

Shape key: N faces of a segment, L lists, K probe entries, E numbers of a code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.index.faces import Faces
from omokage.index.lists import Probes, within
from omokage.index.segment import Segment, taken

FACES_AT_ONCE: Final = 1 << 17
"""Whose probes are in hand."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which lists a face probes: its home, and of the others that it can probe those from a floor on."""

    floor: float = -1.0
    """Similarity to the centroid."""


class Side:
    """Some segments of faces, by list."""

    def __init__(self, faces: Faces, numbers: range, rule: Rule, threshold: float, device: str = "cpu") -> None:
        self.segments = [faces.segments[number] for number in numbers]
        self.bases = faces.bounds[numbers.start : numbers.stop + 1]
        """Row where each segment begins, and the end of the last."""
        self.held = [segment.codes(slice(None)).to(device) for segment in self.segments] if device != "cpu" else None
        """All codes, on a GPU; on a CPU they stay mapped."""
        self.probers = [probers(segment, rule, threshold) for segment in self.segments]

    def members(self, number: int) -> tuple[torch.Tensor, NDArray[np.int64]]:
        """Return codes and rows of the faces at home in a list."""
        return self._some([segment.members(number) for segment in self.segments])

    def visitors(self, number: int) -> tuple[torch.Tensor, NDArray[np.int64]]:
        """Return codes and rows of the faces that probe a list from elsewhere."""
        return self._some([rows_K[slice(*start_L1[number : number + 2])] for start_L1, rows_K in self.probers])

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many members and visitors each list has."""
        members = sum(np.diff(segment.start_L1) for segment in self.segments)
        visitors = sum(np.diff(start_L1) for start_L1, _ in self.probers)
        return np.asarray(members), np.asarray(visitors)

    def visit(self, rows: NDArray[np.int64], lists: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of this side's rows probe the list beside them."""
        out = np.zeros(len(rows), bool)
        for (start_L1, rows_K), start, end in zip(self.probers, self.bases, self.bases[1:], strict=False):
            mine = np.flatnonzero((rows >= start) & (rows < end))
            for number in np.unique(lists[mine]):
                of = mine[lists[mine] == number]
                out[of] = _among(rows[of] - start, rows_K[start_L1[number] : start_L1[number + 1]])
        return out

    def _some(self, picks: Sequence[NDArray[np.int32]]) -> tuple[torch.Tensor, NDArray[np.int64]]:
        if self.held is None:
            codes = [segment.codes(pick) for segment, pick in zip(self.segments, picks, strict=True)]
        else:
            chosen = (torch.from_numpy(pick.astype(np.int64)) for pick in picks)
            codes = [held[pick] for held, pick in zip(self.held, chosen, strict=True)]
        rows = [base + pick.astype(np.int64) for pick, base in zip(picks, self.bases, strict=False)]
        if len(codes) == 1:  # as it is, without a copy
            return codes[0], rows[0]
        return torch.cat(codes), np.concatenate(rows)


def probers(segment: Segment, rule: Rule, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the faces that probe each list from elsewhere: where each list's run begins, and their rows, sorted.

    A face is left out where it cannot match: when its angle to the list's centroid is bigger than that of any member
    by more than the threshold's angle. Many faces are gone over twice, to count and to fill: what is sorted at once
    stays small.
    """
    segment.release()
    least_L = _least_similar(segment)

    def visits() -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        for start in range(0, len(segment), FACES_AT_ONCE):
            yield _visits(segment, start, least_L, rule, threshold)
            segment.release()

    few = list(visits()) if len(segment) <= FACES_AT_ONCE else None
    count_L = np.zeros(len(least_L), np.int64)
    for list_M, _ in few or visits():
        count_L += np.bincount(list_M, minlength=len(count_L))
    start_L1 = np.concatenate([[0], np.cumsum(count_L)])
    rows_K, next_L = np.empty(start_L1[-1], np.int32), start_L1[:-1].copy()
    for list_M, row_M in few or visits():
        order = np.argsort(list_M, kind="stable")
        count_L = np.bincount(list_M, minlength=len(next_L))
        rows_K[np.repeat(next_L, count_L) + within(count_L)] = row_M[order]
        next_L += count_L
    return start_L1, rows_K


def _among(wanted: NDArray[np.int64], sorted_K: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which of the wanted rows are in a sorted run."""
    if not len(sorted_K):
        return np.zeros(len(wanted), bool)
    found: NDArray[np.bool_] = sorted_K[np.searchsorted(sorted_K, wanted).clip(max=len(sorted_K) - 1)] == wanted
    return found


def _visits(
    segment: Segment, start: int, least_L: NDArray[np.float32], rule: Rule, threshold: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return which lists are probed by which of the faces from ``start`` on, in the order of the faces."""
    end = min(start + FACES_AT_ONCE, len(segment))
    entries = slice(segment.probes.start_N1[start], segment.probes.start_N1[end])
    start_n1 = segment.probes.start_N1[start : end + 1] - segment.probes.start_N1[start]
    part = Probes(start_n1, segment.probes.list_K[entries], segment.probes.sim_K[entries])
    mine = np.flatnonzero((part.ranks() > 0) & (part.sim_K >= rule.floor))
    list_M, slack = part.list_K[mine], 2 * segment.error + 1e-4  # similarities to centroids are by codes
    away = _angle(part.sim_K[mine] + slack) - _angle(least_L[list_M] - slack)
    near = away <= _angle(np.float32(threshold))
    row_M = np.repeat(np.arange(start, end, dtype=np.int32), np.diff(start_n1))[mine[near]]
    return list_M[near], row_M


def _least_similar(segment: Segment) -> NDArray[np.float32]:
    """Return the similarity of each list's centroid to the member furthest from it."""
    home_N = taken(segment.probes.sim_K, segment.probes.start_N1[:-1])[segment.member_N]
    least_L = np.full(len(segment.start_L1) - 1, 1, np.float32)
    filled = np.flatnonzero(np.diff(segment.start_L1))
    if len(filled):
        least_L[filled] = np.minimum.reduceat(home_N, segment.start_L1[filled])
    return least_L


def _angle(similarity: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    return np.arccos(np.clip(similarity, -1, 1))
