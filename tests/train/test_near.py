"""Who hangs together, against a slow and obvious search."""

import numpy as np
import pytest
from numpy.typing import NDArray

from crowd import Crowd
from omokage.train import near
from omokage.train.near import tied

Ints = NDArray[np.int64]


def slowly(vectors_ND: NDArray[np.float32], of_N: Ints, threshold: float, label_N: Ints | None = None) -> Ints:
    """Return components by looking at all pairs, over and over."""
    found = of_N.copy()
    similarity = vectors_ND.astype(np.float64) @ vectors_ND.astype(np.float64).T
    near_NN = similarity >= threshold
    if label_N is not None:
        near_NN &= label_N[:, None] == label_N
    for a, b in zip(*np.nonzero(np.triu(near_NN, 1)), strict=True):
        found[found == found[b]] = found[a]
    return found


def same(a: Ints, b: Ints) -> bool:
    """Return whether two numberings say the same of who is together."""
    pairs = set(zip(a.tolist(), b.tolist(), strict=True))
    return len(pairs) == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.parametrize("threshold", [0.5, 0.75, 0.95])
@pytest.mark.parametrize("kind", ["int8", "float32"])
@pytest.mark.parametrize("dim", [24, 128])
def test_people_hang_together_as_by_a_slow_search(
    dim: int, kind: str, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near, "FEW", 0)
    monkeypatch.setattr(near, "rate", lambda each, length, device: float(each == kind))
    block = Crowd(folders=60, faces=20, dim=dim, seed=dim, splits=0.2, repeats=0.1, hard=0.02).whole()
    found = tied(block.vectors_ND, block.folder_N, threshold)
    assert same(found, slowly(block.vectors_ND, block.folder_N, threshold))


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_pairs_at_the_threshold_are_decided_by_the_vectors(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of 400 pairs lie just above, half just below, nearer than codes can tell."""
    monkeypatch.setattr(near, "FEW", 0)
    monkeypatch.setattr(near, "rate", lambda each, length, device: float(each == kind))
    rng = np.random.default_rng(0)
    first_ND = rng.standard_normal((400, 128))
    first_ND /= np.linalg.norm(first_ND, axis=1, keepdims=True)
    other_ND = rng.standard_normal((400, 128))
    other_ND -= (other_ND * first_ND).sum(1, keepdims=True) * first_ND
    other_ND /= np.linalg.norm(other_ND, axis=1, keepdims=True)
    above_N = np.arange(400) % 2 == 0
    cosine_N1 = np.where(above_N, 0.95 + 2e-6, 0.95 - 2e-6)[:, None]
    second_ND = cosine_N1 * first_ND + np.sqrt(1 - cosine_N1**2) * other_ND
    found = tied(np.concatenate([first_ND, second_ND]).astype(np.float32), np.arange(800), 0.95)
    assert (found[:400] == found[400:]).tolist() == above_N.tolist()


@pytest.mark.parametrize("faces", [3, 40, 700])
def test_pictures_of_a_person_hang_together_as_by_a_slow_search(faces: int) -> None:
    """700: a person of more than one strip. Rows come in no order of people."""
    block = Crowd(folders=1600 // faces, faces=faces, dim=32, repeats=0.2, splits=0.5).whole()
    order = np.random.default_rng(1).permutation(len(block.folder_N))
    vectors_ND, label_N, alone_N = block.vectors_ND[order], block.folder_N[order], np.arange(len(order))
    found = tied(vectors_ND, alone_N, 0.93, label_N)
    assert same(found, slowly(vectors_ND, alone_N, 0.93, label_N))
    assert len(np.unique(found)) < len(found)


def test_a_chain_hangs_together_by_its_links() -> None:
    """Each is like the next one only: angles of 15 degrees, of which one step counts and two do not."""
    angle_N = np.deg2rad(15 * np.arange(12))
    vectors_ND = np.stack([np.cos(angle_N), np.sin(angle_N)] + [0 * angle_N] * 14, axis=1).astype(np.float32)
    assert len(np.unique(tied(vectors_ND, np.arange(12), 0.95))) == 1
    assert len(np.unique(tied(np.delete(vectors_ND, 5, axis=0), np.arange(11), 0.95))) == 2


def test_an_encoder_that_sees_no_difference_ties_all_and_takes_no_longer() -> None:
    vectors_ND = np.random.default_rng(0).standard_normal((6000, 16), np.float32) * 0.01 + 1
    assert len(np.unique(tied(vectors_ND, np.arange(6000), 0.95))) == 1


def test_what_is_no_direction_is_like_nothing() -> None:
    vectors_ND = np.zeros((6, 16), np.float32)
    vectors_ND[1] = np.nan
    vectors_ND[2:4, 0] = 3.0
    vectors_ND[5, 1] = np.inf
    assert same(tied(vectors_ND, np.arange(6), 0.95), np.array([0, 1, 2, 2, 4, 5]))
