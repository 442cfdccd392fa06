import numpy as np
import pyarrow as pa
import pytest

from omokage import schema
from omokage.stages import base

PICTURES = [
    np.arange(60, dtype=np.uint8).reshape(4, 5, 3),
    None,
    np.arange(105, dtype=np.uint8).reshape(7, 5, 3),
]


def table(pictures):
    shapes = pa.array([None if p is None else p.shape[:2] for p in pictures], schema.PIXELS.field("shape").type)
    return pa.table([base.pixel_column(pictures), shapes], schema=schema.PIXELS)


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)


@pytest.mark.parametrize("rows", [slice(0, 3), slice(1, 3), slice(2, 3), slice(1, 2), slice(0, 0)])
@pytest.mark.parametrize("joined", [False, True])
def test_pictures_come_back_from_their_column(rows, joined):
    whole = table(PICTURES).combine_chunks() if joined else table(PICTURES)
    assert_same(base.pixels(whole[rows.start : rows.stop]), PICTURES[rows])


def test_neither_way_copies_a_pixel():
    there = table(PICTURES)
    for found, picture in zip(base.pixels(there), PICTURES, strict=True):
        assert picture is None or np.shares_memory(found, picture)
    joined = there.combine_chunks()
    assert np.shares_memory(base.pixels(joined)[2], base.pixels(joined)[2])
