"""A review page of a small crowd, served for real, and the words to speak to it."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from crowd import Crowd
from found import write_findings
from omokage import schema
from omokage.ledger.book import Ledger
from omokage.review.serve import ReviewConfig, page
from omokage.review.session import Session
from omokage.store import Dataset

HOSTILE = "<script>document.title='owned'</script>\n\"../.."


class Named(Crowd):
    """A crowd of which two have names that a page could take for something else."""

    def name(self, folder: int) -> str:
        """Return a folder's name."""
        return {2: HOSTILE, 3: "../<img src=x onerror=alert(1)>"}.get(folder, super().name(folder))


def dataset(place: Path | str, *, folders: int = 8, faces: int = 6) -> Dataset:
    """Return a dataset of drawn blots, with findings of every kind written by hand, so that they are known."""
    crowd = Named(folders=folders, faces=faces, splits=0, strangers=0, repeats=0, chips=True, seed=5)
    data = crowd.write(str(place))
    table = pa.concat_tables(data.faces(["face_id", "uri", "identity"])).to_pylist()
    people: dict[str, list[dict[str, str]]] = {}
    for face in table:
        people.setdefault(face["identity"], []).append(face)
    folder = data.folder
    write_findings(folder, "collision_pairs", _pairs(people))
    write_findings(folder, "collisions", _collisions(people))
    write_findings(folder, "same_face", _same_face(people))
    write_findings(folder, "outliers", _outliers(people))
    write_findings(folder, "mixed", _mixed(people))
    return data


People = dict[str, list[dict[str, str]]]


def _neighbours(people: People) -> list[tuple[str, str]]:
    names = list(people)
    return list(zip(names[::2], names[1::2], strict=True))


def _pairs(people: People) -> list[dict[str, Any]]:
    verdicts = ["same_person", "stray_face", "unclear", "same_person"]
    rows = []
    for at, (a, b) in enumerate(_neighbours(people)):
        one: dict[str, Any] = dict.fromkeys(schema.COLLISION_PAIRS.names, 0.5)
        one |= {"rank": at + 1, "identity_a": a, "identity_b": b, "verdict": verdicts[at % 4]}
        one |= {"faces_a": len(people[a]), "faces_b": len(people[b]), "hits": 3, "best": 0.9 - at / 100}
        one |= {"group": 1 if verdicts[at % 4] == "same_person" else None}
        one |= {"hit_faces_a": 3, "hit_faces_b": 1, "within_b": None, "reason": HOSTILE}
        rows.append(one)
    return rows


def _collisions(people: People) -> list[dict[str, Any]]:
    rows = []
    for a, b in _neighbours(people):
        for at, face in enumerate(people[a][:3]):
            other = people[b][0]
            one = {"face_a": face["face_id"], "face_b": other["face_id"], "uri_a": face["uri"], "uri_b": other["uri"]}
            rows.append(one | {"identity_a": a, "identity_b": b, "similarity": 0.9 - at / 10})
    return rows


def _same_face(people: People) -> list[dict[str, Any]]:
    rows = []
    for cluster, faces in enumerate(people.values(), 1):
        kinds = ["best", "same_shot", "other_shot"] if cluster % 2 else ["best", "other_shot"]
        for face, kind in zip(faces, kinds, strict=False):
            one = {"cluster": cluster, **face, "kind": kind, "keep": kind != "same_shot", "similarity": 0.99}
            rows.append(one | {"pixels": 0.9, "reason": "planted"})
    return rows


def _outliers(people: People) -> list[dict[str, Any]]:
    names = list(people)
    rows = []
    for at, faces in enumerate(people.values()):
        kind = ["belongs_elsewhere", "stranger", "undecided"][at % 3]
        other = names[(at + 3) % len(names)]
        one = {**faces[4], "kind": kind, "score": 9.0 - at, "own": 0.1, "other": 0.8, "other_identity": other}
        rows.append(one | {"lof": None, "reason": "planted"})
    return rows


def _mixed(people: People) -> list[dict[str, Any]]:
    name, faces = list(people.items())[-1]
    return [
        {"identity": name, "part": 1 + (at >= 3), **pick(face), "between": 0.1, "within": 0.7}
        for at, face in enumerate(faces)
    ]


def pick(face: dict[str, str]) -> dict[str, str]:
    """Return a face without its identity."""
    return {key: face[key] for key in ("face_id", "uri")}


@dataclass
class Reviewer:
    """Somebody with the address of a page."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def netloc(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def cookie(self) -> dict[str, str]:
        token = parse_qs(urlsplit(self.url).query)["token"][0]
        return {"Cookie": f"omokage-{urlsplit(self.url).port}={token}"}

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return status, content and headers of a request with the key, or with just these headers."""
        connection = http.client.HTTPConnection(self.netloc, timeout=20)
        sent = self.cookie if headers is None else headers
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, {name.lower(): value for name, value in answer.getheaders()}

    def read(self, path: str) -> Any:
        """Return what the page would read."""
        status, content, _ = self.ask("GET", path)
        assert status == 200, (path, status, content)
        return json.loads(content)

    def write(self, path: str, said: Any) -> tuple[int, Any]:
        """Return the answer to what the page would write."""
        headers = self.cookie | {"Origin": f"http://{self.netloc}", "Content-Type": "application/json"}
        status, content, _ = self.ask("POST", path, json.dumps(said).encode(), headers)
        return status, json.loads(content)

    def decide(self, n: int, action: str, **more: Any) -> tuple[int, Any]:
        """Judge a finding as one who has just seen it."""
        seen = self.read(f"/api/item/{n}")["decided"]
        return self.write("/api/decide", {"n": n, "action": action, "seen": seen["number"] if seen else 0, **more})

    def first(self, kind: str) -> dict[str, Any]:
        """Return the first finding of a kind that is open."""
        for n in range(self.read("/api/start")["findings"]):
            item = self.read(f"/api/item/{n}")
            if item["kind"] == kind and item["state"] == 0:
                return item
        raise AssertionError(f"no {kind} is open")


@contextmanager
def reviewed(url: str, who: str = "anna") -> Iterator[Reviewer]:
    """Serve a dataset's page in a thread of its own."""
    shown = page(Session(Dataset.open(url), who), ReviewConfig())
    thread = threading.Thread(target=shown.serve, daemon=True)
    thread.start()
    try:
        yield Reviewer(shown.url)
    finally:
        shown.server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def lines(data: Dataset) -> list[dict[str, Any]]:
    """Return the ledger."""
    return Ledger.of(data.folder).table().to_pylist()
