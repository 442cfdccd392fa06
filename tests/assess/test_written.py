"""A result's folder: what is in it, when it counts as whole, and what is never written over."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omokage.assess import written
from omokage.card.blocks import Document, Section, Text
from omokage.errors import ConfigError, WorkError
from omokage.evaluate import plots
from omokage.evaluate.drawing import Plot
from omokage.evaluate.verification import verification
from omokage.storage import Folder


def document(command: str = "evaluate") -> Document:
    return Document("Evaluation", command, "面影 <b>", "about", (("7", "faces"),), (Section("Part", (Text("words"),)),))


@pytest.fixture(scope="module")
def roc() -> Plot:
    rng = np.random.default_rng(0)
    vector_NE = rng.standard_normal((30, 8)).astype(np.float32)
    vector_NE /= np.linalg.norm(vector_NE, axis=1, keepdims=True)
    return plots.roc({"a": verification(vector_NE, np.arange(30) // 3)})


def test_a_result_is_a_report_a_page_and_plots(tmp_path: Path, roc: Plot) -> None:
    folder = Folder.at(str(tmp_path / "new" / "評価"))
    written.free(folder, "evaluation")
    assert written.read(folder) is None
    report = '{"auc": 0.5, "low": NaN, "high": [Infinity, -Infinity], "name": "\\ud800 面影"}'
    written.write(folder, "evaluation", report, document(), {"roc": roc})
    root = tmp_path / "new" / "評価"
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) == [
        "index.html",
        "plots/roc.png",
        "plots/roc.svg",
        "report.json",
    ]

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    read = json.loads((root / "report.json").read_bytes(), parse_constant=refuse)
    assert read == {"auc": 0.5, "low": None, "high": [None, None], "name": "? 面影", "kind": "evaluation"}
    assert written.read(folder) == read
    page = (root / "index.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "面影 &lt;b&gt;" in page
    assert Image.open(io.BytesIO((root / "plots/roc.png").read_bytes())).format == "PNG"
    assert b"<svg" in (root / "plots/roc.svg").read_bytes()
    written.free(folder, "evaluation")  # and again


def test_behind_a_url(roc: Plot) -> None:
    folder = Folder.at("memory://results/面影")
    written.free(folder, "audit")
    written.write(folder, "audit", '{"a": 1}', document("audit"), {"roc": roc})
    assert written.read(folder) == {"a": 1, "kind": "audit"} and folder.names("plots") == ["roc.png", "roc.svg"]
    written.free(folder, "audit")
    with pytest.raises(ConfigError, match="another kind"):
        written.free(folder, "evaluation")


def test_the_report_comes_last_and_an_old_one_goes_first(tmp_path: Path, roc: Plot, monkeypatch) -> None:
    folder = Folder.at(str(tmp_path / "out"))
    written.write(folder, "evaluation", "{}", document(), {})
    order = []
    write = Folder.write

    def noted(self: Folder, name: str, data: bytes) -> None:
        order.append((name, self.exists("report.json")))
        write(self, name, data)

    monkeypatch.setattr(Folder, "write", noted)
    written.write(folder, "evaluation", "{}", document(), {"roc": roc})
    assert [name for name, _ in order] == ["plots/roc.png", "plots/roc.svg", "index.html", "report.json"]
    assert not any(there for _, there in order)  # killed at any of these moments, nothing whole is there


def test_what_a_killed_run_left_is_no_hindrance(tmp_path: Path, roc: Plot) -> None:
    folder = Folder.at(str(tmp_path / "out"))
    written.write(folder, "evaluation", "{}", document(), {"roc": roc})
    folder.write("draws.parquet", b"PAR1")
    (tmp_path / "out" / "report.json").unlink()
    written.free(folder, "evaluation")


def test_nothing_else_is_written_over(tmp_path: Path) -> None:
    def said(folder: Path, kind: written.Kind = "evaluation", pictures: str = "") -> str:
        with pytest.raises(ConfigError) as error:
            written.free(Folder.at(str(folder)), kind, pictures)
        return str(error.value)

    (tmp_path / "file").write_text("x")
    assert "is a file" in said(tmp_path / "file")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert "thesis.tex" in said(tmp_path / "mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.json").write_text('{"what": 1}')
    assert "another program" in said(tmp_path / "other")
    (tmp_path / "other" / "report.json").write_text("no json")
    assert "another program" in said(tmp_path / "other")
    audit = Folder.at(str(tmp_path / "audit"))
    written.write(audit, "audit", "{}", document("audit"), {})
    written.free(audit, "audit")
    assert "(audit)" in said(tmp_path / "audit")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>My page</h1>")
    assert "index.html was not made by this command" in said(tmp_path / "site")
    (tmp_path / "pictures").mkdir()
    assert "only read" in said(tmp_path / "pictures" / "out", pictures=str(tmp_path / "pictures"))
    (tmp_path / "way").symlink_to(tmp_path / "pictures")
    assert "only read" in said(tmp_path / "way" / "out", pictures=str(tmp_path / "pictures"))


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "write", full)
    with pytest.raises(WorkError, match="No space left"):
        written.write(Folder.at(str(tmp_path / "out")), "evaluation", "{}", document(), {})
