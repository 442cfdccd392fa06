"""What the verbs share: their common options, reading the command line, the progress bar."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from omokage import config
from omokage.errors import ConfigError
from omokage.progress import OnProgress

T = TypeVar("T")

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
VersionPlace = Annotated[
    tyro.conf.Positional[str],
    tyro.conf.arg(metavar="DATASET[@VERSION]", help="Folder or s3:// prefix of the dataset, and a version."),
]


def parse(kind: type[T], argv: list[str], verb: str, how: type[Any] | None = None) -> T:
    """Return the command line as ``kind``. A TOML file after --config gives the defaults of ``how``."""
    defaults: dict[str, Any] = {}
    if how is not None and "--config" in argv:
        at = argv.index("--config")
        if at + 1 == len(argv):
            raise ConfigError("--config wants a TOML file after it")
        settings = config.from_toml(how, Path(argv[at + 1]))
        argv = argv[:at] + argv[at + 2 :]
        required = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING and f.name != "how"]  # type: ignore[arg-type]
        defaults["default"] = kind(**dict.fromkeys(required, tyro.MISSING) | {"how": settings})
    return cast(T, tyro.cli(kind, args=argv, prog=f"omokage {verb}", use_underscores=False, **defaults))


def only_with(owner: str, given: dict[str, bool]) -> None:
    """Check that options were not given where the one that they belong to was not.

    Args:
        owner: The option that they belong to.
        given: The options, and whether they were given.

    Raises:
        ConfigError: One was.
    """
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise ConfigError(f"{' and '.join(wrong)} can only be given with {owner}")


class _Rate(ProgressColumn):
    """What is done a second, over this part of the work so far."""

    def render(self, task: Task) -> Text:
        """Return the rate."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


def _part(what: str) -> str:
    """Return which part of the work a text is about; what comes after a comma may change while it goes on."""
    return what.partition(", ")[0]


@contextmanager
def bar(what: str, hidden: bool) -> Iterator[OnProgress]:
    """Show a progress bar on standard error, with rate and time left, while the block runs; first about ``what``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal, transient=True) as progress:
        bar = progress.add_task(what, total=None)

        def on_progress(done: int, of: int, what: str = "") -> None:
            if what and _part(progress.tasks[bar].description) != _part(what):  # its own rate
                progress.reset(bar)
            progress.update(bar, completed=done, total=of, description=what or None)

        yield on_progress
