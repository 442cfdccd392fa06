"""Datasets of two groups of people; in one of them embeddings lie closer together, by as much as is asked for."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crowd import Crowd
from omokage.shards import write_shard
from omokage.storage import Folder
from omokage.store import Dataset, Head


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


def pictures_of_nobody(url: str, made: Crowd) -> Dataset:
    """Return a dataset of the same faces without people, whose files are called as UTKFace's: the near are women."""
    crowd = made.write(f"{url}-people")
    uris: dict[str, str] = {}
    for number, uri in enumerate(crowd.manifest().sort_by("uri")["uri"].to_pylist()):
        age = (7, 35, 101)[number % 3]
        uris[uri] = f"{age}_{int(uri[:6]) % 2}_{number % 2}_20170116174525{number:03}.jpg.chip.jpg"
    data = Dataset.open_or_create(Folder.at(url), Head(source="/utkface", recipe=crowd.head.recipe))
    shards, manifests = [], []
    for shard, faces in zip(crowd.head.shards, crowd.faces(), strict=True):
        parts = [_of_nobody(table, uris) for table in (crowd.pictures([shard]).drop_columns("shard"), faces)]
        shards.append(write_shard(data.folder, *parts, {}, 0.0))
        manifests.append(parts[0].append_column("shard", pa.array([shards[-1].name] * len(parts[0]), pa.string())))
    return data.commit(pa.concat_tables(manifests), shards)


def _of_nobody(table: pa.Table, uris: dict[str, str]) -> pa.Table:
    columns = {"uri": [uris[uri] for uri in table["uri"].to_pylist()], "identity": [None] * len(table)}
    for name, values in columns.items():
        at = table.column_names.index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values, pa.string()))
    return table


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
