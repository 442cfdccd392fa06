import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omokage import schema
from omokage.errors import DatasetError, SourceError
from omokage.source import Source, check_apart, locate
from omokage.storage import Folder

LONGEST = "面" * 85  # 255 bytes: as long as a name can be

NAMES = [
    "山田 花子",
    "_x",
    ".x",
    "🙂🙃",
    LONGEST,
    "a b",
    "a::b",
    "file:c",
    "100%41",
    "line\nbreak",
    "back\\slash",
    "~",
    "#?&",
]


def put(file: Path | bytes, data: bytes = b"x") -> None:
    os.makedirs(os.path.dirname(file), exist_ok=True)  # noqa: PTH103, PTH120 - names that are no text
    with open(file, "wb") as out:  # noqa: PTH123
        out.write(data)


def rows(source: Source | Path | str) -> dict[str, tuple[str | None, str | None]]:
    """Return identity and reason by uri."""
    listing = (source if isinstance(source, Source) else Source.at(str(source))).listing()
    assert listing.schema.equals(schema.LISTED)
    uris = listing["uri"].to_pylist()
    assert uris == sorted(set(uris), key=str.encode)
    return dict(
        zip(uris, zip(listing["identity"].to_pylist(), listing["reason"].to_pylist(), strict=True), strict=True)
    )


def content(source: Source, uri: str) -> bytes:
    folder, path = locate(source.root, uri)
    data: bytes = folder.files.cat_file(path)
    return data


def test_the_first_level_is_the_identity(tmp_path):
    for name in ("root.jpg", "anna/1.jpg", "anna/deep/er/2.jpg", "anna/deep/bob/3.jpg", "bob/1.jpg"):
        put(tmp_path / name)
    (tmp_path / "nobody" / "nothing").mkdir(parents=True)
    assert rows(tmp_path) == {
        "root.jpg": (None, None),
        "anna/1.jpg": ("anna", None),
        "anna/deep/er/2.jpg": ("anna", None),
        "anna/deep/bob/3.jpg": ("anna", None),
        "bob/1.jpg": ("bob", None),
    }


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_name_is_found_and_opened_again(tmp_path, name):
    for number, place in enumerate((name, f"{name}/{name}", f"p/{name}")):
        root = tmp_path / str(number)
        put(root / place, place.encode())
        source = Source.at(str(root))
        [(uri, (identity, reason))] = rows(source).items()
        assert (identity, reason) == (place.split("/")[0] if "/" in place else None, None)
        assert content(source, uri) == place.encode()
        assert source.resolve(uri) == str(root / place)
        if not name.startswith("file:"):
            assert uri == place


def test_names_that_are_no_text(tmp_path):
    names = [b"\xff\xfe", b"caf\xe9.jpg", "日本".encode("euc-jp"), b"ok", b"\xff/100%\xe9/x"]
    for name in names:
        put(os.path.join(os.fsencode(tmp_path), b"p", name), name)  # noqa: PTH118
    put(os.path.join(os.fsencode(tmp_path), b"\xe9", b"1"), b"its own")  # noqa: PTH118
    source = Source.at(str(tmp_path))
    with pytest.raises(FileExistsError):
        os.mkdir(os.path.join(os.fsencode(tmp_path), b"p", b"\xff"))  # noqa: PTH102, PTH118
    found = rows(source)
    assert {content(source, uri) for uri in found} == {*names, b"its own"}
    assert {identity for identity, _ in found.values()} == {"p", "\\xe9"}
    assert all(reason is None for _, reason in found.values())


def test_a_source_may_itself_be_called_anything(tmp_path):
    for name in [*NAMES, os.fsdecode(b"\xff")]:
        root = tmp_path / name / "in"
        put(root / "a" / "1", name.encode("utf-8", "surrogateescape"))
        source = Source.at(str(root))
        assert content(source, "a/1") == name.encode("utf-8", "surrogateescape")


def test_links_and_things_that_are_no_files(tmp_path):
    put(tmp_path / "a" / "real.jpg", b"12345")
    (tmp_path / "a" / "file").symlink_to("real.jpg")
    (tmp_path / "a" / "broken").symlink_to("nowhere")
    (tmp_path / "a" / "through").symlink_to("real.jpg/x")
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "a" / "ping").symlink_to("pong")
    (tmp_path / "a" / "pong").symlink_to("ping")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "b").symlink_to("a")  # a second place, with a name of its own
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "a" / "null").symlink_to("/dev/null")
    found = rows(tmp_path)
    for person in "ab":
        below = {uri.partition("/")[2]: reason for uri, (who, reason) in found.items() if who == person}
        assert below.pop("real.jpg") is None
        assert below.pop("file") is None
        assert below.pop("broken") == below.pop("through") == "broken_link"
        assert below.pop("self") == below.pop("ping") == below.pop("pong") == "link_loop"
        assert below.pop("up") == "link_loop"
        assert below.pop("pipe") == below.pop("null") == "not_a_picture"
        assert not below
    assert len(found) == 20


def test_a_link_to_a_folder_elsewhere_counts_at_each_of_its_places(tmp_path):
    put(tmp_path / "far" / "1.jpg")
    (tmp_path / "s" / "a").mkdir(parents=True)
    (tmp_path / "s" / "a" / "x").symlink_to(tmp_path / "far")
    (tmp_path / "s" / "a" / "y").symlink_to(tmp_path / "far")
    (tmp_path / "s" / "b").symlink_to(tmp_path / "far")
    assert rows(tmp_path / "s") == {"a/x/1.jpg": ("a", None), "a/y/1.jpg": ("a", None), "b/1.jpg": ("b", None)}


def test_deep_trees_are_listed_whole(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):  # 30 * 201 bytes: deeper than one path can say
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    put(tmp_path / "a" / "1.jpg")
    found = rows(tmp_path)
    assert found.pop("a/1.jpg") == ("a", None)
    [(uri, reason)] = found.items()
    assert reason == ("d" * 200, "unreadable_folder")
    assert len(f"{tmp_path}/{uri}") > 4000


def test_folders_that_may_not_be_read(tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    for name in ("open/1", "shut/2", "blind/3"):
        put(tmp_path / name)
    tmp_path.chmod(0o755)
    (tmp_path / "shut").chmod(0)
    (tmp_path / "blind").chmod(0o444)  # its names, but not what is behind them
    code = f"""
import os
from omokage.errors import SourceError
from omokage.source import _local_tree
os.chdir({str(tmp_path)!r})  # above it, others may not pass
os.setresuid(65534, 65534, 65534)
print(sorted((r.uri, r.identity, r.reason) for r in _local_tree(".")))
try:
    list(_local_tree("shut"))
except SourceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    listed, refused = done.stdout.splitlines()
    expected = [("blind/3", "blind", "unreadable"), ("open/1", "open", None), ("shut", "shut", "unreadable_folder")]
    assert listed == str(expected)
    assert refused == "cannot read shut: Permission denied"


def test_size_and_stamp_follow_the_file(tmp_path):
    put(tmp_path / "a" / "1", b"123")
    os.utime(tmp_path / "a" / "1", ns=(0, 1_700_000_000_123_456_789))
    before = Source.at(str(tmp_path)).listing()
    assert before["size"].to_pylist() == [3]
    os.utime(tmp_path / "a" / "1", ns=(0, 1_700_000_000_123_456_790))
    after = Source.at(str(tmp_path)).listing()
    assert before["stamp"].to_pylist() != after["stamp"].to_pylist()
    pq.write_table(pa.table({"uri": ["a/1"], "identity": ["a"]}), tmp_path / "list")
    assert Source.at(str(tmp_path / "list")).listing().equals(after)  # a list sees the same


def test_missing_and_empty(tmp_path):
    with pytest.raises(SourceError, match=r"there is nothing at .*/gone"):
        Source.at(str(tmp_path / "gone"))
    with pytest.raises(DatasetError, match="empty"):
        Source.at("")
    (tmp_path / "void" / "a" / "b").mkdir(parents=True)
    with pytest.raises(SourceError, match="holds no files"):
        Source.at(str(tmp_path / "void")).listing()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="cannot read"):
        Source.at(str(tmp_path / "pipe")).listing()


def test_a_remote_tree():
    root = f"memory://{uuid.uuid4().hex}"
    names = ["top.jpg", "山田/1.jpg", "_x/deep/2.jpg", ".y/3.jpg"]
    for name in names:
        with fsspec.open(f"{root}/{name}", "wb") as out:
            out.write(name.encode())
    source = Source.at(root)
    found = rows(source)
    assert found == {n: (n.split("/")[0] if "/" in n else None, None) for n in names}
    assert {content(source, uri) for uri in found} == {n.encode() for n in names}
    assert source.listing()["size"].to_pylist() == [len(uri.encode()) for uri in found]


def as_csv(table: dict[str, list[str | None]], file: Path) -> None:
    lines = [
        ",".join(table),
        *(",".join("" if v is None else v for v in row) for row in zip(*table.values(), strict=True)),
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def as_bom_csv(table: dict[str, list[str | None]], file: Path) -> None:
    as_csv(table, file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())


def as_parquet(table: dict[str, list[str | None]], file: Path) -> None:
    pq.write_table(pa.table(table), file)


def as_pandas_would(table: dict[str, list[str | None]], file: Path) -> None:
    columns = {name: pa.array(values, pa.large_string()).dictionary_encode() for name, values in table.items()}
    pq.write_table(pa.table(columns), file)


WRITERS = pytest.mark.parametrize("write", [as_csv, as_bom_csv, as_parquet, as_pandas_would])
Write = Callable[[dict[str, list[str | None]], Path], None]


@WRITERS
def test_a_list(tmp_path, write: Write):
    put(tmp_path / "pictures" / "a" / "1.jpg")
    put(tmp_path / "elsewhere" / "面影.jpg")
    put(tmp_path / "pictures" / "2.jpg")
    (tmp_path / "pictures" / "folder").mkdir()
    os.mkfifo(tmp_path / "pictures" / "pipe")
    uris = ["a/1.jpg", str(tmp_path / "elsewhere" / "面影.jpg"), "2.jpg", "gone.jpg", "a/1.jpg", "folder", "pipe"]
    people: list[str | None] = ["007", "NA", None, "007", "007", "x", "x"]
    write({"uri": uris, "more": ["1"] * 7, "identity": people}, tmp_path / "pictures" / "list")
    source = Source.at(str(tmp_path / "pictures" / "list"))
    assert rows(source) == {
        "a/1.jpg": ("007", None),  # twice in the list, once a picture
        uris[1]: ("NA", None),
        "2.jpg": (None, None),
        "gone.jpg": ("007", "unreadable"),
        "folder": ("x", "not_a_picture"),
        "pipe": ("x", "not_a_picture"),
    }
    assert all(content(source, uri) == b"x" for uri, (_, reason) in rows(source).items() if reason is None)
    assert source.resolve("a/1.jpg") == str(tmp_path / "pictures" / "a" / "1.jpg")
    assert source.resolve(uris[1]) == uris[1]


@WRITERS
def test_a_list_that_names_one_picture_for_two_people(tmp_path, write: Write):
    write({"uri": ["a", "b", "a"], "identity": ["anna", "bob", "carl"]}, tmp_path / "list")
    with pytest.raises(SourceError, match="1 pictures to more than one identity, first a"):
        Source.at(str(tmp_path / "list")).listing()


def parquet_bytes(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "CSV"),
        (b"\x00\xff\xfe" * 100, "CSV"),
        (b"uri\na.jpg\n", "uri and identity; it has uri"),
        (parquet_bytes(path=["a"], who=["b"]), "it has path, who"),
        ("uri,identity\na,é\n".encode("latin-1"), "UTF-8"),
        ("uri,identity\na,b\n".encode("utf-16"), "UTF-8"),
        (b"uri,identity\na,b,c\n", "Expected 2 columns, got 3"),
        (b"uri,identity\n,anna\n", "1 rows without a uri"),
        (b"uri,identity\n", "holds no files"),
        (b"PAR1 and then nothing", "Parquet"),
        (parquet_bytes(uri=["a"], identity=["b"])[:-20], "Parquet"),
        (parquet_bytes(uri=[["a"]], identity=["b"]), "must have text"),
        (b"\xff\xd8\xff\xe0 a picture in place of a list \x00", "CSV"),
    ],
    ids=range(13),
)
def test_what_is_no_list(tmp_path, data, says):
    (tmp_path / "list.csv").write_bytes(data)
    with pytest.raises(SourceError, match=says) as error:
        Source.at(str(tmp_path / "list.csv")).listing()
    assert "list.csv" in str(error.value)


def test_a_uri_that_no_path_can_be(tmp_path):
    pq.write_table(pa.table({"uri": ["a\0b", "x" * 300, ""], "identity": ["a", "b", "c"]}), tmp_path / "list")
    found = rows(tmp_path / "list")
    assert found == {"a\0b": ("a", "unreadable"), "x" * 300: ("b", "unreadable"), "": ("c", "not_a_picture")}


def apart(source: Path, dataset: Path) -> bool:
    try:
        check_apart(Source.at(str(source)), Folder.at(str(dataset)))
    except SourceError as error:
        assert "must be apart" in str(error)
        return False
    return True


def test_neither_may_lie_in_the_other(tmp_path):
    put(tmp_path / "s" / "a" / "1.jpg")
    put(tmp_path / "d" / "s2" / "1.jpg")
    (tmp_path / "to_s").symlink_to("s")
    (tmp_path / "to_d").symlink_to("d")
    assert apart(tmp_path / "s", tmp_path / "d")
    assert apart(tmp_path / "s", tmp_path / "s2")  # the same beginning is no folder above
    assert not apart(tmp_path / "s", tmp_path / "s")
    assert not apart(tmp_path / "s", tmp_path / "s" / "new" / "d")
    assert not apart(tmp_path / "s", tmp_path / "to_s" / "new")
    assert not apart(tmp_path / "to_s", tmp_path / "s" / "new")
    assert not apart(tmp_path / "d" / "s2", tmp_path / "d")
    assert not apart(tmp_path / "d" / "s2", tmp_path / "to_d")
    assert not apart(tmp_path / "to_d" / "s2", tmp_path / "d")


def test_a_list_beside_its_dataset(tmp_path):
    for file in (tmp_path / "x" / "list.csv", tmp_path / "d" / "lists" / "list.csv", tmp_path / "d" / "list.csv"):
        put(file, b"uri,identity\na,b\n")
    assert apart(tmp_path / "x" / "list.csv", tmp_path / "d")
    assert apart(tmp_path / "x" / "list.csv", tmp_path / "x" / "d")
    assert not apart(tmp_path / "x" / "list.csv", tmp_path / "x")
    assert not apart(tmp_path / "d" / "lists" / "list.csv", tmp_path / "d")
    assert not apart(tmp_path / "d" / "list.csv", tmp_path / "d")


def test_storage_of_two_kinds_is_always_apart(tmp_path):
    put(tmp_path / "s" / "1.jpg")
    check_apart(Source.at(str(tmp_path / "s")), Folder.at(f"memory://{tmp_path}/s/d"))
    with fsspec.open("memory://apart/s/1.jpg", "wb") as out:
        out.write(b"x")
    with pytest.raises(SourceError, match="must be apart"):
        check_apart(Source.at("memory://apart/s"), Folder.at("memory://apart/s/d"))


def test_twenty_thousand_files_are_listed_alike_and_quickly(tmp_path):
    for person in range(100):
        (tmp_path / f"{person}").mkdir()
        for number in range(200):
            os.close(os.open(f"{tmp_path}/{person}/{number}.jpg", os.O_CREAT | os.O_WRONLY))
    source = Source.at(str(tmp_path))
    began = time.perf_counter()
    first = source.listing()
    middle = time.perf_counter()
    assert source.listing().equals(first)
    assert first.num_rows == 20_000
    assert min(middle - began, time.perf_counter() - middle) < 2
