"""Two pictures compared: which faces, and what is said."""

import json

import numpy as np
import pytest

import held
from omokage.assess import verified
from omokage.assess.basis import Basis, FaceSeen
from omokage.assess.calibrated import Standard
from omokage.assess.verified import Pair, Picture, VerifyReport, compare

STANDARD = Standard(held.made(0.6, 0.4))


def known(name: str, *angles: float, reason: str | None = None, sha256: str | None = None):
    """Return a picture whose faces look along these angles, in degrees."""
    vectors_FE = np.array([[np.cos(np.radians(a)), np.sin(np.radians(a)), 0, 0] for a in angles], np.float32)
    faces = tuple(FaceSeen(n, (10.0 * n, 0.0, 10.0 * n + 8, 9.0), 0.9) for n, _ in enumerate(angles, 1))
    return Picture(picture=name, sha256=sha256 or name, reason=reason, faces=faces), vectors_FE.reshape(-1, 4)


@pytest.mark.parametrize(
    ("degrees", "answer", "ratio"),
    [(0, "match", 4), (53, "match", 2.036), (60, "cannot say", 0), (67, "no match", -2.185)],
)
def test_one_face_each_is_compared(degrees, answer, ratio):
    found = compare(known("a", 10), known("b", 10 + degrees), (None, None), STANDARD, None)
    assert found.answer == answer and found.similarity == pytest.approx(np.cos(np.radians(degrees)), abs=1e-6)
    assert found.log_likelihood_ratio == pytest.approx(ratio, abs=2e-3) and (found.face_a, found.face_b) == (1, 1)
    assert bool(found.why) == (answer == "cannot say")
    turned = compare(known("b", 10 + degrees), known("a", 10), (None, None), STANDARD, None)
    assert turned.similarity == found.similarity  # to the bit


def test_several_faces_are_told_and_not_guessed():
    one, three = known("one.jpg", 0), known("three.jpg", 90, 0, 45)
    found = compare(one, three, (None, None), STANDARD, None)
    assert found.answer == "cannot say" and found.similarity is None and found.face_b is None
    assert "three.jpg shows 3 faces" in found.why and "--face-b" in found.why
    assert [compare(one, three, (None, n), STANDARD, None).answer for n in (1, 2, 3)] == ["no match", "match", "match"]
    assert "has no face 4: it shows 3 faces" in compare(one, three, (None, 4), STANDARD, None).why
    assert "has no face 0" in compare(one, three, (None, 0), STANDARD, None).why
    assert "column face_a" in compare(three, one, (None, None), STANDARD, 7).why
    assert compare(three, three, (1, 2), STANDARD, None).answer == "no match"  # two people in one picture


@pytest.mark.parametrize("reason", ["none_found", "undecodable", "too_small", "crashed"])
def test_a_picture_without_a_face_is_told(reason):
    found = compare(known("a.jpg", 0), known("b\x1b.jpg", reason=reason), (None, None), STANDARD, 3)
    assert found.answer == "cannot say" and found.why.startswith("b␛.jpg: ") and found.similarity is None
    assert len(found.row()) == len(verified.COLUMNS) and found.row()[:2] == (3, "a.jpg")
    both = compare(known("a", reason=reason), known("b", reason=reason), (None, None), STANDARD, None)
    assert both.why.count(";") == 1


def test_without_a_calibration_the_similarity_is_told_and_nothing_more():
    found = compare(known("a", 0), known("b", 0), (None, None), Standard(None, "calibrate first"), None)
    assert (found.answer, found.why, found.log_likelihood_ratio) == ("cannot say", "calibrate first", None)
    assert found.similarity == pytest.approx(1) and "%" not in found.text()


def test_one_file_twice_is_told():
    found = compare(known("a", 0, sha256="s"), known("b", 0, sha256="s"), (None, None), STANDARD, None)
    assert found.same_file and "same file" in found.text()
    assert not compare(known("a", 0), known("b", 0), (None, None), STANDARD, None).same_file


def test_the_answer_stands_at_the_top_of_the_report():
    basis = Basis.of(held.ENCODER, {"name": "mediapipe"}, "onnxruntime", STANDARD, {"tiny": "none"})
    found = compare(known("a\n.jpg", 0), known("b", 5, 60), (None, 1), STANDARD, None)
    report = VerifyReport(pair=found, basis=basis, seconds=1.0)
    told = json.loads(report.json())
    assert told["answer"] == "match" and told["basis"]["calibration"]["match_from"] == 0.6 and "line" not in told
    assert (
        report.text().splitlines()[0].startswith("match, similarity 0.9962") and "face 2 at 20 0 28 9" in report.text()
    )
    assert "Calibrated on 50 people" in report.text() and "a\n" not in report.text()


def test_a_detector_with_other_settings_is_told():
    made = held.made()
    other = Standard(type(made)(**{**{f: getattr(made, f) for f in made.__slots__}, "detector": {"name": "yunet"}}))
    assert not Basis.of(held.ENCODER, {"name": "mediapipe"}, "r", STANDARD, {}).warnings
    [warning] = Basis.of(held.ENCODER, {"name": "mediapipe"}, "r", other, {}).warnings
    assert "yunet" in warning


def test_rows_have_their_columns():
    empty = Pair(line=9, a=Picture(picture=""), b=Picture(picture="x"), why="a is empty")
    assert dict(zip(verified.COLUMNS, empty.row(), strict=True))["why"] == "a is empty"
