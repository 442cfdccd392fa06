"""omokage find on drawn people, against what was planted in their folders: from pictures to findings."""

from itertools import combinations
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from conftest import run
from omokage.synth.draw import DrawConfig, draw
from omokage.synth.truth import Truth, read

pytestmark = [pytest.mark.ray, pytest.mark.long]

AGAIN = ("reencoded", "resized", "cropped")

LEAST = 0.99
"""Precision and recall."""


def rows(dataset: Path, name: str) -> list[dict]:
    return pq.read_table(dataset / "findings" / f"{name}.parquet").to_pylist()


def splits(truth: Truth) -> set[tuple[str, str]]:
    """Return the pairs of folders that show one person: those that a split made."""
    home = {file.folder: file.person for file in truth.files if file.fault in (None, "split")}
    return {(a, b) for a, b in combinations(sorted(home), 2) if home[a] == home[b]}


def away(truth: Truth) -> set[str]:
    """Return the files that show somebody else than their folder does."""
    return {file.path for file in truth.files if file.fault in ("stranger", "copied")}


def unsure(truth: Truth) -> set[str]:
    """Return the files of which a reader may say one thing or the other: a group's biggest face may be anybody's."""
    return {file.path for file in truth.files if file.fault == "group"}


def repeats(truth: Truth) -> set[tuple[str, str]]:
    """Return the pairs of files of a folder that are one shot."""
    shot = {file.path: file.original if file.fault in AGAIN else file.path for file in truth.files}
    shots: dict[str, list[str]] = {}
    for path, first in shot.items():
        shots.setdefault(first, []).append(path)
    return {pair for same in shots.values() for pair in combinations(sorted(same), 2)}


def copies(dataset: Path) -> set[tuple[str, str]]:
    clusters: dict[int, list[str]] = {}
    for row in rows(dataset, "same_face"):
        if row["kind"] in ("best", "same_shot", "same_file"):
            clusters.setdefault(row["cluster"], []).append(row["uri"])
    return {pair for same in clusters.values() for pair in combinations(sorted(same), 2)}


def compared(found: set, planted: set) -> tuple[float, float]:
    """Return precision and recall."""
    right = len(found & planted)
    return right / max(1, len(found)), right / max(1, len(planted))


def judged(truth: Truth, dataset: Path) -> dict[str, tuple[float, float]]:
    """Return precision and recall of each finding."""
    people = rows(dataset, "collision_pairs")
    same = {(row["identity_a"], row["identity_b"]) for row in people if row["verdict"] == "same_person"}
    strange = {row["uri"] for row in rows(dataset, "outliers")} - unsure(truth)
    return {
        "collisions": compared(same, splits(truth)),
        "same-face": compared(copies(dataset), repeats(truth)),
        "outliers": compared(strange, away(truth)),
    }


@pytest.mark.parametrize("seed", [5, 6])
def test_what_was_planted_among_drawn_people_is_found_and_nothing_else(seed, tmp_path):
    draw(DrawConfig(people=36, pictures=12, size=256, seed=seed), tmp_path)
    assert run("ingest", tmp_path / "pictures", tmp_path / "data", "--json").status == 0
    ran = run("find", tmp_path / "data", "--json")
    assert ran.status == 0, ran.err
    truth = read(tmp_path)
    assert splits(truth) and away(truth) and repeats(truth)
    found = judged(truth, tmp_path / "data")
    assert all(share >= LEAST for pair in found.values() for share in pair), found
