"""FACE01's folders, with an npKnown.npz in each, as a dataset.

Every picture below the root has a row in the manifest, also those that no npKnown.npz lists. FACE01 works on pictures
that are cut to the face, so each picture is its own chip: then one shot is told from another, and pages show faces.

Shape key: N pictures of a folder, D numbers of a vector.
"""

import contextlib
import hashlib
import os
import posixpath
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.bridge import foreign, npknown
from omokage.bridge.foreign import ImportReport, Intake
from omokage.bridge.npknown import FILE, SIDE_FOLDERS, Known, Member
from omokage.errors import DatasetError
from omokage.progress import OnProgress, each_told, quietly
from omokage.source import Source, check_apart, locate, unwritten, written
from omokage.stages.write import face_id
from omokage.storage import Folder
from omokage.store import READERS
from omokage.vision import codec, shrink
from omokage.vision.codec import PictureError

ROWS: Final = 2_048
"""Pictures of a shard, about."""

CHIP: Final = 224
JPEG: Final = 92
"""Longer side of a chip, in px, and its quality."""

SAID: Final = 20
"""Files that a report names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NpKnownConfig:
    """Which vectors to take."""

    member: Member | None = None
    """Where some folders have vectors of one kind and some of the other; by default those of the first folder."""
    chips: bool = True
    """Whether the pictures become chips; they are read in any case, for their sha256."""


def import_npknown(root: str, dataset: str, config: NpKnownConfig, on_progress: OnProgress = quietly) -> ImportReport:
    """Return the report of making ``dataset`` from the npKnown.npz files below ``root``. Pictures are only read.

    Identities are the first level of folders, as in an ingest. FACE01's own side folders (not_me, …) are left out.

    Raises:
        DatasetError: There is no npKnown.npz that can be read, or the dataset is of another kind.
        SourceError: There is nothing at ``root``, or the dataset lies in it.
    """
    began = time.perf_counter()
    source = Source.at(root)
    folders, skipped = _folders(source)
    if not any(folder.npz for folder in folders):
        raise DatasetError(f"{source.url} has no {FILE} in any folder")
    check_apart(source, Folder.at(dataset))
    member = config.member or _first(source, folders)
    name = f"npknown-{member}"
    chip = f"the picture, at most {CHIP} px" if config.chips else "none"
    data = foreign.created(dataset, foreign.head(source.url, name, "FACE01", npknown.DIMS[member], chip))
    with data.locked():
        intake, reader = Intake(data), _Reader(source, member, config.chips)
        for folder in each_told(folders, len(folders), "folders", on_progress):
            reader.read(folder, intake)
            if len(reader.rows) >= ROWS:
                reader.flush(intake)
        reader.flush(intake)
        after = intake.commit()
    notes = [f"{skipped:,} files in FACE01's side folders (not_me, noFace, …) are left out"] if skipped else []
    if len(reader.refused) > SAID:
        notes.append(f"{len(reader.refused) - SAID:,} more files were refused")
    refused = dict(list(reader.refused.items())[:SAID])
    return foreign.report(intake, after, time.perf_counter() - began, refused=refused, warnings=tuple(notes))


@dataclass(slots=True)
class _Folder:
    """What lies directly in one folder."""

    path: str
    """Below the root, in the words of the file system; empty: the root itself."""
    identity: str | None
    npz: str | None = None
    """uri."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Rows of the listing by name, without the npKnown.npz."""


def _folders(source: Source) -> tuple[list[_Folder], int]:
    """Return the folders that hold files, sorted, and how many files are left out."""
    found: dict[str, _Folder] = {}
    skipped = 0
    for row in source.listing().to_pylist():
        path, name = posixpath.split(unwritten(row["uri"]))
        if SIDE_FOLDERS & set(path.split("/")):
            skipped += 1
            continue
        alone = os.fsencode(posixpath.basename(source.root.root)).decode("utf-8", "backslashreplace")
        folder = found.setdefault(path, _Folder(path, row["identity"] if path else alone))
        if name == FILE and row["reason"] is None:
            folder.npz = row["uri"]
        else:
            folder.files[name] = row | {"identity": folder.identity}
    return [found[path] for path in sorted(found)], skipped


def _first(source: Source, folders: list[_Folder]) -> Member:
    """Return the kind of vectors of the first folder that has any."""
    for folder in folders:
        try:
            known = _open(source, folder)
        except DatasetError:
            continue
        if known and known.member:
            return known.member
    raise DatasetError(f"no {FILE} below {source.url} has a vector that can be read")


def _open(source: Source, folder: _Folder) -> Known | None:
    """Return what a folder's npKnown.npz says; None where there is none."""
    if folder.npz is None:
        return None
    try:
        return npknown.read(_bytes(source, folder.npz))
    except OSError as error:
        raise DatasetError(f"it cannot be read: {error.strerror or error}") from error


def _bytes(source: Source, uri: str) -> bytes:
    folder, path = locate(source.root, uri)
    with folder.reached():
        data: bytes = folder.files.cat_file(path)
    return data


class _Reader:
    """Gathers the pictures and vectors of folder after folder."""

    def __init__(self, source: Source, member: Member, chips: bool) -> None:
        self.source = source
        self.member = member
        self.chips = chips
        self.refused: dict[str, str] = {}
        self.rows: list[dict[str, Any]] = []
        self.vectors: list[NDArray[np.float32]] = []
        """Of the rows that are ok, in their order."""

    def read(self, folder: _Folder, intake: Intake) -> None:
        """Add a row for each picture of a folder."""
        known = self._known(folder)
        vectors_ND, good_N = foreign.unit(known.vectors_ND)
        place = {}
        for number, name in enumerate(known.names):
            if name in place or name != posixpath.basename(name) or name in ("", ".", ".."):
                intake.left_out["repeated" if name in place else "no file's name"] += 1
                continue
            place[name] = number
            if name not in folder.files:
                intake.left_out["no such file"] += 1
                uri = written(posixpath.join(folder.path, name))
                folder.files[name] = {"uri": uri, "identity": folder.identity, "reason": "unreadable"}
            elif not good_N[number]:
                intake.left_out["zero, or not a number"] += 1
        with ThreadPoolExecutor(READERS) as pool:
            ready = [name for name, number in place.items() if good_N[number] and not folder.files[name]["reason"]]
            looked = dict(zip(ready, pool.map(lambda name: self._look(folder.files[name]["uri"]), ready), strict=True))
        for name, row in folder.files.items():
            seen = looked.get(name)
            why = None if seen else "unreadable" if name in looked else "not_encoded"
            self.rows.append(row | (seen or {}) | {"reason": row["reason"] or why})
            if seen:
                self.vectors.append(vectors_ND[place[name]])

    def flush(self, intake: Intake) -> None:
        """Write what was gathered as one shard."""
        rows, self.rows = self.rows, []
        vectors, self.vectors = self.vectors, []
        for row in rows:
            ok = row["reason"] is None
            row |= {"status": "ok" if ok else "failed", "found": int(ok), "kept": int(ok)}
        pictures = pa.Table.from_pylist(
            [{name: row.get(name) for name in schema.MANIFEST.names} for row in rows], schema.MANIFEST
        )
        good = pictures.filter(pc.equal(pictures["status"], "ok"))
        names = zip(good["sha256"].to_pylist(), good["uri"].to_pylist(), strict=True)
        ids = pa.array([face_id(sha256, uri, 0) for sha256, uri in names], pa.string())
        known = {"face_id": ids, **{name: good[name] for name in ("uri", "sha256", "identity")}}
        known["chip"] = pa.array([row["chip"] for row in rows if row["reason"] is None], pa.binary())
        dim = npknown.DIMS[self.member]
        vectors_ND = np.stack(vectors) if vectors else np.zeros((0, dim), np.float32)
        intake.take(pictures, foreign.faces(known, vectors_ND))

    def _known(self, folder: _Folder) -> Known:
        nothing = Known(None, (), np.zeros((0, npknown.DIMS[self.member])))
        try:
            known = _open(self.source, folder)
        except DatasetError as error:
            self.refused[folder.npz or folder.path] = str(error)
            return nothing
        if known is not None and known.member not in (None, self.member):
            self.refused[folder.npz or folder.path] = f"it has {known.member}, and {self.member} is imported"
            return nothing
        return known or nothing

    def _look(self, uri: str) -> dict[str, Any] | None:
        """Return what a picture's file says, or None where it cannot be read; one that is no picture has no chip."""
        try:
            data = _bytes(self.source, uri)
        except OSError:
            return None
        found: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "chip": b""}
        if self.chips:
            with contextlib.suppress(PictureError):
                picture = codec.decode(data)
                found["chip"] = codec.encode_jpeg(shrink.fit(picture, CHIP), JPEG)
        return found
