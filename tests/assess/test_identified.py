"""Who is shown: by the most similar person, and what else is to be told."""

import json

import pytest

import held
from omokage.assess import identified
from omokage.assess.basis import Basis, FaceSeen
from omokage.assess.calibrated import Standard
from omokage.assess.enrolled import Candidate
from omokage.assess.identified import IdentifyReport, Searched, answered

STANDARD = Standard(held.made(0.6, 0.4))
FACE = FaceSeen(1, (1.0, 2.0, 3.0, 4.0), 0.9)


def people(*similarities: float, standard: Standard = STANDARD):
    """Return people whom a face is so much like."""
    return [
        identified.person(
            Candidate(person=n, row=n, similarity=s, faces=7, above=3, mean_of_best=s - 0.1),
            f"人 {n}\x1b[31m",
            {"face_id": f"{n:024d}", "uri": f"{n}/a.jpg"},
            f"/source/{n}/a.jpg",
            standard,
            n == 1,
        )
        for n, s in enumerate(similarities)
    ]


@pytest.mark.parametrize(
    ("similarities", "answer", "why"),
    [
        ((0.7, 0.3), "match", ""),
        ((0.6,), "match", ""),
        ((0.9, 0.7, 0.2), "match", "another person matches, too"),
        ((0.9, 0.8, 0.7), "match", "2 other people match, too"),
        ((0.5, 0.45), "cannot say", "lies between"),
        ((0.3999, 0.1), "nobody in the gallery", ""),
    ],
)
def test_the_most_similar_person_decides(similarities, answer, why):
    found = answered(FACE, people(*similarities), 5, STANDARD)
    assert found.answer == answer and (why in found.why if why else not found.why)
    told = answered(FACE, people(*similarities), 1, STANDARD)
    assert (told.answer, told.why, len(told.people)) == (found.answer, found.why, 1)


def test_without_a_calibration_nobody_is_claimed():
    nothing = Standard(None, "calibrate first")
    found = answered(FACE, people(1.0, 0.2, standard=nothing), 5, nothing)
    assert (found.answer, found.why) == ("cannot say", "calibrate first")
    assert {(p.above, p.log_likelihood_ratio, p.answer) for p in found.people} == {(None, None, "cannot say")}


def test_every_picture_and_every_candidate_has_a_row():
    two = answered(FACE, people(0.9, 0.2), 5, STANDARD)
    searched = Searched(picture="a.jpg", path="/a.jpg", reason=None, faces=(two, two))
    none = Searched(picture="b.jpg", path="/b.jpg", reason="none_found", faces=())
    rows = [dict(zip(identified.COLUMNS, row, strict=True)) for each in (searched, none) for row in each.rows()]
    assert [(row["picture"], row["rank"], row["same_file"]) for row in rows] == [
        ("a.jpg", 1, 0),
        ("a.jpg", 2, 1),
        ("a.jpg", 1, 0),
        ("a.jpg", 2, 1),
        ("b.jpg", None, None),
    ]
    assert rows[0]["identity_answer"] == "match" and rows[1]["identity_answer"] == "no match"
    assert (rows[4]["answer"], rows[4]["reason"]) == ("cannot say", "none_found")


def test_the_report_says_what_a_threshold_for_two_faces_means_among_many():
    basis = Basis.of(held.ENCODER, {"name": "mediapipe"}, "onnxruntime", STANDARD, {"tiny": "none"})
    results = tuple(
        Searched(
            picture=f"{n}.jpg", path=f"/{n}.jpg", reason=None, faces=(answered(FACE, people(0.9, 0.2), 5, STANDARD),)
        )
        for n in range(identified.SHOWN + 2)
    )
    report = IdentifyReport(
        source="/probes",
        gallery="/data",
        version="v1",
        people=40,
        enrolled=400,
        pictures=len(results),
        faces=len(results),
        answers={"match": len(results)},
        reasons={},
        chance=0.33,
        results=results,
        csv=None,
        basis=basis,
        seconds=1.0,
    )
    text = report.text()
    assert "by chance in up to 33% of searches" in text and "and 2 pictures more" in text and "/data@v1" in text
    assert "\x1b" not in text and text.count("3 of 7 faces would match") == 2 * identified.SHOWN
    assert json.loads(report.json())["results"][0]["faces"][0]["people"][0]["identity"] == "人 0\x1b[31m"
