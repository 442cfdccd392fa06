"""What a clean copy holds: which file of which person goes where."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omokage.apply import names
from omokage.apply.pictures import by_picture
from omokage.errors import ConfigError
from omokage.shards import parquet_bytes
from omokage.source import unwritten, written
from omokage.storage import URL, Folder

PROVENANCE: Final = "omokage.parquet"
"""What the files of a copy are; written last."""

BEGUN: Final = ".omokage.parquet"
"""The same for a copy that is being written, or was when it was killed, with the files of the copy before it."""

COPIED: Final = pa.schema(
    [
        ("path", pa.string()),  # below the copy, escaped as a uri is
        ("uri", pa.string()),
        ("identity", pa.string()),
        ("was", pa.string()),  # identity that the source gives
        ("sha256", pa.string()),  # of the file in the copy; null before a chip was written
        ("face_ids", pa.list_(pa.string())),
    ]
)

DROPPED: Final = "pictures of which every face was dropped"
NOBODY: Final = "pictures of nobody"
SEVERAL: Final = "pictures that show several people (--layout chips has them)"
FACELESS: Final = "pictures without a face"


class Item(NamedTuple):
    """One file of a copy; the columns of ``COPIED``."""

    path: str
    uri: str
    identity: str
    was: str | None
    sha256: str | None
    face_ids: list[str]


@dataclass(frozen=True, slots=True)
class Content:
    """What a copy is to hold."""

    items: list[Item]
    left_out: dict[str, int]
    """Pictures or faces that are not in it, by why."""
    folder_of: dict[str, str]
    """Folder of each identity."""

    def renamed(self) -> dict[str, str]:
        """Return the identities whose folder has another name."""
        return {who: folder for who, folder in self.folder_of.items() if who != folder}


def of_pictures(faces: pa.Table, manifest: pa.Table, is_list: bool) -> Content:
    """Return the copy of whole pictures: of each, the one person whom its kept faces show."""
    pictures = by_picture(faces)
    counts = {DROPPED: 0, NOBODY: 0, SEVERAL: 0}
    counts[FACELESS] = manifest.num_rows - int(
        pc.sum(pc.is_in(manifest["uri"], value_set=pictures["uri"].combine_chunks())).as_py() or 0
    )
    chosen: list[dict[str, Any]] = []
    for row in pictures.to_pylist():
        if row["identity"] is not None:
            chosen.append(row)
            continue
        counts[DROPPED if row["kept"] == 0 else SEVERAL if row["people"] > 1 else NOBODY] += 1
    folder_of, places = _folders(chosen), names.Places(lambda _: None)
    items = []
    for row in chosen:
        path = places.take(folder_of[row["identity"]], _inside(row["uri"], row["was"], is_list))
        items.append(Item(written(path), row["uri"], row["identity"], row["was"], row["sha256"], row["face_ids"]))
    return Content(items, {why: count for why, count in counts.items() if count}, folder_of)


def of_chips(faces: pa.Table, is_list: bool) -> Content:
    """Return the copy of the aligned faces that are kept; each file's name has a part of its face's id."""
    kept = faces.filter(pc.equal(faces["status"], "kept"))
    known = kept.filter(pc.is_valid(kept["identity"])).sort_by([("uri", "ascending"), ("face_id", "ascending")])
    counts = {
        "faces that were dropped": faces.num_rows - kept.num_rows,
        "faces of nobody": kept.num_rows - known.num_rows,
    }
    chosen = known.to_pylist()
    folder_of, places = _folders(chosen), names.Places(lambda _: None)
    items = []
    for row in chosen:
        inner, name = posixpath.split(_inside(row["uri"], row["was"], is_list))
        name = names.ended(posixpath.splitext(name)[0], f"-{row['face_id'][:8]}.jpg")
        path = places.take(folder_of[row["identity"]], posixpath.join(inner, name))
        items.append(Item(written(path), row["uri"], row["identity"], row["was"], None, [row["face_id"]]))
    return Content(items, {why: count for why, count in counts.items() if count}, folder_of)


def _folders(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    return names.folders({row["identity"] for row in rows}, taken=(PROVENANCE, BEGUN))


def _inside(uri: str, was: str | None, is_list: bool) -> str:
    """Return where a picture goes below its person's folder: where it lies below the person's folder in the source."""
    path = unwritten(uri)
    if is_list and (path.startswith("/") or URL.match(path) or ".." in path.split("/")):
        return posixpath.basename(path)  # it lies outside of the list's folder
    first, slash, rest = path.partition("/")
    inner = bool(slash) and (first == was if is_list else was is not None)
    return rest if inner else path


@dataclass(frozen=True, slots=True)
class Owned:
    """The files below a folder that copies of ours put there."""

    sha256: dict[str, set[str | None]]
    """By path; of an interrupted copy a file may be the one before or the one after."""
    final: dict[str, str | None]
    """By path, of the copy that was finished last; nothing where one was begun after it."""
    rows: pa.Table
    interrupted: bool
    """Whether a copy was begun and not finished."""

    @classmethod
    def read(cls, out: Folder) -> "Owned":
        """Return what is ours in ``out``.

        Raises:
            ConfigError: There are files, and no copy of ours.
        """
        tables = {name: _read(out, name) for name in (PROVENANCE, BEGUN)}
        there = [table for table in tables.values() if table is not None]
        if not there and not out.empty():
            raise ConfigError(f"{out.url} holds other files: give a new or empty folder, or an earlier copy of ours")
        rows = pa.concat_tables([COPIED.empty_table(), *there])
        outside = [path for path in rows["path"].to_pylist() if not _lies_below(unwritten(path))]
        if outside:  # whoever wrote it, nothing elsewhere is ever removed
            raise ConfigError(f"{out.url} has a list of a copy that names other places, first {outside[0]!r}")
        sums: dict[str, set[str | None]] = {}
        for path, sha256 in zip(rows["path"].to_pylist(), rows["sha256"].to_pylist(), strict=True):
            sums.setdefault(path, set()).add(sha256)
        done = tables[PROVENANCE] if tables[BEGUN] is None else None
        final = {} if done is None else dict(zip(done["path"].to_pylist(), done["sha256"].to_pylist(), strict=True))
        return cls(sums, final, rows, tables[BEGUN] is not None)


def _lies_below(path: str) -> bool:
    return not posixpath.isabs(path) and not {"", ".", ".."} & set(path.split("/"))


def table(items: Sequence[Item]) -> pa.Table:
    """Return items as ``COPIED``."""
    return pa.Table.from_pylist([item._asdict() for item in items], COPIED)


def each_once(rows: pa.Table) -> pa.Table:
    """Return ``rows`` without those whose path and hash were there before."""
    both = pc.binary_join_element_wise(rows["path"], pc.fill_null(rows["sha256"], ""), "\0")
    numbered = pa.table({"both": both, "row": pa.array(range(rows.num_rows))})
    return rows.take(numbered.group_by("both").aggregate([("row", "min")])["row_min"])


def write(out: Folder, name: str, rows: pa.Table) -> None:
    """Write ``rows`` (``COPIED``) to a Parquet file in ``out``."""
    out.write(name, parquet_bytes(rows))


def _read(out: Folder, name: str) -> pa.Table | None:
    try:
        return pq.read_table(pa.BufferReader(out.read(name)), schema=COPIED)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, ValueError) as error:
        raise ConfigError(f"{out.place(name)} is not the list of a copy of ours: {error}") from error
