"""Estimates of people: means over their faces by a loop, in no group where a model is not sure, and labelled."""

import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

import biased
from omokage import schema
from omokage.assess import estimated as module
from omokage.assess.estimated import estimated
from omokage.assess.grouping import GroupConfig, grouped, origin
from omokage.assess.subject import Subject, subject
from omokage.errors import ConfigError, DatasetError
from omokage.progress import quietly
from omokage.store import Dataset
from omokage.vision import codec
from omokage.vision.attributes import Attributes
from omokage.vision.recut import framed

CHIP = "dlib-1/112/0.1"


def people(place: Path, chips: bool = True, chip: str | None = CHIP) -> Subject:
    """Return ten people of three faces; their dataset says how chips are framed."""
    biased.crowd(people=10, faces=3, chips=chips).write(str(place))
    head = json.loads((place / "dataset.json").read_text(encoding="utf-8"))
    head["recipe"] |= {"chip": chip} if chip else {}
    (place / "dataset.json").write_text(json.dumps(head), encoding="utf-8")
    return subject(str(place))


def test_a_persons_estimate_is_the_mean_of_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 7)
    faces = people(tmp_path / "data")
    seen: list[tuple[int, int]] = []
    found = estimated(faces, 1, lambda done, of, what="": seen.append((done, of)))
    table = next(Dataset.open(faces.dataset).faces())
    models = Attributes(framed(CHIP))
    for row, face_id in enumerate(faces.faces["face_id"].to_pylist()):
        one = table.filter(pc.equal(table["face_id"], face_id))
        landmarks_52 = schema.vectors(schema.whole(one["landmarks"]), 10).reshape(5, 2)
        box_4 = schema.vectors(schema.whole(one["box"]), 4)[0]
        alone = models([(codec.decode(one["chip"][0].as_py()), landmarks_52, box_4)])
        assert found.years_N[row] == pytest.approx(alone.years_N[0], abs=1e-4)
        assert found.female_N[row] == pytest.approx(alone.female_N[0], abs=1e-5)
    for person in range(10):
        assert found.years_P[person] == pytest.approx(found.years_N[faces.label_N == person].mean())
        assert found.female_P[person] == pytest.approx(found.female_N[faces.label_N == person].mean())
    assert seen[-1] == (30, 30) and [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(found.remarks) == 1 and "lies outside these chips" in found.remarks[0]
    assert [model["name"] for model in found.plain()["models"]] == ["age", "gender"]
    assert all(model["licence"].startswith("CC0") for model in found.plain()["models"])


def test_groups_are_labelled_as_estimates_and_hold_only_whom_the_model_is_sure_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = people(tmp_path / "data")
    made = estimated(faces, 1, quietly)
    middle = float(np.sort(made.female_P)[4:6].mean())
    share_P = np.where(np.arange(10) < 3, 0.1, np.where(np.arange(10) < 5, 0.5, 0.9))
    planted = module.Estimated(
        years_N=made.years_N,
        female_N=made.female_N,
        years_P=np.append(np.full(9, 31.5), np.nan),
        female_P=share_P,
        remarks=made.remarks,
    )
    assert planted.sexes == ("male",) * 3 + ("",) * 2 + ("female",) * 5 and 0 <= middle <= 1
    monkeypatch.setattr("omokage.assess.grouping.estimated", lambda *_: planted)
    found = grouped(faces, origin(GroupConfig(groups="estimate", fields=("sex", "age"))), 1, quietly)
    assert found.groups.names == ("female, 30-44 (estimated)", "male, 30-44 (estimated)")
    assert found.groups.misfits == 9 and found.groups.source == "by estimated sex and age"
    assert found.estimates is planted and planted.plain()["people_without_a_sure_sex"] == 2
    only = grouped(faces, origin(GroupConfig(groups="estimate")), 1, quietly)
    assert only.groups.names == ("female (estimated)", "male (estimated)") and only.groups.misfits == 6


def test_no_chips_or_chips_of_an_unknown_framing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no chips of these faces"):
        estimated(people(tmp_path / "none", chips=False), 1, quietly)
    with pytest.raises(ConfigError, match="how the dataset's chips frame a face is not known"):
        estimated(people(tmp_path / "unknown", chip=None), 1, quietly)
