"""``omokage augment``: altered copies of the kept faces as files, in a tree of their own.

    OUT/omokage-augment.json       what it is made of and how; written first
    OUT/<person>/<picture>-<face_id>_<copy>.jpg
    OUT/omokage-augment.parquet    which face and which change each file is; written last

A tree belongs to one set of faces and one set of settings. A file that is there is never written again, so a run that
was stopped is finished by the same command; a copy depends on its face, the settings and the seed alone.
"""

import dataclasses
import hashlib
import json
import posixpath
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from omokage.apply import check, names
from omokage.apply.asked import Asked
from omokage.apply.claim import CLAIM, claim
from omokage.apply.out import InBucket, OnDisk
from omokage.apply.threads import side_by_side
from omokage.augment.copies import Copies, CopiesConfig
from omokage.errors import ConfigError, SourceError
from omokage.progress import OnProgress, quietly, told
from omokage.sheet.words import count
from omokage.source import Source, unwritten, written
from omokage.storage import Folder
from omokage.vision import codec

PROVENANCE: Final = "omokage-augment.parquet"

ROWS: Final = pa.schema(
    [
        ("path", pa.string()),  # below the tree, escaped as a uri is
        ("identity", pa.string()),
        ("face_id", pa.string()),
        ("uri", pa.string()),  # of the picture that the face is from
        ("change", pa.string()),  # lens or jitter
        ("coefficient", pa.float64()),  # of the lens
        ("corner", pa.string()),  # where in the lens's frame the face stood; null: it filled the frame
        ("seed", pa.int64()),  # of what is random; null for a lens
        ("sha256", pa.string()),  # of the file
    ]
)

AT_ONCE: Final = 64
"""Faces whose chips and rows are held at a time."""


class _Face(NamedTuple):
    """A face, and where its copies go."""

    face_id: str
    identity: str
    uri: str
    stem: str
    """Below the tree, without what tells copies apart."""

    def path(self, copy: str) -> str:
        """Return where a copy goes, escaped as a uri is."""
        folder, stem = posixpath.split(self.stem)
        return written(posixpath.join(folder, names.ended(stem, f"-{self.face_id}_{copy}.jpg")))


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentReport:
    """What a tree of altered copies holds."""

    dataset: str
    version: str | None
    """None: the dataset as it is decided now."""
    out: str
    people: int
    faces: int
    copies: int
    """Of each face."""
    files: int
    written: int
    """Of the files, by this run; the others were there."""
    left_out: dict[str, int]
    """Faces without copies, by why."""
    renamed: dict[str, str]
    """Identities whose folder has another name."""
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        people, copies = count(self.people, "person", "people"), count(self.copies, "copy", "copies")
        lines = [
            f"{self.out}: {copies} of each of {count(self.faces, 'face')} of {people}, "
            f"{count(self.files, 'file')}, {self.written:,} of them written now, {self.seconds:,.1f} s"
        ]
        lines += [f"  left out: {many:,} {why}" for why, many in self.left_out.items() if many]
        lines += [names.renaming(who, folder) for who, folder in self.renamed.items()]
        return "\n".join(lines)


def augmented(asked: Asked, out: str, config: CopiesConfig, on_progress: OnProgress = quietly) -> AugmentReport:
    """Return the report of writing altered copies of the kept faces that belong to somebody.

    Args:
        asked: The dataset, and which of its decisions.
        out: Path or URL of a folder that is new, empty, or was begun by the same call.
        config: Which copies.
        on_progress: Is told how many faces are done, of how many.

    Raises:
        OmokageError: ``out`` is no place for it, no face has a chip, or the work could not go on; then the same call
            goes on from there.
    """
    return _Augmenting(asked, Folder.at(out), config).run(on_progress)


class _Augmenting:
    """Writes one tree."""

    def __init__(self, asked: Asked, out: Folder, config: CopiesConfig) -> None:
        self._asked, self._out, self._config = asked, out, config
        self._copies = Copies(config)
        self._left_out: Counter[str] = Counter()
        self._written = 0
        self._people: set[str] = set()

    def run(self, on_progress: OnProgress) -> AugmentReport:
        began = time.monotonic()
        self._check_place()
        faces, renamed = self._faces()
        with check.stopped(f"the copies in {self._out.url}", "the same command goes on from here"):
            files: OnDisk | InBucket = OnDisk(self._out, link=False) if self._out.local else InBucket(self._out)
            with files.locked(), _one_thread():
                claim(self._out, self._said(faces))
                done = self._write(files, faces, on_progress)
                files.last()
        return AugmentReport(
            dataset=self._asked.data.folder.url,
            version=self._asked.version,
            out=self._out.url,
            people=len(self._people),
            faces=done,
            copies=len(self._copies.wanted),
            files=done * len(self._copies.wanted),
            written=self._written,
            left_out=dict(self._left_out),
            renamed=renamed,
            seconds=round(time.monotonic() - began, 3),
        )

    def _check_place(self) -> None:
        """Check that the tree lies neither in the dataset nor among the source's folders, nor they in it.

        Raises:
            ConfigError: It does.
        """
        if self._out.kind() == "file":
            raise ConfigError(f"{self._out.url} is a file: give a folder for the copies")
        data = self._asked.data
        check.apart(self._out, data.folder, "the folder of the copies", "the dataset")
        if not _is_list(data.head.source):
            check.apart(self._out, Folder.at(data.head.source), "the folder of the copies", "the source")

    def _faces(self) -> tuple[dict[str, _Face], dict[str, str]]:
        """Return the faces that get copies, by id, and the identities whose folder has another name."""
        every = self._asked.faces()
        kept = every.filter(pc.equal(every["status"], "kept"))
        known = kept.filter(pc.is_valid(kept["identity"]))
        self._left_out["faces that were dropped"] = every.num_rows - kept.num_rows
        self._left_out["faces of nobody"] = kept.num_rows - known.num_rows
        folder_of = names.folders(known["identity"].unique().to_pylist(), taken=(CLAIM, PROVENANCE))
        faces = {}
        for row in known.select(["face_id", "identity", "uri"]).to_pylist():
            picture = posixpath.splitext(posixpath.basename(unwritten(row["uri"])))[0]
            stem = posixpath.join(folder_of[row["identity"]], picture)
            faces[row["face_id"]] = _Face(row["face_id"], row["identity"], row["uri"], stem)
        return faces, {who: folder for who, folder in folder_of.items() if who != folder}

    def _said(self, faces: dict[str, _Face]) -> dict[str, Any]:
        """Return what the tree is made of, and how."""
        every = "\n".join(sorted(face.path("") for face in faces.values()))
        return {
            "dataset": self._asked.data.folder.url,
            "version": self._asked.version,
            "faces": hashlib.sha256(every.encode()).hexdigest(),
            "settings": dataclasses.asdict(self._config),
        }

    def _write(self, files: OnDisk | InBucket, faces: dict[str, _Face], on_progress: OnProgress) -> int:
        """Write what is not there, and last what all of it is; return of how many faces."""
        sink, done = pa.BufferOutputStream(), 0
        with pq.ParquetWriter(sink, ROWS, compression="zstd") as table:
            for part in told(self._chips(faces), len(faces), "faces", on_progress):
                made = list(side_by_side(lambda each: self._face(files, *each), part, files.threads))
                rows = [row for face in made if face is not None for row in face]
                table.write_table(pa.Table.from_pylist(rows, ROWS))
                done += len(rows) // len(self._copies.wanted)
        if not done:
            raise ConfigError(f"{self._asked.data.folder.url} has no kept face with a chip and an identity")
        self._out.write(PROVENANCE, sink.getvalue())
        return done

    def _chips(self, faces: dict[str, _Face]) -> Iterator[list[tuple[_Face, bytes | None]]]:
        """Yield the faces that are still in the dataset with their chips, some at a time."""
        gone = len(faces)
        for table in self._asked.data.faces(["face_id", "chip"]):
            for start in range(0, table.num_rows, AT_ONCE):
                part = table.slice(start, AT_ONCE)
                pairs = zip(part["face_id"].to_pylist(), part["chip"].to_pylist(), strict=True)
                mine = [(faces[face_id], chip) for face_id, chip in pairs if face_id in faces]
                gone -= len(mine)
                yield mine
        self._left_out["faces that are no longer in the dataset"] = gone

    def _face(self, files: OnDisk | InBucket, face: _Face, chip: bytes | None) -> list[dict[str, Any]] | None:
        """Write the copies of a face that are not there, and return what all of them are; None if it has no chip."""
        if not chip:
            self._left_out["faces without a chip"] += 1
            return None
        paths = [face.path(copy.name) for copy in self._copies.wanted]
        missing = [not files.there(path) for path in paths]
        sums: list[str] = []
        if any(missing):
            try:
                pictures = self._copies.of(codec.decode(chip), face.face_id)
            except codec.PictureError:
                self._left_out["faces whose chip cannot be read"] += 1
                return None
        for number, (path, is_missing) in enumerate(zip(paths, missing, strict=True)):
            if is_missing:
                data = codec.encode_jpeg(pictures[number], self._config.quality)
                files.write(path, data)
                sums.append(hashlib.sha256(data).hexdigest())
            else:
                sums.append(files.sha256(path))
        self._written += sum(missing)
        self._people.add(face.identity)
        return [
            {
                "path": path,
                "identity": face.identity,
                "face_id": face.face_id,
                "uri": face.uri,
                "change": copy.change,
                "coefficient": copy.coefficient,
                "corner": copy.corner,
                "seed": self._config.seed if copy.change == "jitter" else None,
                "sha256": digest,
            }
            for path, copy, digest in zip(paths, self._copies.wanted, sums, strict=True)
        ]


def _is_list(source: str) -> bool:
    """Return whether a dataset was made from a list; a source that is gone counts as a folder."""
    try:
        return Source.at(source).is_list
    except SourceError:
        return False


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread in the block: faces are worked on side by side already."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
