"""The similarity at a stated false match rate, from a dataset's own different people.

Where the sample of ``impostors.py`` shows at least ``SHOWN`` pairs above a similarity, the rate is counted.
Beyond, it follows the law of random directions: of a cosine r, ``sqrt(-log(1 - r^2))`` has a normal tail whose width
tells the number of directions; centre and width are regressed on the part of the tail that the data do show.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from omokage.curate.directions import bend, straighten
from omokage.curate.gallery import Gallery
from omokage.curate.impostors import FINE, SHOWN, counts, drawn, genuine
from omokage.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A threshold, and what it rests on. Plain values, so that a report can hold it."""

    threshold: float
    """Similarity, (-1, 1]."""
    fmr: float
    """Share of pairs of different people at or above it, as asked for."""
    how: str
    """``counted`` or ``extrapolated``."""
    pairs: int
    """Pairs of different people that were looked at."""
    left_out: int
    """Pairs that were left out as probable label errors."""
    fmr_shown: float
    """The smallest rate that the data show; smaller ones are extrapolated."""
    edges: list[float]
    """Of the histograms: -1 to 1 by 0.01."""
    impostor: list[int]
    """Pairs of different people by similarity."""
    genuine: list[int]
    """Pairs of one person by similarity."""
    knots: list[tuple[float, float]]
    """Similarity and rate where the rate is counted, falling."""
    tail: tuple[float, float, float]
    """Centre of the similarities, and mean and width of the normal tail: see ``bend``."""

    def fmr_at(self, similarity: float) -> float:
        """Return the share of pairs of different people at or above a similarity: counted, or the tail's."""
        at, rate = np.array(self.knots).T
        if similarity <= at[-1]:
            return float(np.exp(np.interp(similarity, at, np.log(rate))))
        centre, mean, width = self.tail
        bent = float(bend(np.array([similarity]), centre)[0])
        return float(min(rate[-1], special.ndtr(-(bent - mean) / width)))


def calibrate(gallery: Gallery, fmr: float = 1e-6, seed: int = 0) -> Calibration:
    """Return the similarity that a share ``fmr`` of the pairs of different people reaches.

    Args:
        gallery: Faces; those of ``NOBODY`` are left out.
        fmr: In (0, 0.5).
        seed: Of the sample.

    Raises:
        ConfigError: ``fmr`` is out of range, or there are no two people to compare.
    """
    if not 0 < fmr < 0.5:
        raise ConfigError(f"the false match rate must lie between 0 and 0.5, got {fmr}")
    sample = drawn(gallery, seed)
    if len(sample.start_K) < 2:
        raise ConfigError(
            f"a threshold at a false match rate needs two people, and there are {len(sample.start_K)}; give --threshold"
        )
    own = genuine(sample)
    fine, left_out = counts(sample, own)
    return _read(fine, left_out, own, fmr)


def _read(fine: NDArray[np.int64], left_out: int, own: NDArray[np.float32], fmr: float) -> Calibration:
    """Return the calibration that counts of different people and similarities of one person tell."""
    pairs = int(fine.sum())
    if pairs < SHOWN:
        raise ConfigError(
            f"a threshold at a false match rate needs {SHOWN} pairs of different people, and there are {pairs}; "
            "give --threshold"
        )
    rate = np.cumsum(fine[::-1])[::-1] / pairs  # at or above the lower edge of each step
    edge = np.arange(len(fine)) * FINE - 1
    shown = min(SHOWN, pairs / 8) / pairs
    tail = _fit(edge, rate, shown)
    counted = fmr >= shown
    if counted:
        threshold = float(edge[int(np.argmax(rate <= fmr))])
    else:
        threshold = straighten(tail[1] - tail[2] * float(special.ndtri(fmr)), tail[0])
    wanted = np.append(np.geomspace(1, shown, 65), fmr if counted else shown)
    at = np.unique(np.searchsorted(-rate, -wanted[wanted >= shown * (1 - 1e-9)], side="left"))
    at = at[(at < len(rate))]
    at = at[rate[at] > 0]
    edges = np.linspace(-1, 1, 201)
    return Calibration(
        threshold=threshold,
        fmr=fmr,
        how="counted" if counted else "extrapolated",
        pairs=pairs,
        left_out=left_out,
        fmr_shown=shown,
        edges=edges.round(2).tolist(),
        impostor=np.add.reduceat(fine, np.arange(0, len(fine), round(0.01 / FINE)))[:200].tolist(),
        genuine=np.histogram(own, edges)[0].tolist(),
        knots=[(float(edge[i]), float(rate[i])) for i in at],
        tail=tail,
    )


def _fit(edge: NDArray[np.floating], rate: NDArray[np.floating], shown: float) -> tuple[float, float, float]:
    """Return centre, mean and width of the tail, from its last two decades that the data show.

    Source:
        The cosine r of two random directions of n dimensions has a density of (1 - r^2) to the power (n - 3) / 2.
    """
    centre = float(edge[np.searchsorted(-rate, -0.5)])
    knots = np.geomspace(min(0.25, 100 * shown), shown, 33)
    similarity = edge[np.minimum(np.searchsorted(-rate, -knots), len(edge) - 1)]
    normal = -special.ndtri(knots)
    width, mean = np.polyfit(normal, bend(similarity, centre), 1)
    return centre, float(mean), float(max(width, 1e-6))
