"""What one run of find knows and shares: the dataset's index, thresholds, joins, warnings, and how long it took."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from omokage.curate.calibrate import Calibration, calibrate
from omokage.curate.collisions import CollisionConfig, Judge
from omokage.curate.found import Collided, Plan
from omokage.curate.gallery import NOBODY, Gallery
from omokage.errors import ConfigError
from omokage.flows import collisions
from omokage.flows.centres import Told
from omokage.flows.cluster import ClusterConfig
from omokage.flows.collisions import Found, JoinSettings
from omokage.flows.find_config import FindConfig
from omokage.flows.find_plan import allowed, needed, planned
from omokage.flows.findings import Findings
from omokage.flows.index import Index, up_to_date
from omokage.index import plan, product
from omokage.index.cores import cores
from omokage.index.faces import MAPPED
from omokage.index.threads import Start
from omokage.progress import OnProgress
from omokage.report import tally
from omokage.store import Dataset

LONGEST: Final = 900.0
"""Seconds that comparing all pairs may take where lists do not reach the recall."""


class Run:
    """One run over a dataset."""

    index: Index
    findings: Findings

    def __init__(self, data: Dataset, other: Dataset | None, config: FindConfig, on_progress: OnProgress) -> None:
        """Make the plan for a dataset, and another whose faces are looked for in it."""
        self.data = data
        self.config = config
        self.on_progress = on_progress
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        with self.timed("plan"):
            self.device = config.device or product.device()
            self.speed = plan.speed(data.dim, cores(), self.device)
            self.plan: Plan = planned(data, other, config, self.speed)
            self.spare = allowed(data, other, config) - needed(data, other)

    def open(self, told: Told) -> None:
        """Bring the index up to date."""
        with self.timed("index"):
            self.index = up_to_date(self.data, self.speed, told=told)
        self.index.faces.room = self.room
        self.findings = Findings(self.index.work)
        self._check_room()

    @property
    def gallery(self) -> Gallery:
        """The dataset's faces, by the rows of its index."""
        return self.index.gallery

    @property
    def room(self) -> int:
        """Bytes of mapped files that may stay in memory; others are about to come when it is looked."""
        return min(MAPPED, self.spare // 2)

    @property
    def roomy(self) -> bool:
        """Whether there is memory for looking at people beside other work: that maps all vectors once more."""
        return 8 * self.data.dim * self.plan.faces <= self.spare

    @property
    def nobody(self) -> int:
        """How many faces have no identity."""
        return int((self.index.alive_N & (self.gallery.label_N == NOBODY)).sum())

    def notes(self) -> Iterator[str]:
        """Yield what must be said of the result."""
        if self.nobody:
            yield f"{self.nobody:,} faces belong to nobody, and are looked for in leaks only"
        if self.index.unusable:
            yield f"{self.index.unusable:,} faces have a vector that is zero or not a number, and are left out"
        yield from self.warnings

    def calibration(self, ahead: "Ahead | None" = None) -> Calibration | None:
        """Return the dataset's calibration, or None where no two people can be compared; it may be made ``ahead``."""
        with self.timed("calibration"):
            if known := collisions.remembered(self.index, self.config.fmr):
                return known
            try:
                return ahead.calibration(self.gallery) if ahead else calibrate(self.gallery, self.config.fmr)
            except ConfigError as error:
                self.warnings.append(str(error))
                return None

    def threshold(self, calibration: Calibration | None) -> float | None:
        """Return the similarity from which faces match, if there is one."""
        if self.config.threshold is not None:
            return self.config.threshold
        return calibration.threshold if calibration else None

    def reached(self, attempt: Callable[[JoinSettings], Found | None], threshold: float) -> Found:
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

    def collided(
        self, found: Found, threshold: float, calibration: Calibration | None, rows: int, pairs: pa.Table
    ) -> Collided:
        """Return what the report says of a join that gave so many rows, and pairs of people."""
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

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the seconds that a block takes to a part of the work."""
        began = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

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

    def _join_settings(self, threshold: float) -> JoinSettings:
        config = self.config
        return JoinSettings(
            threshold=threshold,
            recall=config.recall,
            most=config.most_pairs,
            where=ClusterConfig(address=config.address),
            device=self.device,
        )

    def _rebuilt(self, lists: int) -> None:
        with self.timed("index"):
            told = Told(self.on_progress)
            self.index = up_to_date(self.data, self.speed, rebuild=True, lists=lists, told=told)
        self.index.faces.room = self.room


class Ahead:
    """Does beside other work what needs no lists, from when the faces are known: calibrates, and looks at people."""

    def __init__(self, start: Start, roomy: bool, fmr: float) -> None:
        """Take what starts work, whether there is memory for it, and the false match rate to calibrate at."""
        self.start = start
        self.roomy = roomy
        self.fmr = fmr
        self.calibrating: Future[Calibration] | None = None
        self.looking: Future[Judge] | None = None

    def calibrate(self, gallery: Gallery) -> None:
        """Calibrate on a gallery, and look at its people."""
        if self.roomy:
            self.calibrating = self.start(partial(calibrate, gallery, self.fmr))
            self.look(gallery)

    def look(self, gallery: Gallery) -> None:
        """Look at the people of a gallery, if nobody does yet."""
        if self.roomy and self.looking is None:
            self.looking = self.start(partial(self._looked, gallery))

    def _looked(self, gallery: Gallery) -> Judge:
        if self.calibrating:
            wait([self.calibrating])  # which is asked for sooner
        return Judge(gallery, CollisionConfig())

    def calibration(self, gallery: Gallery) -> Calibration:
        """Return the calibration of the gallery that was begun with, or else of this one."""
        return self.calibrating.result() if self.calibrating else calibrate(gallery, self.fmr)

    def judge(self, gallery: Gallery) -> Judge:
        """Return who knows the people: of the gallery that was looked at, or else of this one."""
        return self.looking.result() if self.looking else Judge(gallery, CollisionConfig())
