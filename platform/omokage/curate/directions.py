"""The law of random directions, which similarities of different people follow, and what tells its level and width."""

import numpy as np
from numpy.typing import NDArray


def bend(similarity: NDArray[np.floating], centre: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return similarities such that those of random directions around a common one have a normal tail."""
    r = np.clip((similarity.astype(np.float64) - centre) / np.maximum(1 - centre, 1e-9), -1 + 1e-12, 1 - 1e-12)
    return np.sign(r) * np.sqrt(-np.log1p(-(r**2)))


def straighten(bent: float, centre: float) -> float:
    """Return the similarity that ``bend`` has bent."""
    return centre + (1 - centre) * float(np.sign(bent) * np.sqrt(-np.expm1(-(bent**2))))


def robust(values: NDArray[np.floating]) -> tuple[float, float]:
    """Return the median and the standard deviation that the middle half shows."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(middle), max(float(high - low) / 1.349, 1e-6)
