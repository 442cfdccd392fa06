"""Faces that a page shows: pairs to look at, and people with their faces. Chips are read for these alone.

People would rather look than read: a wrong name, a blurred face or two sisters are seen at once.

Shape key: n faces of a person, E numbers of an embedding.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage.assess.subject import Ints, Subject
from omokage.card.blocks import Pair, Seen
from omokage.errors import ConfigError
from omokage.evaluate.extremes import Alike, extremes
from omokage.evaluate.people import WORST
from omokage.shards import read_table
from omokage.sheet.choose import DIGITS, ENOUGH, FIGURES, Chip, Group
from omokage.sheet.write import licences
from omokage.store import Dataset

KNOWN: Final = ["face_id", "uri", *FIGURES]
"""What a page says of a face."""

MOST: Final = 200
"""Pairs of a kind, people, or faces of one: what a browser still opens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownConfig:
    """How many faces a page shows. A face takes about 23 kB. No faces at all: 0 pairs and 0 people."""

    pairs: int = 12
    """Of the most similar pairs of different people, and of the least similar pairs of one person, each; 0 to 200."""
    worst: int = 6
    """People whom the encoder fails most, 0 to 10."""
    per_person: int = 8
    """Faces of each of them, 1 to 200."""

    def __post_init__(self) -> None:
        """Reject what no browser could open."""
        for name, least, most in (("pairs", 0, MOST), ("worst", 0, WORST), ("per_person", 1, MOST)):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"shown.{name} must lie in {least} to {most}, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """What there is to look at, and under which licences it was made."""

    impostor: tuple[Pair, ...] = ()
    """The most similar pairs of different people."""
    genuine: tuple[Pair, ...] = ()
    """The least similar pairs of one person."""
    worst: tuple[Group, ...] = ()
    """The people who fare worst."""
    licences: tuple[tuple[str, str], ...] = ()
    """Of the model files that made the dataset."""


def examples(
    subject: Subject, worst: Sequence[str] = (), config: ShownConfig | None = None, threads: int | None = None
) -> Examples:
    """Return what a page about some faces has to show. Every pair is looked at once more, unless none is wanted.

    Args:
        subject: The faces.
        worst: Names of the people who fare worst, the worst first.
        config: How much to show.
        threads: To work on; all cores by default.

    Raises:
        DatasetError: A shard is gone or damaged.
    """
    config = config or ShownConfig()
    impostor: tuple[Alike, ...] = ()
    genuine: tuple[Alike, ...] = ()
    # of listed pairs it may be that nobody has two faces
    if config.pairs and np.bincount(subject.label_N).max() > 1:
        found = extremes(subject.vector_NE, subject.label_N, config.pairs, threads)
        impostor, genuine = found.impostor, found.genuine
    place = {name: label for label, name in enumerate(subject.people[: subject.named])}
    labels = [place[name] for name in worst[: config.worst] if name in place]
    return Examples(
        impostor=pairs(subject, impostor),
        genuine=pairs(subject, genuine),
        worst=people(subject, labels, config.per_person),
        licences=tuple(licences(Dataset.open(subject.dataset)).items()),
    )


def pairs(subject: Subject, found: Sequence[Alike]) -> tuple[Pair, ...]:
    """Return pairs with their pictures.

    Raises:
        DatasetError: A shard is gone or damaged.
    """
    jpegs = _chips(subject, (row for pair in found for row in (pair.a, pair.b)))
    return tuple(
        Pair(
            _seen(subject, pair.a, jpegs),
            _seen(subject, pair.b, jpegs),
            round(pair.similarity, DIGITS),
            "the same file" if subject.faces["sha256"][pair.a] == subject.faces["sha256"][pair.b] else "",
        )
        for pair in found
    )


def people(subject: Subject, labels: Sequence[int], per_person: int) -> tuple[Group, ...]:
    """Return people with some of their faces: the most typical one, and the least typical ones.

    Args:
        subject: The faces.
        labels: Whose to show.
        per_person: Faces of each, at least 1.

    Raises:
        DatasetError: A shard is gone or damaged.
    """
    chosen = [_chosen(subject, label, per_person) for label in labels]
    jpegs = _chips(subject, (row for rows in chosen for row in rows))
    return tuple(_group(subject, label, rows, jpegs) for label, rows in zip(labels, chosen, strict=True))


def sets(subject: Subject, rows: Mapping[str, Ints], count: int, seed: int = 0) -> tuple[Group, ...]:
    """Return sets of faces by name, each with some of its faces, drawn at random: of other people while there are any.

    Args:
        subject: The faces.
        rows: Of each set.
        count: Faces to show of each, at least 1.
        seed: Of the draw.

    Raises:
        DatasetError: A shard is gone or damaged.
    """
    rng = np.random.default_rng(seed)
    chosen = {name: _some(subject, rng.permutation(row_n), count) for name, row_n in rows.items()}
    jpegs = _chips(subject, (row for some in chosen.values() for row in some))
    return tuple(
        Group(
            identity=name,
            pictures=int(pc.count_distinct(subject.faces["uri"].take(pa.array(row_n))).as_py()),
            faces=len(row_n),
            typical=None,
            others=tuple(Chip(**_known(subject, row), similarity=None, jpeg=jpegs[row]) for row in chosen[name]),
        )
        for name, row_n in rows.items()
    )


def _some(subject: Subject, row_n: Ints, count: int) -> list[int]:
    """Return the first rows, a person's second face after every person's first."""
    seen: dict[int, int] = {}
    turn_n = []
    for label in subject.label_N[row_n].tolist():
        turn_n.append(seen.get(label, 0))
        seen[label] = turn_n[-1] + 1
    return [int(row) for row in row_n[np.argsort(turn_n, kind="stable")[:count]]]


def _chosen(subject: Subject, label: int, per_person: int) -> dict[int, float | None]:
    """Return rows of a person and how like the others they are, the least typical first, the most typical last."""
    first, count = _run(subject, label)
    typical_n = _typical(subject.vector_NE[first : first + count])
    if len(typical_n) < 2:
        return {first: None}
    order_n = np.argsort(typical_n, kind="stable")
    keep = order_n if len(order_n) <= per_person else np.append(order_n[: per_person - 1], order_n[-1])
    return {first + int(n): float(typical_n[n]) for n in keep}


def _typical(vector_nE: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return each face's cosine to the mean of the others."""
    rest_nE = vector_nE.sum(0, dtype=np.float64) - vector_nE
    length_n = np.maximum(np.linalg.norm(rest_nE, axis=1), 1e-9)
    cosine_n: NDArray[np.float64] = np.round(np.einsum("ne,ne->n", rest_nE, vector_nE) / length_n, DIGITS)
    return cosine_n


def _group(subject: Subject, label: int, rows: dict[int, float | None], jpegs: dict[int, bytes]) -> Group:
    mine = subject.faces.slice(*_run(subject, label))
    chips = [Chip(**_known(subject, row), similarity=similarity, jpeg=jpegs[row]) for row, similarity in rows.items()]
    typical = chips.pop() if mine.num_rows >= ENOUGH else None
    return Group(
        identity=subject.people[label],
        pictures=int(pc.count_distinct(mine["uri"]).as_py()),
        faces=mine.num_rows,
        typical=typical,
        others=tuple(chips),
    )


def _run(subject: Subject, label: int) -> tuple[int, int]:
    """Return where a person's faces begin, and how many there are."""
    first, end = np.searchsorted(subject.label_N, [label, label + 1]).tolist()
    return first, end - first


def _seen(subject: Subject, row: int, jpegs: dict[int, bytes]) -> Seen:
    person = subject.people[subject.label_N[row]]
    return Seen(person=person, uri=str(_known(subject, row)["uri"]), jpeg=jpegs[row])


def _known(subject: Subject, row: int) -> dict[str, Any]:
    found: dict[str, Any] = subject.faces.slice(row, 1).select(KNOWN).to_pylist()[0]
    return found


def _chips(subject: Subject, rows: Iterable[int]) -> dict[int, bytes]:
    """Return the chips of some rows; empty for faces that have none, or that the dataset has no longer.

    Raises:
        DatasetError: A shard is gone or damaged.
    """
    order = sorted(set(rows))
    if not order:
        return {}
    wanted = subject.faces.select(["face_id", "uri"]).take(pa.array(order, pa.int64()))
    data = Dataset.open(subject.dataset)
    manifest = data.manifest()
    mine = manifest.filter(pc.is_in(manifest["uri"], value_set=pa.array(wanted["uri"].to_pylist(), pa.string())))
    names = set(mine["shard"].to_pylist())
    ids = pa.array(wanted["face_id"].to_pylist(), pa.string())
    jpegs: dict[str, bytes] = {}
    for shard in data.head.shards:
        if shard.name in names:
            table = read_table(data.folder, shard.file("faces"), ["face_id", "chip"])
            found = table.filter(pc.is_in(table["face_id"], value_set=ids))
            jpegs |= zip(found["face_id"].to_pylist(), found["chip"].to_pylist(), strict=True)
    return {row: jpegs.get(face_id) or b"" for row, face_id in zip(order, ids.to_pylist(), strict=True)}
