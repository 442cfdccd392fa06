"""The verbs for leaving with a clean set, and for coming with one: card, plan, other people's formats."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import tyro

from omokage.cli.words import FLAT, DatasetPlace, Json, bar, only_with, parse
from omokage.errors import ConfigError

if TYPE_CHECKING:
    from omokage.apply.report import CopyReport
    from omokage.bridge.exported import ExportReport
    from omokage.train.export import ModelReport

VERSION_PLACE: Final = "Dataset as it is decided now, or one of its versions."


def report(argv: list[str]) -> str:
    """Write a dataset's data card: what it is, what it suffices for, what was found and decided."""
    from omokage.card.sample import CardConfig
    from omokage.card.write import write

    @dataclasses.dataclass
    class Report:
        """Write a dataset's data card: what it is, what it suffices for, how varied it is, what was found and decided.

        The page is one file that needs no network; the same facts go beside it as Markdown, FILE.md.
        """

        dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET[@VERSION]", help=VERSION_PLACE)]
        file: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE.html")]
        """The page; an older one is written over."""
        how: Annotated[CardConfig, *FLAT]
        json: Json = False

    asked = parse(Report, argv, "report")
    made = write(asked.dataset, asked.file, asked.how)
    return made.json() if asked.json else made.text()


def plan(argv: list[str]) -> str:
    """Say how many pairs a set of people gives, what it suffices for, and what it costs."""
    from omokage.card import plan as planning

    @dataclasses.dataclass
    class Plan:
        """Say how many pairs a dataset, or so many people with so many pictures, gives.

        And for which tasks that suffices, what limits it, and what encoding and comparing cost on this machine.
        """

        how: Annotated[planning.PlanConfig, *FLAT]
        dataset: Annotated[
            tyro.conf.Positional[str | None], tyro.conf.arg(metavar="DATASET[@VERSION]", help=VERSION_PLACE)
        ] = None
        json: Json = False

    asked = parse(Plan, argv, "plan")
    people, pictures = asked.how.people, asked.how.pictures
    from omokage.card.cost import cost

    if asked.dataset is not None and people is None:
        from omokage.curate.decided import Decided

        faces, _ = Decided.at(asked.dataset)
        found, data = planning.plan(asked.dataset, faces.present().faces_per_person()), faces.data
    elif asked.dataset is None and people is not None and pictures is not None:
        found, data = planning.counted(f"{people:,} people with {pictures:,} pictures each", {pictures: people}), None
    else:
        raise ConfigError("give a dataset, or --people and --pictures")
    found = dataclasses.replace(found, cost=cost(found.pictures, found.negative, data).json())
    return found.json() if asked.json else found.text()


def import_(argv: list[str]) -> str:
    """Make a dataset of vectors that another program made."""
    from omokage.bridge.npknown import Member

    @dataclasses.dataclass
    class Import:
        """Make a dataset of vectors that another program made; find, review, versions and exports work on it.

        npknown: a folder with an npKnown.npz in each person's folder, as FACE01 makes them. parquet: a file, or a
        folder of them, with the columns embedding, uri (or path), and identity. The vectors are marked as foreign and
        never compared with others. Run again, an import brings the dataset up to date.
        """

        form: Annotated[tyro.conf.Positional[Literal["npknown", "parquet"]], tyro.conf.arg(metavar="npknown|parquet")]
        """What the source is."""
        source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SOURCE")]
        """Folder or s3:// prefix, or a Parquet file; it is only read."""
        dataset: DatasetPlace
        encoder_name: str | None = None
        """parquet: name of the encoder. Imports of one name can be compared with each other; without, none can."""
        pictures: str | None = None
        """parquet: folder or s3:// prefix that uris are relative to, if it is not that of the file."""
        no_chips: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """npknown: do not take the pictures for chips; then no page shows faces, and near-duplicates are not told."""
        member: Member | None = None
        """npknown: which vectors to take where some folders have one kind and some the other; else the first found."""
        json: Json = False

    asked = parse(Import, argv, "import")
    if asked.form == "npknown":
        from omokage.bridge.npknown_in import NpKnownConfig, import_npknown

        given = _only(asked, ("member",), ("encoder_name", "pictures"))
        config = NpKnownConfig(**given, chips=not asked.no_chips)
        with bar("folders", asked.json) as on_progress:
            report = import_npknown(asked.source, asked.dataset, config, on_progress)
    else:
        from omokage.bridge.parquet_in import ParquetConfig, import_parquet

        settings = ParquetConfig(**_only(asked, ("encoder_name", "pictures"), ("member", "no_chips")))
        with bar("rows", asked.json) as on_progress:
            report = import_parquet(asked.source, asked.dataset, settings, on_progress)
    return report.json() if asked.json else report.text()


def export(argv: list[str]) -> str:
    """Write a dataset in another program's format, or a trained model for use."""

    @dataclasses.dataclass
    class Export:
        """Write a dataset in another program's format, after its decisions; or a trained model for use.

        imagefolder: the chips as files in the folder OUT, a folder a person, as apply --to --layout chips does it.
        webdataset: tar files of chips in the folder OUT. parquet: one file OUT, a row a face with its vector, also
        those that are not kept. npknown: FACE01's npKnown.npz into each folder of the pictures below OUT.
        model: from RUN, the folder of a training, into the folder OUT: model.onnx and its description model.toml, for
        ingest --encoder; model.safetensors; and a card, model.md.
        """

        form: Annotated[
            tyro.conf.Positional[Literal["imagefolder", "webdataset", "parquet", "npknown", "model"]],
            tyro.conf.arg(metavar="imagefolder|webdataset|parquet|npknown|model"),
        ]
        """What to write."""
        dataset: Annotated[
            tyro.conf.Positional[str],
            tyro.conf.arg(metavar="DATASET[@VERSION]|RUN", help=f"{VERSION_PLACE} model: a training's folder."),
        ]
        out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
        """File or folder, local or s3://."""
        shard_faces: int | None = None
        """webdataset: faces of a tar file; 10,000 by default."""
        chips: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """parquet: also the chips, about 20 kB a face."""
        overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """npknown: write over files that say something else."""
        align: str | None = None
        """model: template of the chips that it was trained on, where their dataset does not know it."""
        padding: float | None = None
        """model: room around the face in them, as a share of their side; only with --align."""
        json: Json = False

    asked = parse(Export, argv, "export")
    made = _model(asked) if asked.form == "model" else _export(asked)
    return made.json() if asked.json else made.text()


def _options(asked: Any) -> dict[str, Any]:
    """Return the options that were given.

    Raises:
        ConfigError: One is for another format.
    """
    options = {
        "imagefolder": (),
        "npknown": ("overwrite",),
        "webdataset": ("shard_faces",),
        "parquet": ("chips",),
        "model": ("align", "padding"),
    }
    others = tuple(name for form, names in options.items() if form != asked.form for name in names)
    return _only(asked, options[asked.form], others)


def _model(asked: Any) -> "ModelReport":
    """Return the report of writing a trained model."""
    from omokage.train import export

    given = _options(asked)
    only_with("--align", {"--padding": asked.align is None and asked.padding is not None})
    return export.export(asked.dataset, asked.out, **given)


def _export(asked: Any) -> "ExportReport | CopyReport":
    """Return the report of the export that is asked for."""
    from omokage.curate.decided import Decided

    given = _options(asked)
    if asked.form == "imagefolder":
        return _copy(asked)
    faces, version = Decided.at(asked.dataset)
    if asked.form == "npknown":
        from omokage.bridge.npknown_out import NpKnownOutConfig, export_npknown

        return export_npknown(faces, version, asked.out, NpKnownOutConfig(**given))
    if asked.form == "webdataset":
        from omokage.bridge.webdataset import WebDatasetConfig, export_webdataset

        return export_webdataset(faces, version, asked.out, WebDatasetConfig(**given))
    from omokage.bridge.parquet_out import ParquetOutConfig, export_parquet

    return export_parquet(faces, version, asked.out, ParquetOutConfig(**given))


def _copy(asked: Any) -> "CopyReport":
    """Return the report of writing the chips as files."""
    from omokage.apply.asked import Asked
    from omokage.apply.copy import CopyConfig, copy

    with bar("files", asked.json) as on_progress:
        return copy(Asked.at(asked.dataset), asked.out, CopyConfig(layout="chips"), on_progress)


def _only(asked: Any, mine: tuple[str, ...], others: tuple[str, ...]) -> dict[str, Any]:
    """Return the options that were given.

    Raises:
        ConfigError: One is for another format.
    """
    for name in others:
        if getattr(asked, name):
            raise ConfigError(f"--{name.replace('_', '-')} is not for {asked.form}")
    return {name: value for name in mine if (value := getattr(asked, name)) not in (None, False)}
