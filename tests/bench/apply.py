"""The figures of apply: moving 10,000 files and bringing them back, undisturbed and killed by kill -9.

``python -m tests.bench.apply [--out FILE] [--quick]``, from the root of the repository. Ours is the command line as a
person starts it; its time has the start of Python in it.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, measure, say
from tests.trees import decide, drop, known, plant, relabel, tree

from omokage.apply import journal
from omokage.ledger.decision import Decision
from omokage.store import Dataset

KILLS = 5
"""Of one command, before it is let run to its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    files: int = 10_000
    people: int = 100
    kills: int = 20


QUICK = Size(files=300, people=10, kills=3)


def planted(folder: Path, size: Size) -> tuple[Path, Dataset]:
    """Return a source, and a dataset with a decision about every file: a third dropped, the rest other people's."""
    each = size.files // size.people
    names = [f"person {who:03d}/{n % 5}/{n:04d}.jpg" for who in range(size.people) for n in range(each)]
    source = plant(folder / "pictures", *names)
    data = known(source, folder / "data")
    drop(data, *names[::3])
    relabel(data, "Somebody new", *names[1::30])
    pairs = range(0, size.people, 2)
    merges = [Decision(do="merge", person=f"person {n:03d}", into=f"person {n + 1:03d}") for n in pairs]
    away = [Decision(do="merge", person=f"person {n + 1:03d}", into=f"person {n:03d} new") for n in pairs]
    decide(data, *merges, *away)
    return source, data


def command(verb: str, data: Dataset) -> list[str]:
    """Return the command line that moves the files, or brings them back."""
    words = {"apply": ["apply", data.folder.url, "--move"], "undo": ["undo", data.folder.url, "--apply"]}
    return [sys.executable, "-m", "omokage", *words[verb], "--json"]


def run(verb: str, data: Dataset) -> tuple[dict[str, Any], float]:
    """Return the report of a command, and how long it took."""
    began = time.perf_counter()
    ran = subprocess.run(command(verb, data), capture_output=True, text=True, check=True)
    return json.loads(ran.stdout), time.perf_counter() - began


def killed(verb: str, data: Dataset, window: tuple[float, float], chance: random.Random) -> tuple[int, int]:
    """Return how often a command was killed at a random moment, and how often amidst, before it ran to its end.

    Every other time the moment lies anywhere in its work; else after the first file may have moved.
    """
    done = journal.entries(data.folder)
    begun = Path(data.folder.place(f"applied/{len(done) + (verb == 'apply'):06d}"))
    begun /= "plan.json" if verb == "apply" else "undoing.json"
    kills = amidst = 0
    for number in range(KILLS):
        process = subprocess.Popen(command(verb, data), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if number % 2:
            moment = chance.uniform(*window)
        else:
            moment = chance.uniform(0, (window[1] - window[0]) / 3)
            while process.poll() is None and not begun.exists():
                time.sleep(0.001)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.wait()
        amidst += journal.unfinished(data.folder) is not None
        if process.returncode == 0:
            return kills, amidst
    run(verb, data)
    return kills, amidst


def apply(size: Size) -> list[Figure]:
    """Return the figures of moving files and bringing them back."""
    with tempfile.TemporaryDirectory() as name:
        source, data = planted(Path(name), size)
        before = tree(source)
        say(f"  {size.files:,} files")
        moved, seconds = run("apply", data)
        moved_tree = {place: facts[2] for place, facts in tree(source).items()}
        back, back_seconds = run("undo", data)
        same = [tree(source) == before]
        kills = amidst = 0
        chance = random.Random(4)
        windows = {
            "apply": (seconds - moved["seconds"], seconds),
            "undo": (back_seconds - back["seconds"], back_seconds),
        }
        while kills < size.kills:
            for verb, window in windows.items():
                counts = killed(verb, data, window, chance)
                kills, amidst = kills + counts[0], amidst + counts[1]
                now = tree(source)
                right = now == before if verb == "undo" else {p: f[2] for p, f in now.items()} == moved_tree
                same.append(right)
                say(f"  {verb}: {counts[0]} kills, {'right' if right else 'WRONG'}")
        left = (Path(name) / "pictures.quarantine").exists()
    return [
        Figure(
            what=f"apply --move of {moved['moved']:,} files, and undo --apply",
            peer="names, bytes and times of files and folders as they were",
            ours=f"{seconds:.1f} s, {back_seconds:.1f} s; the same tree",
            ratio=float(same[0] and back["restored"] == moved["moved"] and not left),
            least=1,
            notes=(f"Without the start of Python: {moved['seconds']:.1f} s, {back['seconds']:.1f} s.",),
        ),
        Figure(
            what=f"the same, killed by kill -9 at {kills} random moments and resumed",
            peer="the tree that an undisturbed run leaves, each time",
            ours=f"{sum(same[1:])} of {len(same) - 1} the same",
            ratio=sum(same[1:]) / (len(same) - 1),
            least=1,
            notes=(f"{amidst} of {kills} kills left a plan that was begun and not finished.",),
        ),
    ]


def main() -> None:
    """Measure, and write it down."""
    measure("apply", {"apply": apply}, Size(), QUICK)


if __name__ == "__main__":
    main()
