"""Searches through lists against exact ones, and what is said of their difference."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from omokage.assess import searched as module
from omokage.assess.searched import GallerySearchConfig, searched
from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.search import Gallery, Searches, by_index, search
from omokage.index.near import Near


def crowd(people: int, faces: int, noise: float = 1.0, seed: int = 0) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(seed)
    label_N = np.tile(np.arange(people), faces)
    vector_NE = rng.standard_normal((people, 32))[label_N] + noise * rng.standard_normal((len(label_N), 32))
    return (vector_NE / np.linalg.norm(vector_NE, axis=1, keepdims=True)).astype(np.float32), label_N


def enrolled(people: int, faces: int, **how: bool) -> tuple[Gallery, NDArray, NDArray]:
    """Return a gallery of nine of ten people, and probes of all."""
    vector_NE, label_N = crowd(people, faces + 2)
    mine = (np.arange(len(label_N)) < people * faces) & (label_N % 10 > 0)
    probe = np.arange(len(label_N)) >= people * faces
    return Gallery(vector_NE[mine], label_N[mine], **how), vector_NE[probe], label_N[probe]


def same(a: Searches, b: Searches) -> None:
    assert (a.size, a.faces) == (b.size, b.faces)
    np.testing.assert_array_equal(a.mated_Q, b.mated_Q)
    np.testing.assert_array_equal(np.minimum(a.rank_Q, 51), np.minimum(b.rank_Q, 51))
    np.testing.assert_allclose(a.top_Q, b.top_Q, atol=1e-6)
    listed = a.mate_Q > -np.inf
    np.testing.assert_allclose(a.mate_Q[listed], b.mate_Q[listed], atol=1e-6)


def test_small_galleries_are_searched_exactly() -> None:
    gallery, probe_QE, label_Q = enrolled(80, 2)
    found = searched(gallery, probe_QE, label_Q, [10, 40])
    truth = search(gallery, probe_QE, label_Q, [10, 40])
    assert not found.recalls and found.text() == "every enrolled face was compared"
    for one, other in zip(found.searches, truth, strict=True):
        same(one, other)


@pytest.mark.parametrize(("faces", "templates"), [(1, False), (3, False), (3, True)])
def test_all_lists_say_what_exact_search_says(faces: int, templates: bool) -> None:
    gallery, probe_QE, label_Q = enrolled(200, faces, templates=templates)
    near = Near(gallery.vector_GE, 30, threads=1)
    found = by_index(gallery, module._nearest(gallery, near, near.lists), probe_QE, label_Q)
    exact = search(gallery, probe_QE, label_Q)[0]
    listed = exact.rank_Q <= 12  # of 150 faces that are listed, a person has up to 3
    assert found.deepest == 50 and listed.mean() > 0.5
    same(replace(found, rank_Q=np.where(listed, found.rank_Q, 0)), replace(exact, rank_Q=exact.rank_Q * listed))
    assert (found.rank_Q[~listed] > 12).all()


def test_the_recall_is_what_it_is_of_probes_that_chose_nothing() -> None:
    gallery, probe_QE, label_Q = enrolled(1500, 1)
    exact = search(gallery, probe_QE, label_Q)[0]
    told = {}
    for wanted in (0.5, 0.95):
        config = GallerySearchConfig(search="lists", search_recall=wanted, search_sample=500)
        found = searched(gallery, probe_QE, label_Q, config=config)
        told[wanted] = found.recalls[len(gallery)]
        truth = float(np.mean(found.searches[0].top_Q >= exact.top_Q - 1e-5))
        assert told[wanted].low <= truth <= told[wanted].high
        assert abs(told[wanted].recall - wanted) < 0.08
        assert told[wanted].probes == 500 and told[wanted].low < told[wanted].recall < told[wanted].high
        assert "through" in found.text() and json.loads(told[wanted].json())["lists"] == told[wanted].lists
    assert told[0.5].probed < told[0.95].probed < told[0.95].lists
    assert told[0.5].mates_found < told[0.95].mates_found <= 1


def test_only_large_galleries_go_through_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, probe_QE, label_Q = enrolled(300, 1)
    monkeypatch.setattr(module, "EXACT", 100 * len(label_Q))
    found = searched(gallery, probe_QE, label_Q, [100, 20, 200], GallerySearchConfig(search_sample=100))
    assert [each.size for each in found.searches] == [20, 100, 200, 270] and sorted(found.recalls) == [200, 270]
    truth = search(gallery, probe_QE, label_Q, [20, 100, 200])
    for one, other in zip(found.searches[:2], truth[:2], strict=True):
        same(one, other)
    for one, other in zip(found.searches[2:], truth[2:], strict=True):
        assert (one.size, one.faces) == (other.size, other.faces)
        assert np.mean(one.top_Q >= other.top_Q - 1e-5) > 0.97


def test_the_first_people_of_a_gallery_are_a_gallery() -> None:
    gallery, probe_QE, label_Q = enrolled(60, 3)
    part, whole = search(gallery.first(20), probe_QE, label_Q)[0], search(gallery, probe_QE, label_Q, [20])[0]
    same(part, whole)
    assert replace(part, person_Q=whole.person_Q).mate_Q.tolist() == whole.mate_Q.tolist()
    assert len(gallery) == 54 and len(gallery.first(54)) == 54


def test_what_cannot_be_searched_is_said() -> None:
    gallery, probe_QE, label_Q = enrolled(20, 1)
    with pytest.raises(ConfigError, match="sizes of galleries must lie in 1 to 18, got 19"):
        searched(gallery, probe_QE, label_Q, [5, 19])
    with pytest.raises(DatasetError, match="other encoders"):
        searched(gallery, probe_QE[:, :3] / np.linalg.norm(probe_QE[:, :3], axis=1, keepdims=True), label_Q)
    with pytest.raises(DatasetError, match="no unit vectors"):
        searched(gallery, probe_QE * np.nan, label_Q)
    for wrong in ({"search": "faiss"}, {"search_recall": 0}, {"search_sample": 5}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            GallerySearchConfig(**wrong)
