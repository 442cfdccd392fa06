"""Names and values as tracking stores take them: of limited length, of few kinds of letters, and always text."""

import re
from collections.abc import Mapping
from typing import Any, Final

KEY: Final = 250
"""Letters of a name."""

PARAM: Final = 6000
TAG: Final = 8000
"""Letters of a value; the whole of a longer one is in the run's config file."""

DIGEST: Final = 36


def key(name: str) -> str:
    """Return a name of a metric, a parameter or a file with only letters that every store takes."""
    name = re.sub(r"[^\w.\-/ ]", "_", text(name, KEY))
    parts = [part for part in name.split("/") if part.strip(". ")]  # "..", "" would be folders
    return "/".join(parts) or "_"


def text(value: Any, longest: int) -> str:
    """Return a value as text that UTF-8 knows and a page can show, cut to a length."""
    plain = str(value).encode("utf-8", "replace").decode("utf-8")  # file names may hold what is no text
    plain = "".join(
        letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in plain
    )
    return plain if len(plain) <= longest else plain[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return nested values as one level of text: ``{"optim": {"lr": 1}}`` is ``{"optim.lr": "1"}``."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[key(above + name)] = text(value, PARAM)
    return found
