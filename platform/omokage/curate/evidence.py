"""How likely two folders show one person, from the likeness of their centres and what such centres can show.

The centre of n faces is its person's true look and a rest: of similarity w within a folder, the cosine of the centre
to the true look is r, with r^2 = n w / (1 + (n - 1) w). Two folders of one person therefore have a likeness of about
r_a r_b, give or take the chance likeness of the two rests; two people have that of random directions around a common
one. All levels and widths are measured in the dataset: chance on pairs of its folders, sameness on halves of them.

Shape key: P people, C pairs of them, D numbers of an embedding, K sampled people.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from omokage.curate.centres import Centres
from omokage.curate.directions import bend, robust
from omokage.curate.gallery import Gallery

SAMPLE: Final = 1500
"""People whose pairs tell what chance does."""

HALVES: Final = 512
"""Folders whose halves tell what one person looks like in two folders."""

DRIFT: Final = 0.12
"""Two folders of one person were often taken at other times, with other cameras, which halves of a folder do not show.
So one in ``DRIFTS`` of them may be less alike, by this share of the way to strangers (standard deviation)."""

DRIFTS: Final = 0.3

STEADY: Final = 4
"""Faces that the dataset's own level of similarity within a person counts for, beside a folder's."""


@dataclass(frozen=True)
class Looks:
    """People as the model sees them."""

    centre_PD: NDArray[np.float32]
    """Unit length; 0 for a person without faces."""
    reach_P: NDArray[np.float64]
    """The r of a centre, (0, 1]; 0 for a person without faces."""
    within_P: NDArray[np.float64]
    """The w of a person: what the folder shows, steadied by what all show."""


def looks(gallery: Gallery, people: Centres) -> Looks:
    """Return what the centres of all people can show."""
    order, start_P, sizes_P = gallery.order[gallery.bounds[0] :], gallery.bounds[:-1] - gallery.bounds[0], gallery.sizes
    kept_N = people.kept_N[order]
    own_N = np.where(kept_N, np.nan_to_num(people.own_N[order]), 0)
    count_P, sum_P = _per_person(kept_N, start_P, sizes_P), _per_person(own_N, start_P, sizes_P)
    shown_P = within(sum_P / np.maximum(count_P, 1), count_P)
    level = float(np.median(shown_P[count_P > 1])) if np.any(count_P > 1) else 0.6
    weight_P = np.where(count_P > 1, count_P - 1, 0)
    within_P = ((shown_P * weight_P + level * STEADY) / (weight_P + STEADY)).clip(0.01, 1)
    return Looks(people.robust_PD, reach(within_P, count_P), within_P)


def within(own: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return w of folders whose faces have a mean likeness ``own`` to the centre of the others; 0 with one face.

    From own = w / sqrt((1 + (n - 2) w) / (n - 1)), which is a quadratic equation for w.
    """
    n = np.maximum(count, 2)
    square = np.maximum(own, 0) ** 2
    half = square * (n - 2)
    return np.where(count > 1, (half + np.sqrt(half**2 + 4 * (n - 1) * square)) / (2 * (n - 1)), 0)


def reach(w: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine of the centre of so many faces to the true look of their person; 0 without faces."""
    return np.sqrt(count * w / (1 + np.maximum(count - 1, 0) * w))


@dataclass(frozen=True, kw_only=True)
class Levels:
    """What pairs of folders show by chance and when they are one person."""

    common: float
    """Likeness of different people's true looks."""
    rest: float
    """Variance of the bent likeness of two rests."""
    look: float
    """Variance of the bent likeness of two true looks."""
    tails: tuple[tuple[float, float, float], ...]
    """Mean and width of the upper tail of the likeness of different people, in widths of its middle, by how much of the
    true looks the two centres show (r_a r_b squared, which comes first): hard light tells most in small folders."""
    half: tuple[float, float]
    """Mean and width of the likeness of halves of folders, in widths that the rests' likeness explains."""
    pairs: int
    """Pairs of people in the dataset."""

    def expected(self, reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the likeness that two folders of one person have."""
        both = reach_a * reach_b
        return both + self.half[0] * self._noise(reach_a, reach_b)

    def chance(self, reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the middle likeness of different people."""
        return self.common * reach_a * reach_b

    def log_odds(
        self, likeness: NDArray[np.float64], reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return log10 of the odds that two folders are one person, if one pair of all pairs of the dataset is.

        So however many pairs there are, fewer than one in all is expected to reach 0 by chance.

        Args:
            likeness: Cosine of the two centres.
            reach_a: Their r.
            reach_b: Likewise.
        """
        odds = self._same(likeness, reach_a, reach_b) - self._different(likeness, reach_a, reach_b)
        decimal: NDArray[np.float64] = ((odds - np.log(max(self.pairs, 1))) / np.log(10)).clip(-999, 999)
        return decimal

    def likelier_same(
        self, likeness: NDArray[np.float64], reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return whether a likeness is likelier if one person than if two, all other pairs apart."""
        likelier: NDArray[np.bool_] = self._same(likeness, reach_a, reach_b) > self._different(
            likeness, reach_a, reach_b
        )
        return likelier

    def _noise(self, reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]) -> NDArray[np.float64]:
        rests = (1 - reach_a**2) * (1 - reach_b**2) * self.rest
        return np.sqrt(rests + 1e-4 * (1 - reach_a**2 * reach_b**2) + 1e-8)

    def _same(
        self, likeness: NDArray[np.float64], reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the log density if one person; what is nearer than expected counts as just as near."""
        width = self.half[1] * self._noise(reach_a, reach_b)
        short = np.minimum(likeness - self.expected(reach_a, reach_b), 0)
        broad = np.hypot(width, DRIFT * (1 - self.common) * reach_a * reach_b)
        near = np.log(1 - DRIFTS) - 0.5 * (short / width) ** 2 - np.log(width)
        far = np.log(DRIFTS) - 0.5 * (short / broad) ** 2 - np.log(broad)
        both: NDArray[np.float64] = np.logaddexp(near, far)
        return both

    def _different(
        self, likeness: NDArray[np.float64], reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the log density if two people."""
        centre, width = self.chance(reach_a, reach_b), self._width(reach_a, reach_b)
        bent = bend(likeness, centre)
        r = ((likeness - centre) / (1 - centre)).clip(-0.999999, 0.999999)
        slope = np.where(np.abs(r) < 1e-3, 1, r / ((1 - r**2) * np.where(np.abs(bent) < 1e-9, 1, bent)))
        at, means, widths = np.array(self.tails).T
        share = (reach_a * reach_b) ** 2
        tail = np.interp(share, at, widths)
        z = (bent / width - np.interp(share, at, means)) / tail
        density: NDArray[np.float64] = (
            -0.5 * np.maximum(z, 0) ** 2 - np.log(width * tail) + np.log(slope / (1 - centre))
        )
        return density

    def _width(self, reach_a: NDArray[np.float64], reach_b: NDArray[np.float64]) -> NDArray[np.float64]:
        share = (reach_a * reach_b) ** 2
        return np.sqrt(np.maximum(share * self.look + (1 - share) * self.rest, 1e-6))


def measure(gallery: Gallery, people: Centres, seen: Looks, seed: int = 0) -> Levels:
    """Return the levels that a dataset shows; needs two people with faces."""
    live = np.flatnonzero(seen.reach_P > 0)
    some_K = np.sort(np.random.default_rng(seed).permutation(live)[:SAMPLE])
    row_C, column_C = np.triu_indices(len(some_K), 1)
    likeness_C = (seen.centre_PD[some_K] @ seen.centre_PD[some_K].T)[row_C, column_C].astype(np.float64)
    a_C, b_C = seen.reach_P[some_K][row_C], seen.reach_P[some_K][column_C]
    both_C = a_C * b_C
    common = float(np.median(likeness_C / both_C).clip(-0.5, 0.95))
    rest, look = _variances(bend(likeness_C, common * both_C), both_C**2)
    levels = Levels(
        common=common,
        rest=rest,
        look=look,
        tails=((1.0, 0.0, 1.0),),
        half=(0.0, 1.0),
        pairs=len(live) * (len(live) - 1) // 2,
    )
    z_C = bend(likeness_C, levels.chance(a_C, b_C)) / levels._width(a_C, b_C)
    tails = _tails(z_C, both_C**2, len(some_K))
    return replace(levels, tails=tails, half=_halves(gallery, people, seen, levels))


def _variances(bent_C: NDArray[np.float64], share_C: NDArray[np.float64]) -> tuple[float, float]:
    """Return the variance where nothing of a true look is seen, and where all is.

    A line through bins of ``share_C``, where folders are of such different sizes that it can be told; else one value.
    """
    whole = robust(bent_C)[1] ** 2
    edges = np.unique(np.quantile(share_C, np.linspace(0, 1, 9)))
    bin_C = np.searchsorted(edges[1:-1], share_C, side="right")
    bins = [np.flatnonzero(bin_C == number) for number in range(max(len(edges) - 1, 1))]
    known = [rows for rows in bins if len(rows) >= 100]
    at = np.array([share_C[rows].mean() for rows in known])
    if len(known) < 3 or at.max() - at.min() < 0.3:
        return whole, whole
    variance = np.array([robust(bent_C[rows])[1] ** 2 for rows in known])
    slope, base = np.polyfit(at, variance, 1)
    rest, look = np.clip([base, base + slope], variance.min() / 2, variance.max() * 2).tolist()
    return rest, look


def _tails(
    z_C: NDArray[np.float64], share_C: NDArray[np.float64], people: int
) -> tuple[tuple[float, float, float], ...]:
    """Return the tails of three kinds of pairs, by what their centres show; of one kind where all show the same."""
    low, high = np.quantile(share_C, [1 / 3, 2 / 3])
    kinds = [share_C <= low, (share_C > low) & (share_C <= high), share_C > high]
    if high - low < 0.1 or min(kind.sum() for kind in kinds) < 2000:
        kinds = [np.ones(len(z_C), bool)]
    return tuple((float(np.median(share_C[kind])), *_tail(z_C[kind], people)) for kind in kinds)


def _tail(z_C: NDArray[np.float64], people: int) -> tuple[float, float]:
    """Return mean and width of the upper tail, from a rate of a quarter to one that real splits cannot disturb."""
    least = max(30 / len(z_C), 0.5 / people)
    if least > 0.2:
        return 0.0, 1.2  # too few people to tell: be wary
    rate = np.geomspace(0.25, least, 33)
    width, mean = np.polyfit(-special.ndtri(rate), np.quantile(z_C, 1 - rate), 1)
    return float(mean), float(max(width, 0.8))


def _halves(gallery: Gallery, people: Centres, seen: Looks, levels: Levels) -> tuple[float, float]:
    """Return mean and width of the likeness of the halves of folders, in widths that the rests explain."""
    some = np.flatnonzero(gallery.sizes > 1)
    some = some[np.linspace(0, len(some) - 1, min(len(some), HALVES)).astype(int)] if len(some) else some
    found = [half for label in some.tolist() if (half := _half(gallery, people, seen, label)) is not None]
    if len(found) < 8:
        return 0.0, 1.5
    likeness, reach_a, reach_b = np.array(found).T
    off = (likeness - reach_a * reach_b) / levels._noise(reach_a, reach_b)
    mean, width = robust(off)
    return float(min(mean, 0)), float(max(width, 0.5))


def _half(gallery: Gallery, people: Centres, seen: Looks, label: int) -> tuple[float, float, float] | None:
    """Return the likeness of the centres of every other face, and what each can reach; None with one face."""
    rows = gallery.rows(label)
    rows = rows[people.kept_N[rows]][:256]
    if len(rows) < 2:
        return None
    vectors_ND = np.asarray(gallery.vectors[rows], np.float64)
    first_D, second_D = vectors_ND[::2].sum(axis=0), vectors_ND[1::2].sum(axis=0)
    likeness = first_D @ second_D / np.sqrt((first_D @ first_D) * (second_D @ second_D))
    w = seen.within_P[label : label + 1]
    counts = np.array([-(-len(rows) // 2)]), np.array([len(rows) // 2])
    return float(likeness), float(reach(w, counts[0])[0]), float(reach(w, counts[1])[0])


def _per_person(
    value_N: NDArray[np.generic], start_P: NDArray[np.int64], sizes_P: NDArray[np.int64]
) -> NDArray[np.float64]:
    total_N = np.concatenate([[0.0], np.cumsum(value_N, dtype=np.float64)])
    sums: NDArray[np.float64] = total_N[start_P + sizes_P] - total_N[start_P]
    return sums
