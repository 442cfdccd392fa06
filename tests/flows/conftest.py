"""Drawn sources, and the command as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pytest
import s3fs

import s3_server
from omokage.store import Dataset
from omokage.synth.portrait import portrait

SIDE = 160
PEOPLE = ("山田 花子", "_x", ".hidden", "😀 emoji", "Jane")
SHOTS = 12
COPIES = 4
"""Encodings of each drawn shot: many pictures that cost little to draw."""

DEADLINE = 120
"""Seconds after which a run counts as hanging."""


class Ran(NamedTuple):
    """What a finished command left."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The --json report."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 pictures of five people, in folders with names that tools trip over."""
    root = tmp_path_factory.mktemp("source")
    for person, name in enumerate(PEOPLE):
        (root / name).mkdir()
        for shot in range(SHOTS):
            drawn = cv2.cvtColor(portrait(3, person, shot, SIDE).picture, cv2.COLOR_RGB2BGR)
            for copy in range(COPIES):
                data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 80 + 4 * copy])[1]
                (root / name / f"{shot:02d}-{copy}.jpg").write_bytes(data.tobytes())
    return root


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an S3 server that all tests share; each module has buckets of its own."""
    with s3_server.running(tmp_path_factory.mktemp("s3")) as env:
        yield env


@pytest.fixture
def address(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that this test runs find the server."""
    s3fs.S3FileSystem.clear_instance_cache()  # or a client of another test's server, or of another key, would be used
    for name, value in server.items():
        monkeypatch.setenv(name, value)


def command(*words: object) -> list[str]:
    """Return the command line of ``omokage``."""
    return [sys.executable, "-m", "omokage", *map(str, words)]


def start(*words: object) -> subprocess.Popen[str]:
    """Start ``omokage`` in a process group of its own."""
    return subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> Ran:
    """Return what the command left; one that hangs is killed, and fails the test."""
    try:
        out, err = process.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"hangs: {process.args}\n{process.communicate()[1][-2000:]}")
    return Ran(process.returncode, out, err)


def run(*words: object) -> Ran:
    """Run ``omokage`` to its end."""
    return finish(start(*words))


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return when ``holds``, while the process lives."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert process.poll() is None, f"ended too early: {process.communicate()}"
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.02)


def content(dataset: Path | str) -> dict[str, tuple[Any, ...]]:
    """Return every face of a dataset by id: where it is from, whose it is, its vector and its chip."""
    columns = ["face_id", "uri", "identity", "embedding", "chip"]
    rows: dict[str, tuple[Any, ...]] = {}
    for table in Dataset.open(str(dataset)).faces(columns):
        for face, uri, identity, vector, chip in zip(*(table[c].to_pylist() for c in columns), strict=True):
            assert face not in rows, "an id twice"
            rows[face] = (uri, identity, tuple(vector), chip)
    return rows


@pytest.fixture(scope="session")
def undisturbed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of ``pictures``, made in one go."""
    dataset = tmp_path_factory.mktemp("undisturbed") / "dataset"
    ran = run("ingest", pictures, dataset, "--json")
    assert ran.status == 0, ran.err
    return dataset


@pytest.fixture(scope="session")
def runtime(undisturbed: Path) -> str:
    """What encoded the dataset to compare with: another one's vectors may differ in the last digits."""
    return Dataset.open(str(undisturbed)).head.runtime
