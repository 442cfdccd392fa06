"""omokage search and find on pictures, as a user runs them."""

import cv2
import numpy as np
import pytest

from conftest import run
from omokage.store import Dataset

pytestmark = pytest.mark.ray  # the dataset that they share is made by an ingest


def test_a_picture_of_the_dataset_finds_itself_first_and_its_person_next(pictures, undisturbed):
    ran = run("search", undisturbed, pictures / "山田 花子" / "03-0.jpg", "--top", "4", "--json")
    assert ran.status == 0, ran.err
    [face] = ran.report["faces"]
    assert [answer["identity"] for answer in face["answers"]] == ["山田 花子"] * 4
    assert face["answers"][0]["similarity"] == pytest.approx(1, abs=1e-4)
    assert {answer["uri"] for answer in face["answers"]} == {f"山田 花子/03-{copy}.jpg" for copy in range(4)}
    assert ran.report["searched"] == sum(shard.faces for shard in Dataset.open(str(undisturbed)).head.shards)


def test_a_picture_without_a_face_is_told(undisturbed, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200, 3), 127, np.uint8))
    ran = run("search", undisturbed, tmp_path / "grey.png")
    assert ran.status == 1
    assert "no face can be had" in ran.err
    assert "Traceback" not in ran.err
    assert "there is no picture" in run("search", undisturbed, tmp_path / "gone.png").err
