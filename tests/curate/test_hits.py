"""Hits by pair of people, against a loop."""

import numpy as np

from omokage.curate.hits import Hits, aggregate


def some(seed: int, people: int = 12, faces: int = 80, pairs: int = 600) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    label_N = rng.integers(-1, people, faces).astype(np.int32)
    known = np.flatnonzero(label_N >= 0)
    found = {tuple(sorted(rng.choice(known, 2, replace=False).tolist())) for _ in range(pairs)}
    both = np.array([pair for pair in sorted(found) if label_N[pair[0]] != label_N[pair[1]]])
    turned = rng.random(len(both)) < 0.5
    both[turned] = both[turned, ::-1]
    both = rng.permutation(both)
    return both[:, 0], both[:, 1], rng.uniform(0.5, 1, len(both)).astype(np.float32), label_N


def rows_of(hits: Hits) -> list[tuple]:
    columns = (hits.label_a, hits.label_b, hits.hits, hits.hit_faces_a, hits.hit_faces_b, hits.best, hits.mean)
    return [tuple(row) for row in zip(*[column.tolist() for column in columns], strict=True)]


def test_hits_are_what_a_loop_finds() -> None:
    row_a, row_b, similarity, label_N = some(0)
    want: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
    for a, b, value in zip(row_a.tolist(), row_b.tolist(), similarity.tolist(), strict=True):
        first, second = (a, b) if label_N[a] < label_N[b] else (b, a)
        want.setdefault((int(label_N[first]), int(label_N[second])), []).append((first, second, value))
    found = rows_of(aggregate(row_a, row_b, similarity, label_N))
    assert [row[:2] for row in found] == sorted(want)
    for row in found:
        pairs = want[row[:2]]
        values = [value for _, _, value in pairs]
        assert row[2:5] == (len(pairs), len({a for a, _, _ in pairs}), len({b for _, b, _ in pairs}))
        np.testing.assert_allclose(row[5:], [max(values), sum(values) / len(values)], rtol=1e-12)


def test_parts_join_to_the_whole_in_any_order() -> None:
    row_a, row_b, similarity, label_N = some(1)
    part = (np.minimum(label_N[row_a], label_N[row_b]) * 7 + np.maximum(label_N[row_a], label_N[row_b])) % 3
    parts = [aggregate(row_a[part == k], row_b[part == k], similarity[part == k], label_N) for k in (2, 0, 1)]
    turn = np.random.default_rng(0).permutation(len(row_a))
    whole = aggregate(row_a[turn], row_b[turn], similarity[turn], label_N)
    assert rows_of(Hits.join(parts)) == rows_of(whole)


def test_nothing_found_is_no_pair() -> None:
    nothing = aggregate(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(3, np.int32))
    assert rows_of(nothing) == []
    assert rows_of(Hits.join([])) == rows_of(Hits.join([nothing, nothing])) == []
