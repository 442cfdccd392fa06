import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from omokage import schema
from omokage.changes import compare
from omokage.errors import DatasetError
from omokage.shards import Shard, write_shard
from omokage.stages.write import split
from omokage.storage import Folder
from omokage.store import HEAD, Dataset, summary
from tables import DIM, head, listed, looked

FACES = {"a/1": 1, "a/2": 2, "a/3": "none_found", "b/1": 1, "b/2": "truncated", "c/1": 3}


def listing(*uris: str, stamp: str = "1") -> pa.Table:
    return listed(*[(uri, uri.split("/")[0], 1, stamp) for uri in uris])


def shard(folder: Folder, *rows: tuple[str, str], began: float = 1.0) -> Shard:
    """Write a shard of pictures, given as uri and stamp; what is in one depends on nothing else."""
    each = [looked(listing(u, stamp=t), [FACES[u]], seed=zlib.crc32(f"{u} {t}".encode())) for u, t in rows]
    pictures, faces = split(pa.concat_tables(each), DIM)
    return write_shard(folder, pictures, faces, {"look": 1.0}, began)


def ingest(data: Dataset, rows: pa.Table, size: int = 2) -> Dataset:
    """Do what an ingest does with ``data``, without detectors and Ray."""
    pending = compare(rows, data.known()).pending.to_pylist()
    for at in range(0, len(pending), size):
        shard(data.folder, *[(row["uri"], row["stamp"]) for row in pending[at : at + size]])
    final = compare(rows, data.known(), retry=False)
    assert not final.pending.num_rows
    return data.commit(final.manifest, [*data.head.shards, *data.finished()])


def content(data: Dataset) -> tuple[list[dict], list[dict]]:
    """Return everything that a dataset says, whatever its shards are called."""
    faces = [face for table in data.faces() for face in table.to_pylist()]
    manifest = data.manifest()
    assert set(manifest["shard"].to_pylist()) - {None} == {s.name for s in data.head.shards}
    assert sum(s.faces for s in data.head.shards) == len(faces)
    assert sum(s.pictures for s in data.head.shards) == manifest.num_rows - manifest["shard"].null_count
    return manifest.drop_columns(["shard"]).to_pylist(), sorted(faces, key=lambda f: f["face_id"])


def files(data: Dataset) -> set[str]:
    below = Path(data.folder.root)
    return {str(file.relative_to(below)) for file in below.rglob("*") if file.is_file()}


def named(data: Dataset) -> set[str]:
    """Return the files that a dataset should have."""
    of_shards = [(s.mark, s.file("faces"), s.file("pictures")) for s in data.head.shards]
    return {HEAD, data.head.manifest, *(name for names in of_shards for name in names)}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "d"))


@pytest.fixture
def data(folder: Folder) -> Dataset:
    """A dataset of six pictures in three shards."""
    return ingest(Dataset.open_or_create(folder, head()), listing(*FACES))


def test_what_was_written_is_what_is_read(data):
    assert files(data) == named(data)
    assert data.check() == []
    pictures, faces = content(Dataset.open(data.folder.url))
    assert [p["uri"] for p in pictures] == sorted(FACES)
    assert [p["kept"] for p in pictures] == [n if isinstance(n, int) else 0 for n in FACES.values()]
    assert len(faces) == 7
    assert {f["face_id"] for t in data.faces(["face_id"]) for f in t.to_pylist()} == {f["face_id"] for f in faces}
    said = summary(data)
    assert (said.pictures, said.faces, said.shards, said.generation, said.unfinished) == (6, 7, 3, 1, 0)
    assert said.status == {"ok": 4, "no_face": 1, "failed": 1}
    assert said.reasons == {"none_found": 1, "truncated": 1}
    assert json.loads(said.json())["identities"] == 3
    assert said.bytes == sum(
        Path(data.folder.place(s.file(k))).stat().st_size for s in data.head.shards for k in s.sha256
    )


def test_an_empty_dataset(folder):
    fresh = Dataset.open_or_create(folder, head())
    assert fresh.manifest().num_rows == fresh.known().num_rows == 0
    assert fresh.manifest().schema.equals(schema.MANIFEST.append(schema.SHARD))
    assert list(fresh.faces()) == fresh.check() == fresh.finished() == []
    assert summary(fresh).text()
    assert Dataset.open_or_create(folder, head()).head == fresh.head


def test_nothing_new_changes_nothing(data):
    before = content(data)
    again = ingest(data, listing(*FACES))
    assert again.head.shards == data.head.shards
    assert content(again) == before
    assert files(again) == named(again)


def test_a_removed_picture_is_gone_from_the_disk(data):
    before = content(data)[1]
    gone = [f for f in before if f["uri"] == "a/2"]
    assert len(gone) == 2
    needles = [gone[0]["chip"], gone[1]["chip"], np.array(gone[0]["embedding"], np.float32).tobytes(), b"sha of a/2"]
    assert all(found_on_disk(data, needle) for needle in needles)
    keep = [uri for uri in FACES if uri != "a/2"]
    after = ingest(data, listing(*keep))
    assert not any(found_on_disk(after, needle) for needle in needles)
    assert found_on_disk(after, b"sha of a/1")  # of the same shard
    assert files(after) == named(after)
    assert after.check() == []
    pictures, faces = content(after)
    assert faces == [f for f in before if f["uri"] != "a/2"]
    assert [p["uri"] for p in pictures] == sorted(keep)


def found_on_disk(data: Dataset, needle: bytes) -> bool:
    return any(needle in (Path(data.folder.root) / name).read_bytes() for name in files(data))


def test_a_changed_picture_leaves_its_old_shard(data):
    rows = pa.concat_tables([listing(*[u for u in FACES if u != "a/1"]), listing("a/1", stamp="22")]).sort_by("uri")
    old = next(f for f in content(data)[1] if f["uri"] == "a/1")
    after = ingest(data, rows)
    assert not found_on_disk(after, old["chip"])
    assert [f["uri"] for f in content(after)[1]].count("a/1") == 1
    assert content(after)[0][0]["stamp"] == "22"
    assert files(after) == named(after)


def test_rewriting_a_damaged_shard_is_refused(data):
    """With a new checksum the damage would pass for what was written."""
    first = next(s for s in data.head.shards if "a/1" in data.pictures([s])["uri"].to_pylist())
    flip(data.folder.place(first.file("faces")))
    before = files(data)
    with pytest.raises(DatasetError, match=f"{first.name}.faces.arrow is damaged"):
        ingest(data, listing(*[u for u in FACES if u != "a/1"]))
    assert Dataset.open(data.folder.url).head == data.head
    assert before <= files(data)


def flip(file: str, at: float = 0.5) -> None:
    """Turn over one bit of a file."""
    with Path(file).open("r+b") as stream:
        stream.seek(int(Path(file).stat().st_size * at))
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))


def test_check_names_what_is_damaged(data):
    one, two, three = data.head.shards
    flip(data.folder.place(one.file("faces")))
    flip(data.folder.place(one.file("pictures")), at=0.99)
    os.truncate(data.folder.place(two.file("faces")), 100)
    data.folder.remove(three.file("pictures"))
    flip(data.folder.place(data.head.manifest))
    found = data.check()
    assert len(found) == 5
    for name, word in [
        (one.file("faces"), "damaged"),
        (one.file("pictures"), "damaged"),
        (two.file("faces"), "damaged"),
        (three.file("pictures"), "missing"),
        (data.head.manifest, "damaged"),
    ]:
        assert sum(name in line and word in line for line in found) == 1, name


@pytest.mark.parametrize("kind", ["faces", "pictures", "json"])
def test_a_lost_shard_is_made_anew(data, kind):
    lost = data.head.shards[1]
    before = content(data)
    data.folder.remove(lost.mark if kind == "json" else lost.file(kind))
    after = ingest(Dataset.open(data.folder.url), listing(*FACES))
    assert content(after) == before
    assert after.check() == []
    assert files(after) == named(after)


def test_what_cannot_be_read_is_named(data):
    first = data.head.shards[0]
    os.truncate(data.folder.place(first.file("faces")), 100)
    with pytest.raises(DatasetError, match=first.file("faces")):
        list(data.faces())
    data.folder.remove(first.file("faces"))
    with pytest.raises(DatasetError, match=first.file("faces")):
        list(data.faces())
    data.folder.remove(data.head.manifest)
    with pytest.raises(DatasetError, match=data.head.manifest):
        data.manifest()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "{}", '{"format": 1}', '{"format": 1, "source": "", "recipe": {}, "shards": [1]}', "\xff"],
)
def test_a_head_that_is_none(data, text):
    Path(data.folder.place(HEAD)).write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"dataset\.json is damaged|another version"):
        Dataset.open(data.folder.url)


def test_a_head_of_another_version(data):
    said = json.loads(data.folder.read(HEAD))
    data.folder.write(HEAD, json.dumps(said | {"format": 2}).encode())
    with pytest.raises(DatasetError, match="another version of omokage"):
        Dataset.open(data.folder.url)


def test_no_dataset(tmp_path):
    with pytest.raises(DatasetError, match="is no dataset"):
        Dataset.open(str(tmp_path))
    with pytest.raises(DatasetError, match="is no dataset"):
        Dataset.open(str(tmp_path / "gone"))


def test_another_encoder_is_refused_with_both_names(data):
    other = {"name": "efficientnet", "sha256": "1" * 64, "dim": 512, "crop": "dlib-v1-224"}
    with pytest.raises(DatasetError) as error:
        Dataset.open_or_create(data.folder, head(encoder=other))
    assert all(word in str(error.value) for word in ("encoder", "tiny", "efficientnet", data.folder.url))
    assert Dataset.open(data.folder.url).head == data.head


@pytest.mark.parametrize("recipe", [{"faces": "all"}, {"new_key": 1}])
def test_another_recipe_is_refused(data, recipe):
    with pytest.raises(DatasetError, match=next(iter(recipe))):
        Dataset.open_or_create(data.folder, head(**recipe))


def test_another_source_is_refused_unless_it_moved(data):
    with pytest.raises(DatasetError, match="made from /pictures, and this run has /moved") as error:
        Dataset.open_or_create(data.folder, head(source="/moved"))
    assert "--moved" in str(error.value)
    moved = Dataset.open_or_create(data.folder, head(source="/moved"), moved=True)
    assert moved.head.source == "/moved"
    before = content(moved)
    assert content(ingest(moved, listing(*FACES))) == before
    with pytest.raises(DatasetError, match="encoder"):  # a move is no excuse
        Dataset.open_or_create(data.folder, head(source="/x", encoder={"name": "y"}), moved=True)
    assert Dataset.open_or_create(data.folder, head(source="/moved")).head.source == "/moved"


@pytest.mark.parametrize("name", ["holiday.jpg", "sub/holiday.jpg", ".hidden"])
def test_a_folder_with_other_files_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(DatasetError, match="holds other files"):
        Dataset.open_or_create(Folder.at(str(tmp_path)), head())
    assert [str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file()] == [name]


def test_sweeping_leaves_other_peoples_files(data):
    mine = ["manifest-mine.csv", "manifest-000001.parquet.bak", "dataset.json.bak", "notes.txt"]
    for name in mine:
        data.folder.write(name, b"mine")
    parts = [f".{'0' * 32}.part", f"shards/.{'f' * 32}.part"]
    dead = ["manifest-000000.parquet", "shards/dead.faces.arrow", "shards/dead.pictures.arrow"]
    for name in [*parts, *dead]:
        data.folder.write(name, b"half")
    after = ingest(data, listing(*FACES))
    assert files(after) == named(after) | set(mine)


def test_finished_shards_of_a_stopped_run_are_taken_over(folder):
    begun = Dataset.open_or_create(folder, head())
    done = [shard(folder, ("a/1", "1"), ("a/2", "1"))]
    half = shard(folder, ("b/1", "1"), ("b/2", "1"))
    folder.remove(half.mark)  # killed just before it would have been written
    assert begun.finished() == done
    assert summary(begun).unfinished == 1
    assert compare(listing(*FACES), begun.known()).pending["uri"].to_pylist() == ["a/3", "b/1", "b/2", "c/1"]
    after = ingest(begun, listing(*FACES))
    assert done[0] in after.head.shards
    assert files(after) == named(after)


def test_only_one_may_write(data):
    other = Dataset.open(data.folder.url)
    with data.locked(), pytest.raises(DatasetError, match="another run is writing"), other.locked():
        pass
    with data.locked():
        pass


def test_a_folder_that_may_not_be_written_to_is_told_in_words(data):
    Path(data.folder.place(".lock")).mkdir()  # what cannot be opened for writing, even by root
    with pytest.raises(DatasetError, match=r"cannot be written to: .*; this command keeps its results there"):
        data.locked().__enter__()


def test_who_gets_the_lock_sees_what_was_committed_meanwhile(data):
    late = Dataset.open(data.folder.url)
    now = ingest(data, listing("a/1", "a/2"))
    with late.locked():
        assert late.head == now.head
        assert content(late) == content(now)


class Mortal(Folder):
    """A folder that is changed so many times, and then kills the process."""

    def __init__(self, folder: Folder, left: int) -> None:
        super().__init__(folder.files, folder.root)
        object.__setattr__(self, "left", left)

    def _step(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        object.__setattr__(self, "left", self.left - 1)

    def write(self, name: str, data: bytes | pa.Buffer) -> None:
        self._step()
        super().write(name, data)

    def remove(self, name: str) -> None:
        self._step()
        super().remove(name)


def killed_ingest(root: str, left: int, rows: pa.Table) -> None:
    ingest(Dataset(Mortal(Folder.at(root), left)), rows)


def test_killed_anywhere_the_content_is_the_old_or_the_new(data, tmp_path):
    """A removed, a changed and a new picture; the run dies at every step in turn, and the next one ends it."""
    before = listing(*[u for u in FACES if u != "c/1"])
    old = ingest(data, before)
    rows = pa.concat_tables([listing("a/1", "a/3", "b/2", "c/1"), listing("b/1", stamp="22")]).sort_by("uri")
    wanted_old = content(old)
    fresh = Dataset.open_or_create(Folder.at(str(tmp_path / "fresh")), head())
    wanted_new = content(ingest(fresh, rows))
    assert wanted_old != wanted_new
    fork = multiprocessing.get_context("fork")
    seen, steps = set(), 0
    for steps in range(100):
        root = str(tmp_path / f"k{steps}")
        shutil.copytree(old.folder.root, root)
        run = fork.Process(target=killed_ingest, args=(root, steps, rows))
        run.start()
        run.join()
        survivor = Dataset.open(root)
        found = content(survivor)
        assert found in (wanted_old, wanted_new), steps
        assert survivor.check() == []
        seen.add(found == wanted_new)
        finished = {s.name for s in survivor.finished()}
        after = ingest(survivor, rows)
        assert content(after) == wanted_new, steps
        assert files(after) == named(after), steps
        if found == wanted_old and finished:
            assert finished & {s.name for s in after.head.shards}, "finished work was done again"
        shutil.rmtree(root)
        if run.exitcode == 0:
            break
        assert run.exitcode == -signal.SIGKILL
    assert seen == {True, False}
    assert steps > 15  # as many changes as such an ingest makes


def test_killed_at_its_very_beginning_a_dataset_can_be_begun_again(folder):
    folder.write(f".{'0' * 32}.part", b"half a head")
    ingest(Dataset.open_or_create(folder, head()), listing(*FACES))
    assert files(Dataset.open(folder.url)) == named(Dataset.open(folder.url))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "omokage-test", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_does_no_damage_and_later_work_goes_on(small_disk):
    data = ingest(Dataset.open_or_create(Folder.at(str(small_disk / "d")), head()), listing("a/1", "a/2"))
    before = content(data)
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as out:
        while out.write(b"x" * 4096):
            pass
    with pytest.raises(OSError, match="No space left"):
        ingest(data, listing(*FACES))
    survivor = Dataset.open(data.folder.url)
    assert survivor.check() == []
    assert content(survivor) == before
    assert not [name for name in files(survivor) if name.endswith(".part")]
    ballast.unlink()
    after = ingest(survivor, listing(*FACES))
    assert len(content(after)[0]) == 6
    assert files(after) == named(after)


def test_a_dataset_in_memory_storage(tmp_path):
    folder = Folder.at(f"memory://{tmp_path}/d")
    data = ingest(Dataset.open_or_create(folder, head()), listing(*FACES))
    after = ingest(data, listing("a/1", "b/1", "c/1"))
    assert after.check() == []
    assert [p["uri"] for p in content(after)[0]] == ["a/1", "b/1", "c/1"]
    assert len(folder.names("shards")) == 3 * len(after.head.shards)
    with after.locked():
        pass
