"""The contact sheet, read back as a browser would read it."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from omokage import schema, weights
from omokage.cli import pictures
from omokage.errors import ConfigError, DatasetError
from omokage.shards import write_shard
from omokage.sheet import page as sheet_page
from omokage.sheet.choose import Chip, Group, SheetConfig, choose
from omokage.sheet.write import NAMES, collect, write
from omokage.storage import Folder
from omokage.store import Dataset, Head

DIM = 16
HOSTILE = "<script>alert(1)</script> & \"quotes\" 'single' <img src=x onerror=alert(2)>"
LONG = "長" * 85  # 255 bytes
ARABIC = "مثال"
EMOJI = "🙂 two  spaces"
CONTROL = "a\nb\x00c\x1b[31m\u202egpj"
NAMED = [HOSTILE, LONG, ARABIC, EMOJI, CONTROL, "Jane", "John"]
RECIPE = {
    "encoder": {"name": "sface", "sha256": weights.entry("sface").sha256, "dim": DIM, "crop": "arcface-1/112/0"},
    "detector": {
        "name": "mediapipe",
        "weights": {"yunet": weights.entry("yunet").sha256, "own": "0" * 64},
        "min_score": 0.5,
        "min_side": 24.0,
    },
    "faces": "largest",
    "chip": "arcface-1/224/0",
}


@dataclass
class Face:
    uri: str
    identity: str | None
    embedding: np.ndarray
    number: int = 0

    @property
    def face_id(self) -> str:
        return hashlib.sha256(f"{self.uri} {self.number}".encode()).hexdigest()[:24]

    @property
    def jpeg(self) -> bytes:
        return b"\xff\xd8\xff" + hashlib.sha256(self.face_id.encode()).digest() * 3


@dataclass
class Known:
    """What was put into a dataset."""

    faces: list[Face] = field(default_factory=list)
    rejected: dict[str, tuple[str | None, str]] = field(default_factory=dict)  # uri: identity, reason

    def add(self, identity: str | None, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        centre = rng.normal(size=DIM)
        for number in range(count):
            vector = centre + 0.4 * rng.normal(size=DIM)
            uri = f"{identity or 'loose'}/{number:03}.jpg"
            self.faces.append(Face(uri, identity, (vector / np.linalg.norm(vector)).astype(np.float32)))

    def of(self, identity: str | None) -> list[Face]:
        return [face for face in self.faces if face.identity == identity]

    def similarity(self, face: Face) -> float:
        """The slow, obvious version."""
        others = [each.embedding.astype(float) for each in self.of(face.identity) if each is not face]
        mean = np.mean(others, axis=0)
        return float(mean @ face.embedding / np.linalg.norm(mean))

    def save(self, place: Path, shards: int) -> Dataset:
        source = place.parent / "pictures"
        source.mkdir(exist_ok=True)
        data = Dataset.open_or_create(Folder.at(str(place)), Head(source=str(source), recipe=RECIPE))
        uris = sorted({face.uri for face in self.faces} | set(self.rejected))
        made = [self._shard(data, uris[number::shards]) for number in range(shards)]
        return data.commit(data.pictures(made), made)

    def _shard(self, data: Dataset, uris: list[str]):
        rows = []
        faces = [face for face in self.faces if face.uri in set(uris)]
        for uri in uris:
            kept = [face for face in faces if face.uri == uri]
            identity, reason = self.rejected.get(uri) or (kept[0].identity, None)
            status = "ok" if reason is None else "no_face" if reason in schema.NO_FACE else "failed"
            row = dict.fromkeys(schema.MANIFEST.names) | {"uri": uri, "identity": identity, "stamp": "1"}
            rows.append(row | {"status": status, "reason": reason, "found": len(kept), "kept": len(kept)})
        return write_shard(
            data.folder,
            pa.Table.from_pylist(rows, schema.MANIFEST),
            pa.Table.from_pylist([_row(face) for face in faces], schema.face(DIM)),
            {},
            0.0,
        )


def _row(face: Face) -> dict:
    return {
        **{"face_id": face.face_id, "uri": face.uri, "sha256": "0", "identity": face.identity, "score": 0.9},
        **{"box": [0, 0, 9, 9], "landmarks": [0.0] * 10, "side": 123.4, "sharpness": 0.567, "exposure": 0.5},
        **{"yaw": -12.3, "pitch": 0, "roll": 0, "chip": face.jpeg, "embedding": face.embedding.tolist()},
    }


class Page(HTMLParser):
    """A sheet, read back."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[tuple[str, dict[str, str], list[str]]] = []
        self.text: list[tuple[str, dict[str, str], str]] = []  # every element with its whole text, in order of its end
        self.sections: list[tuple[str, list[dict[str, str]]]] = []  # heading, figures
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), f"an attribute twice in {tag}: a name broke out of its quotes"
        self.tags.append((tag, attributes))
        if tag == "section" and attributes.get("class") == "identity":
            self.sections.append(("", []))
        if tag == "figure":
            self.sections[-1][1].append(attributes)
        if tag == "img":
            self.sections[-1][1][-1]["src"] = attributes["src"]
        if tag not in self.VOID:
            self.open.append((tag, attributes, []))

    def handle_endtag(self, tag):
        opened, attributes, parts = self.open.pop()
        assert tag == opened
        text = "".join(parts)
        self.text.append((tag, attributes, text))
        if self.open:
            self.open[-1][2].append(text)
        inside = [each for each, _, _ in self.open]
        if tag == "h2" and self.sections and "section" in inside:
            self.sections[-1] = (text, self.sections[-1][1])

    def handle_data(self, data):
        if self.open:
            self.open[-1][2].append(data)

    def by_id(self, wanted: str) -> str:
        return next(text for _, attributes, text in self.text if attributes.get("id") == wanted)

    def of(self, wanted: str) -> list[str]:
        return [text for tag, _, text in self.text if tag == wanted]

    @property
    def figures(self) -> list[dict[str, str]]:
        return [figure for _, figures in self.sections for figure in figures]


@pytest.fixture(scope="module")
def known() -> Known:
    result = Known()
    for seed, identity in enumerate(NAMED):
        result.add(identity, 5 + seed, seed)
    result.add("single", 1, 90)
    result.add("twins", 2, 91)
    result.add(None, 7, 92)
    result.faces.append(Face(result.of(None)[0].uri, None, result.of(None)[0].embedding, number=1))
    result.rejected["loose/broken.jpg"] = (None, "truncated")
    result.rejected["gone/a.jpg"] = ("gone", "none_found")  # an identity of which nothing is left
    for number in range(NAMES + 3):
        result.rejected[f"{HOSTILE}/{number:03} <b>.txt"] = (HOSTILE, "not_a_picture")
    return result


@pytest.fixture(scope="module")
def data(known: Known, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return known.save(tmp_path_factory.mktemp("sheet") / "dataset", shards=4)


def rendered(data: Dataset, **config: int) -> str:
    return "".join(sheet_page.page(collect(data, SheetConfig(**config))))


@pytest.fixture(scope="module")
def html(data: Dataset) -> str:
    return rendered(data, per_identity=40)


@pytest.fixture(scope="module")
def read(html: str) -> Page:
    return Page(html)


def test_every_face_is_on_the_page_once_with_its_own_chip(known: Known, read: Page) -> None:
    shown = {figure["data-face"]: figure["src"] for figure in read.figures}
    assert len(read.figures) == len(shown) == len(known.faces)
    for face in known.faces:
        head, encoded = shown[face.face_id].split(",")
        assert head == "data:image/jpeg;base64"
        assert base64.b64decode(encoded) == face.jpeg


def test_counts_are_those_of_the_manifest(known: Known, data: Dataset, read: Page) -> None:
    manifest = data.manifest().to_pylist()
    assert read.by_id("pictures") == f"{len(manifest)} pictures"
    assert read.by_id("faces") == f"{sum(row['kept'] for row in manifest)} faces"
    assert read.by_id("identities") == f"{len({row['identity'] for row in manifest} - {None})} identities"
    for status in ("ok", "no_face", "failed"):
        assert int(read.by_id(f"status-{status}")) == sum(row["status"] == status for row in manifest)
    assert int(read.by_id("shown")) == len(known.faces)


def test_identities_stand_by_name_and_nobody_last(known: Known, read: Page) -> None:
    headings = [heading for heading, _ in read.sections]
    named = sorted([*NAMED, "single", "twins", "gone"])
    assert len(headings) == len(named) + 1
    for heading, identity, (_, figures) in zip(headings, named, read.sections, strict=False):
        assert heading.startswith(identity.translate({0: "␀", 10: "␊", 27: "␛", 0x202E: "\\u202e"}))
        assert {figure["data-face"] for figure in figures} == {face.face_id for face in known.of(identity)}
    assert headings[named.index("gone")] == "gone 0 faces of 1 picture"
    assert headings[-1] == "Nobody's 8 faces of 8 pictures"


def test_a_face_says_where_it_is_from_and_what_it_is_like(known: Known, read: Page) -> None:
    face = known.of("Jane")[0]
    title = next(figure["title"] for figure in read.figures if figure["data-face"] == face.face_id)
    cosine = f"{known.similarity(face):.3f}".replace("-", "\N{MINUS SIGN}")
    assert title.split("\n") == [
        "\u2068Jane\u2069/\u2068000.jpg\u2069",
        f"cosine {cosine} to the identity's other faces",
        "123 px side",
        "sharpness 0.57",
        "yaw \N{MINUS SIGN}12°",
        f"face {face.face_id}",
    ]


def test_names_are_text_and_nothing_else(html: str, read: Page) -> None:
    assert "<script" not in html
    assert {tag for tag, _ in read.tags}.isdisjoint({"script", "iframe", "object", "embed", "base", "form", "b>"})
    assert not [attrs for _, attrs in read.tags if any(key.startswith("on") or key == "style" for key in attrs)]
    assert sum(tag == "img" for tag, _ in read.tags) == len(read.figures)
    assert HOSTILE in read.of("bdi")
    assert LONG in read.of("bdi") and ARABIC in read.of("bdi") and EMOJI in read.of("bdi")
    assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", html) is None


def test_a_path_is_never_turned_round_by_one_of_its_names(known: Known, html: str, read: Page) -> None:
    face = known.of(ARABIC)[0]
    title = next(figure["title"] for figure in read.figures if figure["data-face"] == face.face_id)
    assert title.startswith(f"\u2068{ARABIC}\u2069/\u2068000.jpg\u2069\n")
    assert "<li><bdi>loose</bdi>/<bdi>broken.jpg</bdi></li>" in html


def test_the_file_needs_nothing_else(html: str, read: Page) -> None:
    assert re.search(r"https?:|ftp:|[\"']//|@import|url\(", html) is None
    for tag, attributes in read.tags:
        for key in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:image/jpeg;base64,")), (tag, key)
    policy = next(attrs["content"] for tag, attrs in read.tags if "http-equiv" in attrs)
    style = next(text for tag, _, text in read.text if tag == "style")
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["style-src"] == f"'sha256-{allowed}'"


def test_links_lead_to_a_section(read: Page) -> None:
    links = [attributes["href"] for tag, attributes in read.tags if tag == "a"]
    places = {f"#{attributes['id']}" for _, attributes in read.tags if "id" in attributes}
    assert links and set(links) <= places and len(set(links)) == len(links)


def test_rejected_pictures_are_named_and_not_embedded(known: Known, html: str, read: Page) -> None:
    lines = {line.split(" ")[1]: line for line in read.of("dt")}
    assert lines["not_a_picture"].startswith(f"{NAMES + 3} not_a_picture a file of another kind")
    assert "loose/broken.jpg" in read.of("li")
    named = [text for text in read.of("li") if text.startswith(f"{HOSTILE}/")]
    assert len(named) == NAMES
    assert "and 3 more" in read.of("p")
    assert not [figure for figure in read.figures if "broken.jpg" in figure["title"] or "txt" in figure["title"]]


def test_every_reason_is_explained() -> None:
    assert set(sheet_page.MEANING) == set(schema.REASONS)


def test_licences_are_shown_and_unknown_files_said_to_be(html: str) -> None:
    assert weights.entry("sface").licence in html
    assert weights.entry("yunet").licence in html
    assert "<bdi>own</bdi>: <bdi>not known here" in html


def test_cosines_are_never_shown_as_shares(read: Page) -> None:
    visible = " ".join(text for tag, _, text in read.text if tag in ("figcaption", "p", "li", "td"))
    assert "%" not in visible
    assert not [figure for figure in read.figures if "%" in figure["title"]]


def similarities(group: Group) -> list[float]:
    return [chip.similarity for chip in group.others]


@pytest.mark.parametrize("shards", [1, 3, 11])
def test_similarity_is_to_the_mean_of_the_others(known: Known, tmp_path: Path, shards: int) -> None:
    saved = known.save(tmp_path / "dataset", shards)
    for group in choose(saved, saved.manifest(), SheetConfig(per_identity=40)):
        chips = [*group.others, *([group.typical] if group.typical else [])]
        assert len(chips) == group.faces == len(known.of(group.identity))
        for chip in chips:
            face = next(each for each in known.faces if each.face_id == chip.face_id)
            if group.identity is None or group.faces == 1:
                assert chip.similarity is None
            else:
                assert chip.similarity == pytest.approx(known.similarity(face), abs=1e-6)


def test_the_least_typical_come_first_and_the_most_typical_is_set_apart(known: Known, data: Dataset) -> None:
    for group in choose(data, data.manifest(), SheetConfig(per_identity=4)):
        if group.identity is None or group.faces < 3:
            assert group.typical is None
            continue
        ranked = sorted(known.of(group.identity), key=known.similarity)
        assert [chip.face_id for chip in group.others] == [face.face_id for face in ranked[: min(3, group.faces - 1)]]
        assert group.typical is not None and group.typical.face_id == ranked[-1].face_id


def test_the_page_does_not_depend_on_the_shards(known: Known, tmp_path: Path) -> None:
    one, many = (known.save(tmp_path / str(shards), shards) for shards in (1, 9))
    config = SheetConfig(per_identity=3)
    assert choose(one, one.manifest(), config) == choose(many, many.manifest(), config)


def test_a_stranger_stands_first(tmp_path: Path) -> None:
    known = Known()
    known.add("Jane", 9, 1)
    known.add("Jane's folder", 1, 2)
    known.faces[-1].identity = "Jane"
    saved = known.save(tmp_path / "dataset", shards=2)
    (group,) = choose(saved, saved.manifest(), SheetConfig())
    assert group.others[0].uri == "Jane's folder/000.jpg"
    read = Page(rendered(saved))
    assert read.figures[0]["class"] == "typical"
    assert read.figures[1]["data-face"] == known.faces[-1].face_id


def test_what_is_not_shown_is_counted(known: Known, data: Dataset) -> None:
    read = Page(rendered(data, per_identity=4, identities=3))
    assert len(read.sections) == 3 + 1  # and nobody's
    shown = len(read.figures)
    assert read.by_id("shown") == str(shown)
    in_sections = 0
    for heading, figures in read.sections:
        faces = int(re.search(r"(\d+) faces? of", heading)[1])
        hidden = re.search(r"(\d+) not shown", heading)
        assert faces == len(figures) + (int(hidden[1]) if hidden else 0)
        assert len(figures) <= 4
        in_sections += faces
    elsewhere = [face for face in known.faces if face.identity in sorted([*NAMED, "single", "twins", "gone"])[3:]]
    assert in_sections + len(elsewhere) == len(known.faces)
    assert "And 7 identities more, later by name." in read.of("p")


def test_nobodys_faces_take_the_room_that_identities_leave(tmp_path: Path) -> None:
    known = Known()
    known.add(None, 30, 1)
    saved = known.save(tmp_path / "dataset", shards=3)
    (group,) = choose(saved, saved.manifest(), SheetConfig(per_identity=4, identities=5))
    assert [chip.uri for chip in group.others] == [f"loose/{number:03}.jpg" for number in range(20)]
    assert group.typical is None


def test_one_face_an_identity_is_the_most_typical(data: Dataset) -> None:
    for group in choose(data, data.manifest(), SheetConfig(per_identity=1)):
        assert group.shown == min(1, group.faces) or group.identity is None


def test_a_dataset_of_nothing_has_a_page(tmp_path: Path) -> None:
    known = Known(rejected={"a/b.jpg": ("a", "empty")})
    read = Page(rendered(known.save(tmp_path / "dataset", shards=1)))
    assert read.by_id("faces") == "0 faces"
    assert [heading for heading, _ in read.sections] == ["a 0 faces of 1 picture"]
    new = Dataset.open_or_create(Folder.at(str(tmp_path / "new")), Head(source="/nowhere", recipe=RECIPE))
    assert Page(rendered(new)).by_id("pictures") == "0 pictures"


def test_opposite_twins_have_a_number(tmp_path: Path) -> None:
    known = Known()
    known.add("twins", 2, 1)
    known.faces[1].embedding = -known.faces[0].embedding
    saved = known.save(tmp_path / "dataset", shards=1)
    (group,) = choose(saved, saved.manifest(), SheetConfig())
    assert similarities(group) == pytest.approx([-1, -1], abs=1e-6)
    assert "\N{MINUS SIGN}1.000" in rendered(saved)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"per_identity": 0}, "sheet.per_identity must be 1 or more, got 0"),
        ({"identities": -1}, "sheet.identities must be 1 or more, got -1"),
        ({"per_identity": 1000, "identities": 1000}, "at most 10,000 faces, got 1,000 times 1,000"),
    ],
)
def test_a_sheet_that_no_browser_opens_is_refused(config: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        SheetConfig(**config)


def test_a_sheet_is_written_over_and_no_other_file(known: Known, tmp_path: Path) -> None:
    saved = known.save(tmp_path / "dataset", shards=2)
    place = saved.folder.url
    page = tmp_path / "new folder" / "a sheet.html"
    first = write(place, str(page), SheetConfig())
    assert write(place, str(page), SheetConfig()).bytes == first.bytes == page.stat().st_size
    other = tmp_path / "notes.html"
    other.write_text("<p>mine")
    for bad, said in (
        (other, "was not made by this command"),
        (tmp_path / "photo.jpg", "ends in .html"),
        (tmp_path / "pictures" / "sheet.html", "lies among the pictures"),
    ):
        with pytest.raises(ConfigError, match=said):
            write(place, str(bad), SheetConfig())
    assert other.read_text() == "<p>mine"
    assert not list((tmp_path / "pictures").iterdir())
    assert [each.name for each in page.parent.iterdir()] == ["a sheet.html"]


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_damaged_shard_is_said(known: Known, tmp_path: Path, damage: str) -> None:
    saved = known.save(tmp_path / "dataset", shards=2)
    shard = Path(saved.folder.place(saved.head.shards[1].file("faces")))
    if damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DatasetError, match=f"{shard.name} is missing or damaged"):
        write(saved.folder.url, str(tmp_path / "sheet.html"), SheetConfig())
    assert not (tmp_path / "sheet.html").exists()


def test_the_verb_reports_what_it_wrote(data: Dataset, known: Known, tmp_path: Path) -> None:
    page = tmp_path / "sheet.html"
    said = pictures.sheet([data.folder.url, str(page), "--per-identity", "3", "--identities", "2", "--json"])
    report = json.loads(said)
    read = Page(page.read_text(encoding="utf-8"))
    assert report["faces_shown"] == len(read.figures) == int(read.by_id("shown"))
    assert report["faces"] == len(known.faces)
    assert (report["identities_shown"], report["bytes"]) == (2, page.stat().st_size)
    assert "shows" in pictures.sheet([data.folder.url, str(page)])


def test_a_chip_without_others_has_no_number() -> None:
    figures = {"side": 50.0, "sharpness": 0.1, "yaw": -0.2}
    chip = Chip(face_id="f", uri="a/b.jpg", similarity=None, jpeg=b"x", **figures)
    read = Page(f'<section class="identity">{sheet_page._figure(chip)}</section>')
    assert read.figures[0]["title"].split("\n")[1:] == ["50 px side", "sharpness 0.10", "yaw 0°", "face f"]
