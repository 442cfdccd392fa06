"""Names and numbers as HTML. Names come from folders and files, so they may hold anything."""

import html
from typing import Final

_VISIBLE: Final = {
    **{code: chr(0x2400 + code) for code in range(0x20)},  # Unicode has a picture of each control character
    0x7F: "\N{SYMBOL FOR DELETE}",
    **dict.fromkeys(range(0x80, 0xA0), "\N{REPLACEMENT CHARACTER}"),
    # What breaks a line, or turns the words after a name round: a terminal has nothing like <bdi>.
    **{code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}


def visible(text: str) -> str:
    """Return ``text`` with control characters shown; HTML would drop or not allow them, and a terminal obey them."""
    return text.translate(_VISIBLE)


def name(text: str) -> str:
    """Return a name as an element that keeps its spaces and its direction of writing to itself."""
    return f"<bdi>{html.escape(visible(text))}</bdi>"


def place(uri: str) -> str:
    """Return a path with each of its parts as a name, so that an Arabic folder does not turn the whole path round."""
    return "/".join(name(part) if part else "" for part in uri.split("/"))


def quoted_place(uri: str) -> str:
    """Return a path for an attribute, where no element can keep a part's direction to itself."""
    parts = (f"\N{FIRST STRONG ISOLATE}{part}\N{POP DIRECTIONAL ISOLATE}" for part in visible(uri).split("/"))
    return html.escape("/".join(parts))


def count(number: int, one: str, many: str | None = None) -> str:
    """Return "1 face", "2,000 faces"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def decimal(value: float, digits: int) -> str:
    """Return a number with a real minus sign, and no sign on what rounds to nothing."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")
