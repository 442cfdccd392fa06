"""A dataset as WebDataset shards: tar files of chips with their class, in an order that is mixed and always the same.

    faces-000000.tar     <face_id>.jpg  <face_id>.cls  <face_id>.json, a sample a face
    classes.json         the identity of each class number
    index.json           what was written, and that we wrote it

Samples are sorted by face_id, which is a hash: so people are mixed, and neither the dataset's shards nor the machine
have a say in what a tar file holds. Its entries have no times and no owners, so the same faces give the same bytes.

Shape key: N faces of the version.
"""

import hashlib
import io
import json
import re
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage.bridge.exported import ExportReport, streamed
from omokage.curate.decided import Decided
from omokage.errors import ConfigError
from omokage.storage import PART, Folder

INDEX: Final = "index.json"
CLASSES: Final = "classes.json"
TAR: Final = re.compile(r"faces-\d{6,}\.tar")
FORMAT: Final = "omokage webdataset 1"


@dataclass(frozen=True, kw_only=True, slots=True)
class WebDatasetConfig:
    """How the samples are divided."""

    shard_faces: int = 10_000
    """Samples of a tar file, 1 or more; 10,000 take about 200 MB."""

    def __post_init__(self) -> None:
        """Reject what divides nothing."""
        if self.shard_faces < 1:
            raise ConfigError(f"shard_faces must be 1 or more, got {self.shard_faces}")


def export_webdataset(faces: Decided, version: str | None, out: str, config: WebDatasetConfig) -> ExportReport:
    """Return the report of writing the kept faces that belong to somebody to tar files in the folder ``out``.

    Chips are gathered in a temporary file on this machine first, since a tar file draws from all shards.

    Raises:
        ConfigError: ``out`` holds other files, or no face has a chip.
        DatasetError: A shard is missing or damaged.
    """
    began = time.perf_counter()
    folder = Folder.at(out)
    names, size = _names(faces.version), config.shard_faces
    try:
        _claim(folder)
        with tempfile.TemporaryFile() as spool:
            chips = _Chips.gathered(faces, spool)
            named_N = pc.is_in(faces.version["identity"], value_set=pa.array(names, pa.string())).to_numpy()
            wanted = np.flatnonzero((chips.length_N > 0) & named_N)
            if not len(wanted):
                raise ConfigError(f"{faces.data.folder.url} has no face with a chip and an identity: nothing to write")
            tars = [
                _tar(folder, number, faces.version.take(pa.array(rows)), chips.read(rows), names)
                for number, rows in enumerate(np.split(wanted, range(size, len(wanted), size)))
            ]
        folder.write(CLASSES, json.dumps(names, ensure_ascii=False, indent=0).encode())
        index = {"format": FORMAT, "dataset": faces.data.folder.url, "version": version, "shards": tars}
        folder.write(INDEX, json.dumps(index, ensure_ascii=False, indent=1).encode())
        _sweep(folder, {tar["name"] for tar in tars})
    except OSError as error:
        raise ConfigError(f"cannot write to {out}: {error.strerror or error}") from error
    nobody = int((chips.length_N[~named_N] >= 0).sum())
    return ExportReport(
        dataset=faces.data.folder.url,
        version=version,
        format="webdataset",
        out=out,
        files=len(tars) + 2,
        faces=len(wanted),
        identities=len(names),
        left_out={
            "not kept": len(named_N) - faces.kept,
            "nobody's": nobody,
            "no chip": int((chips.length_N[named_N] == 0).sum()),
            "no longer in the dataset": faces.kept - int((chips.length_N >= 0).sum()),
        },
        seconds=round(time.perf_counter() - began, 3),
    )


def _names(version: pa.Table) -> list[str]:
    """Return the identities that keep a face, sorted: a class is a place in this list."""
    kept = version.filter(pc.equal(version["status"], "kept"))["identity"]
    names: list[str] = sorted(kept.drop_null().unique().to_pylist())
    return names


@dataclass(frozen=True, slots=True)
class _Chips:
    """Chips of kept faces in one temporary file, by row of the version."""

    spool: IO[bytes]
    start_N: NDArray[np.int64]
    length_N: NDArray[np.int64]
    """0: the face has no chip; -1: the face is not kept, or no longer there."""

    @classmethod
    def gathered(cls, faces: Decided, spool: IO[bytes]) -> "_Chips":
        count = faces.version.num_rows
        start_N, length_N = np.zeros(count, np.int64), np.full(count, -1, np.int64)
        place = 0
        for table, row_F in faces.numbered(["chip"]):
            chips = table["chip"].to_pylist()
            spool.write(b"".join(chips))
            length_F = np.array([len(chip) for chip in chips], np.int64)
            length_N[row_F] = length_F
            start_N[row_F] = place + np.cumsum(length_F) - length_F
            place += int(length_F.sum())
        return cls(spool, start_N, length_N)

    def read(self, rows: NDArray[np.int64]) -> Iterator[bytes]:
        """Yield the chips of some rows."""
        for row in rows.tolist():
            self.spool.seek(int(self.start_N[row]))
            yield self.spool.read(int(self.length_N[row]))


def _tar(folder: Folder, number: int, rows: pa.Table, chips: Iterator[bytes], names: list[str]) -> dict[str, Any]:
    """Return what was written to one tar file."""
    name = f"faces-{number:06d}.tar"
    classes = pc.index_in(rows["identity"], value_set=pa.array(names, pa.string())).to_pylist()
    with streamed(folder, name) as path:
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for row, label, chip in zip(rows.to_pylist(), classes, chips, strict=True):
                about = {key: row[key] for key in ("face_id", "identity", "sha256", "uri")}
                _add(tar, row["face_id"] + ".jpg", chip)
                _add(tar, row["face_id"] + ".cls", str(label).encode())
                _add(tar, row["face_id"] + ".json", json.dumps(about, ensure_ascii=False, sort_keys=True).encode())
        size, digest = path.stat().st_size, _sha256(path)
    return {"name": name, "faces": rows.num_rows, "bytes": size, "sha256": digest}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)  # no time, no owner
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _claim(folder: Folder) -> None:
    """Make a folder ours, or check that it is; an export that was killed has claimed it, and is begun anew."""
    if folder.kind() == "file":
        raise ConfigError(f"{folder.url} is a file: give a folder")
    if folder.exists(INDEX):
        try:
            ours = json.loads(folder.read(INDEX)).get("format") == FORMAT
        except (ValueError, AttributeError):
            ours = False
        if ours:
            return
    if not folder.empty():
        raise ConfigError(f"{folder.url} holds other files: give a new or empty folder")
    folder.write(INDEX, json.dumps({"format": FORMAT, "shards": []}).encode())


def _sweep(folder: Folder, written: set[str]) -> None:
    """Remove tar files of an earlier export that had more of them, and what a killed one left half-written."""
    for name in folder.names(""):
        if PART.fullmatch(name) or (TAR.fullmatch(name) and name not in written):
            folder.remove(name)
