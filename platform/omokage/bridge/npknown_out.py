"""A dataset's vectors as npKnown.npz files beside pictures, for FACE01.

At its next run FACE01 compares a file's names with the pictures in the folder, and on any difference deletes it and
encodes all of them anew. So each file lists exactly the pictures of its folder whose face is kept, and a folder
with other pictures is warned of. Pictures are told by their bytes: they may have been moved or renamed.

Shape key: N faces of the version, D numbers of an embedding.
"""

import hashlib
import posixpath
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omokage import schema
from omokage.bridge import npknown
from omokage.bridge.exported import ExportReport
from omokage.bridge.foreign import FOREIGN
from omokage.bridge.npknown import FILE, PICTURES, SIDE_FOLDERS, Member
from omokage.curate.decided import Decided
from omokage.errors import ConfigError
from omokage.source import Source, locate, unwritten
from omokage.storage import Folder
from omokage.store import READERS

SAID: Final = 20
"""Folders that a report names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NpKnownOutConfig:
    """What may be written over."""

    overwrite: bool = False
    """Write over an npKnown.npz that says something else; without, such a folder is left as it is."""


def export_npknown(faces: Decided, version: str | None, root: str, config: NpKnownOutConfig) -> ExportReport:
    """Return the report of writing an npKnown.npz into each folder of pictures below ``root``.

    Raises:
        ConfigError: The vectors have a length that FACE01 does not know, or no picture below ``root`` is known.
        SourceError: There is nothing at ``root``.
    """
    began = time.perf_counter()
    member = npknown.member_of(faces.dim)
    source = Source.at(root)
    if source.is_list:
        raise ConfigError(f"{root} is a file: give a folder of pictures, a folder a person")
    with tempfile.TemporaryDirectory() as beside:
        best = _Faces(faces, Path(beside) / "vectors")
        writer = _Writer(source, best, member, config)
        folders = _folders(source)
        for path, uris in sorted(folders.items()):
            if pictures := [uri for uri in uris if uri.endswith(PICTURES)]:
                writer.folder(path, pictures)
        others = sum(not uri.endswith(PICTURES) for uris in folders.values() for uri in uris)
        writer.left_out["files that FACE01 does not read"] = others
        best.close()
    if not writer.listed and not writer.refused:
        raise ConfigError(f"no picture below {source.url} has a face in {faces.data.folder.url}")
    return ExportReport(
        dataset=faces.data.folder.url,
        version=version,
        format="npknown",
        out=source.url,
        files=writer.files,
        faces=writer.listed,
        identities=writer.files,
        left_out=dict(writer.left_out),
        refused=writer.refused,
        warnings=tuple(_warnings(writer, faces.data.head.recipe["encoder"]["name"], member)),
        seconds=round(time.perf_counter() - began, 3),
    )


def _warnings(writer: "_Writer", encoder: str, member: Member) -> Iterator[str]:
    if encoder != f"{FOREIGN}npknown-{member}":
        yield (
            f"these vectors are of {encoder}, and FACE01 takes all under {member} for its own model's: it must run the "
            "same encoder, or its comparisons mean nothing"
        )
    else:
        yield "the vectors were brought to length 1; FACE01 does so too, except where it measures dlib's distances"
    if writer.subsets:
        some = ", ".join(writer.subsets[:SAID]) + (", …" if len(writer.subsets) > SAID else "")
        yield (
            f"{len(writer.subsets):,} folders hold pictures that their file does not list: at its next run FACE01 "
            f"deletes the file there and encodes anew; move such pictures away first (omokage apply): {some}"
        )


def _folders(source: Source) -> dict[str, list[str]]:
    """Return the uris of the files in each folder, by its path below the root."""
    found: dict[str, list[str]] = {}
    listing = source.listing()
    for uri, reason in zip(listing["uri"].to_pylist(), listing["reason"].to_pylist(), strict=True):
        path, name = posixpath.split(unwritten(uri))
        if reason is None and name != FILE and not SIDE_FOLDERS & set(path.split("/")):
            found.setdefault(path, []).append(uri)
    return found


class _Faces:
    """The best face of each picture, by the picture's bytes; vectors lie in a temporary file."""

    def __init__(self, faces: Decided, file: Path) -> None:
        self.version = faces.version
        count = faces.version.num_rows
        self.vectors_ND = np.lib.format.open_memmap(file, "w+", np.float32, (max(1, count), faces.dim))
        score_N = np.full(count, -np.inf, np.float32)
        for table, row_F in faces.numbered(["score", "embedding"], kept=False):
            self.vectors_ND[row_F] = schema.vectors(table["embedding"].combine_chunks(), faces.dim)
            score_N[row_F] = table["score"].to_numpy()
        self.identities = faces.version["identity"].to_pylist()
        self.uris = faces.version["uri"].to_pylist()
        self.kept = [status == "kept" for status in faces.version["status"].to_pylist()]
        self.rows: dict[str, list[int]] = {}
        shas = faces.version["sha256"].to_pylist()
        for row in np.argsort(-score_N, kind="stable").tolist():  # the highest score of a picture first
            if score_N[row] > -np.inf:
                self.rows.setdefault(shas[row], []).append(row)

    def find(self, sha256: str, uri: str, person: str) -> int | None:
        """Return the row of a picture's face, or None where it is dropped, or there is none.

        Of several files of the same bytes the one at the same place counts, then one of the same person, then any.
        """
        rows = self.rows.get(sha256, [])
        here = [row for row in rows if self.uris[row] == uri]
        kept = [row for row in here or rows if self.kept[row]]
        theirs = [row for row in kept if self.identities[row] == person]
        return next(iter(theirs or kept), None)

    def close(self) -> None:
        """Let go of the file."""
        del self.vectors_ND


class _Writer:
    """Writes folder after folder, and counts."""

    def __init__(self, source: Source, faces: _Faces, member: Member, config: NpKnownOutConfig) -> None:
        self.source = source
        self.faces = faces
        self.member = member
        self.config = config
        self.files = 0
        self.listed = 0
        self.left_out: Counter[str] = Counter()
        self.refused: dict[str, str] = {}
        self.subsets: list[str] = []

    def folder(self, path: str, uris: list[str]) -> None:
        """Write the npKnown.npz of one folder."""
        person = path.split("/")[0]
        with ThreadPoolExecutor(READERS) as pool:
            shas = list(pool.map(self._sha256, uris))
        found = [
            (posixpath.basename(unwritten(uri)), self.faces.find(sha256, uri, person))
            for uri, sha256 in zip(uris, shas, strict=True)
        ]
        known = sorted((name, row) for name, row in found if row is not None)
        self.left_out["pictures without a kept face"] += len(found) - len(known)
        if not known:
            self.left_out["folders without a kept face"] += 1
            return
        rows: NDArray[Any] = np.array([row for _, row in known])
        data = npknown.write(self.member, [name for name, _ in known], self.faces.vectors_ND[rows])
        if not self._write(self.source.root.below(path), path, data):
            return
        self.files, self.listed = self.files + 1, self.listed + len(known)
        if len(known) < len(found):
            self.subsets.append(path or ".")

    def _write(self, folder: Folder, path: str, data: bytes) -> bool:
        """Write a file, unless there is another one, and return whether it is there now."""
        try:
            old = folder.read(FILE)
        except FileNotFoundError:
            old = None
        if old is not None and old != data and not self.config.overwrite:
            self.refused[posixpath.join(path, FILE)] = "there is one that says something else; --overwrite replaces it"
            return False
        if old != data:
            folder.write(FILE, data)
        return True

    def _sha256(self, uri: str) -> str:
        folder, path = locate(self.source.root, uri)
        with folder.reached():
            return hashlib.sha256(folder.files.cat_file(path)).hexdigest()
