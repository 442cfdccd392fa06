import json

import pytest

from omokage.apply.asked import Asked
from omokage.apply.move import move
from omokage.cli.datasets import check
from omokage.errors import OmokageError
from omokage.ledger.version import freeze
from trees import drop, known, plant


@pytest.fixture
def data(tmp_path):
    """A dataset with decisions, a version, and pictures that were moved."""
    data = known(plant(tmp_path / "pictures", "A/1.jpg", "A/2.jpg", "B/1.jpg"), tmp_path / "data")
    drop(data, "A/1.jpg")
    freeze(data, "v1")
    move(Asked(data, None))
    return data


def test_all_is_well(data):
    said = json.loads(check([data.folder.url, "--json"]))
    assert said == {"files": 3, "decisions": 1, "versions": 1, "applied": 1, "problems": []}
    assert "decisions: 1; versions: 1; applied: 1" in check([data.folder.url])


@pytest.mark.parametrize("under", ["ledger", "versions", "applied/000001"])
def test_whatever_people_decided_is_checked(data, under):
    names = [name for name in data.folder.names(under) if not name.startswith(".") and name != "done.json"]
    assert names
    for name in names:
        place = f"{under}/{name}"
        whole = data.folder.read(place)
        data.folder.write(place, whole[: len(whole) // 2])
        with pytest.raises(OmokageError, match="is damaged") as told:
            check([data.folder.url])
        assert data.folder.place(place) in str(told.value)
        assert "cannot be made anew" in str(told.value)
        assert "damaged shard" not in str(told.value)
        data.folder.write(place, whole)
    assert check([data.folder.url])


def test_a_ledger_that_lost_decisions_that_a_version_rests_on(data):
    data.folder.remove("ledger/000000000001.jsonl")
    with pytest.raises(OmokageError, match="the ledger has 0 decisions, and a version rests on 1"):
        check([data.folder.url])
