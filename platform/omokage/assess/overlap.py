"""People and pictures that an encoder was trained on and is judged by: such figures flatter it.

Shape key: N faces of the subject.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from omokage.assess.subject import Subject
from omokage.errors import ConfigError, DatasetError, StorageError
from omokage.sheet.words import count, visible
from omokage.store import Dataset

if TYPE_CHECKING:
    from omokage.train.run import RunHead

Part = Literal["all", "train", "val", "test"]

HEAD: Final = "run.json"
"""The file that makes a folder a training: ``omokage.train.run``, which takes seconds to load."""

KNOWN: Final = {"train": "learnt from", "val": "chose the best model by"}
"""Parts of a split whose people an encoder must not be judged by, and what it did with them."""

CARD: Final = re.compile(r"^- Split: .*SHA-256 ([0-9a-f]{64})", re.MULTILINE)
"""How a model card that ``omokage.train.model_card`` wrote names the split."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Which faces an encoder was trained on."""

    run: str
    """The training's folder."""
    head: "RunHead"
    split: pa.Table
    """``schema.SPLIT``, and sha256 of each picture; null where it is no longer known."""
    remarks: tuple[str, ...]

    @classmethod
    def at(cls, place: str) -> "Training":
        """Return a training.

        Raises:
            DatasetError: There is none, or it is damaged.
        """
        from omokage.train.run import Run

        run = Run.at(place)
        head = run.head()
        if head is None:
            raise DatasetError(f"{run.folder.url} holds no training: it has no {HEAD}")
        split = run.split(head)
        empty = pa.schema([("face_id", pa.string()), ("sha256", pa.string())]).empty_table()
        try:
            listed = [table.cast(empty.schema) for table in Dataset.open(head.dataset).faces(empty.column_names)]
        except (DatasetError, StorageError):
            listed = []
        known = pa.concat_tables([empty, *listed])
        at = pc.index_in(split["face_id"], value_set=known["face_id"])
        gone = (
            f"{head.dataset}, which {run.folder.url} was trained on, is not there: that the same pictures are in both "
            "is told by their places alone"
        )
        return cls(
            run=run.folder.url,
            head=head,
            split=split.append_column("sha256", known["sha256"].take(at)),
            remarks=() if listed else (gone,),
        )

    def faces(self, part: Part) -> list[str]:
        """Return the ids of the faces of a part."""
        found: list[str] = self.split["face_id"].filter(pc.equal(self.split["part"], part)).to_pylist()
        return found


def remarks(subject: Subject, training: Training) -> tuple[str, ...]:
    """Return what there is to say of people and pictures that are in both, a line for each part of the split."""
    told = list(training.remarks)
    same = training.head.dataset == subject.dataset
    for part, did in KNOWN.items():
        mine = training.split.filter(pc.equal(training.split["part"], part))
        names = set(mine["identity"].to_pylist())
        people = sum(name in names for name in subject.people[: subject.named])
        files = pc.or_(
            pc.is_in(subject.faces["sha256"], value_set=mine["sha256"].drop_null()),
            pc.is_in(subject.faces["face_id"], value_set=mine["face_id"]),
        )
        pictures = pc.count_distinct(subject.faces["uri"].filter(files)).as_py()
        if people or pictures:
            alike = "" if same else " (people of the same name; it was trained on another dataset)"
            leave = ". --part test leaves them out" if same and people else ""
            told.append(
                f"{count(people, 'person', 'people')}{alike} and {count(pictures, 'picture')} of those judged here are "
                f"among those that {visible(training.run)} {did}: these figures flatter the encoder{leave}"
            )
    return tuple(told)


def limited(subject: Subject, training: Training, part: Part) -> Subject:
    """Return the faces of one part of a training's split.

    Raises:
        ConfigError: The training was on another dataset, or none of its part's faces is here.
    """
    ids = training.faces(part)
    if training.head.dataset != subject.dataset:
        raise ConfigError(
            f"{training.run} was trained on {training.head.dataset}, not on {subject.dataset}, which has no part {part}"
        )
    here = pc.sum(pc.is_in(subject.faces["face_id"], value_set=pa.array(ids, pa.string()))).as_py() or 0
    if not here:
        raise ConfigError(f"none of the {len(ids):,} faces of the part {part} of {training.run} is in {subject.given}")
    return subject.only(ids, f"judged are the people of the part {part} of {training.run} alone: {here:,} faces")


def run_of(encoder: str | None) -> str | None:
    """Return the folder of the training that an encoder's file lies in, as ``RUN/model/model.onnx``."""
    if encoder is None or not Path(encoder).suffix:
        return None
    run = Path(encoder).expanduser().absolute().parent.parent
    return str(run) if (run / HEAD).is_file() else None


def card_remark(encoder: str | None) -> tuple[str, ...]:
    """Return what there is to say where a model card tells of a training that is not known here."""
    if encoder is None or not Path(encoder).suffix:
        return ()
    try:
        found = CARD.search(Path(encoder).expanduser().with_suffix(".md").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ()
    if found is None:
        return ()
    return (
        f"the encoder's model card tells of a training with the split {found[1][:12]}…: give its folder with "
        "--trained-on, and it is told which of these people the encoder knows",
    )
