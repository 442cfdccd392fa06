"""``omokage apply --to``: a clean copy of the pictures or of the aligned faces, a folder a person."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from omokage.apply import check, content, journal
from omokage.apply.asked import Asked
from omokage.apply.content import BEGUN, PROVENANCE, Content, Item, Owned
from omokage.apply.out import InBucket, OnDisk
from omokage.apply.report import CopyReport
from omokage.apply.threads import side_by_side
from omokage.errors import ConfigError, SourceError
from omokage.progress import OnProgress, each_told, quietly
from omokage.source import Source, locate
from omokage.storage import PART, Folder


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyConfig:
    """What a clean copy is made of."""

    layout: Literal["pictures", "chips"] = "pictures"
    """Whole pictures as they are, or the aligned faces."""
    link: bool = False
    """Hard links in place of copies; they share their bytes with the source."""

    def __post_init__(self) -> None:
        """Reject links to what is no file."""
        if self.link and self.layout == "chips":
            raise ConfigError("--link is for --layout pictures: chips lie in no files that could be linked to")


def copy(asked: Asked, out: str, config: CopyConfig, on_progress: OnProgress = quietly) -> CopyReport:
    """Return the report of writing a clean copy; an earlier one in the same place is brought up to date.

    Args:
        asked: The dataset, and which of its decisions.
        out: Path or URL of a folder that is new, empty, or an earlier copy.
        config: What it is made of.
        on_progress: Is told how many files are read, and then copied, of how many.

    Raises:
        OmokageError: The source is not what it was, ``out`` is no place for a copy, or the work could not go on. Then
            nothing was written, or the same call goes on from there.
    """
    return _Copying(asked, Folder.at(out), config).run(on_progress)


class _Copying:
    """Makes one copy."""

    def __init__(self, asked: Asked, out: Folder, config: CopyConfig) -> None:
        self._asked, self._out, self._config = asked, out, config
        self._data = asked.data
        self._source = Source.at(self._data.head.source) if config.layout == "pictures" else None
        self._files: OnDisk | InBucket = OnDisk(out, config.link) if out.local else InBucket(out)
        self._without_chip = 0

    def run(self, on_progress: OnProgress) -> CopyReport:
        began = time.monotonic()
        self._check_place()
        wanted = self._content(on_progress)
        there: list[Item] = []
        ways = "the same command goes on from here"
        with check.stopped(f"the copy in {self._out.url}", ways), self._files.locked():
            owned = Owned.read(self._out)
            have = self._have(wanted, owned)
            self._clean(owned)
            content.write(
                self._out, BEGUN, content.each_once(pa.concat_tables([owned.rows, content.table(wanted.items)]))
            )
            removed, foreign = self._remove_old(owned, wanted)
            items = self._pictures(self._source, wanted, have) if self._source else self._chips(wanted, have)
            there += each_told(items, len(wanted.items), "copied", on_progress)
            self._files.last()
            content.write(self._out, PROVENANCE, content.table(sorted(there)))
            self._out.remove(BEGUN)
        without_chip = {"faces without a chip": self._without_chip} if self._without_chip else {}
        return CopyReport(
            out=self._out.url,
            dataset=self._data.folder.url,
            version=self._asked.version,
            layout=self._config.layout,
            people=len({item.identity for item in there}),
            files=len(there),
            written=sum(have.get(item.path) != item.sha256 for item in there),
            removed=removed,
            left_out=wanted.left_out | without_chip,
            foreign=tuple(foreign),
            renamed=wanted.renamed(),
            seconds=round(time.monotonic() - began, 3),
        )

    def _check_place(self) -> None:
        """Check that the copy, the dataset and the source are apart, and that links can be made.

        Raises:
            ConfigError: They are not, or cannot.
        """
        if self._out.kind() == "file":
            raise ConfigError(f"{self._out.url} is a file: give a folder for the copy")
        check.apart(self._out, self._data.folder, "the copy", "the dataset")
        source = Folder.at(self._data.head.source)
        if self._source is None or not self._source.is_list:  # a list names its pictures: ours are not in its way
            check.apart(self._out, source, "the copy", "the source")
        if self._config.link and not self._files.shares_disk(source):
            raise ConfigError(f"no hard link can be made from {self._out.url} to {source.url}: leave --link out")

    def _content(self, on_progress: OnProgress) -> Content:
        """Return what the copy is to hold, all of which can be had.

        Raises:
            OmokageError: It cannot.
        """
        faces = self._asked.faces()
        if self._source is None:
            wanted = content.of_chips(faces, is_list=_is_list(self._data.head.source))
            self._check_faces(wanted)
            return wanted
        journal.refuse_unfinished(self._data.folder)
        journal.refuse_unread(self._data.folder, self._data.head.generation)
        manifest = self._data.manifest()
        wanted = content.of_pictures(faces, manifest, self._source.is_list)
        pictures = [check.Wanted(item.uri, item.sha256 or "") for item in wanted.items]
        check.refuse(
            check.changed(self._source, manifest, pictures, False, on_progress),
            f"{self._source.url} is not what it was when it was ingested; nothing was copied:",
            check.cure(self._asked.version, "Run omokage ingest, and then this again."),
        )
        return wanted

    def _check_faces(self, wanted: Content) -> None:
        known = {face for table in self._data.faces(["face_id"]) for face in table["face_id"].to_pylist()}
        gone = [
            check.Trouble(item.uri, "is gone, and its faces") for item in wanted.items if item.face_ids[0] not in known
        ]
        check.refuse(
            gone,
            f"{self._data.folder.url} no longer has these pictures; nothing was copied:",
            check.cure(self._asked.version, "Run omokage ingest, and then this again."),
        )

    def _have(self, wanted: Content, owned: Owned) -> dict[str, str]:
        """Return the hashes of those files that are there already, by path.

        Raises:
            SourceError: Files are in the way that no copy of ours put there, or that somebody has changed.
        """
        listed = {} if self._source is None else _sizes(self._data.manifest())
        have: dict[str, str] = {}
        troubles = []
        for item in wanted.items:
            if not self._files.there(item.path):
                continue
            known = owned.sha256.get(item.path)
            if known is None:
                troubles.append(check.Trouble(item.path, "is no file of ours"))
                continue
            last = owned.final.get(item.path)
            if last and last == item.sha256 and self._files.quickly(item.path, *listed.get(item.uri, (None, None))):
                have[item.path] = last
                continue
            have[item.path] = self._files.sha256(item.path)
            if have[item.path] not in known | {item.sha256} and None not in known:
                troubles.append(check.Trouble(item.path, "was changed by somebody"))
        check.refuse(troubles, f"files in {self._out.url} are in the way; nothing was copied:", "Move them away.")
        return have

    def _clean(self, owned: Owned) -> None:
        """Remove what a killed copy may have left half-written."""
        for path in owned.sha256 if owned.interrupted else ():
            self._files.clean(path)
        for name in self._out.names(""):
            if PART.fullmatch(name):
                self._out.remove(name)

    def _remove_old(self, owned: Owned, wanted: Content) -> tuple[int, list[str]]:
        """Return how many files of earlier copies were removed, and those that somebody has changed, which stay."""
        keep = {item.path for item in wanted.items}
        removed, foreign = 0, []
        for path, known in owned.sha256.items():
            if path in keep or not self._files.there(path):
                continue
            if None in known or self._files.sha256(path) in known:
                self._files.remove(path)
                removed += 1
            else:
                foreign.append(path)
        return removed, foreign

    def _pictures(self, source: Source, wanted: Content, have: dict[str, str]) -> Iterator[Item]:
        """Copy what is not there, and yield all items as they are there."""
        todo = [item for item in wanted.items if have.get(item.path) != item.sha256]
        yield from (item for item in wanted.items if have.get(item.path) == item.sha256)

        def put(item: Item) -> Item:
            self._files.copy(item.path, *locate(source.root, item.uri), want=item.sha256 or "")
            return item

        yield from side_by_side(put, todo, self._files.threads)

    def _chips(self, wanted: Content, have: dict[str, str]) -> Iterator[Item]:
        """Write what is not there, and yield all items as they are there, with their hashes."""
        by_face = {item.face_ids[0]: item for item in wanted.items}

        def put(face: tuple[str, bytes]) -> Item:
            item, chip = by_face[face[0]], face[1]
            item = item._replace(sha256=hashlib.sha256(chip).hexdigest())
            if have.get(item.path) != item.sha256:
                self._files.write(item.path, chip)
            return item

        for table in self._data.faces(["face_id", "chip"]):
            chosen = table.filter(pc.is_in(table["face_id"], value_set=pa.array(by_face, pa.string())))
            full = chosen.filter(pc.greater(pc.binary_length(chosen["chip"]), 0))
            self._without_chip += chosen.num_rows - full.num_rows
            pairs = list(zip(full["face_id"].to_pylist(), full["chip"].to_pylist(), strict=True))
            yield from side_by_side(put, pairs, self._files.threads)


def _is_list(source: str) -> bool:
    """Return whether a dataset was made from a list; a source that is gone counts as a folder."""
    try:
        return Source.at(source).is_list
    except SourceError:
        return False


def _sizes(manifest: pa.Table) -> dict[str, tuple[int | None, str | None]]:
    """Return size and stamp of each picture, by uri."""
    rows = zip(*(manifest[name].to_pylist() for name in ("uri", "size", "stamp")), strict=True)
    return {uri: (size, changed) for uri, size, changed in rows}
