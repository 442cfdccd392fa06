"""What a similarity says by a calibration: match, no match or cannot say, and how strongly it speaks for one of them.

Plain values that are kept with an encoder: to use them takes nothing of what it takes to make them, so that a command
that compares two pictures answers at once. ``calibration.py`` makes them.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from omokage.errors import DatasetError
from omokage.evaluate.interval import Interval

Answer = Literal["match", "no match", "cannot say"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Likelihood:
    """A likelihood ratio that rises with similarity, and how good it is. Plain values."""

    slope: float
    intercept: float
    limit: float
    """Greatest natural logarithm of a ratio or its inverse: of as many as there are people."""
    cllr: float
    """Bits a pair that are lost, in pairs of people that the ratio was not fitted on: 0 is perfect, 1 says nothing."""
    min_cllr: float
    """What would be lost were the ratios the best that rise with the same similarities."""

    def log_ratio(self, similarity: Any) -> Any:
        """Return the natural logarithm of the likelihood ratio."""
        return np.clip(self.slope * np.asarray(similarity, np.float64) + self.intercept, -self.limit, self.limit)

    def text(self) -> str:
        """Return the ratio for a person."""
        return (
            f"log likelihood ratio {self.slope:.3f} x similarity {self.intercept:+.3f}, never beyond {self.limit:.2f}; "
            f"Cllr {self.cllr:.4f}, at best {self.min_cllr:.4f}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """A threshold for a false match rate, with what is known of it. Plain values, kept with the encoder."""

    fmr: float
    """Share of pairs of different people that may match."""
    threshold: Interval
    counted_fmr: float
    """The rate that the threshold has in these pairs."""
    fmr_interval: Interval
    """Of that rate at that threshold."""
    tar: Interval
    match_from: float
    """The upper end of the threshold's interval."""
    no_match_below: float
    """The lower end of the interval of what 1 % of genuine pairs fall below; never above ``match_from``."""
    people: int
    faces: int
    genuine: int
    impostor: int
    likelihood: Likelihood | None
    likelihood_withheld: str
    """Why there is none; empty where there is one."""

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Calibration":
        """Return the calibration that ``dataclasses.asdict`` and JSON have made plain values of."""
        told = dict(values)
        for name in ("threshold", "fmr_interval", "tar"):
            told[name] = Interval(**told[name])
        if told["likelihood"] is not None:
            told["likelihood"] = Likelihood(**told["likelihood"])
        return cls(**told)

    def answer(self, similarity: float) -> Answer:
        """Return what a similarity says.

        Raises:
            DatasetError: It is no number.
        """
        if not math.isfinite(similarity):
            raise DatasetError(f"a similarity of {similarity} says nothing")
        if similarity >= self.match_from:
            return "match"
        return "no match" if similarity < self.no_match_below else "cannot say"

    def json(self) -> str:
        """Return the calibration as one JSON object."""
        return json.dumps(asdict(self))

    def text(self) -> str:
        """Return the calibration for a person."""
        ratio = self.likelihood.text() if self.likelihood else f"no likelihood ratio: {self.likelihood_withheld}"
        return "\n".join(
            [
                f"FMR {self.fmr:g} at most: threshold {self.threshold.text()}, there TAR {self.tar.text()}; "
                f"{self.people:,} people, {self.genuine:,} genuine and {self.impostor:,} impostor pairs",
                f"match at {self.match_from:.4f} and above, no match below {self.no_match_below:.4f}, else cannot say",
                ratio,
            ]
        )
