"""An evaluation's page, read back as a browser reads it, and opened in one; figures against slow versions."""

import base64
import dataclasses
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import combinations

import judged
import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Browser, Page

from omokage.assess import shown
from omokage.assess.shown import Examples, ShownConfig
from omokage.errors import ConfigError
from omokage.evaluate.extremes import Alike
from omokage.storage import Folder

EMPTY = {"meta", "img", "br", "link", "input", "hr"}


class Read(HTMLParser):
    """What a page holds; it complains of elements that are not closed as they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        self.links: list[str] = []
        self.images: list[bytes] = []
        self.ids: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.texts: list[str] = []
        self.policy = self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags[tag] += 1
        self.attributes.update(list(given))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src", "srcset", "data", "action") if name in given]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "img":
            self.images.append(base64.b64decode(given["src"].partition(";base64,")[2], validate=True))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "style":
            self.style += data
            return
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data
        self.texts.append(data)

    def table(self, *head: str) -> dict[str, list[str]]:
        """Return the rows of the table that begins so, by their first cell."""
        (found,) = [table for table in self.tables if tuple(table[0][: len(head)]) == head]
        return {row[0]: row[1:] for row in found[1:]}

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> judged.Judged:
    return judged.judged(tmp_path_factory.mktemp("evaluation"))


@pytest.fixture(scope="module")
def read(made: judged.Judged) -> Read:
    return Read(made.page.read_text(encoding="utf-8"))


def percent(text: str) -> float:
    assert text.endswith("\N{NO-BREAK SPACE}%")
    return float(text[:-2]) / 100


def test_the_page_needs_nothing_and_runs_nothing(read: Read) -> None:
    assert read.tags["script"] == 0 and not any(name.startswith("on") or name == "style" for name in read.attributes)
    assert all(link.startswith(("data:image/", "#")) for link in read.links)
    digest = base64.b64encode(hashlib.sha256(read.style.encode()).digest()).decode()
    assert "default-src 'none'" in read.policy and f"'sha256-{digest}'" in read.policy
    assert "unsafe" not in read.policy and "http" not in read.policy and "url(" not in read.style
    assert len(read.ids) == len(set(read.ids))
    assert "\u202e" not in read.text  # a name that turns the words after it round is shown as what it is


def test_the_headline_is_what_all_pairs_show(made: judged.Judged, read: Read) -> None:
    """The slow, obvious version: all pairs in lists."""
    vector_NE, label_N = made.subject.vector_NE.astype(float), made.subject.label_N
    genuine, impostor = [], []
    for a, b in combinations(range(len(label_N)), 2):
        (genuine if label_N[a] == label_N[b] else impostor).append(float(vector_NE[a] @ vector_NE[b]))
    impostor.sort(reverse=True)
    rows = read.table("", "Value", "95% interval")
    for fmr in (0.1, 0.01, 0.001):
        value, interval = rows[f"TAR at FMR {fmr:g}"]
        floor = impostor[int(fmr * len(impostor) + 1e-9)]
        tar = sum(one > floor + 1e-7 for one in genuine) / len(genuine)
        assert percent(value) == pytest.approx(tar, abs=6e-5)
        low, high = (percent(end) for end in interval.split(" to "))
        assert low <= percent(value) <= high and high - low > 1e-3
    assert rows["TAR at FMR 0.0001"] == ["too few", "100,000 pairs of different people would show it"]
    assert rows["TAR at FMR 1e-6"] == ["too few", "10,000,000 pairs of different people would show it"]
    better = np.mean([np.mean(np.array(impostor) < one) + np.mean(np.array(impostor) == one) / 2 for one in genuine])
    assert float(rows["AUC"][0]) == pytest.approx(float(better), abs=1e-5)
    assert list(rows)[:2] == ["AUC", "EER"]
    people = f"{made.found.identification[-1].size:,} people enrolled"
    assert rows[f"FNIR at FPIR 0.001, {people}"][0] == "too few"
    best = made.found.identification[-1]
    assert best.rank_one and percent(rows[f"Rank 1, {people}"][0]) == pytest.approx(best.rank_one.value, abs=6e-5)


def test_tables_say_what_the_evaluation_says(made: judged.Judged, read: Read) -> None:
    found = made.found
    thresholds = read.table("FMR, at most", "Threshold")
    for point in found.verification.points:
        row = thresholds[f"{point.fmr:g}".replace("e-0", "e-")]
        if point.threshold is None or point.tar is None:
            assert row[0] == "too few"
            continue
        assert float(row[0]) == pytest.approx(point.threshold, abs=6e-5)
        assert percent(row[4]) == pytest.approx(1 - point.tar, abs=6e-5)
    failures = read.table("", "Without failures", "its interval", "Counted as errors (FRR)", "its interval")
    for point in found.failures.points:
        without, _, counted, between, *_ = failures[f"FNMR at FMR {point.fmr:g}"]
        assert percent(counted) == pytest.approx(point.frr, abs=6e-5) and percent(without) < percent(counted)
        low, high = map(percent, between.split(" to "))
        assert low <= percent(counted) <= high and low < high
    assert "3 of 203 pictures" in read.text
    worst = read.table("The worst by AUC", "Faces")
    assert found.people and len(worst) == len(found.people.worst)
    at = [point.fmr for point in found.verification.points].index(0.001)
    for row, person in zip(worst.values(), found.people.worst, strict=True):
        assert percent(row[2]) == pytest.approx(person.fnmr[at], abs=6e-5)
    galleries = read.table("People enrolled", "Faces enrolled")
    assert list(galleries) == [f"{each.size:,}" for each in found.identification]
    (origin,) = [dict(table) for table in read.tables if table[0] == ["Dataset", "data 面影"]]
    assert origin["Faces, sha256 of what they are"] == found.digest
    assert origin["Encoder's licence"] == "not known here"
    assert read.table("Setting")["fpirs"] == ["0.3, 0.001"]


def test_every_figure_of_the_first_table_has_its_interval(made: judged.Judged, read: Read) -> None:
    rows = read.table("", "Value", "95% interval")
    told = made.found.intervals.figures
    frr = "FRR at FMR 0.001, pictures without a face counted as errors"
    assert {"AUC", "EER", "Average precision", "Accuracy, by cross-validation", frr} < rows.keys()
    for name, (value, between) in rows.items():
        assert " to " in between or (value == "too few" and "would show it" in between), name
    for row, name in (("Average precision", "average_precision"), ("AUC", "auc")):
        shown = [float(text) for text in (rows[row][0], *rows[row][1].split(" to "))]
        assert shown == pytest.approx([told[name].value, told[name].low, told[name].high], abs=6e-5)
    text = made.found.text()
    for name in (
        "average precision",
        "best F1, at",
        "accuracy over people",
        "mean AUC",
        "at FMR 0.001: FNMR",
        "rank 5",
    ):
        lines = [line for line in text.split("\n") if line.strip().startswith(name)]
        assert lines and all(" to " in line for line in lines), name
    assert {"average_precision", "accuracy", "frr_at_fmr_1e-3"} < made.found.headline().keys()


def test_the_faces_that_are_shown_are_the_right_ones(made: judged.Judged, read: Read) -> None:
    faces = pa.concat_tables(made.data.faces(["face_id", "chip"])).to_pydict()
    chip = dict(zip(faces["face_id"], faces["chip"], strict=True))
    vector_NE, label_N = made.subject.vector_NE.astype(float), made.subject.label_N
    ids = made.subject.faces["face_id"].to_pylist()
    alike: dict[tuple[int, int], tuple[float, int, int]] = {}
    for a, b in combinations(range(len(label_N)), 2):
        people = int(label_N[a]), int(label_N[b])
        sign = 1 if people[0] != people[1] else -1
        alike[people] = max(alike.get(people, (-9.0, 0, 0)), (sign * float(vector_NE[a] @ vector_NE[b]), a, b))
    for kind, pairs, same in (("impostor", made.shown.impostor, False), ("genuine", made.shown.genuine, True)):
        wanted = sorted((found for people, found in alike.items() if (people[0] == people[1]) == same), reverse=True)
        for pair, (similarity, a, b) in zip(pairs, wanted[: judged.SHOWN.pairs], strict=True):
            assert abs(pair.similarity) == pytest.approx(abs(similarity), abs=1e-6), kind
            assert (pair.left.jpeg, pair.right.jpeg) == (chip[ids[a]], chip[ids[b]]), kind
            assert pair.left.person == made.subject.people[label_N[a]]
            assert pair.note == ""
            assert pair.left.jpeg in read.images and pair.right.jpeg in read.images
    named = [person.label for person in made.found.people.worst] if made.found.people else []
    assert [group.identity for group in made.shown.worst] == named[: judged.SHOWN.worst]
    for group in made.shown.worst:
        rows = [n for n, label in enumerate(label_N) if made.subject.people[label] == group.identity]
        rest = {n: vector_NE[[m for m in rows if m != n]].sum(0) for n in rows}
        typical = {n: float(vector_NE[n] @ rest[n] / np.linalg.norm(rest[n])) for n in rows}
        order = sorted(rows, key=lambda n: typical[n])
        assert group.faces == len(rows) == 5 and group.typical
        assert group.typical.face_id == ids[order[-1]]
        assert [face.face_id for face in group.others] == [ids[n] for n in order[:3]]
        assert group.others[0].similarity == pytest.approx(typical[order[0]], abs=1e-5)


def test_a_file_that_two_people_share_is_called_so(made: judged.Judged) -> None:
    sha256 = made.subject.faces["sha256"].to_pylist()
    pair = made.shown.impostor[0]
    place = {uri: row for row, uri in enumerate(made.subject.faces["uri"].to_pylist())}
    a, b = place[pair.left.uri], place[pair.right.uri]
    sha256[b] = sha256[a]
    faces = made.subject.faces
    twice = faces.set_column(faces.column_names.index("sha256"), "sha256", pa.array(sha256))
    of = dataclasses.replace(made.subject, faces=twice)
    found = shown.examples(of, config=judged.SHOWN, threads=1)
    assert [one.note for one in found.impostor] == ["the same file", "", "", "", ""]


def test_names_are_words_and_nothing_else(made: judged.Judged, read: Read) -> None:
    raw = made.page.read_text(encoding="utf-8")
    assert "<script" not in raw and "onerror=alert(1)>" not in raw.replace("&gt;", "")
    assert "document.title='owned'" in read.text or "document.title=" in read.text
    assert read.tags["section"] > 8 and read.tags["h1"] == 1


def test_a_page_of_what_little_there_is(made: judged.Judged, tmp_path) -> None:
    """No folds, no people, no gallery, no faces, no interval: each says why, and no section is empty."""
    few = dataclasses.replace(
        made.found,
        folds=None,
        folds_withheld="cross-validation over people needs 4 people",
        people=None,
        curves=None,
        identification=(),
        without_failures=(),
        identification_withheld="it was not asked for",
        failures=dataclasses.replace(made.found.failures, failed=0, points=()),
        intervals=dataclasses.replace(made.found.intervals, figures={}),
        verification=dataclasses.replace(
            made.found.verification,
            points=tuple(
                dataclasses.replace(point, tar=None, threshold=None, counted_fmr=None)
                for point in made.found.verification.points
            ),
        ),
        encoder={},
        warnings=(),
    )
    folder = Folder.at(str(tmp_path / "few"))
    assert "not the listed pairs alone" in Read(judged.page_of(few, made.shown)).text
    judged.put(few, Examples(), folder)
    read = Read(folder.read("index.html").decode())
    assert folder.names("plots")[::2] == ["det.png", "precision-recall.png", "roc.png", "scores.png"]
    assert "Not told: cross-validation over people needs 4 people." in read.text
    assert "Not told: it was not asked for." in read.text and "Before you read on" not in read.text
    assert "Person by person" not in read.text and "Pairs to look at" not in read.text
    rows = read.table("", "Value", "95% interval")
    assert all(rows[name][0] == "too few" for name in rows if name.startswith("TAR"))
    assert len(read.images) == 4 and "nan" not in read.text.lower().split()


def test_faces_that_have_no_chip_and_people_who_are_gone(made: judged.Judged) -> None:
    faces = made.subject.faces
    gone = faces.set_column(0, "face_id", pa.array([f"gone {row}" for row in range(faces.num_rows)]))
    pair = shown.pairs(dataclasses.replace(made.subject, faces=gone), [Alike(a=0, b=7, similarity=0.5)])[0]
    assert pair.left.jpeg == pair.right.jpeg == b"" and pair.left.uri == faces["uri"][0].as_py()
    told = Read(judged.page_of(made.found, Examples(genuine=(pair,)))).text
    assert "keeps no chips of these faces" in told and "no picture" not in told
    half = dataclasses.replace(pair, left=shown.pairs(made.subject, [Alike(a=0, b=7, similarity=0.5)])[0].left)
    told = Read(judged.page_of(made.found, Examples(genuine=(pair, half)))).text
    assert "keeps no chips" not in told and told.count("no picture") == 3
    assert shown.people(made.subject, [], 3) == ()
    lone = shown.people(made.subject, [0], 1)[0]
    assert lone.typical and lone.others == () and lone.faces == 5
    found = shown.examples(made.subject, ["nobody of that name"], ShownConfig(pairs=0), threads=1)
    assert found.impostor == found.genuine == found.worst == ()
    for wrong in ({"pairs": -1}, {"worst": 11}, {"per_person": 0}, {"pairs": 201}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ShownConfig(**wrong)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "dark")])
def test_it_opens_in_a_browser(chromium: Browser, made: judged.Judged, width: int, scheme: str) -> None:
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page: Page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda box: complaints.append(box.message))
    page.on(
        "request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(("file:", "data:")) else 0
    )
    page.goto(made.page.as_uri())
    assert page.title().endswith("· evaluation")
    pictures = page.eval_on_selector_all("img", "all => all.map(i => { i.loading = 'eager'; return i.decode() })")
    assert len(pictures) == page.locator("img").count() > 20
    page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    filters = page.eval_on_selector_all(".plot img", "all => all.map(i => getComputedStyle(i).filter)")
    assert len(filters) == 7 and all((one != "none") == (scheme == "dark") for one in filters)
    seen = page.eval_on_selector_all(".pair img", "all => all.map(i => getComputedStyle(i).filter)")
    assert len(seen) == 20 and set(seen) == {"none"}  # faces keep their colours
    drawn = page.eval_on_selector_all(".plot img", "all => all.map(i => i.clientWidth)")
    assert min(drawn) > 300  # a plot is no chip
    warned = page.locator(".warnings").bounding_box()
    first = page.locator("main section").first.bounding_box()
    assert warned and first and warned["y"] + warned["height"] <= first["y"]
    context.close()
    assert complaints == []
