import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from omokage.errors import DatasetError, StorageError
from omokage.storage import PART, Folder, part_of

LONGEST = "面" * 85  # 255 bytes: as long as a name can be


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "a") if request.param == "disk" else f"memory://{uuid.uuid4().hex}/a")


@pytest.mark.parametrize(
    "name", ["a::b", "x://y", "file:z", "~nobody-of-this-name", "with space", "_x", ".x", "面影 🙂"]
)
def test_a_path_is_a_path_whatever_it_is_called(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "f").write_bytes(b"1")
    folder = Folder.at(str(tmp_path / name))
    assert folder.local
    assert folder.read("f") == b"1"
    assert Folder.at(folder.url) == folder


def test_one_folder_has_one_name(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    wanted = str(tmp_path / "a")
    for way in ("a", "./a", "a/", "a//", "a/b/..", f"{tmp_path}//a/.", f"file://{tmp_path}/a"):
        assert Folder.at(way).url == wanted, way


def test_a_link_followed_by_two_dots_means_what_the_kernel_means(tmp_path):
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    assert Folder.at(f"{tmp_path}/link/..").url == str(tmp_path / "far")
    assert Folder.at(f"{tmp_path}/link").url == str(tmp_path / "link")  # a plain link keeps its name


@pytest.mark.parametrize("url", ["", "nosuch://bucket/x"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(DatasetError, match="empty" if not url else "nosuch"):
        Folder.at(url)


def test_write_read_list_remove(folder):
    assert folder.empty()
    assert folder.names("") == []
    assert not folder.exists("b/c")
    folder.write("b/c", b"one")
    folder.write("b/c", b"two")
    folder.write("d", b"")
    assert folder.read("b/c") == b"two"
    assert folder.names("b") == ["c"]
    assert folder.names("") == ["d"]
    assert folder.exists("b/c")
    assert not folder.empty()
    folder.remove("b/c")
    folder.remove("b/c")
    assert folder.names("b") == []
    with pytest.raises(FileNotFoundError):
        folder.read("b/c")


def test_a_file_is_parted_from_its_folder():
    assert Folder.at("/a/b.txt").parted() == (Folder.at("/a"), "b.txt")
    assert Folder.at("/b.txt").parted() == (Folder.at("/"), "b.txt")
    folder, name = Folder.at("memory://a/b.txt").parted()
    assert (folder.url, name) == (Folder.at("memory://a").url, "b.txt")


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [("a", "a", True), ("a/b", "a", True), ("a", "a/b", False), ("ab", "a", False), ("link/x", "a", True)],
)
def test_what_lies_within_what(tmp_path, inner, outer, within):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/b")
    one, other = (Folder.at(str(tmp_path / name)) for name in (inner, outer))
    assert one.within(other) == within
    assert one.within(Folder.at("/"))
    assert not one.within(Folder.at(f"memory://{tmp_path}"))
    assert Folder.at(f"memory://x/{inner}").within(Folder.at(f"memory://x/{outer}")) == (within and inner != "link/x")


def test_a_half_written_file_lies_beside_under_the_same_short_name_each_time():
    place = f"/a/{LONGEST}"
    assert part_of(place) == part_of(place) != part_of("/a/b")
    assert part_of(place).rpartition("/")[0] == "/a"
    assert PART.fullmatch(part_of(place).rpartition("/")[2])


def test_the_longest_name_can_be_written(tmp_path):
    Folder.at(str(tmp_path)).write(LONGEST, b"1")
    assert [entry.name for entry in tmp_path.iterdir()] == [LONGEST]


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path):
    folder = Folder.at(str(tmp_path))
    folder.write("a", b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(OSError):
        folder.write("b", b"new")  # a folder is in the way
    with pytest.raises(OSError):
        folder.write("a/c", b"new")
    assert folder.read("a") == b"old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b"]


def test_killed_while_writing(tmp_path):
    """The writer dies with a full part beside the old file; readers see the old one, and the folder counts as empty."""
    code = f"""
import os, signal
from omokage.storage import Folder
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Folder.at({str(tmp_path / "new")!r}).write("a", b"new")
"""
    died = subprocess.run([sys.executable, "-c", code], check=False)
    assert died.returncode == -signal.SIGKILL
    folder = Folder.at(str(tmp_path / "new"))
    [part] = [entry.name for entry in Path(folder.root).iterdir()]
    assert PART.fullmatch(part)
    assert not folder.exists("a")
    assert folder.empty()


ADDER = """
import sys
from omokage.storage import Folder
folder = Folder.at(sys.argv[1])
for turn in range(int(sys.argv[2])):
    folder.update("a/count", lambda old: str(int(old or b"0") + 1).encode())
"""


def test_several_who_update_a_file_lose_nothing(tmp_path):
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, tmp_path, "50"]) for _ in range(4)]
    assert [adder.wait(60) for adder in adders] == [0] * 4
    assert Folder.at(str(tmp_path)).read("a/count") == b"200"


def test_an_update_can_leave_things_as_they_are(tmp_path):
    folder = Folder.at(str(tmp_path / "new"))
    seen = []
    folder.update("a", lambda old: seen.append(old))
    assert not folder.exists("a")
    folder.update("a", lambda old: b"1")
    folder.update("a", lambda old: seen.append(old))
    with pytest.raises(ZeroDivisionError):
        folder.update("a", lambda old: bytes(1 // 0))
    folder.update("a", lambda old: old + b"2")
    assert (seen, folder.read("a")) == ([None, b"1"], b"12")


def test_a_storage_without_conditional_writes_is_not_updated():
    folder = Folder.at(f"memory://{uuid.uuid4().hex}")
    with pytest.raises(StorageError, match="only local disks and s3"):
        folder.update("a", lambda old: b"1")
