import json
import os
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from children import CHILDREN, acknowledged, write_lines
from omokage import schema
from omokage.errors import ConfigError, DatasetError, WorkError
from omokage.ledger import book
from omokage.ledger.book import GrownError, Ledger
from omokage.ledger.decision import Decision
from omokage.storage import PART, Folder

KEEP = Decision(do="keep", faces=("a",))

HOSTILE = [
    "<script>alert(1)</script>",
    "../../etc",
    "a\nb\r\0c\x1b[31m",
    '"quoted\\"',
    "\u2028\u2029\x85",
    "面影 🙂",
    " ",
    "file:%FF",
]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.of(Folder.at(str(tmp_path)))


def small_files(monkeypatch: pytest.MonkeyPatch, size: int = 300) -> None:
    monkeypatch.setattr(book, "FULL", size)


def files(ledger: Ledger) -> list[str]:
    return [name for name in ledger.folder.names("ledger") if name.endswith(".jsonl")]


def test_an_empty_book(ledger):
    assert ledger.length() == 0
    assert ledger.table().equals(schema.LEDGER.empty_table())
    assert ledger.append([], "me") == range(0)
    assert ledger.folder.names("ledger") == []


def test_every_kind_of_decision_comes_back_as_it_was_taken(ledger):
    every = [
        Decision(do="keep", faces=("a", "b"), why="good"),
        Decision(do="drop_face", faces=("c",), finding="outlier:1"),
        Decision(do="drop_duplicate", faces=("d", "e"), into="a"),
        Decision(do="relabel", faces=("f",), into="Jane"),
        Decision(do="merge", person="Jane", into="John"),
        Decision(do="split", faces=("g",), person="John", into="Jim"),
        Decision(do="different", person="Jim", into="John"),
        Decision(do="undo", undoes=2),
    ]
    assert ledger.append(every[:3], "me") == range(1, 4)
    assert ledger.append(every[3:], "rules", "rule") == range(4, 9)
    table = ledger.table()
    assert table.schema == schema.LEDGER
    rows = table.to_pylist()
    names = ("do", "faces", "person", "into", "undoes", "finding", "why")
    got = [Decision(**{name: row[name] for name in names} | {"faces": tuple(row["faces"] or ())}) for row in rows]
    assert got == every
    assert [(row["number"], row["who"], row["by"]) for row in rows] == [
        (number, "me" if number < 4 else "rules", "person" if number < 4 else "rule") for number in range(1, 9)
    ]
    assert all(len(row["at"]) == len("2026-11-22T12:00:00.000Z") and row["at"].endswith("Z") for row in rows)


def test_who_is_the_login_name_and_unknown_where_there_is_none(ledger, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "花子")
    ledger.append([KEEP])
    monkeypatch.delenv("LOGNAME")
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    ledger.append([KEEP])
    assert ledger.table()["who"].to_pylist() == ["花子", "unknown"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_may_hold_anything(ledger, name):
    ledger.append([Decision(do="relabel", faces=(name,), into=name, why=name, finding=name)], name)
    row = ledger.table().to_pylist()[0]
    assert {row["into"], row["why"], row["finding"], row["who"], *row["faces"]} == {name}
    assert ledger.length() == 1


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_any_text_comes_back(tmp_path_factory, names):
    ledger = Ledger.of(Folder.at(str(tmp_path_factory.mktemp("any"))))
    ledger.append([Decision(do="merge", person=name, into=name + "x") for name in names], "me")
    assert ledger.table()["person"].to_pylist() == names


def test_what_is_no_text_is_refused_and_nothing_is_written(ledger):
    with pytest.raises(ConfigError, match="no text"):
        ledger.append([KEEP, Decision(do="merge", person="\udcff", into="a")], "me")
    with pytest.raises(ConfigError, match="somebody"):
        ledger.append([KEEP], "")
    assert ledger.length() == 0


def test_files_that_are_big_are_never_touched_again_and_any_part_of_the_book_can_be_read(ledger, monkeypatch):
    small_files(monkeypatch)
    old: dict[str, bytes] = {}
    for turn in range(12):
        ledger.append([Decision(do="keep", faces=(f"{turn}-{k}",)) for k in range(1 + turn % 4)], "me")
        now = {name: ledger.folder.read(f"ledger/{name}") for name in files(ledger)}
        for name in sorted(old)[:-1]:
            assert now[name] == old[name]
        assert all(len(now[name]) >= 300 for name in sorted(now)[:-1])
        old = now
    assert len(old) > 3
    whole = ledger.table()
    assert whole["number"].to_pylist() == list(range(1, 31))
    for after in range(32):
        assert ledger.table(after).equals(whole.slice(after))
        for until in (0, 1, 5, after, after + 1, after + 7, 29, 30, 99):
            assert ledger.table(after, until).equals(whole.slice(after, max(0, min(until, 30) - after))), (after, until)


def test_a_line_as_long_as_a_cluster_of_100_000_faces(ledger):
    faces = tuple(f"{n:024x}" for n in range(100_000))
    ledger.append([KEEP, Decision(do="drop_face", faces=faces), KEEP], "me")
    ledger.append([KEEP], "me")
    assert len(files(ledger)) == 2
    assert ledger.table()["faces"].to_pylist()[1] == list(faces)


def test_whoever_saw_less_is_told(ledger):
    ledger.append([KEEP, KEEP], "me")
    assert ledger.append([KEEP], "me", length=2) == range(3, 4)
    with pytest.raises(GrownError, match="line 3 is there"):
        ledger.append([KEEP], "me", length=2)
    assert ledger.length() == 3


def test_eight_writers_lose_nothing_and_killed_ones_leave_nothing_half(tmp_path, ledger):
    said = [tmp_path / f"said by {n}" for n in range(8)]
    writers = [
        CHILDREN.Process(target=write_lines, args=(str(tmp_path), f"w{n}", 100, 4000, said[n], {})) for n in range(8)
    ]
    for writer in writers:
        writer.start()
    end = time.monotonic() + 60
    while ledger.length() < 60 and time.monotonic() < end:
        time.sleep(0.005)
    for writer in writers[:3]:
        writer.kill()
    lines = {}
    for number, writer in enumerate(writers):
        writer.join(60)
        assert writer.exitcode == (-signal.SIGKILL if number < 3 else 0)
        lines |= acknowledged(said[number])
        assert number < 3 or len(acknowledged(said[number])) == 199
    table = ledger.table()  # which checks that the numbers have no gap
    assert len(files(ledger)) > 5
    faces = [face for (face,) in table["faces"].to_pylist()]
    assert len(set(faces)) == len(faces)
    for line, face in lines.items():
        assert faces[line - 1] == face
    for number in range(8):  # what was written together stands together, also of a killed writer
        mine = [(at, face) for at, face in enumerate(faces) if face.startswith(f"w{number}-")]
        turns: dict[str, list[int]] = {}
        for at, face in mine:
            turns.setdefault(face.split("-")[1], []).append(at)
        for turn, places in turns.items():
            assert places == list(range(places[0], places[0] + 1 + int(turn) % 3))
        assert list(map(int, turns)) == list(range(len(turns)))
    leftover = [name for name in ledger.folder.names("ledger") if PART.fullmatch(name)]
    assert len(leftover) <= 1
    ledger.append([KEEP], "me")
    assert [name for name in ledger.folder.names("ledger") if PART.fullmatch(name)] == []


@dataclass(frozen=True, slots=True)
class Deaf(Folder):
    """A folder that is told once more to write what it wrote, as s3 is when its answer gets lost."""

    def update(self, name, change):
        made = []

        def remembered(old):
            made.append(change(old))
            return made[-1]

        Folder.update(self, name, remembered)
        if made[-1] is not None:
            assert change(self.read(name)) is None
            assert change(self.read(name) + b'{"number":2}\n') is None  # and another writer was there since


def test_what_was_written_though_the_answer_was_lost_is_not_written_twice(tmp_path):
    folder = Folder.at(str(tmp_path))
    assert Ledger.of(Deaf(folder.files, folder.root)).append([KEEP], "me") == range(1, 2)
    assert Ledger.of(folder).length() == 1


GOOD = [
    {"number": 1, "at": "2026-11-22T00:00:00Z", "who": "me", "by": "person", "do": "keep", "faces": ["a"]},
    {"number": 2, "at": "2026-11-22T00:00:00Z", "who": "me", "by": "person", "do": "merge", "person": "a", "into": "b"},
    {"number": 3, "at": "2026-11-22T00:00:00Z", "who": "me", "by": "rule", "do": "undo", "undoes": 1},
]


def put(ledger: Ledger, lines: list[dict[str, object]] | bytes, first: int = 1) -> None:
    data = lines if isinstance(lines, bytes) else b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    ledger.folder.write(f"ledger/{first:012d}.jsonl", data)


@pytest.mark.parametrize(
    ("line", "change", "said"),
    [
        (2, {"number": 4}, "its number is 4, and 2 comes next"),
        (1, {"do": "delete"}, "no decision 'delete'"),
        (2, {"into": None}, "merge needs into, person"),
        (2, {"into": "a"}, "both are a"),
        (1, {"faces": []}, "keep needs faces"),
        (1, {"faces": "a"}, ""),
        (3, {"undoes": "1"}, ""),
        (3, {"by": "nobody"}, "nobody"),
        (1, {"who": None}, "who"),
        (1, {"into": "b"}, "keep needs faces, and says faces, into"),
    ],
)
def test_a_damaged_line_is_named(ledger, line, change, said):
    lines = [dict(each) for each in GOOD]
    lines[line - 1] |= change
    put(ledger, lines)
    with pytest.raises(DatasetError, match=rf"000000000001\.jsonl, line {line} is damaged: .*{said}"):
        ledger.table()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"number":1,"at":"x","who":"me","by":"person","do":"keep","faces":["a"]}\nnonsense\n', "line 2 is damaged"),
        (
            b'{"number":1,"at":"x","who":"me","by":"person","do":"keep","faces":["a"]}\n{"number":2,"at',
            "line 2 is damaged",
        ),
        (b'{"number":1,"at":"x","who":"me","by":"person","do":"keep","faces":["a"]}', "last line is not whole"),
        (b"\n", "line 1 is damaged"),
        (b"[1]\n", "line 1 is damaged"),
        (b"", "it is empty"),
        (b"\xff\xfe\n", "line 1 is damaged"),
        (b'{"number":1,"at":"x","who":"me","by":"person","do":"keep","faces":["a"]}\n\n', "line 2 is damaged"),
    ],
)
def test_a_damaged_file_is_named(ledger, data, said):
    put(ledger, data)
    with pytest.raises(DatasetError, match=rf"000000000001\.jsonl.*{said}"):
        ledger.table()


def test_a_half_line_is_never_written_on(ledger):
    put(ledger, b'{"number":1')
    with pytest.raises(DatasetError, match="not whole"):
        ledger.append([KEEP], "me")
    assert ledger.folder.read("ledger/000000000001.jsonl") == b'{"number":1'


def test_a_file_that_is_gone_is_named(ledger, monkeypatch):
    small_files(monkeypatch, 100)
    for _ in range(6):
        ledger.append([KEEP], "me")
    names = files(ledger)
    assert len(names) == 3
    ledger.folder.remove(f"ledger/{names[1]}")
    with pytest.raises(DatasetError, match=r"000000000001\.jsonl ends with line 2, and .*000000000005\.jsonl follows"):
        ledger.table()
    assert ledger.table(after=4).num_rows == 2
    ledger.folder.remove(f"ledger/{names[0]}")
    with pytest.raises(DatasetError, match=r"000000000001\.jsonl is missing"):
        ledger.table()


def test_other_files_beside_the_book_do_not_matter(ledger):
    put(ledger, GOOD)
    for name in ("notes.txt", "1.jsonl", "000000000002.jsonl.bak"):
        ledger.folder.write(f"ledger/{name}", b"x")
    assert ledger.table().num_rows == ledger.length() == 3


def test_where_nothing_can_be_written_is_said(tmp_path, ledger):
    (tmp_path / "ledger").write_text("")
    with pytest.raises(WorkError, match="cannot write to"):
        ledger.append([KEEP], "me")


def test_a_full_disk_leaves_the_book_as_it_was(ledger):
    ledger.append([KEEP], "me")
    before = ledger.folder.read("ledger/000000000001.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(WorkError, match=r"cannot write to .*too large"):
            ledger.append([KEEP], "me")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert ledger.folder.read("ledger/000000000001.jsonl") == before
    assert ledger.append([KEEP], "me") == range(2, 3)
    assert [name for name in ledger.folder.names("ledger") if PART.fullmatch(name)] == []


def test_columns_of_a_newer_program_are_passed_over(ledger):
    put(ledger, [GOOD[0] | {"mood": "good"}])
    assert ledger.table().column_names == schema.LEDGER.names
    assert isinstance(ledger.table(), pa.Table)
