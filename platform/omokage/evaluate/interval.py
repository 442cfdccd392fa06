"""A figure and its interval."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A figure and where it would lie had other people been looked at."""

    value: float
    low: float
    high: float

    def text(self) -> str:
        """Return the interval for a person."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return f"{self.value:.4g} (too few people for an interval)"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"
