"""The work of an evaluation: every pair, every person, every search, told as it goes on.

Shape key: N faces, E numbers of an embedding, L listed pairs, P people.
"""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.assess import face_lists, searches
from omokage.assess.evaluate_config import EvaluateConfig
from omokage.assess.evaluate_plan import comparisons
from omokage.assess.evaluation import Evaluation, plain
from omokage.assess.subject import Subject
from omokage.errors import DatasetError
from omokage.evaluate import bootstrap, listed_pairs, redrawn, verification
from omokage.evaluate.bootstrap import Intervals
from omokage.evaluate.failures import Failures, with_failures
from omokage.evaluate.folds import FMRS as FOLD_FMRS
from omokage.evaluate.folds import Folds, by_people, cross_validated, of_people, steps_of
from omokage.evaluate.pairs import Steps
from omokage.evaluate.people import People, PeopleSummary
from omokage.evaluate.precision_recall import PrecisionRecall, precision_recall
from omokage.evaluate.redrawn import Found
from omokage.evaluate.stripes import pairs_told
from omokage.evaluate.verification import Verification
from omokage.progress import OnProgress, quietly
from omokage.sheet.words import count

Ints = NDArray[np.int64]

EVEN: Final = 0.5
"""Share of pairs of one person that accuracy is told for: of all pairs one in thousands is, and who says "different"
to all would be right."""

FEW: Final = 30
"""People with pairs of their own below which drawing them anew gives intervals that are too narrow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OneToOne:
    """Figures of pairs."""

    pairs: str
    digest: str
    """Equal where the same pairs of the same faces were compared."""
    found: Verification
    precision: PrecisionRecall
    folds: Folds | None
    folds_withheld: str
    curves: People | None
    people: PeopleSummary | None
    intervals: Intervals
    failures: Failures


def evaluation(
    subject: Subject,
    config: EvaluateConfig | None = None,
    on_progress: OnProgress = quietly,
    threads: int | None = None,
) -> Evaluation:
    """Return all figures of some faces.

    Args:
        subject: The faces.
        config: What is compared, and which figures are told.
        on_progress: Told of pairs that were compared.
        threads: To work on; all cores by default.

    Raises:
        ConfigError: A setting does not go with these faces.
        DatasetError: The faces, or a list of pairs, show nothing.
    """
    return _Judge(subject, config or EvaluateConfig(), on_progress, threads).evaluation()


class _Judge:
    """One evaluation."""

    def __init__(self, subject: Subject, config: EvaluateConfig, on_progress: OnProgress, threads: int | None) -> None:
        self.subject, self.config, self.threads = subject, config, threads
        self.on_progress = on_progress
        self.warnings: list[str] = list(subject.remarks)
        self.seconds: dict[str, float] = {}
        self.parts = comparisons(subject, config)
        self.done = 0

    def evaluation(self) -> Evaluation:
        """Return all figures."""
        subject, config = self.subject, self.config
        one = self._all_pairs() if config.pairs_file is None else self._listed(config.pairs_file)
        found, withheld = self._identification() if config.identify else (None, "it was not asked for")
        return Evaluation(
            dataset=subject.dataset,
            version=subject.version,
            encoder=subject.encoder,
            licence=subject.licence,
            digest=subject.digest,
            faces=len(subject.label_N),
            people_judged=subject.named,
            failed=len(subject.failed_label_F),
            config=plain(config),
            pairs=one.pairs,
            verification=one.found,
            precision_recall=one.precision,
            folds=one.folds,
            folds_withheld=one.folds_withheld,
            people=one.people,
            intervals=one.intervals,
            failures=one.failures,
            identification=found.found if found else (),
            without_failures=found.without if found else (),
            identification_withheld=withheld,
            searched=found.searched if found else "",
            warnings=tuple(self.warnings),
            seconds={name: round(value, 3) for name, value in self.seconds.items()},
            same={
                "people": one.intervals.key,
                "faces": subject.faces_digest,
                "pairs": one.digest,
                "searches": found.digest if found else "",
            },
            curves=one.curves,
            search_draws=found.draws if found else {},
        )

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        """Time a part of the work, and tell how far it is."""
        mine, of = self.parts.get(name, 0), sum(self.parts.values())
        began = time.perf_counter()
        with pairs_told(self.on_progress, mine, f"pairs, {name}", self.done, of):
            yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - began
        self.done += mine

    def _all_pairs(self) -> OneToOne:
        """Return the figures of all unordered pairs."""
        vector_NE, label_N, failed_F = self.subject.vector_NE, self.subject.label_N, self.subject.failed_label_F
        with self._part("pairs"):
            found, steps = verification.counted(vector_NE, label_N, self.config.fmrs, self.threads)
            precision = precision_recall(steps, self.config.prevalence)
            del steps
        with self._part("folds"):
            folds, withheld = self._folds(
                partial(by_people, vector_NE, label_N, self.config.folds, self.config.bootstrap.seed, self.threads)
            )
        fold_N = of_people(label_N, self.config.folds, self.config.bootstrap.seed) if folds else None
        mine = Found(found, precision, folds, fold_N, failed_F)
        with self._part("people"):
            curves, told = redrawn.with_people(vector_NE, label_N, mine, self.config.bootstrap, self.threads)
        curves = self._named(curves)
        self._warn_of_few(int((curves.faces_P > 1).sum()))
        return OneToOne(
            pairs="all pairs",
            digest="all pairs",
            found=found,
            precision=precision,
            folds=folds,
            folds_withheld=withheld,
            curves=curves,
            people=curves.summary(),
            intervals=self._keyed(told, np.union1d(label_N, failed_F)),
            failures=with_failures(found, label_N, failed_F),
        )

    def _listed(self, place: str) -> OneToOne:
        """Return the figures of listed pairs."""
        label_N = self.subject.label_N
        with self._part("pairs"):
            mine = face_lists.pairs(self.subject, place)
            self.warnings += mine.remarks
            score_L = mine.pairs.scores(self.subject.vector_NE)
            found, steps = listed_pairs.verification(mine.pairs, score_L, label_N, self.config.fmrs)
            precision = precision_recall(steps, self.config.prevalence)
        folds, withheld = None, "the pairs file names no folds"
        if mine.pairs.fold_L is not None:
            fold_L = mine.pairs.fold_L
            parts = [steps_of(score_L[fold_L == fold], mine.pairs.same_L[fold_L == fold]) for fold in np.unique(fold_L)]
            folds, withheld = self._folds(lambda: parts)
        with self._part("intervals"):
            whole = Found(found, precision, folds)
            told = listed_pairs.intervals(mine.pairs, score_L, label_N, whole, self.config.bootstrap)
        genuine = mine.pairs.a_L[mine.pairs.same_L]
        self._warn_of_few(len(np.unique(label_N[genuine])))
        compared = label_N[np.concatenate([mine.pairs.a_L, mine.pairs.b_L])]
        return OneToOne(
            pairs=f"{len(mine.pairs):,} pairs of {place}",
            digest=hashlib.sha256(np.stack([mine.pairs.a_L, mine.pairs.b_L, mine.pairs.same_L]).tobytes()).hexdigest(),
            found=found,
            precision=precision,
            folds=folds,
            folds_withheld=withheld,
            curves=None,
            people=None,
            intervals=self._keyed(told, np.union1d(compared, mine.pairs.lost.person_X2)),
            failures=listed_pairs.failures(found, mine.pairs.lost, mine.pictures),
        )

    def _warn_of_few(self, people: int) -> None:
        """Say so where too few people have pairs of their own."""
        if people < FEW:
            self.warnings.append(
                f"only {count(people, 'person has', 'people have')} pairs of their own: intervals from drawing so few "
                f"anew are too narrow; {FEW} people are the least, hundreds are better"
            )

    def _folds(self, parts: Callable[[], Sequence[Steps]]) -> tuple[Folds | None, str]:
        """Return the figures by cross-validation, or why there are none."""
        prevalence = self.config.prevalence or (EVEN if self.config.pairs_file is None else None)
        fmrs = [rate for rate in self.config.fmrs if rate >= min(FOLD_FMRS)] or FOLD_FMRS
        try:
            return cross_validated(parts(), fmrs, prevalence), ""
        except DatasetError as error:
            return None, str(error)

    def _named(self, curves: People) -> People:
        """Return curves with people's names."""
        names = [self.subject.people[label] for label in curves.label_P.tolist()]
        return dataclasses.replace(curves, label_P=np.array(names, object))

    def _keyed(self, told: Intervals, label_P: Ints) -> Intervals:
        """Return intervals whose key tells whose draws they are: numbers of people are the same in any dataset."""
        names = [self.subject.people[label] for label in label_P.tolist()]
        return dataclasses.replace(told, key=bootstrap.key_of([told.units, *names], self.config.bootstrap))

    def _identification(self) -> tuple[searches.Identified | None, str]:
        """Return the figures of searches, or why there are none."""
        with self._part("searches"):
            try:
                mine = searches.identified(self.subject, self.config, self.threads)
            except DatasetError as error:
                if self.config.gallery is not None:
                    raise
                return None, str(error)
        self.warnings += mine.remarks
        return mine, ""
