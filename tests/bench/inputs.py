"""What the benchmarks run over: made once, kept in the user's cache folder, named by what decides them."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs
from tests.crowd import Crowd

from omokage.synth import draw
from omokage.synth.draw import DrawConfig

SMALL_SIDE = 128
"""Of the pictures that are many, in pixels."""

SMALL_DRAWN = (64, 8)
"""People, and pictures of each, that the many are copies of."""


def folder() -> Path:
    """Return where all of it lies."""
    return Path(platformdirs.user_cache_dir("omokage")) / "bench"


def drawn(people: int, pictures: int, size: int) -> Path:
    """Return a folder of ``people`` folders with ``pictures`` pictures each, ``size`` px, all whole and with a face."""
    out = folder() / f"drawn-{people}x{pictures}-{size}"
    draw.draw(DrawConfig(people=people, pictures=pictures, size=size, faults=False), out)
    return out / draw.PICTURES


def files(pictures: Path) -> list[Path]:
    """Return the files below a folder, sorted."""
    return sorted(file for file in pictures.rglob("*") if file.is_file())  # a folder may be called "x.jpg"


def small(count: int) -> Path:
    """Return a folder with ``count`` pictures of 128 px, no two with the same bytes."""
    originals = files(drawn(*SMALL_DRAWN, SMALL_SIDE))

    def contents() -> Iterator[tuple[str, bytes]]:
        for number in range(count):
            original = originals[number % len(originals)]
            yield f"{original.parent.name}/{number:06d}.jpg", _commented(original.read_bytes(), number)

    return _made(f"small-{count}", contents())


def many(count: int, folders: int = 500) -> Path:
    """Return a folder with ``count`` tiny files in ``folders`` folders."""
    return _made(f"many-{count}", ((f"{n % folders:03d}/{n:06d}.jpg", b"%d" % n) for n in range(count)))


def _commented(jpeg: bytes, number: int) -> bytes:
    """Return a JPEG with a comment after its first marker: other bytes, same pixels."""
    text = b"%08d" % number
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2) + text + jpeg[2:]


def _made(name: str, contents: Iterator[tuple[str, bytes]]) -> Path:
    out, part = folder() / name, folder() / f"{name}.part"
    if out.exists():
        return out
    shutil.rmtree(part, ignore_errors=True)
    known: set[Path] = set()
    for path, data in contents:
        file = part / path
        if file.parent not in known:
            file.parent.mkdir(parents=True, exist_ok=True)
            known.add(file.parent)
        file.write_bytes(data)
    part.rename(out)  # so that what stands there is whole
    return out


def crowd(made: Crowd) -> Path:
    """Return the dataset of a crowd, made once and kept."""
    place = folder() / f"crowd-{made.folders}x{made.faces}x{made.dim}"
    if not (place / "whole").exists():
        shutil.rmtree(place, ignore_errors=True)
        sys.stderr.write(f"  making {place.name}\n")
        made.write(str(place / "data"))
        (place / "whole").touch()
    return place / "data"
