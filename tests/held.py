"""Calibrations with planted thresholds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from omokage.assess import calibrated
from omokage.assess.calibrated import Calibrated
from omokage.evaluate.answer import Calibration, Likelihood
from omokage.evaluate.interval import Interval

ENCODER = {
    "name": "tiny",
    "sha256": "0" * 64,
    "dim": 4,
    "crop": "arcface-1/112/0",
    "pixels": ["RGB", 1.0, [0.0] * 3, [1.0] * 3],
    "output": None,
}


def made(
    match_from: float = 0.6, no_match_below: float = 0.4, encoder: dict[str, Any] | None = None, ratio: bool = True
) -> Calibrated:
    """Return a calibration that has these thresholds."""
    likelihood = Likelihood(slope=20.0, intercept=-10.0, limit=4.0, cllr=0.1, min_cllr=0.08) if ratio else None
    calibration = Calibration(
        fmr=1e-3,
        threshold=Interval(value=match_from - 0.05, low=match_from - 0.1, high=match_from),
        counted_fmr=1e-3,
        fmr_interval=Interval(value=1e-3, low=0.0, high=2e-3),
        tar=Interval(value=0.9, low=0.8, high=0.95),
        match_from=match_from,
        no_match_below=no_match_below,
        people=50,
        faces=500,
        genuine=2_250,
        impostor=122_500,
        likelihood=likelihood,
        likelihood_withheld="" if ratio else "too few people",
    )
    return Calibrated(
        calibration=calibration,
        encoder=encoder or ENCODER,
        detector=None,
        dataset="/人物/data",
        version="v1",
        digest="d" * 64,
        at="2026-11-22T18:00:00Z",
        made_by="omokage",
        remarks=(),
    )


def kept(file: Path, **how: Any) -> Path:
    """Return a file with such a calibration."""
    calibrated.write(file, made(**how))
    return file


def with_figure(found: Calibrated, **figures: Any) -> Calibrated:
    """Return the calibration with other figures."""
    return replace(found, calibration=replace(found.calibration, **figures))
