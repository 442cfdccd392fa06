"""Where an audit's groups come from: what somebody wrote down or, on request, what two models estimate.

Shape key: N faces, P people.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np

from omokage.assess.estimated import SURE, Estimated, estimated
from omokage.assess.subject import Subject
from omokage.config import nearest
from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.groups import AGES, Groups, age_group, by_folder, by_pattern, by_table
from omokage.progress import OnProgress
from omokage.sheet.words import count
from omokage.storage import Folder

Kind = Literal["csv", "folder", "name", "estimate"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

SYNTAX: Final = "csv:FILE, folder[:LEVEL], name:PATTERN or estimate"

KEYS: Final = ("face_id", "uri", "identity")
"""Columns by which a row of a CSV file finds its faces, the first that is there."""

ESTIMATES: Final = ("sex", "age")

SEPARATORS: Final = ",;\t"

MOST: Final = 60
"""Groups: of more no table can be read, and most are too small."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupConfig:
    """Where groups come from."""

    groups: str = ""
    """csv:FILE (columns identity, uri or face_id, and group), folder[:LEVEL] (1 the file's folder, 2 the one around it,
    which is the default), name:PATTERN (name:utkface, or fields in braces as in name:{race}_{gender}_{rest}), or
    estimate (sex and age as two models see them; never without being asked for)."""
    fields: tuple[str, ...] = ()
    """What makes a group: columns of the CSV file, fields of the pattern, or sex and age of estimates. By default the
    column group or the only one, all fields (of utkface race and gender), sex."""
    ages: tuple[int, ...] = AGES
    """Years at which age groups begin, rising; the first begins at 0. For a field or column named age."""

    def __post_init__(self) -> None:
        """Reject ages that part nothing."""
        if list(self.ages) != sorted(set(self.ages)) or any(not 0 < age < 130 for age in self.ages):
            raise ConfigError(f"ages must rise and lie in 1 to 129, got {list(self.ages)}")


@dataclass(frozen=True, kw_only=True)
class Grouped:
    """The groups of a subject's faces."""

    kind: Kind
    groups: Groups
    remarks: tuple[str, ...] = ()
    estimates: Estimated | None = None
    """What groups were made of, where they are estimates."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where groups come from, read from what a person wrote."""

    kind: Kind
    rest: str
    config: GroupConfig

    @property
    def digest(self) -> str:
        """What changes when the same setting would give other groups: the SHA-256 of a CSV file.

        Raises:
            ConfigError: The file cannot be read.
        """
        return hashlib.sha256(_file(self.rest)).hexdigest() if self.kind == "csv" else ""


def origin(config: GroupConfig) -> Origin:
    """Return where groups come from.

    Raises:
        ConfigError: It is not said, or nothing that is known.
    """
    if not config.groups:
        raise ConfigError(f"say where the groups come from: --groups {SYNTAX}")
    word, _, rest = config.groups.partition(":")
    kind = next((each for each in KINDS if each == word), None)
    if kind is None:
        raise ConfigError(f"groups come from {SYNTAX}, got {config.groups!r}; {nearest(word, KINDS)}")
    if kind in ("csv", "name") and not rest:
        what = "csv:FILE" if kind == "csv" else "name:utkface, or name:{race}_{rest} with names of fields in braces"
        raise ConfigError(f"--groups {kind} wants more: {what}")
    if kind == "folder" and not (rest or "2").isdecimal():
        raise ConfigError(f"folder:LEVEL wants a whole number, 1 the folder of the file, got {rest!r}")
    if kind == "folder" and config.fields:
        raise ConfigError("a folder has no fields: --fields goes with csv, name and estimate")
    if kind == "estimate":
        _check_estimates(rest, config.fields)
    return Origin(kind, rest, config)


def _check_estimates(rest: str, fields: Sequence[str]) -> None:
    if rest:
        raise ConfigError(f"estimate takes nothing after it, got {rest!r}; --fields sex age says what is estimated")
    wrong = [field for field in fields if field not in ESTIMATES]
    if wrong:
        raise ConfigError(f"what can be estimated is {' and '.join(ESTIMATES)}, not {wrong[0]!r}")


def grouped(subject: Subject, where: Origin, threads: int | None, on_progress: OnProgress) -> Grouped:
    """Return the group of each face.

    Args:
        subject: The faces.
        where: Groups come from.
        threads: Of estimates; all cores by default.
        on_progress: Told faces that were estimated.

    Raises:
        ConfigError: The file or the pattern is not what it must be, or there are too many groups.
        DatasetError: No face has a group, or a person or picture has two.
        WeightsError: The models of estimates cannot be had.
    """
    uris, config = subject.faces["uri"].to_pylist(), where.config
    if where.kind == "csv":
        found = _by_csv(subject, where)
    elif where.kind == "folder":
        found = Grouped(kind="folder", groups=_by_folder(uris, int(where.rest or "2")))
    elif where.kind == "name":
        found = Grouped(kind="name", groups=by_pattern(uris, where.rest, config.fields, config.ages))
    else:
        found = _by_estimate(subject, config, threads, on_progress)
    if len(found.groups.names) > MOST:
        raise ConfigError(
            f"{len(found.groups.names):,} groups {found.groups.source}, such as {found.groups.names[0]!r}: more than "
            f"{MOST}. Are these people, not groups? Choose another level, or fewer --fields"
        )
    return found


def _by_folder(uris: Sequence[str], level: int) -> Groups:
    try:
        return by_folder(uris, level)
    except DatasetError as error:
        if level == 1:
            raise
        raise DatasetError(
            f"{error}. folder:{level - 1} looks one folder nearer to the file (folder:1, the file's own, is mostly a "
            "person and no group); or say who is in which group with csv:FILE, columns identity and group, or with "
            "name:PATTERN"
        ) from error


def _by_csv(subject: Subject, where: Origin) -> Grouped:
    head, rows = _rows(where.rest)
    key = next((name for name in KEYS if name in head), None)
    if key is None:
        raise ConfigError(f"{where.rest} has the columns {head}, and none that says whose group it is: {KEYS}")
    fields = _fields(where, head)
    at, columns = head.index(key), [head.index(field) for field in fields]
    keys = [row[at] for row in rows]
    named = [_group([row[column] for column in columns], fields, where.config.ages) for row in rows]
    mine = subject.faces[key].to_pylist()
    try:
        groups = by_table(mine, keys, named)
    except DatasetError as error:
        raise DatasetError(f"{where.rest}: {error}, by its column {key}") from error
    strangers = len(set(keys) - set(mine))
    remarks = (f"{count(strangers, 'row')} of {where.rest}: of nobody among these faces",) if strangers else ()
    source = f"by the {'columns' if len(fields) > 1 else 'column'} {', '.join(fields)} of {where.rest}"
    return Grouped(kind="csv", groups=replace(groups, source=source), remarks=remarks)


def _fields(where: Origin, head: Sequence[str]) -> list[str]:
    """Return the columns that make a group."""
    others = [name for name in head if name not in KEYS]
    for field in where.config.fields:
        if field not in others:
            raise ConfigError(f"{where.rest} has no column {field!r}; {nearest(field, others)}")
    if where.config.fields:
        return list(where.config.fields)
    if "group" in others:
        return ["group"]
    if len(others) == 1:
        return others
    raise ConfigError(f"{where.rest} has the columns {others}: say with --fields which of them make a group")


def _group(values: Sequence[str], fields: Sequence[str], ages: Sequence[int]) -> str:
    """Return the name of a group; empty where a value is missing."""
    told = []
    for value, field in zip((value.strip() for value in values), fields, strict=True):
        if field == "age":
            value = age_group(int(value), ages) if value.isdecimal() else ""
        told.append(value)
    return ", ".join(told) if all(told) else ""


def _rows(place: str) -> tuple[list[str], list[list[str]]]:
    """Return the names of a CSV file's columns, and its rows."""
    try:
        text = _file(place).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place} is no UTF-8 text: save it as CSV in UTF-8") from error
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    try:
        # a line alone, since some programs end lines in ways that others take for two
        head, *rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True) if row
        ]
    except (csv.Error, ValueError) as error:
        raise ConfigError(f"{place} is no CSV file with a head: {error}") from error
    head = [name.strip() for name in head]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(head):
            raise ConfigError(f"{place}: row {number} has {len(row)} values, and the head {len(head)} names")
    return head, rows


def _file(place: str) -> bytes:
    folder, name = Folder.at(place).parted()
    try:
        return folder.read(name)
    except (OSError, DatasetError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"cannot read the groups in {place}: {why}") from error


def _by_estimate(subject: Subject, config: GroupConfig, threads: int | None, on_progress: OnProgress) -> Grouped:
    fields = config.fields or ("sex",)
    found = estimated(subject, threads, on_progress)
    told = {"sex": found.sexes, "age": tuple("" if np.isnan(y) else age_group(y, config.ages) for y in found.years_P)}
    names = [", ".join(parts) if all(parts) else "" for parts in zip(*(told[field] for field in fields), strict=True)]
    if not any(names):
        raise DatasetError(f"the models are sure of nobody's {' and '.join(fields)}: there is no group")
    whose = [subject.people[label] for label in subject.label_N]
    groups = by_table(whose, subject.people[: subject.named], [f"{name} (estimated)" if name else "" for name in names])
    source = f"by estimated {' and '.join(fields)}"
    unsure = sum(not sex for sex in found.sexes) if "sex" in fields else 0
    remarks = (
        f"{count(unsure, 'person is', 'people are')} in no group: on the mean of their faces the model gives less than "
        f"{SURE:.0%} to either sex",
    )
    return Grouped(
        kind="estimate",
        groups=replace(groups, source=source),
        remarks=(*found.remarks, *(remarks if unsure else ())),
        estimates=found,
    )
