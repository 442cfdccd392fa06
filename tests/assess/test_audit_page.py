"""The page of an audit: says what is estimated, what is withheld and who is in no group, whatever names people have."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

import biased
from omokage.assess import estimated as estimating
from omokage.assess import shown
from omokage.assess.audit_page import ESTIMATED, document, drawn
from omokage.assess.audited import Audited, AuditedConfig, audited
from omokage.assess.grouping import Grouped
from omokage.assess.subject import subject
from omokage.card.page import page
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.groups import by_table
from omokage.progress import quietly
from omokage.vision.attributes import LIMITS

NAMES = ("五 $x$", "<script>alert(1)</script>", "\u202eb")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Three groups with hostile names, one of two people; three people in none; all are said to be estimates."""
    place = str(tmp_path_factory.mktemp("page") / "data")
    biased.crowd(people=45, faces=4, chips=False).write(place)
    faces = subject(place)
    whose = [faces.people[label] for label in faces.label_N]
    names = [NAMES[2] if n < 2 else NAMES[n % 2] if n < 42 else "" for n in range(45)]
    estimates = estimating.Estimated(
        years_N=np.full(180, 30.0),
        female_N=np.full(180, 0.9),
        years_P=np.full(45, 30.0),
        female_P=np.full(45, 0.9),
        remarks=(),
    )
    grouped = Grouped(kind="estimate", groups=by_table(whose, faces.people, names), estimates=estimates)
    config = AuditedConfig(fmr=1e-2, bootstrap=BootstrapConfig(replicates=100))
    return audited(faces, grouped, config, 1, quietly)


def test_the_page_says_what_must_be_known(found: Audited) -> None:
    plots = drawn(found)
    made = "".join(page(document(found, plots)))
    text = html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"<style>.*?</style>", "", made, flags=re.DOTALL)))
    assert ESTIMATED in text and all(limit in text for limit in LIMITS) and "estimated groups" in text
    assert text.count("withheld: 2 people, fewer than 10") == 3  # FMR, FNMR, sum of squares
    assert "12 faces of 3 people are in no group" in text and found.subject.people[44] in text
    assert "<script" not in made and "\u202e" not in made
    assert made.count("data:image/png") == len(plots) == 6
    assert all(word in text for word in found.words)


def test_the_report_says_that_groups_are_estimates(found: Audited) -> None:
    plain = json.loads(found.json())["groups"]
    assert plain["kind"] == "estimate" and plain["estimated"] is True
    assert [model["name"] for model in plain["estimates"]["models"]] == ["age", "gender"]
    assert "\u202eb" in plain["names"] and "\u202e" not in found.text()
    assert plain["estimates"]["limits"] == list(LIMITS) and all(limit in found.text() for limit in LIMITS)


def test_some_faces_of_each_group_are_shown_each_of_another_person(tmp_path: Path) -> None:
    biased.crowd(people=12, faces=3, chips=True).write(str(tmp_path))
    faces = subject(str(tmp_path))
    rows = {"a": np.flatnonzero(faces.label_N < 5), "b": np.flatnonzero(faces.label_N >= 5)}
    a, b = shown.sets(faces, rows, 6)
    assert (a.identity, a.faces, a.pictures, a.shown, b.shown) == ("a", 15, 15, 6, 6)
    people = [[chip.uri.partition("/")[0] for chip in group.others] for group in (a, b)]
    assert len(set(people[0])) == 5 and len(set(people[1])) == 6 and set(people[0]) <= set(faces.people[:5])
    assert all(chip.jpeg.startswith(b"\xff\xd8") and chip.similarity is None for chip in a.others)
    assert shown.sets(faces, rows, 6)[0].others == a.others
