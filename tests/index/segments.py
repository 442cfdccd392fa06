"""Segments made from arrays, for tests of the index."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omokage.index.build import Builder
from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.join import MATCH, Join
from omokage.index.lists import Assigner, floor_of
from omokage.index.segment import Segment
from omokage.index.side import Rule, Side


def made(
    place: Path,
    vectors_ND: NDArray[np.float32],
    label_N: NDArray[np.int32],
    coder: Coder,
    centroids_LD: NDArray[np.float32],
) -> Segment:
    """Return a segment of some faces, row for row."""

    def blocks():
        for start in range(0, len(vectors_ND), 300):
            yield vectors_ND[start : start + 300]

    scratch = place.with_name(f"{place.name}.part")
    scratch.mkdir(parents=True)
    floor = floor_of(coder.encode(vectors_ND)[0], coder.encode(centroids_LD)[0])
    builder = Builder(scratch, coder, label_N)
    builder.encode(blocks())
    builder.lists(Assigner(coder, centroids_LD, floor), len(centroids_LD))
    builder.save("shards", np.array([0, len(label_N)]))
    builder.finish(place)
    return Segment.open(place)


def joined(
    segments: list[Segment],
    coder: Coder,
    label_N: NDArray[np.int32],
    threshold: float,
    *,
    rule: Rule | None = None,
    old: int = 0,
    among_new: bool = True,
    pieces: int = 5,
) -> NDArray[np.void]:
    """Return all matches of a join, the first ``old`` segments being there already."""
    rule = rule or Rule()
    faces = Faces(segments)
    new_side = Side(faces, range(old, len(segments)), rule, threshold)
    old_side = Side(faces, range(old), rule, threshold)
    join = Join(coder, faces, new_side, old_side, label_N, threshold, among_new)
    return np.concatenate([np.zeros(0, MATCH), *(join(unit) for unit in join.units(pieces))])


def slow(vectors_ND: NDArray[np.float32], label_N: NDArray[np.int32], threshold: float) -> dict[tuple[int, int], float]:
    """Return the similarity of every pair of rows of different labels at or above a threshold, the obvious way."""
    alike_NN = vectors_ND.astype(np.float64) @ vectors_ND.T.astype(np.float64)
    a, b = np.nonzero(np.triu(alike_NN.astype(np.float32) >= np.float32(threshold), 1))
    keep = (label_N[a] != label_N[b]) & (label_N[a] >= 0) & (label_N[b] >= 0)
    return {(int(i), int(j)): float(alike_NN[i, j]) for i, j in zip(a[keep], b[keep], strict=True)}


def named(matches: NDArray[np.void]) -> dict[tuple[int, int], float]:
    """Return matches by the rows of their faces.

    Raises:
        AssertionError: A pair comes twice.
    """
    pairs = {(int(match["a"]), int(match["b"])): float(match["similarity"]) for match in matches}
    assert len(pairs) == len(matches), "a pair came twice"
    return pairs
