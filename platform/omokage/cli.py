"""The command line: ``omokage VERB``.

One function a verb, each a config and a flow. A verb's modules are imported when it is called, so that
``omokage --help`` answers at once.
"""

import contextlib
import dataclasses
import json as jsonlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, cast

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from omokage import __version__, config, system
from omokage.errors import OmokageError

T = TypeVar("T")

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it."""

FLAT = (tyro.conf.OmitArgPrefixes, tyro.conf.arg(name=""))
"""Options of a config within a config are named without the way to it."""

Json = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help="Print the report as one JSON object.")]
Settings = Annotated[
    Path | None,
    tyro.conf.arg(name="config", metavar="FILE", help="TOML file with settings; options on the command line win."),
]
Source = Annotated[
    tyro.conf.Positional[str],
    tyro.conf.arg(
        metavar="SOURCE",
        help="Folder (its first level names the identities), CSV or Parquet list (uri, identity), or s3:// of either.",
    ),
]
DatasetPlace = Annotated[
    tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET", help="Folder or s3:// prefix of the dataset.")
]


def ingest(argv: list[str]) -> str:
    """Make a dataset of faces from a folder or list of pictures, or bring it up to date."""
    system.require(system.OPENCV)
    from omokage.flows.ingest import IngestConfig
    from omokage.flows.ingest import ingest as flow

    @dataclasses.dataclass
    class Ingest:
        """Make a dataset of faces from pictures, or bring it up to date.

        A killed or stopped run is finished by the same command. Pictures are only read.
        """

        source: Source
        dataset: DatasetPlace
        how: Annotated[IngestConfig, *FLAT]
        settings: Settings = None
        json: Json = False

    asked = _parse(Ingest, argv, "ingest", how=IngestConfig)
    with _bar("pictures", asked.json) as on_progress:
        report = flow(asked.source, asked.dataset, asked.how, on_progress)
    return report.json() if asked.json else report.text()


def info(argv: list[str]) -> str:
    """Say what a dataset holds."""

    @dataclasses.dataclass
    class Info:
        """Say what a dataset holds, and how it was made."""

        dataset: DatasetPlace
        json: Json = False

    asked = _parse(Info, argv, "info")
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

    asked = _parse(Check, argv, "check")
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


def crop(argv: list[str]) -> str:
    """Cut aligned faces out of pictures, into a folder tree of their own."""
    system.require(system.OPENCV)
    from omokage.flows.crop import CropConfig
    from omokage.flows.crop import crop as flow

    @dataclasses.dataclass
    class Crop:
        """Cut aligned faces out of pictures, into a folder tree of their own. Pictures are only read."""

        source: Source
        out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
        """Folder or s3:// prefix for the aligned pictures; outside of the source."""
        how: Annotated[CropConfig, *FLAT]
        settings: Settings = None
        json: Json = False

    asked = _parse(Crop, argv, "crop", how=CropConfig)
    with _bar("pictures", asked.json) as on_progress:
        report = flow(asked.source, asked.out, asked.how, on_progress)
    return report.json() if asked.json else report.text()


def draw(argv: list[str]) -> str:
    """Draw people with known truth, and faults to find."""
    system.require(system.OPENCV)
    from omokage.synth import draw as synth

    @dataclasses.dataclass
    class Draw:
        """Draw people with known truth, and plant faults in their folders.

        Writes OUT/pictures, a folder a person, and OUT/truth.json: who, where, how turned, and what is wrong.
        """

        out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
        """New or empty folder, or one that this command filled."""
        how: Annotated[synth.DrawConfig, *FLAT]
        json: Json = False

    asked = _parse(Draw, argv, "draw")
    with _bar("pictures", asked.json) as on_progress:
        truth = synth.draw(asked.how, asked.out, on_progress)
    report = {"out": str(asked.out), "files": len(truth.files), "planted": truth.counts()}
    if asked.json:
        return jsonlib.dumps(report, ensure_ascii=False)
    planted = [f"  {fault:<28}{count:>6,}" for fault, count in truth.counts().items() if fault != "none"]
    return "\n".join([f"{len(truth.files):,} files in {asked.out / 'pictures'}, with planted faults:", *planted])


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

    asked = _parse(Weights, argv, "weights")
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


def sheet(argv: list[str]) -> str:
    """Write an HTML page to look at a dataset's faces, by identity."""
    from omokage.sheet.choose import SheetConfig
    from omokage.sheet.write import write

    @dataclasses.dataclass
    class Sheet:
        """Write an HTML page to look at a dataset's faces, by identity, the least typical first.

        The page is one file that holds the faces and needs no network.
        """

        dataset: DatasetPlace
        file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE.html")]
        """The page; an older one is written over."""
        how: Annotated[SheetConfig, *FLAT]
        json: Json = False

    asked = _parse(Sheet, argv, "sheet")
    report = write(asked.dataset, asked.file, asked.how)
    return report.json() if asked.json else report.text()


VERBS: dict[str, Callable[[list[str]], str]] = {
    "ingest": ingest,
    "crop": crop,
    "info": info,
    "check": check,
    "sheet": sheet,
    "draw": draw,
    "weights": weights,
}


def main() -> NoReturn:
    """Run the verb in the command line, and exit: 0 done, 1 failed, 2 wrong usage, 130 stopped."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    signal.signal(signal.SIGTERM, _interrupt)
    argv = sys.argv[1:]
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        sys.exit(0 if argv else 2)
    if argv[0] == "--version":
        print(f"omokage {__version__}")
        sys.exit(0)
    if argv[0] not in VERBS:
        print(f"omokage: there is no verb {argv[0]!r}\n\n{_help()}", file=sys.stderr)
        sys.exit(2)
    _leave(_run(argv))


def _run(argv: list[str]) -> int:
    """Run a verb, print what it returns, and return the exit status."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Ray prints there; standard output is for the report alone
            answer = VERBS[argv[0]](argv[1:])
        print(answer)
    except OmokageError as error:
        if "--json" in argv:
            print(jsonlib.dumps({"error": str(error)}, ensure_ascii=False))
        print(f"omokage {argv[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"omokage {argv[0]}: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


def _leave(status: int) -> NoReturn:
    """Exit at once: threads of Ray that are still there can abort an interpreter that takes its time to go."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _help() -> str:
    lines = [f"  {name:<9}{(verb.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "omokage: face data sets and face models, from folders of pictures",
            "",
            "usage: omokage VERB …        omokage VERB --help says more",
            "",
            *lines,
        ]
    )


def _parse(kind: type[T], argv: list[str], verb: str, how: type[Any] | None = None) -> T:
    """Return the command line as ``kind``. A TOML file after --config gives the defaults of ``how``."""
    defaults: dict[str, Any] = {}
    if how is not None and "--config" in argv:
        at = argv.index("--config")
        if at + 1 == len(argv):
            raise OmokageError("--config wants a TOML file after it")
        settings = config.from_toml(how, Path(argv[at + 1]))
        argv = argv[:at] + argv[at + 2 :]
        required = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING and f.name != "how"]  # type: ignore[arg-type]
        defaults["default"] = kind(**dict.fromkeys(required, tyro.MISSING) | {"how": settings})
    return cast(T, tyro.cli(kind, args=argv, prog=f"omokage {verb}", use_underscores=False, **defaults))


class _Rate(ProgressColumn):
    """Pictures a second, over the whole run so far."""

    def render(self, task: Task) -> Text:
        """Return the rate."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def _bar(what: str, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error, with rate and time left, while the block runs."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal, transient=True) as progress:
        bar = progress.add_task(what, total=None)

        def on_progress(done: int, of: int) -> None:
            progress.update(bar, completed=done, total=of)

        yield on_progress
