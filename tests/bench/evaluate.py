"""The figures of evaluation, each beside its peer or limit, measured in one run.

``python -m tests.bench.evaluate [--only NAME …] [--out FILE] [--quick]``, from the root of the repository.

Every way is a process of its own (``evaluate_peers.py``), which has its vectors in memory when its clock starts; only
``whole`` is the command itself, from the dataset on disk to the page. People are drawn at random, as hard to tell apart
as faces in poor light, so that no figure is a round number.
"""

import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.bench import inputs, watch
from tests.bench.evaluate_peers import PROBE
from tests.bench.figures import Figure, measure, say
from tests.crowd import Crowd

MB = 1e6
ROW = 1024
"""Faces that are compared with all others at once, where a figure is counted anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    small: tuple[int, int] = (100, 30)
    """People and faces of each, to compare with scikit-learn."""
    rounds: int = 5
    large: tuple[int, int] = (1000, 100)
    """People and faces of each, for all pairs."""
    enrolled: int = 100_000
    """People, a face of each."""
    searches: int = 10_000
    many: tuple[int, int] = (200_000, 50_000)
    """People and searches, for lists."""


QUICK = Size(rounds=2, large=(100, 40), enrolled=4000, searches=500, many=(20_000, 1000))


def drawn(people: int, faces: int, genuine: float = 0.3) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return unit vectors and whose they are, person by person."""
    crowd = Crowd(folders=people, faces=faces, dim=512, splits=0, strangers=0, repeats=0, genuine=genuine)
    blocks = list(crowd.blocks())
    return np.concatenate([block.vectors_ND for block in blocks]), np.concatenate([b.folder_N for b in blocks])


def way(name: str, file: Path, rounds: int = 1) -> dict[str, Any]:
    """Return what a process of its own reports."""
    command = watch.python("-m", "tests.bench.evaluate_peers", name, str(file), str(rounds))
    told: dict[str, Any] = json.loads(watch.run(command).output)
    return told


def sgemm(file: Path) -> float:
    """Return the rate of bare float32 products, GFLOP/s."""
    told = json.loads(watch.run(watch.python("-m", "tests.bench.find_peers", "sgemm", str(file), "none")).output)
    return float(told["gflops"])


def small(size: Size) -> list[Figure]:
    """Measure ours against numpy and scikit-learn on a few thousand faces."""
    vector_NE, label_N = drawn(*size.small)
    with tempfile.TemporaryDirectory() as folder:
        sorted_, mixed = Path(folder) / "sorted.npz", Path(folder) / "mixed.npz"
        np.savez(sorted_, vectors=vector_NE, label=label_N)
        order_N = np.random.default_rng(0).permutation(len(label_N))
        np.savez(mixed, vectors=vector_NE[order_N], label=label_N[order_N])
        told = {name: way(name, sorted_, size.rounds) for name in ("ours", "whole", "scores")}
        told["mixed"] = way("ours", mixed, size.rounds)
    for name, each in told.items():
        rounds = " ".join(f"{seconds:.3f}" for seconds in each["seconds"])
        say(f"  {name}: {rounds} s, {each['above'] / MB:.1f} MB, AUC {each['auc']:.9f}")
    ours, seconds = told["ours"], {name: statistics.median(each["seconds"]) for name, each in told.items()}
    what = f"{len(label_N):,} x 512, {len(label_N) * (len(label_N) - 1) // 2:,} pairs"
    off = abs(ours["auc"] - told["whole"]["auc"])
    notes = tuple(
        f"{label}: {' '.join(f'{each:.3f}' for each in told[name]['seconds'])} s; {told[name]['above'] / MB:.1f} MB "
        f"above the start, {told[name]['cold'] / MB:.1f} MB with the libraries' code that the first use brings in; "
        f"AUC {told[name]['auc']:.9f}"
        for name, label in (
            ("ours", "ours, faces person by person"),
            ("mixed", "ours, faces in no order (they are copied)"),
            ("whole", "numpy's products and scikit-learn's roc_curve and auc"),
            ("scores", "scikit-learn's roc_curve and auc, given the scores"),
        )
    )

    def against(peer: str, name: str, ours_name: str, least: float | None) -> list[Figure]:
        order = ", faces in no order" if ours_name == "mixed" else ""
        return [
            Figure(
                what=f"{what}: seconds{order}",
                peer=f"{peer} {seconds[name]:.3f} s",
                ours=f"{seconds[ours_name]:.3f} s",
                ratio=seconds[name] / seconds[ours_name],
                least=least and 10,
            ),
            Figure(
                what=f"{what}: peak memory above the start{order}",
                peer=f"{peer} {told[name]['above'] / MB:.0f} MB",
                ours=f"{told[ours_name]['above'] / MB:.1f} MB",
                ratio=told[name]["above"] / told[ours_name]["above"],
                least=least,
            ),
        ]

    return [
        *against("vectors to curve by numpy and scikit-learn", "whole", "ours", 20),
        *against("vectors to curve by numpy and scikit-learn", "whole", "mixed", 20),
        *against("scikit-learn from ready scores to curve", "scores", "ours", None),
        Figure(
            what=f"{what}: AUC",
            peer=f"scikit-learn {told['whole']['auc']:.9f}",
            ours=f"{ours['auc']:.9f}, stated to {ours['auc_error']:.1e}",
            ratio=off / 1e-6,
            most=1,
            notes=notes,
        ),
    ]


def large(size: Size) -> list[Figure]:
    """Measure all pairs of many faces, and count the rarest operating point anew."""
    vector_NE, label_N = drawn(*size.large)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vectors.npz"
        np.savez(file, vectors=vector_NE, label=label_N)
        bare = sgemm(file)
        told = way("ours", file)
    pairs = told["genuine"] + told["impostor"]
    seconds = told["seconds"][0]
    rate = 2 * 512 * pairs / seconds / 1e9
    say(f"  {seconds:.1f} s, {rate:.0f} of {bare:.0f} GFLOP/s, {told['peak'] / MB:,.0f} MB")
    shown = [point for point in told["points"] if point["tar"] is not None]
    point = shown[-1]
    genuine, impostor = matches(vector_NE, label_N, point["threshold"])
    counted = round(point["tar"] * told["genuine"]), round(point["counted"] * told["impostor"])
    off = abs(counted[0] - genuine) + abs(counted[1] - impostor)
    what = f"{len(label_N):,} x 512, {pairs:,} pairs"
    points = tuple(
        f"TAR {each['tar']:.6f} at FMR {each['fmr']:g}, threshold {each['threshold']:.7f}, FMR there "
        f"{each['counted']:.3e}"
        for each in shown
    )
    return [
        Figure(what=f"{what}: seconds", peer="120 s", ours=f"{seconds:.1f} s", ratio=seconds / 120, most=1),
        Figure(
            what=f"{what}: peak memory of the process, vectors in it",
            peer="1,500 MB",
            ours=f"{told['peak'] / MB:,.0f} MB",
            ratio=told["peak"] / MB / 1500,
            most=1,
        ),
        Figure(
            what=f"{what}: rate of products, all else included",
            peer=f"bare sgemm {bare:.0f} GFLOP/s",
            ours=f"{rate:.0f} GFLOP/s",
            ratio=rate / bare,
            least=0.6,
        ),
        Figure(
            what=f"{what}: pairs that match at FMR {point['fmr']:g}, counted anew",
            peer=f"{genuine:,} and {impostor:,}",
            ours=f"{counted[0]:,} and {counted[1]:,}",
            ratio=float(off),
            most=2,
            notes=(f"AUC {told['auc']:.9f}, stated to {told['auc_error']:.1e}", *points),
        ),
    ]


def matches(vector_NE: NDArray[np.float32], label_N: NDArray[np.int64], threshold: float) -> tuple[int, int]:
    """Return how many pairs of one person, and of different people, match: all products, nothing clever.

    Products of other blocks differ in their last bits, so a pair at the threshold may fall on the other side.
    """
    genuine = every = 0
    for start in range(0, len(label_N), ROW):
        match = vector_NE[start : start + ROW] @ vector_NE[start:].T >= np.float32(threshold)
        match = np.triu(match, 1)
        every += int(np.count_nonzero(match))
        row, column = np.nonzero(match)
        genuine += int(np.count_nonzero(label_N[start + row] == label_N[start + column]))
    return genuine, every - genuine


def searches(people: int, probes: int, folder: str) -> Path:
    """Return a file of people with one enrolled face each, and probes: four of five of enrolled people."""
    vector_NE, label_N = drawn(people + probes // 5, 2, genuine=0.5)
    rng = np.random.default_rng(1)
    mated = 2 * rng.permutation(people)[: probes - probes // 5] + 1
    strangers = 2 * np.arange(people, people + probes // 5) + 1
    probe = np.concatenate([mated, strangers])
    rows = np.concatenate([2 * np.arange(people), probe])
    label_N = np.concatenate([label_N[: 2 * people : 2], label_N[probe] + PROBE])
    file = Path(folder) / f"searches-{people}.npz"
    np.savez(file, vectors=vector_NE[rows], label=label_N)
    return file


def search(size: Size) -> list[Figure]:
    """Measure searches of a gallery, exact."""
    with tempfile.TemporaryDirectory() as folder:
        told = way("gallery", searches(size.enrolled, size.searches, folder))
    whole = told["search"] + told["read"]
    say(f"  {whole:.1f} s, rank one {told['rank_one']:.4f}")
    return [
        Figure(
            what=f"1:N, {size.enrolled:,} enrolled x {size.searches:,} searches x 512: all figures with intervals",
            peer="60 s",
            ours=f"{whole:.1f} s",
            ratio=whole / 60,
            most=1,
            notes=(
                f"search {told['search']:.2f} s, CMC, DIR and intervals {told['read']:.2f} s, "
                f"{told['peak'] / MB:,.0f} MB; rank one {told['rank_one']:.4f} of {told['mated']:,} mated searches",
            ),
        )
    ]


def through_lists(size: Size) -> list[Figure]:
    """Measure searches of a larger gallery through lists against exact ones."""
    people, probes = size.many
    with tempfile.TemporaryDirectory() as folder:
        file = searches(people, probes, folder)
        exact, told = way("gallery", file), way("lists", file)
    say(f"  exact {exact['search']:.1f} s, lists {told['search']:.1f} s, {told['text']}")
    return [
        Figure(
            what=f"1:N, {people:,} enrolled x {probes:,} searches x 512, through lists: seconds",
            peer=f"exact {exact['search']:.1f} s",
            ours=f"{told['search']:.1f} s",
            ratio=exact["search"] / told["search"],
            least=1,
        ),
        Figure(
            what=f"1:N, {people:,} enrolled x {probes:,} searches x 512, through lists: rank one",
            peer=f"exact {exact['rank_one']:.6f}",
            ours=f"{told['rank_one']:.6f}",
            ratio=told["rank_one"] / exact["rank_one"],
            least=0.999,
            notes=(told["text"],),
        ),
    ]


def whole(size: Size) -> list[Figure]:
    """Measure the whole command, from the dataset on disk to the page, and the same command again."""
    people, faces = size.large
    data = inputs.crowd(Crowd(folders=people, faces=faces, dim=512, splits=0.04, strangers=0, repeats=0))
    pairs = people * faces * (people * faces - 1) // 2
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        verb = ["-m", "omokage", "evaluate", str(data), str(out), "--tracking", f"sqlite:///{folder}/mlflow.db"]
        bare = watch.run(watch.python("-c", "import time; time.sleep(1)"), memory=True, every=0.2).peak_mb
        first = watch.run(watch.python(*verb), memory=True, every=0.2)
        again = watch.run(watch.python(*verb))
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        page = (out / "index.html").stat().st_size
    parts = report["seconds"]
    rest = first.seconds - sum(parts.values())
    say(f"  {first.seconds:.1f} s, {first.peak_mb:,.0f} MB, again {again.seconds:.1f} s; {parts}, rest {rest:.1f} s")
    what = f"whole command, {people * faces:,} x 512, {pairs:,} pairs"
    core = f"counting all pairs alone {parts['pairs']:.1f} s"
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items())
    return [
        Figure(
            what=f"{what}: seconds",
            peer=core,
            ours=f"{first.seconds:.1f} s",
            ratio=first.seconds / parts["pairs"],
            notes=(
                f"{told}; start, reading, pairs to show, plots, page and MLflow {rest:.1f} s",
                f"page {page / MB:.1f} MB, with its plots",
            ),
        ),
        Figure(
            what=f"{what}: peak memory of all processes above the bare interpreter's",
            peer="1,500 MB",
            ours=f"{first.peak_mb - bare:,.0f} MB",
            ratio=(first.peak_mb - bare) / 1500,
            most=1,
        ),
        Figure(
            what=f"{what}: again, when nothing has changed",
            peer="10 s",
            ours=f"{again.seconds:.1f} s",
            ratio=again.seconds / 10,
            most=1,
        ),
    ]


FIGURES = {"small": small, "large": large, "search": search, "lists": through_lists, "whole": whole}


def main() -> None:
    """Measure."""
    measure("evaluate", FIGURES, Size(), QUICK)


if __name__ == "__main__":
    main()
