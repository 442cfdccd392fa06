"""Datasets of two groups of people; in one of them embeddings lie closer together, by as much as is asked for."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crowd import Crowd


def crowd(people: int = 120, faces: int = 6, near: float = 0.0, **more: Any) -> Crowd:
    """Return people of whom every second one is moved towards one direction: 0 leaves them where they are."""
    how = {"folders": people, "faces": faces, "dim": 32, "splits": 0, "strangers": 0, "repeats": 0, "genuine": 0.6}
    made = Crowd(**how | more)
    direction_D = np.random.default_rng([made.seed, 9]).standard_normal(made.dim, np.float32)
    centres_PD = made.centres_PD.copy()
    centres_PD[1::2] += near * direction_D / np.linalg.norm(direction_D)
    centres_PD /= np.linalg.norm(centres_PD, axis=1, keepdims=True)
    object.__setattr__(made, "centres_PD", centres_PD)
    return made


def group(folder: int) -> str:
    """Return the group of a folder's person."""
    return ("even 偶", "odd <b>奇</b>")[folder % 2]


def groups_csv(
    file: Path, made: Crowd, without: Iterable[int] = (), head: Sequence[str] = ("identity", "group")
) -> str:
    """Return the ``--groups`` of a table of the people's groups; people of ``without`` are not in it."""
    left_out = set(without)
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(head)
        rows.writerows([made.name(n), group(n)] for n in range(made.folders) if n not in left_out)
    return f"csv:{file}"
