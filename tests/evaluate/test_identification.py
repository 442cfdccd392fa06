"""Searches against loops over the gallery, and their figures against published formulas written as loops."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import search as module
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.enrolment import EnrolmentConfig, enrol, repeated
from omokage.evaluate.enrolment import given as given_rows
from omokage.evaluate.identification import identification
from omokage.evaluate.search import Gallery, Searches, by_index, search

FEW = BootstrapConfig(replicates=100)


def tied(faces: int, persons: int, seed: int) -> tuple[NDArray, NDArray]:
    """Return unit vectors with exact products, and whose they are."""
    rng = np.random.default_rng(seed)
    vector_NE = [rng.permutation(row) for row in np.tile([0.5, -0.5, 0.5, 0.5, 0, 0], (faces, 1))]
    return np.array(vector_NE, np.float32), rng.integers(persons, size=faces)


def crowd(people: int, faces: int, noise: float = 0.7, seed: int = 0) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(seed)
    label_N = np.tile(np.arange(people), faces)
    vector_NE = rng.standard_normal((people, 16))[label_N] + noise * rng.standard_normal((len(label_N), 16))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def slow(score_of: dict, label: int) -> tuple[int, float, float]:
    """Return the mate's rank, ties behind others, the mate's score, and the best of anybody."""
    if label not in score_of:
        return 0, -np.inf, max(score_of.values())
    ahead = sum(score >= score_of[label] - 1e-6 for other, score in score_of.items() if other != label)
    return ahead + 1, score_of[label], max(score_of.values())


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 12), st.integers(1, 9), st.booleans(), st.integers(1, 6), st.integers(0, 10**6)
)
def test_searches_are_those_of_loops_with_ties(
    faces: int, persons: int, probes: int, templates: bool, columns: int, seed: int
) -> None:
    vector_GE, label_G = tied(faces, persons, seed)
    probe_QE, label_Q = tied(probes, persons + 2, seed + 1)
    gallery = Gallery(vector_GE, label_G, templates=templates, seed=seed)
    sizes = sorted({1, max(1, len(gallery) // 2), len(gallery)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS", 3)
        patch.setattr(module, "COLUMNS", columns)
        found = search(gallery, probe_QE, label_Q, sizes, threads=1)
    assert [each.size for each in found] == sizes
    for each in found:
        enrolled = gallery.label_P[np.argsort(gallery.place_P)][: each.size]
        assert each.faces == np.isin(label_G, enrolled).sum()  # also where a template stands for several
        for q in range(probes):
            score_of = {}
            for label in enrolled:
                own = vector_GE[label_G == label].astype(float)
                if templates:
                    mean = own.mean(0)
                    own = (mean / np.linalg.norm(mean) if np.linalg.norm(mean) > 1e-6 else 0 * mean)[None]
                score_of[label] = float((own @ probe_QE[q].astype(float)).max())
            rank, mate, top = slow(score_of, label_Q[q])
            assert each.rank_Q[q] == rank and each.mated_Q[q] == (rank > 0)
            assert each.mate_Q[q] == pytest.approx(mate, abs=1e-6) and each.top_Q[q] == pytest.approx(top, abs=1e-6)


def test_a_smaller_gallery_is_part_of_the_larger() -> None:
    vector_NE, label_N = crowd(50, 3)
    gallery = Gallery(vector_NE[:50], label_N[:50], seed=3)
    small, large = search(gallery, vector_NE[50:], label_N[50:], [20])
    assert small.mated_Q.sum() == 40 and (large.rank_Q >= small.rank_Q)[small.mated_Q].all()
    assert (large.top_Q >= small.top_Q).all()
    again = search(Gallery(vector_NE[:50], label_N[:50], seed=3), vector_NE[50:], label_N[50:], threads=3)
    np.testing.assert_array_equal(again[0].rank_Q, large.rank_Q)
    other = search(Gallery(vector_NE[:50], label_N[:50], seed=4), vector_NE[50:], label_N[50:], [20])[0]
    assert (other.mated_Q != small.mated_Q).any()


def test_all_embeddings_equal_find_nobody() -> None:
    same_NE = np.tile(np.float32([0.6, 0.8]), (90, 1))
    found = search(Gallery(same_NE[:10], np.arange(10)), same_NE, np.tile(np.arange(15), 6))[0]
    assert (found.rank_Q[found.mated_Q] == 10).all()
    told = identification(found, [0.5], bootstrap=FEW)
    assert told.rank_one.value == 0 and told.cmc[-1] == 1 and told.points[0].fnir.value == 1


def test_an_index_says_what_exact_search_says_when_it_lists_everybody() -> None:
    vector_NE, label_N = crowd(40, 3)
    gallery = Gallery(vector_NE[:40], label_N[:40])
    exact = search(gallery, vector_NE[40:], label_N[40:])[0]

    def nearest(count: int):
        def answer(probe_QE: NDArray) -> tuple[NDArray, NDArray]:
            product_QG = probe_QE @ vector_NE[:40].T
            order_QK = np.argsort(-product_QG, axis=1)[:, :count]
            return np.take_along_axis(product_QG, order_QK, 1), label_N[:40][order_QK]

        return answer

    whole = by_index(gallery, nearest(40), vector_NE[40:], label_N[40:], block=7)
    assert identification(whole, bootstrap=FEW) == identification(exact, bootstrap=FEW)
    short = by_index(gallery, nearest(5), vector_NE[40:], label_N[40:])
    near = exact.rank_Q <= 5
    np.testing.assert_array_equal(short.rank_Q[near], exact.rank_Q[near])
    assert (short.rank_Q[~near] == 6).all() and short.deepest == 5
    assert len(identification(short, bootstrap=FEW).cmc) == 5


def slow_dir(found: Searches, threshold: float, within: int) -> tuple[float, float]:
    """Return FPIR and FNIR at a threshold, by the words of their definition."""
    false = [top >= threshold for top, mated in zip(found.top_Q, found.mated_Q, strict=True) if not mated]
    miss = [
        not (rank <= within and score >= threshold)
        for rank, score, mated in zip(found.rank_Q, found.mate_Q, found.mated_Q, strict=True)
        if mated
    ]
    return float(np.mean(false)), float(np.mean(miss))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.sampled_from([0.5, 0.2]), st.integers(0, 10**6))
def test_figures_are_those_of_their_definitions_with_ties(within: int, fpir: float, seed: int) -> None:
    vector_GE, label_G = tied(14, 8, seed)
    probe_QE, label_Q = tied(150, 14, seed + 1)
    found = search(Gallery(vector_GE, label_G), probe_QE, label_Q, threads=1)[0]
    within = min(within, found.size)
    told = identification(found, [fpir, 1e-4], within=within, bootstrap=FEW)
    mated = found.rank_Q[found.mated_Q]
    for rank, share in enumerate(told.cmc, 1):
        assert share == pytest.approx(np.mean(mated <= rank))
    assert told.rank_one.value == told.cmc[0] and told.cmc[-1] == 1 and len(told.cmc) == found.size
    rates = {float(cut): slow_dir(found, cut, within) for cut in [*np.unique(found.top_Q), np.float32(2)]}
    assume(fpir * (~found.mated_Q).sum() >= 10)
    allowed = [rate for rate in rates.values() if rate[0] <= fpir + 1e-9]
    point = told.points[0]
    assert point.counted_fpir == pytest.approx(max(rate for rate, _ in allowed))
    assert slow_dir(found, point.threshold, within) == pytest.approx((point.counted_fpir, point.fnir.value))
    # no threshold with the rate misses fewer, but one among strangers' scores could not be told from it
    assert all(miss >= point.fnir.value - 1e-9 for _, miss in allowed)
    assert told.points[1].fnir is None and "too few strangers; 100,000 probes" in told.points[1].text()
    for threshold, rate, hit in told.dir_curve:
        assert slow_dir(found, threshold, within) == pytest.approx((rate, 1 - hit))


def test_pictures_without_a_face_are_misses() -> None:
    vector_NE, label_N = crowd(40, 4, 0.3)
    found = search(Gallery(vector_NE[:20], label_N[:20]), vector_NE[40:], label_N[40:])[0]
    alone = identification(found, [0.3], bootstrap=FEW)
    failed = identification(found, [0.3], failed_person_F=[0] * 20, bootstrap=FEW)
    assert failed.mated == alone.mated + 20 and failed.failed == 20 and "20 of the probes" in failed.text()
    assert failed.rank_one.value == pytest.approx(alone.rank_one.value * alone.mated / failed.mated)
    assert failed.cmc[-1] < 1 == alone.cmc[-1]
    assert failed.points[0].fnir.value > alone.points[0].fnir.value
    assert failed.points[0].threshold == alone.points[0].threshold


def test_intervals_are_over_people() -> None:
    vector_NE, label_N = crowd(60, 12, 1.2)
    found = search(Gallery(vector_NE[:40], label_N[:40]), vector_NE[60:], label_N[60:])[0]
    told = identification(found, [0.1])
    assert told == identification(found, [0.1])
    for figure in (told.rank_one, told.points[0].fnir):
        assert 0 <= figure.low < figure.value < figure.high <= 1
    assert [rank for rank, _ in told.ranks] == [5, 10, 20] and len(told.cmc) == 40
    for rank, share in told.ranks:
        assert share.value == pytest.approx(told.cmc[rank - 1]) and share.low < share.value <= share.high
        assert f"rank {rank}: {share.text()}" in told.text()
    # were all probes of a person one and the same, only people would count
    again = replace(
        found,
        **{name: np.repeat(getattr(found, name), 9) for name in ("mated_Q", "rank_Q", "mate_Q", "top_Q", "person_Q")},
    )
    many = identification(again, [0.1])
    assert many.rank_one.value == told.rank_one.value
    wide = [each.rank_one.high - each.rank_one.low for each in (told, many)]
    assert wide[1] == pytest.approx(wide[0], rel=0.15)
    assert json.loads(told.json())["size"] == 40


def test_nobody_mated_and_no_strangers() -> None:
    vector_NE, label_N = crowd(20, 2)
    gallery = Gallery(vector_NE[:20], label_N[:20])
    strangers = identification(search(gallery, vector_NE[20:], label_N[20:] + 100)[0], bootstrap=FEW)
    assert (
        strangers.rank_one is None
        and strangers.cmc == strangers.dir_curve == ()
        and "rank 1: no probe" in strangers.text()
    )
    closed = identification(search(gallery, vector_NE[20:], label_N[20:])[0], bootstrap=FEW)
    assert closed.strangers == 0 and closed.dir_curve == () and all(point.fnir is None for point in closed.points)


def test_what_cannot_be_searched_is_said() -> None:
    vector_NE, label_N = crowd(10, 2)
    gallery = Gallery(vector_NE[:10], label_N[:10])
    with pytest.raises(ConfigError, match="sizes of galleries"):
        search(gallery, vector_NE, label_N, [11])
    with pytest.raises(DatasetError, match="other encoders"):
        search(gallery, np.eye(3, dtype=np.float32), np.arange(3))
    with pytest.raises(DatasetError, match="do not go with labels"):
        search(gallery, vector_NE, label_N[:3])
    with pytest.raises(DatasetError, match="no unit vectors"):
        Gallery(vector_NE * np.nan, label_N)
    found = search(gallery, vector_NE[10:], label_N[10:])[0]
    for wrong in ({"fpirs": [0]}, {"within": 11}, {"within": 0}):
        with pytest.raises(ConfigError, match=r"within|between 0 and 1"):
            identification(found, **wrong)


def test_first_and_best_faces_are_enrolled() -> None:
    label_N = np.array(["b", "a", "b", "c", "a", "b"])
    first = enrol(label_N, EnrolmentConfig(strangers=0))
    assert first.gallery_G.tolist() == [0, 1, 3] and first.probe_Q.tolist() == [2, 4, 5]
    two = enrol(label_N, EnrolmentConfig(strangers=0, enrol_pictures=2))
    assert two.gallery_G.tolist() == [0, 1, 2, 3, 4] and two.probe_Q.tolist() == [5]
    quality_N = [0.1, np.nan, 0.9, 0.2, 0.0, 0.9]
    best = enrol(label_N, EnrolmentConfig(strangers=0, enrol="best"), quality_N)
    assert best.gallery_G.tolist() == [2, 3, 4]  # of equal ones the first; NaN is the worst
    with pytest.raises(ConfigError, match="needs the quality"):
        enrol(label_N, EnrolmentConfig(enrol="best"))
    with pytest.raises(DatasetError, match="do not go with 6 faces"):
        enrol(label_N, EnrolmentConfig(enrol="best"), [1.0])


def test_strangers_are_not_enrolled_at_all() -> None:
    label_N = np.repeat(np.arange(50), 3)
    told = enrol(label_N, EnrolmentConfig(strangers=0.3))
    enrolled = np.unique(label_N[told.gallery_G])
    assert len(enrolled) == 35 and len(told.gallery_G) == 35
    assert np.intersect1d(told.gallery_G, told.probe_Q).size == 0 and len(told.probe_Q) == 115
    again = enrol(label_N, EnrolmentConfig(strangers=0.3))
    np.testing.assert_array_equal(told.probe_Q, again.probe_Q)
    other = enrol(label_N, EnrolmentConfig(strangers=0.3, enrol_seed=1))
    assert np.unique(label_N[other.gallery_G]).tolist() != enrolled.tolist()


def test_what_cannot_be_enrolled_is_said() -> None:
    for label_N in ([], [3]):
        with pytest.raises(DatasetError, match="would be enrolled"):
            enrol(label_N, EnrolmentConfig())
    for wrong in ({"enrol": "last"}, {"enrol_pictures": 0}, {"strangers": 1.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            EnrolmentConfig(**wrong)
    with pytest.raises(DatasetError, match=r"2 faces are both .* row 4"):
        given_rows([1, 4, 5], [4, 5, 9])
    with pytest.raises(DatasetError, match="0 searched for"):
        given_rows([1], [])


def test_a_picture_that_is_enrolled_and_searched_for_is_told() -> None:
    rows = given_rows([0, 1], [2, 3, 4])
    assert repeated(["x", "y", "y", "z", "x"], rows).tolist() == [2, 4]
