"""Two pictures, or a list of pairs, compared: is it one person?"""

import csv
import hashlib
import itertools
import json
import os
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO, get_args

from omokage.assess import calibrated, verified
from omokage.assess.answers import Answers
from omokage.assess.basis import Basis, faces_seen
from omokage.assess.calibrated import Standard
from omokage.assess.verified import BAD, BadLine, Known, ListReport, Pair, Picture, VerifyReport
from omokage.errors import SourceError
from omokage.evaluate.answer import Answer
from omokage.flows.look import Eyes, Seen, Sight, looking, places, seen
from omokage.progress import OnProgress, quietly
from omokage.storage import Folder
from omokage.vision.origin import origin

PAIRS: Final = 1024
"""Pairs whose pictures are looked at together."""

REMEMBERED: Final = 20_000
"""Pictures whose faces are remembered, so that a list of many against one does not open the one again and again."""

AHEAD: Final = 8
"""Lines that one record may have: a name with line breaks in it has quotes round it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyConfig:
    """By what pictures are compared."""

    encoder: str = "sface"
    """Name of an encoder, or a TOML file that describes one."""
    calibration: str | None = None
    """File that omokage calibrate wrote; by default the one beside the encoder's weights."""


def verify(a: str, b: str, config: VerifyConfig, face_a: int | None = None, face_b: int | None = None) -> VerifyReport:
    """Return whether two pictures show one person.

    Args:
        a: Path or URL of a picture.
        b: Another.
        config: By what they are compared.
        face_a: Number of the face in ``a``, from 1 on the left; None where there should be one.
        face_b: Likewise.

    Raises:
        ConfigError: There is no such encoder or calibration, or it is of another encoder.
        SourceError: There is no such picture.
    """
    began = time.perf_counter()
    sight, standard = _sight(config)
    listed = places([a, b], Folder.at("."))
    for name, reason in zip((a, b), listed["reason"].to_pylist(), strict=True):
        if reason == "unreadable":
            raise SourceError(f"there is no picture at {name}, or it may not be read")
    with looking(sight, 2) as eyes:
        looked = (row for table in eyes.look(listed, ".") for row in seen(table, sight.spec.dim))
        known = [_known(name, row) for name, row in zip((a, b), looked, strict=True)]
        runtime = eyes.runtime
    return VerifyReport(
        pair=verified.compare(known[0], known[1], (face_a, face_b), standard, None),
        basis=_basis(sight, standard, runtime),
        seconds=round(time.perf_counter() - began, 3),
    )


def verify_list(
    listing: str, config: VerifyConfig, csv_file: str | None = None, on_progress: OnProgress = quietly
) -> ListReport:
    """Return whether the two pictures of each line of a list show one person; every line is answered.

    Args:
        listing: Path of a CSV file with the columns a and b, and face_a and face_b where pictures have several faces.
            Relative paths start from its folder.
        config: By what they are compared.
        csv_file: Where answers go instead of into the report; a stopped run is gone on with.
        on_progress: Told of pairs.

    Raises:
        ConfigError: There is no such encoder or calibration, or the file for the answers holds something else.
        SourceError: There is no such list, or it has not the columns.
        WorkError: The answers cannot be written; what is written is kept.
    """
    began = time.perf_counter()
    sight, standard = _sight(config)
    whole = sum(1 for _ in _lines(listing))
    answers = None if csv_file is None else Answers(csv_file, verified.COLUMNS, _key(listing, sight, standard))
    counts = Counter[str]() if answers is None else answers.counts
    done = 0 if answers is None else answers.done
    results: list[Pair] = []
    on_progress(done, whole, "pairs")
    lines = itertools.islice(_lines(listing), done, None)
    with looking(sight, min(2 * whole, 2 * PAIRS)) as eyes:
        book = _Book(eyes, sight, str(Path(listing).absolute().parent))
        while some := list(itertools.islice(lines, PAIRS)):
            pairs = [_answered(line, known, standard) for line, known in zip(some, book.of(some), strict=True)]
            counts.update(pair.answer for pair in pairs)
            counts["bad"] += sum(bool(line.wrong) for line in some)
            done += len(pairs)
            if answers is None:
                results += pairs
            else:
                answers.add((pair.row() for pair in pairs), len(pairs), counts)
            on_progress(done, whole, "pairs")
        runtime = eyes.runtime
    if answers is not None:
        answers.finish()
    wrong = (BadLine(line.number, line.wrong) for line in _lines(listing) if line.wrong)
    return ListReport(
        list=listing,
        pairs=whole,
        answers={answer: counts[answer] for answer in get_args(Answer)},
        bad=counts["bad"],
        bad_lines=tuple(itertools.islice(wrong, BAD)),
        results=tuple(results),
        csv=csv_file,
        basis=_basis(sight, standard, runtime),
        seconds=round(time.perf_counter() - began, 3),
    )


def _sight(config: VerifyConfig) -> tuple[Sight, Standard]:
    """Return how pictures are seen, and what similarities are held against: faces are found as for the calibration."""
    sight = Sight.of(config.encoder)
    standard = calibrated.standard(sight.spec, origin(sight.spec), config.encoder, config.calibration)
    if standard.made is not None and standard.made.detector is not None:
        sight = Sight.of(config.encoder, standard.made.detector)
    return sight, standard


def _basis(sight: Sight, standard: Standard, runtime: str) -> Basis:
    return Basis.of(origin(sight.spec), sight.find.recipe(), runtime, standard, sight.licences())


def _known(name: str, row: Seen) -> Known:
    """Return what was seen in a picture, under the name that it was given."""
    faces = faces_seen(row.box_F4, row.score_F)
    return Picture(picture=_shown(name), sha256=row.sha256, reason=row.reason, faces=faces), row.vector_FE


def _shown(name: str) -> str:
    """Return a path as text, also where its bytes are none."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of a list."""

    number: int
    """In the file, from 1."""
    a: str = ""
    b: str = ""
    face_a: int | None = None
    face_b: int | None = None
    wrong: str = ""
    """Why it names no two pictures; empty where it does."""


class _Book:
    """What was seen in pictures, the last ones remembered."""

    def __init__(self, eyes: Eyes, sight: Sight, root: str) -> None:
        self.eyes, self.dim, self.root = eyes, sight.spec.dim, Folder.at(root)
        self.known: OrderedDict[str, Known] = OrderedDict()

    def of(self, lines: Sequence[Line]) -> Iterator[tuple[Known, Known] | None]:
        """Yield the two pictures of each line; None for one that names none."""
        wanted = dict.fromkeys(name for line in lines if not line.wrong for name in (line.a, line.b))
        here = {name: self.known[name] for name in wanted if name in self.known}
        new = [name for name in wanted if name not in here]
        looked = self.eyes.look(places(new, self.root), self.root.url) if new else ()
        rows = (row for table in looked for row in seen(table, self.dim))
        here.update((name, _known(name, row)) for name, row in zip(new, rows, strict=True))
        for name in wanted:
            self.known[name] = here[name]
            self.known.move_to_end(name)
        while len(self.known) > REMEMBERED:
            self.known.popitem(last=False)
        for line in lines:
            yield None if line.wrong else (here[line.a], here[line.b])


def _answered(line: Line, known: tuple[Known, Known] | None, standard: Standard) -> Pair:
    if known is None:
        a, b = (Picture(picture=_shown(name)) for name in (line.a, line.b))
        return Pair(line=line.number, a=a, b=b, why=line.wrong)
    return verified.compare(*known, (line.face_a, line.face_b), standard, line.number)


def _key(listing: str, sight: Sight, standard: Standard) -> str:
    """Return what tells whether answers that are there are those of this command."""
    with Path(listing).open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    told = [content, str(Path(listing).absolute()), origin(sight.spec), sight.find.recipe(), standard.digest]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _lines(listing: str) -> Iterator[Line]:
    """Yield the lines of a list, its head left out.

    Raises:
        SourceError: It cannot be read, or has not the columns.
    """
    try:
        # names of files may be no UTF-8; surrogates stand for their bytes, as everywhere in Python
        with Path(listing).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            records = _records(file)
            _, head = next(records, (1, []))
            names = [name.strip().lower() for name in head or []]
            if not {"a", "b"} <= set(names):
                raise SourceError(f"{listing} must begin with a line that names the columns a and b")
            for number, fields in records:
                if fields != []:  # nothing stands in an empty line
                    yield _line(number, names, fields)
    except OSError as error:
        raise SourceError(f"cannot read the list {listing}: {error.strerror or error}") from error


def _line(number: int, names: Sequence[str], fields: Sequence[str] | None) -> Line:
    if fields is None:
        return Line(number=number, wrong="its quotes do not match")
    if len(fields) != len(names):
        return Line(number=number, wrong=f"it has {len(fields)} fields, and the first line {len(names)}")
    told = dict(zip(names, fields, strict=True))
    missing = [name for name in ("a", "b") if not told[name]]
    if missing:
        return Line(number=number, a=told["a"], b=told["b"], wrong=f"{' and '.join(missing)} is empty")
    faces = {name: told.get(name, "").strip() for name in ("face_a", "face_b")}
    wrong = [name for name, face in faces.items() if face and not (face.isdecimal() and int(face))]
    if wrong:
        said = f"{wrong[0]} must be a number from 1 on, got {faces[wrong[0]][:20]!r}"
        return Line(number=number, a=told["a"], b=told["b"], wrong=said)
    face_a, face_b = (int(face) if face else None for face in faces.values())
    return Line(number=number, a=told["a"], b=told["b"], face_a=face_a, face_b=face_b)


def _records(file: TextIO) -> Iterator[tuple[int, list[str] | None]]:
    """Yield the records of a CSV file with the numbers of the lines that they begin in; None for one that is none.

    A quote that is never closed costs its own line, and not the rest of the file.
    """
    ahead: deque[str] = deque()
    number = 0

    def filled(lines: int) -> bool:
        ahead.extend(itertools.islice(file, max(0, lines - len(ahead))))
        return len(ahead) >= lines

    while filled(1):
        fields, used = None, 1
        for lines in range(1, AHEAD + 1):
            if filled(lines) and (fields := _parsed(itertools.islice(ahead, lines))) is not None:
                used = lines
                break
        yield number + 1, fields
        number += used
        for _ in range(used):
            ahead.popleft()


def _parsed(lines: Iterable[str]) -> list[str] | None:
    """Return the fields of the one record that some lines are; None where they are not one."""
    try:
        records = list(csv.reader(lines, strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 else None
