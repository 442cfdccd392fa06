"""Codes: products within the bound that is promised, on kind data and on unkind."""

import numpy as np
import pytest

from omokage.index.coder import Coder


def unit(values_ND):
    return (values_ND / np.linalg.norm(values_ND, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("dim", [1, 3, 64, 127, 128, 512])
def test_products_of_codes_stay_within_the_margin(dim):
    rng = np.random.default_rng(dim)
    vectors_ND = unit(rng.standard_normal((400, dim)) * np.arange(1, dim + 1) ** -0.6)
    coder = Coder.fit("int8", vectors_ND[:50])
    codes_NE, error = coder.encode(vectors_ND)
    by_code = codes_NE.astype(np.int64) @ codes_NE.astype(np.int64).T * coder.unit
    exact = vectors_ND.astype(np.float64) @ vectors_ND.T.astype(np.float64)
    assert np.abs(by_code - exact).max() <= coder.margin(error, error)
    assert codes_NE.shape == (400, coder.length) and coder.length % 16 == 0


def test_the_margin_holds_where_codes_are_cut_off():
    flat_ND = unit(np.ones((10, 64)) + 0.01 * np.random.default_rng(0).standard_normal((10, 64)))
    coder = Coder.fit("int8", flat_ND)
    spikes_ND = np.eye(64, dtype=np.float32)  # none like the sample
    codes_NE, error = coder.encode(spikes_ND)
    off = codes_NE.astype(np.int64) @ codes_NE.astype(np.int64).T * coder.unit - np.eye(64)
    assert np.abs(off).max() <= coder.margin(error, error)


def test_the_rotation_keeps_the_margin_small_where_few_numbers_hold_all():
    rng = np.random.default_rng(1)
    steep_ND = unit(rng.standard_normal((1000, 512)) * np.arange(1, 513) ** -0.6)
    coder = Coder.fit("int8", steep_ND)
    _, error = coder.encode(steep_ND)
    plain = np.abs(steep_ND).max() / 127 * np.sqrt(512 / 12)  # what rounding without a rotation costs
    assert coder.margin(error, error) < 0.06 < 2 * plain


def test_the_same_vector_has_the_same_code_in_any_company():
    rng = np.random.default_rng(2)
    vectors_ND = unit(rng.standard_normal((100, 128)))
    coder = Coder.fit("int8", vectors_ND)
    whole, _ = coder.encode(vectors_ND)
    alone, _ = coder.encode(vectors_ND[17:18])
    assert np.array_equal(whole[17:18], alone)


def test_float32_codes_are_the_vectors():
    vectors_ND = unit(np.random.default_rng(3).standard_normal((5, 24)))
    coder = Coder.fit("float32", vectors_ND)
    codes, error = coder.encode(vectors_ND)
    assert np.array_equal(codes, vectors_ND) and error == 0 and coder.unit == 1


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_decoding_undoes_the_rotation(kind):
    vectors_ND = unit(np.random.default_rng(4).standard_normal((700, 72)))
    coder = Coder.fit(kind, vectors_ND)
    codes_NE, error = coder.encode(vectors_ND)
    back_ND = coder.decode(codes_NE.astype(np.float32))
    assert np.linalg.norm(back_ND - vectors_ND, axis=1).max() <= error + 1e-5
