"""Pictures whose faces are searched for among the people of a dataset."""

import hashlib
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, get_args

import numpy as np
import pyarrow as pa

from omokage.assess import calibrated, identified
from omokage.assess.answers import Answers
from omokage.assess.basis import Basis, faces_seen
from omokage.assess.calibrated import Standard
from omokage.assess.enrolled import Enrolled
from omokage.assess.identified import Found, IdentifyReport, Searched
from omokage.errors import ConfigError
from omokage.flows.look import Seen, Sight, looking, places, seen
from omokage.progress import OnProgress, quietly
from omokage.sheet.words import count
from omokage.source import Source, resolver
from omokage.storage import Folder
from omokage.vision.origin import origin

TOGETHER: Final = 8
"""Parts of a listing (``stages.read``) whose faces are searched for together, and kept together."""

LISTS: Final = (".csv", ".parquet")
"""How the names of lists of pictures end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentifyConfig:
    """How faces are searched for."""

    top: int = 5
    """People that are told for each face, 1 or more."""
    encoder: str | None = None
    """TOML file of the gallery's encoder, where it is none of the built-in ones."""
    calibration: str | None = None
    """File that omokage calibrate wrote; by default the one beside the encoder's weights."""

    def __post_init__(self) -> None:
        """Reject what has no answer."""
        if self.top < 1:
            raise ConfigError(f"top must be at least 1, got {self.top}")


def identify(
    pictures: str,
    gallery: str,
    config: IdentifyConfig,
    csv_file: str | None = None,
    on_progress: OnProgress = quietly,
) -> IdentifyReport:
    """Return who of a gallery is shown in pictures; every picture and every face is answered.

    Args:
        pictures: A picture, a folder of pictures, or a CSV or Parquet list of them.
        gallery: DATASET[@VERSION]; whoever it names is searched among.
        config: How.
        csv_file: Where answers go instead of into the report; a stopped run is gone on with.
        on_progress: Told of pictures.

    Raises:
        ConfigError: A setting is wrong, or the file for the answers holds something else.
        DatasetError: The gallery was made by another encoder, or has nobody in it.
        SourceError: There are no pictures.
        WorkError: The answers cannot be written; what is written is kept.
    """
    began = time.perf_counter()
    root, listing = _listing(pictures)
    _check_apart(pictures, csv_file)
    enrolled = Enrolled.at(gallery)
    sight = Sight.like(enrolled.data, config.encoder)
    standard = calibrated.standard(sight.spec, origin(sight.spec), config.encoder, config.calibration)
    task = _Task(enrolled, sight, standard, config.top, root)
    key = "" if csv_file is None else task.key(listing)
    answers = None if csv_file is None else Answers(csv_file, identified.COLUMNS, key)
    counts = Counter[str]() if answers is None else answers.counts
    done = 0 if answers is None else answers.done
    results: list[Searched] = []
    on_progress(done, len(listing), "pictures")
    with looking(sight, len(listing) - done) as eyes:
        tables = eyes.look(listing.slice(done), root.url)
        while some := list(itertools.islice(tables, TOGETHER)):
            found = list(task.searched(row for table in some for row in seen(table, sight.spec.dim)))
            counts.update(_counted(found))
            done += len(found)
            if answers is None:
                results += found
            else:
                answers.add((row for each in found for row in each.rows()), len(found), counts)
            on_progress(done, len(listing), "pictures")
        runtime = eyes.runtime
    if answers is not None:
        answers.finish()
    report = task.report(pictures, counts, runtime)
    took = round(time.perf_counter() - began, 3)
    return replace(report, results=tuple(results), csv=csv_file, seconds=took)


class _Task:
    """What is searched for among whom."""

    def __init__(self, enrolled: Enrolled, sight: Sight, standard: Standard, top: int, root: Folder) -> None:
        self.enrolled, self.sight, self.standard, self.top = enrolled, sight, standard, top
        self.floor = standard.made.calibration.match_from if standard.made else math.inf
        self.path = Source(root.url, root, is_list=False).resolve
        self.enrolled_path = resolver(enrolled.data.head.source)

    def key(self, listing: pa.Table) -> str:
        """Return what tells whether answers that are there are those of this command."""
        told = hashlib.sha256()
        for name in ("uri", "size", "stamp"):
            told.update(json.dumps(listing[name].to_pylist()).encode())
        settings = [origin(self.sight.spec), self.sight.find.recipe(), self.standard.digest, self.top, self.path("")]
        told.update(json.dumps([settings, self.enrolled.given, self.enrolled.digest]).encode(errors="surrogatepass"))
        return told.hexdigest()

    def searched(self, rows: Iterator[Seen]) -> Iterator[Searched]:
        """Yield what is said of each picture."""
        pictures = list(rows)
        vector_QE = np.concatenate([np.zeros((0, self.sight.spec.dim), np.float32), *(p.vector_FE for p in pictures)])
        # two at least, to know whether somebody else matches, too
        candidates = self.enrolled.candidates(vector_QE, max(2, self.top), self.floor)
        for picture in pictures:
            probes = []
            for face in faces_seen(picture.box_F4, picture.score_F):
                people = []
                for candidate in next(candidates):
                    best = self.enrolled.faces.slice(candidate.row, 1).to_pylist()[0]
                    people.append(
                        identified.person(
                            candidate,
                            self.enrolled.names[candidate.person],
                            best,
                            self.enrolled_path(best["uri"]),
                            self.standard,
                            best["sha256"] == picture.sha256,
                        )
                    )
                probes.append(identified.answered(face, people, self.top, self.standard))
            yield Searched(picture=picture.uri, path=self.path(picture.uri), reason=picture.reason, faces=tuple(probes))

    def report(self, source: str, counts: Counter[str], runtime: str) -> IdentifyReport:
        """Return the report of what was counted."""
        enrolled, standard = self.enrolled, self.standard
        basis = Basis.of(origin(self.sight.spec), self.sight.find.recipe(), runtime, standard, self.sight.licences())
        warnings = list(basis.warnings)
        if counts["same file"]:
            warnings.append(
                f"{count(counts['same file'], 'face')} searched for in pictures that the gallery has, too: that such a "
                "face is found says nothing of how well people are found"
            )
        if enrolled.nobody:
            warnings.append(f"{count(enrolled.nobody, 'face')} of the gallery without identity: they find nobody")
        if enrolled.unusable:
            warnings.append(f"{count(enrolled.unusable, 'face')} of the gallery without a vector that can be compared")
        fmr = standard.made.calibration.fmr if standard.made else None
        return IdentifyReport(
            source=source,
            gallery=enrolled.data.folder.url,
            version=enrolled.version,
            people=len(enrolled.names),
            enrolled=len(enrolled.faces),
            pictures=counts["pictures"],
            faces=counts["faces"],
            answers={answer: counts[f"answer {answer}"] for answer in get_args(Found)},
            reasons={k.removeprefix("reason "): n for k, n in sorted(counts.items()) if k.startswith("reason ")},
            chance=None if fmr is None else -math.expm1(len(enrolled.faces) * math.log1p(-fmr)),
            results=(),
            csv=None,
            basis=replace(basis, warnings=tuple(warnings)),
            seconds=0.0,
        )


def _check_apart(pictures: str, csv_file: str | None) -> None:
    """Check that answers are not written among the pictures, which are only read.

    Raises:
        ConfigError: They would be.
    """
    if csv_file is None:
        return
    place, out = Folder.at(pictures), Folder.at(csv_file)
    if place.kind() == "directory" and out.within(place):
        raise ConfigError(f"{csv_file} lies among the pictures of {pictures}, which are only read: give another place")


def _counted(found: list[Searched]) -> Counter[str]:
    probes = [probe for each in found for probe in each.faces]
    counts = Counter({"pictures": len(found), "faces": len(probes)})
    counts.update(f"answer {probe.answer}" for probe in probes)
    counts.update(f"reason {each.reason}" for each in found if each.reason)
    counts["same file"] += sum(any(person.same_file for person in probe.people) for probe in probes)
    return counts


def _listing(pictures: str) -> tuple[Folder, pa.Table]:
    """Return the pictures to look at, nobody's, and what their uris start from.

    Raises:
        SourceError: There are none.
    """
    place = Folder.at(pictures)
    if place.kind() == "file" and not place.root.lower().endswith(LISTS):
        root, name = place.parted()
        return root, places([name], root)
    source = Source.at(pictures)
    table = source.listing()
    nobody = pa.nulls(len(table), pa.string())  # who somebody is said to be must not decide which faces are looked at
    return source.root, table.set_column(table.column_names.index("identity"), table.schema.field("identity"), nobody)
