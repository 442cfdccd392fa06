"""A dataset's contact sheet, written as a file."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from omokage import weights
from omokage.errors import ConfigError
from omokage.report import tally
from omokage.sheet.choose import SheetConfig, choose
from omokage.sheet.page import MADE_BY, Content, Rejects, page
from omokage.storage import Folder
from omokage.store import Dataset, summary

NAMES: Final = 50
"""Rejected pictures that are named for each reason."""

BEGINNING: Final = 1_000
"""Bytes in which a sheet says that it is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetReport:
    """What a contact sheet shows."""

    dataset: str
    file: str
    bytes: int
    pictures: int
    faces: int
    """In the dataset."""
    faces_shown: int
    identities: int
    """In the dataset."""
    identities_shown: int
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        return (
            f"{self.file} ({self.bytes / 1e6:,.1f} MB) shows {self.faces_shown:,} of {self.faces:,} faces, "
            f"{self.identities_shown:,} of {self.identities:,} identities"
        )


def write(dataset: str, file: str, config: SheetConfig) -> SheetReport:
    """Return the report of writing the contact sheet of ``dataset`` to ``file``.

    Args:
        dataset: Path or URL.
        file: Path or URL, ending in .html; an older sheet is written over, nothing else is.
        config: How much to show.

    Raises:
        ConfigError: ``file`` is no place for a sheet.
        DatasetError: There is no dataset, or it is damaged.
    """
    began = time.perf_counter()
    data = Dataset.open(dataset)
    folder, base = place(file, data, (".html", ".htm"), MADE_BY)
    content = collect(data, config)
    # Whole in memory, so that it is written whole or not at all: config bounds it.
    html = "".join(page(content)).encode()
    try:
        folder.write(base, html)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror or error}") from error
    return SheetReport(
        dataset=content.holds.dataset,
        file=file,
        bytes=len(html),
        pictures=content.holds.pictures,
        faces=content.holds.faces,
        faces_shown=content.shown,
        identities=content.holds.identities,
        identities_shown=content.identities,
        seconds=round(time.perf_counter() - began, 3),
    )


def collect(data: Dataset, config: SheetConfig) -> Content:
    """Return what the sheet of ``data`` shows.

    Raises:
        DatasetError: A shard is missing or damaged.
    """
    manifest = data.manifest()
    return Content(
        holds=summary(data),
        licences=licences(data),
        rejects=tuple(_rejects(manifest)),
        groups=tuple(choose(data, manifest, config)),
    )


def _rejects(manifest: pa.Table) -> list[Rejects]:
    rejected = manifest.filter(pc.not_equal(manifest["status"], "ok"))
    found = []
    for reason, pictures in tally(rejected["reason"]).items():
        uris = rejected.filter(pc.equal(rejected["reason"], reason))["uri"]
        found.append(Rejects(reason=reason, pictures=pictures, names=tuple(uris.slice(0, NAMES).to_pylist())))
    return found


def licences(data: Dataset) -> dict[str, str]:
    """Return the licence of every model file that the dataset was made with, as far as it is known by its sha256."""
    recipe = data.head.recipe
    used = {**recipe.get("detector", {}).get("weights", {}), recipe["encoder"]["name"]: recipe["encoder"]["sha256"]}
    return {model: weights.licence_of(sha256) or "not known here" for model, sha256 in used.items()}


def place(file: str, data: Dataset, endings: tuple[str, ...], made_by: str) -> tuple[Folder, str]:
    """Return the folder and the name of a file to write about a dataset.

    Args:
        file: Path or URL.
        data: The dataset.
        endings: That the file's name may have.
        made_by: What stands near the start of an older one of ours, which may be written over.

    Raises:
        ConfigError: It has another ending, it is there and none of ours, or it lies among the source's pictures.
    """
    if not file.lower().endswith(endings):
        raise ConfigError(f"the file's name ends in {endings[0]}, got {file}")
    whole = Folder.at(file)
    folder, base = whole.parted()
    if whole.files.isdir(whole.root):
        raise ConfigError(f"{file} is a folder: give the name of a file")
    if folder.exists(base) and made_by.encode() not in whole.files.cat_file(whole.root, 0, BEGINNING):
        raise ConfigError(f"{file} is there already and was not made by this command: give another name")
    if whole.local and whole.within(Folder.at(data.head.source)):
        raise ConfigError(
            f"{file} lies among the pictures of {data.head.source}, which are only read: give another place"
        )
    return folder, base
