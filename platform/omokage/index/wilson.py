"""The interval of a share.

Source:
    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American
    Statistical Association 22, 1927.
"""

from typing import Final

Z95: Final = 1.96


def interval(share: float, count: float) -> tuple[float, float]:
    """Return between which shares the truth lies, 95 times in 100; both in [0, 1].

    Args:
        share: Observed, in [0, 1].
        count: Of independent things that it is a share of, above 0; no whole number where some depend on each other.
    """
    middle = (share + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = Z95 * (share * (1 - share) / count + Z95**2 / (4 * count**2)) ** 0.5 / (1 + Z95**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)
