"""Find what is wrong in a dataset: one person in two folders, one shot several times, strangers, leaks."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from omokage import schema
from omokage.curate.calibrate import Calibration, calibrate
from omokage.curate.collisions import CollisionConfig, Judge
from omokage.curate.found import Collided, FindReport, Plan
from omokage.curate.gallery import NOBODY, Gallery
from omokage.curate.histogram import plot
from omokage.curate.matches import Matches
from omokage.curate.outliers import OutlierConfig, outliers
from omokage.curate.same_face import SameFaceConfig, same_face
from omokage.errors import ConfigError, DatasetError
from omokage.flows import collisions, leaks
from omokage.flows.cluster import ClusterConfig
from omokage.flows.collisions import Found, JoinSettings
from omokage.flows.find_config import RESERVED, FindConfig
from omokage.flows.find_plan import planned
from omokage.flows.findings import Findings, write_csv
from omokage.flows.index import Index, guest, same_origin, up_to_date
from omokage.index import plan, product
from omokage.index.threads import Start, aside, cores
from omokage.progress import OnProgress, quietly
from omokage.report import tally
from omokage.source import resolver
from omokage.store import Dataset

LONGEST: Final = 900.0
"""Seconds that comparing all pairs may take where lists do not reach the recall."""


def find(
    dataset: str,
    config: FindConfig,
    on_progress: OnProgress = quietly,
    on_plan: Callable[[Plan], None] | None = None,
) -> FindReport:
    """Return the report of what is wrong in a dataset, after writing it to its folder ``findings``.

    Raises:
        OmokageError: A setting or a dataset is wrong, or the work could not go on; finished parts are kept.
    """
    data = Dataset.open(dataset)
    other = Dataset.open(config.against) if config.against and "leaks" in config.kinds else None
    if other is not None:
        same_origin(data, other)
    if not any(shard.faces for shard in data.head.shards):
        raise DatasetError(f"{data.folder.url} has no faces: run omokage ingest first")
    with data.locked():
        return _Finder(data, other, config, on_progress, on_plan).run()


class _Finder:
    """One run."""

    def __init__(
        self,
        data: Dataset,
        other: Dataset | None,
        config: FindConfig,
        on_progress: OnProgress,
        on_plan: Callable[[Plan], None] | None,
    ) -> None:
        self.data = data
        self.other = other
        self.config = config
        self.on_progress = on_progress
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.device = config.device or product.device()
        self.speed = plan.speed(data.dim, cores(), self.device)
        self.plan = planned(data, config, self.speed)
        if on_plan:
            on_plan(self.plan)
        with self._timed("index"):
            self.index = up_to_date(data, self.speed, on_progress=on_progress)
        self._check_room()
        self.findings = Findings(self.index.work)

    @property
    def gallery(self) -> Gallery:
        return self.index.gallery

    def run(self) -> FindReport:
        """Return the report of all that was asked for."""
        config, kinds = self.config, self.config.kinds
        found: dict[str, object] = {}
        calibration = None
        if "collisions" in kinds:
            with aside() as start:
                judge = start(self._judge) if self._roomy else None
                calibration = self._calibration()
                with self._timed("collisions"):
                    found["collisions"] = self._collisions(calibration, judge, start)
        elif "leaks" in kinds:
            calibration = self._calibration()
        if "leaks" in kinds:
            with self._timed("leaks"):
                found["leaks"], found["leak_kinds"] = self._leaks(calibration)
        if "same-face" in kinds:
            with self._timed("same-face"):
                found["same_face"] = self._same_face()
        if "outliers" in kinds:
            with self._timed("outliers"):
                found["outliers"], found["mixed"] = self._outliers()
        report = FindReport(
            dataset=self.data.folder.url,
            source=self.data.head.source,
            plan=self.plan,
            nobody=self._nobody(),
            unusable=self.index.unusable,
            added=self.index.added,
            against=config.against,
            encoder=self.data.head.recipe["encoder"],
            seconds={name: round(seconds, 3) for name, seconds in self.seconds.items()},
            warnings=tuple(self._notes()),
            **found,  # type: ignore[arg-type]
            files=tuple(self.findings.files),
        )
        self.findings.data("report.json", report.json().encode())
        return report

    def _check_room(self) -> None:
        """Leave a GPU that is too small for the codes to others.

        Raises:
            ConfigError: It was asked for.
        """
        codes = sum(segment.codes_NE.nbytes for segment in self.index.faces.segments)
        if product.fits(codes, self.device):
            return
        said = f"the GPU has no room for {codes / 1e9:.1f} GB of codes"
        if self.config.device:
            raise ConfigError(f"{said}: take --device cpu")
        self.warnings.append(f"{said}, and is not used")
        self.device = "cpu"

    def _nobody(self) -> int:
        """Return how many faces have no identity."""
        return int((self.index.alive_N & (self.gallery.label_N == NOBODY)).sum())

    def _notes(self) -> Iterator[str]:
        if nobody := self._nobody():
            yield f"{nobody:,} faces belong to nobody, and are looked for in leaks only"
        if self.index.unusable:
            yield f"{self.index.unusable:,} faces have a vector that is zero or not a number, and are left out"
        yield from self.warnings

    def _calibration(self) -> Calibration | None:
        """Return the dataset's calibration, or None where no two people can be compared and a threshold is given."""
        with self._timed("calibration"):
            if known := collisions.remembered(self.index, self.config.fmr):
                return known
            try:
                return calibrate(self.gallery, self.config.fmr)
            except ConfigError as error:
                self.warnings.append(str(error))
                return None

    def _join_settings(self, threshold: float) -> JoinSettings:
        config = self.config
        return JoinSettings(
            threshold=threshold,
            recall=config.recall,
            most=config.most_pairs,
            memory=config.bytes - RESERVED,
            where=ClusterConfig(address=config.address),
            device=self.device,
        )

    def _threshold(self, calibration: Calibration | None) -> float | None:
        if self.config.threshold is not None:
            return self.config.threshold
        return calibration.threshold if calibration else None

    @property
    def _roomy(self) -> bool:
        """Whether there is memory for looking at people beside the join."""
        return 4 * self.data.dim * len(self.index.faces) <= self.config.bytes - RESERVED

    def _judge(self) -> Judge:
        return Judge(self.gallery, CollisionConfig())

    def _collisions(
        self, calibration: Calibration | None, judge: Future[Judge] | None, start: Start
    ) -> Collided | None:
        """Return what was found, written.

        Args:
            calibration: If there is one.
            judge: Who knows the people, or will, if somebody is at it already.
            start: Starts what goes on beside.
        """
        threshold = self._threshold(calibration)
        if threshold is None:
            return None
        drawn = start(partial(plot, calibration, threshold)) if calibration else None
        found = self._reached(
            lambda wanted: collisions.collisions(self.index, wanted, calibration, self.on_progress), threshold
        )
        matches = Matches(found.parts, self.gallery, threshold)
        hits = matches.hits()
        writing = start(partial(self._written, matches))
        pairs = schema.COLLISION_PAIRS.empty_table()
        if calibration is not None:
            pairs = (judge.result() if judge else self._judge()).pairs(hits, threshold)
        rows = writing.result()
        self.findings.table("collision_pairs", pairs)
        if drawn:
            self.findings.data("histogram.png", drawn.result())
        return self._collided(found, threshold, calibration, rows, pairs)

    def _written(self, matches: Matches) -> int:
        """Return how many pairs of faces were written."""
        tables = matches.tables()
        if self.config.csv:
            tables = write_csv(self.config.csv, tables, resolver(self.data.head.source))
        return self.findings.tables("collisions", schema.COLLISIONS, tables)

    def _reached(self, attempt: Callable[[JoinSettings], Found | None], threshold: float) -> Found:
        """Return what an attempt finds: with more lists where the first ones cannot reach the recall, then with one.

        Where comparing all would take too long, the most that lists can give is taken, and said.
        """
        wanted = self._join_settings(threshold)
        if (found := attempt(wanted)) is not None:
            return found
        lists = 2 * self.index.head.lists
        self._rebuilt(lists)
        if (found := attempt(wanted)) is not None:
            return found
        if plan.exact_seconds(self.plan.faces, self.speed.pairs) <= LONGEST:
            self._rebuilt(1)
        else:
            self.warnings.append(f"{lists:,} lists do not reach a recall of {wanted.recall}: see what was measured")
        found = attempt(replace(wanted, take_what_comes=True))
        assert found is not None
        return found

    def _rebuilt(self, lists: int) -> None:
        with self._timed("index"):
            self.index = up_to_date(self.data, self.speed, rebuild=True, lists=lists, on_progress=self.on_progress)

    def _collided(
        self, found: Found, threshold: float, calibration: Calibration | None, rows: int, pairs: pa.Table
    ) -> Collided:
        given = self.config.threshold is not None
        return Collided(
            threshold=threshold,
            fmr=calibration.fmr_at(threshold) if calibration else None,
            how="given" if given or calibration is None else calibration.how,
            left_out=calibration.left_out if calibration else 0,
            impostor_pairs=calibration.pairs if calibration else 0,
            lists=self.index.head.lists,
            floor=round(found.rule.floor, 4),
            compared=found.compared,
            join_seconds=round(found.seconds, 3),
            recall=found.recall[0] if found.recall else None,
            recall_any=found.recall[1] if found.recall else None,
            pairs=rows,
            verdicts=tally(pairs["verdict"]),
            groups=int(pc.count_distinct(pairs["group"]).as_py()),
        )

    def _leaks(self, calibration: Calibration | None) -> tuple[Collided | None, dict[str, int] | None]:
        threshold = self._threshold(calibration)
        if threshold is None:
            self.warnings.append("leaks by likeness need a threshold: give --threshold")
            threshold = 1.0
        other = self._guest()

        def attempt(wanted: JoinSettings) -> Found | None:
            nonlocal other
            if other.head.lists != self.index.head.lists:  # the lists were made anew
                other = self._guest()
            return leaks.pairs(self.index, other, wanted, self.on_progress)

        found = self._reached(attempt, threshold)
        kinds, people = leaks.written(self.findings, self.index, other, found, threshold, calibration)
        return self._collided(found, threshold, calibration, sum(kinds.values()), people), kinds

    def _guest(self) -> Index:
        """Return the other dataset's faces in this index's lists."""
        assert self.other is not None
        return guest(self.index, self.other, self.on_progress)

    def _same_face(self) -> dict[str, int]:
        table = same_face(self.gallery, SameFaceConfig(threshold=self.config.same_face_threshold))
        self.findings.table("same_face", table)
        drop = table.filter(pc.invert(table["keep"])).num_rows
        return {"clusters": int(pc.count_distinct(table["cluster"]).as_py()), "to_drop": drop} | tally(table["kind"])

    def _outliers(self) -> tuple[dict[str, int], int]:
        strange, several = outliers(self.gallery, OutlierConfig())
        self.findings.table("outliers", strange)
        self.findings.table("mixed", several)
        return tally(strange["kind"]), int(pc.count_distinct(several["identity"]).as_py())

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began
