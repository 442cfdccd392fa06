"""The faces of a dataset that are most like the faces in a picture."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.curate.found import Answer, AskedFace, SearchReport
from omokage.curate.gallery import ranked
from omokage.errors import ConfigError, SourceError
from omokage.flows.index import Index, up_to_date
from omokage.flows.look import Sight, looking, places
from omokage.index import plan
from omokage.index.cores import cores
from omokage.index.top import nearest
from omokage.source import resolver
from omokage.storage import Folder
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
    known = index.gallery.faces.select(["face_id", "uri", "identity"])

    def placed(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return ranked(known["face_id"].take(pa.array(rows)))

    rows, similarity = nearest(index.faces, index.head.coder, np.asarray(vector_D), top, index.alive_N, placed)
    resolve = resolver(index.data.head.source)
    found = known.take(pa.array(rows)).to_pylist()
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
    here = Folder.at(os.fspath(place.parent))
    with looking(Sight.like(data, config.encoder), 1) as eyes:
        (encoded,) = eyes.look(places([place.name], here), here.url)
    if encoded["reason"][0].as_py() or not len(schema.flat(encoded["box"])):
        raise SourceError(f"no face can be had from {picture}: {encoded['reason'][0].as_py() or 'none_found'}")
    return encoded
