"""People and pictures that an encoder was trained on are told wherever they are judged."""

import dataclasses
from pathlib import Path

import pytest

from album import Face, crowd, trained
from omokage.assess import overlap
from omokage.assess.overlap import Training
from omokage.assess.subject import subject
from omokage.errors import ConfigError, DatasetError
from omokage.train import run as runs


def test_people_who_were_learnt_from_or_chose_the_model_are_told(tmp_path: Path) -> None:
    data = crowd(people=6, faces=3).write(str(tmp_path / "data"))
    training = Training.at(trained(tmp_path / "run", data).folder.url)
    learnt, chose = overlap.remarks(subject(data.folder.url), training)
    assert learnt.startswith("2 people and 6 pictures") and "learnt from" in learnt and "flatter" in learnt
    assert chose.startswith("1 person and 3 pictures") and "chose the best model by" in chose and "--part" in chose


def test_the_part_test_is_judged_alone_without_a_warning(tmp_path: Path) -> None:
    album = crowd(people=6, faces=3)
    data = album.write(str(tmp_path / "data"))
    run = trained(tmp_path / "run", data)
    faces = subject(data.folder.url)
    training = Training.at(run.folder.url)
    with pytest.raises(DatasetError, match="person 03"):  # one person alone
        overlap.limited(faces, training, "test")
    learnt = overlap.limited(faces, training, "train")
    assert learnt.people == ("person 00", "person 01") and "part train" in learnt.remarks[-1]
    kept = {
        face
        for face, part in zip(training.split["face_id"].to_pylist(), training.split["part"].to_pylist(), strict=True)
        if part == "test"
    }
    others = [
        f for f in faces.faces["face_id"].to_pylist() if f in kept or f not in training.split["face_id"].to_pylist()
    ]
    assert overlap.remarks(faces.only(others, ""), training) == ()


def test_a_picture_under_another_name_in_another_dataset_is_found(tmp_path: Path) -> None:
    """By what the file holds: neither its place nor its person's name is the same."""
    data = crowd(people=4, faces=3).write(str(tmp_path / "data"))
    training = Training.at(trained(tmp_path / "run", data).folder.url)
    others = crowd(people=3, faces=3, seed=9)
    others.faces = [
        dataclasses.replace(f, identity=f"x{f.identity}", uri=f"x/{f.uri}", file=f"x{f.uri}") for f in others.faces
    ]
    clean = subject(others.write(str(tmp_path / "clean")).folder.url)
    assert overlap.remarks(clean, training) == ()
    others.faces.append(Face("somebody else", "y/1.jpg", others.faces[0].vector, file="person 00/0001.jpg"))
    (said,) = overlap.remarks(subject(others.write(str(tmp_path / "mixed")).folder.url), training)
    assert said.startswith("0 people") and "1 picture " in said
    assert "--part" not in said, "which another dataset has none of"


def test_people_of_the_same_name_in_another_dataset_are_said_to_be_that(tmp_path: Path) -> None:
    training = Training.at(trained(tmp_path / "run", crowd(people=4).write(str(tmp_path / "data"))).folder.url)
    others = crowd(people=2, seed=3)
    others.faces = [dataclasses.replace(face, file=f"other {face.uri}", uri=f"z/{face.uri}") for face in others.faces]
    faces = subject(others.write(str(tmp_path / "others")).folder.url)
    (said,) = overlap.remarks(faces, training)
    assert said.startswith("2 people (people of the same name") and "0 pictures" in said
    with pytest.raises(ConfigError, match="has no part test"):
        overlap.limited(faces, training, "test")


def test_the_training_is_found_by_itself_beside_its_model(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", crowd(people=4).write(str(tmp_path / "data")))
    (tmp_path / "run" / "model").mkdir()
    assert overlap.run_of(str(tmp_path / "run/model/model.onnx")) == run.folder.url
    assert overlap.run_of(str(tmp_path / "elsewhere/model.onnx")) is None
    assert overlap.run_of("sface") is None and overlap.run_of(None) is None


def test_a_model_card_tells_of_a_training_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "m.md").write_text(f"# m\n\n- Dataset: /data\n- Split: by people, seed 0, SHA-256 {'ab' * 32}\n")
    (said,) = overlap.card_remark(str(tmp_path / "m.onnx"))
    assert "abababababab" in said and "--trained-on" in said
    (tmp_path / "n.md").write_text("# another program's card\n")
    assert overlap.card_remark(str(tmp_path / "n.onnx")) == overlap.card_remark(str(tmp_path / "o.onnx")) == ()
    assert overlap.card_remark("sface") == overlap.card_remark(None) == ()


def test_a_training_whose_dataset_is_gone_is_told_by_places(tmp_path: Path) -> None:
    data = crowd(people=4, faces=3).write(str(tmp_path / "data"))
    run = trained(tmp_path / "run", data)
    faces = subject(data.folder.url)
    (tmp_path / "data").rename(tmp_path / "moved")
    said = overlap.remarks(faces, Training.at(run.folder.url))
    assert "is not there" in said[0] and said[1].startswith("2 people") and "6 pictures" in said[1]


def test_what_is_no_training_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no training"):
        Training.at(str(tmp_path))


def test_a_training_is_what_the_training_calls_one() -> None:
    assert overlap.HEAD == runs.HEAD
