"""Pictures to faces with vectors outside a dataset, made as a dataset's are made. The one place where that is done.

Strangers' files are opened in child processes, as an ingest does; the encoder runs in this one. No Ray: whoever shows
two pictures must not wait for it, and a folder streams through as many children as there are cores.

Shape key: F faces of a picture, E numbers of an embedding.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema, weights
from omokage.errors import DatasetError
from omokage.flows.faces import FacesConfig
from omokage.index.cores import cores
from omokage.index.turns import in_turn
from omokage.source import entry, listed, written
from omokage.stages import base
from omokage.stages.encode import Encode, EncodeConfig
from omokage.stages.isolate import IsolateConfig, Isolated
from omokage.stages.read import PICTURES_AT_ONCE, Read, ReadConfig, parts
from omokage.storage import URL, Folder
from omokage.store import Dataset
from omokage.vision import runtimes
from omokage.vision.crop import Crop
from omokage.vision.encoder import EncoderSpec, load_spec
from omokage.vision.geometry import Template
from omokage.vision.origin import origin

MANY: Final = 256
"""Pictures from which on it pays to measure which runtime is the quickest here."""

AHEAD: Final = 2
"""Parts of a listing in hand for each child: one at work, one waiting or waited for."""

CHIP: Final = Template(name="arcface", size=112)
"""Nobody sees these chips; small ones cost least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """How a picture becomes faces with vectors: all that decides on them."""

    find: FacesConfig
    spec: EncoderSpec
    runtime: str = ""
    """What ran the encoder for the vectors to compare with; empty where there are none."""

    @classmethod
    def of(cls, encoder: str, detector: Mapping[str, Any] | None = None) -> "Sight":
        """Return the sight of an encoder, with the detector of a recipe or else the usual one.

        Raises:
            ConfigError: There is no such encoder.
        """
        find = FacesConfig() if detector is None else FacesConfig.of_recipe(detector)
        return cls(find=find, spec=load_spec(encoder))

    @classmethod
    def like(cls, data: Dataset, encoder: str | None = None) -> "Sight":
        """Return what makes of a picture what the dataset's ingest made of its own.

        Args:
            data: The dataset.
            encoder: TOML file of its encoder, where that is none of the built-in ones.

        Raises:
            ConfigError: There is no such encoder.
            DatasetError: That cannot be done here: it was made by another encoder, or not from pictures.
        """
        recipe = data.head.recipe
        if "detector" not in recipe:
            raise DatasetError(f"{data.folder.url} was not made from pictures: there is no way to encode one alike")
        name = encoder or recipe["encoder"]["name"]
        spec = load_spec(name)
        if origin(spec) != recipe["encoder"]:
            raise DatasetError(
                f"{data.folder.url} was encoded by {recipe['encoder']['name']} "
                f"({recipe['encoder']['sha256'][:12]}…), and not by {name}: give its TOML file with --encoder"
            )
        return cls(find=FacesConfig.of_recipe(recipe["detector"]), spec=spec, runtime=data.head.runtime)

    def licences(self) -> dict[str, str]:
        """Return the licence of every model file that is used."""
        return self.find.licences() | {self.spec.name: self.spec.licence}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in one picture; every face, as a person counts them: from left to right."""

    uri: str
    sha256: str | None
    reason: str | None
    """Why there are no faces (``schema.Reason``); None where there are some."""
    box_F4: NDArray[np.float32]
    """x0 y0 x1 y1 in px."""
    score_F: NDArray[np.float32]
    """Of the detector, in [0, 1]."""
    vector_FE: NDArray[np.float32]
    """Of length 1."""


class Eyes:
    """Children that look at pictures, and an encoder."""

    def __init__(self, pool: ThreadPoolExecutor, children: Sequence[Isolated], encode: Encode) -> None:
        self.pool = pool
        self.ahead = AHEAD * len(children)
        self.encode = encode
        self.free: SimpleQueue[Isolated] = SimpleQueue()
        for child in children:
            self.free.put(child)

    @property
    def runtime(self) -> str:
        """What runs the encoder."""
        return self.encode.embed.runtime.name

    def look(self, pictures: pa.Table, root: str) -> Iterator[pa.Table]:
        """Return listed pictures (``LISTED``) some at a time, in order, with their faces and ``embedding``.

        Every picture has its row; of one that gave no face it says why. Few are held at once.

        Args:
            pictures: What to look at. Of one that has an identity only the largest face is taken.
            root: Path or URL that relative uris start from.
        """
        read = Read(ReadConfig(root=root))
        return in_turn(self.pool, partial(self._faces, read), parts(pictures), self.ahead)

    def _faces(self, read: Read, part: pa.Table) -> pa.Table:
        opened = base.run([read], part)
        child = self.free.get()
        try:
            looked = child(opened)
        finally:
            self.free.put(child)
        return base.run([self.encode], looked)


@contextmanager
def looking(sight: Sight, pictures: int) -> Iterator[Eyes]:
    """Give what looks at so many pictures, more or less; it starts at once, and ends with the block.

    Raises:
        ConfigError: The encoder cannot be run here.
        WeightsError: A model file cannot be had.
    """
    sight.spec.weights_file()
    for name in sight.find.weights:
        weights.path(name)  # fetched now: a child has no network
    children = max(1, min(cores(), -(-pictures // PICTURES_AT_ONCE)))
    config = IsolateConfig(
        stage="omokage.stages.look:Look", config=sight.find.look(chip=CHIP, crop=Crop.of(sight.spec))
    )
    with ThreadPoolExecutor(children, thread_name_prefix="look") as pool:
        starting = [pool.submit(Isolated, config) for _ in range(children)]
        try:
            encode = Encode(
                EncodeConfig(spec=sight.spec, runtime=_runtime(sight, pictures), threads=min(cores(), max(1, pictures)))
            )
            yield Eyes(pool, [each.result() for each in starting], encode)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)  # a child that is closed while it works is started again
            for each in starting:
                if not each.cancelled() and each.exception() is None:
                    each.result().close()


def places(pictures: Sequence[str], root: Folder) -> pa.Table:
    """Return pictures that are given one by one as ``LISTED``, nobody's, in order; with a reason what is not there.

    Args:
        pictures: Paths, or URLs.
        root: What relative paths start from.
    """
    uris = [name if URL.match(name) else written(name) for name in pictures]
    return listed(map(partial(entry, root), uris))


def seen(looked: pa.Table, dim: int) -> Iterator[Seen]:
    """Yield what was seen in each picture of a table that ``Eyes.look`` gave."""
    ok_N = base.good(looked)
    good = looked.filter(pa.array(ok_N))
    end_N = np.zeros(len(ok_N) + 1, np.int64)
    end_N[1:][ok_N] = schema.counts(good)
    end_N = np.cumsum(end_N)
    box_A4 = schema.vectors(schema.flat(good["box"]), 4)
    score_A = schema.flat(good["score"]).to_numpy(zero_copy_only=False)
    vector_AE = schema.vectors(schema.flat(good["embedding"]), dim)
    rows = zip(*(looked[name].to_pylist() for name in ("uri", "sha256", "reason")), strict=True)
    for (uri, sha256, reason), start, end in zip(rows, end_N[:-1].tolist(), end_N[1:].tolist(), strict=True):
        order_F = start + np.lexsort((box_A4[start:end, 1], box_A4[start:end, 0]))
        yield Seen(uri, sha256, reason, box_A4[order_F], score_A[order_F], vector_AE[order_F])


def _runtime(sight: Sight, pictures: int) -> str:
    """Return what to run the encoder on: what made the vectors to compare with, where that can be on a CPU."""
    if sight.runtime and not runtimes.needs_card(sight.runtime):
        return sight.runtime
    if pictures < MANY:
        return runtimes.REFERENCE
    choice = runtimes.choose(sight.spec, threads=cores())
    choice.runtime.close()
    return choice.runtime.name
