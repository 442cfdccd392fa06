"""The data card, read back as a browser would read it, against a slow count."""

import base64
import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from crowd import Crowd
from found import write_findings
from omokage import schema
from omokage.card.people import people
from omokage.card.sample import CardConfig
from omokage.card.write import write
from omokage.curate import proposals
from omokage.curate.decided import Decided
from omokage.errors import ConfigError, DatasetError
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.version import freeze
from omokage.shards import write_shard
from omokage.store import Dataset

HOSTILE = "<script>alert(1)</script> | `x` \"q\" 's' & ![a](b) \n# h"


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.tables: dict[str, list[str]] = {}
        self.totals: dict[str, str] = {}
        self.policy = ""
        self.style = ""
        self.images: list[str] = []
        self.texts: list[str] = []
        self.events: list[str] = []
        self._row: list[str] | None = None
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags[tag] += 1
        self._in = tag
        self.events += [name for name in given if name.startswith("on") or name == "style"]
        self.links += [given[name] for name in ("href", "src", "data", "action", "xlink:href") if given.get(name)]
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "tr":
            self._row = []
        if tag in ("td", "th") and self._row is not None:
            self._row.append("")
        if tag == "img":
            self.images.append(given["src"])
        if tag == "li" and "id" in given:
            self.totals[given["id"]] = ""

    def handle_endtag(self, tag):
        if tag == "tr" and self._row:
            self.tables[self._row[0]] = self._row[1:]
            self._row = None
        self._in = ""

    def handle_data(self, data):
        if self._in == "style":
            self.style += data
        if self._row:
            self._row[-1] += data
        if self._in == "b" and self.totals and list(self.totals.values())[-1] == "":
            self.totals[list(self.totals)[-1]] = data
        self.texts.append(data)


@dataclass
class Set:
    data: Dataset
    address: str


def number(text: str) -> int:
    return int(text.replace(",", ""))


def counted(version: pa.Table, column: str, kept_only: bool) -> dict[str, object]:
    """The slow, obvious version."""
    rows = [row for row in version.to_pylist() if row["status"] == "kept" or not kept_only]
    owners = [row[column] for row in rows if row[column] is not None]
    pairs = Counter(a == b for a, b in combinations(owners, 2))
    sizes = Counter(owners)
    return {
        "Faces": len(rows),
        "Faces of nobody": sum(row[column] is None for row in rows),
        "Pictures with a face": len({row["uri"] for row in rows}),
        "Identities": len(sizes),
        "Pairs of faces of one person": pairs[True],
        "Pairs of faces of two people": pairs[False],
        "Faces a person, max": max(sizes.values()),
        "Faces a person, min": min(sizes.values()),
    }


def findings(data: Dataset) -> None:
    """Plant findings: as find would have written them, about the first folders."""
    faces = pa.concat_tables(data.faces(["face_id", "uri", "identity"])).sort_by("uri").to_pylist()
    by = {}
    for face in faces:
        by.setdefault(face["identity"], []).append(face)
    names = list(by)
    pair = dict.fromkeys(schema.COLLISION_PAIRS.names) | {"verdict": "same_person", "reason": "r", "score": 3.0}
    pairs = [pair | {"rank": n + 1, "identity_a": names[2 * n], "identity_b": names[2 * n + 1]} for n in range(2)]
    some = by[names[4]]
    shots = [
        {**{k: face[k] for k in ("face_id", "uri", "identity")}, "cluster": 1, "kind": kind, "keep": keep}
        for face, kind, keep in zip(some[:3], ("best", "same_shot", "same_file"), (True, False, False), strict=True)
    ]
    alone = by[names[5]]
    alike = [
        {**{k: face[k] for k in ("face_id", "uri", "identity")}, "cluster": 2, "kind": kind, "keep": True}
        for face, kind in zip(alone[:2], ("best", "other_shot"), strict=True)
    ]
    strange = [dict.fromkeys(schema.OUTLIERS.names) | {**by[names[6]][n], "kind": "stranger"} for n in range(2)]
    several = [dict.fromkeys(schema.MIXED.names) | {**face, "part": 1} for face in by[names[7]][:4]]
    tables = {"collision_pairs": pairs, "same_face": shots + alike, "outliers": strange, "mixed": several}
    for name, rows in tables.items():
        write_findings(data.folder, name, rows)
    report = {
        "plan": {"faces": 1},
        "collisions": {"threshold": 0.71234, "fmr": 1e-6, "how": "counted"},
        "leak_kinds": {"same_file": 1},
    }
    data.folder.write("findings/report.json", json.dumps(report).encode())
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    data.folder.write("findings/histogram.png", out.getvalue())


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """A crowd with findings, decisions and a version."""
    data = Crowd(folders=9, faces=6, dim=8, chips=True).write(str(tmp_path_factory.mktemp("card") / "crowd"))
    findings(data)
    names = sorted(set(data.manifest()["identity"].to_pylist()))
    shots, out = (proposals.read(data.folder, name) for name in ("same_face", "outliers"))
    out = out["face_id"].to_pylist()
    first = [face for face, n in zip(shots["face_id"].to_pylist(), shots["cluster"].to_pylist(), strict=True) if n == 1]
    ledger = Ledger.of(data.folder)
    ledger.append(
        [
            Decision(do="merge", person=names[0], into=names[1], finding=proposals.of_people(names[0], names[1])),
            Decision(do="drop_duplicate", faces=tuple(first[1:]), into=first[0], finding=proposals.of_cluster(first)),
            Decision(do="drop_face", faces=(out[0],), finding=proposals.of_outlier(out[0])),
            Decision(do="relabel", faces=(out[1],), into=HOSTILE),
            Decision(do="merge", person=names[2], into=names[3], finding=proposals.of_people(names[2], names[3])),
        ],
        "<b>me</b>",
    )  # fmt: skip
    ledger.append([Decision(do="drop_face", faces=("nobody knows it",))], "rule", by="rule")
    ledger.append([Decision(do="undo", undoes=5)], "me")
    freeze(data, "v1", "me")
    ledger.append([Decision(do="merge", person=names[4], into=names[5])], "me")
    return Set(data, data.folder.url)


@pytest.mark.parametrize("address", ["", "@v1"])
def test_the_numbers_are_those_of_a_slow_count(decided, tmp_path, address):
    report = write(decided.address + address, str(tmp_path / "card.html"), CardConfig(people=1, per_person=2))
    read = Page((tmp_path / "card.html").read_text(encoding="utf-8"))
    version = Decided.at(decided.address + address)[0].version
    before, after = counted(version, "was", False), counted(version, "identity", True)
    assert before != after
    for key in before:
        assert [number(cell) for cell in read.tables[key]] == [before[key], after[key]], key
    assert number(read.totals["faces-kept"]) == report.faces == after["Faces"]
    assert (report.positive, report.negative) == (
        after["Pairs of faces of one person"],
        after["Pairs of faces of two people"],
    )
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    for key in before:
        assert f"| {key} | {before[key]:,} | {after[key]:,} |" in text, key


def test_findings_and_decisions(decided, tmp_path):
    write(decided.address, str(tmp_path / "card.html"), CardConfig(people=0))
    read = Page((tmp_path / "card.html").read_text(encoding="utf-8"))
    assert read.tables["Pairs of folders that may show one person"] == ["2", "2 same person", "1"]
    assert read.tables["One shot several times"] == ["1", "2 faces to let go", "1"]
    assert read.tables["Faces that do not belong"] == ["2", "2 stranger", "1"]
    assert read.tables["Folders that show several people"] == ["1", "", "0"]
    assert read.tables["Pairs of a face here and one of another dataset"] == ["1", "1 same file", ""]
    assert read.tables["merge two people"] == ["2", "0"]
    assert read.tables["drop faces"] == ["1", "1"]
    assert read.tables["<b>me</b>"] == ["5"]
    assert read.tables["v1"][1:3] == ["7", "51"]
    said = "".join(read.texts)
    assert "8 lines in the ledger, 1 of them undone" in said
    assert "from a similarity of 0.7123" in said
    assert "find ran when there were 1 faces; there are 54 now" in said
    assert len(read.images) == 1


def test_nothing_is_loaded_and_nothing_runs(decided, tmp_path):
    write(decided.address, str(tmp_path / "card.html"), CardConfig())
    text = (tmp_path / "card.html").read_text(encoding="utf-8")
    read = Page(text)
    assert not {"script", "link", "iframe", "object", "form", "base", "foreignobject"} & set(read.tags)
    assert read.events == []
    assert all(link.startswith("data:image/") for link in read.links)
    assert "url(" not in read.style and "@import" not in read.style
    digest = base64.b64encode(hashlib.sha256(read.style.encode()).digest()).decode()
    assert "default-src 'none'" in read.policy and f"'sha256-{digest}'" in read.policy
    assert "script-src" not in read.policy
    chips = {
        base64.b64encode(chip).decode() for table in decided.data.faces(["chip"]) for chip in table["chip"].to_pylist()
    }
    shown = [image.removeprefix("data:image/jpeg;base64,") for image in read.images if "jpeg" in image]
    assert shown and set(shown) <= chips
    assert str(Path(decided.address).parent) not in text


def test_hostile_names_mean_themselves(decided, tmp_path):
    write(decided.address, str(tmp_path / "card.html"), CardConfig(people=9))
    read = Page((tmp_path / "card.html").read_text(encoding="utf-8"))
    assert any(HOSTILE.replace("\n", "\N{SYMBOL FOR LINE FEED}") in text for text in read.texts)
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert not any("\\u206" in words for words in (*read.texts, text))  # no mark of ours that is itself shown as text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) > 5
    for rows in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1, rows
    assert not re.search(r"(?<!\\)<(?!!--)", text)


def test_what_is_known_of_people_against_a_slow_count(decided):
    faces = Decided.at(decided.address)[0]
    table = pa.concat_tables(decided.data.faces())
    rows = {row["face_id"]: row for row in table.to_pylist()}
    again = proposals.read(decided.data.folder, "same_face")
    again = again.filter(pa.compute.invert(again["keep"]))["face_id"].combine_chunks()
    found = people(faces, again)
    mine: dict[str, list[dict]] = {}
    for row in faces.version.to_pylist():
        if row["status"] == "kept":
            mine.setdefault(row["identity"], []).append(rows[row["face_id"]])
    assert found.names == sorted(mine)
    for p, name in enumerate(found.names):
        of = mine[name]
        vectors = np.array([row["embedding"] for row in of])
        alike = [float(a @ b) for a, b in combinations(vectors, 2)]
        assert found.faces_P[p] == len(of)
        assert found.folders_P[p] == len({row["uri"].rpartition("/")[0] for row in of})
        assert found.again_P[p] == pytest.approx(np.mean([row["face_id"] in again.to_pylist() for row in of]))
        np.testing.assert_allclose(found.within_P[p], np.mean(alike) if alike else np.nan, atol=1e-5)
        for key, spread in found.spread.items():
            want = np.std([row[key] for row in of], ddof=1) if len(of) > 1 else np.nan
            np.testing.assert_allclose(spread[p], want, rtol=1e-4)
        assert found.sharpness_P[p] == pytest.approx(np.mean([row["sharpness"] for row in of]), rel=1e-5)


def test_faces_of_a_version_that_are_gone(tmp_path):
    data = Crowd(folders=70, faces=3, dim=4).write(str(tmp_path / "data"))
    freeze(data, "v1", "me")
    first = data.head.shards[0]
    manifest = data.manifest()
    left = data.commit(manifest.filter(pa.compute.not_equal(manifest["shard"], first.name)), data.head.shards)
    kept = 210 - first.faces
    report = write(f"{left.folder.url}@v1", str(tmp_path / "card.html"), CardConfig(people=1))
    assert (report.faces, report.identities) == (kept, kept // 3)
    said = "".join(Page((tmp_path / "card.html").read_text()).texts)
    assert f"{first.faces} faces of this version are no longer in the dataset" in said


def test_a_dataset_that_nobody_looked_at(tmp_path):
    data = Crowd(folders=2, faces=1, dim=4).write(str(tmp_path / "data"))
    report = write(data.folder.url, str(tmp_path / "card.html"), CardConfig())
    assert (report.findings, report.decided, report.lines, report.positive) == (None, None, 0, 0)
    read = Page((tmp_path / "card.html").read_text())
    said = "".join(read.texts)
    for words in ("find was not run", "Nothing was decided", "no claim about any group", "no picture"):
        assert words in said
    assert read.images == []
    assert "Same shot again" not in said


def test_a_dataset_without_any_face(tmp_path):
    data = Crowd(folders=1, faces=1, dim=4).write(str(tmp_path / "data"))
    pictures = data.manifest().drop_columns("shard").to_pylist()
    pictures[0] |= {"status": "no_face", "reason": "none_found", "kept": 0}
    table = pa.Table.from_pylist(pictures, schema.MANIFEST)
    shard = write_shard(data.folder, table, schema.face(4).empty_table(), {}, 0.0)
    data.commit(table.append_column(schema.SHARD, pa.array([shard.name])), [shard])
    report = write(str(tmp_path / "data"), str(tmp_path / "card.html"), CardConfig())
    assert (report.faces, report.identities) == (0, 0)
    read = Page((tmp_path / "card.html").read_text())
    assert read.tables["the detector saw no face (none_found)"] == ["1"]


def test_the_same_bytes_again_and_other_people_with_another_seed(decided, tmp_path):
    pages = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1), ("d", 2)):
        write(decided.address, str(tmp_path / f"{name}.html"), CardConfig(people=1, seed=seed))
        pages.append((tmp_path / f"{name}.html").read_text())
    assert pages[0] == pages[1]
    assert len(set(pages)) > 1


def test_other_files_are_never_written_over(decided, tmp_path):
    (tmp_path / "mine.html").write_text("mine")
    (tmp_path / "note.md").write_text("mine")
    for name, said in (
        ("mine.html", "not made by this"),
        ("note.html", "note.md is there"),
        ("x.txt", "ends in .html"),
    ):
        with pytest.raises(ConfigError, match=said):
            write(decided.address, str(tmp_path / name), CardConfig())
    assert (tmp_path / "mine.html").read_text() == (tmp_path / "note.md").read_text() == "mine"
    assert not (tmp_path / "note.html").exists()
    with pytest.raises(DatasetError, match="no version v9"):
        write(decided.address + "@v9", str(tmp_path / "x.html"), CardConfig())
    for wrong in ({"people": -1}, {"people": 201}, {"per_person": 0}):
        with pytest.raises(ConfigError):
            replace(CardConfig(), **wrong)
