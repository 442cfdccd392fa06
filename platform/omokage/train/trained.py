"""What a training has left: the network, and all that is known of how it came about."""

import json
from dataclasses import dataclass
from typing import Any, Final

from omokage import config as settings
from omokage.errors import ConfigError, DatasetError, WorkError
from omokage.stages.align import JPEG_QUALITY
from omokage.store import Dataset
from omokage.train.loop import BEST, BEST_FIGURES, LAST
from omokage.train.model import Embedder, ModelConfig
from omokage.train.pretrained import differences
from omokage.train.recipe import Recipe
from omokage.train.run import HEAD, Run, RunHead
from omokage.train.split import counts
from omokage.train.state import loaded
from omokage.vision.crop import Crop
from omokage.vision.geometry import TEMPLATES, Template
from omokage.vision.recut import template_of

BROKEN: Final = (ValueError, KeyError, TypeError, RuntimeError, AttributeError, WorkError)
"""What reading a file that is not what we wrote can end in."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network at rest, on the CPU, and where it comes from."""

    place: str
    """The run's folder."""
    embedder: Embedder
    best: bool
    """Whether it is the best on unseen people; otherwise that of the last epoch."""
    head: RunHead
    recipe: Recipe
    people: dict[str, int]
    """By part."""
    faces: dict[str, int]
    """By part."""
    figures: dict[str, Any] | None
    """How well it tells the people of the validation part apart (``Verification``); None where it was not judged."""
    epoch: int | None
    """That gave it; None while the training goes on."""


def load(place: str) -> Trained:
    """Return what the training in ``place`` has left so far.

    Raises:
        DatasetError: There is no training, or one that is damaged or has no model yet.
        StorageError: The storage cannot be reached.
    """
    run = Run.at(place)
    head = run.head()
    if head is None:
        raise DatasetError(f"{run.folder.url} holds no training: it has no {HEAD}")
    name = BEST if run.folder.exists(BEST) else LAST
    try:
        recipe = settings.from_dict(Recipe, head.recipe, HEAD)
        said = loaded(run.folder, name)
        embedder = Embedder(settings.from_json(ModelConfig, said["config"]))
        wrong = differences(embedder.state_dict(), said["model"])
        if wrong:
            raise WorkError(f"it is of another network than {embedder.config.backbone}: {'; '.join(wrong)}")
        embedder.load_state_dict(said["model"])
        figures = json.loads(run.folder.read(BEST_FIGURES)) if name == BEST else None
    except FileNotFoundError as error:
        raise DatasetError(f"{run.folder.url} has no model yet: the first comes at the end of an epoch") from error
    except (*BROKEN, ConfigError) as error:
        raise DatasetError(f"the model in {run.folder.place(name)} cannot be used: {error}") from error
    people, faces = ({part: n for part, n in by.items() if n} for by in counts(run.split(head)))
    return Trained(
        place=run.folder.url,
        embedder=embedder.eval().requires_grad_(False),
        best=name == BEST,
        head=head,
        recipe=recipe,
        people=people,
        faces=faces,
        figures=figures,
        epoch=_epoch(run, name == BEST),
    )


def framing(trained: Trained, align: str | None = None, padding: float | None = None) -> Crop:
    """Return how a face must be cut to look like those that it was trained on: as chips were, then made smaller.

    Args:
        trained: A network.
        align: Template to state where the dataset does not know it.
        padding: Of that template.

    Raises:
        ConfigError: It is not known and not stated.
        DatasetError: The dataset is no longer where it was, and nothing is stated.
    """
    size = trained.embedder.input.size
    if align is not None:
        return Crop(template=Template(name=align, size=size, padding=padding or 0.0), size=size)
    tag = Dataset.open(trained.head.dataset).head.recipe.get("chip")
    template = template_of(tag)
    if template is None:
        raise ConfigError(
            f"what frames the faces that {trained.place} was trained on is not known (chips: {tag or 'unknown'}); "
            f"say it with --align {'|'.join(TEMPLATES)} and --padding"
        )
    return Crop(template=template, size=size, jpeg=JPEG_QUALITY)


def _epoch(run: Run, best: bool) -> int | None:
    report = run.report()
    if report is None:
        return None
    return int(report["best"]["epoch"] if best else report["last"]["epoch"])
