"""One contract for every stage; see ``omokage.stages.base.Stage``."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from omokage.errors import ConfigError
from omokage.source import Source
from omokage.stages import base
from omokage.stages.align import Align, AlignConfig
from omokage.stages.decode import Decode, DecodeConfig
from omokage.stages.detect import Detect, DetectStageConfig
from omokage.stages.encode import Encode, EncodeConfig
from omokage.stages.inspect import Inspect
from omokage.stages.look import Look, LookConfig
from omokage.stages.measure import Measure
from omokage.stages.read import Read, ReadConfig
from omokage.synth.portrait import group, portrait
from omokage.vision import codec
from omokage.vision.crop import Crop
from omokage.vision.encoder import load_spec
from omokage.vision.faces import DetectConfig
from omokage.vision.geometry import Template

REASONS = {
    "a/1.jpg": None,
    "a/broken": "broken_link",
    "a/empty": "empty",
    "a/gone.jpg": "unreadable",
    "a/grey.jpg": "none_found",
    "a/huge.png": "too_many_pixels",
    "a/text.jpg": "not_a_picture",
    "b/2.png": None,
    "b/cut.jpg": "truncated",
    "c.jpg": None,
}
FACES = {"a/1.jpg": 1, "b/2.png": 1, "c.jpg": 2}  # nobody's picture keeps both


@dataclass(frozen=True, kw_only=True)
class Case:
    """A stage, and a table as it gets it: with rows that failed before, and rows that fail in it."""

    stage: Any
    before: pa.Table
    takes: tuple[str, ...] = ()
    """Columns that it takes away."""
    notes: tuple[str, ...] = ()
    """Columns of times, which differ from run to run."""


def fill(root: Path) -> None:
    """Write a source in which everything occurs."""
    jpeg = codec.encode_jpeg(portrait(3, 0, 0, 256).picture)
    files = {
        "a/1.jpg": jpeg,
        "a/empty": b"",
        "a/gone.jpg": b"soon gone",
        "a/grey.jpg": codec.encode_jpeg(np.full((90, 120, 3), 130, np.uint8)),
        "a/huge.png": png_header(40_000, 40_000),
        "a/text.jpg": b"no picture at all",
        "b/2.png": codec.encode_jpeg(portrait(3, 0, 1, 320).picture),  # by content a JPEG
        "b/cut.jpg": jpeg[: len(jpeg) // 2],
        "c.jpg": codec.encode_jpeg(group(3, (0, 1), 0, 320)[0].picture),
    }
    for name, data in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)
    (root / "a" / "broken").symlink_to("nowhere")


def png_header(width: int, height: int) -> bytes:
    """Return the beginning of a PNG that claims to be large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def settings(spec: Any) -> LookConfig:
    return LookConfig(
        decode=DecodeConfig(max_pixels=1_000_000),
        detect=DetectStageConfig(detector=DetectConfig(name="yunet")),
        align=AlignConfig(
            chip=Template(name="arcface", size=112),
            crop=Crop.of(spec),
        ),
    )


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Every stage with the table that the stages before it made."""
    root = tmp_path_factory.mktemp("source")
    fill(root)
    source, spec = Source.at(str(root)), load_spec("sface")
    table = source.listing()
    (root / "a" / "gone.jpg").unlink()
    how = settings(spec)
    made: dict[str, Case] = {}
    stages = [
        Read(ReadConfig(root=source.root.url)),
        Inspect(),
        Decode(how.decode),
        Detect(how.detect),
        Align(how.align),
        Measure(),
        Encode(EncodeConfig(spec=spec, runtime="opencv")),
    ]
    for stage in stages:
        name = type(stage).__name__
        takes, notes = {"Encode": (("crop",), ()), "Read": ((), ("read_at",))}.get(name, ((), ()))
        made[name] = Case(stage=stage, before=table, takes=takes, notes=notes)
        table = stage(table)
    look = Look(how)
    inside = ("inspect", "decode", "detect", "align", "measure")
    notes = tuple(base.SECONDS + name for name in inside)
    made["Look"] = Case(stage=look, before=made["Inspect"].before, takes=("data",), notes=notes)
    return made


@pytest.fixture(params=["Read", "Inspect", "Decode", "Detect", "Align", "Measure", "Encode", "Look"])
def case(request: pytest.FixtureRequest, cases: dict[str, Case]) -> Case:
    return cases[request.param]


def test_rows_keep_their_order_and_columns_their_values(case):
    before = case.before
    after = case.stage(before)
    kept = [name for name in before.column_names if name not in case.takes]
    for name in kept:
        if name != "reason":
            assert after[name].equals(before[name]), name
    added = [name for name in after.column_names if name not in kept]
    assert sorted(added) == sorted({*case.stage.adds.names, *(n for n in case.notes if n.startswith(base.SECONDS))})
    for field in case.stage.adds:
        assert after.schema.field(field.name).type == field.type


def test_rows_that_failed_stay_as_they_are(case):
    after = case.stage(case.before)
    failed = [n for n, reason in enumerate(case.before["reason"].to_pylist()) if reason is not None]
    assert failed
    for row in failed:
        assert after["reason"][row] == case.before["reason"][row]
        assert [name for name in case.stage.adds.names if after[name][row].is_valid] == []


def test_rows_that_fail_in_it_have_a_reason_and_nothing_else(case):
    after = case.stage(case.before).to_pylist()
    keep = {"found", "data", "sha256", "read_at", "format", "width", "height", *case.before.column_names}
    for row in after:
        if row["reason"] is not None:
            assert row["reason"] == REASONS[row["uri"]]
            assert [n for n in case.stage.adds.names if n not in keep and row[n] is not None] == []
        else:
            assert [n for n in case.stage.adds.names if row[n] is None] == []


def test_an_empty_batch(case):
    for nothing in (case.before.slice(0, 0), case.before.schema.empty_table()):
        after = case.stage(nothing)
        assert after.num_rows == 0
        assert after.schema.equals(case.stage(case.before).schema)


def test_one_batch_or_many_is_the_same(case):
    whole = case.stage(case.before).drop_columns(list(case.notes))
    for size in (1, 3):
        parts = [case.stage(case.before.slice(at, size)) for at in range(0, case.before.num_rows, size)]
        assert pa.concat_tables(parts).drop_columns(list(case.notes)).equals(whole)
    backwards = list(reversed(range(case.before.num_rows)))
    turned = case.stage(case.before.take(backwards)).drop_columns(list(case.notes))
    assert turned.take(backwards).equals(whole)
    again = pa.concat_tables([case.before.slice(0, 2), case.before.slice(2)])
    assert case.stage(again).drop_columns(list(case.notes)).equals(whole)


def test_a_missing_column_is_an_error_before_any_work(case):
    base.check_plan(case.before.schema, [case.stage])
    for name in case.stage.reads.names:
        without = pa.schema([field for field in case.before.schema if field.name != name])
        with pytest.raises(ConfigError, match=rf"{type(case.stage).__name__} reads \['{name}'\], which nothing"):
            base.check_plan(without, [case.stage])


def test_a_plan_of_all_stages_holds_together(cases):
    plan = [case.stage for name, case in cases.items() if name != "Look"]
    base.check_plan(cases["Read"].before.schema, plan)
    with pytest.raises(ConfigError, match=r"Decode reads .*which nothing before it adds"):
        base.check_plan(cases["Read"].before.schema, [plan[0], *plan[2:]])


def test_every_row_ends_with_its_reason(cases):
    case = cases["Encode"]
    after = base.run([case.stage], case.before)
    rows = {row["uri"]: row for row in after.to_pylist()}
    assert {uri: row["reason"] for uri, row in rows.items()} == REASONS
    assert {uri: len(row["embedding"]) for uri, row in rows.items() if row["embedding"] is not None} == FACES
    for row in rows.values():
        assert np.allclose(np.linalg.norm(row["embedding"] or [[1.0]], axis=-1), 1, atol=1e-5)
    assert base.total_seconds(after)["encode"] > 0


def test_look_does_what_its_stages_do_one_by_one(cases):
    alone = cases["Look"].stage(cases["Look"].before)
    table = cases["Measure"].stage(cases["Measure"].before)
    for name in ("uri", "reason", *Look.adds.names):
        assert alone[name].to_pylist() == table[name].to_pylist(), name
