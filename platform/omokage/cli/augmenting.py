"""The verb that writes altered copies of faces as files."""

import dataclasses
from typing import Annotated

import tyro

from omokage.cli.words import FLAT, Json, bar, parse


def augment(argv: list[str]) -> str:
    """Write altered copies of the faces as files: lens distortion, random light and place."""
    from omokage.augment.copies import CopiesConfig

    @dataclasses.dataclass
    class Augment:
        """Write altered copies of the kept faces' chips as files, in a tree of their own with a folder a person.

        omokage train alters its pictures as it goes and needs no such files: they are for other programs. With --lens
        -0.1:0.1:0.01 each face gets 20 files, one a distortion; with --jitter 10, ten that are altered at random.
        OUT/omokage-augment.parquet says what each file is. Killed or stopped, the same command finishes the tree.
        """

        dataset: Annotated[
            tyro.conf.Positional[str],
            tyro.conf.arg(metavar="DATASET[@VERSION]", help="Dataset as it is decided now, or one of its versions."),
        ]
        out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
        """Folder or s3:// prefix: new, empty, or begun by the same command. Never in the dataset or the source."""
        how: Annotated[CopiesConfig, *FLAT]
        json: Json = False

    asked = parse(Augment, _joined(argv), "augment")
    from omokage.apply.asked import Asked
    from omokage.apply.augmented import augmented

    with bar("faces", asked.json) as on_progress:
        report = augmented(Asked.at(asked.dataset), asked.out, asked.how, on_progress)
    return report.json() if asked.json else report.text()


def _joined(argv: list[str]) -> list[str]:
    """Return a command line in which -0.1:0.1:0.01 after --lens is not taken for an option."""
    if "--lens" not in argv[:-1]:
        return argv
    at = argv.index("--lens")
    return [*argv[:at], f"--lens={argv[at + 1]}", *argv[at + 2 :]]
