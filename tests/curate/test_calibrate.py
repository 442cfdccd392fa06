"""Thresholds at a false match rate, against crowds whose people are known."""

import itertools
import json
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest
from galleries import gallery_of, of_crowd

from crowd import Crowd
from omokage.curate import impostors
from omokage.curate.calibrate import Calibration, calibrate
from omokage.curate.gallery import Gallery
from omokage.errors import ConfigError


def unit(values_ND: np.ndarray) -> np.ndarray:
    return values_ND / np.linalg.norm(values_ND, axis=1, keepdims=True)


def rate_among_fresh_people(crowd: Crowd, threshold: float, pairs: int = 25_000_000) -> float:
    """Return the share of pairs of new people of the same kind at or above a threshold."""
    rng, hits, seen, side = np.random.default_rng(99), 0, 0, 3000
    spectrum_D = np.arange(1, crowd.dim + 1, dtype=np.float32) ** -crowd.decay
    spectrum_D /= np.linalg.norm(spectrum_D)
    while seen < pairs:
        centre_ND = unit(rng.standard_normal((side, crowd.dim), np.float32) * spectrum_D)
        noise_ND = rng.standard_normal((side, crowd.dim), np.float32) * spectrum_D
        face_ND = unit(centre_ND + np.float32(np.sqrt(1 / crowd.genuine - 1)) * noise_ND)
        hits += int(np.triu(face_ND @ face_ND.T >= threshold, 1).sum())
        seen += side * (side - 1) // 2
    return hits / seen


@pytest.mark.parametrize(("folders", "faces"), [(150, 20), (600, 6)])
@pytest.mark.parametrize(("dim", "decay"), [(128, 0.0), (128, 0.35), (512, 0.35), (512, 0.6)])
def test_splits_and_strangers_do_not_move_the_threshold(folders: int, faces: int, dim: int, decay: float) -> None:
    plain = {"folders": folders, "faces": faces, "dim": dim, "decay": decay, "seed": 3}
    clean = calibrate(of_crowd(Crowd(**plain, splits=0, strangers=0, repeats=0)))
    dirty = calibrate(of_crowd(Crowd(**plain, splits=0.1, strangers=0.05)))
    assert dirty.threshold == pytest.approx(clean.threshold, abs=0.02)
    assert dirty.left_out > 0.5 * folders / 20 * faces**2


@pytest.mark.parametrize(("dim", "decay"), [(128, 0.0), (128, 0.35), (512, 0.6)])
def test_new_people_match_at_the_stated_rate(dim: int, decay: float) -> None:
    crowd = Crowd(folders=400, faces=10, dim=dim, decay=decay, seed=5, splits=0.1, strangers=0.05)
    for fmr in (1e-4, 1e-5):
        found = rate_among_fresh_people(crowd, calibrate(of_crowd(crowd), fmr).threshold)
        assert fmr / 3 < found < fmr * 3


def test_a_small_gallery_is_counted_as_a_loop_counts_it() -> None:
    whole = Crowd(folders=12, faces=6, splits=0, strangers=0, repeats=0).whole()
    found = calibrate(gallery_of(whole.vectors_ND, whole.folder_N), fmr=0.05)
    impostor, genuine = [], []
    for a in range(len(whole.folder_N)):
        for b in range(a):
            similarity = float(whole.vectors_ND[a] @ whole.vectors_ND[b])
            (genuine if whole.folder_N[a] == whole.folder_N[b] else impostor).append(similarity)
    assert found.pairs == len(impostor)
    assert sum(found.impostor) == len(impostor)
    assert sum(found.genuine) == len(genuine)
    assert (
        np.mean(np.array(impostor) >= found.threshold) <= 0.05 < np.mean(np.array(impostor) >= found.threshold - 3e-4)
    )
    at = found.threshold
    assert found.fmr_at(at) == pytest.approx(np.mean(np.array(impostor) >= at), rel=0.02)


def test_the_rate_falls_with_the_similarity_also_where_nothing_was_seen() -> None:
    found = calibrate(of_crowd(Crowd(folders=60, faces=8)))
    rates = [found.fmr_at(similarity) for similarity in np.linspace(-1, 1, 101)]
    assert rates[0] == pytest.approx(1)
    assert all(after <= before for before, after in itertools.pairwise(rates))
    assert found.fmr_at(found.threshold) == pytest.approx(found.fmr, rel=0.05)
    assert found.how == "extrapolated"
    assert Calibration(**json.loads(json.dumps(asdict(found)))).fmr_at(0.7) == pytest.approx(found.fmr_at(0.7))


def test_the_order_of_rows_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impostors, "FACES", 1000)
    whole = Crowd(folders=150, faces=10).whole()
    straight = gallery_of(whole.vectors_ND, whole.folder_N)
    turn_N = np.random.default_rng(0).permutation(len(whole.folder_N))
    turned = Gallery(
        straight.faces.take(pa.array(turn_N)),
        whole.vectors_ND[turn_N],
        straight.label_N[turn_N],
        straight.names,
        straight.chips,
    )
    assert calibrate(turned) == calibrate(straight)


def test_one_person_gives_no_threshold() -> None:
    with pytest.raises(ConfigError, match="two people"):
        calibrate(of_crowd(Crowd(folders=1)))


def test_nobody_gives_no_threshold() -> None:
    with pytest.raises(ConfigError, match="two people"):
        calibrate(gallery_of(np.zeros((0, 8)), np.zeros(0)))


def test_equal_vectors_give_no_threshold() -> None:
    vectors_ND = np.tile(unit(np.ones((1, 16))), (60, 1))
    with pytest.raises(ConfigError, match="--threshold"):
        calibrate(gallery_of(vectors_ND, np.arange(60) // 6))


def test_two_people_give_a_threshold_above_what_they_share() -> None:
    crowd = Crowd(folders=2, faces=20, splits=0, strangers=0)
    whole = crowd.whole()
    found = calibrate(of_crowd(crowd))
    assert (whole.vectors_ND[:20] @ whole.vectors_ND[20:].T).max() < found.threshold < 1


def test_one_face_each_gives_a_threshold() -> None:
    found = calibrate(of_crowd(Crowd(folders=500, faces=1, splits=0)))
    assert 0.5 < found.threshold < 0.7
    assert sum(found.genuine) == 0


def test_copies_of_one_picture_everywhere_do_not_make_the_threshold() -> None:
    whole = Crowd(folders=100, faces=20, splits=0, strangers=0).whole()
    vectors_ND = whole.vectors_ND.copy()
    vectors_ND[np.random.default_rng(0).random(len(vectors_ND)) < 0.9] = vectors_ND[0]
    assert 0.5 < calibrate(gallery_of(vectors_ND, whole.folder_N)).threshold < 0.75


@pytest.mark.parametrize("fmr", [0, -1, 0.5, float("nan")])
def test_rates_out_of_range_are_refused(fmr: float) -> None:
    with pytest.raises(ConfigError, match="false match rate"):
        calibrate(of_crowd(Crowd(folders=4)), fmr)
