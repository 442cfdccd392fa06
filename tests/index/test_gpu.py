"""What a GPU does in a join: the same pairs as a CPU, and what of it can be tried without a card is tried."""

import numpy as np
import pytest
import torch
from segments import made, named, slow

from crowd import Crowd
from omokage.index import product
from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.join import MATCH, Join
from omokage.index.lists import train
from omokage.index.side import Rule, Side

T = 0.5

card = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.fixture(scope="module")
def crowd():
    whole = Crowd(folders=60, faces=25, dim=128, splits=0.2, seed=7).whole()
    return whole.vectors_ND, whole.folder_N.astype(np.int32)


def codes(count, length, seed):
    rng = np.random.default_rng([seed, count])
    return torch.from_numpy(rng.integers(-127, 128, (count, length)).astype(np.int8))


def pairs_on(device, crowd, kind, lists, place):
    """Return the pairs of a join whose codes are held on a device, some of the faces being there before the others."""
    vectors_ND, label_N = crowd
    coder, centroids = Coder.fit(kind, vectors_ND), train(vectors_ND, lists)
    parts = [made(place / name, vectors_ND[some], label_N[some], coder, centroids) for name, some in HALVES.items()]
    faces = Faces(parts)
    found = [np.zeros(0, MATCH)]
    for numbers, before in ((range(1), range(0)), (range(1, 2), range(1))):
        sides = [Side(faces, each, Rule(), T, device) for each in (numbers, before)]
        join = Join(coder, faces, *sides, label_N, T)
        found += [join(unit) for unit in join.units(5)]
    return named(np.concatenate(found))


HALVES = {"a": slice(0, 600), "b": slice(600, 1500)}


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_codes_that_are_held_give_the_pairs_of_codes_that_are_mapped(crowd, kind, tmp_path):
    truth = slow(*crowd, T)
    held = pairs_on("cpu:0", crowd, kind, 1, tmp_path / "one")  # held in memory, as on a GPU
    assert held.keys() == truth.keys()
    assert pairs_on("cpu:0", crowd, kind, 40, tmp_path / "held") == pairs_on(
        "cpu", crowd, kind, 40, tmp_path / "mapped"
    )


@pytest.mark.parametrize("rows", [1, 7, 16, 17, 24, 100])
@pytest.mark.parametrize("columns", [1, 8, 9, 33])
def test_products_are_made_of_sizes_that_a_gpu_takes_and_are_those_of_a_cpu(rows, columns, monkeypatch):
    bare, seen = torch._int_mm, []

    def strict(a, b):
        seen.append(a.shape)
        assert a.shape[0] > 16 and not a.shape[0] % 8 and not a.shape[1] % 8 and not b.shape[1] % 8
        return bare(a, b)

    a, b = codes(rows, 128, 0), codes(columns, 128, 1)
    want = a.numpy().astype(np.int64) @ b.numpy().astype(np.int64).T
    monkeypatch.setattr(torch, "_int_mm", strict)
    assert np.array_equal(product.products_on_gpu(a, b).numpy(), want)
    assert seen


@pytest.mark.parametrize("width", [128, 4096])
def test_a_floor_in_float32_loses_no_pair(width):
    """The widest products do not fit into a float32: about them it must rather take one too many."""
    found = product.products(codes(64, width, 2).abs(), codes(64, width, 3).abs())
    found += 2**24 if width > 1000 else 0
    values = np.unique(found.numpy())[::200]
    for floor in np.concatenate([values, values - 0.3, values + 0.3]).tolist():
        want = set(zip(*product.reaching(found, floor), strict=True))
        got = set(zip(*product.reaching_on_gpu(found, floor), strict=True))
        assert want <= got
        if width < 1000:
            assert want == got
        else:
            assert all(found[pair] >= floor * (1 - 2**-23) for pair in got)


@pytest.mark.parametrize("upper", [False, True])
def test_blocks_of_a_gpus_size_give_the_same_pairs(upper, monkeypatch):
    a = codes(1500, 32, 4)
    want = {(i, j) for rows in product.above(a, a, 40_000, upper) for i, j in zip(*rows, strict=True)}
    monkeypatch.setattr(product, "ROWS", {"cpu": product.ROWS["cuda"]})
    monkeypatch.setattr(product, "COLUMNS", {"cpu": product.COLUMNS["cuda"]})
    assert {(i, j) for rows in product.above(a, a, 40_000, upper) for i, j in zip(*rows, strict=True)} == want
    assert len(want) > 100


@pytest.mark.gpu
@card
@pytest.mark.parametrize("kind", ["int8", "float32"])
@pytest.mark.parametrize("lists", [1, 40])
def test_a_gpu_gives_exactly_the_pairs_of_a_cpu(crowd, kind, lists, tmp_path):
    there = pairs_on("cuda", crowd, kind, lists, tmp_path / "there")
    assert there == pairs_on("cpu", crowd, kind, lists, tmp_path / "here")
    if lists == 1:
        assert there.keys() == slow(*crowd, T).keys()


@pytest.mark.gpu
@card
@pytest.mark.parametrize("rows", [1, 17, 1000])
def test_products_on_a_gpu_are_exact(rows):
    a, b = codes(rows, 512, 5), codes(999, 512, 6)
    assert torch.equal(product.products(a.cuda(), b.cuda()).cpu(), product.products(a, b))
