"""Lists of pairs and of who is enrolled: read, matched with faces, and what is wrong in them said by line."""

from pathlib import Path

import numpy as np
import pytest

from album import Album, Face, crowd
from omokage.assess import face_lists
from omokage.assess.subject import Subject, subject
from omokage.errors import DatasetError


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Four people with three pictures in LFW's names, one of which gave no face, and one with two faces."""
    rng = np.random.default_rng(0)
    made = Album(failed=[("Cid", "Cid/Cid_0004.jpg", "none_found")])
    for name in ("Ann Lee", "Bo", "Cid", "佐藤"):
        for number in (1, 2, 3):
            made.faces.append(Face(name, f"{name}/{name}_{number:04d}.jpg", rng.standard_normal(8)))
    made.faces.append(Face("Bo", "Bo/Bo_0001.jpg", rng.standard_normal(8), side=400, number=1))
    return subject(made.write(str(tmp_path_factory.mktemp("lists") / "data")).folder.url)


def row(faces: Subject, uri: str) -> int:
    """Return the row of a picture's only face."""
    return faces.faces["uri"].to_pylist().index(uri)


def written(place: Path, text: str) -> str:
    place.write_text(text, encoding="utf-8", newline="")
    return str(place)


def test_pairs_by_uri_and_by_face_id(faces: Subject, tmp_path: Path) -> None:
    a, b = row(faces, "Ann Lee/Ann Lee_0001.jpg"), row(faces, "佐藤/佐藤_0002.jpg")
    face_id = faces.faces["face_id"][b].as_py()
    text = (
        "\ufeffsame, B,a\r\n"
        "1,Ann Lee/Ann Lee_0002.jpg,Ann Lee/Ann Lee_0001.jpg\r\n"
        f"No,{face_id},Ann Lee/Ann Lee_0001.jpg\r\n\r\n"
    )
    found = face_lists.pairs(faces, written(tmp_path / "p.csv", text))
    assert found.pairs.a_L.tolist() == [a, a]
    assert found.pairs.b_L.tolist() == [row(faces, "Ann Lee/Ann Lee_0002.jpg"), b]
    assert found.pairs.same_L.tolist() == [True, False] and found.pairs.fold_L is None and found.remarks == ()


def test_a_fold_of_a_list_is_what_it_is_called(faces: Subject, tmp_path: Path) -> None:
    rows = [("Ann Lee", 1, 2, "1", "x"), ("Bo", 2, 3, "1", "y"), ("Cid", 1, 2, "1", "x")]
    text = "a,b,same,fold\n" + "".join(f"{n}/{n}_000{i}.jpg,{n}/{n}_000{j}.jpg,{s},{f}\n" for n, i, j, s, f in rows)
    found = face_lists.pairs(faces, written(tmp_path / "p.csv", text))
    assert found.pairs.fold_L is not None and found.pairs.fold_L.tolist() == [0, 1, 0]


def test_pairs_txt_of_lfw(faces: Subject, tmp_path: Path) -> None:
    text = "2\t1\nAnn Lee\t1\t2\nAnn Lee\t1\tBo\t2\n佐藤\t1\t3\nCid\t4\t佐藤\t2\n"
    found = face_lists.pairs(faces, written(tmp_path / "pairs.txt", text))
    assert found.pairs.same_L.tolist() == [True, False, True] and found.pairs.fold_L is not None
    assert found.pairs.fold_L.tolist() == [0, 0, 1]
    assert found.pairs.lost.same_X.tolist() == [False], "the last pair cannot be compared: its picture gave no face"
    assert found.pictures == (7, 1) and found.remarks == ()


def test_of_several_faces_of_a_picture_the_best_is_compared(faces: Subject, tmp_path: Path) -> None:
    text = "a,b,same\nBo/Bo_0001.jpg,Bo/Bo_0002.jpg,1\nBo/Bo_0001.jpg,Cid/Cid_0001.jpg,0\n"
    found = face_lists.pairs(faces, written(tmp_path / "p.csv", text))
    assert faces.faces["side"][int(found.pairs.a_L[0])].as_py() == 400
    assert len(found.remarks) == 1 and "several faces" in found.remarks[0] and found.remarks[0].startswith("1 ")


def test_what_cannot_be_compared_is_counted_and_said(faces: Subject, tmp_path: Path) -> None:
    text = (
        "a,b,same\n"
        "Bo/Bo_0002.jpg,Bo/Bo_0003.jpg,1\n"
        "Bo/Bo_0003.jpg,Bo/Bo_0002.jpg,1\n"
        "Bo/Bo_0002.jpg,Bo/Bo_0002.jpg,1\n"
        "Cid/Cid_0004.jpg,Cid/Cid_0001.jpg,1\n"
        "nobody\x1b[2J/1.jpg,Bo/Bo_0002.jpg,0\n"
        "Ann Lee/Ann Lee_0001.jpg,Bo/Bo_0002.jpg,1\n"
    )
    found = face_lists.pairs(faces, written(tmp_path / "p.csv", text))
    assert len(found.pairs) == 3 and found.pairs.lost.same_X.tolist() == [True]
    missing, selves, again, other = found.remarks
    assert missing.startswith("1 of 6") and "not the figures of the whole list" in missing and "\x1b" not in missing
    assert "with itself" in selves and "more than once" in again and other.startswith("of 1 pair")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a,b\nx,y\n", "columns a, b and same"),
        ("a,b,same,a\n", "columns a, b and same"),
        ("a,b,same\nx,y\n", "line 2 .* has 2 fields"),
        ("a,b,same\nBo/Bo_0002.jpg,Bo/Bo_0003.jpg,1\nx,y,perhaps\n", "line 3 .*same must be 1 or 0, got 'perhaps'"),
        ("a,b,same\nnobody,noone,1\n", "none of the 1 pairs .*'nobody' is not there"),
        ("a,b,same\n", "lists no pair"),
        ("2 1\nBo 1 2\n", "promises 2 folds"),
        ("hello\n", "line 1"),
        ('a,b,same\n"' + "x" * 200_000 + '",y,1\n', "is no CSV"),
    ],
)
def test_a_list_that_is_wrong(faces: Subject, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        face_lists.pairs(faces, written(tmp_path / "p.csv", text))


def test_a_list_that_cannot_be_read(faces: Subject, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        face_lists.pairs(faces, str(tmp_path / "none.csv"))
    with pytest.raises(DatasetError, match="cannot be read"):
        face_lists.pairs(faces, str(tmp_path))
    (tmp_path / "bytes").write_bytes(b"a,b,same\n\xff\xfe,1,1\n")
    with pytest.raises(DatasetError, match="UTF-8"):
        face_lists.pairs(faces, str(tmp_path / "bytes"))


def test_who_is_enrolled(faces: Subject, tmp_path: Path) -> None:
    face_id = faces.faces["face_id"][0].as_py()
    place = written(tmp_path / "g.txt", f"{face_id}\r\nBo/Bo_0001.jpg\n\nCid/Cid_0004.jpg\nBo/Bo_0001.jpg\n")
    expected = [0, *(n for n, uri in enumerate(faces.faces["uri"].to_pylist()) if uri == "Bo/Bo_0001.jpg")]
    assert face_lists.rows(faces, place, "gallery").tolist() == expected, (
        "both faces of a picture; none of one that failed"
    )
    with pytest.raises(DatasetError, match=r"line 2 of the gallery .*'noone', .* and 1 more"):
        face_lists.rows(faces, written(tmp_path / "w.txt", f"{face_id}\nnoone\nnobody\n"), "gallery")


def test_a_long_list_takes_no_time(tmp_path: Path) -> None:
    found = subject(crowd(people=50, faces=20).write(str(tmp_path / "data")).folder.url)
    uris = found.faces["uri"].to_pylist()
    rng = np.random.default_rng(0)
    a_L, b_L = rng.integers(1000, size=(2, 20_000))
    lines = [f"{uris[a]},{uris[b]},{int(a // 20 == b // 20)}" for a, b in zip(a_L, b_L, strict=True)]
    pairs = face_lists.pairs(found, written(tmp_path / "p.csv", "a,b,same\n" + "\n".join(lines))).pairs
    assert len(pairs) == int((a_L != b_L).sum())
