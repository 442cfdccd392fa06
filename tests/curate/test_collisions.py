"""Pairs of folders that are one person, against planted splits."""

import numpy as np
import pyarrow as pa
import pytest
from galleries import gallery_of, of_crowd

from crowd import Crowd
from omokage import schema
from omokage.curate.calibrate import calibrate
from omokage.curate.collisions import CollisionConfig, Judge
from omokage.curate.gallery import Gallery
from omokage.curate.groups import groups
from omokage.curate.hits import Hits, aggregate
from omokage.errors import ConfigError


def joined(gallery: Gallery, threshold: float) -> Hits:
    """Return what a join finds, by one product."""
    every = gallery.vectors[:] @ gallery.vectors[:].T
    row_a, row_b = np.nonzero(np.triu(every >= threshold, 1) & (gallery.label_N[:, None] != gallery.label_N))
    return aggregate(row_a, row_b, every[row_a, row_b], gallery.label_N)


def judged(gallery: Gallery, **settings: float) -> pa.Table:
    calibration = calibrate(gallery)
    hits = joined(gallery, calibration.threshold)
    return Judge(gallery, CollisionConfig(**settings)).pairs(hits, calibration.threshold)


def pairs_with(table: pa.Table, verdict: str) -> set[tuple[int, int]]:
    rows = [row for row in table.to_pylist() if row["verdict"] == verdict]
    return {(int(row["identity_a"]), int(row["identity_b"])) for row in rows}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("hard", [0.0, 0.1])
def test_planted_splits_are_found_and_nothing_else(seed: int, hard: float) -> None:
    crowd = Crowd(folders=100, faces=20, seed=seed, strangers=0.05 if hard else 0.02, hard=hard)
    table = judged(of_crowd(crowd))
    assert table.schema.equals(schema.COLLISION_PAIRS)
    assert pairs_with(table, "same_person") == set(crowd.split_pairs)


@pytest.mark.parametrize(("folders", "faces"), [(400, 3), (400, 5), (30, 8), (20, 100)])
@pytest.mark.parametrize("dim", [128, 512])
def test_other_sizes(folders: int, faces: int, dim: int) -> None:
    crowd = Crowd(folders=folders, faces=faces, dim=dim, seed=1, splits=0.1)
    assert pairs_with(judged(of_crowd(crowd)), "same_person") == set(crowd.split_pairs)


def test_figures_are_what_all_cross_pairs_give() -> None:
    gallery = of_crowd(Crowd(folders=40, faces=7, splits=0.2, seed=2))
    threshold = calibrate(gallery).threshold
    for row in judged(gallery).to_pylist():
        a, b = (gallery.vectors[gallery.rows(int(row[name]))] for name in ("identity_a", "identity_b"))
        cross = a @ b.T
        assert row["identity_a"] < row["identity_b"]
        assert row["cross"] == pytest.approx(cross.mean(), abs=1e-5)
        assert row["within_a"] == pytest.approx((a @ a.T)[np.triu_indices(len(a), 1)].mean(), abs=1e-5)
        assert row["hits"] == (cross >= threshold).sum()
        assert row["hit_faces_a"] == (cross >= threshold).any(axis=1).sum()
        assert row["share"] == pytest.approx((cross >= threshold).mean(), abs=1e-6)
        assert (row["best"] is None) == (row["hits"] == 0)


def test_a_stray_face_is_told_from_a_split() -> None:
    crowd = Crowd(folders=60, faces=12, splits=0, strangers=0, seed=4)
    whole = crowd.whole()
    label_N = whole.folder_N.copy()
    label_N[:2] = 30  # two faces of folder 0 lie in folder 30
    gallery = gallery_of(whole.vectors_ND, label_N)
    (row,) = [row for row in judged(gallery).to_pylist() if row["hits"]]
    assert (row["identity_a"], row["identity_b"], row["verdict"]) == ("00000", "00030", "stray_face")
    assert (row["hit_faces_b"], row["group"]) == (2, None)
    assert "2 of 14" in row["reason"]


def test_a_folder_of_two_people_is_not_simply_one_of_them() -> None:
    whole = Crowd(folders=60, faces=12, splits=0, strangers=0, seed=4).whole()
    label_N = whole.folder_N.copy()
    label_N[:6] = 30
    label_N[12 * 30 : 12 * 30 + 6] = 0  # half of folder 0 is person 30, half of folder 30 is person 0
    gallery = gallery_of(whole.vectors_ND, label_N)
    row = judged(gallery).to_pylist()[0]
    assert (row["identity_a"], row["identity_b"], row["verdict"]) == ("00000", "00030", "unclear")


def test_three_folders_of_one_person_are_one_group() -> None:
    whole = Crowd(folders=60, faces=18, splits=0, strangers=0, seed=4).whole()
    label_N = whole.folder_N.copy()
    label_N[:6], label_N[6:12] = 60, 61
    label_N[18:27] = 62  # and another person in two
    table = judged(gallery_of(whole.vectors_ND, label_N))
    assert pairs_with(table, "same_person") == {(0, 60), (0, 61), (60, 61), (1, 62)}
    groups_found = {(row["identity_a"], row["identity_b"]): row["group"] for row in table.to_pylist()}
    assert groups_found["00000", "00060"] == groups_found["00000", "00061"] == groups_found["00060", "00061"]
    assert {groups_found["00000", "00060"], groups_found["00001", "00062"]} == {1, 2}


def test_groups_are_numbered_by_their_first_pair() -> None:
    number, people, links = groups(np.array([5, 1, 5, 8]), np.array([6, 2, 7, 9]))
    assert number.tolist() == [1, 2, 1, 3]
    assert people.tolist() == [3, 2, 3, 2]
    assert links.tolist() == [2, 1, 2, 1]


def test_the_order_of_rows_does_not_matter() -> None:
    whole = Crowd(folders=60, faces=8, seed=6, splits=0.1, strangers=0.05).whole()
    straight = gallery_of(whole.vectors_ND, whole.folder_N)
    turn_N = np.random.default_rng(0).permutation(len(whole.folder_N))
    turned = Gallery(
        straight.faces.take(pa.array(turn_N)),
        straight.vectors[turn_N],
        straight.label_N[turn_N],
        straight.names,
        straight.chips,
    )
    assert (
        judged(turned)
        .drop_columns(["score", "cross", "within_a", "within_b"])
        .equals(judged(straight).drop_columns(["score", "cross", "within_a", "within_b"]))
    )


@pytest.mark.parametrize("faces", [1, 2])
def test_small_folders(faces: int) -> None:
    crowd = Crowd(folders=200, faces=faces, dim=512, seed=1, splits=0.1, strangers=0)
    assert pairs_with(judged(of_crowd(crowd)), "same_person") == set(crowd.split_pairs)


def test_one_person_has_no_pair() -> None:
    alone = of_crowd(Crowd(folders=1))
    assert Judge(alone, CollisionConfig()).pairs(Hits.join([]), 0.5).num_rows == 0


@pytest.mark.parametrize("setting", [{"fit": 1.5}, {"fit": -0.1}, {"faces": 0}, {"people": -1}])
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"collisions.{next(iter(setting))}"):
        CollisionConfig(**setting)
