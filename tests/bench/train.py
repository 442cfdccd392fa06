"""The figures of training, each beside its peer, measured in one run.

``python -m tests.bench.train [--only NAME …] [--out FILE] [--quick]``, from the root of the repository.

Ours is the command line as a person starts it: one worker with two threads. The peers are in ``train_peers.py``; they
and ours run in turns on the same two cores. The weights of lite0 are fetched once (``omokage weights``).

Settings of ``unseen`` were chosen on people drawn from another seed than those who are judged here.
"""

import json
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import inputs, turns, watch
from tests.bench.figures import Figure, measure, say
from tests.bench.train_peers import SIDE

from omokage.train import heap
from omokage.train.run import CONFIG, HEAD, METRICS, SPLIT, START

VERB = ("-c", "from omokage.cli import main; main()")

LOOK = 5.0
"""Seconds between two looks at what runs: each takes milliseconds of the cores that are measured."""

BEGUN = (CONFIG, HEAD, SPLIT, START)
"""Files of a training that has begun and taken no step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    people: int = 64
    pictures: int = 16
    steps: int = 8
    rounds: int = 12
    drawn: tuple[int, int] = (80, 30)
    """People, and pictures of each, of whom three quarters train and one quarter is judged."""
    unseen_epochs: int = 16
    unseen_seconds: float = 600
    tuned: tuple[int, int] = (64, 16)
    """People, and pictures of each, for the search: a quarter of the people chooses the settings, and another quarter,
    whom no trial sees, judges what was chosen."""
    trials: int = 8
    trial_epochs: int = 8


QUICK = Size(
    people=16,
    pictures=8,
    steps=1,
    rounds=1,
    drawn=(24, 8),
    unseen_epochs=2,
    tuned=(40, 16),
    trials=2,
    trial_epochs=1,
)

SMALL = ("--backbone", "tf_efficientnet_lite0", "--weights", "efficientnet-lite0", "--input-size", "112")
"""A network that two cores train in minutes."""

SPACE = """
loss.loss = ["arcface", "cosface", "triplet", "supcon"]
optim.preset = ["adam-cosine", "adamw-plateau", "schedule-free"]
optim.lr = { loguniform = [1e-4, 5e-3] }
batches.people = [8, 16]
batches.pictures = { int = [2, 8] }
augment.strength = { uniform = [0.0, 2.0] }
"""
"""What the search may try: what it may by default, less what so few people or these weights do not go with."""


def omokage(*words: str, seconds: float = 1800) -> tuple[dict[str, Any], watch.Seen]:
    """Return the report of a verb, and what it used."""
    seen = watch.run(watch.python(*VERB, *words, "--json"), every=LOOK, seconds=seconds)
    report: dict[str, Any] = json.loads(seen.output)
    return report, seen


def peer(way: str, where: Path, steps: int = 0) -> dict[str, Any]:
    """Return what a peer reports. Those that are our own steps keep their memory as our workers do."""
    environ = {} if way == "plain" else heap.KEPT
    command = watch.python("-m", "tests.bench.train_peers", way, str(where), str(steps))
    found: dict[str, Any] = json.loads(watch.run(command, every=LOOK, environ=environ).output)
    return found


def dataset(people: int, pictures: int) -> Path:
    """Return a dataset of drawn people; made once and kept."""
    place = inputs.folder() / f"trained-{people}x{pictures}-320"
    if not (place / "whole").exists():
        shutil.rmtree(place, ignore_errors=True)
        say(f"  making {place.name}")
        omokage("ingest", str(inputs.drawn(people, pictures, 320)), str(place / "data"))
        (place / "whole").touch()
    return place / "data"


def train(data: Path, run: Path, *words: str, seconds: float = 1800) -> tuple[dict[str, Any], watch.Seen]:
    """Return the report of one worker's training with two threads, and what it used."""
    return omokage("train", str(data), str(run), "--workers", "1", "--tracking", "off", *words, seconds=seconds)


def again(run: Path, place: Path) -> Path:
    """Return a training like another one that has ended, begun and no step taken."""
    place.mkdir()
    for name in BEGUN:
        if (run / name).exists():
            shutil.copy(run / name, place)
    return place


def speed(size: Size) -> list[Figure]:
    """Measure images a second of the default network at its own size: ours, in memory, without Ray, and a plain loop.

    Ours and its peers take turns, an epoch each; what counts is the median of the ratios within a round of turns. The
    first epoch, in which memory is asked for, does not count.
    """
    data = dataset(size.people, size.pictures)
    with tempfile.TemporaryDirectory() as folder:
        omokage("export", "imagefolder", str(data), f"{folder}/chips")
        (Path(folder) / "chips/omokage.parquet").unlink()
        plain = peer("plain", Path(folder) / "chips", size.steps)["rate"]
        say(f"  plain: {plain:.2f} images/s")
        found, report = in_turns(data, Path(folder), size.rounds)
    found["plain"] = [plain] * size.rounds
    what = f"{report['backbone']} at {SIDE} px, batches of 64, {report['precision']}: images/s"

    def beside(other: str, words: str, least: float) -> Figure:
        ratios = sorted(ours / its for ours, its in zip(found["ours"], found[other], strict=True))
        rounds = ", ".join(f"{rate:.2f}" for rate in found[other])
        return Figure(
            what=f"{what}, {words}",
            peer=f"{statistics.median(found[other]):.2f}",
            ours=f"{statistics.median(found['ours']):.2f}",
            ratio=statistics.median(ratios),
            least=least,
            notes=(
                f"ours in each round: {', '.join(f'{rate:.2f}' for rate in found['ours'])}",
                f"{other}: {rounds}; ratios {', '.join(f'{ratio:.3f}' for ratio in ratios)}",
                f"waiting {report['waiting']:.2%}, start-up {report['start_seconds']:.1f} s",
            )
            if other != "plain"
            else (),
        )

    return [
        beside("memory", "against the same step on tensors in memory", 0.95),
        beside("plain", "against ImageFolder, DataLoader, torchvision, triplets", 1.15),
        beside("bare", "against the same loop without Ray", 0.98),
    ]


def in_turns(data: Path, folder: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Return images a second in each round, of ours and its peers by name, and the report of ours."""
    run = folder / "run"
    recipe = ("--from-scratch", "--input-size", str(SIDE), "--epochs", str(rounds + 1))
    words = ("--workers", "1", "--tracking", "off", "--val-share", "0", "--test-share", "0", *recipe, "--json")
    programs = {"ours": turns.Program(watch.python(*VERB, "train", str(data), str(run), *words), run / METRICS)}
    try:
        programs["ours"].turn()
        for way, where in (("memory", run), ("bare", again(run, folder / "bare"))):
            command = watch.python("-m", "tests.bench.train_peers", way, str(where))
            programs[way] = turns.Program(command, environ=heap.KEPT)
            programs[way].turn()
        for number in range(rounds):
            names = list(programs)
            for name in names if number % 2 else reversed(names):
                programs[name].turn()
        outputs = {name: program.end() for name, program in programs.items()}
    finally:
        for program in programs.values():
            program.kill()
    lines = outputs | {"ours": (run / METRICS).read_text()}
    return {name: _rates(text) for name, text in lines.items()}, json.loads(outputs["ours"])


def _rates(lines: str) -> list[float]:
    """Return images a second of each epoch but the first, from lines of JSON."""
    said = [json.loads(line) for line in lines.splitlines()]
    return [line["images_per_second"] for line in said if "images_per_second" in line][1:]


def unseen(size: Size) -> list[Figure]:
    """Measure how well people are told apart whom a short training on a CPU has not seen."""
    people, pictures = size.drawn
    data = dataset(people, pictures)
    words = (*SMALL, "--epochs", str(size.unseen_epochs), "--val-share", "0", "--test-share", "0.25")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        report, seen = train(data, run, *words)
        found = peer("judge", run)
    trained, untrained, encoder = (found[name] for name in ("trained", "untrained", "encoder"))
    what = f"{report['people']['train']} drawn people train, {found['people']} unseen are told apart"

    def told(figures: dict[str, Any]) -> str:
        tar = "too few pairs" if figures["tar"] is None else f"{figures['tar']:.4f}"
        return f"AUC {figures['auc']:.4f}, EER {figures['eer']:.4f}, TAR at FMR 1e-2 {tar}"

    note = (
        f"{report['epochs']} epochs of {report['faces']['train']:,} faces, {report['images_per_second']:.1f} images/s, "
        f"{report['loss']}, waiting {report['waiting']:.2%}; whole command {seen.seconds:.0f} s"
    )
    return [
        Figure(
            what=f"{what}: AUC",
            peer="0.95",
            ours=told(trained),
            ratio=trained["auc"],
            least=0.95,
            notes=(note, f"the dataset's encoder (SFace) on the same faces: {told(encoder)}"),
        ),
        Figure(
            what=f"{what}: AUC above that of the network before training",
            peer=told(untrained),
            ours=f"{trained['auc'] - untrained['auc']:+.4f}",
            ratio=trained["auc"] - untrained["auc"],
            least=0.05,
        ),
        Figure(
            what=f"{what}: seconds of the whole command",
            peer=f"{size.unseen_seconds:.0f} s",
            ours=f"{seen.seconds:.0f} s",
            ratio=seen.seconds / size.unseen_seconds,
            most=1,
        ),
    ]


def tune(size: Size) -> list[Figure]:
    """Measure what a search gains over the default settings, on the people who choose, and on others."""
    words = (*SMALL, "--epochs", str(size.trial_epochs), "--val-share", "0.25", "--test-share", "0.25")
    with tempfile.TemporaryDirectory() as folder:
        out, space = Path(folder) / "search", Path(folder) / "space.toml"
        space.write_text(SPACE, encoding="utf-8")
        tried = ("--space", str(space), "--trials", str(size.trials), "--at-once", "1", "--tracking", "off")
        report, seen = omokage("tune", str(dataset(*size.tuned)), str(out), *tried, *words)
        other = peer("gain", out, report["trials"][0]["number"]) if report["better"] else {"best": {}}
    metric, what = report["metric"], f"{size.trials} trials of {size.trial_epochs} epochs"
    notes = [
        f"rank {each['rank']}: trial {each['number']}, {each['value']} after {each['epochs']} epochs, "
        f"{each['seconds']:.0f} s, {each['point'] or 'default settings'}"
        for each in report["trials"]
    ]
    return [
        Figure(
            what=f"{what}: {metric} of the best, on the people who choose",
            peer=f"default settings {report['base']:.4f}",
            ours=_gained(report["best"], report["gain"]),
            ratio=report["best"] - report["base"],
            least=0.001,
            notes=(f"whole command {seen.seconds:.0f} s", *notes),
        ),
        *(
            Figure(
                what=f"the same trial on {other['people']} people whom no trial has seen: {name}",
                peer=f"default settings {other['base'][name]:.4f}",
                ours=_gained(other["best"][name], other["gain"][name]),
                ratio=other["best"][name] - other["base"][name],
            )
            for name in other["best"]
        ),
    ]


def _gained(value: float, gain: dict[str, float] | None) -> str:
    """Return a figure, and what it is more than the default settings', with its interval over people."""
    return f"{value:.4f}" + (f", {gain['value']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})" if gain else "")


FIGURES = {"speed": speed, "unseen": unseen, "tune": tune}


def main() -> None:
    """Measure."""
    measure("train", FIGURES, Size(), QUICK)


if __name__ == "__main__":
    main()
