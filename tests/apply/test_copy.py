import os
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from omokage.apply.asked import Asked
from omokage.apply.content import COPIED
from omokage.apply.copy import CopyConfig, copy
from omokage.errors import ConfigError, SourceError, WorkError
from omokage.ledger import version
from omokage.ledger.decision import Decision
from trees import HOSTILE, decide, drop, files, ids, known, plant, relabel, tree

OURS = "omokage.parquet"


@pytest.fixture
def place(tmp_path):
    return tmp_path / "pictures"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def to(out, data, at="", **how):
    return copy(Asked.at(data.folder.url + at), str(out), CopyConfig(**how))


def provenance(out):
    return {row["path"]: row for row in pq.read_table(Path(out) / OURS).to_pylist()}


def test_a_copy_has_what_was_decided_and_says_what_it_is(place, tmp_path, out):
    plant(place, "A/1.jpg", "A/2.jpg", "A/deep/3.jpg", "B/1.jpg", "B/9.jpg", "C/1.jpg", "C/two.jpg", "loose.jpg")
    plant(place, "C/notes.txt")
    before = tree(place)
    data = known(place, tmp_path / "data", {"C/notes.txt": 0, "C/1.jpg": 2, "C/two.jpg": 2})
    drop(data, "A/1.jpg")
    decide(
        data,
        Decision(do="drop_duplicate", faces=ids(data, "B/9.jpg"), into=ids(data, "B/1.jpg")[0]),
        Decision(do="merge", person="A", into="B"),
        Decision(do="drop_face", faces=ids(data, "C/1.jpg")[:1]),
        Decision(do="relabel", faces=ids(data, "C/two.jpg")[:1], into="B"),
    )
    report = to(out, data)
    assert files(out) == {OURS, "B/1.jpg", "B/2.jpg", "B/deep/3.jpg", "C/1.jpg"}
    assert report.left_out == {
        "pictures of which every face was dropped": 2,
        "pictures of nobody": 1,
        "pictures that show several people (--layout chips has them)": 1,
        "pictures without a face": 1,
    }
    for copied, source in {"B/1.jpg": "B/1.jpg", "B/2.jpg": "A/2.jpg", "B/deep/3.jpg": "A/deep/3.jpg"}.items():
        assert (out / copied).read_bytes() == (place / source).read_bytes()
        assert (out / copied).stat().st_mtime_ns == (place / source).stat().st_mtime_ns
    row = provenance(out)["B/2.jpg"]
    assert (row["uri"], row["identity"], row["was"], row["face_ids"]) == (
        "A/2.jpg",
        "B",
        "A",
        list(ids(data, "A/2.jpg")),
    )
    assert provenance(out)["C/1.jpg"]["face_ids"] == list(ids(data, "C/1.jpg")[1:])
    assert tree(place) == before


def test_any_names_and_no_two_people_in_one_folder(place, tmp_path, out):
    plant(place, *HOSTILE, "Anna/2.jpg", "Anna/3.jpg", "Anna/4.jpg", "Anna/5.jpg")
    data = known(place, tmp_path / "data")
    for number, who in enumerate(("../up", "a/b", "a_b", OURS), 2):
        relabel(data, who, f"Anna/{number}.jpg")
    report = to(out, data)
    rows = provenance(out)
    assert report.files == len(rows) == len(HOSTILE) + 4 == len(files(out)) - 1
    assert not (tmp_path / "up").exists()
    folder = {row["identity"]: path.split("/")[0] for path, row in rows.items()}
    assert len({name.casefold() for name in folder.values()}) == len(folder)
    assert {"Anna", "a_b", ".hidden", "new\nline", "..."} <= {who for who, name in folder.items() if who == name}
    assert not {"../up", "a/b", OURS, "anna"} & {who for who, name in folder.items() if who == name}
    for path, row in rows.items():
        if not path.startswith("file:"):
            assert (out / path).read_bytes().startswith(b"picture")
            assert row["sha256"]


def test_a_copy_is_brought_up_to_date(place, tmp_path, out):
    plant(place, "A/1.jpg", "A/2.jpg", "B/x/1.jpg", "C/1.jpg")
    data = known(place, tmp_path / "data")
    assert (to(out, data).written, to(out, data).written) == (4, 0)
    first = tree(out)
    drop(data, "B/x/1.jpg")
    decide(data, Decision(do="merge", person="A", into="C"))
    report = to(out, data)
    assert (report.files, report.written, report.removed) == (3, 3, 3)
    assert files(out) == {OURS, "C/1.jpg", "C/2.jpg", "C/1 (2).jpg"}
    assert not (out / "B").exists()
    version.freeze(data, "v1")
    decide(data, Decision(do="undo", undoes=1), Decision(do="undo", undoes=2))
    assert to(out, data, at="@v1").written == 0
    assert to(out, data).removed == 2
    after = tree(out)
    names = {name for name in first if name.endswith(b".jpg")}
    assert {name: after[name] for name in names} == {name: first[name] for name in names}


def test_files_of_others_are_never_written_over_or_removed(place, tmp_path, out):
    plant(place, "A/1.jpg", "A/2.jpg", "B/1.jpg")
    data = known(place, tmp_path / "data")
    plant(out, "A/1.jpg")
    with pytest.raises(ConfigError, match="holds other files"):
        to(out, data)
    shutil.rmtree(out)
    to(out, data)
    (out / "A/1.jpg").write_bytes(b"somebody's work")
    with pytest.raises(SourceError, match=r"'A/1.jpg' was changed by somebody"):
        to(out, data)
    drop(data, "A/1.jpg")
    assert to(out, data).foreign == ("A/1.jpg",)
    assert (out / "A/1.jpg").read_bytes() == b"somebody's work"


@pytest.mark.parametrize("path", ["../data/dataset.json", "/etc/hostname", "A/../../x", "file:%2Fetc%2Fhostname"])
def test_a_forged_list_of_a_copy_removes_nothing_elsewhere(place, tmp_path, out, path):
    plant(place, "A/1.jpg")
    data = known(place, tmp_path / "data")
    out.mkdir()
    forged = pa.table([[path], ["u"], ["A"], ["A"], pa.array([None], pa.string()), [["f"]]], schema=COPIED)
    pq.write_table(forged, out / OURS)
    with pytest.raises(ConfigError, match="names other places"):
        to(out, data)
    assert files(out) == {OURS}


def test_a_changed_source_is_refused_before_anything_is_written(place, tmp_path, out):
    plant(place, "A/1.jpg", "A/2.jpg", "A/3.jpg", "A/4.jpg")
    data = known(place, tmp_path / "data")
    (place / "A/1.jpg").unlink()
    (place / "A/2.jpg").write_bytes(b"changed")
    os.utime(place / "A/3.jpg")
    drop(data, "A/4.jpg")
    (place / "A/4.jpg").unlink()
    with pytest.raises(SourceError, match=r"nothing was copied:\n  'A/1.jpg' is gone.*\n  'A/2.jpg' has changed\nRun"):
        to(out, data)
    assert not out.exists()


def test_a_picture_that_changed_without_a_sign_is_found_while_it_is_copied(place, tmp_path, out):
    plant(place, "A/1.jpg", "A/2.jpg")
    data = known(place, tmp_path / "data")
    info = (place / "A/2.jpg").stat()
    old = (place / "A/2.jpg").read_bytes()
    (place / "A/2.jpg").write_bytes(b"x" * info.st_size)
    os.utime(place / "A/2.jpg", ns=(info.st_atime_ns, info.st_mtime_ns))
    with pytest.raises(SourceError, match="changed while it was copied"):
        to(out, data)
    assert OURS not in files(out)
    assert "A/2.jpg" not in files(out)
    (place / "A/2.jpg").write_bytes(old)
    to(out, data)
    assert files(out) == {OURS, "A/1.jpg", "A/2.jpg"}


def test_hard_links(place, tmp_path, out):
    plant(place, "A/1.jpg", "B/1.jpg")
    (place / "B/link.jpg").symlink_to("../A/1.jpg")
    data = known(place, tmp_path / "data")
    assert to(out, data, link=True).written == 3
    assert (out / "A/1.jpg").samefile(place / "A/1.jpg")
    assert (out / "B/link.jpg").samefile(place / "A/1.jpg")
    assert not (out / "B/link.jpg").is_symlink()
    assert to(out, data, link=True).written == 0


def test_chips(place, tmp_path, out):
    plant(place, "A/1.jpg", "A/2.jpg", "B/x/1.png", b"B/\xff.jpg")
    data = known(place, tmp_path / "data", {"A/1.jpg": 2})
    pair = ids(data, "A/1.jpg")
    decide(data, Decision(do="relabel", faces=pair[1:], into="B"))
    drop(data, "A/2.jpg")
    shutil.rmtree(place)
    report = to(out, data, layout="chips")
    chips = {row["face_id"]: row["chip"] for t in data.faces(["face_id", "chip"]) for row in t.to_pylist()}
    rows = provenance(out)
    assert {f"A/1-{pair[0][:8]}.jpg", f"B/1-{pair[1][:8]}.jpg"} < set(rows)
    assert (report.files, report.left_out) == (4, {"faces that were dropped": 1})
    for path, row in rows.items():
        if not path.startswith("file:"):
            assert (out / path).read_bytes() == chips[row["face_ids"][0]]
    assert to(out, data, layout="chips").written == 0


def test_chips_of_a_version_whose_pictures_are_gone(place, tmp_path, out):
    plant(place, "A/1.jpg", "B/1.jpg")
    data = known(place, tmp_path / "data")
    version.freeze(data, "v1")
    manifest = data.manifest()
    data = data.commit(manifest.filter(pc.not_equal(manifest["uri"], "A/1.jpg")), data.head.shards)
    with pytest.raises(SourceError, match=r"(?s)'A/1.jpg' is gone, and its faces.*freeze and apply another version"):
        to(out, data, "@v1", layout="chips")
    assert not out.exists()


def test_what_cannot_be(place, tmp_path):
    plant(place, "A/1.jpg")
    data = known(place, tmp_path / "data")
    for out in (place / "x", place, tmp_path, tmp_path / "data/x"):
        with pytest.raises(ConfigError, match="must be apart"):
            to(out, data)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        to(tmp_path / "file", data)
    with pytest.raises(ConfigError, match="no files that could be linked"):
        CopyConfig(layout="chips", link=True)


def test_a_list_with_pictures_from_anywhere(place, tmp_path, out):
    plant(tmp_path, "list/Anna/1.jpg", "list/pics/1.jpg", "far/1.jpg", "near/1.jpg")
    lines = ["uri,identity", "Anna/1.jpg,Anna", "pics/1.jpg,Anna", f"{tmp_path}/far/1.jpg,Anna", "../near/1.jpg,Bob"]
    (tmp_path / "list/list.csv").write_text("\n".join(lines))
    data = known(tmp_path / "list/list.csv", tmp_path / "data")
    to(out, data)
    assert files(out) == {OURS, "Anna/1.jpg", "Anna/pics/1.jpg", "Anna/1 (2).jpg", "Bob/1.jpg"}


def test_a_disk_that_gets_full_in_the_middle_of_a_copy(place, tmp_path, out):
    plant(place, *(f"A/{n}.jpg" for n in range(40)))
    for path in place.rglob("*.jpg"):
        path.write_bytes(os.urandom(4000))
    data = known(place, tmp_path / "data")
    out.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", out], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        with pytest.raises(
            WorkError, match=r"the copy in .* was stopped in the middle: .*No space left on device; the same command"
        ):
            to(out, data)
        assert OURS not in files(out)
        subprocess.run(["mount", "-o", "remount,size=1m", out], check=True)
        assert 0 < to(out, data).written < 40
        assert {path.read_bytes() for path in out.rglob("*.jpg")} == {
            path.read_bytes() for path in place.rglob("*.jpg")
        }
        with pytest.raises(ConfigError, match="leave --link out"):
            to(out / "x", data, link=True)
        assert not (out / "x").exists()
    finally:
        subprocess.run(["umount", out], check=True)
