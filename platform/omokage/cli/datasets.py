"""The verbs for what is stored: datasets and model files."""

import dataclasses
import json as jsonlib
from typing import TYPE_CHECKING, Literal

import tyro

from omokage.cli.words import DatasetPlace, Json, parse
from omokage.errors import OmokageError

if TYPE_CHECKING:
    from omokage.store import Dataset


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
    """Check a dataset's files, decisions and versions against what was written."""

    @dataclasses.dataclass
    class Check:
        """Check every file of a dataset against the checksum that was noted when it was written.

        Frozen versions and the journal of moved files too; and whether each decision in the ledger is there and whole.
        """

        dataset: DatasetPlace
        json: Json = False

    asked = parse(Check, argv, "check")
    from omokage.store import Dataset

    data = Dataset.open(asked.dataset)
    problems = data.check()
    decided, damaged = _decided(data)
    cures = []
    if problems:
        cures.append("Remove the files of a damaged shard and run omokage ingest again: it makes them anew.")
    if damaged:
        cures.append("What people decided cannot be made anew: bring those files back from a copy of the dataset.")
    if cures:
        raise OmokageError("\n".join([f"{data.folder.url} is damaged:", *problems, *damaged, *cures]))
    files = 2 * len(data.head.shards) + (data.head.manifest is not None)
    if asked.json:
        return jsonlib.dumps({"files": files, **decided, "problems": []})
    return "; ".join(
        [f"{files:,} files are as they were written", *(f"{what}: {count:,}" for what, count in decided.items())]
    )


def _decided(data: "Dataset") -> tuple[dict[str, int], list[str]]:
    """Read all that people decided, and return how much there is of what, and what is wrong, a line each."""
    from omokage.apply import journal
    from omokage.ledger.book import Ledger
    from omokage.ledger.version import Version, names_of

    counts, problems = {"decisions": 0, "versions": 0, "applied": 0}, []
    try:
        counts["decisions"] = Ledger.of(data.folder).table().num_rows
    except OmokageError as error:
        problems.append(str(error))
    rests = 0  # on so many decisions, by what the versions say
    for name in names_of(data):
        try:
            version = Version.open(data, name)
            version.faces()
        except OmokageError as error:
            problems.append(str(error))
        else:
            counts["versions"] += 1
            rests = max(rests, version.lines)
    if rests > counts["decisions"] and not problems:
        problems.append(f"the ledger has {counts['decisions']:,} decisions, and a version rests on {rests:,}")
    for entry in journal.entries(data.folder):
        try:
            entry.plan()
        except OmokageError as error:
            problems.append(str(error))
        else:
            counts["applied"] += 1
    return counts, problems


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
