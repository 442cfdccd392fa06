"""What drawn people are called: names that programs trip over, none of a real person."""

from typing import Final

STRANGERS: Final = 1_000_000
"""People numbered from here on have no folder of their own."""

NAMES: Final = (
    "山田花子",
    "佐藤 太郎",
    "Anna Example",
    "_underscore",
    "🙂 smile",
    "O'Neil, Pat",
    ".dotted",
    "Zoë Müller-Straße",
    "鈴木一郎（仮）",  # noqa: RUF001 - full-width brackets are meant
    "Muster & Söhne <test>",
    "Нина Пример",
    "50% off",
    "ハナコ ﾀﾛｳ",
    "김예시",
    "#hash tag",
    "two  spaces",
    "Cafe\u0301",  # a combining accent, as some file systems write it
    "مثال",
    "-dash",
    "percent%20twenty",
    "長" * 85,  # 255 bytes, the longest name that file systems take
    "[brackets] {braces}",
    'comma, "quote"',
    "Jane_Doe.jpg",
)


def name(number: int) -> str:
    """Return the name of person ``number``; from ``STRANGERS`` on they are strangers."""
    if number >= STRANGERS:
        return f"stranger {number - STRANGERS}"
    return NAMES[number] if number < len(NAMES) else f"person {number:04d}"


def album(place: int) -> str:
    """Return the name of a second folder, which tells nothing of the person in it."""
    return f"album {place:02d}"
