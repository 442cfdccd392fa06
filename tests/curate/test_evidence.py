"""What centres can show, against drawn folders whose true looks are known."""

import numpy as np
import pytest

from omokage.curate.evidence import Levels, reach, within


def folder(rng: np.random.Generator, faces: int, likeness: float, dim: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return a true look, and faces that are alike by ``likeness`` in the mean."""
    look_D = rng.standard_normal(dim) / np.sqrt(dim)
    rest_ND = rng.standard_normal((faces, dim)) / np.sqrt(dim)
    face_ND = look_D + np.sqrt(1 / likeness - 1) * rest_ND
    return look_D / np.linalg.norm(look_D), face_ND / np.linalg.norm(face_ND, axis=1, keepdims=True)


@pytest.mark.parametrize("faces", [2, 3, 10, 60])
@pytest.mark.parametrize("likeness", [0.4, 0.8])
def test_a_centre_reaches_as_near_as_it_should(faces: int, likeness: float) -> None:
    rng = np.random.default_rng(0)
    own, reached = [], []
    for _ in range(60):
        look_D, face_ND = folder(rng, faces, likeness)
        sum_D = face_ND.sum(axis=0)
        reached.append(sum_D @ look_D / np.linalg.norm(sum_D))
        own.append(np.mean([x @ (sum_D - x) / np.linalg.norm(sum_D - x) for x in face_ND]))
    count = np.array([float(faces)])
    shown = within(np.array([np.mean(own)]), count)
    assert shown[0] == pytest.approx(likeness, abs=0.02)
    assert reach(shown, count)[0] == pytest.approx(np.mean(reached), abs=0.02)


def test_one_face_shows_nothing_of_its_folder() -> None:
    assert within(np.array([0.0]), np.array([1.0])).tolist() == [0.0]
    assert reach(np.array([0.64]), np.array([1.0])).tolist() == pytest.approx([0.8])
    assert reach(np.array([0.64]), np.array([0.0])).tolist() == [0.0]


def levels(pairs: int) -> Levels:
    return Levels(common=0.1, rest=0.01, look=0.01, tails=((1.0, 0.0, 1.0),), half=(0.0, 1.0), pairs=pairs)


def test_odds_rise_with_likeness_and_fall_with_the_pairs_that_may_look_so_by_chance() -> None:
    likeness, reached = np.linspace(0, 0.99, 100), np.full(100, 0.97)
    odds = levels(1000).log_odds(likeness, reached, reached)
    assert (np.diff(odds) >= 0).all()
    assert odds[0] < 0 < odds[-1]
    np.testing.assert_allclose(odds - levels(100_000).log_odds(likeness, reached, reached), 2, atol=1e-9)


def test_small_folders_say_less() -> None:
    one, many = np.array([0.8]), np.array([0.99])
    common = levels(1000)
    alike = common.log_odds(one**2, one, one), common.log_odds(many**2, many, many)
    assert alike[0][0] < alike[1][0]
