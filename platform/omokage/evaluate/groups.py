"""Which group each face belongs to: by its file's name, its folder, or a table.

Groups are what somebody wrote down, not what faces look like. What fits no group is counted and told, never dropped in
silence.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.sheet.words import count

AGES: Final = (18, 30, 45, 60)
"""Years at which an age group begins; the first begins at 0."""

SHOWN: Final = 5
"""Misfits that are named."""

UTKFACE: Final = "utkface"
"""``age_gender_race_time.jpg``, as in UTKFace, with that dataset's own words for its numbers."""

_UTKFACE: Final = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_.+", re.DOTALL)

_WORDS: Final = {
    "gender": {"0": "male", "1": "female"},
    "race": {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "Others"},
}


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The group of each face."""

    names: tuple[str, ...]
    """Sorted."""
    group_N: NDArray[np.int64]
    """Number of the name; -1 where a face fits no group."""
    misfits: int
    """Faces that fit none."""
    examples: tuple[str, ...]
    """Names of some of them, each once."""
    source: str
    """Where groups come from, in words for the report."""

    def text(self) -> str:
        """Return the groups for a person."""
        number = count(len(self.names), "group")
        lines = [f"{number} {self.source}, {self.misfits:,} of {len(self.group_N):,} faces fit none"]
        return "\n".join([*lines, *(f"fits none: {name!r}" for name in self.examples)])


def by_pattern(
    files: Sequence[str], pattern: str = UTKFACE, fields: Sequence[str] = (), ages: Sequence[int] = AGES
) -> Groups:
    """Return groups from file names.

    Args:
        files: A name or path a face.
        pattern: ``utkface``, or names of fields in braces and what parts them, like ``{race}_{gender}_{rest}``. A field
            holds at least one character and none of what follows the field in the pattern.
        fields: That make a group, in this order; all but ``rest`` by default, for ``utkface`` race and gender.
        ages: Years at which an age group begins; a field named ``age`` is grouped by them.

    Raises:
        ConfigError: The pattern names no field, or lacks one that is asked for.
        DatasetError: No file fits.
    """
    shape = _UTKFACE if pattern == UTKFACE else _shape(pattern)
    known = list(shape.groupindex)
    wanted = list(fields) or (["race", "gender"] if pattern == UTKFACE else [name for name in known if name != "rest"])
    lacking = [field for field in wanted if field not in known]
    if lacking or not wanted:
        raise ConfigError(f"the pattern {pattern} has the fields {known}, and not {lacking or 'one to group by'}")
    words = _WORDS if pattern == UTKFACE else {}

    def group(file: str) -> str | None:
        found = shape.fullmatch(file.rsplit("/", 1)[-1])
        if found is None or ("age" in wanted and not found["age"].isdecimal()):
            return None
        told = {field: words.get(field, {}).get(found[field], found[field]) for field in wanted}
        return ", ".join(age_group(int(text), ages) if field == "age" else text for field, text in told.items())

    return _named(files, group, f"by {', '.join(wanted)} in file names")


def by_folder(files: Sequence[str], level: int = 2) -> Groups:
    """Return groups from the folders that files lie in.

    Args:
        files: A path a face.
        level: 1 for the folder of the file, 2 for the folder around that (``group/person/picture.jpg``), and so on.

    Raises:
        ConfigError: The level is below 1.
        DatasetError: No file lies so deep.
    """
    if level < 1:
        raise ConfigError(f"level must be at least 1, the folder of the file, got {level}")

    def group(file: str) -> str | None:
        parts = file.split("/")
        return parts[-1 - level] if len(parts) > level else None

    return _named(files, group, f"by folder, {level} above the file")


def by_table(keys: Sequence[str], row_key: Sequence[str], row_group: Sequence[str]) -> Groups:
    """Return groups from the rows of a table.

    Args:
        keys: Of each face: its person, or its file.
        row_key: Of each row of the table; rows for others do no harm.
        row_group: Of each row; empty for no group.

    Raises:
        DatasetError: One key is in two groups, or no face is in the table.
    """
    table: dict[str, str] = {}
    for key, group in zip(row_key, row_group, strict=True):
        if table.setdefault(key, group) != group:
            raise DatasetError(f"{key!r} is in the groups {table[key]!r} and {group!r}")
    return _named(keys, lambda key: table.get(key) or None, "by a table")


def _shape(pattern: str) -> re.Pattern[str]:
    """Return the expression of a pattern with fields in braces."""
    parts = re.split(r"\{(\w+)\}", pattern)
    names = parts[1::2]
    if not names or len(set(names)) < len(names) or any(not name.isidentifier() for name in names):
        raise ConfigError(
            f"a pattern names each of its fields once, like {{race}}_{{gender}}_{{rest}}; got {pattern!r}"
        )
    told = re.escape(parts[0])
    for name, after in zip(names, parts[2::2], strict=True):
        held = "." if name == "rest" or not after else f"[^{re.escape(after[0])}]"
        told += f"(?P<{name}>{held}+){re.escape(after)}"
    return re.compile(told, re.DOTALL)


def age_group(years: float, ages: Sequence[int] = AGES) -> str:
    """Return the age group: 0-17, 18-29, …, 60+."""
    bounds = [0, *sorted(ages)]
    at = int(np.searchsorted(bounds, years, side="right")) - 1
    return f"{bounds[at]}+" if at + 1 == len(bounds) else f"{bounds[at]}-{bounds[at + 1] - 1}"


def _named(files: Iterable[str], group: Callable[[str], str | None], source: str) -> Groups:
    files = list(files)
    found = [group(file) for file in files]
    names = tuple(sorted({name for name in found if name is not None}))
    misfit = [file for file, name in zip(files, found, strict=True) if name is None]
    if not names:
        raise DatasetError(f"no face fits a group {source}; the first is {misfit[0]!r}" if misfit else "no faces")
    number = {name: n for n, name in enumerate(names)}
    return Groups(
        names=names,
        group_N=np.array([-1 if name is None else number[name] for name in found], np.int64),
        misfits=len(misfit),
        examples=tuple(dict.fromkeys(misfit))[:SHOWN],
        source=source,
    )
