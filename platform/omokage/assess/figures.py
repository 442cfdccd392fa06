"""Figures as words of a page: as many digits as say something, and never a rate that looks like none or like all."""

import math
from collections.abc import Callable
from typing import Final

from omokage.evaluate.interval import Interval
from omokage.evaluate.verification import SHOWN
from omokage.sheet.words import decimal

TOO_FEW: Final = "too few"
"""Stands where a figure would."""

SPACE: Final = "\N{NO-BREAK SPACE}"

MOST: Final = 4
"""Decimals of a percentage."""


def percent(share: float) -> str:
    """Return a share in percent, with two digits that differ from 0 and 100 where four decimals have them."""
    if not math.isfinite(share):
        return "not known"
    edge = 100 * min(abs(share), abs(1 - share))
    if edge < 1e-9:
        return f"{round(100 * share):.0f}{SPACE}%"
    digits = min(MOST, max(2, 1 - math.floor(math.log10(edge))))
    return f"{decimal(100 * share, digits)}{SPACE}%"


def roughly(share: float) -> str:
    """Return a share that was chosen, in percent."""
    return f"{100 * share:g}{SPACE}%"


def small(rate: float) -> str:
    """Return a rate that may be as small as one in millions."""
    if not math.isfinite(rate):
        return "not known"
    # a real minus sign, after which no line is broken
    return "0" if rate == 0 else f"{rate:.2g}" if rate >= 1e-3 else f"{rate:.1e}".replace("e-0", "e\N{MINUS SIGN}")


def asked(rate: float) -> str:
    """Return a rate that was asked for."""
    return f"{rate:g}".replace("e-0", "e-")


def decimals(value: float, digits: int) -> str:
    """Return a number with so many decimals."""
    return decimal(value, digits) if math.isfinite(value) else "not known"


def bounded(interval: Interval | None, words: Callable[[float], str]) -> str:
    """Return the ends of an interval; nothing where there is none."""
    if interval is None:
        return ""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return "not known"
    return f"{words(interval.low)} to {words(interval.high)}"


def needed(rate: float) -> str:
    """Return how many comparisons would show a rate of errors."""
    return f"{math.ceil(SHOWN / rate - 1e-6):,}"
