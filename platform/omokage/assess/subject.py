"""The faces that an encoder is judged by: a dataset's people as they are decided, with vectors that can be compared.

Shape key: N faces, E numbers of an embedding, F pictures that failed.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema, weights
from omokage.assess.encoded import Encoded
from omokage.curate.decided import Decided
from omokage.curate.same_face import quality
from omokage.errors import DatasetError
from omokage.index.unit import unit
from omokage.ledger.book import Ledger
from omokage.ledger.fold import fold
from omokage.ledger.version import Version, at_version
from omokage.sheet.words import count, visible
from omokage.store import Dataset

Ints = NDArray[np.int64]

COLUMNS: Final = ["face_id", "uri", "sha256", "identity", "score", *schema.QUALITY_NAMES]
"""What is known of a face that is judged."""

NO_PICTURE: Final = frozenset(
    {"broken_link", "link_loop", "unreadable_folder", "unreadable", "empty", "not_a_picture"}  # schema.Reason
)
"""Why an input gave no face where that says nothing of the encoder or the detector: there was no picture to look at."""

ALIKE: Final = 1e-4
"""Vectors of which no number differs by more are one vector."""

BLOCK: Final = 8192
"""Faces whose vectors are looked at together."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Faces with people and vectors, sorted by identity, then by uri and face_id."""

    dataset: str
    version: str | None
    encoder: dict[str, Any]
    """What made the vectors, as a recipe has it: name, sha256, dim."""
    licence: str
    """Of the encoder's weights; empty where nothing is known of it."""
    faces: pa.Table
    """``COLUMNS``. Only faces that count: kept, of somebody, with a vector that can be compared."""
    vector_NE: NDArray[np.float32]
    """Of length 1."""
    label_N: Ints
    """Whose face each is: the place in ``people``. Rising."""
    people: tuple[str, ...]
    """Names, sorted; ``label_N`` uses each of the first ones, and after ``named`` come people of failures alone."""
    named: int
    """How many people have a face."""
    quality_N: NDArray[np.float64]
    """What ranks the faces of a person; more is better. As same-face chooses what it keeps."""
    failed_label_F: Ints
    """Whose picture each is in which no face was found or encoded."""
    failed_uri_F: tuple[str, ...]
    """Which picture it is."""
    remarks: tuple[str, ...]
    """What a person should know of these faces."""

    @property
    def given(self) -> str:
        """The dataset as it is given to a command: DATASET, or DATASET@VERSION."""
        return at_version(self.dataset, self.version)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that figures can depend on: the faces, whose they are, what failed, what encoded."""
        # the weights alone do not tell: they may be fed otherwise
        told = hashlib.sha256(json.dumps(self.encoder, sort_keys=True, default=str).encode())
        for column in (*(self.faces[name].to_pylist() for name in ("face_id", "identity")), self.failed_uri_F):
            told.update(f"{len(column)}\n".encode())
            told.update("\n".join(column).encode(errors="surrogatepass"))
        return told.hexdigest()

    @property
    def faces_digest(self) -> str:
        """SHA-256 of the faces and whose they are: equal for two encoders that are judged by the same."""
        told = hashlib.sha256()
        for name in ("face_id", "identity"):
            told.update(json.dumps(self.faces[name].to_pylist()).encode())
        return told.hexdigest()

    def only(self, face_ids: Collection[str], remark: str) -> "Subject":
        """Return the subject with some of its faces, and the failures of their people.

        Raises:
            DatasetError: They are nobody's, or one person's.
        """
        keep_N = pc.is_in(self.faces["face_id"], value_set=pa.array(list(face_ids), pa.string())).to_numpy()
        label_n = self.label_N[keep_N]
        left = np.unique(label_n)
        check_people(len(label_n), [self.people[label] for label in left], self.given)
        mine_F = np.isin(self.failed_label_F, left)
        return replace(
            self,
            faces=self.faces.filter(pa.array(keep_N)),
            vector_NE=self.vector_NE[keep_N],
            label_N=np.searchsorted(left, label_n),
            people=tuple(self.people[label] for label in left),
            named=len(left),
            quality_N=self.quality_N[keep_N],
            failed_label_F=np.searchsorted(left, self.failed_label_F[mine_F]),
            failed_uri_F=tuple(uri for uri, mine in zip(self.failed_uri_F, mine_F, strict=True) if mine),
            remarks=(*self.remarks, remark),
        )


def subject(address: str, vectors: Encoded | None = None, one_each: bool = False) -> Subject:
    """Return the faces that are kept in DATASET[@VERSION] and belong to somebody.

    Args:
        address: The dataset, or a version of it.
        vectors: Of another encoder; by default the dataset's own.
        one_each: Every picture shows another person, whatever the dataset says of people.

    Raises:
        DatasetError: There is no such dataset or version, no face in it that can be compared, or only one person.
    """
    decided, version = Decided.at(address)
    decided = Decided(decided.data, _alone(decided.version)) if one_each else decided
    data, here = decided.data, decided.present()
    lost = len(decided.version) - len(here.version)
    remarks: list[str] = []
    if lost:
        remarks.append(f"{lost:,} faces of version {version} are left out: the dataset no longer has them")
    if one_each:
        remarks.append("every picture is taken as of another person: no two faces are of one, and there is no FNMR")
    vectors = vectors or Encoded.of(data)
    remarks += vectors.remarks
    read = _Read(here, vectors.encoder)
    read.faces()
    read.vectors(vectors.faces())
    good_N = read.good_N
    failed = [*([] if one_each else _failed(data, version)), *read.unusable()]
    if not good_N.all():
        lost = int((~good_N).sum())
        remarks.append(
            f"{count(lost, 'face')} without a vector that can be compared (zero, NaN, or not made) count as failures"
        )
    faces = read.table.filter(pa.array(good_N))
    names = sorted(set(faces["identity"].to_pylist()))
    check_people(faces.num_rows, names, at_version(data.folder.url, version))
    people = (*names, *sorted({name for name, _ in failed} - set(names)))
    place = {name: label for label, name in enumerate(people)}
    vector_NE = read.vector_NE if good_N.all() else read.vector_NE[good_N]
    label_N = pc.index_in(faces["identity"], value_set=pa.array(names, pa.string())).to_numpy().astype(np.int64)
    return Subject(
        dataset=data.folder.url,
        version=version,
        encoder=dict(vectors.encoder),
        licence=vectors.licence or weights.licence_of(vectors.encoder.get("sha256")),
        faces=faces,
        vector_NE=vector_NE,
        label_N=label_N,
        people=people,
        named=len(names),
        quality_N=quality(*(faces[name].to_numpy() for name in ("side", "sharpness", "score"))),
        failed_label_F=np.array([place[name] for name, _ in failed], np.int64),
        failed_uri_F=tuple(uri for _, uri in failed),
        remarks=(*remarks, *_remarks(faces, vector_NE, label_N)),
    )


def check_people(faces: int, names: Collection[str], where: str) -> None:
    """Check that there is somebody to be told from somebody else.

    Raises:
        DatasetError: There is not.
    """
    if not faces:
        raise DatasetError(f"{where} has no face of anybody that can be compared: there is nothing to judge by")
    if len(names) < 2:
        (name,) = names
        raise DatasetError(
            f"all faces that can be compared of {where} are {visible(name)!r}: an encoder is judged by how it tells "
            "people apart, which needs two people, better hundreds"
        )


class _Read:
    """The faces of somebody that are kept, in order, and their vectors as they come."""

    def __init__(self, decided: Decided, encoder: dict[str, Any]) -> None:
        self.decided = decided
        listed = decided.version.select(["identity", "uri", "face_id"])
        wanted = pc.and_(pc.equal(decided.version["status"], "kept"), pc.is_valid(decided.version["identity"]))
        order = pc.sort_indices(listed, [(name, "ascending") for name in listed.column_names])
        order_N = order.to_numpy()[wanted.to_numpy()[order.to_numpy()]]
        self.place_V = np.full(len(listed), -1)
        """Where in the order each face of the version comes; -1 where it does not count."""
        self.place_V[order_N] = np.arange(len(order_N))
        self.vector_NE = np.zeros((len(order_N), int(encoder["dim"])), np.float32)
        self.good_N = np.zeros(len(order_N), bool)
        self.table = pa.table({name: pa.array([], pa.string()) for name in COLUMNS})

    def faces(self) -> None:
        """Read all that is known of the faces but their vectors."""
        parts, places = [], [np.zeros(0, np.int64)]
        for table, row_F in self.decided.numbered(COLUMNS):
            mine_F = self.place_V[row_F] >= 0
            parts.append(table.filter(pa.array(mine_F)))
            places.append(self.place_V[row_F[mine_F]])
        place_N = np.concatenate(places)
        if len(place_N):
            self.table = pa.concat_tables(parts).combine_chunks().take(pa.array(np.argsort(place_N))).combine_chunks()

    def vectors(self, tables: Iterator[pa.Table]) -> None:
        """Read the vectors, one table at a time in memory."""
        dim = self.vector_NE.shape[1]
        for table in tables:
            row_F = self.decided.rows(table)
            embedding_FE = schema.vectors(schema.whole(table["embedding"]), dim)
            for start in range(0, len(row_F), BLOCK):
                place_B = np.where(row_F[start : start + BLOCK] >= 0, self.place_V[row_F[start : start + BLOCK]], -1)
                unit_BE, good_B = unit(embedding_FE[start : start + BLOCK])
                here_B = (place_B >= 0) & good_B
                self.vector_NE[place_B[here_B]] = unit_BE[here_B]
                self.good_N[place_B[here_B]] = True

    def unusable(self) -> list[tuple[str, str]]:
        """Return person and picture of faces without a vector."""
        lost = self.table.filter(pa.array(~self.good_N))
        return list(zip(lost["identity"].to_pylist(), lost["uri"].to_pylist(), strict=True))


def _alone(version: pa.Table) -> pa.Table:
    """Return ``schema.VERSION`` with a person for each face, called as its picture is."""
    seen: Counter[str] = Counter()
    names = []
    for uri in version["uri"].to_pylist():
        seen[uri] += 1
        names.append(uri if seen[uri] == 1 else f"{uri} ({seen[uri]})")
    return version.set_column(version.column_names.index("identity"), "identity", pa.array(names, pa.string()))


def _failed(data: Dataset, version: str | None) -> list[tuple[str, str]]:
    """Return person and place of every picture of somebody that gave no face."""
    until = Version.open(data, version).lines if version else None
    decided = fold(Ledger.of(data.folder).table(until=until))
    manifest = data.manifest()
    none = pc.and_(pc.is_valid(manifest["identity"]), pc.not_equal(manifest["status"], "ok"))
    looked = pc.invert(pc.is_in(manifest["reason"], value_set=pa.array(sorted(NO_PICTURE))))
    rows = manifest.filter(pc.and_(none, looked)).sort_by("uri")
    names = (decided.name(name) for name in rows["identity"].to_pylist())
    return list(zip(names, rows["uri"].to_pylist(), strict=True))


def _remarks(faces: pa.Table, vector_NE: NDArray[np.float32], label_N: Ints) -> list[str]:
    """Return what a person should know of faces that are to be compared."""
    remarks = []
    single = int((np.bincount(label_N) == 1).sum())
    if single:
        remarks.append(
            f"{count(single, 'person has', 'people have')} one face: they are others, from whom people are told, and "
            "have no pair of their own"
        )
    blocks = [vector_NE[start : start + BLOCK] for start in range(0, len(label_N), BLOCK)]
    most_E = np.max([block.max(0) for block in blocks], axis=0)
    least_E = np.min([block.min(0) for block in blocks], axis=0)
    if (most_E - least_E).max() < ALIKE:
        remarks.append(
            "all vectors are the same: this encoder tells nobody from anybody, or it was given the wrong input"
        )
    return [*remarks, *_copies(faces)]


def _copies(faces: pa.Table) -> list[str]:
    """Return what there is to say of files that are there twice, in one person's folder or in two people's."""
    pictures = faces.select(["sha256", "uri", "identity"]).group_by(["sha256", "uri", "identity"]).aggregate([])
    times = Counter(pictures["sha256"].to_pylist())
    twice = pa.array([s for s, n in times.items() if n > 1], pa.string())
    again = pictures.filter(pc.is_in(pictures["sha256"], value_set=twice))
    by_file: dict[str, list[tuple[str, str]]] = {}
    for row in again.sort_by("uri").to_pylist():
        by_file.setdefault(row["sha256"], []).append((row["identity"], row["uri"]))
    shared = [places for places in by_file.values() if len({name for name, _ in places}) > 1]
    own = len(by_file) - len(shared)
    remarks = []
    if own:
        remarks.append(
            f"{count(own, 'file is', 'files are')} there more than once under one person: such pairs match whatever "
            "the encoder is (omokage find shows them, a version leaves them out)"
        )
    if shared:
        (a, _), (b, _) = shared[0][0], next(place for place in shared[0] if place[0] != shared[0][0][0])
        remarks.append(
            f"{count(len(shared), 'file is', 'files are')} there under two people, such as {visible(a)!r} and "
            f"{visible(b)!r}: such pairs are counted as false matches, and are none"
        )
    return remarks
