"""A trained network as files that others can use: ONNX with its description, safetensors, and a model card.

Shape key: N faces, C = 3 channels (RGB), H rows = W columns of a face, E numbers of an embedding.
"""

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from omokage import config as settings
from omokage.errors import ConfigError, WorkError
from omokage.storage import Folder
from omokage.train import model_card
from omokage.train.model import Embedder
from omokage.train.trained import Trained, framing, load
from omokage.vision import embedder as vision
from omokage.vision import runtimes
from omokage.vision.crop import Crop
from omokage.vision.encoder import EncoderSpec, load_spec

GRAPH: Final = "model.onnx"
DESCRIPTION: Final = "model.toml"
TENSORS: Final = "model.safetensors"
CARD: Final = "model.md"

FILES: Final = (GRAPH, TENSORS, CARD, DESCRIPTION)
"""In the order of writing: what describes the others comes last."""

OPSET: Final = 18
"""Of the graph's operators. torch's exporter writes it without translation, and every runtime of ours reads it."""

INPUT: Final = "faces"
OUTPUT: Final = "embedding"

TOLERANCE: Final = 1e-4
"""Largest difference, in any number of a unit vector, between the graph and the network."""

CHECKED: Final = 5
"""Faces that both are given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelReport:
    """What was exported."""

    run: str
    out: str
    files: tuple[str, ...]
    backbone: str
    best: bool
    """Whether it is the best on unseen people; otherwise that of the last epoch."""
    epoch: int | None
    """That gave it; null while the training goes on."""
    dim: int
    input_size: int
    """Side of the faces that it takes, px."""
    template: str
    padding: float
    cut: int
    """Side at which a face is cut out of its picture, px, before it is brought to ``input_size``: the chips' own."""
    sha256: str
    """Of the graph, by which vectors are told from those of other encoders."""
    difference: float
    """Largest, in any number of a unit vector, between the graph and the network."""
    licence: str
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        which = "best on unseen people" if self.best else "last"
        at = f", epoch {self.epoch}" if self.epoch is not None else "; the training has not ended"
        here = "COPY" if "://" in self.out else self.out  # an encoder is read from a disk
        return "\n".join(
            [
                f"{self.out}: {', '.join(self.files)}",
                f"{self.backbone} of {self.run} ({which}{at}), {self.dim} numbers a face of {self.input_size} px, "
                f"aligned to {self.template} with padding {self.padding:g}, cut at {self.cut} px",
                f"The graph differs from the network by {self.difference:.1e} at most; {self.seconds:.1f} s",
                f"Licence: {self.licence}",
                f"Encode with it: omokage ingest SOURCE DATASET --encoder {here}/{GRAPH}",
            ]
        )


def export(run: str, out: str, align: str | None = None, padding: float | None = None) -> ModelReport:
    """Write the model of a training to a folder, and return what was written.

    Args:
        run: The training's folder or s3:// prefix.
        out: Folder or s3:// prefix; an earlier export there is written over.
        align: Template of the chips, where the dataset does not know it.
        padding: Of that template.

    Raises:
        ConfigError: ``out`` holds other files, or the chips' template is not known.
        DatasetError: There is no such training, or it has no model yet.
        WorkError: The graph does not do what the network does.
    """
    began = time.monotonic()
    folder = Folder.at(out)
    others = sorted(set(folder.entries()) - set(FILES))
    if others:
        raise ConfigError(f"{folder.url} holds other files, such as {others[0]}: give a new or empty folder")
    trained = load(run)
    crop = framing(trained, align, padding)
    spec = description(trained, crop)
    made = {GRAPH: graph(trained.embedder), TENSORS: tensors(trained), DESCRIPTION: settings.to_toml(spec).encode()}
    with _written(made) as beside:
        ready = load_spec(str(beside / DESCRIPTION))
        difference = check(trained.embedder, ready)
        sha256 = ready.sha256()
    made[CARD] = model_card.markdown(trained, crop, spec.licence, sha256).encode()
    for name in FILES:
        folder.write(name, made[name])
    return ModelReport(
        run=trained.place,
        out=folder.url,
        files=FILES,
        backbone=trained.recipe.model.backbone,
        best=trained.best,
        epoch=trained.epoch,
        dim=spec.dim,
        input_size=spec.input_size,
        template=spec.template,
        padding=spec.padding,
        cut=crop.template.size,
        sha256=sha256,
        difference=difference,
        licence=spec.licence,
        seconds=round(time.monotonic() - began, 3),
    )


def description(trained: Trained, crop: Crop) -> EncoderSpec:
    """Return how faces must reach the graph; its weights lie beside the description."""
    seen, template = trained.embedder.input, crop.template
    return EncoderSpec(
        name=trained.place.rstrip("/").rpartition("/")[2] or "model",
        weights=GRAPH,
        licence=model_card.licence(trained),
        dim=trained.recipe.model.dim,
        input_size=seen.size,
        colour="RGB",
        template=template.name,
        padding=template.padding,
        cut=None if template.size == seen.size else template.size,
        jpeg=crop.jpeg,
        scale=1 / 255,
        mean=seen.mean,
        std=seen.std,
        input_name=INPUT,
        output_name=OUTPUT,
        batch="dynamic",
    )


def graph(embedder: Embedder) -> bytes:
    """Return the network as an ONNX graph: normalised faces (batch, 3, size, size) to unit vectors (batch, dim).

    The same network gives the same bytes, and nothing in them tells of the machine that wrote them.
    """
    side = embedder.input.size
    faces_NCHW = torch.zeros(2, 3, side, side)  # with 1, the batch would be taken for a constant
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            embedder.float().cpu().eval(),
            (faces_NCHW,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    return _plain(program.model_proto)


def tensors(trained: Trained) -> bytes:
    """Return the network's tensors as safetensors, with its config and origin as metadata."""
    state = {name: tensor.contiguous() for name, tensor in trained.embedder.state_dict().items()}
    said = {
        "config": settings.to_json(trained.recipe.model),
        "input": json.dumps(asdict(trained.embedder.input)),
        "run": json.dumps(asdict(trained.head), ensure_ascii=False),
        "licence": model_card.licence(trained),
    }
    return bytes(safetensors.torch.save(state, metadata={"format": "pt", **said}))


def check(embedder: Embedder, spec: EncoderSpec, runtime: str = runtimes.REFERENCE) -> float:
    """Return the largest difference between the network and its graph, given the same pictures as pixels.

    Args:
        embedder: The network.
        spec: The graph's description, as ``load_spec`` read it.
        runtime: What runs the graph.

    Raises:
        WorkError: It is above ``TOLERANCE``.
    """
    side = spec.input_size
    crops_NHW3 = np.random.default_rng(0).integers(0, 256, (CHECKED, side, side, 3), np.uint8)
    engine = runtimes.load(runtime, spec, threads=1)
    try:
        found_NE, _ = vision.Embedder(spec, engine)(crops_NHW3)
    finally:
        engine.close()
    wanted_NE = embed(embedder, torch.from_numpy(crops_NHW3))
    difference = float(np.abs(found_NE - wanted_NE.numpy()).max())
    if not difference <= TOLERANCE:
        raise WorkError(f"the graph gives other vectors than the network: they differ by {difference:.2g}")
    return difference


def embed(embedder: Embedder, crops_NHW3: Tensor) -> Tensor:
    """Return the network's vectors of RGB faces of its input size, values 0 to 255. Shape (N, E)."""
    with torch.no_grad():
        vectors_NE: Tensor = embedder(embedder.normalised(crops_NHW3.permute(0, 3, 1, 2).float() / 255))
        return vectors_NE


def _plain(model: Any) -> bytes:
    """Return a graph without what the exporter notes beside it: where in whose code each node comes from."""
    del model.metadata_props[:]
    model.doc_string = ""
    parts = [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output]
    for part in (*parts, *model.graph.initializer, *model.functions):
        del part.metadata_props[:]
        part.doc_string = ""
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _written(files: dict[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as beside:
        for name, data in files.items():
            (Path(beside) / name).write_bytes(data)
        yield Path(beside)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on its own inside from the person at the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
