"""The verbs for what is stored: datasets and model files."""

import dataclasses
import json as jsonlib
from typing import Literal

import tyro

from omokage.cli.words import DatasetPlace, Json, parse
from omokage.errors import OmokageError


def info(argv: list[str]) -> str:
    """Say what a dataset holds."""

    @dataclasses.dataclass
    class Info:
        """Say what a dataset holds, and how it was made."""

        dataset: DatasetPlace
        json: Json = False

    asked = parse(Info, argv, "info")
    from omokage.store import Dataset, summary

    found = summary(Dataset.open(asked.dataset))
    return found.json() if asked.json else found.text()


def check(argv: list[str]) -> str:
    """Check a dataset's files against their checksums."""

    @dataclasses.dataclass
    class Check:
        """Check every file of a dataset against the checksum that was noted when it was written."""

        dataset: DatasetPlace
        json: Json = False

    asked = parse(Check, argv, "check")
    from omokage.store import Dataset

    data = Dataset.open(asked.dataset)
    problems = data.check()
    if problems:
        cure = "Remove the files of a damaged shard and run omokage ingest again: it makes them anew."
        raise OmokageError("\n".join([f"{data.folder.url} is damaged:", *problems, cure]))
    files = 2 * len(data.head.shards) + (data.head.manifest is not None)
    return (
        jsonlib.dumps({"files": files, "problems": []}) if asked.json else f"{files:,} files are as they were written"
    )


def weights(argv: list[str]) -> str:
    """List the model files, or fetch them."""
    from omokage import weights as store

    @dataclasses.dataclass
    class Weights:
        """List the model files with their licences, or fetch them into the cache.

        The cache is in the user's cache folder, or in the folder that OMOKAGE_WEIGHTS names.
        """

        do: tyro.conf.Positional[Literal["list", "fetch"]]
        """List what there is, or fetch it."""
        names: tyro.conf.Positional[tuple[str, ...]] = ()
        """Which; all by default."""
        json: Json = False

    asked = parse(Weights, argv, "weights")
    entries = [store.entry(name) for name in asked.names or store.ENTRIES]
    if asked.do == "fetch":
        for each in entries:
            store.path(each.name)
    rows = [dataclasses.asdict(each) | {"cached": store.cached(each)} for each in entries]
    if asked.json:
        return jsonlib.dumps({"folder": str(store.folder()), "weights": rows}, ensure_ascii=False)
    lines = [
        f"{each.name:<22}{each.bytes / 1e6:>6.1f} MB  {'here' if row['cached'] else 'not fetched':<12}{each.licence}\n"
        f"{'':<22}{each.purpose}; sha256 {each.sha256}"
        for each, row in zip(entries, rows, strict=True)
    ]
    return "\n".join([*lines, f"in {store.folder()}"])
