"""Searches of a gallery: exactly while that takes minutes, else through lists, with what that loses told.

How many lists a probe looks through is chosen by one sample of probes, whose most similar face of all is known, and
what is lost is measured by another one, which is searched for exactly.

Shape key: G faces of the gallery, Q probes, S sampled probes, E numbers of an embedding, K answers.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.evaluate.identification import RANKS
from omokage.evaluate.search import Gallery, Nearest, Searches, by_index, probes, search
from omokage.index import wilson
from omokage.index.near import Near

EXACT: Final = 20_000_000_000
"""Pairs of a face and a probe that are compared exactly: two or three minutes of two cores."""

LISTS_A_ROOT: Final = 4
"""Lists, times the root of the faces."""

FACES_A_PERSON: Final = 4
"""Most faces of a person that are asked for with each person to be listed."""

SURE: Final = 8
"""Faces that are scored to know the most similar of all lists."""

AT_ONCE: Final = 1 << 14
"""Probes whose answers are held as lists."""

SLIGHT: Final = 1e-5
"""A best score that is lower by no more is known: other products round otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GallerySearchConfig:
    """How a gallery is searched."""

    search: Literal["auto", "exact", "lists"] = "auto"
    """exact: every probe with every enrolled face; lists: through an index, which may miss some; auto: through an
    index where exact search would compare more than 20 thousand million pairs."""
    search_recall: float = 0.999
    """Share of probes of which an index is to know the best score, in (0, 1]; what it came to is told."""
    search_sample: int = 1000
    """Probes that lists are chosen by, and as many others that the recall is measured by; at least 100."""

    def __post_init__(self) -> None:
        """Reject what cannot be done."""
        if self.search not in ("auto", "exact", "lists"):
            raise ConfigError(f"search must be auto, exact or lists, got {self.search}")
        if not 0 < self.search_recall <= 1:
            raise ConfigError(f"search_recall must lie in (0, 1], got {self.search_recall}")
        if self.search_sample < 100:
            raise ConfigError(f"search_sample must be at least 100, got {self.search_sample}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ListsRecall:
    """What searching through lists lost. Plain values."""

    people: int
    """Enrolled."""
    lists: int
    probed: int
    """Lists that each probe looked through."""
    probes: int
    """That were searched for exactly, too."""
    recall: float
    """Share of these of which the best score was known."""
    low: float
    high: float
    """95 % interval of the recall."""
    mates: int
    """Of these, probes whose person is exactly among the ranks that are listed."""
    mates_found: float | None
    """Share of those whose person had the same rank; None where there are none."""

    def json(self) -> str:
        """Return the recall as one JSON object."""
        return json.dumps(asdict(self))

    def text(self) -> str:
        """Return the recall for a person."""
        mates = "" if self.mates_found is None else f"; {self.mates_found:.4f} of {self.mates:,} mates had their rank"
        return (
            f"{self.people:,} people searched through {self.probed:,} of {self.lists:,} lists: the best score was "
            f"known for {self.recall:.4f} ({self.low:.4f} to {self.high:.4f}) of {self.probes:,} probes{mates}"
        )


@dataclass(frozen=True)
class Searched:
    """What was found, by size of the gallery, rising."""

    searches: list[Searches]
    recalls: dict[int, ListsRecall]
    """Of the sizes that were searched through lists."""

    def text(self) -> str:
        """Return how it was searched, for a person."""
        return "\n".join(recall.text() for recall in self.recalls.values()) or "every enrolled face was compared"


def searched(
    gallery: Gallery,
    probe_QE: Any,
    label_Q: Any,
    sizes: Sequence[int] = (),
    config: GallerySearchConfig | None = None,
    threads: int | None = None,
) -> Searched:
    """Return what probes find in the first people of the gallery, one answer a size, the whole gallery last.

    Args:
        gallery: Who is enrolled.
        probe_QE: Unit vectors. Shape (Q, E).
        label_Q: Whose face each is. Shape (Q,).
        sizes: People of smaller galleries, each part of the next.
        config: How to search.
        threads: To work on; all cores by default.

    Raises:
        ConfigError: A size is none.
        DatasetError: Embeddings are no unit vectors, or of another length than the gallery's.
    """
    config = config or GallerySearchConfig()
    wrong = [size for size in sizes if not 1 <= size <= len(gallery)]
    if wrong:
        raise ConfigError(f"sizes of galleries must lie in 1 to {len(gallery):,}, got {wrong[0]:,}")
    vector_QE, label_Q = probes(gallery, probe_QE, label_Q)
    sizes = sorted({*sizes, len(gallery)})
    near = [size for size in sizes if not _exact(int(gallery.first_P[size]) * len(vector_QE), config)]
    small = [size for size in sizes if size not in near]
    found = search(gallery.first(small[-1]), vector_QE, label_Q, small, threads) if small else []
    recalls = {}
    for size in near:
        through, recall = _through_lists(
            gallery.first(size), np.asarray(probe_QE), np.asarray(label_Q), config, threads
        )
        found.append(through)
        recalls[size] = recall
    return Searched(found, recalls)


def _exact(pairs: int, config: GallerySearchConfig) -> bool:
    return config.search == "exact" or (config.search == "auto" and pairs <= EXACT)


def _through_lists(
    gallery: Gallery,
    probe_QE: NDArray[np.float32],
    label_Q: NDArray[Any],
    config: GallerySearchConfig,
    threads: int | None,
) -> tuple[Searches, ListsRecall]:
    """Return what probes find through lists, and what that lost."""
    faces = len(gallery.place_G)
    near = Near(gallery.vector_GE, max(1, round(LISTS_A_ROOT * faces**0.5)), threads=threads)
    some_Q = np.random.default_rng(len(label_Q)).permutation(len(label_Q))
    half = min(config.search_sample, max(1, len(label_Q) // 2))
    choose_S, measure_S = some_Q[:half], some_Q[-half:]
    best_SK = near.search(probe_QE[choose_S], SURE, near.lists)[1]
    needed_S = np.sort(near.needed(probe_QE[choose_S], best_SK[:, 0]))
    probed = int(needed_S[min(half, int(np.ceil(config.search_recall * half))) - 1])
    probed = near.lists if probed > near.lists / 2 else probed  # in large products all take hardly longer than half
    nearest = _nearest(gallery, near, probed)
    found = by_index(gallery, nearest, probe_QE, label_Q, AT_ONCE)
    exact = search(gallery, probe_QE[measure_S], label_Q[measure_S], threads=threads)[0]
    return found, _recall(found, exact, measure_S, near.lists, probed)


def _nearest(gallery: Gallery, near: Near, probed: int) -> Nearest:
    """Return what lists the people most like probes."""
    people = min(RANKS, len(gallery))
    faces = people * min(FACES_A_PERSON, -(-len(gallery.place_G) // len(gallery)))
    label_P = gallery.label_P[np.argsort(gallery.place_P)]

    def nearest(probe_QE: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[Any]]:
        score_QF, row_QF = near.search(probe_QE, faces, probed)
        place_QF = gallery.place_G[row_QF]
        # a person's best face is the first that is listed of them
        order_QF = np.argsort(place_QF, axis=1, kind="stable")
        sorted_QF = np.take_along_axis(place_QF, order_QF, 1)
        again_QF = np.zeros(place_QF.shape, bool)
        np.put_along_axis(again_QF, order_QF, np.diff(sorted_QF, prepend=-1) == 0, 1)
        score_QF = np.where(again_QF | (row_QF < 0), np.float32(-2), score_QF)
        first_QK = np.argsort(-score_QF, axis=1, kind="stable")[:, :people]
        return np.take_along_axis(score_QF, first_QK, 1), label_P[np.take_along_axis(place_QF, first_QK, 1)]

    return nearest


def _recall(found: Searches, exact: Searches, measured_S: NDArray[np.int64], lists: int, probed: int) -> ListsRecall:
    """Return what was lost of the measured probes."""
    known = float(np.mean(found.top_Q[measured_S] >= exact.top_Q - SLIGHT))
    count = len(measured_S)
    low, high = wilson.interval(known, count)
    listed_S = exact.mated_Q & (exact.rank_Q <= found.deepest)
    same_S = found.rank_Q[measured_S] == exact.rank_Q
    return ListsRecall(
        people=found.size,
        lists=lists,
        probed=probed,
        probes=count,
        recall=known,
        low=low,
        high=high,
        mates=int(listed_S.sum()),
        mates_found=float(same_S[listed_S].mean()) if listed_S.any() else None,
    )
