"""omokage search and find on pictures, as a user runs them."""

import cv2
import numpy as np
import pytest

from conftest import run
from omokage.errors import SourceError
from omokage.flows.search import SearchConfig, search
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
    with pytest.raises(SourceError, match="no face can be had"):
        search(str(undisturbed), str(tmp_path / "grey.png"), SearchConfig())
    with pytest.raises(SourceError, match="there is no picture"):
        search(str(undisturbed), str(tmp_path / "gone.png"), SearchConfig())
