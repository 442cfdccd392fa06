import os
import subprocess
import sys
from pathlib import Path

import pytest

from omokage.apply import journal
from omokage.apply.asked import Asked
from omokage.apply.move import move, undo
from omokage.errors import ConfigError, DatasetError, SourceError, WorkError
from omokage.ledger import version
from omokage.ledger.decision import Decision
from trees import HOSTILE, decide, drop, files, ids, known, plant, relabel, tree


@pytest.fixture
def place(tmp_path):
    return tmp_path / "pictures"


def apply(data, **options):
    return move(Asked.at(data.folder.url), **options)


def test_files_go_where_the_decisions_say_and_come_back(place, tmp_path):
    plant(place, "A/1.jpg", "A/2.jpg", "A/deep/er/3.jpg", "B/1.jpg", "B/9.jpg", "C/1.jpg", "loose.jpg", "C/notes.txt")
    before = tree(place)
    data = known(place, tmp_path / "data", {"C/notes.txt": 0})
    drop(data, "A/1.jpg")
    decide(data, Decision(do="drop_duplicate", faces=ids(data, "B/9.jpg"), into=ids(data, "B/1.jpg")[0]))
    relabel(data, "New", "loose.jpg")
    decide(
        data, *(Decision(do="merge", person=who, into="B") for who in "AC"), Decision(do="merge", person="B", into="D")
    )
    decide(data, Decision(do="undo", undoes=6))
    report = apply(data)
    assert files(place) == {
        "B/1.jpg",
        "B/2.jpg",
        "B/deep/er/3.jpg",
        "B/1 (2).jpg",
        "C/notes.txt",
        "New/loose.jpg",
    }
    assert not (place / "A").exists(), "an emptied folder stays"
    assert files(tmp_path / "pictures.quarantine") == {"000001/A/1.jpg", "000001/B/9.jpg"}
    assert report.moved == 6
    assert report.goes == {"to another person's folder": 4, "quarantined": 1, "quarantined as duplicates": 1}
    assert (place / "B/1.jpg").read_bytes() == b"picture 3 of B/1.jpg", "a file was written over"
    back = undo(data.folder.url)
    assert (back.restored, back.left) == (6, ())
    assert tree(place) == before
    assert not (tmp_path / "pictures.quarantine").exists()
    with pytest.raises(ConfigError, match="nothing was applied"):
        undo(data.folder.url)
    assert apply(data).moved == 6, "after an undo, the same can be applied again"


def test_any_names(place, tmp_path):
    plant(place, *HOSTILE)
    before = tree(place)
    data = known(place, tmp_path / "data")
    people = sorted({who for who in data.manifest()["identity"].to_pylist() if who != "Anna"})
    assert len(people) == len(HOSTILE) - 1
    decide(data, *(Decision(do="merge", person=who, into="Anna") for who in people))
    assert apply(data).moved == len(people)
    assert {path.name for path in place.iterdir()} == {"Anna"}
    assert len(files(place)) == len(HOSTILE)
    undo(data.folder.url)
    assert tree(place) == before
    data = known(place, tmp_path / "again")
    drop(data, *data.manifest()["uri"].to_pylist())
    apply(data)
    assert not files(place)
    assert len(files(tmp_path / "pictures.quarantine")) == len(HOSTILE)
    undo(data.folder.url)
    assert tree(place) == before


@pytest.mark.parametrize("who", ["../up", "a/b", "..", ".", "x" * 300, "名" * 90, "\0", "a\nb", "loose.jpg"])
def test_a_new_person_of_any_name_gets_a_folder_below_the_source(place, tmp_path, who):
    plant(place, "A/1.jpg", "loose.jpg")
    before = tree(place)
    data = known(place, tmp_path / "data")
    relabel(data, who, "A/1.jpg")
    apply(data)
    (folder,) = [path for path in place.iterdir() if path.is_dir()]
    assert [path.name for path in folder.iterdir()] == ["1.jpg"]
    assert (folder.name == who) == (who == "a\nb")
    undo(data.folder.url)
    assert tree(place) == before


def test_pictures_whose_faces_were_decided_differently_stay_and_are_named(place, tmp_path):
    plant(place, "A/group.jpg", "A/pair.jpg", "A/gone.jpg", "A/1.jpg")
    data = known(place, tmp_path / "data", {"A/group.jpg": 3, "A/pair.jpg": 2, "A/gone.jpg": 2})
    group, pair, gone = (ids(data, f"A/{name}.jpg") for name in ("group", "pair", "gone"))
    decide(
        data,
        Decision(do="drop_face", faces=group[:1]),
        Decision(do="relabel", faces=pair[:1], into="B"),
        Decision(do="drop_face", faces=gone),
    )
    report = apply(data)
    assert report.stays == {"faces decided differently": ["A/group.jpg", "A/pair.jpg"]}
    assert files(place) == {"A/group.jpg", "A/pair.jpg", "A/1.jpg"}


def test_a_dry_run_and_a_plan_without_steps_change_nothing(place, tmp_path):
    plant(place, "A/1.jpg", "B/1.jpg")
    before = tree(place)
    data = known(place, tmp_path / "data")
    assert apply(data).text().startswith("Nothing to move")
    drop(data, "A/1.jpg")
    plans = []
    assert apply(data, dry_run=True, on_plan=plans.append).moved == 1
    assert "'A/1.jpg' → quarantine 'A/1.jpg'" in plans[0].text()
    assert tree(place) == before
    assert not journal.entries(data.folder)


def test_a_source_that_changed_is_refused_with_a_list(place, tmp_path):
    plant(place, "A/1.jpg", "A/2.jpg", "A/3.jpg", "A/4.jpg")
    data = known(place, tmp_path / "data")
    drop(data, "A/1.jpg", "A/2.jpg", "A/4.jpg")
    info = (place / "A/1.jpg").stat()
    (place / "A/1.jpg").write_bytes(b"x" * info.st_size)
    os.utime(place / "A/1.jpg", ns=(info.st_atime_ns, info.st_mtime_ns))
    (place / "A/2.jpg").unlink()
    (place / "A/3.jpg").write_bytes(b"nothing was decided about this one")
    before = tree(place)
    with pytest.raises(SourceError, match=r"nothing was moved:\n  'A/1.jpg' has changed\n  'A/2.jpg' is gone"):
        apply(data)
    assert tree(place) == before
    assert not journal.entries(data.folder)


def test_a_list_is_refused(place, tmp_path):
    plant(place, "A/1.jpg")
    (tmp_path / "list.csv").write_text("uri,identity\npictures/A/1.jpg,Anna\n")
    data = known(tmp_path / "list.csv", tmp_path / "data")
    drop(data, "pictures/A/1.jpg")
    with pytest.raises(SourceError, match="Use --to OUT"):
        apply(data)


@pytest.mark.parametrize("where", ["pictures/Q", "data/q", "."])
def test_a_quarantine_that_is_not_apart_is_refused(place, tmp_path, where):
    plant(place, "A/1.jpg")
    data = known(place, tmp_path / "data")
    drop(data, "A/1.jpg")
    with pytest.raises(ConfigError, match="must be apart"):
        apply(data, quarantine=str(tmp_path / where))


def test_no_second_apply_before_the_dataset_knows_what_moved(place, tmp_path):
    plant(place, "A/1.jpg", "A/2.jpg", "B/1.jpg")
    data = known(place, tmp_path / "data")
    drop(data, "A/1.jpg")
    apply(data)
    drop(data, "A/2.jpg")
    with pytest.raises(DatasetError, match="run omokage ingest first"):
        apply(data)
    data = known(place, tmp_path / "data")
    assert apply(data).moved == 1
    with pytest.raises(ConfigError, match="the last one that holds is apply 2"):
        undo(data.folder.url, 1)
    undo(data.folder.url, 2)
    undo(data.folder.url)
    assert files(place) == {"A/1.jpg", "A/2.jpg", "B/1.jpg"}
    with pytest.raises(DatasetError, match="run omokage ingest first"):
        apply(data)


def test_links_move_as_links_and_nothing_behind_one_is_touched(place, tmp_path):
    plant(place, "A/1.jpg", "B/1.jpg", "C/x/1.jpg")
    elsewhere = plant(tmp_path / "elsewhere", "1.jpg", "2.jpg")
    (place / "A/far.jpg").symlink_to(elsewhere / "1.jpg")
    (place / "A/near.jpg").symlink_to("1.jpg")
    (place / "A/up.jpg").symlink_to("../B/1.jpg")
    (place / "linked").symlink_to(elsewhere)
    os.link(place / "A/1.jpg", place / "A/hard.jpg")
    before, there = tree(place), tree(elsewhere)
    data = known(place, tmp_path / "data")
    relabel(data, "B", "A/far.jpg", "A/near.jpg", "A/up.jpg", "A/hard.jpg", "linked/1.jpg")
    drop(data, "linked/2.jpg")
    relabel(data, "linked", "C/x/1.jpg")
    report = apply(data)
    assert report.stays == {
        "a link that would point elsewhere": ["A/near.jpg"],
        "a folder on the way is a link": ["C/x/1.jpg", "linked/1.jpg", "linked/2.jpg"],
    }
    assert files(place) == {"A/1.jpg", "A/near.jpg", "B/1.jpg", "B/far.jpg", "B/up.jpg", "B/hard.jpg", "C/x/1.jpg"}
    assert (place / "B/far.jpg").readlink() == elsewhere / "1.jpg"
    assert tree(elsewhere) == there
    undo(data.folder.url)
    assert tree(place) == before


def test_a_picture_that_a_link_shows_again_stays(place, tmp_path):
    plant(place, "A/1.jpg", "A/2.jpg", "A/3.jpg", "A/real/4.jpg")
    (place / "A/again.jpg").symlink_to("1.jpg")
    (place / "A/by way").symlink_to("real")
    (place / "B").symlink_to("A")
    (place / "A/5.jpg").symlink_to(place / "A/2.jpg")
    data = known(place, tmp_path / "data")
    drop(data, "A/1.jpg", "A/3.jpg", "A/5.jpg", "A/real/4.jpg")
    report = apply(data)
    assert report.stays == {"a link shows the picture at another place, too": ["A/1.jpg", "A/3.jpg", "A/real/4.jpg"]}
    (place / "B").unlink()
    undo(data.folder.url)
    data = known(place, tmp_path / "again")
    drop(data, "A/1.jpg", "A/3.jpg", "A/real/4.jpg")
    assert apply(data).stays == {"a link shows the picture at another place, too": ["A/1.jpg", "A/real/4.jpg"]}


def test_an_undo_with_a_file_in_its_way_or_changed_moves_nothing(place, tmp_path):
    plant(place, "A/1.jpg", "A/2.jpg", "A/3.jpg", "B/1.jpg")
    data = known(place, tmp_path / "data")
    drop(data, "A/1.jpg", "A/2.jpg", "A/3.jpg")
    apply(data)
    hidden = tmp_path / "pictures.quarantine/000001/A"
    plant(place, "A/1.jpg")
    (place / "A/1.jpg").write_bytes(b"another picture")
    (hidden / "2.jpg").write_bytes(b"changed")
    (hidden / "3.jpg").unlink()
    before = tree(place), tree(hidden)
    with pytest.raises(SourceError) as said:
        undo(data.folder.url)
    for line in ("'A/1.jpg' would go where something else lies now", "'A/2.jpg' has changed", "'A/3.jpg' is gone"):
        assert line in str(said.value)
    assert (tree(place), tree(hidden)) == before


def test_an_undo_with_a_file_where_a_folder_was_moves_nothing(place, tmp_path):
    plant(place, "A/1.jpg", "B/1.jpg")
    data = known(place, tmp_path / "data")
    drop(data, "A/1.jpg", "B/1.jpg")
    apply(data)
    (place / "A").write_bytes(b"a file now")
    with pytest.raises(SourceError, match=r"'A/1.jpg' would go where something else lies now"):
        undo(data.folder.url)
    assert files(place) == {"A"}
    report = undo(data.folder.url, partly=True)
    assert (report.restored, [each.uri for each in report.left]) == (1, ["A/1.jpg"])
    assert files(place) == {"A", "B/1.jpg"}
    assert files(tmp_path / "pictures.quarantine") == {"000001/A/1.jpg"}


def test_a_frozen_version_is_applied_as_it_was(place, tmp_path):
    plant(place, "A/1.jpg", "A/2.jpg", "A/3.jpg")
    data = known(place, tmp_path / "data")
    drop(data, "A/1.jpg")
    version.freeze(data, "v1")
    drop(data, "A/2.jpg")
    report = move(Asked.at(data.folder.url + "@v1"))
    assert (report.version, report.moved) == ("v1", 1)
    assert files(place) == {"A/2.jpg", "A/3.jpg"}


def test_an_undo_keeps_what_came_into_a_folder_and_gives_times_back(place, tmp_path):
    plant(place, "A/1.jpg", "B/1.jpg")
    before = tree(place)
    data = known(place, tmp_path / "data")
    relabel(data, "New", "A/1.jpg")
    apply(data)
    (place / "New/came.jpg").write_bytes(b"later")
    os.utime(place / "New/1.jpg")
    undo(data.folder.url)
    assert (place / "New/came.jpg").read_bytes() == b"later"
    after = tree(place)
    assert {name: after[name] for name in before if name != b"."} == {n: before[n] for n in before if n != b"."}


ELSEWHERE = Path("/dev/shm")


@pytest.fixture
def other_disk(tmp_path):
    if not ELSEWHERE.is_dir() or ELSEWHERE.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk here")
    folder = ELSEWHERE / f"omokage-{os.getpid()}"
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


def test_a_quarantine_on_another_disk(place, tmp_path, other_disk):
    plant(place, *HOSTILE)
    (place / "Anna/link.jpg").symlink_to(plant(tmp_path / "far", "1.jpg") / "1.jpg")
    (place / "Anna/x.jpg").chmod(0o640)
    plant(place, *HOSTILE)
    before = tree(place)
    data = known(place, tmp_path / "data")
    drop(data, *data.manifest()["uri"].to_pylist())
    apply(data, quarantine=str(other_disk))
    assert not files(place)
    undo(data.folder.url)
    assert tree(place) == before
    assert not other_disk.exists()


def test_a_source_that_may_not_be_written_to_is_refused_before_the_first_move(place, tmp_path, other_disk):
    plant(place, "A/1.jpg", "B/1.jpg")
    data = known(place, tmp_path / "data")
    drop(data, "A/1.jpg", "B/1.jpg")
    before = tree(place)
    if os.geteuid() == 0:  # whom no mode stops, but a disk that is mounted for reading does
        mounts = f"mount --bind {place} {place} && mount -o remount,ro,bind {place} && "
        words = ["unshare", "--mount", "sh", "-c", mounts + 'exec "$@"', "sh"]
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
            pytest.skip("no disk can be mounted here")
    else:
        (place / "A").chmod(0o500)
        words = []
    words += [sys.executable, "-m", "omokage", "apply", data.folder.url, "--move"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    (place / "A").chmod(0o755)
    assert (ran.returncode, "these folders cannot be written to; nothing was moved" in ran.stderr) == (1, True), ran
    assert repr(str(place / "A")) in ran.stderr
    assert not journal.entries(data.folder)
    assert files(place) == {"A/1.jpg", "B/1.jpg"}
    assert tree(place).keys() == before.keys()


def test_a_disk_that_gets_full_in_the_middle(place, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        plant(place, *(f"A/{n}.jpg" for n in range(40)))
        for path in place.rglob("*.jpg"):
            path.write_bytes(os.urandom(4000))
        before = tree(place)
        data = known(place, tmp_path / "data")
        drop(data, *data.manifest()["uri"].to_pylist())
        said = (
            r"apply 1 was stopped in the middle: .*No space left on device; omokage apply .* --move goes on from here"
        )
        for _ in range(2):
            with pytest.raises(WorkError, match=said):
                apply(data, quarantine=str(small / "q"))
        assert 1 < len(files(place)) < 40
        undo(data.folder.url)
        assert tree(place) == before
        with pytest.raises(WorkError):
            apply(data, quarantine=str(small / "q"))
        subprocess.run(["mount", "-o", "remount,size=1m", small], check=True)
        assert apply(data).resumed
        assert len(files(small / "q")) == 40
        undo(data.folder.url)
        assert tree(place) == before
    finally:
        subprocess.run(["umount", small], check=True)
