"""From what was decided about faces to a plan of what happens to their files."""

import os
import posixpath
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from omokage.apply import check, disk, names
from omokage.apply.bucket import objects
from omokage.apply.journal import Plan, Step, Touched
from omokage.apply.links import Links, breaks
from omokage.apply.pictures import by_picture
from omokage.errors import ConfigError, SourceError
from omokage.progress import OnProgress
from omokage.sheet.words import count
from omokage.source import Source, locate, stamp, unwritten, written
from omokage.storage import Folder
from omokage.store import Dataset

# Paths may be undecodable: str with surrogates, which pathlib would not make easier to follow.
# ruff: noqa: PTH112, PTH115, PTH120, PTH208

ENDING: Final = ".quarantine"

DIVIDED: Final = "faces decided differently"
LINKED: Final = "a folder on the way is a link"
SHOWN: Final = "a link shows the picture at another place, too"
BREAKS: Final = "a link that would point elsewhere"


class Stays(NamedTuple):
    """A picture that is not moved although something was decided about it."""

    uri: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A plan, and what is to be said about it."""

    plan: Plan
    stays: tuple[Stays, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)
    """Identities that get a folder of another name, since their own cannot be one."""
    resumed: bool = False
    """Whether the plan is that of an apply that was stopped."""

    def counts(self) -> dict[str, int]:
        """Return how many pictures go where, for which decision."""
        return dict(Counter(_goes(step) for step in self.plan.steps).most_common())

    def text(self) -> str:
        """Return the plan for a person: how much of what, and how it begins."""
        steps, stays = self.plan.steps, self.stays
        lines = [f"{count(len(steps), 'file')} of {self.plan.source} to be moved"]
        lines += [f"  {what:<28}{many:>9,}" for what, many in self.counts().items()]
        if steps:
            lines.append(f"Quarantine: {self.plan.quarantine}")
            lines += check.listed([f"{s.uri!r} → {'quarantine ' if s.quarantined else ''}{s.to!r}" for s in steps])
        for why, many in Counter(each.why for each in stays).items():
            lines.append(f"{count(many, 'picture stays where it is', 'pictures stay where they are')}: {why}")
            lines += check.listed([repr(each.uri) for each in stays if each.why == why])
        lines += [names.renaming(who, folder) for who, folder in self.renamed.items()]
        return "\n".join(lines)


def _goes(step: Step) -> str:
    if not step.quarantined:
        return "to another person's folder"
    return "quarantined as duplicates" if step.reason == "drop_duplicate" else "quarantined"


class Drafting:
    """Makes the plan of one dataset."""

    def __init__(self, data: Dataset, source: Source, quarantine: Folder) -> None:
        """Take whose files are to be moved, and the quarantine folder of this plan."""
        self._data, self._source, self._quarantine = data, source, quarantine
        self._manifest = data.manifest()
        self._local = source.root.local
        self._there = {} if self._local else objects(source.root)
        self._links = Links(source.root.root, self._manifest["uri"].to_pylist()) if self._local else None
        self._places = names.Places(self._kind(source.root))
        self._hidden = names.Places(self._kind(quarantine))
        self._folder_of = self._known_folders()
        self._stays: list[Stays] = []
        self._renamed: dict[str, str] = {}

    def draft(self, faces: pa.Table, version: str | None, on_progress: OnProgress) -> Draft:
        """Return the plan for ``faces`` (``schema.VERSION``); their pictures are read first.

        Raises:
            SourceError: Pictures have changed since they were ingested, or their folders cannot be written to.
        """
        pictures = by_picture(faces)
        moving = [row for row in _decided(pictures).to_pylist() if self._may_move(row)]
        wanted = [check.Wanted(row["uri"], row["sha256"]) for row in moving]
        check.refuse(
            check.changed(self._source, self._manifest, wanted, True, on_progress),
            f"{self._source.url} is not what it was when it was ingested; nothing was moved:",
            check.cure(version, "Run omokage ingest, look at the findings and decisions again, and then apply."),
        )
        steps = tuple(step for row in moving if (step := self._step(row)) is not None)
        folders = tuple(self._folders(steps)) if self._local else ()
        _check_writable(folders)
        plan = Plan(
            source=self._source.url,
            quarantine=self._quarantine.url,
            generation=self._data.head.generation,
            version=version,
            steps=steps,
            folders=folders,
        )
        return Draft(plan=plan, stays=tuple(sorted(self._stays)), renamed=self._renamed)

    def _may_move(self, row: dict[str, Any]) -> bool:
        if 0 < row["kept"] < row["faces"] or row["people"] > 1:
            self._stays.append(Stays(row["uri"], DIVIDED))
        elif self._links and self._links.behind(row["uri"]):
            self._stays.append(Stays(row["uri"], LINKED))
        elif self._links and self._links.shows(row["uri"]):
            self._stays.append(Stays(row["uri"], SHOWN))
        else:
            return True
        return False

    def _step(self, row: dict[str, Any]) -> Step | None:
        place = locate(self._source.root, row["uri"])[1]
        hide = row["kept"] == 0
        if hide:
            to = self._hidden.take("", unwritten(row["uri"]))
        else:
            folder = self._folder(row["identity"])
            if self._links and self._links.is_link(folder):
                self._stays.append(Stays(row["uri"], LINKED))
                return None
            first, slash, rest = unwritten(row["uri"]).partition("/")
            to = self._places.take(folder, rest if slash else first)
        size, changed, link = self._look(place)
        if link is not None and not hide and breaks(place, posixpath.join(self._source.root.root, to), link):
            self._stays.append(Stays(row["uri"], BREAKS))
            return None
        return Step(
            uri=row["uri"],
            to=written(to),
            quarantined=hide,
            sha256=row["sha256"],
            size=size,
            stamp=changed,
            link=link,
            identity=row["identity"],
            line=row["line"],
            reason=row["reason"] if not hide else "drop_face" if row["dropped"] else "drop_duplicate",
        )

    def _look(self, place: str) -> tuple[int, str, bytes | None]:
        """Return size, stamp and target of the file or link itself."""
        if not self._local:
            info = self._there[place]
            return info["size"], stamp(info), None
        seen = os.lstat(place)
        link = os.fsencode(os.readlink(place)) if stat.S_ISLNK(seen.st_mode) else None
        return seen.st_size, str(seen.st_mtime_ns), link

    def _known_folders(self) -> dict[str, str]:
        """Return the folder of each identity that the source has; with several, the first."""
        found: dict[str, str] = {}
        for uri, who in zip(*(self._manifest[name].to_pylist() for name in ("uri", "identity")), strict=True):
            if who is not None:
                found.setdefault(who, unwritten(uri).partition("/")[0])
        return found

    def _folder(self, identity: str) -> str:
        """Return the folder of an identity, below the source; a new one may need another name."""
        if identity not in self._folder_of:
            name = names.safe(identity)
            if self._taken(name):
                name = names.marked(name, identity)
            self._folder_of[identity] = name
            if name != identity:
                self._renamed[identity] = name
        return self._folder_of[identity]

    def _taken(self, name: str) -> bool:
        """Return whether a new identity cannot have this folder: a file has the name, or another's folder has it."""
        if not self._local:
            return False
        place = posixpath.join(self._source.root.root, name)
        if not os.path.lexists(place):
            return False
        # On a disk that ignores case, "anna" is there although only "Anna" is.
        return not os.path.isdir(place) or name not in os.listdir(self._source.root.root)

    def _kind(self, root: Folder) -> Callable[[str], names.Kind | None]:
        """Return what tells whether something lies below ``root``."""
        if self._local:
            return lambda path: _kind_on_disk(posixpath.join(root.root, path))
        below = root.root.rstrip("/") + "/"
        keys = {path.removeprefix(below) for path in objects(root)}
        return lambda path: "file" if path in keys else None

    def _folders(self, steps: tuple[Step, ...]) -> Iterator[Touched]:
        """Yield every folder that gets or loses something, up to the roots."""
        source, hidden = self._source.root.root, self._quarantine.root
        losing = {folder for step in steps for folder in _up(locate(self._source.root, step.uri)[1], source)}
        getting: set[str] = set()
        for step in steps:
            root = self._quarantine if step.quarantined else self._source.root
            getting |= set(_up(locate(root, step.to)[1], root.root))
        if any(step.quarantined for step in steps):
            getting |= set(_missing(hidden))
        for folder in sorted(losing | getting):
            yield disk.touched(folder, loses=folder in losing and folder != source)


def quarantine_for(source: Source, dataset: Folder, given: str | None, number: int) -> Folder:
    """Return the folder in which plan ``number`` hides files.

    Raises:
        ConfigError: It is inside of the source or the dataset, or they are in it, or it is another kind of storage.
    """
    root = source.root
    # The real path: beside a link to the source could be another disk.
    place = given or (os.path.realpath(root.root) if root.local else root.url) + ENDING
    folder = Folder.at(place)
    if folder.files is not root.files and not (folder.local and root.local):
        raise ConfigError(f"the quarantine must be in the same storage as {source.url}, and is {folder.url}")
    check.apart(folder, root, "the quarantine", "the source")
    check.apart(folder, dataset, "the quarantine", "the dataset")
    return folder.below(f"{number:06d}")


def _decided(pictures: pa.Table) -> pa.Table:
    """Return the pictures that somebody decided something about that their folder does not show."""
    whole = pc.and_(pc.equal(pictures["kept"], pictures["faces"]), pc.less_equal(pictures["people"], 1))
    same = pc.fill_null(pc.equal(pictures["identity"], pictures["was"]), pc.is_null(pictures["identity"]))
    return pictures.filter(pc.invert(pc.and_(whole, same)))


def _kind_on_disk(place: str) -> names.Kind | None:
    try:
        info = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(info.st_mode):
        return "folder"
    return "link" if stat.S_ISLNK(info.st_mode) and os.path.isdir(place) else "file"


def _up(place: str, root: str) -> Iterator[str]:
    """Yield the folders from the one of ``place`` up to ``root``."""
    folder = posixpath.dirname(place)
    while len(folder) >= len(root):
        yield folder
        if folder == root:
            return
        folder = posixpath.dirname(folder)


def _missing(folder: str) -> Iterator[str]:
    """Yield ``folder`` and those above it that are not there."""
    while not os.path.lexists(folder):
        yield folder
        folder = posixpath.dirname(folder)


def _check_writable(folders: tuple[Touched, ...]) -> None:
    """Check that files can be taken out of and put into every folder, before the first one is.

    Raises:
        SourceError: One may not be written to, or lies on a disk that is mounted read-only.
    """
    closed = []
    for folder in folders:
        place = folder.path if folder.there else os.path.dirname(folder.path)
        if os.path.lexists(place) and not os.access(place, os.W_OK | os.X_OK):
            closed.append(os.fsdecode(place))
    if closed:
        lines = check.listed([repr(place) for place in sorted(set(closed))])
        raise SourceError("\n".join(["these folders cannot be written to; nothing was moved:", *lines]))
