"""What reports of imports and exports say beside their figures."""

from collections.abc import Iterable, Mapping


def remarks(left_out: Mapping[str, int], refused: Mapping[str, str], warnings: Iterable[str]) -> list[str]:
    """Return lines for a person.

    Args:
        left_out: Faces, vectors or pictures that were not taken, by reason.
        refused: Files, and why they were not taken, or not written.
        warnings: What else is to be known.
    """
    return [
        *(f"  left out: {name:<28}{number:>9,}" for name, number in left_out.items() if number),
        *(f"Refused: {file}: {why}" for file, why in refused.items()),
        *(f"Note: {warning}" for warning in warnings),
    ]
