"""Age and sex of a subject's people as two models estimate them from the chips; never more than estimates.

A person's estimates are the means over all of their faces: those of single pictures scatter.

Shape key: N faces, P people who have a face, B faces at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.assess.subject import Subject
from omokage.errors import DatasetError
from omokage.index.cores import cores
from omokage.progress import OnProgress
from omokage.sheet.words import count
from omokage.store import Dataset
from omokage.vision import codec
from omokage.vision.attributes import AGE, LIMITS, SEX, Attributes, Face
from omokage.vision.recut import framed

COLUMNS: Final = ["face_id", "chip", "landmarks", "box"]

AT_ONCE: Final = 256
"""Faces in hand."""

SURE: Final = 0.75
"""Mean share of the likelier sex below which a person is put into no group."""

SHORT: Final = 0.01
"""Share of what a model looks at that may lie outside a chip without a word."""


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What the models see in a subject's people."""

    years_N: NDArray[np.float64]
    """NaN where there was no chip to look at; also below."""
    female_N: NDArray[np.float64]
    """Share that the model gives to female: no calibrated probability."""
    years_P: NDArray[np.float64]
    female_P: NDArray[np.float64]
    remarks: tuple[str, ...]

    @property
    def sexes(self) -> tuple[str, ...]:
        """Of each person: female, male or, where the model is not sure, nothing."""
        return tuple(
            "female" if share >= SURE else "male" if share <= 1 - SURE else ""  # NaN is neither
            for share in self.female_P.tolist()
        )

    def plain(self) -> dict[str, Any]:
        """Return what a report says of the models."""
        used = [{"name": spec.name, "sha256": spec.sha256(), "licence": spec.licence} for spec in (AGE, SEX)]
        unsure = sum(not sex for sex in self.sexes)
        return {"models": used, "people_without_a_sure_sex": unsure, "sure": SURE, "limits": list(LIMITS)}


def estimated(subject: Subject, threads: int | None, on_progress: OnProgress) -> Estimated:
    """Return what the models see in the chips of a subject's faces.

    Args:
        subject: The faces; their chips are read from its dataset.
        threads: To work on; all cores by default.
        on_progress: Told how many faces were looked at.

    Raises:
        ConfigError: How the dataset's chips frame a face is not known.
        DatasetError: There is no chip of any of the faces.
        WeightsError: The models cannot be had.
    """
    data = Dataset.open(subject.dataset)
    models = Attributes(framed(data.head.recipe.get("chip")), threads or cores())
    years_N, female_N = np.full((2, subject.faces.num_rows), np.nan)
    done = 0
    try:
        for row_B, faces in _chips(data, subject):
            found = models(faces)
            years_N[row_B], female_N[row_B] = found.years_N, found.female_N
            done += len(row_B)
            on_progress(done, len(years_N), "faces estimated")
    finally:
        models.close()
    if np.isnan(years_N).all():
        raise DatasetError(f"{subject.dataset} has no chips of these faces, and estimates are made of chips")
    return Estimated(
        years_N=years_N,
        female_N=female_N,
        years_P=_means(years_N, subject),
        female_P=_means(female_N, subject),
        remarks=_remarks(models.outside, int(np.isnan(years_N).sum())),
    )


def _chips(data: Dataset, subject: Subject) -> Iterator[tuple[NDArray[np.int64], list[Face]]]:
    """Yield rows of the subject, and their chips, landmarks and boxes, so many at once."""
    ids = subject.faces["face_id"].combine_chunks()
    for table in data.faces(COLUMNS):
        row = pc.index_in(table["face_id"], value_set=ids)
        mine = table.filter(pc.is_valid(row))
        row_F = row.drop_null().to_numpy()
        for start in range(0, len(row_F), AT_ONCE):
            yield from _read(row_F[start : start + AT_ONCE], mine.slice(start, AT_ONCE))


def _read(row_B: NDArray[np.int64], table: pa.Table) -> list[tuple[NDArray[np.int64], list[Face]]]:
    landmarks_B52 = schema.vectors(schema.whole(table["landmarks"]), 10).reshape(-1, 5, 2)
    box_B4 = schema.vectors(schema.whole(table["box"]), 4)
    rows, faces = [], []
    for row, chip, landmarks_52, box_4 in zip(row_B, table["chip"].to_pylist(), landmarks_B52, box_B4, strict=True):
        try:
            faces.append((codec.decode(chip), landmarks_52, box_4))
        except codec.PictureError:
            continue  # imported without pictures
        rows.append(row)
    return [(np.array(rows), faces)] if rows else []


def _means(value_N: NDArray[np.float64], subject: Subject) -> NDArray[np.float64]:
    """Return the mean of each person's faces that have a value."""
    there_N = ~np.isnan(value_N)
    label_n = subject.label_N[there_N]
    count_P = np.bincount(label_n, minlength=subject.named)
    sum_P = np.bincount(label_n, value_N[there_N], minlength=subject.named)
    with np.errstate(invalid="ignore"):
        mean_P: NDArray[np.float64] = sum_P / count_P
    return mean_P


def _remarks(outside: float, without: int) -> tuple[str, ...]:
    remarks = []
    if without:
        remarks.append(f"{count(without, 'face has', 'faces have')} no chip, and no estimates")
    if outside > SHORT:
        remarks.append(
            f"{outside:.0%} of what the age and sex models look at lies outside these chips and was filled in from "
            "their edges, so that estimates are worse than those models can give: chips with --padding 0.2 have it all"
        )
    return tuple(remarks)
