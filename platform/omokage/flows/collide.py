"""Joins that outlive a process: cut into units, each of which leaves a file, here or on the workers of a cluster.

What is joined decides the name of a join, so the same command goes on where it was stopped. A worker that dies takes
no more with it than its unit, which is done again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import ray
import ray.exceptions
from numpy.typing import NDArray

from omokage import config as settings
from omokage.errors import WorkError
from omokage.flows import cluster
from omokage.flows.cluster import ClusterConfig
from omokage.flows.workspace import Workspace
from omokage.index.coder import Coder
from omokage.index.faces import Faces
from omokage.index.join import Join, Unit
from omokage.index.side import Rule, Side
from omokage.index.threads import each
from omokage.progress import OnProgress
from omokage.storage import Folder

UNIT: Final = 2e8
"""Pairs of a unit, about: a second or less."""

UNITS: Final = (16, 2048)
"""At least and at most so many."""

TASK: Final = 4
"""Units that one task of a cluster does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """All that decides what a join finds."""

    segments: tuple[str, ...]
    """Rows are numbered through these."""
    new_from: int
    """Segments from this one on are new: only pairs with one of their faces are looked for."""
    among_new: bool
    """Whether pairs of two new faces count."""
    threshold: float
    floor: float
    """Of the rule: which lists faces probe."""
    coder: Coder
    labels: str
    """sha256 of the labels."""
    device: str
    """Where codes are compared; it decides nothing else."""

    @property
    def key(self) -> str:
        """The join's name."""
        return hashlib.sha256(settings.to_json(replace(self, device="")).encode()).hexdigest()[:20]


def join_of(terms: Terms, faces: Faces, label_N: NDArray[np.int32], most: int) -> Join:
    """Return the join that the terms describe; ``most`` pairs are too many for a unit."""
    rule = Rule(terms.floor)
    count = len(terms.segments)
    new, old = (
        Side(faces, numbers, rule, terms.threshold, terms.device)
        for numbers in (range(terms.new_from, count), range(terms.new_from))
    )
    return Join(terms.coder, faces, new, old, label_N, terms.threshold, terms.among_new, most)


def units(join: Join) -> list[Unit]:
    """Return the join cut into units, the same on every machine."""
    return join.units(int(np.clip(join.pairs() / UNIT, *UNITS)))


class Joining:
    """A join and its files."""

    def __init__(self, work: Workspace, faces: Faces, label_N: NDArray[np.int32], terms: Terms, most: int) -> None:
        self.work = work
        self.terms = terms
        self.most = most
        self.folder = f"pairs/{terms.key}"
        self.faces = faces
        self.label_N = label_N
        self.join = join_of(terms, faces, label_N, most)
        self.units = units(self.join)
        self.costs = self.join.shares(self.units)

    def run(self, where: ClusterConfig, on_progress: OnProgress) -> None:
        """Join what is not joined yet.

        Raises:
            WorkError: There are too many pairs, or the cluster failed; what is finished is kept.
        """
        done = self._done()
        todo = [number for number in range(len(self.units)) if number not in done]
        total, compared = sum(self.costs), sum(self.costs[number] for number in done)
        on_progress(int(compared), int(total), "pairs")
        found = 0
        for number, count in self._here(todo) if where.address == "local" else self._there(todo, where):
            found += count
            compared += self.costs[number]
            if found > self.most:
                raise WorkError(_too_many(self.terms.threshold, self.most))
            on_progress(int(compared), int(total), "pairs")

    def _done(self) -> set[int]:
        names = self.work.folder.names(f"index/{self.folder}")
        return {int(name[:5]) for name in names if name[:5].isdigit() and name.endswith(".npy")}

    def _here(self, todo: list[int]) -> Iterator[tuple[int, int]]:
        def unit(number: int) -> tuple[int, NDArray[np.void]]:
            matches = self.join(self.units[number])
            self.faces.ease()
            return number, matches

        for number, matches in each(unit, todo):
            self.work.save(f"{self.folder}/{number:05d}", matches)  # here: whoever joins need not wait for the disk
            yield number, len(matches)

    def _there(self, todo: list[int], where: ClusterConfig) -> Iterator[tuple[int, int]]:
        self.work.save(f"{self.folder}/labels", self.label_N)
        self.work.folder.write(f"index/{self.folder}/terms.json", settings.to_json(self.terms).encode())
        with cluster.connected(where):
            task = ray.remote(num_cpus=1, max_retries=-1)(_units)
            url = self.work.folder.url
            waiting = [
                task.remote(url, self.folder, todo[start : start + TASK], self.most)
                for start in range(0, len(todo), TASK)
            ]
            try:
                while waiting:
                    ready, waiting = ray.wait(waiting)
                    yield from ray.get(ready[0])
            except ray.exceptions.RayTaskError as error:
                raise WorkError(f"{error.cause}: what is finished is kept, the same command goes on") from error
            except ray.exceptions.RayError as error:
                said = str(error).splitlines()[0]
                raise WorkError(f"{said}: what is finished is kept, the same command goes on") from error


def _units(url: str, folder: str, numbers: list[int], most: int) -> list[tuple[int, int]]:
    """Join some units on a worker, and return the number of matches of each."""
    work, join, cut = _opened(url, folder, most)
    done = []
    for number in numbers:
        matches = join(cut[number])
        work.save(f"{folder}/{number:05d}", matches)
        done.append((number, len(matches)))
    return done


@lru_cache(maxsize=1)
def _opened(url: str, folder: str, most: int) -> tuple[Workspace, Join, list[Unit]]:
    """Return a join as a worker sees it: opened once a process."""
    work = Workspace(Folder.at(url))
    terms = settings.from_json(Terms, work.folder.read(f"index/{folder}/terms.json").decode())
    faces = Faces([work.segment(name)[0] for name in terms.segments])
    join = join_of(terms, faces, work.load(f"{folder}/labels"), most)
    return work, join, units(join)


def _too_many(threshold: float, most: int) -> str:
    return f"more than {most:,} pairs are at or above {threshold:.4f}: take a higher --threshold, or raise --most-pairs"


def labels_key(label_N: NDArray[np.int32]) -> str:
    """Return a name for labels, the same for the same ones."""
    return hashlib.sha256(label_N.tobytes()).hexdigest()
