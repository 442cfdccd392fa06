"""Drawn people for the detectors' tests, drawn once for all of them."""

from functools import cache

import numpy as np

from omokage.synth.portrait import Portrait, portrait


@cache
def portraits(size: int, count: int) -> tuple[Portrait, ...]:
    """Return ``count`` pictures, four of a person: people cost more to make than to draw."""
    return tuple(portrait(11, number // 4, number % 4, size) for number in range(count))


def eye_distance(drawn: Portrait) -> float:
    """Return the distance between the eyes in px, as it would be seen from the front."""
    left, right = drawn.landmarks[:2]
    return float(np.linalg.norm(right - left) / np.cos(np.radians(drawn.pose.yaw)))
