"""A folder of pictures to a folder of aligned ones, for people who want files."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import pyarrow.compute as pc

from omokage import weights
from omokage.flows import cluster, pipeline, workers
from omokage.flows.cluster import ClusterConfig
from omokage.flows.faces import FacesConfig
from omokage.flows.pipeline import LookerConfig
from omokage.progress import OnProgress, quietly
from omokage.report import CropReport
from omokage.source import Source, check_apart
from omokage.stages.export import Export, ExportConfig
from omokage.stages.read import ReadConfig
from omokage.storage import Folder
from omokage.vision.geometry import Template


@dataclass(frozen=True, kw_only=True, slots=True)
class CropConfig:
    """How pictures are cut."""

    size: int = 400
    """Side of the written pictures, in pixels."""
    padding: float = 0.1
    """Room around the face, as a share of its side."""
    align: Literal["dlib", "arcface", "margin"] = "dlib"
    """Template."""
    find: FacesConfig = field(default_factory=FacesConfig)
    workers: int | None = None
    """Processes that detect; one a CPU by default."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


def crop(source: str, out: str, config: CropConfig, on_progress: OnProgress = quietly) -> CropReport:
    """Return the report of cutting every face of ``source`` into the folder tree ``out``.

    Written again over its own earlier output, the result is the same; nothing else in ``out`` is touched.

    Raises:
        OmokageError: A setting or the source is wrong, or the work could not go on.
    """
    began = time.perf_counter()
    pictures, folder = Source.at(source), Folder.at(out)
    check_apart(pictures, folder)
    chip = Template(name=config.align, size=config.size, padding=config.padding)
    looker = LookerConfig(
        read=ReadConfig(root=pictures.root.url), look=config.find.look(chip, None), weights=config.find.weights
    )
    for name in looker.weights:
        weights.path(name)
    listing = pictures.listing()
    openable = listing.filter(pc.is_null(listing["reason"]))
    reasons = Counter(listing["reason"].drop_null().to_pylist())
    done, files = 0, 0
    with cluster.connected(config.cluster):
        pools = workers.plan(*cluster.capacity(config.cluster), config.workers, config.find.detect_on)
        export = Export(ExportConfig(out=folder.url))
        for mark in pipeline.write(pipeline.look(openable, looker, pools), export, pools):
            done, files = done + mark["pictures"], files + mark["files"]
            reasons.update(mark["reasons"])
            on_progress(done, openable.num_rows, "pictures")
    return CropReport(
        source=pictures.url,
        out=folder.url,
        pictures=listing.num_rows,
        files=files,
        reasons=dict(reasons.most_common()),
        seconds=round(time.perf_counter() - began, 3),
        licences=config.find.licences(),
    )
