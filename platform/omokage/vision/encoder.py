"""What an encoder is: a graph that turns an aligned face into numbers, and how a face must reach it.

An encoder is described by a short TOML file whose keys are the fields of ``EncoderSpec``. The template and its
padding are only named here; ``vision.geometry`` knows what they mean in pixels.
"""

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from omokage import weights
from omokage.config import nearest
from omokage.errors import ConfigError, WeightsError
from omokage.vision.geometry import LARGEST, SMALLEST

BUILT_IN = ("sface",)
"""Encoders that are known by name; each has a description in ``vision/encoders``."""

EXAMPLE = "efficientnetv2_arcface.toml"
"""The worked example beside them, to copy and change."""

COLOURS = ("RGB", "BGR")
LAYOUTS = ("NCHW",)
TEMPLATES = ("arcface", "dlib", "margin")
BATCHES = ("fixed", "dynamic")


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSpec:
    """An encoder, and how a face must reach it: ``(value * scale - mean) / std`` of values from 0 to 255."""

    name: str
    """What reports and datasets call it."""

    weights: str
    """A name that ``omokage.weights`` knows, or the path of an .onnx file."""

    licence: str
    """Of the weights; every report that used them shows it."""

    dim: int
    """How many numbers the graph gives for a face, at least 1."""

    input_size: int
    """Side of the square picture that the graph takes, in px, at least 1."""

    colour: str
    """Order of the graph's three channels: "RGB" or "BGR"."""

    template: str
    """Alignment that the weights were trained with: "arcface", "dlib" or "margin"."""

    padding: float = 0.0
    """Room around the template as a share of its side, at least 0. "arcface" has none."""

    cut: int | None = None
    """Side at which the aligned face is cut out of the picture, in px, before it is averaged down (or enlarged) to
    ``input_size``; None: at ``input_size`` itself. Of weights that were trained on pictures made smaller."""

    jpeg: int | None = None
    """Quality, 1 to 100, of the JPEG through which the cut face goes before it is made smaller; None: none. Of weights
    that were trained on such files."""

    scale: float = 1.0
    """Factor on the values 0 to 255, not 0; it comes before ``mean`` and ``std``."""

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted after scaling; a number for each channel, in the order of ``colour``."""

    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divides what is left, none 0; a number for each channel, in the order of ``colour``."""

    layout: str = "NCHW"
    """Axes of the input: face, channel, row, column. No other layout is supported."""

    input_name: str | None = None
    """The graph's input; None takes the first."""

    output_name: str | None = None
    """The graph's output; None takes the first."""

    batch: str | int = "dynamic"
    """On a GPU, faces a run: "dynamic" any number, "fixed" one, a number at most so many. A CPU always runs one."""

    def __post_init__(self) -> None:
        """Reject what no graph could be run with."""
        _one_of("colour", self.colour, COLOURS)
        _one_of("template", self.template, TEMPLATES)
        _one_of("layout", self.layout, LAYOUTS)
        if isinstance(self.batch, str):
            _one_of("batch", self.batch, BATCHES)
        else:
            _at_least("batch", self.batch, 1)
        _at_least("dim", self.dim, 1)
        _at_least("input_size", self.input_size, 1)
        if self.cut is not None and not SMALLEST <= self.cut <= LARGEST:
            raise ConfigError(f"encoder.cut must lie in {SMALLEST} to {LARGEST} px, got {self.cut}")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise ConfigError(f"encoder.jpeg must lie in 1 to 100, got {self.jpeg}")
        _at_least("padding", self.padding, 0)
        if self.template == "arcface" and self.padding:
            raise ConfigError(f'encoder.padding must be 0 with the template "arcface", got {self.padding}')
        if self.scale == 0:
            raise ConfigError("encoder.scale must not be 0")
        if 0 in self.std:
            raise ConfigError(f"encoder.std must not hold a 0, got {self.std}")

    def weights_file(self) -> Path:
        """Return the .onnx file; published weights are fetched if need be, and verified.

        Raises:
            WeightsError: The file is not there, or no source gave it.
        """
        if self.weights in weights.ENTRIES:
            return weights.path(self.weights)
        file = Path(self.weights)
        if not file.is_file():
            raise WeightsError(f"the weights of the encoder {self.name!r} are not at {file}")
        return file

    def sha256(self) -> str:
        """Return the sha256 of the weights file, in hexadecimal: with the name, what a vector's origin is.

        Raises:
            WeightsError: The file is not there.
        """
        if self.weights in weights.ENTRIES:
            return weights.ENTRIES[self.weights].sha256
        return weights.sha256(self.weights_file())


def load_spec(name_or_path: str) -> EncoderSpec:
    """Return the built-in encoder of this name, or the one that a TOML file describes.

    For an .onnx file it is the .toml file beside it, of the same name.

    Raises:
        ConfigError: There is no such name or file, or the file holds a wrong key or value.
    """
    if name_or_path in BUILT_IN:
        with resources.as_file(_folder().joinpath(f"{name_or_path}.toml")) as file:
            return _read(file)
    file = Path(name_or_path)
    if file.suffix.lower() == ".onnx":
        return _beside(file)
    if file.suffix.lower() != ".toml":
        raise ConfigError(
            f"no encoder is called {name_or_path!r}; give one of {', '.join(BUILT_IN)}, or the path of a TOML file "
            f"that describes one (a worked example: {_folder().joinpath(EXAMPLE)})"
        )
    return _read(file)


def _beside(file: Path) -> EncoderSpec:
    """Return what the description beside an .onnx file says."""
    description = file.with_suffix(".toml")
    if not description.is_file():
        raise ConfigError(_how_to_describe(file))
    spec = _read(description)
    if Path(spec.weights) != file.expanduser().resolve():
        raise ConfigError(f"{description} describes {spec.weights}, not {file}: give the description's path")
    return spec


def _folder() -> Any:
    return resources.files("omokage.vision").joinpath("encoders")


def _read(file: Path) -> EncoderSpec:
    try:
        with file.open("rb") as stream:
            table = tomllib.load(stream)
        return _spec(table, file.parent)
    except OSError as error:
        raise ConfigError(f"cannot read the encoder's description {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _spec(table: dict[str, Any], folder: Path) -> EncoderSpec:
    known = [field.name for field in fields(EncoderSpec)]
    for key in table:
        if key not in known:
            raise ConfigError(f"an encoder has no key {key!r}; {nearest(key, known)}")
    values = {key: _checked(key, value) for key, value in table.items()}
    if values.get("weights") in weights.ENTRIES:
        values.setdefault("licence", weights.ENTRIES[values["weights"]].licence)
    missing = [field.name for field in fields(EncoderSpec) if field.default is MISSING and field.name not in values]
    if missing:
        raise ConfigError(f"an encoder needs the key{'s' * (len(missing) > 1)} {', '.join(missing)}")
    return EncoderSpec(**(values | {"weights": _placed(values["weights"], folder)}))


def _placed(name: str, folder: Path) -> str:
    """Return a published name as it is, and a path as seen from the description's folder."""
    if name in weights.ENTRIES:
        return name
    if not name.lower().endswith(".onnx"):
        near = difflib.get_close_matches(name, weights.ENTRIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known names: {', '.join(weights.ENTRIES)}"
        raise ConfigError(f"weights must be a known name or the path of an .onnx file, got {name!r}; {hint}")
    return str((folder / Path(name).expanduser()).resolve())


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # to Python, True is a whole number


def _is_number(value: object) -> bool:
    return isinstance(value, float) or _is_whole(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_three(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(_is_number(part) for part in value)


_TEXT = ("a text", _is_text)
_WHOLE = ("a whole number", _is_whole)
_NUMBER = ("a number", _is_number)
_THREE = ("a list of three numbers", _is_three)

_KINDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "name": _TEXT,
    "weights": _TEXT,
    "licence": _TEXT,
    "dim": _WHOLE,
    "input_size": _WHOLE,
    "colour": _TEXT,
    "template": _TEXT,
    "padding": _NUMBER,
    "cut": _WHOLE,
    "jpeg": _WHOLE,
    "scale": _NUMBER,
    "mean": _THREE,
    "std": _THREE,
    "layout": _TEXT,
    "input_name": _TEXT,
    "output_name": _TEXT,
    "batch": ("a text or a whole number", lambda value: _is_text(value) or _is_whole(value)),
}


def _checked(key: str, value: object) -> Any:
    wanted, fits = _KINDS[key]
    if not fits(value):
        raise ConfigError(f"{key} must be {wanted}, got {value!r}")
    if isinstance(value, list):
        return tuple(float(part) for part in value)
    return value


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        quoted = " or ".join(f'"{one}"' for one in allowed)
        raise ConfigError(f'encoder.{key} must be {quoted}, got "{value}"')


def _at_least(key: str, value: float, least: int) -> None:
    # written so that a NaN is refused too
    if not value >= least:
        raise ConfigError(f"encoder.{key} must be at least {least}, got {value}")


def _how_to_describe(file: Path) -> str:
    return (
        f"{file} alone does not say how a face must reach it. Write a file {file.with_suffix('.toml')} such as\n"
        f'  name = "{file.stem}"\n'
        f'  weights = "{file.name}"\n'
        '  licence = "of the weights"\n'
        "  dim = 512               # numbers a face\n"
        "  input_size = 112        # px\n"
        '  colour = "RGB"          # or "BGR"\n'
        "  scale = 0.0078431372549 # (value * scale - mean) / std, values 0 to 255\n"
        "  mean = [1.0, 1.0, 1.0]\n"
        "  std = [1.0, 1.0, 1.0]\n"
        '  template = "arcface"    # or "dlib" or "margin", with a padding\n'
        f"with what the weights were trained with, and give its path. A worked example: {_folder().joinpath(EXAMPLE)}"
    )
