import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from omokage import schema
from omokage.changes import compare

KNOWN = schema.MANIFEST.append(schema.SHARD)


def same(listed: dict, known: dict) -> bool:
    return all(listed[name] == known[name] for name in ("size", "stamp", "identity"))


def rank(listed: dict, known: dict) -> int:
    if not same(listed, known) or known["shard"] is None:
        return 2
    return 1 if known["reason"] in schema.RETRIED else 0


def slow(listing: list[dict], known: list[dict], retry: bool) -> dict:
    """The same with a loop over the pictures."""
    pending, manifest = [], []
    count = dict.fromkeys(("new", "changed", "retried"), 0)
    for row in listing:
        earlier = sorted((k for k in known if k["uri"] == row["uri"]), key=lambda k: rank(row, k))
        best = earlier[0] if earlier else None
        if row["reason"] is not None:
            manifest.append({name: row.get(name) for name in KNOWN.names} | {"status": "failed"})
        elif best is not None and rank(row, best) < (1 if retry else 2):
            manifest.append(best)
        else:
            pending.append(row)
            again = best is not None and same(row, best) and best["reason"] in schema.RETRIED
            count["new" if best is None else "retried" if again else "changed"] += 1
    removed = len({k["uri"] for k in known} - {row["uri"] for row in listing})
    return count | {"removed": removed, "pending": pending, "manifest": sorted(manifest, key=lambda r: r["uri"])}


uris = st.sampled_from(["a/1", "a/2", "b/1", "面/影", "file:%FF"])
few = {
    "identity": st.sampled_from([None, "a", "b"]),
    "size": st.sampled_from([None, 0, 1]),
    "stamp": st.sampled_from([None, "1", "2"]),
}
listings = st.lists(
    st.fixed_dictionaries({"uri": uris, **few, "reason": st.sampled_from([None, None, None, "broken_link"])}),
    max_size=5,
    unique_by=lambda row: row["uri"],
)
knowns = st.lists(
    st.fixed_dictionaries(
        {
            "uri": uris,
            **few,
            "status": st.just("ok"),
            "reason": st.sampled_from([None, None, "unreadable", "too_many_pixels", "crashed"]),
            "shard": st.sampled_from([None, "s1", "s2", "s3"]),
            "kept": st.integers(0, 9),
        }
    ),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(listings, knowns, st.booleans(), st.integers(0, 8))
def test_as_a_loop_over_dicts_would_say(listing, known, retry, cut):
    rows = pa.Table.from_pylist(known, KNOWN)
    chunked = pa.concat_tables([rows[:cut], rows[cut:]])
    found = compare(pa.Table.from_pylist(listing, schema.LISTED), chunked, retry)
    expected = slow(listing, pa.Table.from_pylist(known, KNOWN).to_pylist(), retry)
    assert found.pending.schema.equals(schema.LISTED)
    assert found.manifest.schema.equals(KNOWN)
    assert found.pending.to_pylist() == expected["pending"]
    assert found.manifest.to_pylist() == expected["manifest"]
    for name in ("new", "changed", "retried", "removed"):
        assert getattr(found, name) == expected[name], name
    assert found.pending.num_rows == found.new + found.changed + found.retried
    assert found.pending.num_rows + found.manifest.num_rows == len(listing)  # every input is accounted for


def test_two_stopped_runs_and_a_change_between_them():
    """The first run's row of the old content must not hide the second run's row of the new one."""
    row = {"uri": "a/1", "identity": "a", "size": 1, "status": "ok"}
    old, new = row | {"stamp": "1", "shard": "s1"}, row | {"stamp": "2", "shard": "s2"}
    listing = pa.Table.from_pylist([row | {"stamp": "2"}], schema.LISTED)
    for known in ([old, new], [new, old]):
        found = compare(listing, pa.Table.from_pylist(known, KNOWN), retry=False)
        assert found.pending.num_rows == 0
        assert found.manifest["shard"].to_pylist() == ["s2"]
