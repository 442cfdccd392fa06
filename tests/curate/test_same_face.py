from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from crowd import Crowd, gallery
from omokage import schema
from omokage.curate import same_face as module
from omokage.curate import shots
from omokage.curate.gallery import Gallery
from omokage.curate.same_face import SameFaceConfig, find_floor, judge, numbered, same_face
from omokage.errors import ConfigError
from omokage.vision import codec
from omokage.vision.likeness import SAME_SHOT, pixels_alike

CONFIG = SameFaceConfig()


def made(tmp_path: Path, **settings: Any) -> tuple[Gallery, Crowd]:
    crowd = Crowd(**{"folders": 8, "faces": 15, "repeats": 0.2, "chips": True, **settings})
    return gallery(crowd.write(str(tmp_path / f"{crowd.seed}-{crowd.dim}"))), crowd


def shot_of(crowd: Crowd) -> dict[str, int]:
    """Return the number of the shot that each uri shows."""
    block = crowd.whole()
    shot_N = np.where(block.original_N >= 0, block.original_N, np.arange(len(block.original_N)))
    names = [f"{crowd.name(f)}/{n:05d}.jpg" for f, n in zip(block.folder_N, block.number_N, strict=True)]
    return dict(zip(names, shot_N.tolist(), strict=True))


def pairs(groups: dict[Any, list[str]]) -> set[tuple[str, str]]:
    return {(a, b) for uris in groups.values() for a in uris for b in uris if a < b}


def found_pairs(table: pa.Table) -> set[tuple[str, str]]:
    groups: dict[int, list[str]] = {}
    for row in table.to_pylist():
        if row["kind"] in ("best", "same_file", "same_shot"):
            groups.setdefault(row["cluster"], []).append(row["uri"])
    return pairs(groups)


def true_pairs(crowd: Crowd) -> set[tuple[str, str]]:
    groups: dict[int, list[str]] = {}
    for uri, shot in shot_of(crowd).items():
        groups.setdefault(shot, []).append(uri)
    return pairs(groups)


def changed(old: Gallery, vectors: NDArray[np.float32] | None = None, **columns: Any) -> Gallery:
    """Return a gallery with other vectors or columns of faces."""
    faces = old.faces
    for name, values in columns.items():
        place = faces.column_names.index(name)
        faces = faces.set_column(place, name, pa.array(values, faces.schema.field(name).type))
    return Gallery(faces, old.vectors if vectors is None else vectors, old.label_N, old.names, old.chips)


def frames(count: int, step: float, seed: int = 0) -> list[bytes]:
    """Return chips of a scene that changes by and by, as a video does."""
    rng = np.random.default_rng(seed)
    first, last = (blots(rng) for _ in range(2))
    return [codec.encode_jpeg(mixed(first, last, step * number)) for number in range(count)]


def blots(rng: np.random.Generator) -> NDArray[np.float64]:
    fine = rng.standard_normal((112, 112))
    wave = np.exp(-(np.fft.fftfreq(112)[:, None] ** 2 + np.fft.fftfreq(112) ** 2) / (2 * 0.05**2))
    out = np.fft.ifft2(np.fft.fft2(fine) * wave).real
    return np.asarray(out / out.std())


def mixed(first: NDArray[np.float64], last: NDArray[np.float64], share: float) -> NDArray[np.uint8]:
    grey = np.clip(128 + 40 * (np.cos(share) * first + np.sin(share) * last), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def one_person(chips: list[bytes], alike: float = 0.99, seed: int = 0) -> Gallery:
    """Return a person whose faces are all about as similar as said; the side falls from face to face."""
    rng = np.random.default_rng(seed)
    own_ND = rng.standard_normal((len(chips), 64)).astype(np.float32)
    own_ND /= np.linalg.norm(own_ND, axis=1, keepdims=True)
    mean_D = np.zeros(64, np.float32)
    mean_D[0] = 1
    vectors_ND = np.sqrt(alike) * mean_D + np.sqrt(1 - alike) * own_ND
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    count = len(chips)
    faces = pa.table(
        {
            "face_id": [f"{number:06d}" for number in range(count)],
            "uri": [f"a/{number:06d}.jpg" for number in range(count)],
            "sha256": [f"{number:064d}" for number in range(count)],
            "identity": ["a"] * count,
            "score": pa.array([0.9] * count, pa.float32()),
            "side": pa.array(np.linspace(300, 200, count), pa.float32()),
            **{name: pa.array([0.5] * count, pa.float32()) for name in schema.QUALITY_NAMES[1:]},
        }
    )
    return Gallery(faces, vectors_ND, np.zeros(count, np.int32), ["a"], lambda rows: [chips[row] for row in rows])


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"seed": 2, "dim": 512, "decay": 0.6, "hard": 0.2, "strangers": 0.1},
        {"seed": 3, "decay": 0.0, "genuine": 0.9},
        {"seed": 4, "folders": 2, "faces": 80, "repeats": 0.4},
        {"seed": 5, "folders": 60, "faces": 3, "repeats": 0.5},
    ],
)
def test_planted_repeats_are_found_and_nothing_else(tmp_path: Path, settings: dict[str, Any]) -> None:
    faces, crowd = made(tmp_path, **settings)
    found, planted = found_pairs(same_face(faces, CONFIG)), true_pairs(crowd)
    assert len(planted) > 10
    assert len(found & planted) >= 0.99 * max(len(found), len(planted))


def test_photos_with_the_same_embedding_are_kept(tmp_path: Path) -> None:
    faces, _ = made(tmp_path, repeats=0.0, faces=12)
    vectors_ND = np.array(faces.vectors[:])
    for label in range(len(faces.names)):
        rows = faces.rows(label)
        vectors_ND[rows[1::2]] = vectors_ND[rows[::2]]
    table = same_face(changed(faces, vectors=vectors_ND), CONFIG)
    assert set(table["kind"].to_pylist()) == {"best", "other_shot"}
    assert table["keep"].to_pylist() == [True] * table.num_rows
    assert table.num_rows == len(vectors_ND)
    assert all(row["pixels"] < SAME_SHOT for row in table.to_pylist() if row["kind"] != "best")


def test_a_copy_that_the_encoder_finds_unlike_is_found_by_its_pixels(tmp_path: Path) -> None:
    faces, crowd = made(tmp_path, repeats=0.1, genuine=0.5)
    vectors_ND = np.array(faces.vectors[:])
    slip_ND = np.random.default_rng(0).standard_normal(vectors_ND.shape).astype(np.float32)
    vectors_ND += 0.42 * slip_ND / np.linalg.norm(slip_ND, axis=1, keepdims=True)  # copies to 0.85, photos to 0.43
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    slipped = changed(faces, vectors=vectors_ND)
    found, planted = found_pairs(same_face(slipped, CONFIG)), true_pairs(crowd)
    assert found <= planted
    assert len(found) >= 0.99 * len(planted)
    blind = replace(CONFIG, look=0.0)
    assert same_face(slipped, blind).num_rows == 0
    some = replace(CONFIG, look=0.3)  # a fifth of the faces are or have copies
    assert 0.4 < find_floor(slipped, some) < 0.8
    assert len(found_pairs(same_face(slipped, some))) >= 0.95 * len(planted)


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    faces, _ = made(tmp_path)
    order = np.random.default_rng(0).permutation(len(faces.label_N))
    shuffled = Gallery(
        faces.faces.take(pa.array(order)),
        np.array(faces.vectors[:])[order],
        faces.label_N[order],
        faces.names,
        lambda rows: faces.chips(order[rows]),
    )
    table, again = same_face(faces, CONFIG), same_face(shuffled, CONFIG)
    figures = ["similarity", "pixels"]
    assert table.drop_columns(figures).equals(again.drop_columns(figures))
    for name in figures:
        np.testing.assert_allclose(table[name].to_numpy(), again[name].to_numpy(), atol=1e-5)


def test_people_judged_apart_are_the_same_as_together(tmp_path: Path) -> None:
    faces, _ = made(tmp_path)
    floor = find_floor(faces, CONFIG)
    apart = numbered(judge(faces, CONFIG, floor, label, label + 1) for label in range(len(faces.names)))
    assert apart.equals(same_face(faces, CONFIG))
    assert apart["cluster"].to_pylist() == sorted(apart["cluster"].to_pylist())


def test_without_chips_only_equal_files_go(tmp_path: Path) -> None:
    faces, _ = made(tmp_path, chips=False)
    shas = faces.faces["sha256"].to_pylist()
    vectors_ND = np.array(faces.vectors[:])
    rows = faces.rows(3)
    shas[rows[1]], vectors_ND[rows[1]] = shas[rows[0]], vectors_ND[rows[0]]
    assert find_floor(faces, CONFIG) == CONFIG.threshold
    table = same_face(changed(faces, sha256=shas, vectors=vectors_ND), CONFIG).to_pylist()
    assert {row["kind"] for row in table} == {"best", "unknown", "same_file"}
    assert [row["kind"] for row in table if not row["keep"]] == ["same_file"]
    assert all(row["pixels"] is None for row in table if row["kind"] != "best")


def test_two_faces_of_one_file_are_no_copies() -> None:
    chips = [frames(1, 0, seed)[0] for seed in range(2)]
    twins = changed(one_person(chips), sha256=["5" * 64] * 2)
    assert same_face(twins, CONFIG)["kind"].to_pylist() == ["best", "other_shot"]


def test_a_broken_chip_proves_nothing() -> None:
    chips = [*frames(2, 0.0), b"no picture", b""]
    table = {row["uri"]: row for row in same_face(one_person(chips), CONFIG).to_pylist()}
    assert [table[f"a/{n:06d}.jpg"]["kind"] for n in range(4)] == ["best", "same_shot", "unknown", "unknown"]


def test_what_goes_is_itself_the_shot_that_is_kept() -> None:
    chips = frames(40, 0.04)
    assert pixels_alike(chips[0], chips[1]) >= SAME_SHOT > pixels_alike(chips[0], chips[20])
    table = same_face(one_person(chips), CONFIG).to_pylist()
    best = {row["cluster"]: int(row["face_id"]) for row in table if row["kind"] == "best"}
    gone = [row for row in table if not row["keep"]]
    assert 3 < len(best) < 30
    assert len(gone) > 10
    for row in gone:
        assert pixels_alike(chips[int(row["face_id"])], chips[best[row["cluster"]]]) >= SAME_SHOT
    assert len({row["face_id"] for row in table}) == len(table)


def test_a_video_costs_a_few_comparisons_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    chips = frames(150, 0.5) + frames(50, 0.5)
    asked = []
    real = shots.likeness.compare
    monkeypatch.setattr(shots.likeness, "compare", lambda a, b: asked.append(1) or real(a, b))
    monkeypatch.setattr(shots, "BLOCK", 64)
    monkeypatch.setattr(module, "FETCHED", 64)
    table = same_face(one_person(chips, alike=0.999), CONFIG)
    assert len(asked) <= (shots.TRIED + 1) * len(chips)
    assert table.num_rows == len(chips)


def test_blocks_and_fetches_of_any_size_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, _ = made(tmp_path, folders=2, faces=100, repeats=0.4)
    floor = find_floor(faces, CONFIG)
    whole = numbered([judge(faces, CONFIG, floor, 0, 2)])
    for module_, name, value in ((shots, "BLOCK", 7), (shots, "LOOKS", 3), (module, "FETCHED", 2)):
        monkeypatch.setattr(module_, name, value)
    parts = numbered([judge(faces, CONFIG, floor, 0, 2)])
    assert parts.drop_columns(["similarity"]).equals(whole.drop_columns(["similarity"]))


def test_the_bigger_file_is_kept(tmp_path: Path) -> None:
    chips = frames(1, 0.0) * 3
    sides = np.array([60, 120, 121], np.float32)
    sharp = np.array([0.9, 0.6, 0.5], np.float32)
    table = same_face(changed(one_person(chips), side=sides, sharpness=sharp), CONFIG).to_pylist()
    assert [(row["uri"][-5], row["keep"]) for row in table] == [("1", True), ("2", False), ("0", False)]
    assert "kept 120 px over 60 px" in table[2]["reason"]
    assert table[1]["kind"] == "same_shot"


def test_nothing_to_compare() -> None:
    empty = one_person([])
    assert same_face(empty, CONFIG).equals(schema.SAME_FACE.empty_table())
    assert same_face(one_person(frames(1, 0.0)), CONFIG).num_rows == 0


def test_bad_settings_are_refused() -> None:
    for wrong in ({"threshold": 0.0}, {"threshold": 1.1}, {"pixels": -0.5}, {"look": 1.5}):
        with pytest.raises(ConfigError, match=r"same_face\."):
            replace(CONFIG, **wrong)
