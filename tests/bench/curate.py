"""The figures of curate: what decisions cost, when there are very many.

``python -m tests.bench.curate [--only NAME …] [--out FILE] [--quick]``, from the root of the repository.
"""

import json
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.bench import inputs, watch
from tests.bench.figures import Figure, measure, say

from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.storage import Folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    lines: int = 1_000_000
    rounds: int = 3


QUICK = Size(lines=20_000, rounds=1)

FOLD_SECONDS = 5.0
"""Limit for reading and folding the lines."""

APPENDED = 1000
"""Lines that are written at a time."""

FOLD = """
import json, sys, time
from omokage.ledger.book import Ledger
from omokage.ledger.fold import fold
from omokage.storage import Folder
ledger = Ledger.of(Folder.at(sys.argv[1]))
start, cpu = time.perf_counter(), time.process_time()
lines = ledger.table()
read = time.perf_counter()
decided = fold(lines)
done, cpu = time.perf_counter(), time.process_time() - cpu
conflicts = len(decided.conflicts)
print(json.dumps({
    "cpu": cpu, "read": read - start, "fold": done - read, "listed": time.perf_counter() - done,
    "faces": decided.faces.num_rows, "people": len(decided.people), "undone": int((~decided.active_N).sum()),
    "conflicts": conflicts,
}))
"""


def decisions(count: int) -> Iterator[Decision]:
    """Yield decisions about 500,000 faces of 20,000 people: 5 % undo, 1 % merge, some of every other kind."""
    rng = np.random.default_rng(0)
    kind = rng.choice(7, count, p=[0.05, 0.01, 0.2, 0.25, 0.2, 0.19, 0.1])
    faces = [f"{number:024x}" for number in rng.integers(0, 500_000, 2 * count).tolist()]
    people = [f"person {number:06d} 人物" for number in rng.integers(0, 20_000, 2 * count).tolist()]
    back = (rng.random(count) * np.arange(count)).astype(np.int64).tolist()
    for n in range(count):
        two, person, into = (faces[2 * n], faces[2 * n + 1]), people[2 * n], people[2 * n + 1] + "x"
        match int(kind[n]):
            case 0 if n:
                yield Decision(do="undo", undoes=1 + back[n])
            case 1:
                yield Decision(do="merge", person=person, into=into, finding=f"people:{n:020x}")
            case 2:
                yield Decision(do="different", person=person, into=into, finding=f"people:{n:020x}")
            case 3:
                yield Decision(do="drop_face", faces=two[:1], finding=f"outlier:{n:020x}", why="not this person")
            case 4:
                yield Decision(do="drop_duplicate", faces=two[:1], into=two[1], finding=f"same_face:{n:020x}")
            case 5:
                yield Decision(do="relabel", faces=two, into=person)
            case _:
                yield Decision(do="keep", faces=two)


def book(count: int) -> Path:
    """Return a dataset's folder with a ledger of so many lines, made once and kept."""
    place = inputs.folder() / f"ledger-{count}"
    if not (place / "whole").exists():
        shutil.rmtree(place, ignore_errors=True)
        say(f"  writing {place.name}")
        ledger, waiting = Ledger.of(Folder.at(str(place))), []
        for decision in decisions(count):
            waiting.append(decision)
            if len(waiting) == APPENDED:
                ledger.append(waiting, "bench")
                waiting = []
        ledger.append(waiting, "bench")
        (place / "whole").touch()
    return place


def fold(size: Size) -> list[Figure]:
    """Measure reading and folding a long ledger, each time in a process of its own."""
    place = book(size.lines)
    command = watch.python("-c", FOLD, str(place))
    notes, seconds = [], []
    for _ in range(size.rounds):
        found = json.loads(watch.run(command).output)
        seconds.append(found["read"] + found["fold"])
        notes.append(
            f"read {found['read']:.2f} s, fold {found['fold']:.2f} s, {found['cpu']:.2f} s of processors; "
            f"{found['faces']:,} faces, {found['people']:,} merged people, {found['undone']:,} lines undone; "
            f"all {found['conflicts']:,} conflicts in words: {found['listed']:.2f} s more"
        )
        say(f"  {notes[-1]}")
    memory = watch.run(command, memory=True)  # apart, since to look at memory holds the process up
    notes.append(f"peak of memory in a run of its own, conflicts included: {memory.peak_mb:,.0f} MB")
    median = statistics.median(seconds)
    files = list((place / "ledger").glob("*.jsonl"))
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    what = f"fold of {size.lines:,} ledger lines from {len(files):,} files, {megabytes:,.0f} MB"
    return [
        Figure(
            what=what,
            peer=f"limit {FOLD_SECONDS:g} s",
            ours=f"{median:.2f} s",
            ratio=median / FOLD_SECONDS,
            most=1,
            notes=tuple(notes),
        )
    ]


FIGURES = {"fold": fold}


def main() -> None:
    """Measure."""
    measure("curate", FIGURES, Size(), QUICK)


if __name__ == "__main__":
    main()
