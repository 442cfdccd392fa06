"""Judging on unseen people: what can be shown, what chooses the best, and that the ranks' shares make the whole."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lessons import crowd, lesson, parted, recipe

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.redrawn import Found, intervals
from omokage.evaluate.verification import verification
from omokage.train.learner import Learner
from omokage.train.loader import Loader
from omokage.train.split import labels
from omokage.train.validate import DRAWS, INTERVALS, Judged, difference, embedded, goodness, shown, validated

FIGURES = {"auc": 0.9, "eer": 0.2, "tar_at_fmr_1e-1": 0.8, "tar_at_fmr_1e-3": 0.3}


@pytest.mark.parametrize(
    ("best", "name", "good"),
    [
        ("tar", "tar_at_fmr_1e-3", 0.3),
        ("tar_at_fmr_1e-1", "tar_at_fmr_1e-1", 0.8),
        ("auc", "auc", 0.9),
        ("eer", "eer", -0.2),
    ],
)
def test_the_best_is_chosen_by_what_is_asked_for(best, name, good):
    assert goodness(FIGURES, best) == (name, good)


def test_without_any_rate_the_area_chooses_and_a_rate_that_is_not_there_is_refused():
    assert goodness({"auc": 0.7, "eer": 0.4}, "tar") == ("auc", 0.7)
    with pytest.raises(ConfigError, match="cannot show tar_at_fmr_1e-5"):
        goodness(FIGURES, "tar_at_fmr_1e-5")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=40))
def test_what_can_be_shown_is_what_verification_shows(people):
    """The plan, before anything starts, must agree with what is found out after the first epoch."""
    label_N = np.array(people, np.int64)
    angle_N = np.linspace(0, 3, len(label_N))
    unit_N2 = np.stack([np.cos(angle_N), np.sin(angle_N)], 1).astype(np.float32)
    try:
        found = set(verification(unit_N2, label_N, threads=1).metrics())
    except DatasetError:
        found = set()
    assert set(shown(label_N)) == found


def test_faces_of_unseen_people_are_embedded_whole_and_in_order(tmp_path):
    data = crowd(tmp_path / "data", people=6)
    task = lesson(data, tmp_path / "run", recipe(), parted(data, val=3))
    val_N, people = labels(task.table, "val")
    rows = np.flatnonzero(val_N >= 0)
    learner = Learner(task.recipe, 3, 1, torch.device("cpu"))
    loader = Loader(task.chips, val_N, 32, 1)
    with learner.resting():
        embedding_NE, label_N = embedded(learner, loader, rows)
        (batch,) = loader([rows])
        with torch.no_grad():
            at_once_NE = learner.embedder(learner.prepared(batch))
        judged = validated(learner, loader, rows, threads=1)
    assert learner.embedder.training
    torch.testing.assert_close(embedding_NE, at_once_NE, rtol=1e-5, atol=1e-6)
    assert torch.equal(label_N, torch.from_numpy(val_N[rows])) and len(people) == 3
    found = verification(embedding_NE.numpy(), label_N.numpy(), threads=1)
    assert judged.metrics == found.metrics()
    assert judged.figures["genuine"] == 3 * (8 * 7 // 2)
    drawn = intervals(embedding_NE.numpy(), label_N.numpy(), Found(found), threads=1)
    sure = judged.sure(1)
    draws = sure[INTERVALS].pop(DRAWS)
    assert sure[INTERVALS] == json.loads(drawn.json())
    assert set(draws) == set(judged.metrics)
    np.testing.assert_allclose(np.array(draws["auc"], float), drawn.draws["auc"], atol=1e-5)
    assert drawn.figures["auc"].low < drawn.figures["auc"].high


def sure(noise: float, people: int = 20) -> dict[str, Any]:
    """Return how well made-up people are told apart, the more noise the worse."""
    rng = np.random.default_rng(0)
    centre_NE = np.repeat(rng.standard_normal((people, 16)), 4, axis=0)
    vector_NE = (centre_NE + noise * rng.standard_normal(centre_NE.shape)).astype(np.float32)
    embedding_NE = torch.nn.functional.normalize(torch.from_numpy(vector_NE), dim=1)
    label_N = np.repeat(np.arange(people), 4)
    found = verification(embedding_NE.numpy(), label_N, threads=1)
    judged = Judged(
        metrics=found.metrics(), figures=asdict(found), embedding_NE=embedding_NE, label_N=torch.from_numpy(label_N)
    )
    plain: dict[str, Any] = json.loads(json.dumps(judged.sure(1)))
    return plain


def test_two_models_are_compared_by_the_same_people() -> None:
    worse, better = sure(1.2), sure(0.8)
    found = difference(worse, better, "auc")
    assert found is not None and 0 < found.low < found.value < found.high
    assert found.value == pytest.approx(better["auc"] - worse["auc"])
    apart = [each[INTERVALS]["figures"]["auc"] for each in (worse, better)]
    assert found.high - found.low < sum(each["high"] - each["low"] for each in apart)
    same = difference(worse, worse, "auc")
    assert same is not None and (same.low, same.value, same.high) == (0, 0, 0)


def test_models_of_other_people_are_not_compared() -> None:
    assert difference(sure(1.0), sure(1.0, people=21), "auc") is None
    old = sure(1.0)
    del old[INTERVALS][DRAWS]
    assert difference(old, sure(1.0), "auc") is None
    assert difference({}, sure(1.0), "auc") is None
