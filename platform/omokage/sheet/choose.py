"""Which faces of a dataset a contact sheet shows, and how typical of its identity each one is.

Shards are read one by one, twice: for the identities' means, then for the faces. What stays in memory is a mean
and a few chips for each identity that is shown.

Shape key: G identities that are shown and, last, nobody; F faces of a shard; D numbers of an embedding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.errors import ConfigError

MOST_CHIPS: Final = 10_000
"""What a browser still opens: some 200 MB."""

FIGURES: Final = ("side", "sharpness", "yaw")
COLUMNS: Final = ["face_id", "uri", *FIGURES]

ENOUGH: Final = 3
"""Faces of an identity from which on one of them can be called the most typical."""

DIGITS: Final = 6
"""Of a similarity when faces are sorted: sums in another order differ in later ones."""


class Faces(Protocol):
    """Where faces come from: a dataset, or what became of one after decisions."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""

    def faces(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield the faces, shard by shard."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetConfig:
    """How much a contact sheet shows. A face takes about 23 kB."""

    per_identity: int = 12
    """Faces of an identity, 1 or more."""

    identities: int = 200
    """Identities, 1 or more, the first by name."""

    def __post_init__(self) -> None:
        """Reject what no browser could open."""
        for key in ("per_identity", "identities"):
            if getattr(self, key) < 1:
                raise ConfigError(f"sheet.{key} must be 1 or more, got {getattr(self, key)}")
        if self.per_identity * self.identities > MOST_CHIPS:
            raise ConfigError(
                f"sheet.per_identity times sheet.identities must be at most {MOST_CHIPS:,} faces, "
                f"got {self.per_identity:,} times {self.identities:,}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """A face that is shown."""

    face_id: str
    uri: str
    similarity: float | None
    """Cosine to the mean of the identity's other faces, -1 to 1; None where there is no other."""
    side: float
    """Source px."""
    sharpness: float
    """0 to 1."""
    yaw: float
    """Degrees, > 0 with the nose to the right."""
    jpeg: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """An identity."""

    identity: str | None
    """None: nobody's faces."""
    pictures: int
    faces: int
    """All of them, shown or not."""
    typical: Chip | None
    """The most similar to the others, where there are ``ENOUGH``."""
    others: tuple[Chip, ...]
    """The least similar first; nobody's by name of the picture."""

    @property
    def shown(self) -> int:
        """How many faces are shown."""
        return len(self.others) + (self.typical is not None)


def choose(data: Faces, manifest: pa.Table, config: SheetConfig) -> list[Group]:
    """Return the identities to show, by name, and last nobody if there are such pictures.

    Nobody's faces may take the room that missing identities leave.

    Args:
        data: The dataset.
        manifest: Its manifest, or the columns identity and kept (faces) of those to choose from, a row a picture.
        config: How much to show.

    Raises:
        DatasetError: A shard is missing or damaged.
    """
    count = manifest.group_by("identity").aggregate([([], "count_all"), ("kept", "sum")]).sort_by("identity")
    nobody = count.filter(pc.is_null(count["identity"]))
    named = count.filter(pc.is_valid(count["identity"])).slice(0, config.identities)
    room = config.per_identity * max(1, config.identities - named.num_rows)
    names = pa.chunked_array([*named["identity"].chunks, pa.nulls(1, pa.string())]).combine_chunks()
    # The first places are for the least typical faces, the last one for the most typical.
    first_G = np.array([config.per_identity - 1] * named.num_rows + [room])
    last_G = np.array([1] * named.num_rows + [0])
    kept, jpegs = _kept(data, names, first_G, last_G)
    chips: list[list[Chip]] = [[] for _ in range(len(names))]
    for row in kept.to_pylist():
        chips[row.pop("group")].append(Chip(**row, jpeg=jpegs[row["face_id"]]))
    rows = [*named.to_pylist(), *nobody.to_pylist()]
    return [_group(row, of) for row, of in zip(rows, chips, strict=False)]


def _group(row: dict[str, Any], chips: list[Chip]) -> Group:
    faces = row["kept_sum"] or 0
    typical = chips.pop() if row["identity"] is not None and faces >= ENOUGH else None
    return Group(identity=row["identity"], pictures=row["count_all"], faces=faces, typical=typical, others=tuple(chips))


def _kept(
    data: Faces, names: pa.Array, first_G: NDArray[np.int64], last_G: NDArray[np.int64]
) -> tuple[pa.Table, dict[str, bytes]]:
    """Return the faces to show, sorted by group and similarity, and their chips by face id."""
    sum_GD, count_G = _sums(data, names)
    kept: pa.Table | None = None
    chips: dict[str, bytes] = {}
    for faces, group_F in _of(data, names, [*COLUMNS, "embedding", "chip"]):
        similarity_F = _similarity(_embeddings(faces, data.dim), group_F, sum_GD, count_G)
        new = faces.select(COLUMNS).append_column("group", pa.array(group_F))
        new = new.append_column("similarity", pa.array(similarity_F, from_pandas=True))  # NaN becomes null
        kept = _best(pa.concat_tables([new] if kept is None else [kept, new]), first_G, last_G)
        stays = faces.filter(pc.is_in(faces["face_id"], value_set=kept["face_id"].combine_chunks()))
        chips |= zip(stays["face_id"].to_pylist(), stays["chip"].to_pylist(), strict=True)
        chips = {face_id: chips[face_id] for face_id in kept["face_id"].to_pylist()}
    return pa.table({}) if kept is None else kept, chips


def _best(faces: pa.Table, first_G: NDArray[np.int64], last_G: NDArray[np.int64]) -> pa.Table:
    """Return the first and the last few faces of each group, sorted by group, similarity, picture and id."""
    faces = faces.sort_by([(key, "ascending") for key in ("group", "similarity", "uri", "face_id")])
    group_F = faces["group"].to_numpy()
    rank_F = np.arange(len(group_F)) - np.searchsorted(group_F, group_F, "left")
    behind_F = np.searchsorted(group_F, group_F, "right") - 1 - np.arange(len(group_F))
    return faces.filter(pa.array((rank_F < first_G[group_F]) | (behind_F < last_G[group_F])))


def _sums(data: Faces, names: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sum of each group's embeddings, shape (G, D), and how many there are, shape (G,)."""
    sum_GD = np.zeros((len(names), data.dim))
    count_G = np.zeros(len(names), np.int64)
    for faces, group_F in _of(data, names, ["embedding"]):
        np.add.at(sum_GD, group_F, _embeddings(faces, data.dim))
        count_G += np.bincount(group_F, minlength=len(names))
    return sum_GD, count_G


def _of(data: Faces, names: pa.Array, columns: list[str]) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
    """Yield the faces of each shard that belong to one of ``names``, and the place of that name."""
    for faces in data.faces(["identity", *columns]):
        group = pc.index_in(faces["identity"], value_set=names)  # null is found as null
        faces = faces.filter(pc.is_valid(group))
        if faces.num_rows:
            yield faces.select(columns), group.drop_null().to_numpy().astype(np.int64)


def _embeddings(faces: pa.Table, dim: int) -> NDArray[np.float32]:
    return schema.vectors(faces["embedding"].combine_chunks(), dim)


def _similarity(
    embedding_FD: NDArray[np.float32],
    group_F: NDArray[np.int64],
    sum_GD: NDArray[np.float64],
    count_G: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return each face's cosine to the mean of its group's other faces, shape (F,); NaN where there is none.

    A face is left out of its own mean: else one of two strangers in a folder would come out as fairly similar.
    Nobody's faces have nothing to be similar to; nobody is the last group.
    """
    rest_FD = sum_GD[group_F] - embedding_FD
    length_F = np.linalg.norm(rest_FD, axis=1)
    dot_F = np.einsum("fd,fd->f", rest_FD, embedding_FD)
    alone_F = (count_G[group_F] < 2) | (group_F == len(count_G) - 1)
    return np.where(alone_F, np.nan, np.round(dot_F / np.maximum(length_F, 1e-9), DIGITS))
