"""The figures of find, each beside its peer, measured in one run.

``python -m tests.bench.find [--only NAME …] [--out FILE] [--quick]``, from the root of the repository.

Ours is the command line as a person starts it, over datasets as an ingest leaves them; its time is all that find does,
from opening the dataset to the last finding written, without the start of Python. The peers (``find_peers.py``) have
their vectors in memory when their clock starts. Both run in turns on the same two cores.
"""

import json
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tests.bench import inputs, watch
from tests.bench.figures import Figure, measure, say
from tests.bench.find_peers import THRESHOLD
from tests.bench.watch import Seen
from tests.crowd import Crowd, gallery

from omokage import config as settings
from omokage.flows.find import find
from omokage.flows.find_config import FindConfig
from omokage.flows.index import up_to_date
from omokage.index.plan import Speed
from omokage.store import Dataset

RARE = "1e-9"
"""False match rate for millions of faces: of 5e13 pairs, 50,000 are strangers then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How much is measured."""

    people: int = 1291
    faces: int = 100
    rounds: int = 2
    million: int = 1_000_000
    grown: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    seeds: int = 100


QUICK = Size(people=150, faces=40, rounds=1, million=20_000, grown=(5_000, 20_000), seeds=2)


def crowd(people: int, faces: int, dim: int) -> Crowd:
    """Return people of whom 2 in 100 lie in two folders; no other faults."""
    return Crowd(folders=people, faces=faces, dim=dim, splits=0.04, strangers=0, repeats=0)


def dataset(made: Crowd) -> Path:
    """Return the crowd's dataset, without an index; made once and kept."""
    data = inputs.crowd(made)
    for each in ("index", "findings"):
        shutil.rmtree(data / each, ignore_errors=True)
    return data


def ours(data: Path, *options: str, memory: bool = False) -> tuple[dict[str, Any], Seen]:
    """Return the report of ``omokage find`` over a dataset without an index, and what it used."""
    for each in ("index", "findings"):
        shutil.rmtree(data / each, ignore_errors=True)
    level = () if "--fmr" in options else ("--threshold", str(THRESHOLD))
    verb = ["find", str(data), "--what", "collisions", "--json", *level, *options]
    seen = watch.run(watch.python("-c", "from omokage.cli import main; main()", *verb), memory=memory, every=0.2)
    return json.loads(seen.output), seen


def peer(way: str, file: Path, out: Path) -> dict[str, Any]:
    """Return what a peer reports."""
    found: dict[str, Any] = json.loads(
        watch.run(watch.python("-m", "tests.bench.find_peers", way, str(file), str(out))).output
    )
    return found


def keys(data: Path, rows: dict[str, int]) -> NDArray[np.int64]:
    """Return the pairs that ours found, numbered as the peers number them."""
    table = pq.read_table(data / "findings" / "collisions.parquet", columns=["uri_a", "uri_b"])
    a, b = (np.array([rows[uri] for uri in table[name].to_pylist()], np.int64) for name in ("uri_a", "uri_b"))
    found = np.unique(np.minimum(a, b) * len(rows) + np.maximum(a, b))
    if len(found) != table.num_rows:
        raise watch.CommandError("a pair was found twice")
    return found


def collisions(size: Size) -> list[Figure]:
    """Measure ours by lists against FAISS by lists, and both against all pairs."""
    data = dataset(crowd(size.people, size.faces, 512))
    faces = gallery(Dataset.open(str(data)))
    rows = {uri: row for row, uri in enumerate(faces.faces["uri"].to_pylist())}
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "vectors.npz", Path(folder) / "pairs.npy"
        np.savez(file, vectors=faces.vectors[:], label=faces.label_N.astype(np.int64))
        exact = peer("all", file, out)
        truth = np.load(out)
        say(f"  all pairs: {exact['seconds']:.1f} s, {len(truth):,} pairs")
        mine, theirs, notes = [], [], []
        for _ in range(size.rounds):
            report, seen = ours(data, "--recall", "0.9999")
            whole, join = sum(report["seconds"].values()), report["collisions"]["join_seconds"]
            recall = float(np.isin(truth, keys(data, rows)).mean())
            mine.append((whole, join, recall))
            notes.append(
                f"ours: {whole:.2f} s, join {join:.2f} s, recall {recall:.6f}, {report['collisions']['lists']} lists, "
                f"floor {report['collisions']['floor']}, parts {report['seconds']}, "
                f"whole process {seen.seconds:.1f} s"
            )
            say(f"  {notes[-1]}")
            found = peer("faiss", file, out)
            theirs.append((found["seconds"], found["search"]))
            reached = float(np.isin(truth, np.load(out)).mean())
            notes.append(
                f"FAISS: train {found['train']:.2f}, add {found['add']:.2f}, range_search {found['search']:.2f} s, "
                f"recall {reached:.6f}"
            )
            say(f"  {notes[-1]}")
    whole, join, recall = (statistics.median(each) for each in zip(*mine, strict=True))
    theirs_whole, theirs_search = (statistics.median(each) for each in zip(*theirs, strict=True))
    what = f"{size.people:,} people x {size.faces} x 512"

    def faster(part: str, other: str, peer_seconds: float, seconds: float, least: float) -> Figure:
        return Figure(
            what=f"{what}: {part}",
            peer=f"{other} {peer_seconds:.2f} s",
            ours=f"{seconds:.2f} s",
            ratio=peer_seconds / seconds,
            least=least,
        )

    return [
        faster("whole find", "FAISS train, add, range_search", theirs_whole, whole, 3),
        faster("join alone", "FAISS range_search", theirs_search, join, 5),
        faster("whole find", "all pairs by numpy", exact["seconds"], whole, 18),
        Figure(
            what=f"{what}: recall of all pairs that there are",
            peer=f"{len(truth):,} pairs",
            ours=f"{recall:.6f}",
            ratio=recall,
            least=0.9999,
            notes=tuple(notes),
        ),
    ]


def exact(size: Size) -> list[Figure]:
    """Measure our comparison of all pairs against the machine's bare float32 products."""
    data = dataset(crowd(size.people, size.faces, 512))
    speed = Speed("int8", 1e9)
    rates, bare, notes = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vectors.npz"
        np.savez(file, vectors=gallery(Dataset.open(str(data))).vectors[:4096], label=np.zeros(4096))
        for _ in range(size.rounds):
            bare.append(peer("sgemm", file, Path(folder) / "none.npy")["gflops"])
            shutil.rmtree(data / "index", ignore_errors=True)
            for kind in ("float32", "int8"):
                up_to_date(Dataset.open(str(data)), Speed(kind, speed.pairs), rebuild=True, lists=1)
                report = find(str(data), FindConfig(what="collisions", threshold=THRESHOLD))
                assert report.collisions is not None
                pairs = report.plan.pairs
                rate = 2 * 512 * pairs / report.collisions.join_seconds / 1e9
                rates.append((kind, rate))
                notes.append(
                    f"{kind}: {report.collisions.join_seconds:.1f} s, {rate:.0f} GFLOP/s of the half that counts"
                )
                say(f"  {notes[-1]}")
    figures = []
    for kind in ("float32", "int8"):
        rate = statistics.median(rate for name, rate in rates if name == kind)
        figures.append(
            Figure(
                what=f"{size.people * size.faces:,} x 512, all pairs, {kind} codes: rate of the join",
                peer=f"bare sgemm {statistics.median(bare):.0f} GFLOP/s",
                ours=f"{rate:.0f} GFLOP/s",
                ratio=rate / statistics.median(bare),
                least=0.7,
                notes=tuple(note for note in notes if note.startswith(kind)),
            )
        )
    return figures


def million(size: Size) -> list[Figure]:
    """Measure time, memory and recall of a million faces."""
    data = dataset(crowd(size.million // 100, 100, 512))
    report, seen = ours(data, memory=True)
    recall = report["collisions"]["recall"] or {"value": 1.0, "low": 1.0, "high": 1.0, "pairs": 0, "faces": 0}
    what = f"{size.million:,} x 512"
    seconds = sum(report["seconds"].values())
    note = f"{report['collisions']} parts {report['seconds']}"
    return [
        Figure(what=f"{what}: whole find", peer="300 s", ours=f"{seconds:.0f} s", ratio=seconds / 300, most=1),
        Figure(
            what=f"{what}: peak memory of all processes",
            peer="6,000 MB",
            ours=f"{seen.peak_mb:,.0f} MB",
            ratio=seen.peak_mb / 6000,
            most=1,
        ),
        Figure(
            what=f"{what}: recall, sampled",
            peer=f"{recall['pairs']:,} pairs of {recall['faces']} faces",
            ours=f"{recall['value']:.5f} ({recall['low']:.5f} to {recall['high']:.5f})",
            ratio=recall["value"],
            least=0.999,
            notes=(note,),
        ),
    ]


def memory(size: Size) -> list[Figure]:
    """Measure whether the memory that is given is kept, where the vectors and codes do not fit into it."""
    data, most = dataset(crowd(size.million // 100, 100, 128)), "2.2GB"
    report, seen = ours(data, "--fmr", RARE, "--memory", most, memory=True)
    limit = settings.size(most, "memory") / 2**20
    return [
        Figure(
            what=f"{size.million:,} x 128, --memory {most}: peak memory of all processes",
            peer=f"{limit:,.0f} MiB",
            ours=f"{seen.peak_mb:,.0f} MiB",
            ratio=seen.peak_mb / limit,
            most=1,
            notes=(f"parts {report['seconds']}, by kind {seen.peak_by_kind}",),
        )
    ]


def growth(size: Size) -> list[Figure]:
    """Measure how time grows with the faces, at a rate at which chance does not drown what was planted."""
    seconds, peaks, notes = [], [], []
    for faces in size.grown:
        data = dataset(crowd(faces // 100, 100, 128))
        report, seen = ours(data, "--fmr", RARE, memory=True)
        seconds.append(sum(report["seconds"].values()))
        peaks.append(seen.peak_mb)
        recall = report["collisions"]["recall"]
        notes.append(
            f"{faces:,}: {seconds[-1]:.1f} s, {peaks[-1]:,.0f} MB, {report['collisions']['lists']} lists, recall "
            f"{recall and recall['value']}, {report['collisions']['pairs']:,} pairs, parts {report['seconds']}"
        )
        say(f"  {notes[-1]}")
        if faces != size.grown[0]:
            shutil.rmtree(data / "index", ignore_errors=True)
    exponent = float(np.log(seconds[-1] / seconds[0]) / np.log(size.grown[-1] / size.grown[0]))
    return [
        Figure(
            what=f"{size.grown[-1]:,} x 128: peak memory of all processes",
            peer="8,000 MB",
            ours=f"{peaks[-1]:,.0f} MB",
            ratio=peaks[-1] / 8000,
            most=1,
        ),
        Figure(
            what=f"Growth of time from {size.grown[0]:,} to {size.grown[-1]:,} faces: exponent",
            peer="1.3",
            ours=f"{exponent:.2f}",
            ratio=exponent / 1.3,
            most=1,
            notes=tuple(notes),
        ),
    ]


def truth(size: Size) -> list[Figure]:
    """Measure precision and recall of what is found at the default settings, over crowds with planted faults."""
    counts = {name: np.zeros(3, np.int64) for name in ("people in two folders", "same shots", "strangers")}
    for seed in range(size.seeds):
        made = Crowd(
            folders=60, faces=12, dim=512, splits=0.1, strangers=0.02, repeats=0.05, chips=True, seed=1000 + seed
        )
        with tempfile.TemporaryDirectory() as folder:
            made.write(folder)
            find(folder, FindConfig())
            for name, found, want in _found(made, Path(folder) / "findings"):
                counts[name] += [len(found & want), len(found), len(want)]
    figures = []
    for name, (right, found, want) in counts.items():
        for kind, of in (("precision", found), ("recall", want)):
            share = right / max(of, 1)
            figures.append(
                Figure(
                    what=f"{size.seeds} crowds, {name}: {kind}",
                    peer=f"{of:,}",
                    ours=f"{right:,}",
                    ratio=float(share),
                    least=0.99,
                )
            )
    return figures


def _found(made: Crowd, findings: Path) -> list[tuple[str, set[Any], set[Any]]]:
    """Return what was found and what was planted, by kind."""
    block = made.whole()
    uris = [
        f"{made.name(f)}/{n:05d}.jpg" for f, n in zip(block.folder_N.tolist(), block.number_N.tolist(), strict=True)
    ]
    people = pq.read_table(findings / "collision_pairs.parquet").to_pylist()
    shots = pq.read_table(findings / "same_face.parquet").to_pylist()
    strange = pq.read_table(findings / "outliers.parquet").to_pylist()
    same = {(p["identity_a"], p["identity_b"]) for p in people if p["verdict"] == "same_person"}
    clusters: dict[int, set[str]] = {}
    for shot in shots:
        if shot["kind"] in ("best", "same_shot", "same_file"):
            clusters.setdefault(shot["cluster"], set()).add(shot["uri"])
    wanted: dict[int, set[str]] = {}
    for row in np.flatnonzero(block.original_N >= 0).tolist():
        first = int(block.original_N[row])
        wanted.setdefault(first, {uris[first]}).add(uris[row])
    away = np.flatnonzero(block.person_N != made.person_F[block.folder_N]).tolist()
    return [
        ("people in two folders", same, {(made.name(a), made.name(b)) for a, b in made.split_pairs}),
        ("same shots", _pairs(clusters.values()), _pairs(wanted.values())),
        ("strangers", {row["uri"] for row in strange}, {uris[row] for row in away}),
    ]


def _pairs(clusters: Any) -> set[Any]:
    return {(a, b) for cluster in clusters if len(cluster) > 1 for a in cluster for b in cluster if a < b}


FIGURES = {
    "collisions": collisions,
    "exact": exact,
    "million": million,
    "memory": memory,
    "growth": growth,
    "truth": truth,
}


def main() -> None:
    """Measure."""
    measure("find", FIGURES, Size(), QUICK)


if __name__ == "__main__":
    main()
