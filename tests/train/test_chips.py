"""Chips: the right bytes for each row, mapped; of a remote dataset fetched once a machine, whole or not at all."""

import contextlib
import errno
import itertools
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from albums import Face, album, people

from omokage.errors import DatasetError, WorkError
from omokage.storage import Folder
from omokage.store import Dataset
from omokage.train import chips as module
from omokage.train.chips import Chips


def faces(count: int = 60) -> list[Face]:
    """Return faces whose chips differ in content and length; one is empty."""
    some = [Face(f"p{n % 7}", f"{n:03d}", chip=bytes([n % 251]) * (1 + 37 * n)) for n in range(1, count)]
    return [Face("p0", "no chip"), *some]


def table(of: list[Face]) -> pa.Table:
    return pa.table({"face_id": pa.array([face.face_id for face in of])})


@pytest.fixture
def remote() -> Iterator[str]:
    """An address that is no local disk's, with nothing behind it yet."""
    name = uuid4().hex
    yield f"memory://{name}"
    fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


@pytest.mark.parametrize("shards", [1, 4])
def test_each_row_has_its_chip_in_the_order_of_the_table(tmp_path: Path, shards: int) -> None:
    of = faces()
    data = album(tmp_path / "data", of, shards)
    wanted = [of[place] for place in np.random.default_rng(0).permutation(len(of))[:40].tolist()]
    chips = Chips(data, table(wanted))
    assert len(chips) == 40
    assert [bytes(chips[row]) for row in range(40)] == [face.chip for face in wanted]
    assert [chips.face_id(row) for row in range(40)] == [face.face_id for face in wanted]


def test_a_part_of_a_column_is_told_from_the_whole() -> None:
    start_M, content = module._mapped(pa.array([b"a", b"bb", b"", b"cccc"]).slice(1, 3))
    assert [bytes(content[a:b]) for a, b in itertools.pairwise(start_M.tolist())] == [b"bb", b"", b"cccc"]


def test_chips_are_mapped_and_not_held(tmp_path: Path) -> None:
    """60 MB of chips, of which some are looked at."""
    noise = os.urandom(1 << 20)
    of = [Face("p", f"{n}", chip=noise + bytes([n])) for n in range(60)]
    data = album(tmp_path / "data", of, shards=2)
    before = anonymous()
    chips = Chips(data, table(of))
    assert bytes(chips[59])[-1] == 59
    assert not chips[3].flags.writeable
    assert anonymous() - before < 20e6
    end = time.monotonic() + 10
    while opened(tmp_path):  # a thread of Arrow's lets go of a file a moment after it was read
        assert time.monotonic() < end, "a dataset of many shards would run out of open files"


def opened(folder: Path) -> list[str]:
    """Return the files below a folder that this process has open."""
    files = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            files.append(str(each.readlink()))
    return [file for file in files if str(folder) in file]


def anonymous() -> int:
    """Return the bytes of memory of this process that no file is behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def test_faces_that_are_gone_are_told(tmp_path: Path) -> None:
    of = faces()
    data = album(tmp_path / "data", of)
    with pytest.raises(DatasetError, match=r"2 of 62 faces are no longer in .*data, among them .*: make a new split"):
        Chips(data, table([*of, Face("p", "gone"), Face("p", "gone too")]))


def test_a_dataset_of_vectors_alone_is_told(tmp_path: Path) -> None:
    of = people({"a": 3, "b": 3})
    with pytest.raises(DatasetError, match="has vectors only and no chips"):
        Chips(album(tmp_path / "data", of), table(of))


def test_a_damaged_shard_is_told(tmp_path: Path) -> None:
    of = faces()
    data = album(tmp_path / "data", of)
    place = Path(data.folder.place(data.head.shards[0].file("faces")))
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(DatasetError, match=r"faces.arrow is missing or damaged"):
        Chips(data, table(of))


def test_remote_shards_are_fetched_once_and_only_the_faces(tmp_path: Path, remote: str) -> None:
    of = faces()
    data = album(remote, of, shards=3)
    chips = Chips(data, table(of), cache=tmp_path)
    assert [bytes(chips[row]) for row in range(len(of))] == [face.chip for face in of]
    kept = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.suffix == ".arrow")
    assert [path.name for path in kept] == sorted(f"{shard.name}.faces.arrow" for shard in data.head.shards)
    for shard in data.head.shards:
        data.folder.remove(shard.file("faces"))
    again = Chips(Dataset.open(remote), table(of), cache=tmp_path)
    assert bytes(again[5]) == of[5].chip


def test_datasets_keep_apart_in_the_cache_and_share_nothing_wrongly(tmp_path: Path, remote: str) -> None:
    one, two = faces(10), faces(20)
    first = Chips(album(f"{remote}/one", one), table(one), cache=tmp_path)
    second = Chips(album(f"{remote}/two", two), table(two), cache=tmp_path)
    assert bytes(first[9]) == one[9].chip
    assert bytes(second[19]) == two[19].chip


def test_what_a_killed_worker_left_is_never_used_and_swept(tmp_path: Path, remote: str) -> None:
    of = faces()
    data = album(remote, of, shards=2)
    Chips(data, table(of), cache=tmp_path)
    (whole, _) = sorted(tmp_path.rglob("*.arrow"))
    content = whole.read_bytes()
    whole.unlink()
    left = [whole.with_name(f"{whole.name}.unchecked"), whole.with_name(f".{'a' * 32}.part")]
    for place in left:
        place.write_bytes(content[: len(content) // 2])
    chips = Chips(data, table(of), cache=tmp_path)
    assert [bytes(chips[row]) for row in range(len(of))] == [face.chip for face in of]
    assert whole.read_bytes() == content
    assert not any(place.exists() for place in left)


def test_faces_that_were_taken_out_of_a_dataset_leave_this_machine_too(tmp_path: Path, remote: str) -> None:
    before, after = faces(20), faces(10)
    Chips(album(remote, before), table(before), cache=tmp_path)
    fsspec.filesystem("memory").rm(f"/{remote.rpartition('/')[2]}", recursive=True)
    data = album(remote, after)
    chips = Chips(data, table(after), cache=tmp_path)
    assert [bytes(chips[row]) for row in range(len(after))] == [face.chip for face in after]
    kept = {path.name for path in tmp_path.rglob("*.arrow")}
    assert kept == {f"{shard.name}.faces.arrow" for shard in data.head.shards}


def test_bytes_that_changed_on_the_way_are_refused(tmp_path: Path, remote: str) -> None:
    of = faces()
    data = album(remote, of)
    name = data.head.shards[0].file("faces")
    content = bytearray(data.folder.read(name))
    content[len(content) // 2] ^= 1
    data.folder.write(name, bytes(content))
    with pytest.raises(DatasetError, match=r"faces.arrow is damaged: its bytes are not those that were written"):
        Chips(data, table(of), cache=tmp_path)
    assert not list(tmp_path.rglob("*.arrow*"))


def test_a_shard_that_is_missing_there_is_told(tmp_path: Path, remote: str) -> None:
    of = faces()
    data = album(remote, of)
    data.folder.remove(data.head.shards[0].file("faces"))
    with pytest.raises(DatasetError, match=r"faces.arrow is missing"):
        Chips(data, table(of), cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, remote: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    of = faces()
    with pytest.raises(WorkError, match=r"cannot keep chips in .*file"):
        Chips(album(remote, of), table(of), cache=tmp_path / "file")


def test_a_full_disk_is_told_as_such(tmp_path: Path, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = faces()
    data = album(remote, of)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(data.folder.files), "get_file", full)
    with pytest.raises(WorkError, match=r"cannot keep chips in .*: No space left on device"):
        Chips(data, table(of), cache=tmp_path)


class Counted(Folder):
    """A folder that says in a file how often each name was fetched from it."""

    def fetch(self, name: str, path: Path) -> None:
        with (Path(os.environ["FETCHED"])).open("a") as out:
            out.write(f"{name}\n")
        super().fetch(name, path)


def _worker(root: str, cache: str, wanted: pa.Table) -> bytes:
    data = Dataset.open(root)
    data.folder = Counted(fsspec.filesystem("dir", path=root, target_protocol="file"), "")
    chips = Chips(data, wanted, cache=Path(cache))
    return b"".join(bytes(chips[row]) for row in range(len(chips)))


def test_workers_of_a_machine_fetch_each_shard_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local folder that is reached as if it were remote, since processes share no ``memory://``."""
    monkeypatch.setenv("FETCHED", str(tmp_path / "fetched"))
    of = faces()
    data = album(tmp_path / "data", of, shards=6)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        job = (str(tmp_path / "data"), str(tmp_path / "cache"), table(of))
        found = pool.starmap(_worker, [job] * 4)
    assert found == [b"".join(face.chip for face in of)] * 4
    fetched = (tmp_path / "fetched").read_text().splitlines()
    assert sorted(fetched) == sorted(shard.file("faces") for shard in data.head.shards)
