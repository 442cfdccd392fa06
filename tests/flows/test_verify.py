"""omokage verify, as a user runs it, and the pictures and lists that people really have."""

import csv
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import held
import looked
from conftest import run
from omokage.errors import ConfigError, SourceError
from omokage.flows import verify as flow
from omokage.flows.verify import VerifyConfig, verify, verify_list
from omokage.vision.encoder import load_spec
from omokage.vision.origin import origin


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures by what they show."""
    root = tmp_path_factory.mktemp("album")
    looked.saved(root / "花子 1.png", looked.drawn(0, 0))
    looked.saved(root / "花子 2.png", looked.drawn(0, 1))
    looked.saved(root / 'jane, "J".png', looked.drawn(1, 0))
    looked.saved(root / "two.png", looked.group((0, 2), (1, 1)))
    looked.saved(root / "grey.png", np.full((90, 120, 3), 127, np.uint8))
    whole = (root / "花子 1.png").read_bytes()
    (root / "torn.png").write_bytes(whole[: len(whole) // 2])
    (root / "notes.txt").write_text("not a picture")
    (root / "empty.jpg").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.png")).write_bytes(whole)
    return root


@pytest.fixture(autouse=True)
def own_weights(tmp_path, monkeypatch):
    """Whoever ran the tests may have calibrated sface: that must not answer here."""
    monkeypatch.setenv("OMOKAGE_WEIGHTS", str(looked.own_weights(tmp_path / "weights")))


@pytest.fixture
def calibration(tmp_path) -> str:
    return str(
        held.kept(tmp_path / "planted.json", match_from=0.6, no_match_below=0.5, encoder=origin(load_spec("sface")))
    )


def test_two_pictures(album, tmp_path):
    """Without a calibration; then with one where verify looks for it by itself."""
    first = run("verify", album / "花子 1.png", album / "花子 2.png", "--json")
    assert first.status == 0, first.err
    assert (first.report["answer"], first.report["log_likelihood_ratio"]) == ("cannot say", None)
    assert first.report["similarity"] > 0.6 and first.report["basis"]["calibration"] is None
    assert "omokage calibrate" in first.report["why"] and "sface" in first.report["basis"]["licences"]
    held.kept(
        tmp_path / "weights" / "face_recognition_sface_2021dec.onnx.calibration.json",
        no_match_below=0.5,
        encoder=origin(load_spec("sface")),
    )
    other = run("verify", album / "花子 1.png", album / 'jane, "J".png')
    assert other.status == 0 and other.out.startswith("no match, similarity 0."), other.err
    assert "Calibrated on 50 people of /人物/data@v1" in other.out and "%" not in other.out


def stop(done: int, of: int, what: str = "") -> None:
    """Stop as Ctrl-C does, on the way."""
    if done >= 8:
        raise KeyboardInterrupt


def test_a_list_is_answered_line_by_line(album, calibration, tmp_path, monkeypatch):
    """What a list of pairs brings along: every line has its answer, and what is wrong with one costs no other."""
    lines = [
        "a,same,b,face_b",  # other columns are nobody's business
        "花子 1.png,1,花子 2.png,",
        '花子 1.png,0,"jane, ""J"".png",',
        "two.png,1,花子 1.png,",
        "花子 1.png,1,two.png,1",
        '"jane, ""J"".png",0,two.png,1',
        "花子 1.png,1,two.png,9",
        "only two fields,here",
        "",
        '"never closed,花子 1.png,,',
        "花子 1.png,1,花子 1.png,",
        ",1,花子 1.png,",
        "花子 1.png,1,花子 2.png,left",
        "gone.png,1,花子 1.png,",
        "torn.png,1,花子 1.png,",
        "notes.txt,0,empty.jpg,",
        "grey.png,0,花子 1.png,",
        f"{album}/花子 2.png,1,./花子 1.png,",
    ]
    listing = album / "pairs 表.csv"
    listing.write_bytes("\r\n".join(lines).encode("utf-8-sig") + b"\r\n\xff.png,1,\xe8\x8a\xb1\xe5\xad\x90 1.png,\r\n")
    ran = run("verify", "--list", listing, "--calibration", calibration, "--json")
    assert ran.status == 0, ran.err
    by_line = {pair["line"]: pair for pair in ran.report["results"]}
    assert sorted(by_line) == [n for n in range(2, 20) if n != 9] and ran.report["pairs"] == 17
    said = {line: pair["answer"] for line, pair in by_line.items()}
    assert [line for line, answer in said.items() if answer == "match"] == [2, 5, 11, 18, 19]
    assert [line for line, answer in said.items() if answer == "no match"] == [3, 6]
    assert [entry["line"] for entry in ran.report["bad_lines"]] == [8, 10, 12, 13] and ran.report["bad"] == 4
    assert ran.report["answers"] == {"match": 5, "no match": 2, "cannot say": 10}
    assert "two.png shows 2 faces" in by_line[4]["why"] and len(by_line[4]["a"]["faces"]) == 2
    assert "no face 9" in by_line[7]["why"] and "2 fields" in by_line[8]["why"] and "quotes" in by_line[10]["why"]
    assert by_line[11]["same_file"] and not by_line[2]["same_file"] and by_line[19]["same_file"]
    reasons = {line: (by_line[line]["a"]["reason"], by_line[line]["b"]["reason"]) for line in (14, 15, 16, 17)}
    assert reasons == {
        14: ("unreadable", None),
        15: ("truncated", None),
        16: ("not_a_picture", "empty"),
        17: ("none_found", None),
    }
    assert by_line[18]["similarity"] == by_line[2]["similarity"]  # whichever comes first

    # the same into a file, stopped on the way and gone on with
    monkeypatch.setattr(flow, "PAIRS", 4)
    config, out = VerifyConfig(calibration=calibration), tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        verify_list(str(listing), config, str(out), stop)
    assert not out.exists()
    seen: list[int] = []
    report = verify_list(str(listing), config, str(out), lambda done, of, what="": seen.append(done))
    assert seen == [8, 12, 16, 17] and (report.answers, report.bad) == (ran.report["answers"], 4)
    assert report.results == () and report.csv == str(out) and "line 8 is no pair" in report.text()
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["line"]), row["answer"]) for row in rows] == list(said.items())
    assert [float(row["similarity"] or "nan") for row in rows] == pytest.approx(
        [np.nan if by_line[n]["similarity"] is None else by_line[n]["similarity"] for n in by_line], abs=0, nan_ok=True
    )


def test_what_stops_the_command_is_said(album, calibration, tmp_path):
    picture = str(album / "花子 1.png")
    with pytest.raises(SourceError, match=r"no picture at .*gone\.png"):
        verify(picture, str(album / "gone.png"), VerifyConfig())
    with pytest.raises(ConfigError, match="no encoder is called"):
        verify(picture, picture, VerifyConfig(encoder="sfac"))
    other = held.kept(tmp_path / "other.json")
    with pytest.raises(ConfigError, match=r"of another encoder than sface .*weights"):
        verify(picture, picture, VerifyConfig(calibration=str(other)))
    with pytest.raises(SourceError, match="cannot read the list"):
        verify_list(str(tmp_path / "none.csv"), VerifyConfig())
    (tmp_path / "list.csv").write_text("x,y\n1,2\n")
    with pytest.raises(SourceError, match="columns a and b"):
        verify_list(str(tmp_path / "list.csv"), VerifyConfig())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give two pictures"),
        (["x.png"], "give two pictures"),
        (["x.png", "y.png", "--csv", "z"], "only be given with --list"),
        (["x.png", "y.png", "--list", "z"], "leave A, B"),
    ],
)
def test_wrong_usage(words, said):
    from omokage.cli import verifying

    with pytest.raises(ConfigError, match=said):
        verifying.verify(words)


def test_lists_are_read_as_a_csv_reader_reads_them():
    rng = random.Random(0)
    for _ in range(200):
        rows = [["".join(rng.choices('ab",\n 花', k=rng.randrange(5))) or "x" for _ in range(3)] for _ in range(9)]
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator=rng.choice(["\n", "\r\n"])).writerows(rows)
        text = out.getvalue()
        found = list(flow._records(io.StringIO(text, newline="")))
        assert [fields for _, fields in found] == rows == list(csv.reader(io.StringIO(text, newline="")))
        firsts = [text.splitlines(keepends=True)[number - 1] for number, _ in found]
        assert all(line[0] in (row[0][0], '"') for line, row in zip(firsts, rows, strict=True))


def test_the_command_loads_no_ray_and_no_torch(album):
    """What a comparison of two pictures must not wait for."""
    code = (
        "import sys, json; from omokage.cli import verifying; "
        f"verifying.verify([{str(album / 'grey.png')!r}, {str(album / 'grey.png')!r}, '--json']); "
        "print(json.dumps([m for m in ('ray', 'torch', 'sklearn', 'mlflow', 'matplotlib') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
