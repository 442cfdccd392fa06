"""A threshold for an encoder, found on a dataset's people and kept beside the encoder's weights."""

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from omokage import __version__, system
from omokage.assess import calibrated
from omokage.assess.calibrated import Calibrated
from omokage.assess.subject import subject
from omokage.errors import ConfigError, DatasetError
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.calibration import calibrate as found_in
from omokage.evaluate.stripes import pairs_told
from omokage.flows.cluster import ClusterConfig
from omokage.flows.encoded import EncodedConfig, encoded
from omokage.ledger.version import opened
from omokage.progress import OnProgress, quietly
from omokage.sheet.words import visible
from omokage.store import Dataset
from omokage.vision.encoder import BUILT_IN, load_spec
from omokage.vision.origin import origin


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrateConfig:
    """Which threshold, of which encoder."""

    fmr: float = 1e-4
    """Share of pairs of different people that may match, in (0, 1)."""
    encoder: str | None = None
    """Name of an encoder, or its TOML or .onnx file; by default the dataset's own. Of another one vectors are made of
    the dataset's chips."""
    out: str | None = None
    """File for the calibration; by default the encoder's weights file with .calibration.json after its name, where
    verify and identify look for it."""
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    encoding: EncodedConfig = field(default_factory=EncodedConfig)

    def __post_init__(self) -> None:
        """Reject what is no rate."""
        if not 0 < self.fmr < 1:
            raise ConfigError(f"fmr must lie between 0 and 1, got {self.fmr}")
        if self.encoder is None and replace(self.encoding, cluster=ClusterConfig()) != EncodedConfig():
            raise ConfigError("runtime, from_chips, align and padding say how vectors are made: name the encoder, too")


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrateReport:
    """What was found, and where it is kept."""

    made: Calibrated
    file: str
    licence: str
    """Of the encoder's weights; empty where nothing is known of it."""
    seconds: float

    def json(self) -> str:
        """Return the report as one JSON object."""
        told = asdict(self.made) | {"file": self.file, "licence": self.licence, "seconds": self.seconds}
        return json.dumps(told, ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        licence = f", licence: {self.licence}" if self.licence else ""
        return "\n".join(
            [
                f"Encoder {self.made.encoder['name']}{licence}",
                self.made.text(),
                *(f"Note: {visible(remark)}" for remark in self.made.remarks),
                f"Written: {self.file}; {self.seconds:.1f} s",
            ]
        )


def calibrate(address: str, config: CalibrateConfig, on_progress: OnProgress = quietly) -> CalibrateReport:
    """Return the report of finding an encoder's threshold on the people of DATASET[@VERSION], and keeping it.

    Raises:
        ConfigError: There is no such encoder, the data cannot show the rate, or the file holds something else.
        DatasetError: There are no people to find it on.
        WorkError: The calibration cannot be written.
    """
    began = time.perf_counter()
    data, _ = opened(address)
    file = Path(config.out).expanduser().absolute() if config.out else _beside(data, config.encoder)
    calibrated.free(file)
    vectors = None
    if config.encoder is not None:
        vectors = encoded(data, config.encoder, config=config.encoding, on_progress=on_progress)
    judged = subject(address, vectors)
    every = len(judged.label_N) * (len(judged.label_N) - 1) // 2
    with pairs_told(on_progress, 2 * every):  # they are counted, and drawn anew
        calibration = found_in(judged.vector_NE, judged.label_N, config.fmr, config.bootstrap)
    made = Calibrated(
        calibration=calibration,
        encoder=judged.encoder,
        detector=data.head.recipe.get("detector"),
        dataset=judged.dataset,
        version=judged.version,
        digest=judged.digest,
        at=system.now(),
        made_by=f"omokage {__version__}",
        remarks=judged.remarks,
    )
    calibrated.write(file, made)
    return CalibrateReport(
        made=made, file=str(file), licence=judged.licence, seconds=round(time.perf_counter() - began, 3)
    )


def _beside(data: Dataset, encoder: str | None) -> Path:
    """Return where the calibration of an encoder belongs.

    Raises:
        ConfigError: There is no such encoder.
        DatasetError: Where the dataset's own one has its weights is not known.
    """
    if encoder is not None:
        return calibrated.beside(load_spec(encoder))
    own = data.head.recipe["encoder"]
    if own["name"] not in BUILT_IN or origin(load_spec(own["name"])) != own:
        raise DatasetError(
            f"{data.folder.url} was encoded by {own['name']} ({own['sha256'][:12]}…), and where its weights are is not "
            "known: give its TOML file with --encoder, or a file for the calibration with --out"
        )
    return calibrated.beside(load_spec(own["name"]))
