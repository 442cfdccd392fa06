"""Files moved, brought back and copied in an S3 that checks signatures."""

import hashlib

import pyarrow.parquet as pq
import pytest

import s3_server
from omokage.apply import journal
from omokage.apply.asked import Asked
from omokage.apply.copy import CopyConfig, copy
from omokage.apply.move import move, undo
from omokage.errors import ConfigError, DatasetError, SourceError
from omokage.ledger.decision import Decision
from trees import decide, drop, known, plant, relabel, tree

pytestmark = pytest.mark.usefixtures("address")

BUCKET = "omokage-apply"
NAMES = (
    "Anna/1.jpg",
    "Anna/a b+%25#?&=🙂.jpg",
    "Anna/[x]*.jpg",
    "面 影/1.jpg",
    "<script>/\"q'.jpg",
    "Bob/1.jpg",
    "Bob/deep/er/2.jpg",
    "loose.jpg",
)


@pytest.fixture(scope="module")
def files(server):
    files = s3_server.client(server)
    files.mkdir(BUCKET)
    return files


@pytest.fixture
def place(files, request):
    """A source of a test's own."""
    below = f"{BUCKET}/{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}/pic tures"
    for number, name in enumerate(NAMES):
        files.pipe_file(f"{below}/{name}", b"picture %d" % number)
    return below


@pytest.fixture
def data(place):
    data = known(f"s3://{place}", f"s3://{place} data")
    drop(data, "Bob/1.jpg", "Anna/[x]*.jpg")
    relabel(data, "new/one", "loose.jpg")
    decide(data, *(Decision(do="merge", person=who, into="Anna") for who in ("面 影", "<script>", "Bob")))
    return data


def content(files, below):
    # This server remembers a folder that lost its last object, and lists it as if it were one.
    found = [path for path in files.find(below) if path != below]
    return {path.removeprefix(below + "/"): files.cat_file(path) for path in found}


def test_moved_and_brought_back(files, place, data):
    before = content(files, place)
    report = move(Asked.at(data.folder.url))
    assert report.moved == 6
    after = content(files, place)
    new = report.renamed["new/one"]
    assert set(after) == {
        *("Anna/1.jpg", "Anna/1 (2).jpg", "Anna/a b+%25#?&=🙂.jpg", "Anna/\"q'.jpg", "Anna/deep/er/2.jpg"),
        f"{new}/loose.jpg",
    }
    assert after["Anna/1.jpg"] == before["Anna/1.jpg"]
    assert set(content(files, f"{place}.quarantine")) == {"000001/Bob/1.jpg", "000001/Anna/[x]*.jpg"}
    undo(data.folder.url)
    assert content(files, place) == before
    assert not content(files, f"{place}.quarantine")


def test_when_everything_is_dropped_it_can_be_brought_back(files, place):
    data = known(f"s3://{place}", f"s3://{place} data")
    before = content(files, place)
    drop(data, *data.manifest()["uri"].to_pylist())
    assert move(Asked.at(data.folder.url)).moved == len(NAMES)
    assert not content(files, place)
    undo(data.folder.url)
    assert content(files, place) == before


def test_stopped_in_the_middle(files, place, data):
    class Stop(BaseException):
        pass

    def stop(done, of, what):
        if (done, what) == (3, "moved"):
            raise Stop

    before = content(files, place)
    with pytest.raises(Stop):
        move(Asked.at(data.folder.url), on_progress=stop)
    with pytest.raises(DatasetError, match=r"apply 1 was stopped in the middle: omokage apply s3://"):
        journal.refuse_unfinished(data.folder)
    steps = journal.entries(data.folder)[0].plan().steps
    files.cp_file(f"{place}.quarantine/000001/Anna/[x]*.jpg", f"{place}/Anna/[x]*.jpg")  # killed before it was removed
    assert move(Asked.at(data.folder.url)).moved == len(steps)
    assert not files.exists(f"{place}/Anna/[x]*.jpg")
    undo(data.folder.url)
    assert content(files, place) == before


def test_what_is_not_as_it_was_is_refused(files, place, data):
    files.pipe_file(f"{place}/Bob/1.jpg", b"pictura 5")
    before = content(files, place)
    with pytest.raises(SourceError, match=r"'Bob/1.jpg' has changed"):
        move(Asked.at(data.folder.url))
    with pytest.raises(SourceError, match=r"'Anna/1.jpg' is gone"):
        files.rm_file(f"{place}/Anna/1.jpg")
        copy(Asked.at(data.folder.url), f"s3://{place}-out", CopyConfig())
    assert content(files, place) == {name: data for name, data in before.items() if name != "Anna/1.jpg"}
    with pytest.raises(ConfigError, match="in the same storage"):
        move(Asked.at(data.folder.url), quarantine="/tmp/nowhere")


def test_a_source_on_disk_with_its_dataset_in_a_bucket(files, place, tmp_path):
    source = plant(tmp_path / "pictures", "Anna/1.jpg", "Bob/1.jpg", b"Bob/\xff.jpg")
    before = tree(source)
    data = known(source, f"s3://{place} data")
    drop(data, "Bob/1.jpg", "file:Bob/%FF.jpg")
    assert move(Asked.at(data.folder.url)).moved == 2
    with pytest.raises(DatasetError, match="run omokage ingest first"):
        move(Asked.at(data.folder.url))
    undo(data.folder.url)
    assert tree(source) == before


@pytest.mark.parametrize("way", ["s3 to s3", "s3 to disk", "disk to s3"])
def test_a_copy(files, place, data, tmp_path, way):
    source, out = f"s3://{place}", f"s3://{place} out"
    if way == "s3 to disk":
        out = str(tmp_path / "out")
    if way == "disk to s3":
        source = str(plant(tmp_path / "pictures", "Anna/1.jpg", "Bob/1.jpg", b"Bob/\xff.jpg", "loose.jpg"))
        data = known(source, tmp_path / "data")
        drop(data, "Bob/1.jpg")
    report = copy(Asked.at(data.folder.url), out, CopyConfig())
    assert report.written == report.files
    below = data.folder.at(out)
    rows = pq.read_table(below.place("omokage.parquet"), filesystem=below.files).to_pylist()
    assert len(rows) == report.files == len(below.tree()) - 1
    for row in rows:
        got = below.read(row["path"]) if not row["path"].startswith("file:") or not below.local else None
        assert got is None or hashlib.sha256(got).hexdigest() == row["sha256"]
    assert copy(Asked.at(data.folder.url), out, CopyConfig()).written == 0
    drop(data, "Anna/1.jpg")
    again = copy(Asked.at(data.folder.url), out, CopyConfig())
    assert (again.removed, again.files) == (1, report.files - 1) or way != "disk to s3"
    assert len(below.tree()) == again.files + 1
