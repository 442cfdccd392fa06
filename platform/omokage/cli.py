"""The command line: ``omokage VERB``.

One function a verb, each a config and a flow. A verb's modules are imported when it is called, so that
``omokage --help`` answers at once.
"""

import dataclasses
import json as jsonlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, cast

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from omokage import __version__, config, system
from omokage.errors import OmokageError

T = TypeVar("T")

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it."""

Json = Annotated[bool, tyro.conf.arg(help="Print the report as one JSON object.")]


def ingest(argv: list[str]) -> str:
    """Make a dataset of faces from a folder or list of pictures, or bring it up to date."""
    system.require(["libGL.so.1"])
    from omokage.flows.ingest import IngestConfig
    from omokage.flows.ingest import ingest as flow

    @dataclasses.dataclass
    class Ingest:
        """Make a dataset of faces from pictures, or bring it up to date.

        A killed or stopped run is finished by the same command. Pictures are only read.
        """

        source: tyro.conf.Positional[str]
        """Folder (its first level names the identities), or CSV or Parquet list (uri, identity), or s3:// of either."""
        dataset: tyro.conf.Positional[str]
        """Folder or s3:// prefix of the dataset; made if it is not there."""
        how: tyro.conf.OmitArgPrefixes[IngestConfig]
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

        dataset: tyro.conf.Positional[str]
        """Folder or s3:// prefix of the dataset."""
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

        dataset: tyro.conf.Positional[str]
        """Folder or s3:// prefix of the dataset."""
        json: Json = False

    asked = _parse(Check, argv, "check")
    from omokage.store import Dataset

    data = Dataset.open(asked.dataset)
    problems = data.check()
    if problems:
        raise OmokageError("\n".join([f"{data.folder.url} is damaged:", *problems]))
    files = 2 * len(data.head.shards)
    return (
        jsonlib.dumps({"files": files, "problems": []}) if asked.json else f"{files:,} files are as they were written"
    )


VERBS: dict[str, Callable[[list[str]], str]] = {
    "ingest": ingest,
    "info": info,
    "check": check,
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
    try:
        print(VERBS[argv[0]](argv[1:]))
    except OmokageError as error:
        if "--json" in argv:
            print(jsonlib.dumps({"error": str(error)}, ensure_ascii=False))
        print(f"omokage {argv[0]}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"omokage {argv[0]}: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(0)


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
