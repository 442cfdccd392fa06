"""Galleries against a slow obvious search, with ties, and after decisions."""

import numpy as np
import pyarrow as pa
import pytest

import crowd
import trees
from album import Album, Face
from omokage.assess import enrolled
from omokage.assess.enrolled import Enrolled
from omokage.curate.decided import Decided
from omokage.errors import DatasetError
from omokage.ledger.decision import Decision
from omokage.ledger.version import freeze
from omokage.store import Dataset

DIM = 16


def dataset(place, people: dict[str | None, np.ndarray]) -> Dataset:
    """Return a dataset of vectors by person, in three shards that people are spread over."""
    faces = [Face(name, f"{name}/{n}.jpg", one) for name, vectors in people.items() for n, one in enumerate(vectors)]
    return Album(faces).write(str(place), shards=3)


def directions(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return unit vectors whose products are exact in any order of adding, so that many are just equal."""
    return rng.choice(np.float32([-0.25, 0.25]), (count, DIM))


def slow(people: dict[str, np.ndarray], probe: np.ndarray, top: int, floor: float) -> list[tuple]:
    """Return name, best, faces, those at or above the floor, mean of the best five; by the plainest means."""
    found = []
    for name, vectors in people.items():
        scores = sorted((float(np.dot(v.astype(np.float64), probe.astype(np.float64))) for v in vectors), reverse=True)
        best = scores[:5]
        found.append((name, scores[0], len(scores), sum(s >= floor for s in scores), sum(best) / len(best)))
    return sorted(found, key=lambda each: (-each[1], each[0]))[:top]


@pytest.mark.parametrize("block", [3, 20, 10_000])
def test_everybody_is_searched(tmp_path, monkeypatch, block):
    monkeypatch.setattr(enrolled, "BLOCK", block)
    rng = np.random.default_rng(block)
    people = {f"人 {n:02d}": directions(rng, int(size)) for n, size in enumerate(rng.integers(1, 9, 40))}
    gallery = Enrolled(*_opened(dataset(tmp_path / "d", people)))
    assert gallery.names == sorted(people) and len(gallery.faces) == sum(map(len, people.values()))
    probes = directions(rng, 25)
    for top in (1, 4, 40, 99):
        told = list(gallery.candidates(probes, top, 0.49))
        for probe, found in zip(probes, told, strict=True):
            wanted = slow(people, probe, top, 0.49)
            assert [gallery.names[c.person] for c in found] == [w[0] for w in wanted]
            for one, (name, best, faces, above, mean) in zip(found, wanted, strict=True):
                assert one.similarity == pytest.approx(best, abs=1e-6) and (one.faces, one.above) == (faces, above)
                assert one.mean_of_best == pytest.approx(mean, abs=1e-6)
                face = gallery.faces.slice(one.row, 1).to_pylist()[0]
                assert face["identity"] == name
                nearest = people[name][int(face["uri"].partition("/")[2][:-4])]
                assert float(nearest @ probe) == pytest.approx(best, abs=1e-6)
        alone = [found for probe in probes for found in gallery.candidates(probe[None], top, 0.49)]
        assert alone == told  # what else is asked at the same time changes nothing


def test_a_gallery_that_is_too_big_for_memory_is_mapped(tmp_path, monkeypatch):
    people = {f"p{n}": directions(np.random.default_rng(n), 5) for n in range(9)}
    data, probes = dataset(tmp_path / "d", people), directions(np.random.default_rng(99), 6)
    held = list(Enrolled(*_opened(data)).candidates(probes, 3, 0.3))
    monkeypatch.setattr(enrolled, "HELD", 0)
    mapped = Enrolled(*_opened(data))
    assert isinstance(mapped.vector_GE, np.memmap) and list(mapped.candidates(probes, 3, 0.3)) == held


def test_faces_that_cannot_be_compared_and_faces_of_nobody_are_left_out(tmp_path):
    rng = np.random.default_rng(5)
    people = {"a": directions(rng, 4), "b": directions(rng, 1), "c": directions(rng, 3), None: directions(rng, 2)}
    people["a"][1] = np.nan
    people["b"][0] = 0
    gallery = Enrolled.at(str(dataset(tmp_path / "d", people).folder.url))
    assert gallery.names == ["a", "c"] and (gallery.nobody, gallery.unusable) == (2, 2)
    assert np.isfinite(gallery.vector_GE).all() and len(gallery.vector_GE) == len(gallery.faces) == 6
    [found] = gallery.candidates(people["a"][2][None], 2)
    assert gallery.names[found[0].person] == "a" and found[0].similarity == pytest.approx(1)
    assert gallery.faces["uri"][found[0].row].as_py() == "a/2.jpg"


def test_decisions_and_versions_decide_who_is_enrolled(tmp_path):
    data = crowd.Crowd(folders=6, faces=4, splits=0, strangers=0, repeats=0).write(str(tmp_path / "d"))
    everybody = Enrolled.at(data.folder.url)
    first, second, third = everybody.names[:3]
    mine = everybody.faces.filter(pa.compute.equal(everybody.faces["identity"], third))["face_id"].to_pylist()
    freeze(data, "v1")
    trees.decide(data, Decision(do="merge", person=second, into=first), Decision(do="drop_face", faces=tuple(mine)))
    now, before = Enrolled.at(data.folder.url), Enrolled.at(f"{data.folder.url}@v1")
    assert now.names == [first, *everybody.names[3:]] and np.diff(now.first_P).tolist() == [8, 4, 4, 4]
    assert before.names == everybody.names and before.given.endswith("@v1")
    assert before.digest == everybody.digest != now.digest


def test_a_gallery_of_one_person_is_one_and_of_nobody_is_none(tmp_path):
    one = directions(np.random.default_rng(1), 1)
    gallery = Enrolled.at(dataset(tmp_path / "one", {"only": one}).folder.url)
    [found] = gallery.candidates(one, 5)
    assert [c.similarity for c in found] == [pytest.approx(1)]
    with pytest.raises(DatasetError, match="nobody to be found"):
        Enrolled.at(dataset(tmp_path / "none", {None: one}).folder.url)


def _opened(data: Dataset):
    return Decided.at(data.folder.url)
