"""Planted bias is found, equal groups are not called different, and what cannot be shown is withheld and said why."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import biased
from omokage.assess import audited as module
from omokage.assess.audit_page import document, drawn
from omokage.assess.audited import AuditedConfig, audited, threshold
from omokage.assess.grouping import GroupConfig, grouped, origin
from omokage.assess.subject import Subject, subject
from omokage.assess.verdicts import verdicts
from omokage.errors import ConfigError
from omokage.evaluate.audit import audit
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.groups import Groups, by_table
from omokage.evaluate.spread import spread
from omokage.progress import quietly

FEW = AuditedConfig(fmr=1e-2, bootstrap=BootstrapConfig(replicates=200))


def people(tmp_path: Path, **how) -> tuple[Subject, str]:
    """Return the faces of a crowd of two groups, and the ``--groups`` of its table."""
    made = biased.crowd(**how)
    made.write(str(tmp_path / "data"))
    return subject(str(tmp_path / "data")), biased.groups_csv(tmp_path / "groups.csv", made)


def run(tmp_path: Path, config: AuditedConfig = FEW, **how) -> module.Audited:
    faces, groups = people(tmp_path, **how)
    return audited(faces, grouped(faces, origin(GroupConfig(groups=groups)), 1, quietly), config, 1, quietly)


def slow_fmr(faces: Subject, groups: Groups, group: int, at: float) -> float:
    row_n = np.flatnonzero(groups.group_N == group)
    match = pairs = 0
    for i in row_n:
        for j in row_n[row_n > i]:
            if faces.label_N[i] != faces.label_N[j]:
                pairs += 1
                match += float(faces.vector_NE[i] @ faces.vector_NE[j]) >= at
    return match / pairs


def test_a_group_that_lies_closer_has_a_higher_fmr_and_is_said_to_differ(tmp_path: Path) -> None:
    found = run(tmp_path, people=60, faces=5, near=1.0)
    even, odd = found.audit.groups
    assert even.name == biased.group(0) and odd.name == biased.group(1)
    assert odd.fmr.low > even.fmr.high
    for number, group in enumerate((even, odd)):
        # the threshold lies at a pair, whose similarity depends on the order of sums in its last digits
        low, high = (slow_fmr(found.subject, found.groups, number, found.audit.threshold + by) for by in (1e-6, -1e-6))
        assert low <= group.fmr.value <= high <= low + 2e-3
    fmr, _, near = found.verdicts
    assert fmr.differ and near.differ and fmr.p_value <= 0.01 and fmr.limit <= 0.05 / 2
    assert found.audit.gaps[0].highest == odd.name and odd.name in found.text()
    assert found.spread.groups[1].per_face.high < found.spread.groups[0].per_face.low
    row = found.groups.group_N[[pair.a for pair in found.alike] + [pair.b for pair in found.alike]]
    assert set(row) == {1} and len(found.alike) == module.PAIRS
    best = max(pair.similarity for pair in found.alike)
    other = np.flatnonzero(found.groups.group_N == 1)
    product = found.subject.vector_NE[other] @ found.subject.vector_NE[other].T
    product[found.subject.label_N[other][:, None] == found.subject.label_N[other]] = -1
    assert best == pytest.approx(float(product.max()), abs=1e-5)


def test_equal_groups_are_not_said_to_differ(tmp_path: Path) -> None:
    """Thirty crowds of equal groups: the tests of one audit together may be wrong in one of twenty."""
    wrong = 0
    for seed in range(30):
        block = biased.crowd(people=40, faces=4, seed=seed).whole()
        groups = Groups(names=("a", "b"), group_N=block.folder_N % 2, misfits=0, examples=(), source="")
        told = audit(block.vectors_ND, block.folder_N, groups, 0.35, bootstrap=FEW.bootstrap, threads=1)
        found = verdicts(told.gaps, spread(block.vectors_ND, block.folder_N, groups, bootstrap=FEW.bootstrap))
        assert [verdict.what for verdict in found] == ["FMR", "FNMR", "sum of squares of each face"]
        assert [verdict.limit for verdict in found] == [pytest.approx(0.05 / 3)] * 3
        wrong += any(verdict.differ for verdict in found)
    assert wrong <= 5  # P(more of 30 at 5 %) = 0.3 %
    equal = run(tmp_path, people=40, faces=4)
    assert not any(verdict.differ for verdict in equal.verdicts) and "nor that they are equal" in equal.text()


def test_the_threshold_is_one_for_all_and_its_origin_is_told(tmp_path: Path) -> None:
    faces, _ = people(tmp_path, people=40, faces=4)
    at, how = threshold(faces, FEW, 1)
    product = faces.vector_NE @ faces.vector_NE.T
    strangers = faces.label_N[:, None] < faces.label_N
    assert (product[strangers] >= at).mean() <= 1e-2 < (product[strangers] >= at - 1e-3).mean()
    assert "asked for: at most 0.01" in how and "these very faces" in how
    assert threshold(faces, AuditedConfig(threshold=0.4), 1) == (0.4, "threshold 0.4000, as it was given")
    with pytest.raises(ConfigError, match=r"too few impostor pairs.*higher --fmr, or give --threshold"):
        threshold(faces, AuditedConfig(fmr=1e-5), 1)
    first = np.flatnonzero(np.append(True, np.diff(faces.label_N) > 0))
    alone = faces.only(faces.faces["face_id"].take(first).to_pylist(), "one each")
    with pytest.raises(ConfigError, match=r"nobody here has two faces.*--threshold"):
        threshold(alone, FEW, 1)
    for wrong in ({"fmr": 0.0}, {"fmr": 1.0}, {"threshold": 1.5}):
        with pytest.raises(ConfigError, match="must"):
            AuditedConfig(**wrong)


def test_groups_of_five_faces_are_withheld_and_people_without_a_group_are_named(tmp_path: Path) -> None:
    faces, _ = people(tmp_path, people=40, faces=5)
    names = list(faces.people)
    keys = [faces.people[label] for label in faces.label_N]
    groups = by_table(keys, names[:39], ["五" if n == 7 else "a" if n % 2 else "b" for n in range(39)])
    found = audited(faces, module.Grouped(kind="csv", groups=groups), FEW, 1, quietly)
    five = next(group for group in found.audit.groups if group.name == "五")
    assert five.fmr is five.fnmr is None and five.fmr_withheld == "1 person, fewer than 10"
    assert next(group for group in found.spread.groups if group.name == "五").per_face is None
    assert found.failures[-1].rate is None and found.failures[-1].withheld == "1 person, fewer than 10"
    assert found.ungrouped == ((names[39], 5),)
    assert any(f"5 of 200 faces are in no group, and in no group's figure; {names[39]!r}" in r for r in found.remarks)
    plain = json.loads(found.json())
    assert plain["groups"]["faces_without_a_group"] == 5 and plain["groups"]["estimated"] is False
    assert plain["rates"]["groups"][2]["fmr_withheld"] and len(plain["words"]) == len(found.words)


def test_one_group_and_groups_of_which_none_shows_anything(tmp_path: Path) -> None:
    faces, _ = people(tmp_path, people=12, faces=5)
    keys = [faces.people[label] for label in faces.label_N]
    one = by_table(keys, faces.people, ["all"] * 12)
    alone = audited(faces, module.Grouped(kind="csv", groups=one), replace(FEW, fmr=0.05), 1, quietly)
    assert any("there is one group, 'all'" in remark for remark in alone.remarks)
    assert all(verdict.differ is None for verdict in alone.verdicts) and "cannot tell" in alone.text()
    small = by_table(keys, faces.people, [f"group {n % 3}" for n in range(12)])
    none = audited(faces, module.Grouped(kind="csv", groups=small), replace(FEW, fmr=0.05), 1, quietly)
    assert any("every group is too small" in remark for remark in none.remarks) and none.alike == ()


def test_of_too_many_people_some_are_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omokage.evaluate.audit.room", lambda _: 50)
    monkeypatch.setattr(module, "room", lambda _: 50)
    found = run(tmp_path, people=100, faces=4, near=1.5)
    assert all(gap.p_value is not None for gap in found.audit.gaps) and found.verdicts[0].differ
    assert sum(group.people for group in found.audit.groups) == 100


def test_a_group_without_an_error_can_still_be_told_from_another(tmp_path: Path) -> None:
    found = run(tmp_path, replace(FEW, threshold=0.7), people=80, faces=4, near=3.0, decay=0.0)
    gap = found.audit.gaps[0]
    assert found.audit.groups[0].fmr.value == 0 and gap.max_over_mean is None and gap.highest == biased.group(1)
    assert found.verdicts[0].differ and "no error at all" in gap.text()


def test_an_encoder_that_tells_nobody_apart_gets_a_page_all_the_same(tmp_path: Path) -> None:
    faces, groups = people(tmp_path, people=40, faces=4)
    same = replace(faces, vector_NE=np.tile(faces.vector_NE[:1], (160, 1)))
    found = audited(same, grouped(same, origin(GroupConfig(groups=groups)), 1, quietly), FEW, 1, quietly)
    assert found.audit.fmr == 0 and found.audit.fnmr == 1 and "not even equal vectors match" in found.how
    assert all(group.fmr is None and group.fnmr.value == 1 for group in found.audit.groups)
    assert all(not verdict.differ for verdict in found.verdicts) and found.alike == ()
    plots = drawn(found)
    assert len(plots) == 6 and document(found, plots).sections
