import json

import pytest

from omokage.cli.applying import apply
from omokage.cli.deciding import undo
from omokage.errors import OmokageError
from omokage.ledger.version import freeze
from trees import drop, files, known, plant


@pytest.fixture
def data(tmp_path):
    data = known(plant(tmp_path / "pictures", "A/1.jpg", "A/2.jpg"), tmp_path / "data")
    drop(data, "A/1.jpg")
    return data


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give --to OUT"),
        (["--move", "--to", "x"], "give --to OUT"),
        (["--move", "--link"], "--link can only be given with --to"),
        (["--move", "--layout", "chips"], "--layout can only be given with --to"),
        (["--to", "x", "--dry-run", "--quarantine", "q"], "--quarantine and --dry-run can only be given with --move"),
        (["--to", "x", "--link", "--layout", "chips"], "chips lie in no files"),
    ],
)
def test_options_that_do_not_fit(data, words, said):
    with pytest.raises(OmokageError, match=said):
        apply([data.folder.url, *words])


@pytest.mark.parametrize("how", ["--move", "--to"])
def test_a_version_of_which_pictures_are_gone_is_not_to_be_tried_again(data, tmp_path, how):
    freeze(data, "v1")
    for name in ("1.jpg", "2.jpg"):  # a copy wants the one, a move the other
        (tmp_path / "pictures/A" / name).rename(tmp_path / "pictures" / name)
    with pytest.raises(OmokageError, match="is gone") as told:
        apply([f"{data.folder.url}@v1", how, *([str(tmp_path / "out")] if how == "--to" else [])])
    assert "as they were when v1 was frozen" in str(told.value)
    assert "this again" not in str(told.value)


def test_what_is_told(data, tmp_path, capsys):
    assert apply([data.folder.url, "--move", "--dry-run"]) == "Nothing was moved (--dry-run); 1 file would be"
    assert "'A/1.jpg' → quarantine 'A/1.jpg'" in capsys.readouterr().err
    assert json.loads(apply([data.folder.url, "--to", str(tmp_path / "out"), "--json"]))["files"] == 1
    assert "Now run omokage ingest" in apply([data.folder.url, "--move"])
    assert json.loads(undo([data.folder.url, "--apply", "1", "--json"]))["restored"] == 1
    assert files(tmp_path / "pictures") == {"A/1.jpg", "A/2.jpg"}
    for words, said in ((["1-2", "--apply"], "one number"), (["--partly"], "only be given with --apply")):
        with pytest.raises(OmokageError, match=said):
            undo([data.folder.url, *words])
