"""The verbs that say who somebody is: find an encoder's threshold, compare two pictures, search for a face."""

import dataclasses
from typing import Annotated

import tyro

from omokage import system
from omokage.cli.words import FLAT, Json, Settings, VersionPlace, bar, only_with, parse
from omokage.errors import ConfigError

CSV_HELP = "CSV file for the answers, in place of the report; the same command goes on with what a stopped one left."


def calibrate(argv: list[str]) -> str:
    """Find an encoder's threshold for a false match rate, and keep it with the encoder."""
    from omokage.flows.calibrate import CalibrateConfig
    from omokage.flows.calibrate import calibrate as flow

    @dataclasses.dataclass
    class Calibrate:
        """Find an encoder's threshold for a false match rate on a dataset's people, and keep it beside its weights.

        verify and identify answer by it. It holds for pictures like those of the dataset: calibrate on people and
        cameras like those that you will see. A version without label errors gives a truer threshold.
        """

        dataset: VersionPlace
        how: Annotated[CalibrateConfig, *FLAT]
        settings: Settings = None
        json: Json = False

    asked = parse(Calibrate, argv, "calibrate", how=CalibrateConfig)
    with bar("faces", asked.json) as on_progress:
        report = flow(asked.dataset, asked.how, on_progress)
    return report.json() if asked.json else report.text()


def verify(argv: list[str]) -> str:
    """Say whether two pictures, or the pictures of each line of a list, show one person."""
    system.require(system.OPENCV)
    from omokage.flows.verify import VerifyConfig, verify_list
    from omokage.flows.verify import verify as flow

    @dataclasses.dataclass
    class Verify:
        """Say whether two pictures show one person: match, no match, or cannot say, by the encoder's calibration.

        A picture with several faces is not guessed at: they are listed, and --face-a and --face-b choose. The exit
        status is 0 whatever the answer is. Pictures are only read.
        """

        how: Annotated[VerifyConfig, *FLAT]
        a: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="A")] = None
        """A picture: a path, or an s3:// URL."""
        b: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="B")] = None
        """Another."""
        face_a: int | None = None
        """Which face of A, where it shows several: 1 is the leftmost."""
        face_b: int | None = None
        """Which face of B."""
        list: Annotated[str | None, tyro.conf.arg(metavar="FILE.csv")] = None
        """CSV of pairs instead of A and B: columns a and b, and face_a and face_b where they are needed; relative paths
        start from its folder. Every line is answered."""
        csv: Annotated[str | None, tyro.conf.arg(metavar="FILE.csv", help=CSV_HELP)] = None
        json: Json = False

    asked = parse(Verify, argv, "verify")
    if asked.list is None:
        only_with("--list", {"--csv": asked.csv is not None})
        if asked.a is None or asked.b is None:
            raise ConfigError("give two pictures, or a list of pairs with --list FILE.csv")
        one = flow(asked.a, asked.b, asked.how, asked.face_a, asked.face_b)
        return one.json() if asked.json else one.text()
    if asked.a is not None or asked.face_a is not None or asked.face_b is not None:
        raise ConfigError("with --list pictures and faces are named in the list: leave A, B and --face-… out")
    with bar("pairs", asked.json) as on_progress:
        many = verify_list(asked.list, asked.how, asked.csv, on_progress)
    return many.json() if asked.json else many.text()


def identify(argv: list[str]) -> str:
    """Say who of a dataset is shown in a picture, or in each picture of a folder."""
    system.require(system.OPENCV)
    from omokage.flows.identify import IdentifyConfig
    from omokage.flows.identify import identify as flow

    @dataclasses.dataclass
    class Identify:
        """Say who of a dataset is shown in pictures: a match, nobody in the gallery, or cannot say, with the evidence.

        Every face is searched for among all people of the dataset, by the encoder's calibration. The exit status is 0
        whatever the answers are. Pictures are only read.
        """

        pictures: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="IMAGE|FOLDER")]
        """A picture, a folder of pictures, or a CSV or Parquet list (uri, identity); also at s3://."""
        gallery: Annotated[str, tyro.conf.arg(metavar="DATASET[@VERSION]")]
        """Dataset whose people are searched among."""
        how: Annotated[IdentifyConfig, *FLAT]
        csv: Annotated[str | None, tyro.conf.arg(metavar="FILE.csv", help=CSV_HELP)] = None
        json: Json = False

    asked = parse(Identify, argv, "identify")
    with bar("pictures", asked.json) as on_progress:
        report = flow(asked.pictures, asked.gallery, asked.how, asked.csv, on_progress)
    return report.json() if asked.json else report.text()
