import os
import uuid

import pyarrow as pa
import pytest

from omokage.errors import DatasetError
from omokage.shards import arrow_bytes, read_table
from omokage.storage import Folder


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_tables(tmp_path, where):
    folder = Folder.at(str(tmp_path / "a") if where == "disk" else f"memory://{uuid.uuid4().hex}/a")
    table = pa.table({"a": pa.chunked_array([[1, 2], [3]]), "b": ["x", None, "面影"]})
    folder.write("t.arrow", arrow_bytes(table))
    assert read_table(folder, "t.arrow").equals(table)
    assert read_table(folder, "t.arrow", ["b"]).equals(table.select(["b"]))
    assert arrow_bytes(table).equals(arrow_bytes(table.combine_chunks()))  # chunks leave no trace
    folder.write("none.arrow", arrow_bytes(table.slice(0, 0)))
    assert read_table(folder, "none.arrow").equals(table.slice(0, 0))
    folder.write("bad.arrow", b"no table")
    for name in ("bad.arrow", "gone.arrow"):
        with pytest.raises(DatasetError, match=f"{name} is missing or damaged"):
            read_table(folder, name)


def test_a_folder_whose_name_is_no_text(tmp_path):
    folder = Folder.at(str(tmp_path / os.fsdecode(b"un\xffdecodable")))
    table = pa.table({"a": [1]})
    folder.write("t.arrow", arrow_bytes(table))
    assert read_table(folder, "t.arrow").equals(table)
