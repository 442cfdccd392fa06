"""A folder of pictures to a dataset of faces."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from omokage import changes, weights
from omokage.errors import DatasetError
from omokage.flows import cluster, pipeline, workers
from omokage.flows.cluster import ClusterConfig
from omokage.flows.pipeline import LookerConfig
from omokage.flows.workers import Workers
from omokage.report import IngestReport, by_status, tally
from omokage.source import Source, check_apart
from omokage.stages import base
from omokage.stages.align import AlignConfig
from omokage.stages.decode import DecodeConfig
from omokage.stages.detect import DetectStageConfig, Keep
from omokage.stages.encode import Encode, EncodeConfig
from omokage.stages.isolate import can_block_network
from omokage.stages.look import LookConfig
from omokage.stages.read import ReadConfig
from omokage.stages.write import Write, WriteConfig
from omokage.storage import Folder
from omokage.store import HEAD, Dataset, Head, Shard
from omokage.vision import detector, encoder, runtimes
from omokage.vision.faces import DetectConfig
from omokage.vision.geometry import Template

OnProgress = Callable[[int, int], None]
"""Called with the pictures done and the pictures to do."""


def quietly(done: int, of: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestConfig:
    """How pictures become a dataset of faces."""

    detector: Literal["mediapipe", "mediapipe-tasks", "yunet"] = "mediapipe"
    """What finds faces."""
    min_score: float = 0.5
    """Faces with a lower detector score do not count."""
    min_side: int = 24
    """Faces with a shorter side than this, in pixels, do not count."""
    faces: Keep = "largest"
    """Of several faces in a picture of somebody: keep the largest, all, or refuse the picture (one)."""
    align: Literal["arcface", "dlib", "margin"] = "arcface"
    """Template of the stored chips."""
    padding: float = 0.0
    """Room around the face in a chip, as a share of its side."""
    chip_size: int = 224
    """Side of the stored chips, in pixels."""
    encoder: str = "sface"
    """Name of an encoder, or a TOML file that describes one."""
    runtime: str | None = None
    """What runs the encoder; by default the quickest on this machine that is right."""
    max_pixels: int = 200_000_000
    """A picture with more pixels is refused before it is decoded."""
    workers: int | None = None
    """Processes that detect; one a CPU by default."""
    moved: bool = False
    """The source of an existing dataset was moved, unchanged, to SOURCE."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What an ingest has to do, worked out before anything starts."""

    config: IngestConfig
    source: Source
    spec: encoder.EncoderSpec
    look: LookConfig

    @classmethod
    def of(cls, source: str, config: IngestConfig) -> "Job":
        """Return the job, its model files fetched and its settings checked."""
        spec = encoder.load_spec(config.encoder)
        spec.weights_file()
        find = DetectConfig(name=config.detector, min_score=config.min_score, min_side=config.min_side)
        look = LookConfig(
            decode=DecodeConfig(max_pixels=config.max_pixels),
            detect=DetectStageConfig(detector=find, faces=config.faces),
            align=AlignConfig(
                chip=Template(name=config.align, size=config.chip_size, padding=config.padding),
                crop=Template(name=spec.template, size=spec.input_size, padding=spec.padding),
            ),
        )
        for name in detector.WEIGHTS[find.name]:
            weights.path(name)
        return cls(config=config, source=Source.at(source), spec=spec, look=look)

    @property
    def models(self) -> tuple[str, ...]:
        """Weights that the detector opens."""
        return detector.WEIGHTS[self.look.detect.detector.name]

    def recipe(self) -> dict[str, Any]:
        """Return everything that decides what a picture's faces are."""
        find = self.look.detect.detector
        return {
            "encoder": {
                "name": self.spec.name,
                "sha256": self.spec.sha256(),
                "dim": self.spec.dim,
                "crop": self.look.align.crop.tag,
            },
            "detector": {
                "name": find.name,
                "weights": {name: weights.entry(name).sha256 for name in self.models},
                "min_score": find.min_score,
                "min_side": find.min_side,
            },
            "faces": self.look.detect.faces,
            "chip": self.look.align.chip.tag,
        }

    def licences(self) -> dict[str, str]:
        """Return the licence of every model file that is used."""
        return {name: weights.entry(name).licence for name in self.models} | {self.spec.name: self.spec.licence}


@dataclass(slots=True)
class Run:
    """What happened while Ray was at work."""

    start_seconds: float = 0.0
    done: int = 0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    workers: Workers | None = None


def ingest(source: str, dataset: str, config: IngestConfig, on_progress: OnProgress = quietly) -> IngestReport:
    """Return the report of bringing ``dataset`` up to date with ``source``.

    Raises:
        OmokageError: A setting, the source or the dataset is wrong, or the work could not go on; what was
            finished is kept, and the same call goes on from there.
    """
    began = time.perf_counter()
    job, folder = Job.of(source, config), Folder.at(dataset)
    check_apart(job.source, folder)
    listing = job.source.listing()
    data = _open(job, folder)
    run = Run()
    with data.locked():
        known = data.known()
        todo = changes.compare(listing, known)
        if todo.pending.num_rows:
            with cluster.connected(config.cluster):
                run = _run(job, data, todo.pending, on_progress, began)
        after = _commit(data, listing)
    return _report(job, after, todo, run, time.perf_counter() - began)


def _open(job: Job, folder: Folder) -> Dataset:
    """Return the dataset, made now if there is none; a new one's runtime is measured here, once."""
    runtime = job.config.runtime
    if runtime is None and not folder.exists(HEAD):
        device = "cuda" if job.config.cluster.gpus else "cpu"
        chosen = runtimes.choose(job.spec, threads=1, device=device).runtime
        runtime = chosen.name
        chosen.close()
    head = Head(source=job.source.url, recipe=job.recipe(), runtime=runtime or "")
    return Dataset.open_or_create(folder, head, job.config.moved)


def _run(job: Job, data: Dataset, pending: pa.Table, on_progress: OnProgress, began: float) -> Run:
    """Return what was spent on turning ``pending`` into shards."""
    pools = workers.plan(*cluster.capacity(job.config.cluster), job.config.workers)
    run = Run(workers=pools)
    on_progress(0, pending.num_rows)
    for shard in _shards(job, data, pending, pools):
        run.start_seconds = run.start_seconds or time.perf_counter() - began
        run.done += shard.pictures
        for stage, seconds in shard.seconds.items():
            run.stage_seconds[stage] = run.stage_seconds.get(stage, 0.0) + seconds
        on_progress(run.done, pending.num_rows)
    return run


def _shards(job: Job, data: Dataset, pending: pa.Table, pools: Workers) -> Iterator[Shard]:
    """Yield the shards as they are finished."""
    looker = LookerConfig(read=ReadConfig(root=job.source.root.url), look=job.look, weights=job.models)
    encode = EncodeConfig(spec=job.spec, runtime=job.config.runtime or data.head.runtime, threads=pools.encode_threads)
    stream = (
        pipeline.look(pending, looker, pools)
        .map_batches(
            Encoder,
            fn_constructor_kwargs={"config": encode},
            batch_format="pyarrow",
            batch_size=None if not pools.encode_gpus else pipeline.CHUNK,
            compute=ray.data.ActorPoolStrategy(size=pools.encode, max_tasks_in_flight_per_actor=pipeline.QUEUED),
            num_cpus=pools.encode_cpus,
            num_gpus=pools.encode_gpus or None,
        )
        .map_batches(
            partial(write_batch, WriteConfig(dataset=data.folder.url, dim=job.spec.dim)),
            batch_format="pyarrow",
            batch_size=None,
            compute=ray.data.TaskPoolStrategy(size=pools.write),
            num_cpus=pools.write_cpus,
        )
    )
    marks: pa.Table
    for marks in stream.iter_batches(batch_format="pyarrow", batch_size=None, prefetch_batches=0):
        yield from (Shard(**json.loads(mark)) for mark in marks["shard"].to_pylist())


class Encoder:
    """A worker that encodes."""

    def __init__(self, config: EncodeConfig) -> None:
        self.encode = Encode(config)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with embeddings."""
        return base.run([self.encode], batch)


def write_batch(config: WriteConfig, batch: pa.Table) -> pa.Table:
    """Return the mark of the shard that was written."""
    return Write(config)(batch)


def _commit(data: Dataset, listing: pa.Table) -> Dataset:
    """Return the dataset after making the finished shards and the listing its content.

    Raises:
        DatasetError: A listed picture is in no shard; nothing is committed then.
    """
    finished = data.finished()
    final = changes.compare(listing, data.known(), retry=False)
    if final.pending.num_rows:
        raise DatasetError(
            f"{final.pending.num_rows} pictures were lost on the way, first {final.pending['uri'][0]}: run it again"
        )
    if not finished and final.manifest.equals(data.manifest()):
        return data
    return data.commit(final.manifest, [*data.head.shards, *finished])


def _report(job: Job, data: Dataset, todo: changes.Changes, run: Run, seconds: float) -> IngestReport:
    manifest = data.manifest()
    kept, found = (int(pc.sum(manifest[name]).as_py() or 0) for name in ("kept", "found"))
    return IngestReport(
        source=job.source.url,
        dataset=data.folder.url,
        pictures=manifest.num_rows,
        status=by_status(manifest),
        reasons=tally(manifest["reason"]),
        identities=int(pc.count_distinct(manifest["identity"]).as_py()),
        faces=kept,
        faces_left_out=found - kept,
        done=run.done,
        new=todo.new,
        changed=todo.changed,
        retried=todo.retried,
        removed=todo.removed,
        seconds=round(seconds, 3),
        start_seconds=round(run.start_seconds, 3),
        stage_seconds={stage: round(s, 3) for stage, s in run.stage_seconds.items()},
        detector=job.config.detector,
        encoder=job.spec.name,
        runtime=job.config.runtime or data.head.runtime,
        workers=dataclasses.asdict(run.workers) if run.workers else {},
        licences=job.licences(),
        warnings=_warnings(job.config),
    )


def _warnings(config: IngestConfig) -> tuple[str, ...]:
    if config.detector == "mediapipe-tasks" and not can_block_network():
        return ("this kernel lets no process give up its network, so mediapipe can report its use to its maker",)
    return ()
