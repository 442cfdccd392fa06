"""A drawn folder: reproducible, true to its truth, and careful about other people's files."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from omokage.errors import ConfigError
from omokage.synth import draw, faults, names, truth
from omokage.synth.draw import DrawConfig
from omokage.synth.formats import FORMATS

CONFIG = DrawConfig(people=3, pictures=2, size=72, seed=1, workers=1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn") / "out"
    seen = []
    known = draw.draw(CONFIG, out, lambda done, total, what: seen.append((done, total)))
    assert seen[-1] == (len(known.files), len(known.files))
    return out, known


def tree(folder: Path):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def read(out, file):
    return (out / draw.PICTURES / file.path).read_bytes()


def upright(data):
    with Image.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def of(known, fault):
    return [file for file in known.files if file.fault == fault]


def test_truth_and_folder_list_the_same_files(drawn):
    out, known = drawn
    on_disk = {
        str(file.relative_to(out / draw.PICTURES)) for file in (out / draw.PICTURES).rglob("*") if file.is_file()
    }
    assert Counter(file.path for file in known.files) == Counter(on_disk)
    assert truth.read(out) == known


def test_workers_do_not_change_a_byte(drawn, tmp_path):
    out, _ = drawn
    draw.draw(DrawConfig(people=3, pictures=2, size=72, seed=1, workers=2), tmp_path / "two")
    assert tree(tmp_path / "two") == tree(out)


def test_every_fault_is_planted(drawn):
    _, known = drawn
    assert set(faults.FAULTS) <= set(known.counts())
    assert set(FORMATS) <= {file.encoding for file in known.files}


def test_ordinary_pictures_are_the_same_without_faults(drawn, tmp_path):
    out, known = drawn
    plain = DrawConfig(people=2, pictures=1, size=72, seed=1, workers=1, faults=False)
    alone = draw.draw(plain, tmp_path / "plain")
    assert [file.path for file in alone.files] == [f"{names.name(0)}/000.jpg", f"{names.name(1)}/000.jpg"]
    for file in alone.files:
        assert file in known.files
        assert read(tmp_path / "plain", file) == read(out, file)


def test_people_are_where_the_truth_says(drawn):
    _, known = drawn
    for file in known.files:
        if file.fault in ("split", "stranger"):
            assert file.person is not None and file.person != file.folder
        elif file.faces and file.fault != "copied":
            assert file.person == file.folder == file.faces[0].person
    split = of(known, "split")
    assert split and {file.folder for file in split}.isdisjoint(known.people)
    assert {file.person for file in split} <= {file.folder for file in known.files if file.fault is None}


def test_copies_and_repeats(drawn):
    out, known = drawn
    by_path = {file.path: file for file in known.files}
    for file in of(known, "copied"):
        first = by_path[file.original]
        assert read(out, file) == read(out, first) and file.folder != first.folder
    for kind in ("reencoded", "resized", "cropped"):
        for file in of(known, kind):
            first = by_path[file.original]
            assert file.folder == first.folder and file.person == first.person
            assert read(out, file) != read(out, first)
            now, before = upright(read(out, file)).size, upright(read(out, first)).size
            assert (now == before) == (kind == "reencoded")


def test_unreadable_files_cannot_be_read(drawn):
    out, known = drawn
    for kind in faults.BROKEN:
        for file in of(known, kind):
            assert file.faces == () and file.person is None
            with pytest.raises(OSError):
                upright(read(out, file))
    assert all(read(out, file) == b"" for file in of(known, "empty"))


def test_wrong_extension_is_readable(drawn):
    out, known = drawn
    for file in of(known, "wrong_extension"):
        assert file.path.endswith(".jpg") and read(out, file).startswith(b"\x89PNG") and len(file.faces) == 1


def test_groups_and_empty_rooms(drawn):
    out, known = drawn
    for file in of(known, "group"):
        assert 2 <= len({face.person for face in file.faces}) == len(file.faces) <= 4
    for file in of(known, "no_face"):
        assert file.faces == () and upright(read(out, file)).size == (72, 72)


def test_landmarks_lie_in_the_upright_picture(drawn):
    out, known = drawn
    for file in known.files:
        for face in file.faces:
            width, height = upright(read(out, file)).size
            x, y = np.array(face.landmarks).T
            assert x.min() > 0 and x.max() < width and y.min() > 0 and y.max() < height
            assert x[0] < x[1] and x[3] < x[4]


def test_finished_folder_is_left_alone(drawn):
    out, known = drawn
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    assert draw.draw(CONFIG, out) == known
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before


def test_other_settings_replace_only_what_was_drawn(tmp_path):
    small = DrawConfig(people=2, pictures=1, size=64, workers=1, faults=False)
    draw.draw(small, tmp_path)
    draw.draw(DrawConfig(people=1, pictures=1, size=64, workers=1, faults=False), tmp_path)
    assert [path.name for path in (tmp_path / draw.PICTURES).iterdir()] == [names.name(0)]
    (tmp_path / draw.PICTURES / "mine.jpg").write_bytes(b"keep me")
    with pytest.raises(ConfigError, match="did not make"):
        draw.draw(small, tmp_path)
    assert (tmp_path / draw.PICTURES / "mine.jpg").read_bytes() == b"keep me"


def test_half_drawn_folder_is_finished(drawn, tmp_path):
    out, _ = drawn
    plain = DrawConfig(people=2, pictures=1, size=72, seed=1, workers=1, faults=False)
    draw.draw(plain, tmp_path)
    (tmp_path / truth.NAME).unlink()  # what a kill leaves: pictures, no truth
    file = draw.draw(plain, tmp_path).files[1]
    assert read(tmp_path, file) == read(out, file)


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="not empty"):
        draw.draw(CONFIG, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(ConfigError, match="not a folder"):
        draw.draw(CONFIG, tmp_path / "holiday.jpg")


@pytest.mark.parametrize("wrong", [{"people": 0}, {"pictures": 0}, {"size": 8}, {"seed": -1}, {"workers": 0}])
def test_bad_settings(wrong):
    with pytest.raises(ConfigError, match=f"draw.{next(iter(wrong))}"):
        DrawConfig(**wrong)


@pytest.mark.parametrize(("people", "pictures"), [(1, 1), (1, 3), (2, 1), (24, 8), (60, 20)])
def test_plans_of_any_size_name_each_file_once(people, pictures):
    items = draw.plan(DrawConfig(people=people, pictures=pictures))
    assert len({item.path for item in items}) == len(items)
    assert {item.fault for item in items} >= set(faults.FAULTS) - {"split"}
    assert all(len(part.encode()) <= 255 for item in items for part in item.path.split("/"))


def test_more_pictures_more_faults():
    few, many = (
        Counter(item.fault for item in draw.plan(DrawConfig(people=people, pictures=10))) for people in (24, 120)
    )
    assert all(many[fault] > few[fault] for fault in faults.FAULTS)
