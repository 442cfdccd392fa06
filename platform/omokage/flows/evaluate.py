"""Judge an encoder by a dataset: its vectors, who was trained on, all figures, a page, and where they are kept."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from omokage.assess import evaluation_page, kept, overlap, written
from omokage.assess.encoded import Encoded
from omokage.assess.evaluate_config import EvaluateConfig
from omokage.assess.evaluate_plan import EvaluatePlan, planned
from omokage.assess.evaluation import Evaluation
from omokage.assess.judge import evaluation
from omokage.assess.overlap import Training
from omokage.assess.shown import Examples, ShownConfig, examples
from omokage.assess.subject import Subject, subject
from omokage.assess.tracked import track
from omokage.errors import ConfigError, WorkError
from omokage.evaluate.drawing import Plot
from omokage.evaluate.stripes import pairs_told
from omokage.flows.encoded import EncodedConfig, encoded
from omokage.ledger.version import opened
from omokage.progress import OnProgress, quietly
from omokage.sheet.words import visible
from omokage.storage import Folder
from omokage.store import Dataset
from omokage.system import code
from omokage.tracking import place as tracking_place
from omokage.tracking.tracker import About


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateSettings:
    """Which encoder is judged, by which of the people, and where it is told."""

    encoder: str | None = None
    """Name of an encoder, or the TOML or .onnx file of one; by default the one that made the dataset's vectors. Vectors
    of another encoder are made of the stored chips, once."""
    trained_on: str | None = None
    """RUN of the training that gave the encoder: people and pictures that it was trained on are told. Found by itself
    where the encoder lies in its run's folder."""
    part: Literal["all", "train", "val", "test"] = "all"
    """Judge by the people of this part of the training's split alone; test: those whom the encoder never saw."""
    judge: EvaluateConfig = field(default_factory=EvaluateConfig)
    shown: ShownConfig = field(default_factory=ShownConfig)
    encode: EncodedConfig = field(default_factory=EncodedConfig)
    tracking: str | None = None
    """Where figures are tracked: sqlite:///FILE.db, http://SERVER:PORT, or "off". By default MLFLOW_TRACKING_URI, else
    a file in your data folder."""
    experiment: str = "omokage-evaluate"
    """Name under which MLflow lists this evaluation beside others."""

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        if self.part not in ("all", "train", "val", "test"):
            raise ConfigError(f"part must be all, train, val or test, got {self.part!r}")


@dataclass(frozen=True, kw_only=True)
class EvaluateReport:
    """What an evaluation told, and where it is."""

    folder: str
    evaluation: Evaluation
    files: tuple[str, ...]
    """Below the folder."""
    new: bool
    """Whether it was made now; otherwise it was there, of the same faces and settings."""
    tracked: str | None
    seconds: float
    warnings: tuple[str, ...] = ()
    """Of what is beside the figures; those of the figures are the evaluation's."""

    def json(self) -> str:
        """Return the report as one JSON object: the headline figures; ``report.json`` in the folder has all."""
        found = self.evaluation
        told = {
            "folder": self.folder,
            "files": self.files,
            "new": self.new,
            "dataset": found.dataset,
            "version": found.version,
            "encoder": found.encoder,
            "licence": found.licence,
            "faces": found.faces,
            "people": found.people_judged,
            "failed": found.failed,
            "genuine_pairs": found.verification.genuine,
            "impostor_pairs": found.verification.impostor,
            "figures": found.headline(),
            "identification_withheld": found.identification_withheld,
            "tracked": self.tracked,
            "seconds": self.seconds,
            "warnings": [*found.warnings, *self.warnings],
        }
        return json.dumps(told, ensure_ascii=False, allow_nan=False)

    def text(self) -> str:
        """Return the report for a person."""
        lines = [] if self.new else ["Nothing has changed since this evaluation was made: nothing was computed"]
        lines.append(self.evaluation.text())
        lines += [f"Note: {visible(warning)}" for warning in self.warnings]
        if self.evaluation.licence:
            lines.append(f"Licence of the encoder's weights: {self.evaluation.licence}")
        if self.tracked:
            lines.append(f"Tracked: {self.tracked}")
        return "\n".join([*lines, f"{self.folder}: {', '.join(self.files)}, {self.seconds:.1f} s"])


def evaluate(
    address: str,
    out: str | None = None,
    settings: EvaluateSettings | None = None,
    on_progress: OnProgress = quietly,
    on_plan: Callable[[EvaluatePlan], None] | None = None,
) -> EvaluateReport:
    """Return how an encoder does on DATASET[@VERSION], after writing it to a folder.

    Args:
        address: Of the dataset.
        out: Folder or s3:// prefix; by default one below the dataset, named by encoder, version and settings.
        settings: Which encoder, and how.
        on_progress: Told of faces that are encoded, then of pairs that are compared.
        on_plan: Told what will be compared, before it is.

    Raises:
        OmokageError: A setting, a list or the dataset is wrong, or the work could not go on.
    """
    began = time.monotonic()
    settings = settings or EvaluateSettings()
    tracking_place.resolve(settings.tracking)
    data, _ = opened(address)
    if out is not None:
        written.free(Folder.at(out), "evaluation", data.head.source)
    training = _training(settings)
    faces = _subject(address, data, training, settings, on_progress)
    key = kept.key(faces, settings.judge, settings.shown, training.head.split_sha256 if training else None)
    folder = Folder.at(out) if out is not None else kept.place(data.folder, faces, key)
    written.free(folder, "evaluation", data.head.source)
    there = written.read(folder)
    if there is not None and there.get("key") == key:
        return _report(folder, Evaluation.from_plain(there), settings, began)
    if on_plan:
        on_plan(planned(faces, settings.judge, more=int(settings.shown.pairs > 0)))
    found = evaluation(faces, settings.judge, on_progress)
    every = len(faces.label_N) * (len(faces.label_N) - 1) // 2 if settings.shown.pairs else 0
    with pairs_told(on_progress, every, "pairs to show"):
        seen = examples(faces, evaluation_page.worst(found), settings.shown)
    plots = _write(folder, key, found, seen)
    warnings = _track(folder, key, found, plots, settings) if tracking_place.resolve(settings.tracking) else ()
    return replace(_report(folder, found, settings, began), new=True, warnings=warnings)


def _training(settings: EvaluateSettings) -> Training | None:
    """Return the training that gave the encoder, where it is known.

    Raises:
        ConfigError: A part of its split is asked for, and it is not known.
        DatasetError: There is none, or it is damaged.
    """
    run = settings.trained_on or overlap.run_of(settings.encoder)
    if run is None and settings.part != "all":
        raise ConfigError(f"--part {settings.part} is of a training's split: give the training with --trained-on")
    return Training.at(run) if run is not None else None


def _subject(
    address: str, data: Dataset, training: Training | None, settings: EvaluateSettings, on_progress: OnProgress
) -> Subject:
    """Return the faces that are judged, with what there is to say of the encoder's training."""
    vectors: Encoded | None = None
    if settings.encoder is not None:
        vectors = encoded(data, settings.encoder, config=settings.encode, on_progress=on_progress)
    faces = subject(address, vectors)
    if training is None:
        return replace(faces, remarks=(*overlap.card_remark(settings.encoder), *faces.remarks))
    if settings.part != "all":
        faces = overlap.limited(faces, training, settings.part)
    return replace(faces, remarks=(*overlap.remarks(faces, training), *faces.remarks))


def _write(folder: Folder, key: str, found: Evaluation, seen: Examples) -> Mapping[str, Plot]:
    """Write everything, and return the plots."""
    plots = evaluation_page.plots(found)
    page = evaluation_page.document(found, plots, seen)
    report = json.dumps(json.loads(found.json()) | {"key": key, "code": code()}, ensure_ascii=False)
    try:
        folder.remove(written.REPORT)  # what is half written must not pass for the older one
        kept.write_tables(folder, found)
    except OSError as error:
        raise WorkError(f"cannot write {folder.url}: {error.strerror or error}; give another place for it") from error
    written.write(folder, "evaluation", report, page, plots)
    return plots


def _track(
    folder: Folder, key: str, found: Evaluation, plots: Mapping[str, Plot], settings: EvaluateSettings
) -> tuple[str, ...]:
    """Tell MLflow, and return what it did not take."""
    about = About(
        name=f"{found.encoder.get('name')} on {Path(found.given).name}",
        key=key[:32],
        experiment=settings.experiment,
        where=folder.url,
        dataset=found.given,
        digest=found.digest,
        context="evaluation",
        commit=code()["commit"] or "",
        params={"encoder": dict(found.encoder), "part": settings.part, **found.config},
        tags={"omokage.kind": "evaluation"},
    )
    return track(settings.tracking, about, found.metrics(), folder, plots)


def _report(folder: Folder, found: Evaluation, settings: EvaluateSettings, began: float) -> EvaluateReport:
    store = tracking_place.resolve(settings.tracking)
    return EvaluateReport(
        folder=folder.url,
        evaluation=found,
        files=tuple(folder.entries()),
        new=False,
        tracked=tracking_place.shown(store) if store else None,
        seconds=round(time.monotonic() - began, 3),
    )
