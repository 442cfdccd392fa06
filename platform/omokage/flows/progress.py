"""What a flow calls while it works."""

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called with what is done and what there is to do: pictures, or pairs of faces."""


def quietly(done: int, of: int) -> None:
    """Show no progress."""
