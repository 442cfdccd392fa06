"""What is known of drawn pictures: who, where, how, and what was planted."""

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from omokage.errors import DatasetError

NAME: Final = "truth.json"
FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrueFace:
    """One drawn face. Pixels are of the upright picture: orientation applied, centre of the first pixel (0, 0)."""

    person: str
    landmarks: tuple[tuple[float, float], ...]
    """x y in px: left eye, right eye, nose tip, left and right mouth corner, as seen in the picture."""
    box: tuple[float, float, float, float]
    """x0 y0 x1 y1 in px, hairline to chin, without ears."""
    yaw: float
    """Degrees, > 0 when the nose points to the right of the picture."""
    pitch: float
    """Degrees, > 0 when the nose points up."""
    roll: float
    """Degrees, > 0 when the head leans clockwise as seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrueFile:
    """One written file."""

    path: str
    """Relative to the pictures folder, with slashes."""
    folder: str
    """First folder level: what an ingest takes for the identity."""
    person: str | None
    """Who it really shows (of a group the one whom it was filed for); None where nobody can be seen."""
    faces: tuple[TrueFace, ...]
    """Empty where no face can be read."""
    expression: str | None
    light: str | None
    encoding: str
    """Key of ``formats.FORMATS``; or "text" or "empty"."""
    fault: str | None
    """Key of ``faults.FAULTS``, or None for an ordinary picture."""
    original: str | None
    """Path of the picture that this one repeats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """All that was drawn into one folder."""

    config: dict[str, Any]
    """The settings that decide what is drawn."""
    people: tuple[str, ...]
    """True names, by number."""
    files: tuple[TrueFile, ...]

    def counts(self) -> dict[str, int]:
        """Return how many files of each fault there are; ordinary ones under "none"."""
        out: dict[str, int] = {}
        for file in self.files:
            kind = file.fault or "none"
            out[kind] = out.get(kind, 0) + 1
        return out


def write(truth: Truth, out: Path) -> Path:
    """Write ``truth`` as JSON into the folder ``out`` in one step, and return the file."""
    file = out / NAME
    part = file.with_suffix(".part")
    plain = {"format": FORMAT, **dataclasses.asdict(truth)}
    part.write_text(json.dumps(plain, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(part, file)
    return file


def read(out: Path) -> Truth:
    """Return the truth that lies in the folder ``out``.

    Raises:
        DatasetError: There is none, or it cannot be read.
    """
    file = out / NAME
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            raise DatasetError(f"{file} has format {plain['format']}; this program reads {FORMAT}")
        return Truth(
            config=plain["config"],
            people=tuple(plain["people"]),
            files=tuple(_files(plain["files"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"cannot read {file}: {error}") from error


def _files(rows: Iterable[dict[str, Any]]) -> Iterable[TrueFile]:
    for row in rows:
        faces = tuple(
            TrueFace(
                **{
                    **face,
                    "landmarks": tuple((x, y) for x, y in face["landmarks"]),
                    "box": tuple(face["box"]),
                }
            )
            for face in row["faces"]
        )
        yield TrueFile(**{**row, "faces": faces})
