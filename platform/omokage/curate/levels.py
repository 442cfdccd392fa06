"""How near a face comes to its own person, and to others: levels of the dataset itself, and what they say of a face.

A face is compared with the centre of m other faces. The fewer they are, the farther the centre lies from the true
one, for the person's own faces as for anybody's. So with g the similarity of two faces of one person, a face comes to

    own(m) = r(m) * sqrt(g)        where  r(m) = sqrt(m g / (1 + (m - 1) g))  is the centre's similarity to the true one

and strays about that for two reasons: faces are not equally typical of their person (r(m) times some spread), and the
centre is off in a direction of its own (sqrt(1 - r(m)^2) times what two strangers' similarity strays). Similarity to
strangers stays about the same with every m. All are estimated by medians, which the wrong faces that we look for and
people in two folders do not move while they are few.

Shape key: N faces.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.curate.centres import Centres, to_strangers
from omokage.curate.gallery import Gallery

MAD: Final = 0.6745
"""Median distance from the median, in standard deviations of a normal distribution."""

TAIL_OWN: Final = 5.0
"""Degrees of freedom: some of a person's pictures are far worse than most, so the tail is heavy."""

TAIL_STRANGERS: Final = 5.0
"""Degrees of freedom: there are relatives and lookalikes, too."""

START: Final = 0.02
LEAST: Final = 0.002
MOST: Final = 0.2
"""Share of strangers: first guess, and bounds. Beyond them the levels above could not be estimated either."""

SKEW: Final = 3.0
"""How many times farther faces may stray downwards than upwards."""

DOUBT: Final = 10
"""Pairs of people that weigh as much as the assumption that strangers are at right angles; faces, as that of WIDE."""

WIDE: Final = 0.1
"""Spread that so few faces do not show to be smaller: some of them are the same shot again, and agree too well."""


@dataclass(frozen=True)
class Levels:
    """Similarity of a face to a centre, when it is the person's and when it is not."""

    pair: float
    """Similarity of two faces of one person, g above; in (0, 1)."""
    spread: float
    """By how much faces are less typical of their person than the middle one; a standard deviation."""
    strangers: float
    """Similarity to a stranger's centre, median."""
    stray: float
    """Of that, upwards; a standard deviation."""

    def evidence(self, near_N: NDArray[np.float32], others_N: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return by how much likelier each similarity is for a stranger's face than for the person's; logarithms.

        The result falls as the similarity rises: being nearer than most of one's own person is never held against a
        face, nor being farther than most strangers for it.

        Args:
            near_N: Similarity of a face to a centre. Shape (N,).
            others_N: Of how many faces the centre was made, >= 1. Shape (N,).
        """
        middle_N, spread_N = self.own(others_N)
        below_N = np.maximum(0.0, middle_N - near_N) / spread_N
        above_N = np.maximum(0.0, near_N - self.strangers) / self.stray
        own_N = _log_density(below_N, TAIL_OWN) - np.log(spread_N)
        strange_N = _log_density(above_N, TAIL_STRANGERS) - np.log(self.stray)
        evidence_N: NDArray[np.float64] = strange_N - own_N
        return evidence_N

    def apart(
        self, near_N: NDArray[np.float32], others_N: NDArray[np.int64], more_N: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return whether two centres, made of so many faces each, are nearer to strangers than to one person."""
        right_N = np.sqrt(_right(self.pair, others_N) * _right(self.pair, more_N))
        return near_N < (self.strangers + right_N) / 2

    def own(self, others_N: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the middle similarity of a face to ``others_N`` faces of its person, and its standard deviation."""
        return _own(self.pair, self.spread, self.stray, others_N)


def levels(gallery: Gallery, known: Centres) -> Levels:
    """Return the levels of a gallery whose centres are known."""
    dim = known.robust_PD.shape[1]
    near_N = to_strangers(gallery, known.robust_PD)
    # Of two folders that show the same person nothing can be learnt about strangers: few people count little.
    people = int(np.count_nonzero(gallery.sizes))
    pairs = people * (people - 1) / 2
    trust = pairs / (pairs + DOUBT)
    median = float(np.median(near_N))
    above_N = near_N[near_N >= median] - median
    floor = dim**-0.5
    stray = max(floor, trust * float(np.median(above_N)) / MAD + (1 - trust) * 2 * floor)
    others_N = others(gallery, known)
    able_N = (others_N > 0) & ~np.isnan(known.own_N)
    return _fit(known.own_N[able_N].astype(np.float64), others_N[able_N], trust * median, stray)


def share_of_strangers(evidence_N: NDArray[np.float64]) -> float:
    """Return the share of faces that are strangers', by expectation maximisation; within ``LEAST`` and ``MOST``."""
    share = START
    if len(evidence_N):
        for _ in range(10):
            odds_N = np.exp(np.clip(evidence_N, -50, 50)) * share / (1 - share)
            share = min(max(float(np.mean(odds_N / (1 + odds_N))), LEAST), MOST)
    return share


def others(gallery: Gallery, known: Centres) -> NDArray[np.int64]:
    """Return of how many other faces the centre was made that each face was compared with; 0 for nobody's faces."""
    mine_N = gallery.label_N >= 0
    kept_P = np.bincount(gallery.label_N[mine_N & known.kept_N], minlength=len(gallery.names))
    others_N: NDArray[np.int64] = np.where(mine_N, kept_P[gallery.label_N] - known.kept_N, 0)
    return others_N


def _fit(own_N: NDArray[np.float64], others_N: NDArray[np.int64], strangers: float, stray: float) -> Levels:
    if len(own_N) == 0:
        return Levels(0.5, stray, strangers, stray)
    # own(m) solved for g, face by face.
    square_N = np.maximum(own_N, 0.0) ** 2
    part_N = square_N * (others_N - 1)
    pair = float(np.median((part_N + np.sqrt(part_N**2 + 4 * others_N * square_N)) / (2 * others_N)))
    pair = min(max(pair, 0.01), 0.9999)
    below_N = _own(pair, 0.0, stray, others_N)[0] - own_N
    # Strangers are all in the lower half, and of pairs each spoils two: the upper half tells how far to trust it.
    lower, upper = (_spread(half * below_N, others_N, pair, stray) for half in (1, -1))
    spread = max(min(lower, SKEW * upper), WIDE / float(np.sqrt(1 + len(own_N) / DOUBT)))
    return Levels(pair, spread, strangers, stray)


def _spread(away_N: NDArray[np.float64], others_N: NDArray[np.int64], pair: float, stray: float) -> float:
    """Return the spread at which half of the distances that are not negative lie within MAD standard deviations."""
    able_N = away_N >= 0
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        deviation_N = _own(pair, middle, stray, others_N[able_N])[1]
        inside = np.count_nonzero(away_N[able_N] <= MAD * deviation_N)
        low, high = (low, middle) if 2 * inside >= np.count_nonzero(able_N) else (middle, high)
    return high


def _own(
    pair: float, spread: float, stray: float, others_N: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    right_N = _right(pair, others_N)
    return np.sqrt(right_N * pair), np.sqrt(right_N * spread**2 + (1 - right_N) * stray**2)


def _right(pair: float, others_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return r(m) squared."""
    right_N: NDArray[np.float64] = others_N * pair / (1 + (others_N - 1) * pair)
    return right_N


def _log_density(away_N: NDArray[np.float64], freedom: float) -> NDArray[np.float64]:
    """Return Student's density, up to a constant."""
    return -(freedom + 1) / 2 * np.log1p(away_N**2 / freedom)
