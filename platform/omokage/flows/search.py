"""The faces of a dataset that are most like the faces in a picture."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from omokage import schema
from omokage.curate.found import Answer, AskedFace, SearchReport
from omokage.errors import ConfigError, DatasetError, SourceError
from omokage.flows.faces import FacesConfig
from omokage.flows.index import Index, up_to_date
from omokage.flows.ingest import IngestConfig, Job
from omokage.index import plan
from omokage.index.threads import cores
from omokage.index.top import nearest
from omokage.source import resolver
from omokage.stages import base
from omokage.stages.encode import Encode, EncodeConfig
from omokage.stages.isolate import IsolateConfig, Isolated
from omokage.stages.read import Read, ReadConfig
from omokage.store import Dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """How to search."""

    top: int = 10
    """Answers for each face in the picture, 1 or more."""
    encoder: str | None = None
    """TOML file of the dataset's encoder, where it is none of the built-in ones."""

    def __post_init__(self) -> None:
        """Reject what has no answer."""
        if self.top < 1:
            raise ConfigError(f"top must be at least 1, got {self.top}")


def search(dataset: str, picture: str, config: SearchConfig) -> SearchReport:
    """Return the faces most like each face in a picture.

    Raises:
        SourceError: There is no such picture, or no face can be had from it.
        DatasetError: The dataset was made by another encoder.
    """
    data = Dataset.open(dataset)
    looked = _looked(data, picture, config)
    with data.locked():
        index = up_to_date(data, plan.speed(data.dim, cores()))
    vectors_FD = schema.vectors(schema.flat(looked["embedding"]), data.dim)
    boxes = schema.flat(looked["box"]).to_pylist()
    faces = tuple(
        AskedFace(box=tuple(round(x, 1) for x in box), answers=_answers(index, vector_D, config.top))
        for box, vector_D in zip(boxes, vectors_FD, strict=True)
    )
    return SearchReport(dataset=data.folder.url, picture=picture, searched=int(index.alive_N.sum()), faces=faces)


def _answers(index: Index, vector_D: Any, top: int) -> tuple[Answer, ...]:
    rows, similarity = nearest(index.faces, index.head.coder, np.asarray(vector_D), top, index.alive_N)
    resolve = resolver(index.data.head.source)
    found = index.gallery.faces.select(["face_id", "uri", "identity"]).take(pa.array(rows)).to_pylist()
    return tuple(
        Answer(
            similarity=round(float(near), 6),
            identity=face["identity"],
            face_id=face["face_id"],
            uri=face["uri"],
            path=resolve(face["uri"]),
        )
        for near, face in zip(similarity, found, strict=True)
    )


def _looked(data: Dataset, picture: str, config: SearchConfig) -> pa.Table:
    """Return one row with the picture's faces and their embeddings, made as the dataset's were."""
    place = Path(picture).absolute()
    if not place.is_file():
        raise SourceError(f"there is no picture at {picture}")
    job = _job(data, place, config)
    listed = pa.Table.from_pylist([{"uri": place.name, "size": place.stat().st_size}], schema.LISTED)
    read = base.run([Read(ReadConfig(root=str(place.parent)))], listed)
    looked = Isolated(IsolateConfig(stage="omokage.stages.look:Look", config=job.look))(read)
    encode = Encode(EncodeConfig(spec=job.spec, runtime=data.head.runtime or "onnxruntime", threads=cores()))
    encoded = base.run([encode], looked)
    if encoded["reason"][0].as_py() or not len(schema.flat(encoded["box"])):
        raise SourceError(f"no face can be had from {picture}: {encoded['reason'][0].as_py() or 'none_found'}")
    return encoded


def _job(data: Dataset, place: Path, config: SearchConfig) -> Job:
    """Return the job that makes of the picture what the dataset's ingest made of its own.

    Raises:
        DatasetError: That cannot be done here.
    """
    recipe = data.head.recipe
    if "detector" not in recipe:
        raise DatasetError(f"{data.folder.url} was not made from pictures: there is no way to encode one alike")
    detector = recipe["detector"]
    find = FacesConfig(detector=detector["name"], min_score=detector["min_score"], min_side=detector["min_side"])
    encoder = config.encoder or recipe["encoder"]["name"]
    job = Job.of(os.fspath(place.parent), IngestConfig(find=find, encoder=encoder))
    if job.recipe()["encoder"] != recipe["encoder"]:
        raise DatasetError(
            f"{data.folder.url} was encoded by {recipe['encoder']['name']} "
            f"({recipe['encoder']['sha256'][:12]}…), and not by {encoder}: give its TOML file with --encoder"
        )
    return job
