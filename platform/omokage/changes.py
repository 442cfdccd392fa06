"""What changed between a listing and what is known already."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from omokage import schema


@dataclass(frozen=True, slots=True)
class Changes:
    """A listing, sorted out."""

    pending: pa.Table
    """Pictures to open, columns ``LISTED``: new, changed, or worth another try."""
    manifest: pa.Table
    """The rest of the listing, columns ``MANIFEST`` and ``SHARD``: unchanged, or impossible to open."""
    new: int
    changed: int
    retried: int
    removed: int
    """Known pictures that the listing no longer has."""


def compare(listing: pa.Table, known: pa.Table, retry: bool = True) -> Changes:
    """Return what of ``listing`` must be done.

    Args:
        listing: Columns ``LISTED``, each uri once.
        known: Columns ``MANIFEST`` and ``SHARD``. Stopped runs may leave several rows of one uri: a row that agrees
            with the listing goes before others, a lasting result before one to be tried again, else the first.
        retry: Whether failures that may have gone away are done again.
    """
    best = _best_first(listing, known)
    row = pc.index_in(listing["uri"], value_set=best["uri"])
    before = best.take(row)
    seen = pc.is_valid(row)
    same = pc.and_(seen, _agree(listing, before))
    again = pc.and_(same, _retried(before))
    opened = pc.is_null(listing["reason"])
    done = pc.and_(same, pc.is_valid(before["shard"]))
    if retry:
        done = pc.and_not(done, again)
    todo = pc.and_not(opened, done)
    manifest = pa.concat_tables([before.filter(pc.and_(opened, done)), _never_opened(listing)])
    return Changes(
        pending=listing.filter(todo),
        manifest=manifest.sort_by("uri"),
        new=_count(pc.and_not(todo, seen)),
        changed=_count(pc.and_not(pc.and_(todo, seen), again)),
        retried=_count(pc.and_(todo, again)),
        removed=_count(pc.invert(pc.is_in(pc.unique(known["uri"]), value_set=listing["uri"]))),
    )


def _best_first(listing: pa.Table, known: pa.Table) -> pa.Table:
    """Return ``known`` in the order in which its rows of one uri count."""
    agree = _agree(listing.take(pc.index_in(known["uri"], value_set=listing["uri"])), known)
    opened = pc.and_(agree, pc.is_valid(known["shard"]))
    lasting = pc.and_not(opened, _retried(known))
    parts = (lasting, pc.and_not(opened, lasting), pc.invert(opened))
    return pa.concat_tables([known.filter(part) for part in parts])


def _agree(listing: pa.Table, known: pa.Table) -> pa.ChunkedArray:
    """Return for each pair of rows whether the picture is the same as it was."""
    same = _equal(listing["size"], known["size"])
    for name in ("stamp", "identity"):
        same = pc.and_(same, _equal(listing[name], known[name]))
    return same


def _retried(known: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(known["reason"], value_set=pa.array(sorted(schema.RETRIED)))


def _equal(a: pa.ChunkedArray, b: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return where two columns agree; null agrees with null."""
    return pc.or_(pc.fill_null(pc.equal(a, b), False), pc.and_(pc.is_null(a), pc.is_null(b)))


def _never_opened(listing: pa.Table) -> pa.Table:
    """Return manifest rows for what the listing itself could not get at."""
    failed = listing.filter(pc.is_valid(listing["reason"]))
    columns = []
    for field in schema.MANIFEST.append(schema.SHARD):
        if field.name == "status":
            columns.append(pa.array(["failed"] * failed.num_rows, field.type))
        elif field.name in failed.column_names:
            columns.append(failed[field.name])
        else:
            columns.append(pa.nulls(failed.num_rows, field.type))
    return pa.table(columns, schema=schema.MANIFEST.append(schema.SHARD))


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)
