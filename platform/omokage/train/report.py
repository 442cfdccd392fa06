"""What a training hands back."""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainReport:
    """What a training did, and what it gave."""

    run: str
    dataset: str
    version: str | None
    people: dict[str, int]
    """By part."""
    faces: dict[str, int]
    """By part."""
    backbone: str
    loss: str
    workers: int
    """Processes that trained."""
    device: str
    precision: str
    """With what it was chosen by."""
    epochs: int
    stopped_early: bool
    best: dict[str, Any] | None
    """Epoch, metric and value of the best model on unseen people; null where none were kept for that."""
    last: dict[str, Any]
    """What the last epoch gave."""
    model: str
    """Where the model is: the best, else the last."""
    broken: list[str]
    """Face ids of chips that could not be decoded; in training, others of the person stood in for them."""
    starts: int
    """How often the training was begun or taken up."""
    seconds: float
    """Of this command."""
    start_seconds: float
    """Of them, until the first step."""
    images_per_second: float
    """In training steps, over all epochs."""
    waiting: float
    """Share of the time of training steps in which they waited for pictures, [0, 1]."""
    licence: str
    """Of the weights that the training started from."""
    tracked: str | None = None
    """Where figures are tracked too."""
    warnings: tuple[str, ...] = ()

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        parts = [f"{part} {self.faces[part]:,} faces of {self.people[part]:,} people" for part in self.faces]
        end = "epoch" + "s" * (self.epochs != 1) + ", ended early: no better model came" * self.stopped_early
        at = f"@{self.version}" if self.version else ""
        lines = [
            f"{self.backbone} trained with {self.loss} on {self.dataset}{at}",
            f"  {'; '.join(parts)}",
            f"{self.epochs} {end}; {self.images_per_second:,.1f} images/s on {self.device} in {self.precision}, "
            f"{self.waiting:.1%} of the time waiting for pictures",
            f"{self.seconds:,.1f} s, {self.start_seconds:.1f} s of it start-up",
        ]
        if self.best:
            lines.append(
                f"Best on unseen people: epoch {self.best['epoch']}, {self.best['metric']} {self.best['value']:.4f}"
            )
        if "val_auc" in self.last:
            lines.append(f"Last: AUC {self.last['val_auc']:.4f}, EER {self.last['val_eer']:.4f}")
        if self.broken:
            some = ", ".join(self.broken[:3]) + (", …" if len(self.broken) > 3 else "")
            lines.append(
                f"Note: {len(self.broken):,} chips could not be decoded ({some}): in training others of the person "
                "stood in for them, and validation left them out"
            )
        lines += [f"Note: {warning}" for warning in self.warnings]
        if self.tracked:
            lines.append(f"Tracked in {self.tracked}")
        lines += [f"Licence of the first weights: {self.licence}", f"Model: {self.model}"]
        return "\n".join(lines)
