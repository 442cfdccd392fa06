"""A training as one MLflow run: taken up after a kill, never told twice, stores that are away, no word to anybody."""

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import stores

from omokage.errors import ConfigError
from omokage.tracking import place, words
from omokage.tracking.runs import listed
from omokage.tracking.tracker import About, Tracker


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # what is written beside the program by mistake is seen
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return stores.new(tmp_path / "store")


def about(key: str = "k1", **more: Any) -> About:
    return About(name="first", key=key, where="/runs/first", **more)


def history(tracker: Tracker, name: str) -> list[tuple[int, float]]:
    points = place.client(str(tracker._store)).get_metric_history(tracker.run_id, name)
    return sorted((point.step, point.value) for point in points)


def test_a_run_says_what_it_is_of(store: str) -> None:
    tracker = Tracker.start(
        store,
        about(
            dataset="/data/people@v2",
            digest="ab" * 32,
            commit="c" * 40,
            params={"optim": {"lr": 0.001, "preset": "sgd-step"}, "loop": {"epochs": 3}},
            tags={"why": "a test"},
        ),
    )
    tracker.log(1, {"train_loss": 2.5, "val_auc": 0.7, "val_tar": None})
    tracker.best("auc", 0.7, 1)
    tracker.file("plots/roc.png", b"picture")
    tracker.end("FINISHED")
    assert tracker.warnings == []
    client = place.client(store)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "first"
    assert run.data.params == {"optim.lr": "0.001", "optim.preset": "sgd-step", "loop.epochs": "3"}
    assert run.data.metrics == {"train_loss": 2.5, "val_auc": 0.7}
    tags = run.data.tags
    assert (tags["omokage.dataset"], tags["mlflow.source.git.commit"], tags["why"]) == (
        "/data/people@v2",
        "c" * 40,
        "a test",
    )
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("/data/people@v2", ("ab" * 32)[:36])
    files = files_of(run)
    assert (files / "plots" / "roc.png").read_bytes() == b"picture"
    assert sorted(each.name for each in Path.cwd().iterdir()) == ["store"]


def test_a_killed_run_is_taken_up_and_no_point_is_told_twice(store: str) -> None:
    first = Tracker.start(store, about(params={"a": 1}))
    for step in (1, 2, 3):
        first.log(step, {"loss": 10.0 - step})
    del first  # killed: the run still says RUNNING
    second = Tracker.start(store, about(params={"a": 2, "b": 3}))
    for step, loss in ((2, 99.0), (3, 99.0), (4, 6.0)):  # what a resume goes over again
        second.log(step, {"loss": loss})
    second.end("FINISHED")
    assert second.warnings == []
    assert history(second, "loss") == [(1, 9.0), (2, 8.0), (3, 7.0), (4, 6.0)]
    client = place.client(store)
    (only,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert only.info.status == "FINISHED"
    assert only.data.params == {"a": "1", "b": "3"}  # MLflow lets none be changed


def test_a_run_that_had_failed_runs_again(store: str) -> None:
    first = Tracker.start(store, about())
    first.end("FAILED")
    client = place.client(store)
    assert client.get_run(first.run_id).info.status == "FAILED"
    second = Tracker.start(store, about())
    assert second.run_id == first.run_id
    assert client.get_run(second.run_id).info.status == "RUNNING"
    second.end("KILLED")
    assert client.get_run(second.run_id).info.status == "KILLED"


def test_other_keys_are_other_runs_and_parts_are_nested(store: str) -> None:
    whole = Tracker.start(store, about("search"))
    part = Tracker.start(store, about("search-1", parent="search"))
    assert whole.run_id != part.run_id
    tags = place.client(store).get_run(part.run_id).data.tags
    assert tags["mlflow.parentRunId"] == whole.run_id


def files_of(run: Any) -> Path:
    return Path(url2pathname(urlsplit(run.info.artifact_uri).path))


HOSTILE = [
    "\udc80\udcff",
    "a\x1b[31m\x00b",
    "..",
    "../../etc",
    "",
    " ",
    "x" * 9000,
    "'; drop table runs; --",
    "人物/\u202e山",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_told_and_harmless(store: str, name: str) -> None:
    tracker = Tracker.start(
        store,
        About(
            name=name,
            key=name or "k",
            where=name,
            dataset=name,
            params={name: name, "p": "v" * 9000},
            experiment=f"e{name}",
        ),
    )
    tracker.log(1, {f"m{name}": 1.0})
    tracker.file(f"{name}/f", b"1")
    tracker.best("auc", 0.5, 1)
    again = Tracker.start(store, About(name=name, key=name or "k", experiment=f"e{name}"))
    assert tracker.warnings == again.warnings == []
    assert again.run_id == tracker.run_id
    run = place.client(store).get_run(tracker.run_id)
    assert len(run.data.params["p"]) == words.PARAM and run.data.params["p"].endswith("…")
    root = files_of(run)
    assert len([each for each in root.rglob("*") if each.is_file()]) == 1
    report = listed(store)
    assert "\x1b" not in report.text() and len(report.runs) == 1
    report.json().encode()


def test_figures_that_are_no_numbers_are_told(store: str) -> None:
    tracker = Tracker.start(store, about())
    tracker.log(1, {"a": float("nan"), "b": float("inf"), "c": float("-inf"), "d": 1})
    assert tracker.warnings == []
    ((_, infinite),) = history(tracker, "b")
    assert infinite > 1e300 and history(tracker, "d") == [(1, 1.0)]


def test_many_parameters_are_told(store: str) -> None:
    tracker = Tracker.start(store, about(params={f"p{n}": n for n in range(250)}))
    assert tracker.warnings == []
    assert len(place.client(store).get_run(tracker.run_id).data.params) == 250


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_is_away_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = Tracker.start(f"http://127.0.0.1:{port}", about(), tmp_path / "events", 1)
    for step in (1, 2):
        tracker.log(step, {"loss": 1.0})
    tracker.file("a", b"1")
    tracker.end("FINISHED")
    assert tracker.run_id is None
    (warning,) = tracker.warnings
    assert "does not take what is tracked" in warning and "the training goes on" in warning
    assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.WARNING), "said once, and by us"
    assert list((tmp_path / "events").iterdir())


def test_what_a_store_did_not_take_is_told_once_it_is_back(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place.local_file(store)
    assert file is not None
    tracker = Tracker.start(store, about())
    client = tracker._client
    tracker.log(1, {"loss": 3.0})

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    with monkeypatch.context() as broken:
        broken.setattr(client, "log_batch", away)
        tracker.log(2, {"loss": 2.0})
        tracker.log(3, {"loss": 1.0})
        tracker.file("late", b"1")
    assert history(tracker, "loss") == [(1, 3.0)]
    tracker.log(4, {"loss": 0.5})
    tracker.end("FINISHED")
    assert history(tracker, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0), (4, 0.5)]
    run = place.client(store).get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert (files_of(run) / "late").exists()
    assert len(tracker.warnings) == 1


def test_a_store_that_was_away_at_the_start_gets_the_whole_run(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = place.client

    def away(_: str) -> Any:
        raise ConnectionError("no route")

    with monkeypatch.context() as broken:
        broken.setattr(place, "client", away)
        tracker = Tracker.start(store, about(params={"a": 1}))
        tracker.log(1, {"loss": 3.0})
        assert tracker.run_id is None
    tracker.log(2, {"loss": 2.0})
    assert history(tracker, "loss") == [(1, 3.0), (2, 2.0)]
    assert real(store).get_run(tracker.run_id).data.params == {"a": "1"}


def test_off_tracks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    tracker = Tracker.start("off", about())
    tracker.log(1, {"loss": 1.0})
    tracker.file("a", b"")
    tracker.end("FINISHED")
    assert tracker.run_id is None and list(tmp_path.iterdir()) == []


def test_a_deleted_experiment_is_said(store: str) -> None:
    Tracker.start(store, about(experiment="old"))
    client = place.client(store)
    client.delete_experiment(client.get_experiment_by_name("old").experiment_id)
    with pytest.raises(ConfigError, match="'old' was deleted: restore it in MLflow, or give another --experiment"):
        Tracker.start(store, about(experiment="old"))


def test_the_store_is_where_it_was_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", "/data home")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert place.resolve(None) == "sqlite:////data home/omokage/mlflow/mlflow.db"
    assert place.resolve("runs.db") == place.resolve("sqlite:///runs.db") == f"sqlite:///{tmp_path}/runs.db"
    assert place.resolve("http://head:5000") == "http://head:5000"
    assert place.resolve("off") is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://server")
    assert place.resolve(None) == "https://server"
    assert place.resolve("sqlite:////x/y.db") == "sqlite:////x/y.db"


@pytest.mark.parametrize("uri", ["htp://server", "./mlruns", "file:///mlruns", "offf", "server:5000"])
def test_a_store_that_is_none_is_said(uri: str) -> None:
    with pytest.raises(ConfigError, match="runs cannot be tracked in"):
        place.resolve(uri)


def test_passwords_are_not_shown() -> None:
    assert place.shown("https://me:secret@host/x") == "https://me:***@host/x"
    assert "secret" not in place.how_to_open("postgresql://me:secret@host/db")


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a server that notes who calls, and knows nothing."""
    called: list[str] = []

    class Note(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            pass

    do: Callable[[BaseHTTPRequestHandler], None] = Note.do_GET  # type: ignore[assignment]
    Note.do_POST = do  # type: ignore[attr-defined]
    Note.do_CONNECT = do  # type: ignore[attr-defined]
    with HTTPServer(("127.0.0.1", 0), Note) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", called
        server.shutdown()


PROGRAM = """
import socket, sys
seen = []
real = socket.socket.connect
def connect(self, address):
    seen.append(address)
    raise OSError("nothing may leave")
socket.socket.connect = connect
look = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    seen.append(host)
    raise OSError("nothing may be asked for")
socket.getaddrinfo = getaddrinfo
from pathlib import Path
from omokage.tracking.model import OnnxModel
from omokage.tracking.tracker import About, Tracker
tracker = Tracker.start(sys.argv[1], About(name="n", key="k", params={"a": 1}), Path(sys.argv[2]), 1)
tracker.log(1, {"loss": 1.0})
tracker.file("f", b"1")
tracker.model(OnnxModel(file=Path(sys.argv[3]), name="small"))
tracker.end("FINISHED")
import threading
print(seen, tracker.warnings, sorted(t.name for t in threading.enumerate() if "elemetry" in t.name))
"""


@pytest.mark.long
def test_nothing_leaves_the_machine(store: str, tmp_path: Path, listener: tuple[str, list[str]]) -> None:
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    address, called = listener
    # not a word of a test or of CI in the environment: MLflow is silent there by itself
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    proxies = {name: address for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, store, str(tmp_path / "events"), str(tmp_path / "m.onnx")],
        env=kept | proxies | {"HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[] [] []", done.stderr
    assert called == []
    left = [str(file) for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert left == []  # no identifier of this machine
