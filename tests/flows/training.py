"""Small trainings through the command."""

import json
from pathlib import Path
from typing import Any

from crowd import Crowd

DATA = "crowd"

OPTIONS = (
    *("--backbone", "test_resnet", "--from-scratch", "--dim", "16", "--input-size", "32"),
    *("--loss", "cosface", "--scale", "16", "--people", "4", "--pictures", "4"),
    *("--val-share", "0.3", "--test-share", "0", "--tracking", "off"),
)

TIMED = frozenset({"seconds", "images_per_second", "waiting", "val_seconds"})
"""Figures of an epoch that no two runs share."""


def crowd_of(folder: Path, people: int) -> Path:
    """Return the folder of a dataset of so many people, eight pictures each, who are unlike each other."""
    Crowd(folders=people, faces=8, splits=0, strangers=0, repeats=0, dim=32, chips=True).write(str(folder))
    return folder


def curve_of(run: Path) -> list[dict[str, Any]]:
    """Return what each epoch of a run gave, without what the clock says."""
    return curve([json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()])


def curve(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return epochs without what the clock says."""
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]
