"""What training is measured against, each in a process of its own that prints one JSON object.

``python -m tests.bench.train_peers WAY WHERE [STEPS]``:

- ``plain FOLDER``: the single-file loop that people write today, over a folder a person: ImageFolder, DataLoader with
  two workers, transforms of torchvision, a triplet loss of pytorch-metric-learning, Adam.
- ``memory RUN``: our network, loss and optimiser, on batches that lie in memory as the network takes them.
- ``bare RUN``: our whole loop, called as a function: no Ray.
- ``judge RUN``: how well the last model of a training tells its test part apart, and the network that it started from,
  and the encoder of the dataset.
- ``gain SEARCH NUMBER``: how well the best models of a search's base settings and of a trial tell its test part apart,
  whom no trial has seen, and the difference.

RUN is the folder of a training that ``omokage train`` has begun or ended.
"""

import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from omokage.evaluate.verification import Verification, verification
from omokage.store import Dataset
from omokage.train import lesson as lessons
from omokage.train.batches import Batches
from omokage.train.learner import Learner
from omokage.train.loader import Batch, Loader
from omokage.train.loop import LAST
from omokage.train.loop import train as teach
from omokage.train.model import Embedder
from omokage.train.run import Run
from omokage.train.split import labels
from omokage.train.state import loaded
from omokage.train.trained import load
from omokage.train.tuned import Search
from omokage.train.validate import INTERVALS, Judged, difference

BACKBONE = "tf_efficientnetv2_b0"
SIDE, DIM, BATCH, OF_EACH = 192, 512, 64, 4
WARM_UP = 2
"""Steps before the clock starts."""

THREADS = 2


def plain(where: str, steps: int) -> dict[str, Any]:
    """Train with what is at hand, and return images a second."""
    import timm

    changed = transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(8),
            transforms.RandomResizedCrop(SIDE, scale=(0.85, 1.0)),
            transforms.ColorJitter(0.25, 0.25, 0.25, 0.025),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    data = ImageFolder(where, changed)
    sampler = MPerClassSampler(data.targets, OF_EACH, BATCH, length_before_new_iter=BATCH * (steps + WARM_UP))
    loader = DataLoader(data, BATCH, sampler=sampler, num_workers=2)
    network = timm.create_model(BACKBONE, pretrained=False, num_classes=DIM)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    criterion = TripletMarginLoss()
    times = [time.perf_counter()]
    for pixels, label in loader:
        optimiser.zero_grad()
        criterion(nn.functional.normalize(network(pixels)), label).backward()
        optimiser.step()
        times.append(time.perf_counter())
    return _rate(times, BATCH)


def memory(where: str, steps: int) -> dict[str, Any]:
    """Take the steps of a run on batches in memory; print images a second after each epoch, and wait to go on."""
    lesson = _lesson(where)
    train_N, people = labels(lesson.table, "train")
    some = Batches(train_N, lesson.recipe.batches, 0)
    learner = _InMemory(lesson.recipe, len(people), some.steps, lesson.device, lesson.start)
    loader = Loader(lesson.chips, train_N, learner.embedder.input.size, THREADS)
    batches = list(loader(some.epoch(0)))
    learner.ready = {id(batch): learner.made(batch) for batch in batches}
    for _ in range(lesson.recipe.loop.epochs):
        began = time.perf_counter()
        for batch in batches:
            learner.step([batch], torch.Generator()).loss.item()
        images = sum(len(batch.rows) for batch in batches)
        _tell({"images_per_second": images / (time.perf_counter() - began)})
    return {}


class _InMemory(Learner):
    """A learner whose batches were made ready before."""

    ready: dict[int, Tensor]

    def made(self, batch: Batch) -> Tensor:
        return super().prepared(batch, torch.Generator().manual_seed(0))

    def prepared(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor:
        return self.ready[id(batch)]


def bare(where: str, steps: int) -> dict[str, Any]:
    """Run our loop to its end without Ray; print what it says after each epoch, and wait to go on."""
    teach(_lesson(where), on_epoch=_tell)
    return {}


def _tell(line: dict[str, Any]) -> None:
    """Print a line and stop until told to go on (``turns``)."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGSTOP)


def judge(where: str, steps: int) -> dict[str, Any]:
    """Return the figures of the last model, of the network that it started from, and of the dataset's encoder."""
    lesson = _lesson(where)
    test_N, people = labels(lesson.table, "test")
    row_N = np.flatnonzero(test_N >= 0)
    said = loaded(lesson.folder, LAST)
    found: dict[str, Any] = {"people": len(people), "faces": len(row_N)}
    for name, state in (("trained", said["model"]), ("untrained", lesson.start)):
        torch.manual_seed(lesson.recipe.loop.seed)
        network = Embedder(lesson.recipe.model)
        if state is not None:
            network.load_state_dict(state)
        loader = Loader(lesson.chips, test_N, network.input.size, THREADS)
        embedding_NE = torch.cat(list(_embedded(network.eval(), loader, row_N)))
        found[name] = _figures(verification(embedding_NE.numpy(), test_N[row_N]))
    head = Run.at(where).head()
    assert head is not None
    faces = pa.concat_tables(Dataset.open(head.dataset).faces(["face_id", "embedding"]))
    order = {face: row for row, face in enumerate(faces["face_id"].to_pylist())}
    picked = [order[lesson.chips.face_id(int(row))] for row in row_N]
    vector_NE = np.array(faces["embedding"].take(picked).to_pylist(), np.float32)
    found["encoder"] = _figures(verification(vector_NE, test_N[row_N]))
    return found


def gain(where: str, number: int) -> dict[str, Any]:
    """Return what a trial has more than the base settings on people whom the search has not looked at."""
    search = Search.at(where)
    sure: dict[int, dict[str, Any]] = {}
    for each in (0, number):
        lesson, network = _lesson(search.place(each)), load(search.place(each)).embedder
        test_N, people = labels(lesson.table, "test")
        row_N = np.flatnonzero(test_N >= 0)
        loader = Loader(lesson.chips, test_N, network.input.size, THREADS)
        embedding_NE, label_N = torch.cat(list(_embedded(network, loader, row_N))), test_N[row_N]
        found = verification(embedding_NE.numpy(), label_N)
        judged = Judged(
            metrics=found.metrics(),
            figures=asdict(found),
            embedding_NE=embedding_NE,
            label_N=torch.from_numpy(label_N),
        )
        sure[each] = judged.sure(THREADS)
    more = {name: difference(sure[0], sure[number], name) for name in judged.metrics}
    return {
        "people": len(people),
        "base": {name: sure[0][INTERVALS]["figures"][name]["value"] for name in judged.metrics},
        "best": {name: sure[number][INTERVALS]["figures"][name]["value"] for name in judged.metrics},
        "gain": {name: each and asdict(each) for name, each in more.items()},
    }


def _figures(found: Verification) -> dict[str, float | None]:
    return {"auc": found.auc, "eer": found.eer, "tar": found.tar_at(1e-2)}


@torch.no_grad()
def _embedded(network: Embedder, loader: Loader, row_N: NDArray[np.int64]) -> Iterator[Tensor]:
    for batch in loader((row_N[at : at + BATCH] for at in range(0, len(row_N), BATCH)), replace=False):
        yield network(network.normalised(batch.pixels_BCHW.float() / 255))


def _lesson(where: str) -> lessons.Lesson:
    """Return what a worker of ``omokage train`` would have been given."""
    return lessons.lesson(Run.at(where), token="0" * 8, device=torch.device("cpu"), threads=THREADS)


def _rate(times: list[float], size: int) -> dict[str, Any]:
    """Return the rate of the steps after the first ones: by all of their time, and by the median step."""
    steps = np.diff(times)[WARM_UP:]
    return {"rate": size * len(steps) / float(steps.sum()), "median": size / statistics.median(steps.tolist())}


WAYS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "plain": plain,
    "memory": memory,
    "bare": bare,
    "judge": judge,
    "gain": gain,
}


def main() -> None:
    """Run one peer."""
    way, where, *steps = sys.argv[1:]
    torch.set_num_threads(THREADS)
    sys.stdout.write(json.dumps(WAYS[way](where, int(steps[0]) if steps else 0)))


if __name__ == "__main__":
    main()
