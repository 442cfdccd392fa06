"""What a choice of lists and probes loses, seen on a sample of faces that is searched exactly.

Shape key: S faces of the sample, M true pairs, L lists.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.index import wilson
from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.product import above
from omokage.index.side import Rule
from omokage.index.threads import each

BLOCK: Final = 16_384
"""Faces that the sample is compared with at once."""

OWN: Final = 8
"""Pairs within a person that count for each face of the sample and block: a big person is not all there is."""

SCORED: Final = 4096
"""Pairs that are scored at once."""

ENOUGH: Final = 30
"""Faces of the sample with pairs of two people, from which on these pairs alone tell the recall."""

SPARE: Final = 4.0
"""Cost of a rule that may be taken, where one of cost 1 finds enough of the sample's pairs: a sample is not all."""

STEPS: Final = 64
"""Floors to choose from."""


@dataclass(frozen=True)
class Truth:
    """All pairs of the sample's faces with any face, at or above a threshold. Each is the sample's ``a``, any ``b``."""

    sample_S: NDArray[np.int64]
    a_M: NDArray[np.int64]
    b_M: NDArray[np.int64]
    differ_M: NDArray[np.bool_]
    """Whether they are two people's."""

    def part(self, every: int, of: int) -> "Truth":
        """Return the truth of each ``of``-th face of the sample."""
        kept = self.sample_S[every::of]
        mine = np.isin(self.a_M, kept)
        return Truth(kept, self.a_M[mine], self.b_M[mine], self.differ_M[mine])


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of true pairs that a join found, with the interval that holds it 95 times in 100."""

    value: float
    low: float
    high: float
    pairs: int
    faces: int
    """Faces of the sample that have such pairs."""


def search(
    faces: Faces, coder: Coder, sample_S: NDArray[np.int64], label_N: NDArray[np.int32], threshold: float
) -> Truth:
    """Return all pairs of some rows (sorted) with any row of at least ``threshold``; negative labels are left out."""
    codes_SE, error = coder.encode(faces[sample_S])
    mine = torch.from_numpy(codes_SE)
    floor = (threshold - coder.margin(error, faces.error)) / coder.unit

    def block(at: tuple[int, int]) -> NDArray[np.int64]:
        number, start = at
        segment, base = faces.segments[number], int(faces.bounds[number])
        found = [np.zeros((2, 0), np.int64)]
        for i, j in above(mine, segment.codes(slice(start, start + BLOCK)), floor):
            b = j + start + base
            found.append(np.stack([i, b])[:, (sample_S[i] != b) & (label_N[sample_S[i]] >= 0) & (label_N[b] >= 0)])
        faces.ease()
        i, b = _thinned(np.concatenate(found, axis=1), label_N[sample_S], label_N)
        high = np.zeros(len(i), bool)
        for k in range(0, len(i), SCORED):
            some = slice(k, k + SCORED)
            high[some] = faces.alike(sample_S[i[some]], b[some]) >= np.float32(threshold)
        return np.stack([sample_S[i], b])[:, high]

    starts = [(n, at) for n, segment in enumerate(faces.segments) for at in range(0, len(segment), BLOCK)]
    a_M, b_M = np.concatenate([*each(block, starts), np.zeros((2, 0), np.int64)], axis=1)
    return Truth(sample_S, a_M, b_M, label_N[a_M] != label_N[b_M])


def _thinned(pairs: NDArray[np.int64], label_S: NDArray[np.int32], label_N: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return (sample, row) pairs without those within a person that are more than ``OWN`` for a face."""
    i, b = pairs
    own = label_S[i] == label_N[b]
    order = np.lexsort((b, i, own))
    i, own = i[order], own[order]
    run = np.flatnonzero(np.diff(i, prepend=-1) | np.diff(own, prepend=False))
    place = np.arange(len(i)) - np.repeat(run, np.diff(run, append=len(i)))
    return pairs[:, order[~own | (place < OWN)]]


def reach(truth: Truth, faces: Faces) -> NDArray[np.float32]:
    """Return the highest floor at which a join meets each true pair: 2 at home, -2 where it never does."""
    ways = (truth.a_M, truth.b_M), (truth.b_M, truth.a_M)
    return np.maximum(*(_seen(faces, mine, faces.home(other)) for mine, other in ways))


def _seen(faces: Faces, rows: NDArray[np.int64], lists: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the similarity of each row to the list beside it if the row can probe it; 2 if it is its home, else -2."""
    unique, place = np.unique(rows, return_inverse=True)
    probes = faces.probes(unique).take(place)
    hit = np.flatnonzero(probes.list_K == np.repeat(lists, np.diff(probes.start_N1)))
    pair = np.searchsorted(probes.start_N1, hit, side="right") - 1
    seen = np.full(len(rows), -2, np.float32)
    seen[pair] = np.where(probes.start_N1[pair] == hit, 2, probes.sim_K[hit])
    return seen


def choose(truth: Truth, faces: Faces, target: float) -> Rule | None:
    """Return the rule that finds most of the sample's pairs among those that cost little; None if none finds enough.

    Little is up to ``SPARE`` times what the cheapest sufficient one costs. Where few faces have pairs of two people,
    and for the sake of stray faces, which do not weigh much among those, pairs of one person count too: of all pairs it
    may miss ten times as much.
    """
    reach_M = reach(truth, faces)
    probes = faces.probes(truth.sample_S)
    size_K = np.where(probes.ranks() == 0, 0, faces.sizes()[probes.list_K])
    order = np.argsort(-probes.sim_K, kind="stable")
    sim_K, cost_K = probes.sim_K[order], np.cumsum(size_K[order])
    allowed = 1 - target
    few = len(np.unique(truth.a_M[truth.differ_M])) < ENOUGH
    at_home = float(faces.sizes()[probes.home()].sum())
    for place in np.unique(np.linspace(0, len(sim_K) - 1, STEPS).astype(int)).tolist():
        missed = reach_M < sim_K[place]
        if _mean(missed[truth.differ_M]) <= allowed and _mean(missed) <= allowed * (1 if few else 10):
            spare = np.searchsorted(cost_K, SPARE * (at_home + cost_K[place]) - at_home, side="right") - 1
            return Rule(float(sim_K[max(place, spare)]))
    return None


def _mean(missed: NDArray[np.bool_]) -> float:
    return float(missed.mean()) if len(missed) else 0.0


def measure(truth: Truth, faces: Faces, rule: Rule) -> tuple[Recall, Recall]:
    """Return the recall of a join by ``rule``: of the pairs of two people, and of all pairs.

    The pairs of a face share its fate, so they count for less than their number: by the design effect, the variance
    of the share between faces against that of as many pairs that are independent. Interval: Wilson's.
    """
    met = reach(truth, faces) >= rule.floor
    everything = np.ones(len(met), bool)
    effect = _design_effect(truth.a_M, met)
    two_people, both = (_recall(truth.a_M[which], met[which], effect) for which in (truth.differ_M, everything))
    return two_people, both


def _design_effect(face_M: NDArray[np.int64], met_M: NDArray[np.bool_]) -> float:
    """Return the variance of the share of met pairs, pairs taken by face, over that of independent pairs; 1 or more."""
    share = met_M.mean() if len(met_M) else 1.0
    if share in (0.0, 1.0):
        return 1.0
    _, place = np.unique(face_M, return_inverse=True)
    by_face = np.bincount(place, met_M - share)
    return max(1.0, float((by_face**2).sum() / (len(met_M) * share * (1 - share))))


def _recall(face_M: NDArray[np.int64], met_M: NDArray[np.bool_], effect: float) -> Recall:
    count = len(met_M) / effect
    if not count:
        return Recall(1.0, 0.0, 1.0, 0, 0)
    share = float(met_M.mean())
    return Recall(share, *wilson.interval(share, count), len(met_M), len(np.unique(face_M)))
