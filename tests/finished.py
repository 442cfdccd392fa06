"""Folders of trainings that look finished: a small network of random numbers, with all that a run says of itself."""

import dataclasses
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from omokage import config as settings
from omokage.evaluate.verification import verification
from omokage.storage import Folder
from omokage.store import Dataset, Head
from omokage.train import run as runs
from omokage.train.loop import BEST, BEST_FIGURES, LAST
from omokage.train.model import Embedder, ModelConfig, build
from omokage.train.recipe import Recipe
from omokage.train.run import Run, RunHead
from omokage.train.validate import Judged

VERSION_SHA256 = "5" * 64


def network(**settings_: Any) -> Embedder:
    """Return a network whose batch norms have seen faces, so that it tells them apart."""
    torch.manual_seed(0)
    config = ModelConfig(**{"backbone": "test_resnet", "from_scratch": True, "dim": 16, "input_size": 64} | settings_)
    made = build(config)
    for part in made.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.reset_running_stats()
            part.momentum = None  # the plain mean
    with torch.no_grad():
        for _ in range(3):
            made.train()(torch.rand(16, 3, made.input.size, made.input.size) * 2 - 1)
    return made.eval()


def dataset(url: str, chip: str | None = "dlib-1/224/0.1") -> Dataset:
    """Return a dataset of which there is nothing but its head."""
    recipe: dict[str, Any] = {"encoder": {"name": "sface", "sha256": "0" * 64, "dim": 128}}
    return Dataset.open_or_create(
        Folder.at(url), Head(source="/nowhere", recipe=recipe | ({"chip": chip} if chip else {}))
    )


def training(url: str, data: Dataset, made: Embedder, best: bool = True, ended: bool = True, **model: Any) -> Run:
    """Write the folder of a training that gave ``made``; return it.

    Args:
        url: Where.
        data: What it was trained on.
        made: The network.
        best: Whether it was judged.
        ended: Whether the training is over.
        model: What of the network's config the run says otherwise.
    """
    parts = ["train"] * 6 + ["val"] * 4 + ["test"] * 2
    table = pa.table({"face_id": [f"{n:04d}" for n in range(12)], "identity": list("aabbccddeefg"), "part": parts})
    data_bytes, sha256 = runs.table_bytes(table)
    recipe = Recipe(model=dataclasses.replace(made.config, **model))
    head = RunHead(
        dataset=data.folder.url,
        version="v1",
        version_sha256=VERSION_SHA256,
        generation=3,
        split_sha256=sha256,
        recipe=runs.plain(recipe),
        code={"omokage": "0.1.0", "commit": "c0ffee"},
        key="0" * 32,
        notes=("a note | of the <split>",),
    )
    run = Run.at(url)
    run.begin(head, settings.to_toml(recipe), data_bytes, None)
    sink = io.BytesIO()
    torch.save({"model": made.state_dict(), "config": settings.to_json(made.config)}, sink)
    run.folder.write(BEST if best else LAST, sink.getvalue())
    if best:
        run.folder.write(BEST_FIGURES, json.dumps(judged().sure(1)).encode())
    if ended:
        report = {"best": {"epoch": 7} if best else None, "last": {"epoch": 9}}
        run.folder.write(runs.REPORT, json.dumps(report).encode())
    return run


def judged() -> Judged:
    """Return how well 20 people with 3 faces each are told apart."""
    rng = np.random.default_rng(0)
    vector_NE = np.repeat(rng.standard_normal((20, 16)), 3, axis=0) + rng.standard_normal((60, 16))
    unit_NE = torch.nn.functional.normalize(torch.from_numpy(vector_NE.astype(np.float32)), dim=1)
    label_N = torch.arange(20).repeat_interleave(3)
    found = verification(unit_NE.numpy(), label_N.numpy(), threads=1)
    return Judged(metrics=found.metrics(), figures=dataclasses.asdict(found), embedding_NE=unit_NE, label_N=label_N)
