"""The verbs report, plan, import and export, as the command line calls them."""

import json
from pathlib import Path

import pytest

from crowd import Crowd
from omokage.cli import leaving
from omokage.errors import ConfigError
from omokage.ledger.version import freeze
from omokage.store import Dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    data = Crowd(folders=5, faces=4, dim=128, chips=True).write(str(tmp_path_factory.mktemp("verbs") / "data"))
    freeze(data, "v1", "me")
    return data


def said(verb, *words: object) -> dict:
    return json.loads(verb([*map(str, words), "--json"]))


def test_plans():
    found = said(leaving.plan, "--people", 100, "--pictures", 100)
    assert (found["positive"], found["negative"]) == (495_000, 49_500_000)
    assert found["cost"]["compare"] > 0 and found["cost"]["encode"] is None
    text = leaving.plan(["--people", "10000", "--pictures", "1"])
    assert "49,995,000" in text and "too few" in text and "On this machine" in text


def test_a_plan_of_a_dataset_and_of_a_version(data):
    one, two = said(leaving.plan, data.folder.url), said(leaving.plan, f"{data.folder.url}@v1")
    assert one["positive"] == two["positive"] == 5 * 6
    assert one["negative"] == (20 * 20 - 5 * 16) / 2


def test_every_export_and_import(data, tmp_path):
    address = f"{data.folder.url}@v1"
    files = said(leaving.export, "imagefolder", address, tmp_path / "folder")
    assert files["files"] == 20
    assert len(list((tmp_path / "folder").rglob("*.jpg"))) == 20
    tars = said(leaving.export, "webdataset", address, tmp_path / "tars", "--shard-faces", 6)
    assert (tars["faces"], tars["version"], len(list((tmp_path / "tars").glob("*.tar")))) == (20, "v1", 4)
    rows = said(leaving.export, "parquet", address, tmp_path / "rows.parquet", "--chips")
    assert rows["faces"] == 20
    back = said(leaving.import_, "parquet", tmp_path / "rows.parquet", tmp_path / "back", "--encoder-name", "e")
    assert (back["faces"], back["encoder"]) == (20, "foreign:e")
    chips = sorted(chip for table in data.faces(["chip"]) for chip in table["chip"].to_pylist())
    again = Dataset.open(str(tmp_path / "back"))
    assert sorted(chip for table in again.faces(["chip"]) for chip in table["chip"].to_pylist()) == chips


def test_pictures_that_lie_elsewhere_than_the_file(data, tmp_path):
    leaving.export(["parquet", data.folder.url, str(tmp_path / "rows.parquet")])
    (tmp_path / "pictures").mkdir()
    where = ["parquet", tmp_path / "rows.parquet", tmp_path / "back"]
    assert said(leaving.import_, *where, "--pictures", tmp_path / "pictures")["source"] == str(tmp_path / "pictures")


def test_a_card(data, tmp_path):
    found = said(leaving.report, f"{data.folder.url}@v1", tmp_path / "card.html", "--people", 1)
    assert (found["faces"], found["version"], found["findings"]) == (20, "v1", None)
    assert Path(found["markdown"]).read_text().startswith("<!-- omokage report -->")


@pytest.mark.parametrize(
    ("verb", "words", "wrong"),
    [
        (leaving.plan, [], "give a dataset"),
        (leaving.plan, ["data", "--people", "3", "--pictures", "3"], "give a dataset"),
        (leaving.plan, ["--people", "3"], "go together"),
        (leaving.import_, ["npknown", "a", "b", "--encoder-name", "x"], "--encoder-name is not for npknown"),
        (leaving.import_, ["parquet", "a", "b", "--no-chips"], "--no-chips is not for parquet"),
        (leaving.export, ["webdataset", "a", "b", "--chips"], "--chips is not for webdataset"),
        (leaving.export, ["imagefolder", "a", "b", "--shard-faces", "3"], "--shard-faces is not for imagefolder"),
    ],
)
def test_what_does_not_go_together(verb, words, wrong):
    with pytest.raises(ConfigError, match=wrong):
        verb(words)
