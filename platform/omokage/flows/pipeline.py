"""The stream that every flow over pictures begins with: listed rows in, looked-at rows out."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
import ray.exceptions

from omokage import weights
from omokage.errors import WorkError
from omokage.flows.workers import Workers
from omokage.stages import base
from omokage.stages.isolate import IsolateConfig, Isolated
from omokage.stages.look import LookConfig
from omokage.stages.read import PICTURES_AT_ONCE, Read, ReadConfig, parts

CHUNK = 256
"""Pictures of one block, and so of one shard: with chips and crops some 15 MB of shared memory."""

CHUNKS_PER_WORKER = 12
"""Small inputs are cut finer than ``CHUNK``, so that every worker has its share and the bar moves."""

QUEUED = 2
"""Chunks that a worker has in hand: one at work, one waiting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LookerConfig:
    """What a looking worker needs."""

    read: ReadConfig
    look: LookConfig
    weights: tuple[str, ...]
    """Model files that its stages open; fetched before the network is gone."""


class Looker:
    """A worker: reads pictures in this process, looks at them in an isolated one."""

    def __init__(self, config: LookerConfig) -> None:
        for name in config.weights:
            weights.path(name)
        self.read = Read(config.read)
        self.look = Isolated(IsolateConfig(stage="omokage.stages.look:Look", config=config.look))
        self.ahead = ThreadPoolExecutor(1)

    def __call__(self, chunk: pa.Table) -> Iterator[pa.Table]:
        """Yield ``chunk`` in parts, looked at; the next part is read meanwhile."""
        pieces = list(parts(chunk))
        coming = [self.ahead.submit(base.run, [self.read], part) for part in pieces[:1]]
        for following in [*pieces[1:], None]:
            part = coming.pop().result()
            if following is not None:
                coming.append(self.ahead.submit(base.run, [self.read], following))
            yield self.look(part)


class Writer:
    """A worker that ends the stream."""

    def __init__(self, stage: Callable[[pa.Table], pa.Table]) -> None:
        self.stage = stage

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the marks of ``batch``, which then lies where it belongs."""
        return self.stage(batch)


def look(pictures: pa.Table, config: LookerConfig, workers: Workers) -> ray.data.Dataset:
    """Return the stream of ``pictures`` (``LISTED``), looked at: columns ``LISTED`` and ``LOOKED``, in no order."""
    chunks = [pictures.slice(start, size) for start, size in _cut(pictures.num_rows, workers.look)]
    # from_arrow would first start workers only to ask them how many rows each chunk has
    stream: ray.data.Dataset = ray.data.from_blocks(chunks)
    return stream.map_batches(
        Looker,
        fn_constructor_kwargs={"config": config},
        batch_format="pyarrow",
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=min(workers.look, len(chunks)), max_tasks_in_flight_per_actor=QUEUED),
        num_cpus=workers.look_cpus,
        num_gpus=workers.look_gpus or None,
    )


def write(
    stream: ray.data.Dataset, stage: Callable[[pa.Table], pa.Table], workers: Workers
) -> Iterator[dict[str, Any]]:
    """Run ``stream`` to its end, with ``stage`` last, and yield the marks that ``stage`` returns in place of rows."""
    ends = stream.map_batches(
        Writer,  # an actor: it starts with the others, where a task's process would start with the first shard
        fn_constructor_kwargs={"stage": stage},
        batch_format="pyarrow",
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(size=workers.write, max_tasks_in_flight_per_actor=QUEUED),
        num_cpus=workers.write_cpus,
    )
    yield from marks(ends)


def marks(ends: ray.data.Dataset) -> Iterator[dict[str, Any]]:
    """Run a stream whose rows are marks to its end, and yield them as they come.

    Raises:
        WorkError: The work could not go on.
    """
    table: pa.Table
    try:
        for table in ends.iter_batches(batch_format="pyarrow", batch_size=None, prefetch_batches=0):
            yield from map(json.loads, table["mark"].to_pylist())
    except (ray.exceptions.RayError, ray.exceptions.RaySystemError) as error:
        said = _first_words(str(error))
        raise WorkError(f"{said}: the work ended early; what is finished is kept, the same command goes on") from error


def _first_words(trace: str) -> str:
    """Return what the innermost exception of a worker's trace says."""
    said = re.findall(r"^(?:[\w.]+\.)?(\w+(?:Error|Exception): .+)$", trace, re.MULTILINE)
    return str(said[0]) if said else trace.splitlines()[0]


def _cut(rows: int, workers: int) -> Iterator[tuple[int, int]]:
    """Yield where each chunk starts, and its size."""
    size = int(np.clip(rows // (workers * CHUNKS_PER_WORKER), PICTURES_AT_ONCE, CHUNK))
    for start in range(0, rows, size):
        yield start, min(size, rows - start)
