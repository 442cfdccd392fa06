"""Whether groups differ by more than chance would have it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from omokage.evaluate.gaps import Gap
from omokage.evaluate.spread import Spread

LEVEL: Final = 0.05
"""Chance that groups are said to differ in anything although they do not: it is shared out over all tests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether groups differ in something."""

    what: str
    differ: bool | None
    """None where no test could be made."""
    p_value: float | None
    """How often groups that are put together at random are as far apart."""
    limit: float
    """Below which groups are said to differ."""
    why: str = ""
    """Why no test could be made."""

    def text(self) -> str:
        """Return the verdict for a person."""
        if self.differ is None:
            return f"{self.what}: cannot tell, {self.why}"
        told = f"p = {self.p_value:.4f}, limit {self.limit:.4f}"
        if self.differ:
            return f"{self.what}: the groups differ by more than chance alone would have it ({told})"
        return f"{self.what}: these data do not show that the groups differ ({told}), nor that they are equal"


def verdicts(gaps: Sequence[Gap], wide: Spread) -> tuple[Verdict, ...]:
    """Return whether groups differ; the chance of being wrong is shared out over the tests that were made."""
    tests = [
        *((gap.rate, gap.p_value, gap.withheld or "no permutation test was made") for gap in gaps),
        ("sum of squares of each face", wide.p_value, "fewer than two groups have one"),
    ]
    made = sum(p_value is not None for _, p_value, _ in tests)
    limit = LEVEL / max(1, made)
    return tuple(
        Verdict(
            what=what,
            differ=None if p_value is None else p_value < limit,
            p_value=p_value,
            limit=limit,
            why=why if p_value is None else "",
        )
        for what, p_value, why in tests
    )
