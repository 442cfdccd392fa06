"""The figures of ingest, each beside its peer, measured in one run.

``python -m tests.bench.ingest [--only NAME …] [--out FILE] [--quick]``, from the root of the repository.

Ours is the command line as a person starts it; the peers are in ``peers.py``. Both are new processes on the same two
cores that take turns; a rate is the median over the turns. It counts every picture and all that is done for it, once
running: of ours from the first picture read to the last shard written, of a peer from a warm start. What is measured
over is drawn at the first run and kept (``inputs.py``).
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import inputs, watch
from tests.bench.figures import CORES, Figure, measure, say
from tests.bench.watch import Seen

from omokage.source import Source

OBJECT_STORE_MB = 128
"""Small enough for a machine of 4 GB."""

PICTURES = 16
"""Of each person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    people: int = 128
    rounds: int = 3
    few: int = 2_000
    lots: int = 20_000
    listed: int = 200_000


QUICK = Size(people=8, rounds=1, few=200, lots=600, listed=20_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One run over a folder, ours or a peer's."""

    rate: float
    """Pictures a second once running."""
    note: str
    runtime: str = ""
    """What ran the encoder of ours."""


def ingest(source: Path, dataset: Path, *options: str, memory: bool = False) -> tuple[dict[str, Any], Seen]:
    """Return the report of ``omokage ingest``, and what it used."""
    verb = ["ingest", str(source), str(dataset), "--json", "--cpus", str(CORES), *options]
    seen = watch.run(watch.python("-c", "from omokage.cli import main; main()", *verb), memory=memory)
    report: dict[str, Any] = json.loads(seen.output)
    if sum(report["status"].values()) != report["pictures"] or report["status"]["failed"]:
        raise watch.CommandError(f"{source}: {report['status']}, {report['reasons']}")
    return report, seen


def ours(source: Path, *options: str) -> Turn:
    """Return a turn of ours, into a new dataset."""
    with tempfile.TemporaryDirectory() as folder:
        report, seen = ingest(source, Path(folder) / "dataset", *options)
    done, start, running = report["done"], report["start_seconds"], report["running_seconds"]
    stages = ", ".join(f"{stage} {1000 * s / done:.2f}" for stage, s in report["stage_seconds"].items())
    cpu = ", ".join(f"{kind} {s:.1f}" for kind, s in sorted(seen.cpu_seconds.items(), key=lambda item: -item[1]))
    note = (
        f"{done / running:.1f}/s over {running:.1f} s, after {start:.1f} s of start-up, before "
        f"{seen.seconds - start - running:.1f} s of commit and end. Wall ms a picture in each stage of its worker: "
        f"{stages}. Processor s with start-up: {cpu}"
    )
    return Turn(rate=done / running, note=note, runtime=report["runtime"])


def peer(way: str, source: Path, detector: str, runtime: str) -> Turn:
    """Return a turn of a loop in ``peers.py``."""
    command = watch.python("-m", "tests.bench.peers", way, detector, runtime, str(CORES), str(source))
    found = json.loads(watch.run(command).output)
    rate, cpu = found["pictures"] / found["seconds"], 1000 * found["cpu_seconds"] / found["pictures"]
    return Turn(rate=rate, note=f"{rate:.1f}/s over {found['seconds']:.1f} s, {cpu:.1f} processor ms a picture")


def take_turns(rounds: int, **contenders: Callable[[], Turn]) -> dict[str, list[Turn]]:
    """Return the turns of each contender, taken alternately."""
    turns: dict[str, list[Turn]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            turns[name].append(contender())
            say(f"  {name}: {turns[name][-1].note}")
    return turns


def median(turns: list[Turn]) -> float:
    """Return the middle rate."""
    return statistics.median(turn.rate for turn in turns)


def notes(turns: dict[str, list[Turn]]) -> tuple[str, ...]:
    """Return what is to be known of every turn."""
    return tuple(f"{name}: {turn.note}" for name, taken in turns.items() for turn in taken)


def plain(size: Size) -> list[Figure]:
    """Measure ours against plain loops over the very same functions."""
    source = inputs.drawn(size.people, PICTURES, 640)
    runtime = ours(inputs.drawn(2, PICTURES, 640)).runtime  # also brings the programs into memory
    turns = take_turns(
        size.rounds,
        ours=lambda: ours(source),
        pictures=lambda: peer("pictures", source, "mediapipe", runtime),
        steps=lambda: peer("steps", source, "mediapipe", runtime),
    )
    best = max(("pictures", "steps"), key=lambda way: median(turns[way]))
    mine, theirs = median(turns["ours"]), median(turns[best])
    figure = Figure(
        what="640 px, default detector, pictures/s",
        peer=f"plain loop ({best}) {theirs:.1f}",
        ours=f"{mine:.1f}",
        ratio=mine / theirs,
        least=0.9,
        notes=notes(turns),
    )
    return [figure]


def opencv(size: Size) -> list[Figure]:
    """Measure ours against OpenCV's detector and encoder."""
    figures = []
    for side, rounds, least in ((320, size.rounds, 1.5), (640, 1, None)):
        source = inputs.drawn(size.people, PICTURES, side)
        turns = take_turns(
            rounds,
            yunet=lambda source=source: ours(source, "--detector", "yunet"),  # type: ignore[misc]
            mediapipe=lambda source=source: ours(source),  # type: ignore[misc]
            opencv=lambda source=source: peer("opencv", source, "", ""),  # type: ignore[misc]
        )
        theirs = median(turns["opencv"])
        figures += [
            Figure(
                what=f"{side} px, {name}, pictures/s",
                peer=f"cv2 loop {theirs:.1f}",
                ours=f"{median(turns[name]):.1f}",
                ratio=median(turns[name]) / theirs,
                least=least,
                notes=notes({name: turns[name], "opencv": turns["opencv"]}),
            )
            for name in ("yunet", "mediapipe")
        ]
    return figures


def memory(size: Size) -> list[Figure]:
    """Measure what ten times as many pictures cost in memory, and what a run without changes costs in time."""
    store = ("--object-store-mb", str(OBJECT_STORE_MB))
    with tempfile.TemporaryDirectory() as folder:
        few_report, few = ingest(inputs.small(size.few), Path(folder) / "few", *store, memory=True)
        say(f"  {size.few}: {few.peak_mb:.0f} MB")
        source, dataset = inputs.small(size.lots), Path(folder) / "lots"
        lots_report, lots = ingest(source, dataset, *store, memory=True)
        say(f"  {size.lots}: {lots.peak_mb:.0f} MB")
        again, rerun = ingest(source, dataset, *store)
        if again["done"]:
            raise watch.CommandError("a run without changes opened pictures")

    def parts(count: int, report: dict[str, Any], seen: Seen) -> str:
        kinds = ", ".join(f"{kind} {mb:.0f}" for kind, mb in seen.peak_by_kind.items())
        return f"{count:,}: {report['pictures_per_second']:.1f} pictures/s; MB at the peak: {kinds}"

    return [
        Figure(
            what=f"Peak memory, {size.lots:,} pictures of {inputs.SMALL_SIDE} px, object store {OBJECT_STORE_MB} MB",
            peer=f"{size.few:,} pictures: {few.peak_mb:,.0f} MB",
            ours=f"{lots.peak_mb:,.0f} MB",
            ratio=lots.peak_mb / few.peak_mb,
            most=1.1,
            notes=(parts(size.few, few_report, few), parts(size.lots, lots_report, lots)),
        ),
        Figure(
            what=f"Again over {size.lots:,} unchanged pictures, whole command",
            peer="10 s",
            ours=f"{rerun.seconds:.1f} s",
            ratio=rerun.seconds / 10,
            most=1.0,
        ),
    ]


def listing(size: Size) -> list[Figure]:
    """Measure the listing of many local files."""
    source = inputs.many(size.listed)
    start = time.perf_counter()
    rows = Source.at(str(source)).listing().num_rows
    seconds = time.perf_counter() - start
    if rows != size.listed:
        raise watch.CommandError(f"{rows} of {size.listed} files were listed")
    took = f"{seconds:.1f} s"
    return [Figure(what=f"Listing {size.listed:,} local files", peer="20 s", ours=took, ratio=seconds / 20, most=1.0)]


FIGURES: dict[str, Callable[[Size], list[Figure]]] = {
    "plain": plain,
    "opencv": opencv,
    "memory": memory,
    "listing": listing,
}


def main() -> None:
    """Measure."""
    measure("ingest", FIGURES, Size(), QUICK)


if __name__ == "__main__":
    main()
