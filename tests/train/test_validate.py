"""Judging on unseen people: what can be shown, what chooses the best, and that the ranks' shares make the whole."""

import json

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
from omokage.train.validate import INTERVALS, embedded, goodness, shown, validated

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
    assert judged.sure(1)[INTERVALS] == json.loads(drawn.json())
    assert drawn.figures["auc"].low < drawn.figures["auc"].high
