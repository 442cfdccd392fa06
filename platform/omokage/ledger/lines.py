"""The lines of the book: JSON, one object a line, without the columns that are null."""

import json
from collections.abc import Sequence
from typing import Any, Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from omokage import schema
from omokage.errors import ConfigError, DatasetError
from omokage.ledger.decision import NEEDS, Decision

BLOCK: Final = 4 << 20
"""Bytes that are parsed at a time, at least; a line must fit."""

SAID: Final = ("faces", "person", "into", "undoes")
"""Columns of which a kind of decision needs some, and must not have the others."""


def written(decisions: Sequence[Decision], at: str, who: str, by: schema.By) -> list[bytes]:
    """Return what follows the number in each decision's line.

    Raises:
        ConfigError: A name holds what is no Unicode text, or nobody says who decides.
    """
    if not who:
        raise ConfigError("a decision needs somebody who takes it")
    head = {"at": at, "who": who, "by": by}
    try:
        return [_one(head, decision) for decision in decisions]
    except UnicodeEncodeError as error:
        near = error.object[max(0, error.start - 20) : error.end + 20]
        raise ConfigError(f"a decision holds what is no text: {near!r}") from error


def _one(head: dict[str, str], decision: Decision) -> bytes:
    said = {name: getattr(decision, name) for name in ("do", *SAID, "finding", "why")}
    line = head | {name: value for name, value in said.items() if value not in (None, ())}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()[1:] + b"\n"


def numbered(rest: Sequence[bytes], first: int) -> bytes:
    """Return whole lines, numbered from ``first``."""
    return b"".join(b'{"number":%d,' % number + line for number, line in enumerate(rest, first))


def parsed(data: bytes, first: int, place: str) -> pa.Table:
    """Return the lines of a file as ``schema.LEDGER``.

    Args:
        data: The file.
        first: Number that its first line must have.
        place: The file's name, for errors.

    Raises:
        DatasetError: A line is damaged or missing; it is named.
    """
    if not data:
        raise DatasetError(f"{place} is damaged: it is empty")
    try:
        table = pa.json.read_json(
            pa.BufferReader(data),
            pa.json.ReadOptions(use_threads=False, block_size=max(BLOCK, _longest(data) + 2)),
            pa.json.ParseOptions(explicit_schema=schema.LEDGER, unexpected_field_behavior="ignore"),
        ).select(schema.LEDGER.names)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        _blame(data, first, place)
        raise DatasetError(f"{place} is damaged: {error}") from error
    if not data.endswith(b"\n") or table.num_rows != data.count(b"\n") or not _sound(table, first):
        _blame(data, first, place)
        raise DatasetError(f"{place} is damaged")
    return table


def _longest(data: bytes) -> int:
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    return int(np.diff(ends, prepend=-1, append=len(data)).max())


def _sound(table: pa.Table, first: int) -> bool:
    """Return whether every line is a decision, and the next one."""
    if any(table[name].null_count for name in ("number", "at", "who", "by", "do")):
        return False
    if not np.array_equal(table["number"].to_numpy(), np.arange(first, first + table.num_rows)):
        return False
    if not pc.all(pc.is_in(table["by"], value_set=pa.array(get_args(schema.By)))).as_py():
        return False
    kinds = pa.array(list(NEEDS))
    kind_N = pc.fill_null(pc.index_in(table["do"], value_set=kinds), -1).to_numpy()
    for column in SAID:
        wanted = np.array([column in needs for needs in NEEDS.values()])
        if (kind_N < 0).any() or not np.array_equal(pc.is_valid(table[column]).to_numpy(), wanted[kind_N]):
            return False
    two = pc.is_in(table["do"], value_set=pa.array(["merge", "different"]))
    alone = pc.any(pc.and_(two, pc.fill_null(pc.equal(table["person"], table["into"]), False))).as_py()
    return not alone and not pc.any(pc.equal(pc.list_value_length(table["faces"]), 0)).as_py()


def _check(line: dict[str, Any]) -> None:
    """Raise an error of one of several kinds where a line is no decision."""
    for field in schema.LEDGER:
        value, kind = line.get(field.name), str if field.type == pa.string() else int
        several = isinstance(field.type, pa.ListType)
        if value is None and field.name in ("at", "who", "by", "do"):
            raise ValueError(f"it has no {field.name}")
        if value is not None and not (
            isinstance(value, list) and all(isinstance(each, str) for each in value)
            if several
            else isinstance(value, kind)
        ):
            raise ValueError(f"{field.name} is {value!r}")
    if line["by"] not in get_args(schema.By):
        raise ValueError(f"there is no by {line['by']!r}")
    said = {name: line[name] for name in ("do", *SAID, "finding", "why") if name in line}
    Decision(**said | {"faces": tuple(said.get("faces") or ())})


def _blame(data: bytes, first: int, place: str) -> None:
    """Raise an error that names the first line that is not sound, by its place in the file."""
    for row, line in enumerate(data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n")):
        try:
            found: dict[str, Any] = json.loads(line)
            if found["number"] != first + row:
                raise ValueError(f"its number is {found['number']}, and {first + row} comes next")
            _check(found)
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise DatasetError(f"{place}, line {row + 1} is damaged: {what}") from error
    if not data.endswith(b"\n"):
        raise DatasetError(f"{place} is damaged: its last line is not whole")
