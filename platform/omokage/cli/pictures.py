"""The verbs for pictures: make a dataset of them, cut faces out, draw some, look at them."""

import dataclasses
import json as jsonlib
from pathlib import Path
from typing import Annotated

import tyro

from omokage import system
from omokage.cli.words import FLAT, DatasetPlace, Json, Settings, Source, bar, parse


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

    asked = parse(Ingest, argv, "ingest", how=IngestConfig)
    with bar("pictures", asked.json) as on_progress:
        report = flow(asked.source, asked.dataset, asked.how, on_progress)
    return report.json() if asked.json else report.text()


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

    asked = parse(Crop, argv, "crop", how=CropConfig)
    with bar("pictures", asked.json) as on_progress:
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

    asked = parse(Draw, argv, "draw")
    with bar("pictures", asked.json) as on_progress:
        truth = synth.draw(asked.how, asked.out, on_progress)
    report = {"out": str(asked.out), "files": len(truth.files), "planted": truth.counts()}
    if asked.json:
        return jsonlib.dumps(report, ensure_ascii=False)
    planted = [f"  {fault:<28}{count:>6,}" for fault, count in truth.counts().items() if fault != "none"]
    return "\n".join([f"{len(truth.files):,} files in {asked.out / 'pictures'}, with planted faults:", *planted])


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

    asked = parse(Sheet, argv, "sheet")
    report = write(asked.dataset, asked.file, asked.how)
    return report.json() if asked.json else report.text()
