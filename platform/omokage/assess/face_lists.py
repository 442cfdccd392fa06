"""Files that name faces: lists of pairs to compare, lists of who is enrolled. A face is named by its id or its uri.

Shape key: N faces of the subject, L pairs.
"""

import csv
import io
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage.assess.subject import Subject
from omokage.errors import DatasetError
from omokage.evaluate import pairs_file
from omokage.evaluate.listed_pairs import Lost, Pairs
from omokage.sheet.words import count, visible
from omokage.storage import Folder

Ints = NDArray[np.int64]

COLUMNS: Final = ("a", "b", "same")

ANSWERS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Pairs of a file."""

    pairs: Pairs
    """That can be compared."""
    pictures: tuple[int, int]
    """That are listed, and how many of them gave no face."""
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A pair as it is listed."""

    a: str
    b: str
    same: bool
    fold: int


def read(place: str, what: str) -> str:
    """Return the text of a file, local or on s3.

    Raises:
        DatasetError: It cannot be read, or is no text.
    """
    folder, name = Folder.at(place).parted()
    try:
        return folder.read(name).decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"the {what} {place} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"the {what} {place} is no text in UTF-8 ({error.reason} at byte {error.start})") from error


def _lines(place: str, what: str) -> list[str]:
    return [line.rstrip("\r") for line in read(place, what).split("\n")]


def rows(subject: Subject, place: str, what: str) -> Ints:
    """Return the faces that a file names, an id or uri a line, sorted; of several faces of a picture all.

    Raises:
        DatasetError: It cannot be read, or names a face that is not there.
    """
    by_name: dict[str, list[int]] = {}
    for name in ("face_id", "uri"):
        for row, text in enumerate(subject.faces[name].to_pylist()):
            by_name.setdefault(text, []).append(row)
    wanted = [(number, line) for number, line in enumerate(_lines(place, what), 1) if line.strip()]
    unknown = [(number, line) for number, line in wanted if line not in by_name]
    failed = set(subject.failed_uri_F)
    strange = [(number, line) for number, line in unknown if line not in failed]
    if strange:
        number, line = strange[0]
        raise DatasetError(
            f"line {number} of the {what} {place} names {visible(line[:200])!r}, which is no face id or uri among the "
            f"faces that are kept of {subject.given}" + (f", and {len(strange) - 1:,} more" if len(strange) > 1 else "")
        )
    return np.unique(np.array([row for _, line in wanted for row in by_name.get(line, [])], np.int64))


def failures(subject: Subject, place: str, what: str) -> NDArray[np.bool_]:
    """Return which of the pictures that gave no face a file names.

    Raises:
        DatasetError: It cannot be read.
    """
    wanted = set(_lines(place, what))
    return np.array([uri in wanted for uri in subject.failed_uri_F], bool)


def pairs(subject: Subject, place: str) -> Listed:
    """Return the pairs that a file lists.

    Raises:
        DatasetError: It cannot be read, a line of it is wrong, or it has no pair of this dataset.
    """
    text = read(place, "pairs file")
    first = text.split("\n", 1)[0]
    if "," in first or set(first.lower().split()) >= set(COLUMNS):
        lines, folds = _csv(text, place)
        key: Callable[[str], str] = str
    else:
        lines, folds = _lfw(text)
        key = _short
    if not lines:
        raise DatasetError(f"the pairs file {place} lists no pair")
    return _Match(subject, key).pairs(lines, folds, place)


def _short(uri: str) -> str:
    """Return folder and name of a picture, without its ending, as pairs.txt names it."""
    return posixpath.splitext("/".join(uri.split("/")[-2:]))[0]


def _lfw(text: str) -> tuple[list[_Line], bool]:
    lines = [_Line(pair.a.file(""), pair.b.file(""), pair.same, pair.fold) for pair in pairs_file.parse(text)]
    return lines, lines[-1].fold > 0


def _csv(text: str, place: str) -> tuple[list[_Line], bool]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        head = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in COLUMNS if name not in head]
        if missing or len(set(head)) < len(head):
            raise DatasetError(f"the pairs file {place} needs the columns a, b and same, each once; line 1 has {head}")
        return list(_csv_lines(reader, head, place)), "fold" in head
    except csv.Error as error:
        raise DatasetError(f"the pairs file {place} is no CSV: {error}") from error


def _csv_lines(reader: Any, head: Sequence[str], place: str) -> Iterator[_Line]:
    number: dict[str, int] = {}
    at = [head.index(name) for name in COLUMNS]
    for fields in reader:
        line = reader.line_num
        if not fields:
            continue
        if len(fields) != len(head):
            raise DatasetError(f"line {line} of the pairs file {place} has {len(fields)} fields, not {len(head)}")
        a, b, same = (fields[column] for column in at)
        if same.strip().lower() not in ANSWERS:
            raise DatasetError(f"line {line} of the pairs file {place}: same must be 1 or 0, got {same[:40]!r}")
        fold = fields[head.index("fold")].strip() if "fold" in head else ""
        yield _Line(a, b, ANSWERS[same.strip().lower()], number.setdefault(fold, len(number)))


class _Match:
    """Finds the faces of listed pictures."""

    def __init__(self, subject: Subject, key: Callable[[str], str]) -> None:
        self.subject = subject
        self.row: dict[str, int] = {}
        self.crowded: Counter[str] = Counter()
        """Faces of each picture that is named."""
        uris = subject.faces["uri"].to_pylist()
        for row in np.argsort(subject.quality_N, kind="stable").tolist():  # the best last
            name = key(uris[row])
            self.row[name] = row
            self.crowded[name] += 1
        self.row |= {face_id: row for row, face_id in enumerate(subject.faces["face_id"].to_pylist())}
        failed = zip(subject.failed_uri_F, subject.failed_label_F.tolist(), strict=True)
        self.failed = {name: label for uri, label in failed if (name := key(uri)) not in self.row}
        """Whose picture each is that gave no face."""

    def pairs(self, lines: Sequence[_Line], folds: bool, place: str) -> Listed:
        """Return the pairs that are listed."""
        names = dict.fromkeys(name for line in lines for name in (line.a, line.b))
        unknown = [name for name in names if name not in self.row and name not in self.failed]
        strange = set(unknown)
        known = [line for line in lines if line.a not in strange and line.b not in strange]
        here = [line for line in known if line.a in self.row and line.b in self.row]
        apart = [line for line in here if self.row[line.a] != self.row[line.b]]
        if not apart:
            example = f": {visible(unknown[0][:200])!r} is not there, for one" if unknown else ""
            raise DatasetError(
                f"none of the {len(lines):,} pairs of {place} can be compared in {self.subject.given}{example}"
            )
        lost = [line for line in known if line.a not in self.row or line.b not in self.row]
        found = Pairs(
            a_L=np.array([self.row[line.a] for line in apart], np.int64),
            b_L=np.array([self.row[line.b] for line in apart], np.int64),
            same_L=np.array([line.same for line in apart], bool),
            fold_L=np.array([line.fold for line in apart], np.int64) if folds else None,
            lost=Lost(
                person_X2=np.array([[self._person(line.a), self._person(line.b)] for line in lost], np.int64).reshape(
                    -1, 2
                ),
                same_X=np.array([line.same for line in lost], bool),
            ),
        )
        return Listed(
            pairs=found,
            pictures=(len(names) - len(unknown), sum(name in self.failed for name in names)),
            remarks=tuple(self._remarks(lines, unknown, len(lines) - len(known), len(here) - len(apart), found)),
        )

    def _person(self, name: str) -> int:
        """Return whose a picture is, whether it gave a face or not."""
        row = self.row.get(name)
        return self.failed[name] if row is None else int(self.subject.label_N[row])

    def _remarks(
        self, lines: Sequence[_Line], unknown: Sequence[str], left_out: int, selves: int, found: Pairs
    ) -> Iterator[str]:
        """Yield what a person should know of the list."""
        if left_out:
            yield (
                f"{left_out:,} of {len(lines):,} listed pairs are left out: {len(unknown):,} of their pictures are not "
                f"in the dataset as it is kept, such as {visible(unknown[0][:200])!r}; these are not the figures of "
                "the whole list"
            )
        if selves:
            yield f"{count(selves, 'listed pair is', 'listed pairs are')} of a face with itself, and left out"
        again = len(found) - len(_once(zip(found.a_L.tolist(), found.b_L.tolist(), strict=True)))
        if again:
            yield f"{count(again, 'listed pair is', 'listed pairs are')} there more than once, and counted as often"
        label_N = self.subject.label_N
        other = int(((label_N[found.a_L] == label_N[found.b_L]) != found.same_L).sum())
        if other:
            yield f"of {count(other, 'pair')} the list says otherwise than the dataset whether it is of one person"
        names = dict.fromkeys(name for line in lines for name in (line.a, line.b))
        several = sum(self.crowded[name] > 1 for name in names)
        if several:
            yield (
                f"{count(several, 'listed picture shows', 'listed pictures show')} several faces that are kept: that "
                "of the best quality is compared"
            )


def _once(found: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    return {(min(pair), max(pair)) for pair in found}
