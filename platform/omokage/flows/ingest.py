"""A folder of pictures to a dataset of faces."""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from omokage import changes, weights
from omokage.apply.journal import refuse_unfinished
from omokage.errors import DatasetError
from omokage.flows import chosen, cluster, pipeline, workers
from omokage.flows.cluster import ClusterConfig
from omokage.flows.faces import FacesConfig
from omokage.flows.pipeline import LookerConfig
from omokage.flows.workers import Workers
from omokage.progress import OnProgress, quietly
from omokage.report import IngestReport, by_status, tally
from omokage.shards import Shard
from omokage.source import Source, check_apart
from omokage.stages import base
from omokage.stages.encode import Encode, EncodeConfig
from omokage.stages.isolate import can_block_network
from omokage.stages.look import LookConfig
from omokage.stages.read import ReadConfig
from omokage.stages.write import Write, WriteConfig
from omokage.storage import Folder
from omokage.store import Dataset, Head
from omokage.vision import encoder
from omokage.vision.crop import Crop
from omokage.vision.geometry import Template
from omokage.vision.origin import origin


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestConfig:
    """How pictures become a dataset of faces."""

    find: FacesConfig = field(default_factory=FacesConfig)
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
        look = config.find.look(
            chip=Template(name=config.align, size=config.chip_size, padding=config.padding),
            crop=Crop.of(spec),
        )
        for name in config.find.weights:
            weights.path(name)
        return cls(config=config, source=Source.at(source), spec=spec, look=look)

    def recipe(self) -> dict[str, Any]:
        """Return everything that decides what a picture's faces are."""
        find = self.config.find
        return {
            "encoder": origin(self.spec),
            "detector": find.recipe(),
            "faces": find.faces,
            "chip": self.look.align.chip.tag,
        }

    def licences(self) -> dict[str, str]:
        """Return the licence of every model file that is used."""
        return self.config.find.licences() | {self.spec.name: self.spec.licence}


@dataclass(slots=True)
class Run:
    """What happened while Ray was at work."""

    runtime: str = ""
    workers: Workers | None = None
    done: int = 0
    began: float = 0.0
    """When the first picture was read, in seconds since 1970."""
    ended: float = 0.0
    """When the last shard was done."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, shard: Shard) -> None:
        """Count a finished shard."""
        self.ended = time.time()
        self.began = min(self.began or shard.began, shard.began)
        self.done += shard.pictures
        for stage, seconds in shard.seconds.items():
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds


def ingest(source: str, dataset: str, config: IngestConfig, on_progress: OnProgress = quietly) -> IngestReport:
    """Return the report of bringing ``dataset`` up to date with ``source``.

    Raises:
        OmokageError: A setting, the source or the dataset is wrong, or the work could not go on; what was
            finished is kept, and the same call goes on from there.
    """
    began = time.time()
    job, folder = Job.of(source, config), Folder.at(dataset)
    check_apart(job.source, folder)
    refuse_unfinished(folder)
    listing = job.source.listing()
    data = Dataset.open_or_create(folder, Head(source=job.source.url, recipe=job.recipe()), config.moved)
    run = Run(runtime=data.head.runtime)
    with data.locked():
        todo = changes.compare(listing, data.known())
        if todo.pending.num_rows:
            with cluster.connected(config.cluster):
                data = _run(job, data, todo.pending, run, on_progress)
        data = _commit(data, listing)
    return _report(job, data, todo, run, began)


def _run(job: Job, data: Dataset, pending: pa.Table, run: Run, on_progress: OnProgress) -> Dataset:
    """Return the dataset after turning ``pending`` into shards, with what that took noted in ``run``."""
    run.workers = workers.plan(*cluster.capacity(job.config.cluster), job.config.workers, job.config.find.detect_on)
    run.runtime = job.config.runtime or chosen.runtime(job.spec, data.head.runtime, run.workers, run.warnings)
    if not data.head.runtime:
        data = data.encoded_by(run.runtime)
    on_progress(0, pending.num_rows, "pictures")
    for shard in _shards(job, data, pending, run.workers, run.runtime):
        run.add(shard)
        on_progress(run.done, pending.num_rows, "pictures")
    return data


def _shards(job: Job, data: Dataset, pending: pa.Table, pools: Workers, runtime: str) -> Iterator[Shard]:
    """Yield the shards as they are finished."""
    looker = LookerConfig(read=ReadConfig(root=job.source.root.url), look=job.look, weights=job.config.find.weights)
    encode = EncodeConfig(spec=job.spec, runtime=runtime, threads=pools.encode_threads)
    encoded = pipeline.look(pending, looker, pools).map_batches(
        Encoder,
        fn_constructor_kwargs={"config": encode},
        batch_format="pyarrow",
        batch_size=pipeline.CHUNK if pools.encode_gpus else None,  # Ray wants a number where there is a GPU
        compute=ray.data.ActorPoolStrategy(size=pools.encode, max_tasks_in_flight_per_actor=pipeline.QUEUED),
        num_cpus=pools.encode_cpus,
        num_gpus=pools.encode_gpus or None,
    )
    write = Write(WriteConfig(dataset=data.folder.url, dim=job.spec.dim))
    yield from (Shard(**mark) for mark in pipeline.write(encoded, write, pools))


class Encoder:
    """A worker that encodes."""

    def __init__(self, config: EncodeConfig) -> None:
        self.encode = Encode(config)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with embeddings."""
        return base.run([self.encode], batch)


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


def _report(job: Job, data: Dataset, todo: changes.Changes, run: Run, began: float) -> IngestReport:
    running = run.ended - run.began
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
        seconds=round(time.time() - began, 3),
        start_seconds=round(max(0.0, run.began - began), 3),
        running_seconds=round(running, 3),
        pictures_per_second=round(run.done / running, 2) if running else 0.0,
        stage_seconds={stage: round(s, 3) for stage, s in run.stage_seconds.items()},
        detector=job.config.find.detector,
        encoder=job.spec.name,
        runtime=run.runtime,
        workers=dataclasses.asdict(run.workers) if run.workers else {},
        licences=job.licences(),
        warnings=(*_warnings(job.config), *run.warnings),
    )


def _warnings(config: IngestConfig) -> tuple[str, ...]:
    if config.find.detector == "mediapipe-tasks" and not can_block_network():
        return ("this kernel lets no process give up its network, so mediapipe can report its use to its maker",)
    return ()
