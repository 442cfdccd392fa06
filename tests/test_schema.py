import re
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omokage import schema
from omokage.errors import DatasetError

counts = st.lists(st.none() | st.integers(0, 4), max_size=8)


def column(count_N: list[int | None], width: int) -> pa.Array:
    """Return lists of numbered vectors, as a stage would make them of Python values."""
    numbers = iter(range(1000))
    lists = [None if n is None else [[float(next(numbers))] * width for _ in range(n)] for n in count_N]
    return pa.array(lists, pa.list_(schema.embedding(width)))


@settings(max_examples=100, deadline=None)
@given(counts, counts, st.integers(0, 8), st.integers(0, 8))
def test_faces_of_any_chunks_and_slices(first, second, start, length):
    """Flat, counted and per picture again, against loops over the Python values."""
    box = pa.chunked_array([column(first, 4), column(second, 4)])
    table = pa.table({"box": box}).slice(start, length)
    rows = table["box"].to_pylist()
    count_N = schema.counts(table)
    assert count_N.tolist() == [len(row or []) for row in rows]
    flat = schema.flat(table["box"])
    assert flat.to_pylist() == [face for row in rows for face in row or []]
    vectors = schema.vectors(flat, 4)
    assert vectors.shape == (len(flat), 4)
    assert vectors.tolist() == flat.to_pylist()
    again = schema.per_picture(schema.fixed(vectors), count_N)
    assert again.type == pa.list_(schema.BOX)
    assert again.to_pylist() == [row or [] for row in rows]


def test_a_column_of_no_chunks():
    empty = pa.chunked_array([], pa.list_(schema.BOX))
    assert schema.flat(empty).to_pylist() == []
    assert schema.flat(empty).type == schema.BOX
    assert schema.counts(pa.table({"box": empty})).tolist() == []


def test_fixed_takes_any_memory_order():
    values = np.arange(24, dtype=np.float64).reshape(4, 6)[::2, ::-2]
    assert schema.fixed(values).to_pylist() == values.tolist()


def test_require():
    table = pa.table({"uri": ["a"], "size": pa.array([1], pa.int32())})
    schema.require(table, pa.schema([schema.LISTED.field("uri")]), "Read")
    with pytest.raises(DatasetError, match=r"Read needs the column 'identity'; there are \['uri', 'size'\]"):
        schema.require(table, schema.LISTED, "Read")
    with pytest.raises(DatasetError, match="Read needs 'size' as int64, and it is int32"):
        schema.require(table, pa.schema([schema.LISTED.field("size")]), "Read")


def test_reasons_are_one_set_and_every_stage_keeps_to_it():
    assert {*schema.NO_FACE, *schema.RETRIED} <= set(schema.REASONS) == set(get_args(schema.Reason))
    stages = Path(schema.__file__).parent / "stages"
    given = {word for file in stages.glob("*.py") for word in re.findall(r'append\("(\w+)"\)', file.read_text())}
    assert given
    assert given <= set(schema.REASONS)


def test_no_column_has_two_meanings():
    """Pieces that meet in one table may share a name only with one type."""
    pieces = (schema.LISTED, schema.READ, schema.INSPECTED, schema.PIXELS, schema.DETECTED, schema.ALIGNED)
    whole = pa.unify_schemas([*pieces, schema.MEASURED])
    assert len(set(whole.names)) == len(whole.names)
    of_face = schema.face(128)
    for name in ("uri", "sha256", "identity"):
        assert of_face.field(name).type == whole.field(name).type == schema.MANIFEST.field(name).type
    for name in ("box", "landmarks", "score", "chip", *schema.QUALITY_NAMES):
        assert whole.field(name).type == pa.list_(of_face.field(name).type)
    assert of_face.field("embedding").type == schema.embedding(128)
