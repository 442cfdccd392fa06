"""The review page of a hundred thousand findings: how long it takes to open, to come to the next finding, and what
the server holds. ``python -m tests.bench.review_page`` (needs Chromium).

The faces are drawn and the findings written by rule, since what is measured is the page, and not how they were found.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Page, sync_playwright

from omokage import schema
from omokage.store import Dataset

sys.path.insert(0, str(Path(__file__).parents[1]))
from crowd import Crowd

FOLDERS, FACES = 25_000, 16
PEOPLE, CLUSTERS, OUTLIERS = 30_000, 40_000, 30_000
JUDGED = 40


def main() -> None:
    """Measure, and print one JSON object."""
    place = Path(os.environ.get("OMOKAGE_BENCH", tempfile.gettempdir())) / "review-bench"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        make(place)
        (place / "done").touch()
    shutil.rmtree(place / "data" / "ledger", ignore_errors=True)
    sys.stdout.write(json.dumps(measure(place / "data"), indent=1) + "\n")


def make(place: Path) -> None:
    """Write the dataset and its findings."""
    crowd = Sketched(folders=FOLDERS, faces=FACES, dim=128, splits=0, strangers=0, repeats=0, chips=True)
    data = crowd.write(str(place / "data"))
    faces = pa.concat_tables(data.faces(["face_id", "uri", "identity"])).combine_chunks()
    rng = np.random.default_rng(0)
    (place / "data" / "findings").mkdir()
    for name, table in findings(faces, rng).items():
        pq.write_table(table, place / "data" / "findings" / f"{name}.parquet", compression="zstd")


class Sketched(Crowd):
    """A crowd whose pictures are some hundred different ones: drawing half a million would take the day."""

    def _chips(self, block: Any) -> list[bytes]:
        if not hasattr(Sketched, "drawn"):
            small = Crowd(folders=16, faces=16, chips=True)
            Sketched.drawn = small._chips(small.whole())
        return [Sketched.drawn[row % len(Sketched.drawn)] for row in range(len(block.folder_N))]


def findings(faces: pa.Table, rng: np.random.Generator) -> dict[str, pa.Table]:
    """Return a hundred thousand findings, of the kinds that there usually are."""
    names = [faces["identity"][row].as_py() for row in range(0, FOLDERS * FACES, FACES)]
    first = rng.permutation(FOLDERS * 2)[:PEOPLE] % FOLDERS
    second = (first + 1 + rng.integers(FOLDERS - 1, size=PEOPLE)) % FOLDERS
    a, b = np.minimum(first, second), np.maximum(first, second)
    pairs = {name: np.full(PEOPLE, 0.5) for name in ("share", "mean", "cross", "within_a", "within_b")}
    pairs |= {"rank": np.arange(1, PEOPLE + 1), "score": np.linspace(9, -20, PEOPLE)}
    pairs |= {"best": np.linspace(0.95, 0.7, PEOPLE)}
    pairs |= {name: np.full(PEOPLE, FACES) for name in ("faces_a", "faces_b", "hit_faces_a", "hit_faces_b", "hits")}
    pairs |= {"identity_a": [names[x] for x in a], "identity_b": [names[x] for x in b], "group": pa.nulls(PEOPLE)}
    pairs |= {"verdict": ["same_person"] * PEOPLE, "reason": ["the folders are as alike as halves of one"] * PEOPLE}
    hits = 10
    rows = [np.repeat(x * FACES, hits) + rng.integers(FACES, size=PEOPLE * hits) for x in (a, b)]
    found = {f"{col}_{side}": faces[key].take(pa.array(row)) for side, row in zip("ab", rows, strict=True)
             for col, key in (("face", "face_id"), ("uri", "uri"), ("identity", "identity"))}  # fmt: skip
    found["similarity"] = rng.uniform(0.7, 1, PEOPLE * hits)
    start = np.sort(rng.permutation(FOLDERS * 4)[:CLUSTERS]) * 4
    row = np.ravel(start[:, None] + np.arange(3))
    clusters = faces.take(pa.array(row)).to_pydict() | {"cluster": np.repeat(np.arange(CLUSTERS), 3)}
    clusters |= {"kind": ["best", "same_shot", "same_shot"] * CLUSTERS, "keep": [True, False, False] * CLUSTERS}
    clusters |= {name: np.full(len(row), 0.99) for name in ("similarity", "pixels")} | {"reason": ["x"] * len(row)}
    row = rng.permutation(FOLDERS * FACES)[:OUTLIERS]
    outliers = faces.take(pa.array(row)).to_pydict() | {
        name: np.full(OUTLIERS, 0.5) for name in ("own", "other", "lof")
    }
    outliers |= {
        "kind": ["belongs_elsewhere"] * OUTLIERS,
        "score": np.linspace(12, 1, OUTLIERS),
        "reason": ["x"] * OUTLIERS,
    }
    outliers |= {"other_identity": [names[x] for x in rng.integers(FOLDERS, size=OUTLIERS)]}
    tables = {"collision_pairs": (pairs, schema.COLLISION_PAIRS), "collisions": (found, schema.COLLISIONS),
              "same_face": (clusters, schema.SAME_FACE), "outliers": (outliers, schema.OUTLIERS)}  # fmt: skip
    made = {}
    for name, (columns, want) in tables.items():
        arrays = [columns[field.name] for field in want]
        arrays = [x.combine_chunks() if isinstance(x, pa.ChunkedArray) else pa.array(x) for x in arrays]
        made[name] = pa.table([x.cast(field.type) for x, field in zip(arrays, want, strict=True)], schema=want)
    return made


def measure(data: Path) -> dict[str, Any]:
    """Return seconds and bytes."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "omokage", "review", str(data), "--no-open", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        url = server.stderr.readline().removeprefix("Review: ").strip()
        report: dict[str, Any] = {"findings": PEOPLE + CLUSTERS + OUTLIERS, "faces": sum(s.faces for s in Dataset.open(str(data)).head.shards)}
        report["start_seconds"] = round(time.perf_counter() - began, 2)
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                report |= walk(browser.new_page(viewport={"width": 1440, "height": 900}), url)
                browser.close()
            report["server_bytes"] = memory(server.pid)
        finally:
            server.send_signal(signal.SIGINT)
        report["ledger"] = json.loads(server.communicate(timeout=20)[0])["line"]
    return report


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


OPENED = """() => document.querySelector(".item") && document.querySelector(".list .row bdi")
  && [...document.querySelectorAll("main img")].slice(0, 8).every((image) => image.complete && image.src)"""


def walk(page: Page, url: str) -> dict[str, Any]:
    """Open the page, judge some findings of each kind by keys, and return how long each took until it was drawn."""
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_function(OPENED)
    opened = time.perf_counter() - began
    page.evaluate(WATCH)
    found: dict[str, Any] = {"open_seconds": round(opened, 2)}
    for kind, key in (("people", "d"), ("outlier", "k"), ("same_face", "Enter")):
        page.locator(f"button.kind.{kind}").click()
        page.wait_for_timeout(500)
        page.evaluate("window.took = []; document.activeElement.blur()")
        for _ in range(JUDGED):
            count = page.evaluate("window.took.length")
            page.keyboard.press(key)
            page.wait_for_function("n => window.took.length > n", arg=count)
        took = sorted(page.evaluate("window.took"))
        found[kind] = {
            "median_ms": round(statistics.median(took), 1),
            "p95_ms": round(took[int(0.95 * len(took))], 1),
            "worst_ms": round(took[-1], 1),
        }
    page.wait_for_function("() => !document.body.dataset.saving")
    page.locator("button.kind").first.click()
    began = time.perf_counter()
    page.locator(".list").evaluate("(el) => { el.scrollTop = el.scrollHeight / 2; }")
    page.wait_for_function("() => document.querySelector('.list .row bdi')")
    found["list_jump_ms"] = round(1000 * (time.perf_counter() - began), 1)
    return found


def memory(pid: int) -> dict[str, int]:
    """Return the peak of what a process held: all, and what is its own rather than mapped files that can go."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        name: int(lines[key].split()[0]) * 1024
        for name, key in (("peak", "VmHWM"), ("own", "RssAnon"), ("mapped", "RssFile"))
    }


if __name__ == "__main__":
    main()
