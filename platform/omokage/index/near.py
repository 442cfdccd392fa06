"""The most similar of many vectors to each of many others, through lists that are held in memory.

Vectors are put into lists, as codes; a probe is compared with those lists whose centroids are most like it, and all
probes of a list in one product. The best by codes are then scored by the vectors themselves, so that every similarity
is exact; only whom the other lists hold is not known. How many lists are looked through decides how much that is.

Shape key: N vectors, D numbers of a vector, E numbers of a code, L lists, Q probes, P lists of a probe, K answers,
M members of a list, V visitors (probes of a list), C candidates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from omokage.index import lists
from omokage.index.build import Codes
from omokage.index.coder import Coder
from omokage.index.lists import within
from omokage.index.product import COLUMNS, ROWS, products
from omokage.index.threads import each

BLOCK: Final = 4096
"""Vectors that one thread puts into lists at once."""

PROBES: Final = 1024
"""Probes that one thread searches for at once."""

SCORED: Final = 128
"""Probes whose candidates are scored at once."""

SAMPLE: Final = 4096
"""Vectors that the step of codes is chosen by."""

FIRST: Final = 4
"""Times as many members as answers in the first lists of a probe: from then on it is known who need not be kept."""

LEAST: Final = -(1 << 30)
"""Less than any product of codes."""

SPARE: Final = 2
"""Times as many candidates by codes as answers: codes order vectors nearly as their similarities do."""


@dataclass(frozen=True)
class Candidates:
    """Members that are most like some probes, by codes."""

    probe_C: NDArray[np.int64]
    row_C: NDArray[np.int64]
    product_C: NDArray[np.int32]

    @staticmethod
    def join(parts: "list[Candidates]") -> "Candidates":
        """Return all of them."""
        return Candidates(
            np.concatenate([np.zeros(0, np.int64), *(part.probe_C for part in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(part.row_C for part in parts)]),
            np.concatenate([np.zeros(0, np.int32), *(part.product_C for part in parts)]),
        )

    def best(self, count: int, probes: int) -> "Candidates":
        """Return the best ``count`` of each of so many probes, by probe, falling."""
        # one whole number for both; of equal ones the first that came comes first
        order_C = np.argsort(self.probe_C * np.int64(-2 * LEAST) - self.product_C, kind="stable")
        count_Q = np.bincount(self.probe_C, minlength=probes)
        order_C = order_C[within(count_Q) < count]
        return Candidates(self.probe_C[order_C], self.row_C[order_C], self.product_C[order_C])


class Near:
    """Finds the most similar of some vectors."""

    def __init__(self, vectors_ND: NDArray[np.float32], count: int, seed: int = 0, threads: int | None = None) -> None:
        """Put vectors into about ``count`` lists.

        Args:
            vectors_ND: Of unit length. They are not copied.
            count: Of lists.
            seed: Of the choice of the vectors that lists are made from.
            threads: To work on; all cores by default.
        """
        self.vectors_ND, self.threads = vectors_ND, threads
        rng = np.random.default_rng([seed, len(vectors_ND)])
        some = np.sort(rng.permutation(len(vectors_ND))[: max(SAMPLE, lists.sampled(count))])
        sample_ND = vectors_ND[some]
        self.coder = Coder.fit("int8", sample_ND[:SAMPLE])
        self.centroids = torch.from_numpy(self.coder.encode(lists.train(sample_ND, count, seed))[0])

        def encoded(start: int) -> tuple[Codes, NDArray[np.int64]]:
            codes_BE, _ = self.coder.encode(vectors_ND[start : start + BLOCK])
            return codes_BE, products(torch.from_numpy(codes_BE), self.centroids).argmax(1).numpy()

        parts = list(each(encoded, range(0, len(vectors_ND), BLOCK), threads))
        self.home_N = np.concatenate([home for _, home in parts])
        self.row_N = np.argsort(self.home_N, kind="stable")
        self.start_L1 = np.concatenate([[0], np.cumsum(np.bincount(self.home_N, minlength=len(self.centroids)))])
        codes_NE = np.concatenate([codes for codes, _ in parts])
        del parts
        self.codes = torch.from_numpy(codes_NE[self.row_N])

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return len(self.centroids)

    def needed(self, probe_QD: NDArray[np.float32], row_Q: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many lists a probe must look through to meet the vector beside it."""
        home_Q = self.home_N[row_Q]
        found_QL = self._lists(probe_QD)
        own_Q1 = found_QL[np.arange(len(row_Q)), home_Q][:, None]
        # of equally like lists the one with the smaller number comes first
        before_QL = (found_QL > own_Q1) | ((found_QL == own_Q1) & (np.arange(self.lists) < home_Q[:, None]))
        needed_Q: NDArray[np.int64] = before_QL.sum(1) + 1
        return needed_Q

    def search(
        self, probe_QD: NDArray[np.float32], count: int, probed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return similarity and row of the vectors most like each probe, falling.

        Args:
            probe_QD: Of unit length.
            count: Answers, K.
            probed: Lists that each probe looks through.

        Returns:
            Similarities and rows, shape (Q, K) both; -2 and -1 where there are fewer.
        """
        probed, count = min(probed, self.lists), min(count, len(self.vectors_ND))
        parts = each(
            lambda start: self._block(probe_QD[start : start + PROBES], count, probed),
            range(0, len(probe_QD), PROBES),
            self.threads,
        )
        score, row = zip(*parts, strict=True)
        return np.concatenate(score), np.concatenate(row)

    def _lists(self, probe_QD: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return how like each probe is to each list, in products of codes."""
        return products(torch.from_numpy(self.coder.encode(probe_QD)[0]), self.centroids).numpy()

    def _block(
        self, probe_QD: NDArray[np.float32], count: int, probed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        codes_QE, _ = self.coder.encode(probe_QD)
        found_QL = products(torch.from_numpy(codes_QE), self.centroids)
        list_QP = torch.sort(found_QL, dim=1, descending=True, stable=True)[1][:, :probed].numpy()
        first, wanted = -(-FIRST * SPARE * count * self.lists // len(self.vectors_ND)), SPARE * count
        floor_Q = np.full(len(probe_QD), LEAST, np.int32)
        near = Candidates.join(list(self._through(codes_QE, list_QP[:, :first], floor_Q))).best(wanted, len(probe_QD))
        if probed > first:
            count_Q = np.bincount(near.probe_C, minlength=len(probe_QD))
            full_Q, last_Q = count_Q == wanted, np.cumsum(count_Q) - 1
            floor_Q[full_Q] = near.product_C[last_Q[full_Q]]
            every = probed == self.lists
            more = self._all(codes_QE, floor_Q) if every else self._through(codes_QE, list_QP[:, first:], floor_Q)
            near = Candidates.join([*([] if every else [near]), *more]).best(wanted, len(probe_QD))
        return self._scored(probe_QD, near, count)

    def _through(self, codes_QE: Codes, list_QP: NDArray[np.int64], floor_Q: NDArray[np.int32]) -> Iterator[Candidates]:
        """Yield the members of its lists whose product with a probe is at or above the probe's floor."""
        order = np.argsort(list_QP, axis=None, kind="stable")
        probe_V, starts = order // list_QP.shape[1], np.searchsorted(list_QP.ravel()[order], np.arange(self.lists + 1))
        for number in np.flatnonzero((np.diff(starts) > 0) & (np.diff(self.start_L1) > 0)).tolist():
            visitor_V = probe_V[starts[number] : starts[number + 1]]
            begin, end = self.start_L1[number], self.start_L1[number + 1]
            found_VM = products(torch.from_numpy(codes_QE[visitor_V]), self.codes[begin:end]).numpy()
            at_V, at_M = _reaching(found_VM, floor_Q[visitor_V])
            yield Candidates(visitor_V[at_V], self.row_N[begin:end][at_M], found_VM[at_V, at_M])

    def _all(self, codes_QE: Codes, floor_Q: NDArray[np.int32]) -> Iterator[Candidates]:
        """Yield what ``_through`` all lists does, in larger products."""
        for top in range(0, len(codes_QE), ROWS["cpu"]):
            codes = torch.from_numpy(codes_QE[top : top + ROWS["cpu"]])
            for begin in range(0, len(self.row_N), COLUMNS["cpu"]):
                found_VM = products(codes, self.codes[begin : begin + COLUMNS["cpu"]]).numpy()
                at_V, at_M = _reaching(found_VM, floor_Q[top : top + len(codes)])
                yield Candidates(at_V + top, self.row_N[at_M + begin], found_VM[at_V, at_M])

    def _scored(
        self, probe_QD: NDArray[np.float32], near: Candidates, count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the best by similarity."""
        score_QK = np.full((len(probe_QD), count), -2, np.float32)
        row_QK = np.full(score_QK.shape, -1, np.int64)
        for start in range(0, len(probe_QD), SCORED):
            begin, end = np.searchsorted(near.probe_C, [start, start + SCORED])
            probe_C, row_C = near.probe_C[begin:end], near.row_C[begin:end]
            score_C = np.einsum("cd,cd->c", probe_QD[probe_C], self.vectors_ND[row_C], dtype=np.float64)
            order_C = np.lexsort((row_C, -score_C, probe_C))
            place_C = within(np.bincount(probe_C - start, minlength=SCORED))
            kept = np.flatnonzero(place_C < count)
            at = probe_C[order_C][kept], place_C[kept]
            score_QK[at], row_QK[at] = score_C[order_C][kept], row_C[order_C][kept]
        return score_QK, row_QK


def _reaching(found_VM: NDArray[np.int32], floor_V: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row and column of the products that are at or above the floor of their row."""
    at_V, at_M = np.divmod(np.flatnonzero(found_VM >= floor_V[:, None]), found_VM.shape[1])
    return at_V, at_M
