"""Faces and people of another dataset that occur in this one too.

A face leaks when the very file is in both, or when it is alike enough to a face of this dataset to be the same
person's. Both galleries are taken as one, in which nobody of one dataset is anybody of the other, whatever the names.

Shape key: N faces of this gallery, O of the other.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.gallery import NOBODY, Gallery, Vectors
from omokage.curate.matches import named

OTHER: Final = "\x1f"
"""Before the names of the other dataset's people, who may have the same ones; no folder's name begins so."""


def both(here: Gallery, other: Gallery, vectors: Vectors, chips: Callable[[NDArray[np.int64]], list[bytes]]) -> Gallery:
    """Return this gallery's rows and then the other's as one gallery; the other's people follow, with marked names."""
    shifted_O = np.where(other.label_N == NOBODY, NOBODY, other.label_N + len(here.names)).astype(np.int32)
    return Gallery(
        pa.concat_tables([here.faces, other.faces]),
        vectors,
        np.concatenate([here.label_N, shifted_O]),
        [*here.names, *(OTHER + name for name in other.names)],
        chips,
    )


def with_nobody(pair: Gallery, count: int, alive_N: NDArray[np.bool_]) -> Gallery:
    """Return both galleries with the faces of nobody as two people more, so that matches with them count too."""
    label_N, people = pair.label_N.copy(), len(pair.names)
    nobody_N = alive_N & (label_N == NOBODY)
    label_N[nobody_N] = np.where(np.flatnonzero(nobody_N) < count, people, people + 1)
    return replace(pair, label_N=label_N, names=[*pair.names, "", OTHER])


def same_files(pair: Gallery, count: int) -> pa.Table:
    """Return the faces of files whose bytes are in both datasets, as ``schema.LEAKS``.

    Args:
        pair: Both galleries.
        count: Rows of this one; the other's follow.
    """
    rows = pa.table({"sha256": pair.faces["sha256"], "row": np.arange(len(pair.label_N))})
    rows = rows.filter(pa.array(pair.label_N != NOBODY))
    first = pc.less(rows["row"], count)
    mine, theirs = rows.filter(first), rows.filter(pc.invert(first))
    found = mine.join(theirs, "sha256", join_type="inner", right_suffix="_b")
    a, b = (found[name].to_numpy().astype(np.int64) for name in ("row", "row_b"))
    similarity = np.vecdot(pair.vectors[a], pair.vectors[b]) if len(a) else np.zeros(0, np.float32)
    order = [(name, "ascending") for name in ("uri_a", "uri_b", "face_a", "face_b")]
    return kinds(named(pair, a, b, similarity), "same_file").sort_by(order)


def same_people(matches: Iterable[pa.Table], files: pa.Table) -> Iterator[pa.Table]:
    """Yield matches of both datasets (``schema.COLLISIONS``) as ``schema.LEAKS``, without those in ``files``."""
    known = _key(files) if files.num_rows else pa.array([], pa.string())
    for table in matches:
        fresh = pc.invert(pc.is_in(_key(table), value_set=known))
        yield kinds(table.filter(fresh), "same_person")


def kinds(table: pa.Table, kind: str) -> pa.Table:
    """Return collisions as leaks of one kind."""
    column = pa.array([kind] * table.num_rows, pa.string())
    return table.append_column("kind", column).select(schema.LEAKS.names).cast(schema.LEAKS)


def across(pairs: pa.Table) -> pa.Table:
    """Return the pairs of people of which one is of each dataset, ranked anew, with their own names."""
    ways = pc.and_(
        pc.invert(pc.starts_with(pairs["identity_a"], OTHER)),
        pc.starts_with(pairs["identity_b"], OTHER),
    )
    kept = pairs.filter(ways)
    kept = kept.set_column(0, "rank", pa.array(np.arange(1, kept.num_rows + 1)))
    for name in ("identity_b", "reason"):
        plain = pc.replace_substring(kept[name], OTHER, "")
        kept = kept.set_column(kept.column_names.index(name), name, plain)
    return kept.cast(schema.COLLISION_PAIRS)


def _key(table: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(table["face_a"], table["face_b"], " ").combine_chunks()
