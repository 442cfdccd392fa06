"""An evaluation that was written to a folder, opened to be put beside another.

Shape key: R draws.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from omokage.assess import written
from omokage.assess.evaluation import FORMAT, Evaluation
from omokage.assess.kept import DRAWS
from omokage.errors import DatasetError
from omokage.evaluate.bootstrap import Intervals
from omokage.evaluate.identification import RANK_ONE, Identification, fnir_name
from omokage.storage import Folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """An evaluation with all that is needed to pair it with another."""

    place: str
    """Its folder."""
    evaluation: Evaluation
    searches: dict[int, Intervals]
    """By size of gallery: the figures of 1:N with their draws."""

    @classmethod
    def of(cls, place: str, evaluation: Evaluation) -> "Judged":
        """Return an evaluation with its figures of 1:N as intervals."""
        found = {each.size: _intervals(evaluation, each) for each in evaluation.identification}
        return cls(place=place, evaluation=evaluation, searches=found)

    @classmethod
    def opened(cls, place: str) -> "Judged":
        """Return the evaluation in a folder.

        Raises:
            DatasetError: There is none, or it is damaged.
            StorageError: The storage cannot be reached.
        """
        folder = Folder.at(place)
        report = written.read(folder)
        if report is None or report.get("kind") != "evaluation":
            kind = f"it holds {report.get('kind', 'something')}" if report else f"it has no {written.REPORT}"
            raise DatasetError(
                f"{folder.url} is no evaluation ({kind}): give the folder that omokage evaluate wrote, such as "
                "DATASET/evaluations/NAME"
            )
        if report.get("format") != FORMAT:
            raise DatasetError(f"{folder.url} was written by another version of omokage: evaluate again")
        try:
            return cls.of(folder.url, Evaluation.from_plain(report, _draws(folder)))
        except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            raise DatasetError(f"the evaluation in {folder.url} is damaged ({error}): evaluate again") from error


def _draws(folder: Folder) -> dict[str, Any]:
    """Return the draws of every figure; none where they are not there any more."""
    try:
        table = pq.read_table(pa.BufferReader(folder.read(DRAWS)))
    except FileNotFoundError:
        return {}
    return {name: table[name].to_numpy() for name in table.column_names}


def _intervals(evaluation: Evaluation, found: Identification) -> Intervals:
    """Return the figures of a gallery as those of 1:1 are."""
    figures = {RANK_ONE: found.rank_one} | {fnir_name(point.fpir): point.fnir for point in found.points}
    return Intervals(
        people=found.mated_people,
        units=found.mated_people,
        config=evaluation.intervals.config,
        key=f"{evaluation.same['searches']}/{evaluation.intervals.key}",
        figures={name: told for name, told in figures.items() if told is not None},
        draws=evaluation.search_draws.get(found.size, {}),
    )
