"""The figures of review: a hundred thousand findings on the page, in a real browser.

``python -m tests.bench.review [--only NAME …] [--out FILE] [--quick]``, from the root of the repository; needs
Chromium. The findings are written by rule, since what is measured is the page, and not how they are found. The
pictures are some hundred different ones, since drawing half a million would take the day.
"""

import json
import shutil
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright
from tests.bench import inputs, watch
from tests.bench.figures import Figure, measure, say
from tests.crowd import Block, Crowd

from omokage import schema
from omokage.store import Dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    folders: int = 25_000
    faces: int = 16
    """Of a folder."""
    people: int = 30_000
    clusters: int = 40_000
    outliers: int = 30_000
    judged: int = 60
    """Findings of each kind that are judged by keys."""

    @property
    def findings(self) -> int:
        """How many there are."""
        return self.people + self.clusters + self.outliers


QUICK = Size(folders=400, people=300, clusters=400, outliers=300, judged=10)

OPEN_SECONDS = 2.0
"""Limit from the address to the first finding with its pictures."""

NEXT_MS = 100.0
"""Limit from a key to the next finding with its pictures."""

SERVER_MB = 500.0
"""Limit of the server's memory."""

HITS = 10
"""Pairs of faces of two people who look alike."""

KEYS = (("people", "d"), ("outlier", "k"), ("same_face", "Enter"))


class Pictured(Crowd):
    """A crowd with few different pictures."""

    def _chips(self, block: Block) -> list[bytes]:
        few = Crowd(folders=16, faces=16, chips=True)
        drawn = few._chips(few.whole()) if block.folder_N[0] == 0 else self.__dict__["drawn"]
        self.__dict__["drawn"] = drawn
        return [drawn[row % len(drawn)] for row in range(len(block.folder_N))]


def dataset(size: Size) -> Path:
    """Return a dataset with findings, made once and kept, without a ledger."""
    place = inputs.folder() / f"review-{size.folders}x{size.faces}-{size.findings}"
    if not (place / "whole").exists():
        shutil.rmtree(place, ignore_errors=True)
        say(f"  writing {place.name}")
        crowd = Pictured(folders=size.folders, faces=size.faces, splits=0, strangers=0, repeats=0, chips=True)
        data = crowd.write(str(place / "data"))
        (place / "data" / "findings").mkdir()
        faces = pa.concat_tables(data.faces(["face_id", "uri", "identity"])).combine_chunks()
        rng = np.random.default_rng(0)
        for tables in (_people(size, faces, rng), _clusters(size, faces, rng), _outliers(size, faces, rng)):
            for name, table in tables.items():
                pq.write_table(table, place / "data" / "findings" / f"{name}.parquet", compression="zstd")
        (place / "whole").touch()
    shutil.rmtree(place / "data" / "ledger", ignore_errors=True)
    return place / "data"


def _table(columns: dict[str, Any], want: pa.Schema) -> pa.Table:
    arrays = [columns[field.name] for field in want]
    arrays = [each.combine_chunks() if isinstance(each, pa.ChunkedArray) else pa.array(each) for each in arrays]
    return pa.table([each.cast(field.type) for each, field in zip(arrays, want, strict=True)], schema=want)


def _people(size: Size, faces: pa.Table, rng: np.random.Generator) -> dict[str, pa.Table]:
    first = rng.integers(size.folders, size=size.people)
    second = (first + 1 + rng.integers(size.folders - 1, size=size.people)) % size.folders
    pair = np.unique(np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1), axis=0)
    count = len(pair)
    identity = faces["identity"].take(pa.array(np.arange(size.folders) * size.faces))
    columns: dict[str, Any] = {name: np.full(count, 0.5) for name in ("share", "mean", "cross", "within_a", "within_b")}
    columns |= {"rank": np.arange(1, count + 1), "score": np.linspace(9, -20, count), "group": pa.nulls(count)}
    columns |= {name: np.full(count, size.faces) for name in ("faces_a", "faces_b", "hit_faces_a", "hit_faces_b")}
    columns |= {"hits": np.full(count, HITS), "best": np.linspace(0.95, 0.7, count)}
    columns |= {"verdict": ["same_person"] * count, "reason": ["the folders are as alike as halves of one"] * count}
    found: dict[str, Any] = {"similarity": rng.uniform(0.7, 1, count * HITS)}
    for side, person in zip("ab", pair.T, strict=True):
        columns[f"identity_{side}"] = identity.take(pa.array(person))
        row = np.repeat(person * size.faces, HITS) + rng.integers(size.faces, size=count * HITS)
        some = faces.take(pa.array(row))
        found |= {f"face_{side}": some["face_id"], f"uri_{side}": some["uri"], f"identity_{side}": some["identity"]}
    return {
        "collision_pairs": _table(columns, schema.COLLISION_PAIRS),
        "collisions": _table(found, schema.COLLISIONS),
    }


def _clusters(size: Size, faces: pa.Table, rng: np.random.Generator) -> dict[str, pa.Table]:
    each = 4  # rows between two clusters
    start = np.sort(rng.permutation(size.folders * size.faces // each)[: size.clusters]) * each
    row = np.ravel(start[:, None] + np.arange(3))
    columns = _columns(faces, row) | {"cluster": np.repeat(np.arange(size.clusters), 3)}
    columns |= {
        "kind": ["best", "same_shot", "same_shot"] * size.clusters,
        "keep": [True, False, False] * size.clusters,
    }
    columns |= {"similarity": np.full(len(row), 0.99), "pixels": np.full(len(row), 0.98)}
    return {"same_face": _table(columns | {"reason": ["same shot: pixels 0.98"] * len(row)}, schema.SAME_FACE)}


def _outliers(size: Size, faces: pa.Table, rng: np.random.Generator) -> dict[str, pa.Table]:
    row: NDArray[np.int64] = rng.permutation(size.folders * size.faces)[: size.outliers]
    other = rng.integers(size.folders, size=size.outliers) * size.faces
    columns = _columns(faces, row) | {name: np.full(len(row), 0.5) for name in ("own", "other", "lof")}
    columns |= {"kind": ["belongs_elsewhere"] * len(row), "score": np.linspace(12, 1, len(row))}
    columns |= {"other_identity": faces["identity"].take(pa.array(other)), "reason": ["unlike the rest"] * len(row)}
    return {"outliers": _table(columns, schema.OUTLIERS)}


def _columns(faces: pa.Table, row: NDArray[np.int64]) -> dict[str, Any]:
    some = faces.take(pa.array(row))
    return {name: some[name] for name in some.column_names}


def page(size: Size) -> list[Figure]:
    """Measure opening the page, coming to the next finding, and what the server holds."""
    data = dataset(size)
    faces = sum(shard.faces for shard in Dataset.open(str(data)).head.shards)
    began = time.perf_counter()
    command = watch.python("-m", "omokage", "review", str(data), "--no-open", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        url = server.stderr.readline().removeprefix("Review: ").strip()
        started = time.perf_counter() - began
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                opened, took, jumped = walk(browser.new_page(viewport={"width": 1440, "height": 900}), url, size)
                browser.close()
            held = memory(server.pid)
        finally:
            server.send_signal(signal.SIGINT)
        report = json.loads(server.communicate(timeout=30)[0])
    if report["line"] != size.judged * len(KEYS):
        raise watch.CommandError(f"{size.judged * len(KEYS)} were judged, and the ledger has {report['line']} lines")
    notes = [f"{faces:,} faces; from the command to its address {started:.1f} s; list at its middle {jumped:.0f} ms"]
    notes += [
        f"{kind}: median {statistics.median(each):.0f} ms, 95 of 100 within {np.percentile(each, 95):.0f} ms, "
        f"the slowest of {len(each)} {max(each):.0f} ms"
        for kind, each in took.items()
    ]
    notes.append(f"server: peak {held['VmHWM']:.0f} MB, of it mapped files {held['RssFile']:.0f} MB at the end")
    what = f"{size.findings:,} findings"
    worst = max(statistics.median(each) for each in took.values())
    return [
        _figure(f"{what}: page opens", opened, OPEN_SECONDS, "s", ()),
        _figure(f"{what}: from a key to the next, median of the slowest kind", worst, NEXT_MS, "ms", tuple(notes)),
        _figure(f"{what}: memory of the server", held["VmHWM"], SERVER_MB, "MB", ()),
    ]


def _figure(what: str, value: float, limit: float, unit: str, notes: tuple[str, ...]) -> Figure:
    shown = f"{value:.2f} {unit}" if unit == "s" else f"{value:.0f} {unit}"
    return Figure(what=what, peer=f"limit {limit:g} {unit}", ours=shown, ratio=value / limit, most=1, notes=notes)


OPENED = """() => document.querySelector(".item") && document.querySelector(".list .row bdi")
  && [...document.querySelectorAll("main img")].slice(0, 8).every((image) => image.complete && image.src)"""

WATCH = """() => {
  window.took = [];
  addEventListener("keydown", () => {
    const began = performance.now(), before = location.hash;
    const look = () => {
      const images = [...document.querySelectorAll("main img")].slice(0, 8);
      if (location.hash !== before && images.length && images.every((image) => image.complete && image.src)) {
        requestAnimationFrame(() => window.took.push(performance.now() - began));
      } else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, true);
}"""


def walk(shown: Page, url: str, size: Size) -> tuple[float, dict[str, list[float]], float]:
    """Open the page and judge some findings of each kind by keys, one as soon as the one before is seen.

    Returns:
        Seconds until the page was seen; milliseconds from a key to the next finding, by kind; milliseconds from
        scrolling to the middle of the list until its rows are there.
    """
    began = time.perf_counter()
    shown.goto(url)
    shown.wait_for_function(OPENED)
    opened = time.perf_counter() - began
    shown.evaluate(WATCH)
    took = {}
    for kind, key in KEYS:
        shown.locator(f"button.kind.{kind}").click()
        shown.wait_for_timeout(500)
        shown.evaluate("() => { window.took = []; document.activeElement.blur(); }")
        for count in range(size.judged):
            shown.keyboard.press(key)
            shown.wait_for_function("n => window.took.length > n", arg=count)
        took[kind] = shown.evaluate("() => window.took")
        say(f"  {kind}: median {statistics.median(took[kind]):.0f} ms")
    shown.wait_for_function("() => !document.body.dataset.saving")
    shown.locator("button.kind").first.click()
    began = time.perf_counter()
    shown.locator(".list").evaluate("(list) => { list.scrollTop = list.scrollHeight / 2; }")
    shown.wait_for_function("() => document.querySelector('.list .row bdi')")
    return opened, took, 1000 * (time.perf_counter() - began)


def memory(pid: int) -> dict[str, float]:
    """Return what a process holds and has held at most, in MB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmHWM", "RssAnon", "RssFile")}


FIGURES = {"page": page}


def main() -> None:
    """Measure."""
    measure("review", FIGURES, Size(), QUICK)


if __name__ == "__main__":
    main()
