"""The vectors that another encoder gives a dataset's faces, made of their chips and kept beside its own.

A shard is a piece of work: its vectors are written at once, so that what a killed run finished is found by the next.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
import ray.data

from omokage import schema
from omokage.assess import encoded as kept
from omokage.assess.encoded import CUT, PLACE, Encoded, EncodedHead, place_of, read_part, write_part
from omokage.errors import ConfigError, DatasetError
from omokage.flows import chosen, cluster, pipeline, workers
from omokage.flows.cluster import ClusterConfig
from omokage.flows.workers import Workers
from omokage.progress import OnProgress, quietly
from omokage.shards import Shard, read_table
from omokage.stages.encode import EncodeConfig
from omokage.stages.recode import READS, Recode, RecodeConfig
from omokage.storage import Folder
from omokage.store import Dataset
from omokage.vision.crop import Crop
from omokage.vision.encoder import EncoderSpec, load_spec
from omokage.vision.geometry import GeometryError, Template
from omokage.vision.origin import origin
from omokage.vision.recut import Recut, framed

SHARE: Final = 0.9
"""Of all CPUs, what the encoders book: Ray wants some of its own."""

FACES: Final = 256
"""Of one piece of work, at least: small shards go together."""

LOOKED_AT: Final = 256
"""Faces by which it is told what chips lack."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedConfig:
    """How stored faces get the vectors of another encoder."""

    runtime: str | None = None
    """What runs the encoder; by default what ran it before here, or the quickest on this machine that is right."""
    from_chips: bool = False
    """Make vectors of the chips also where the dataset has vectors of this encoder, which were made of the pictures: so
    that two encoders are compared on the very same pixels."""
    align: Literal["arcface", "dlib", "margin"] | None = None
    """Template of the chips, where the dataset does not know it."""
    padding: float | None = None
    """Of that template, as a share of a chip's side, 0 to 4; only with align."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self) -> None:
        """Reject what frames no chip."""
        if self.padding is not None and self.align is None:
            raise ConfigError("padding is that of a template: give align, too")
        if self.align is not None:
            Template(name=self.align, padding=self.padding or 0.0)


def encoded(
    data: Dataset,
    encoder: str,
    folder: Folder | None = None,
    config: EncodedConfig | None = None,
    on_progress: OnProgress = quietly,
) -> Encoded:
    """Return the vectors that an encoder gives the faces of a dataset; what is not there yet is made of their chips.

    Args:
        data: The dataset.
        encoder: Name of an encoder, or the TOML or .onnx file of one.
        folder: Where vectors of all encoders are kept; by default below the dataset, in ``encoded``.
        config: How they are made.
        on_progress: Told of faces.

    Raises:
        ConfigError: There is no such encoder, or how the chips frame a face is not known.
        DatasetError: The dataset has no chips, or the folder is damaged.
        WorkError: The work could not go on; what is finished is kept, and the same call goes on from there.
    """
    config = config or EncodedConfig()
    spec = load_spec(encoder)
    entry = origin(spec)
    if entry == data.head.recipe["encoder"] and not config.from_chips:
        return replace(Encoded.of(data), licence=spec.licence)
    place = folder or data.folder.below(PLACE)
    job = _Job.of(data, spec, entry, place, config)
    done = kept.parts(job.folder)
    todo = [shard for shard in data.head.shards if shard.faces and shard.name not in done]
    made, warnings = 0, list[str]()
    if todo:
        job.check_chips(todo)
        with contextlib.nullcontext() if ray.is_initialized() else cluster.connected(config.cluster):
            made = job.run(todo, done, warnings, on_progress)
        done = kept.parts(job.folder)
    return job.result(done, made, warnings)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """What is to be made of what."""

    data: Dataset
    spec: EncoderSpec
    chip: Template
    head: EncodedHead
    folder: Folder
    config: EncodedConfig

    @classmethod
    def of(
        cls, data: Dataset, spec: EncoderSpec, entry: dict[str, Any], place: Folder, config: EncodedConfig
    ) -> "_Job":
        chip = framed(data.head.recipe.get("chip"), config.align, config.padding)
        spec.weights_file()
        tag = data.head.recipe.get("chip") or chip.tag
        head = EncodedHead(encoder=entry, chip=tag, cut=CUT, licence=spec.licence, runtime="")
        return cls(data=data, spec=spec, chip=chip, head=head, folder=place.below(place_of(entry, tag)), config=config)

    def run(self, todo: Sequence[Shard], done: dict[str, str], warnings: list[str], on_progress: OnProgress) -> int:
        """Make the vectors of some shards, and return how many faces were encoded."""
        pools = workers.plan(*cluster.capacity(self.config.cluster))
        before = kept.begun(self.folder, self.head)
        runtime = self.config.runtime or chosen.runtime(self.spec, before.runtime if before else "", pools, warnings)
        kept.begin(self.folder, replace(self.head, runtime=runtime))
        whole, seen, made = sum(shard.faces for shard in todo), 0, 0
        on_progress(0, whole, "faces")
        for mark in self._marks(_pieces(self._orders(todo, done)), pools, runtime):
            seen, made = seen + mark["faces"], made + mark["made"]
            on_progress(seen, whole, "faces")
        self._sweep()
        return made

    def result(self, done: dict[str, str], made: int, warnings: list[str]) -> Encoded:
        """Return the vectors.

        Raises:
            DatasetError: Those of a shard were lost on the way.
        """
        shards, said = self.data.head.shards, kept.begun(self.folder, self.head)
        lost = [shard.name for shard in shards if shard.faces and shard.name not in done]
        if lost:
            raise DatasetError(f"the vectors of {len(lost)} shards are not in {self.folder.url}: run it again")
        return Encoded(
            encoder=self.head.encoder,
            licence=self.spec.licence,
            runtime=said.runtime if said else "",
            own=False,
            data=self.data,
            folder=self.folder,
            files=tuple(done[shard.name] if shard.faces else "" for shard in shards),
            made=made,
            remarks=(*self._remarks(), *warnings),
        )

    def check_chips(self, todo: Sequence[Shard]) -> None:
        """Check that there are chips, by the first shard.

        Raises:
            DatasetError: There are none.
        """
        chips = read_table(self.data.folder, todo[0].file("faces"), ["chip"])["chip"]
        if not pc.any(pc.greater(pc.binary_length(chips), 0)).as_py():
            raise DatasetError(
                f"{self.data.folder.url} has vectors only and no chips, so that {self.spec.name} can encode nothing: "
                "ingest its pictures with that encoder"
            )

    def _orders(self, todo: Sequence[Shard], done: dict[str, str]) -> list[dict[str, Any]]:
        """Return what is to be made: shards, each with the parts of former shards that hold vectors of its faces.

        An ingest that removes a picture writes its shard anew, under another name, with the same faces otherwise.
        """
        live = {shard.name for shard in self.data.head.shards}
        former = [file for name, file in done.items() if name not in live]
        ids = [schema.whole(read_part(self.folder, file)["face_id"]) for file in former]
        known = pa.concat_arrays([pa.array([], pa.string()), *ids])
        owner_K = np.repeat(np.arange(len(former)), [len(each) for each in ids])
        orders = []
        for shard in todo:
            lent: list[str] = []
            if former:
                mine = read_table(self.data.folder, shard.file("faces"), ["face_id"])["face_id"]
                at = pc.index_in(mine, value_set=known).drop_null().to_numpy()
                lent = [former[owner] for owner in np.unique(owner_K[at]).tolist()]
            orders.append({"shard": shard.name, "faces": shard.faces, "lent": lent})
        return orders

    def _marks(self, pieces: list[pa.Table], pools: Workers, runtime: str) -> Iterator[dict[str, Any]]:
        """Yield what became of each shard, as they are finished."""
        cpus = pools.cpus * SHARE / pools.encode
        encode = EncodeConfig(spec=self.spec, runtime=runtime, threads=pools.encode_threads)
        recode = RecodeConfig(encode=encode, chip=self.chip)
        ends = ray.data.from_blocks(pieces).map_batches(
            Recoder,
            fn_constructor_kwargs={"recode": recode, "data": self.data.folder.url, "out": self.folder.url},
            batch_format="pyarrow",
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(
                size=min(pools.encode, len(pieces)), max_tasks_in_flight_per_actor=pipeline.QUEUED
            ),
            num_cpus=int(cpus * 100) / 100,
            num_gpus=pools.encode_gpus or None,
        )
        yield from pipeline.marks(ends)

    def _sweep(self) -> None:
        """Remove vectors of shards that the dataset no longer has."""
        live = {shard.name for shard in self.data.head.shards}
        for shard, file in kept.parts(self.folder).items():
            if shard not in live:
                self.folder.remove(file)

    def _remarks(self) -> Iterator[str]:
        """Yield what these vectors cannot give exactly."""
        yield (
            f"{self.spec.name}'s vectors were made of the stored chips ({self.head.chip}, JPEG), not of the pictures: "
            "after an ingest with it they would be slightly other ones"
        )
        recut = Recut(chip=self.chip, crop=Crop.of(self.spec))
        outside, enlarged = _lacking(recut, self.data)
        if outside >= 0.01:
            yield (
                f"{outside:.0%} of what {self.spec.name} wants to see of a face lies outside the chips, whose edges "
                "are repeated there: its figures are worse than after an ingest with it"
            )
        if enlarged >= 1.1:
            yield f"the chips are enlarged {enlarged:.1f} times for {self.spec.name}, which wants finer ones"


def _lacking(recut: Recut, data: Dataset) -> tuple[float, float]:
    """Return the mean share of a face that lies outside its chip, and how many times chips are enlarged."""
    if recut.whole:
        return 0.0, recut.crop.size / recut.chip.size
    found = []
    shard = next((shard for shard in data.head.shards if shard.faces), None)
    if shard is not None:
        table = read_table(data.folder, shard.file("faces"), ["landmarks", "box"]).slice(0, LOOKED_AT)
        for landmarks, box in zip(table["landmarks"].to_pylist(), table["box"].to_pylist(), strict=True):
            with contextlib.suppress(GeometryError):
                matrix_23 = recut.matrix(np.reshape(landmarks, (5, 2)), np.array(box))
                found.append((recut.outside(matrix_23), recut.enlarged(matrix_23)))
    outside, enlarged = np.mean(found or [(0.0, 1.0)], axis=0)
    return float(outside), float(enlarged)


def _pieces(orders: Sequence[dict[str, Any]]) -> list[pa.Table]:
    """Return the orders as tables, each of some ``FACES`` faces or of one big shard."""
    kind = pa.schema([("shard", pa.string()), ("faces", pa.int64()), ("lent", pa.list_(pa.string()))])
    pieces: list[list[dict[str, Any]]] = [[]]
    for order in orders:
        if sum(each["faces"] for each in pieces[-1]) >= FACES:
            pieces.append([])
        pieces[-1].append(order)
    return [pa.Table.from_pylist(piece, kind) for piece in pieces]


class Recoder:
    """A worker: encodes the faces of shards, and writes their vectors."""

    def __init__(self, recode: RecodeConfig, data: str, out: str) -> None:
        self.recode = Recode(recode)
        self.data, self.out = Folder.at(data), Folder.at(out)

    def __call__(self, orders: pa.Table) -> Iterator[pa.Table]:
        """Yield the mark of each shard, whose vectors then lie where they belong."""
        for order in orders.to_pylist():
            made = self._shard(order["shard"], order["lent"])
            yield pa.table({"mark": [json.dumps({"faces": order["faces"], "made": made})]})

    def _shard(self, name: str, lent: Sequence[str]) -> int:
        """Write the vectors of a shard, and return how many faces were encoded for it."""
        shard = Shard(name, 0, 0, 0, {})
        faces = read_table(self.data, shard.file("faces"), ["face_id", *READS])
        ids = schema.whole(faces["face_id"])
        vectors_ND = np.zeros((len(ids), self.recode.embed.spec.dim), np.float32)
        new_N = np.ones(len(ids), bool)
        for file in lent:
            part = read_part(self.out, file)
            at = pc.index_in(ids, value_set=schema.whole(part["face_id"]))
            row = np.flatnonzero(at.is_valid().to_numpy(zero_copy_only=False))
            taken = part["embedding"].take(at.drop_null())
            vectors_ND[row] = schema.vectors(schema.whole(taken), vectors_ND.shape[1])
            new_N[row] = False
        vectors_ND[new_N] = self.recode(faces.filter(pa.array(new_N)) if lent else faces)  # a filter copies the chips
        write_part(self.out, name, ids, schema.fixed(vectors_ND))
        return int(new_N.sum())
