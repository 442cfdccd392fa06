"""Which faces an encoder is judged by: those kept, of somebody, with vectors; what failed; what is said of the rest."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from album import Album, Face, crowd
from omokage.assess.encoded import Encoded
from omokage.assess.subject import subject
from omokage.errors import DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.version import freeze


def near(*names: str) -> list[Face]:
    """Return a face of each picture, as ``person/picture``, all different."""
    rng = np.random.default_rng(1)
    return [Face(name.split("/")[0], name, rng.standard_normal(4)) for name in names]


def test_faces_come_sorted_by_person_and_place_however_they_are_stored(tmp_path: Path) -> None:
    one = crowd().write(str(tmp_path / "one"))
    four = crowd().write(str(tmp_path / "four"), shards=4)
    a, b = subject(one.folder.url), subject(four.folder.url)
    assert a.faces.equals(b.faces) and (a.vector_NE == b.vector_NE).all() and a.digest == b.digest
    assert a.people == tuple(f"person {n:02d}" for n in range(8)) and a.named == 8
    assert (np.diff(a.label_N) >= 0).all() and a.faces["uri"].to_pylist() == sorted(a.faces["uri"].to_pylist())
    assert a.label_N.tolist() == [n for n in range(8) for _ in range(4)] and a.remarks == ()
    truth = {face.uri: np.float32(face.vector) for face in crowd().faces}
    for row, uri in enumerate(a.faces["uri"].to_pylist()):
        assert np.allclose(a.vector_NE[row], truth[uri], atol=1e-6)


def test_vectors_are_brought_to_unit_length(tmp_path: Path) -> None:
    data = Album(near("a/1.jpg", "a/2.jpg", "b/1.jpg")).write(str(tmp_path / "data"))
    assert np.allclose(np.linalg.norm(subject(data.folder.url).vector_NE, axis=1), 1, atol=1e-6)


def test_decisions_and_versions_say_which_faces_count_and_whose_they_are(tmp_path: Path) -> None:
    data = Album(near("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "c/1.jpg"), [("c", "c/2.jpg", "none_found")]).write(
        str(tmp_path / "data")
    )
    freeze(data, "v1")
    dropped = next(f for t in data.faces(["face_id", "uri"]) for f in t.to_pylist() if f["uri"] == "a/2.jpg")
    Ledger.of(data.folder).append(
        [Decision(do="drop_face", faces=(dropped["face_id"],)), Decision(do="merge", person="c", into="b")]
    )
    now, then = subject(data.folder.url), subject(f"{data.folder.url}@v1")
    assert now.faces["uri"].to_pylist() == ["a/1.jpg", "b/1.jpg", "b/2.jpg", "c/1.jpg"]
    assert now.people == ("a", "b") and now.label_N.tolist() == [0, 1, 1, 1]
    assert now.failed_label_F.tolist() == [1], "a picture that failed is its person's under the person's new name"
    assert then.people == ("a", "b", "c") and len(then.label_N) == 5 and then.failed_label_F.tolist() == [2]
    assert (now.version, then.version, then.given) == (None, "v1", f"{data.folder.url}@v1")
    assert now.digest != then.digest


def test_what_failed_is_told_by_person_also_of_people_without_a_face(tmp_path: Path) -> None:
    failed = [
        ("a", "a/9.jpg", "none_found"),
        ("b", "b/9.jpg", "too_small"),
        ("zoe", "zoe/1.jpg", "not_encoded"),
        ("a", "a/readme.txt", "not_a_picture"),
        ("a", "a/gone.jpg", "unreadable"),
        (None, "loose.jpg", "none_found"),
    ]
    data = Album(near("a/1.jpg", "a/2.jpg", "b/1.jpg"), failed).write(str(tmp_path / "data"))
    found = subject(data.folder.url)
    assert found.people == ("a", "b", "zoe") and found.named == 2
    assert dict(zip(found.failed_uri_F, found.failed_label_F.tolist(), strict=True)) == {
        "a/9.jpg": 0,
        "b/9.jpg": 1,
        "zoe/1.jpg": 2,
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_vector_that_cannot_be_compared_is_left_out_and_a_failure(tmp_path: Path, bad: float) -> None:
    faces = near("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")
    faces[1] = dataclasses.replace(faces[1], vector=[bad] * 4)
    found = subject(Album(faces).write(str(tmp_path / "data")).folder.url)
    assert found.faces["uri"].to_pylist() == ["a/1.jpg", "b/1.jpg", "b/2.jpg"] and np.isfinite(found.vector_NE).all()
    assert (found.failed_uri_F, found.failed_label_F.tolist()) == (("a/2.jpg",), [0])
    assert any(text.startswith("1 face") and "count as failures" in text for text in found.remarks)


def test_nobodys_faces_do_not_count(tmp_path: Path) -> None:
    data = Album([*near("a/1.jpg", "b/1.jpg"), Face(None, "x.jpg", [1, 0, 0, 0])]).write(str(tmp_path / "data"))
    assert subject(data.folder.url).faces["identity"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    ("faces", "said"),
    [
        ([], "no face of anybody"),
        (near("a/1.jpg", "a/2.jpg"), "'a'"),
        ([Face(None, "x", [1, 0])], "no face of anybody"),
    ],
)
def test_nobody_or_one_person_is_refused(tmp_path: Path, faces: list[Face], said: str) -> None:
    data = Album(faces).write(str(tmp_path / "data"))
    with pytest.raises(DatasetError, match=said):
        subject(data.folder.url)


def test_one_persons_strange_name_does_not_reach_the_terminal_as_it_is(tmp_path: Path) -> None:
    data = Album([Face("\x1b[31m\u202e", "1.jpg", [1, 0])]).write(str(tmp_path / "data"))
    with pytest.raises(DatasetError) as error:
        subject(data.folder.url)
    assert "\x1b" not in str(error.value) and "\u202e" not in str(error.value)


def test_what_a_person_should_know_is_said(tmp_path: Path) -> None:
    faces = [
        Face("a", "a/1.jpg", [1, 0, 0], file="shot"),
        Face("a", "a/2.jpg", [1, 0, 0], file="shot"),
        Face("a", "a/3.jpg", [0, 1, 0]),
        Face("a", "a/3.jpg", [0, 1, 1], number=1),  # two faces of one picture are no copy
        Face("b", "b/1.jpg", [0, 0, 1], file="both"),
        Face("c", "c/1.jpg", [0, 0, 1], file="both"),
    ]
    said = subject(Album(faces).write(str(tmp_path / "data")).folder.url).remarks
    assert len(said) == 3
    assert "2 people have one face" in said[0]
    assert said[1].startswith("1 file") and "under one person" in said[1]
    assert said[2].startswith("1 file") and "'b' and 'c'" in said[2]


def test_equal_vectors_are_said_and_nearly_equal_ones_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"{person}/{number}.jpg" for person in "abc" for number in range(3)]
    for place, noise in (("equal", 0.0), ("nearly", 1e-6)):
        faces = [Face(name[0], name, np.eye(4)[0] + noise * rng.standard_normal(4)) for name in names]
        assert any(
            "all vectors are the same" in text
            for text in subject(Album(faces).write(str(tmp_path / place)).folder.url).remarks
        )
    assert subject(crowd().write(str(tmp_path / "others")).folder.url).remarks == ()


def test_vectors_of_another_encoder_take_the_place_of_the_datasets_own(tmp_path: Path) -> None:
    data = crowd().write(str(tmp_path / "data"), shards=2)
    own = Encoded.of(data)
    turned = crowd(seed=5).write(str(tmp_path / "turned"), shards=2)
    other = dataclasses.replace(
        own, encoder=own.encoder | {"name": "other", "sha256": "f" * 64}, remarks=("of chips",), licence="MIT"
    )
    assert [t["uri"].to_pylist() for t in data.faces()] == [t["uri"].to_pylist() for t in turned.faces()]
    object.__setattr__(other, "folder", turned.folder)
    object.__setattr__(other, "files", Encoded.of(turned).files)
    found = subject(data.folder.url, other)
    assert (found.encoder["name"], found.licence, found.remarks) == ("other", "MIT", ("of chips",))
    assert (found.vector_NE == subject(turned.folder.url).vector_NE).all()
    assert found.digest != subject(data.folder.url).digest


def test_some_of_the_faces(tmp_path: Path) -> None:
    album = crowd(people=4, faces=3)
    album.failed = [("person 01", "person 01/x.jpg", "none_found"), ("person 03", "person 03/x.jpg", "none_found")]
    found = subject(album.write(str(tmp_path / "data")).folder.url)
    rows = [row for row, label in enumerate(found.label_N) if label in (1, 2)]
    part = found.only([found.faces["face_id"][row].as_py() for row in rows], "a part")
    assert part.people == ("person 01", "person 02") and part.label_N.tolist() == [0, 0, 0, 1, 1, 1]
    assert (part.vector_NE == found.vector_NE[rows]).all() and part.failed_label_F.tolist() == [0]
    assert part.remarks == ("a part",) and part.digest != found.digest
    with pytest.raises(DatasetError, match="person 01"):
        found.only([found.faces["face_id"][row].as_py() for row in rows[:2]], "")
