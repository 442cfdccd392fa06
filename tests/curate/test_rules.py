"""Decisions by rule from findings that are written here, and from what find says of a crowd."""

from pathlib import Path
from typing import Any

import pytest

from crowd import Crowd
from found import write_findings
from omokage.curate import proposals, rules
from omokage.curate.ruled import RuleReport
from omokage.curate.rules import RuleConfig, decide
from omokage.curate.undoing import undo
from omokage.errors import ConfigError, DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.fold import fold
from omokage.ledger.version import current
from omokage.store import Dataset

CROWD = Crowd(folders=8, faces=6, dim=8, splits=0, strangers=0, repeats=0)
ALL = RuleConfig(same_face=True, outliers=2.0, relabel=True, merge_people=True)
NAMES = [CROWD.name(folder) for folder in range(8)]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return CROWD.write(str(tmp_path / "data"))


def face(folder: int, number: int) -> str:
    return f"{CROWD.seed:04x}{folder:010x}{number:010x}"


def find(data: Dataset, name: proposals.Name, rows: list[dict[str, Any]]) -> None:
    write_findings(data.folder, name, rows)


def cluster(number: int, folder: int, *members: tuple[int, str, float]) -> list[dict[str, Any]]:
    """Return a cluster: its best face, and others by number, kind and similarity."""
    rows = [{"cluster": number, "face_id": face(folder, 0), "kind": "best", "keep": True, "similarity": 1.0}]
    return rows + [
        {
            "cluster": number,
            "face_id": face(folder, which),
            "kind": kind,
            "keep": kind not in ("same_file", "same_shot"),
            "similarity": similarity,
        }
        for which, kind, similarity in members
    ]


def outlier(folder: int, number: int, kind: str, score: float, other: int | None = None) -> dict[str, Any]:
    into = None if other is None else NAMES[other]
    return {"face_id": face(folder, number), "kind": kind, "score": score, "other_identity": into, "reason": "so"}


def pair(a: int, b: int, score: float, group: int | None = 1, **other: Any) -> dict[str, Any]:
    return {
        "identity_a": NAMES[a],
        "identity_b": NAMES[b],
        "verdict": "same_person" if group else "unclear",
        "score": score,
        "group": group,
        "faces_a": 6,
        "faces_b": 6,
        "hit_faces_a": 4,
        "hit_faces_b": 4,
        "reason": "alike",
    } | other


def run(data: Dataset, config: RuleConfig = ALL, **how: Any) -> RuleReport:
    return decide(data, config, who="me", **how)


def written(data: Dataset) -> list[dict[str, Any]]:
    return Ledger.of(data.folder).table().to_pylist()


def say(data: Dataset, *decisions: Decision) -> None:
    Ledger.of(data.folder).append(decisions, "a person")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "by which rule"),
        ({"relabel": True, "same_face": True}, "--outliers"),
        ({"same_face": True, "min_similarity": 1.5}, r"\[-1, 1\]"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        RuleConfig(**settings)


def test_same_shots_go_and_the_rest_stays(data):
    shots = [
        (1, "same_shot", 0.98),
        (2, "same_file", 1.0),
        (3, "same_shot", 0.96),
        (4, "other_shot", 0.99),
        (5, "unknown", 1),
    ]
    find(
        data,
        "same_face",
        cluster(1, 0, *shots) + cluster(2, 1, (1, "other_shot", 0.99)) + cluster(3, 2, (1, "same_shot", 0.97)),
    )
    report = run(data, RuleConfig(same_face=True))
    assert report.faces == {"drop_duplicate": 3}
    first, second = written(data)
    assert (first["faces"], first["into"], first["by"], first["who"]) == (
        [face(0, 1), face(0, 2)],
        face(0, 0),
        "rule",
        "me",
    )
    assert first["finding"] == proposals.of_cluster([face(0, n) for n in range(6)])
    assert "0.980 to 1.000 >= 0.97" in first["why"]
    assert second["faces"] == [face(2, 1)]
    assert run(data, RuleConfig(same_face=True, min_similarity=0.95)).faces == {"drop_duplicate": 1}


def test_outliers_go_by_score_and_are_given_to_others_only_when_asked(data):
    rows = [
        outlier(0, 1, "stranger", 5.0),
        outlier(0, 2, "stranger", 1.9),
        outlier(0, 3, "undecided", 9.0),
        outlier(1, 1, "belongs_elsewhere", 5.0, 4),
        outlier(1, 2, "belongs_elsewhere", 1.0, 4),
    ]
    find(data, "outliers", rows)
    report = run(data, RuleConfig(outliers=2.0))
    assert (report.faces, report.left) == ({"drop_face": 1}, {"belongs to somebody else": 1})
    assert run(data, RuleConfig(outliers=2.0, relabel=True)).faces == {"relabel": 1}
    got = [(line["do"], line["faces"], line["into"], line["finding"]) for line in written(data)]
    assert got == [
        ("drop_face", [face(0, 1)], None, proposals.of_outlier(face(0, 1))),
        ("relabel", [face(1, 1)], NAMES[4], proposals.of_outlier(face(1, 1))),
    ]


@pytest.mark.parametrize("what", ["drop_face", "keep", "relabel", "drop_duplicate", "split"])
def test_what_a_person_said_of_a_face_stands(data, what):
    find(data, "same_face", cluster(1, 0, (1, "same_shot", 0.99), (2, "same_shot", 0.99)))
    find(data, "outliers", [outlier(1, 1, "stranger", 9), outlier(1, 2, "belongs_elsewhere", 9, 3)])
    more = {
        "relabel": {"into": NAMES[5]},
        "drop_duplicate": {"into": face(0, 0)},
        "split": {"person": NAMES[0], "into": "new"},
    }.get(what, {})
    say(data, Decision(do=what, faces=(face(0, 1), face(1, 1), face(1, 2)), **more))
    report = run(data)
    assert sum(report.left.values()) == 3
    assert [line["faces"] for line in written(data)[1:]] == [[face(0, 2)]]
    say(data, Decision(do="undo", undoes=1))
    assert run(data).faces == {"drop_face": 1, "drop_duplicate": 1, "relabel": 1}


def test_what_find_never_looked_for_is_not_taken_for_clean(data):
    with pytest.raises(DatasetError, match="outliers and same_face and collision_pairs were never looked for"):
        run(data)
    assert written(data) == []
    find(data, "outliers", [])
    report = run(data)
    assert (report.decisions, report.unsought) == (0, ("same_face", "collision_pairs"))
    assert "find never looked for same_face" in report.text()
    assert run(data, RuleConfig(outliers=2.0)).unsought == ()


def test_nothing_is_written_twice_and_all_is_taken_back_at_once(data):
    find(data, "same_face", cluster(1, 0, (1, "same_shot", 0.99)))
    find(data, "outliers", [outlier(1, 1, "stranger", 9), outlier(1, 2, "belongs_elsewhere", 9, 3)])
    find(data, "collision_pairs", [pair(4, 5, 9.0)])
    before = current(data)
    dry = run(data, dry_run=True)
    assert written(data) == [] and dry.lines is None and dry.decisions == 4
    report = run(data)
    assert (report.lines, report.faces, report.merges, report.some) == ((1, 4), dry.faces, 1, dry.some)
    assert "omokage undo DATASET 1-4" in report.text()
    assert [line.split()[0] for line in report.some] == ["merge", "give", "drop", "drop"]  # the gravest can be read
    again = run(data)
    assert (again.decisions, again.lines, again.left) == (0, None, {"decided already": 4})
    undo(data, 1, 4)
    assert current(data).equals(before)


def test_the_last_copy_of_a_shot_never_goes(data):
    """The best of a cluster is dropped by a person, is a stranger, or is gone: then its copies stay."""
    find(data, "same_face", cluster(1, 0, (1, "same_shot", 0.99)) + cluster(2, 1, (1, "same_shot", 0.99)))
    find(data, "outliers", [outlier(1, 0, "stranger", 9)])
    say(data, Decision(do="drop_face", faces=(face(0, 0),)))
    report = run(data)
    assert (report.faces, report.left) == ({"drop_face": 1}, {"what would be kept is gone": 2})
    assert fold(Ledger.of(data.folder).table()).conflicts == ()


def test_copies_of_a_face_that_is_given_to_somebody_stay_with_whom_they_are(data):
    find(data, "same_face", cluster(1, 0, (1, "same_shot", 0.99)))
    find(data, "outliers", [outlier(0, 0, "belongs_elsewhere", 9, 3)])
    assert run(data).left == {"given to another person": 1}


def test_faces_and_people_that_are_gone_are_left(data):
    rows = cluster(1, 0, (1, "same_shot", 0.99))
    rows[1]["face_id"] = "gone"
    find(data, "same_face", rows)
    strange = outlier(1, 1, "stranger", 9) | {"face_id": "gone too"}
    find(data, "outliers", [strange, outlier(1, 2, "belongs_elsewhere", 9) | {"other_identity": "gone three"}])
    find(data, "collision_pairs", [pair(4, 5, 9.0) | {"identity_b": "gone"}])
    report = run(data)
    assert (report.decisions, report.left) == (0, {"no longer in the dataset": 4})


MERGE = RuleConfig(merge_people=True)


def merged(data: Dataset) -> set[tuple[str, str]]:
    return {(line["person"], line["into"]) for line in written(data) if line["do"] == "merge"}


def test_two_who_are_each_others_best_are_merged_into_the_bigger(data):
    find(data, "collision_pairs", [pair(0, 1, 9.0), pair(2, 3, 5.0, 2, faces_b=7), pair(1, 2, 1.0, None)])
    report = run(data, MERGE)
    assert merged(data) == {(NAMES[1], NAMES[0]), (NAMES[2], NAMES[3])}
    assert (report.merges, report.left) == (2, {})
    assert written(data)[0]["finding"] == proposals.of_people(NAMES[0], NAMES[1])


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([pair(0, 1, 9.0), pair(1, 2, 9.0, None)], "not each other's best match"),
        ([pair(0, 1, 9.0), pair(2, 0, 9.5, None)], "not each other's best match"),
        ([pair(0, 1, 9.0, hit_faces_a=1)], "fewer than 2 faces say so"),
        ([pair(0, 1, 9.0, hit_faces_b=1, faces_b=1)], "fewer than 2 faces say so"),
        ([pair(0, 1, 9.0), pair(1, 2, 8.0)], "not all of a group are alike"),
        (
            [pair(0, 1, 9.0), pair(1, 2, 8.0), pair(2, 3, 9.0), pair(3, 0, 7.0), pair(0, 2, 7.0)],
            "not all of a group are alike",
        ),
    ],
)
def test_any_doubt_is_enough_not_to_merge(data, rows, why):
    find(data, "collision_pairs", rows)
    report = run(data, MERGE)
    assert merged(data) == set()
    assert list(report.left) == [why]


def test_the_verdicts_that_are_no_same_person_are_never_merged(data):
    find(data, "collision_pairs", [pair(0, 1, 99.0, None), pair(2, 3, 99.0, None, verdict="stray_face")])
    assert (run(data, MERGE).decisions, merged(data)) == (0, set())


def test_a_whole_group_is_merged_into_its_biggest(data):
    find(data, "collision_pairs", [pair(0, 1, 9.0), pair(1, 2, 8.0, faces_b=9), pair(0, 2, 7.0, faces_b=9)])
    run(data, MERGE)
    assert merged(data) == {(NAMES[0], NAMES[2]), (NAMES[1], NAMES[2])}


def test_what_a_person_said_of_two_people_stands(data):
    find(data, "collision_pairs", [pair(0, 1, 9.0), pair(2, 3, 9.0, 2), pair(4, 5, 9.0, 3)])
    say(
        data,
        Decision(do="different", person=NAMES[0], into=NAMES[1]),
        Decision(do="merge", person=NAMES[2], into=NAMES[3]),
    )
    report = run(data, MERGE)
    assert report.left == {"decided already": 1, "a person decided": 1}
    assert merged(data) == {(NAMES[2], NAMES[3]), (NAMES[5], NAMES[4])}


def test_what_a_person_said_of_two_people_stands_by_way_of_others(data):
    """0 is 6, 1 is 7, and 6 and 7 are two: so 0 and 1 are."""
    find(data, "collision_pairs", [pair(0, 1, 9.0)])
    say(
        data,
        Decision(do="merge", person=NAMES[0], into=NAMES[6]),
        Decision(do="merge", person=NAMES[1], into=NAMES[7]),
        Decision(do="different", person=NAMES[6], into=NAMES[7]),
    )
    assert (run(data, MERGE).left, merged(data)) == (
        {"a person decided": 1},
        {(NAMES[0], NAMES[6]), (NAMES[1], NAMES[7])},
    )
    say(data, Decision(do="undo", undoes=3))
    run(data, MERGE)
    assert fold(Ledger.of(data.folder).table()).people[NAMES[0]] == NAMES[6]


def test_a_person_who_decides_meanwhile_is_heard(data, monkeypatch):
    """What the rule read is old when it writes: it reads again."""
    find(data, "outliers", [outlier(0, 1, "stranger", 9), outlier(0, 2, "stranger", 9)])
    propose, turns = rules.propose, []

    def slow(*how):
        made = propose(*how)
        if not turns:
            say(data, Decision(do="keep", faces=(face(0, 1),)))
        turns.append(len(made.decisions))
        return made

    monkeypatch.setattr(rules, "propose", slow)
    assert run(data).left == {"a person decided": 1}
    assert turns == [2, 1]
    assert [line["faces"] for line in written(data)] == [[face(0, 1)], [face(0, 2)]]


def test_hostile_names_are_shown_safely(data):
    find(
        data,
        "outliers",
        [outlier(0, 1, "stranger", 9, 3) | {"reason": "a\x1b[31m\nb"}],
    )
    text = run(data).text()
    assert "\x1b" not in text and "a␛[31m␊b" in text
