"""Settings: from TOML files and JSON to frozen dataclasses, every key and type checked."""

import contextlib
import dataclasses
import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from omokage.errors import ConfigError

T = TypeVar("T")


def to_json(config: Any) -> str:
    """Return a config dataclass as JSON; ``from_json`` gives it back."""
    return json.dumps(dataclasses.asdict(config), ensure_ascii=False)


def from_json(kind: type[T], text: str) -> T:
    """Return the config that ``to_json`` wrote."""
    return from_dict(kind, json.loads(text), "config")


def from_toml(kind: type[T], file: Path) -> T:
    """Return the config in a TOML file; keys that it leaves out keep their defaults.

    Raises:
        ConfigError: The file cannot be read, or has a key or value that ``kind`` does not know.
    """
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the settings in {file}: {error}") from error
    return from_dict(kind, data, str(file))


def to_toml(config: Any) -> str:
    """Return a config dataclass as TOML, a table for each config in it; ``from_toml`` gives it back.

    Raises:
        ConfigError: A value cannot be said in TOML.
    """
    text = "\n".join(_toml_lines(config, ""))
    try:
        text.encode()
        same = from_dict(type(config), tomllib.loads(text), "config") == config
    except (UnicodeEncodeError, tomllib.TOMLDecodeError):
        same = False
    if not same:
        raise ConfigError(f"these settings cannot be written as TOML: {config}")
    return text + "\n"


def _toml_lines(config: Any, table: str) -> Iterator[str]:
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    inner = {name: value for name, value in values.items() if dataclasses.is_dataclass(value)}
    for name, value in values.items():
        if name not in inner and value is not None:  # TOML has no word for nothing
            yield f"{name} = {_toml(value)}"
    for name, value in inner.items():
        yield f"\n[{table}{name}]"
        yield from _toml_lines(value, f"{table}{name}.")


def _toml(value: Any) -> str:
    """Return a plain value in TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(part) for part in value)}]"
    if isinstance(value, float):
        return repr(value)  # also inf and nan
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def from_dict(kind: type[T], data: dict[str, Any], where: str) -> T:
    """Return ``kind`` made from plain values.

    Raises:
        ConfigError: A key is unknown (the text has the nearest one), missing, or its value is of another type.
    """
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise ConfigError(f"{where}: unknown key {key!r}; {nearest(key, fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in data:
            raise ConfigError(f"{where}: the key {name!r} is missing")
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in data.items()})


SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def size(text: str, name: str) -> int:
    """Return the bytes that a text like "4GB", "500 MB" or "1000000" says.

    Raises:
        ConfigError: It says something else; ``name`` is the setting's.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text.lower())
    if found is None:
        raise ConfigError(f"{name} must be a size like 4GB or 500MB, got {text!r}")
    return int(float(found[1]) * SIZES[found[2]])


def nearest(word: str, known: Iterable[str]) -> str:
    """Return what to tell somebody who wrote ``word``: the known one that is like it, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return ``value`` as the type ``hint``, or complain."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be a table, and is {value!r}")
        return from_dict(typing.cast(type[Any], hint), value, where)
    if origin in (typing.Union, types.UnionType):
        return _one_of(inner, value, where)
    if origin is typing.Literal:
        if value not in inner:
            raise ConfigError(f"{where} must be one of {', '.join(map(repr, inner))}, and is {value!r}")
        return value
    if origin is tuple:
        return _tuple(inner, value, where)
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, type) and type(value) is not hint:
        raise ConfigError(f"{where} must be of type {hint.__name__}, and is {value!r}")
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    there = [kind for kind in kinds if kind is not type(None)]
    if len(there) == 1:
        return _value(there[0], value, where)
    for kind in there:
        with contextlib.suppress(ConfigError):
            return _value(kind, value, where)
    raise ConfigError(f"{where} must be of type {' or '.join(kind.__name__ for kind in there)}, and is {value!r}")


def _tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{where} must be a list, and is {value!r}")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(value) != len(kinds):
        raise ConfigError(f"{where} must be a list of {len(kinds)} values, and is {value!r}")
    return tuple(_value(kind, part, where) for kind, part in zip(kinds, value, strict=True))
