"""What a similarity means: match, no match or cannot say, and how strongly it speaks for one of them.

A similarity is no probability. A threshold is chosen so that different people match at a stated rate at most, and its
interval says how far another sample of people would have moved it. Between what is surely enough for a match and what
hardly any pair of one person falls below, the answer is that the faces do not tell.

A likelihood ratio says how much more likely a similarity is between faces of one person than between faces of different
people. It is no probability, either: how likely two faces are of one person also depends on how many people come into
question. It is never stronger than one in as many as there are people in the data.

Source:
    N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", 2006: Cllr; minimum Cllr by
    the pool adjacent violators algorithm, as in ISO/IEC 19795-1's score calibration and bob.measure.

Shape key: K steps of similarity from the highest down.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from omokage.errors import ConfigError, DatasetError
from omokage.evaluate import folds
from omokage.evaluate.answer import Calibration, Likelihood
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.pairs import HALF, Steps
from omokage.evaluate.redrawn import MISSED, Found, intervals
from omokage.evaluate.verification import SHOWN, fmr_name, tar_name, threshold_name, verification

COARSE: Final = 1 << 11
"""Cells that are one similarity to the fit: 0.0005."""

LOOSE: Final = 1e6
"""Inverse strength of what keeps the slope finite where similarities part people without an error."""


def calibrate(
    embedding_NE: Any,
    label_N: Any,
    fmr: float,
    bootstrap: BootstrapConfig | None = None,
    threads: int | None = None,
) -> Calibration:
    """Return the threshold that keeps a false match rate in all pairs of some faces.

    Args:
        embedding_NE: Unit vectors of the encoder that will be used. Shape (N, E).
        label_N: Whose face each is. Shape (N,).
        fmr: Share of pairs of different people that may match, in (0, 1).
        bootstrap: How intervals are made.
        threads: To work on; all cores by default.

    Raises:
        ConfigError: The rate is out of range, or the data cannot show it.
        DatasetError: The faces cannot be compared, or the vectors tell nobody apart at that rate.
    """
    found = verification(embedding_NE, label_N, [fmr], threads)
    point = found.points[0]
    if point.tar is None or point.counted_fmr is None:
        shown = SHOWN / found.impostor
        raise ConfigError(
            f"{found.impostor:,} pairs of different people cannot show an FMR of {fmr:g}; ask for {shown:.1e} or more, "
            f"or calibrate on more people: {math.ceil(SHOWN / fmr):,} pairs"
        )
    if not point.tar:
        raise DatasetError(
            f"no pair of one person matches at an FMR of {fmr:g} (AUC {found.auc:.3f}): such vectors have no "
            "threshold; ask for a higher rate, or look at the dataset and its encoder"
        )
    told = intervals(embedding_NE, label_N, Found(found), bootstrap, threads).figures
    threshold = told[threshold_name(fmr)]
    likelihood, withheld = _offered(embedding_NE, label_N, found.people, bootstrap or BootstrapConfig(), threads)
    return Calibration(
        fmr=fmr,
        threshold=threshold,
        counted_fmr=point.counted_fmr,
        fmr_interval=told[fmr_name(fmr)],
        tar=told[tar_name(fmr)],
        match_from=threshold.high,
        no_match_below=min(told[MISSED].low, threshold.high),
        people=found.people,
        faces=found.faces,
        genuine=found.genuine,
        impostor=found.impostor,
        likelihood=likelihood,
        likelihood_withheld=withheld,
    )


def likelihood(parts: Sequence[Steps], people: int) -> Likelihood:
    """Return the likelihood ratio of a similarity, fitted on all folds; its loss is of folds that it was not fitted on.

    Args:
        parts: Pairs of each fold, of different people each.
        people: In all folds; no ratio speaks more strongly than one in so many.

    Raises:
        DatasetError: There are fewer than two folds, or one without both kinds of pairs.
    """
    if len(parts) < 2 or any(not part.genuine_K.sum() or not part.impostor_K.sum() for part in parts):
        raise DatasetError("a likelihood ratio needs two groups of people, each with pairs of both kinds")
    limit = math.log(people)
    lost = []
    for mine in parts:
        slope, intercept = _fit(folds.pool([part for part in parts if part is not mine]))
        ratio = Likelihood(slope=slope, intercept=intercept, limit=limit, cllr=0, min_cllr=0)
        lost.append(cllr(mine, ratio.log_ratio(_similarity(mine))))
    every = folds.pool(parts)
    slope, intercept = _fit(every)
    return Likelihood(
        slope=slope, intercept=intercept, limit=limit, cllr=float(np.mean(lost)), min_cllr=min_cllr(every)
    )


def cllr(steps: Steps, log_ratio_K: NDArray[np.float64]) -> float:
    """Return the bits a pair that are lost, both kinds of pairs counting the same.

    Args:
        steps: Pairs by similarity.
        log_ratio_K: Natural logarithm of the likelihood ratio that each step is given; may be infinite.
    """
    # a step without a pair of a kind may be given any ratio without a loss for that kind
    genuine = np.logaddexp(0, -log_ratio_K, where=steps.genuine_K > 0, out=np.zeros(len(log_ratio_K)))
    impostor = np.logaddexp(0, log_ratio_K, where=steps.impostor_K > 0, out=np.zeros(len(log_ratio_K)))
    mean = np.average(genuine, weights=steps.genuine_K) + np.average(impostor, weights=steps.impostor_K)
    return float(mean / 2 / math.log(2))


def min_cllr(steps: Steps) -> float:
    """Return the loss of the best ratios that rise with similarity."""
    genuine_K, impostor_K = steps.genuine_K / steps.genuine_K.sum(), steps.impostor_K / steps.impostor_K.sum()
    weight_K = genuine_K + impostor_K
    share_K = IsotonicRegression(increasing=False).fit_transform(
        np.arange(len(weight_K)), genuine_K / weight_K, sample_weight=weight_K
    )
    with np.errstate(divide="ignore"):
        log_ratio_K = np.log(share_K) - np.log1p(-share_K)
    return cllr(steps, log_ratio_K)


def _offered(
    embedding_NE: Any, label_N: Any, people: int, bootstrap: BootstrapConfig, threads: int | None
) -> tuple[Likelihood | None, str]:
    """Return the likelihood ratio, or why there is none."""
    try:
        parts = folds.by_people(embedding_NE, label_N, seed=bootstrap.seed, threads=threads)
    except DatasetError as error:
        return None, str(error)
    return likelihood(parts, people), ""


def _fit(steps: Steps) -> tuple[float, float]:
    """Return slope and intercept of the log likelihood ratio, both kinds of pairs counting the same."""
    rough, at = np.unique(steps.low_K // COARSE, return_inverse=True)
    genuine = np.bincount(at, steps.genuine_K) / steps.genuine_K.sum()
    impostor = np.bincount(at, steps.impostor_K) / steps.impostor_K.sum()
    similarity = ((rough + 0.5) * COARSE - HALF) / HALF
    model = LogisticRegression(C=LOOSE, solver="newton-cholesky", max_iter=1000)
    truth = np.repeat([1, 0], len(rough))
    model.fit(np.tile(similarity, 2)[:, None], truth, sample_weight=np.concatenate([genuine, impostor]))
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _similarity(steps: Steps) -> NDArray[np.float64]:
    """Return the middle of each step."""
    middle_K: NDArray[np.float64] = (steps.low_K + (steps.cells_K - 1) / 2 - HALF) / HALF
    return middle_K
