"""A figure beside its peer or limit, and the file that a run of a benchmark leaves."""

import argparse
import datetime
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.bench import machine

CORES = 2
RESULTS = Path(__file__).parent / "results"

Size = TypeVar("Size")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the result."""

    what: str
    peer: str
    ours: str
    ratio: float
    """Ours to the peer's, or to the limit."""
    least: float | None = None
    """The ratio must reach this,"""
    most: float | None = None
    """or stay below this; with neither, the figure is for information."""
    notes: tuple[str, ...] = ()

    def row(self) -> str:
        """Return the figure as a row of the table."""
        if self.least is not None:
            target, met = f">= {self.least:g}", self.ratio >= self.least
        elif self.most is not None:
            target, met = f"<= {self.most:g}", self.ratio <= self.most
        else:
            target, met = "", None
        verdict = {None: "", True: "met", False: "**missed**"}[met]
        return f"| {self.what} | {self.peer} | {self.ours} | {self.ratio:.2f} | {target} | {verdict} |"


def say(line: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(line + "\n")


def measure(what: str, figures: dict[str, Callable[[Size], list[Figure]]], full: Size, quick: Size) -> None:
    """Measure what the command line asks for, and write it down.

    Args:
        what: Name of the benchmark's module.
        figures: What can be measured, by name.
        full: How much.
        quick: How little, for a smoke test.
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{what}", description=f"The figures of {what}.")
    parser.add_argument("--only", nargs="+", choices=figures, default=list(figures), metavar="NAME")
    parser.add_argument("--out", type=Path, help="result file; by default named by hardware and date")
    parser.add_argument("--quick", action="store_true", help="a smoke test over little; keeps no result file")
    asked = parser.parse_args()
    now = datetime.datetime.now(datetime.UTC)
    machine.keep_to(CORES)
    about = [
        f"- Command: python -m tests.bench.{what} {' '.join(sys.argv[1:])}".rstrip(),
        f"- Begun: {now:%Y-%m-%d %H:%M} UTC",
        *machine.lines(),
        f"- Load before: {machine.load():.2f}",
    ]
    found: list[Figure] = []
    for name in asked.only:
        say(f"{name} (load {machine.load():.2f})")
        found += figures[name](quick if asked.quick else full)
    took = (datetime.datetime.now(datetime.UTC) - now).total_seconds()
    text = _document(what, found, [*about, f"- Load after: {machine.load():.2f}; took {took / 60:.1f} minutes"])
    sys.stdout.write(text)
    out = asked.out or (None if asked.quick else RESULTS / f"{what}_{machine.name()}_{now:%Y-%m-%d}.md")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        say(f"written to {out}")


def _document(what: str, figures: list[Figure], about: list[str]) -> str:
    """Return the result file."""
    lines = [f"# Figures of {what}", "", *about, ""]
    lines += ["| what | peer or limit | ours | ratio | target | |", "|---|---|---|---|---|---|"]
    lines += [figure.row() for figure in figures]
    for figure in figures:
        if figure.notes:
            lines += ["", f"## {figure.what}", "", *(f"- {note}" for note in figure.notes)]
    return "\n".join(lines) + "\n"
