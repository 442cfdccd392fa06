"""A calibration that is kept with its encoder, and what similarities say by it.

    <weights file>.calibration.json     what was calibrated, of which encoder, on which people, when

A threshold is of one encoder, seeing faces in one way: whoever reads it names the encoder, and a calibration of another
one is refused. Without a calibration no answer is given: a similarity alone says nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from omokage.errors import ConfigError, DatasetError, WorkError
from omokage.evaluate.answer import Answer, Calibration
from omokage.ledger.version import at_version
from omokage.storage import Folder
from omokage.vision.encoder import EncoderSpec

SUFFIX: Final = ".calibration.json"

FORMAT: Final = 1

PARTS: Final = {"name": "name", "sha256": "weights", "crop": "alignment", "dim": "length of vectors"}
"""What two encoders can differ in, and what to call it."""

BETWEEN: Final = (
    "the similarity lies between what is surely enough for a match and what hardly any two faces of one person fall "
    "below"
)
"""Why nothing can be said of a similarity between the two thresholds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """A calibration and where it comes from. Plain values."""

    calibration: Calibration
    encoder: dict[str, Any]
    """What made the vectors, as a dataset's recipe has it."""
    detector: dict[str, Any] | None
    """What found the faces, likewise; None where the dataset does not say."""
    dataset: str
    version: str | None
    digest: str
    """SHA-256 of the faces, whose they are, and the encoder."""
    at: str
    """ISO 8601, UTC."""
    made_by: str
    remarks: tuple[str, ...]
    """What a person should know of the faces that it was made on."""

    def json(self) -> bytes:
        """Return the calibration as it is stored.

        Raises:
            DatasetError: A figure is no number.
        """
        try:
            text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise DatasetError(
                f"{self.given} gives no calibration: its intervals are no numbers; calibrate on more people"
            ) from error
        return text.encode(errors="replace")

    @property
    def given(self) -> str:
        """The dataset as it is given to a command."""
        return at_version(self.dataset, self.version)

    def text(self) -> str:
        """Return the calibration for a person."""
        return f"{self.calibration.text()}\ncalibrated on {self.given}, {self.at[:10]}"


def beside(spec: EncoderSpec) -> Path:
    """Return where an encoder's calibration is kept: beside its weights.

    Raises:
        WeightsError: The weights are not there.
    """
    return Path(f"{spec.weights_file()}{SUFFIX}")


def write(file: Path, made: Calibrated) -> None:
    """Keep a calibration; an older one is replaced at once.

    Raises:
        ConfigError: There is something else.
        DatasetError: It has a figure that is no number.
        WorkError: The disk is full, or writing is not permitted.
    """
    data = made.json()
    free(file)
    try:
        Folder.at(str(file.parent)).write(file.name, data)
    except OSError as error:
        raise WorkError(f"cannot write {file}: {error.strerror or error}; name another place with --out") from error


def free(file: Path) -> None:
    """Check, before any work, that nothing but an older calibration would be written over.

    Raises:
        ConfigError: Something would.
    """
    try:
        old = json.loads(file.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        old = None
    if not isinstance(old, dict) or "calibration" not in old:
        raise ConfigError(f"{file} is there already and no calibration: remove it, or give another name with --out")


def read(file: Path) -> Calibrated:
    """Return the calibration in a file.

    Raises:
        FileNotFoundError: There is none.
        DatasetError: It cannot be read, or is damaged.
    """
    try:
        told = json.loads(file.read_bytes())
        if told.pop("format") != FORMAT:
            raise DatasetError(f"{file} was written by another version of omokage: calibrate again")
        calibration = Calibration.from_plain(told.pop("calibration"))
        return Calibrated(calibration=calibration, remarks=tuple(told.pop("remarks")), **told)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{file} is no calibration, or damaged ({error}): calibrate again") from error


def differs(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return in what two encoders differ, in words; empty where they are the same."""
    known = [word for part, word in PARTS.items() if one.get(part) != other.get(part)]
    return " and ".join(known) or ("" if dict(one) == dict(other) else "preparation of pixels")


@dataclass(frozen=True, slots=True)
class Standard:
    """What similarities of one encoder are held against."""

    made: Calibrated | None
    lacking: str = ""
    """Why there is nothing, and what to do; empty where there is something."""

    @property
    def digest(self) -> str:
        """SHA-256 of everything that answers depend on."""
        return hashlib.sha256(self.made.json() if self.made else b"").hexdigest()

    def answer(self, similarity: float) -> Answer:
        """Return what a similarity says."""
        return self.made.calibration.answer(similarity) if self.made else "cannot say"

    def log_ratio(self, similarity: float) -> float | None:
        """Return the natural logarithm of the likelihood ratio; None where none is offered."""
        ratio = self.made.calibration.likelihood if self.made else None
        return None if ratio is None else round(float(ratio.log_ratio(similarity)), 4)

    def unsure(self) -> str:
        """Return why nothing can be said of a similarity of which ``answer`` says so."""
        return self.lacking or BETWEEN

    def plain(self) -> dict[str, Any] | None:
        """Return, for a report, what is held against what; None where there is nothing."""
        if self.made is None:
            return None
        calibration = self.made.calibration
        return {
            "fmr": calibration.fmr,
            "threshold": asdict(calibration.threshold),
            "match_from": calibration.match_from,
            "no_match_below": calibration.no_match_below,
            "cllr": calibration.likelihood.cllr if calibration.likelihood else None,
            "likelihood_withheld": calibration.likelihood_withheld,
            "dataset": self.made.dataset,
            "version": self.made.version,
            "people": calibration.people,
            "at": self.made.at,
        }

    def text(self) -> str:
        """Return the same for a person."""
        if self.made is None:
            return f"Not calibrated: {self.lacking}"
        calibration = self.made.calibration
        return (
            f"Calibrated on {calibration.people:,} people of {self.made.given}, {self.made.at[:10]}: match at "
            f"{calibration.match_from:.4f} and above (FMR {calibration.fmr:g} at most), no match below "
            f"{calibration.no_match_below:.4f}"
        )


def standard(spec: EncoderSpec, encoder: Mapping[str, Any], asked: str | None, given: str | None) -> Standard:
    """Return what similarities of an encoder are held against.

    Args:
        spec: The encoder.
        encoder: The same in the words of a recipe.
        asked: What the user called it, if anything: its file, say.
        given: File of a calibration; by default the one beside the weights.

    Raises:
        ConfigError: The file is not there, or of another encoder.
        DatasetError: It is damaged.
    """
    file = Path(given) if given else beside(spec)
    try:
        made = read(file)
    except FileNotFoundError:
        if given:
            raise ConfigError(f"there is no calibration at {file}; omokage calibrate makes one") from None
        how = f"omokage calibrate DATASET --fmr 1e-4 --encoder {asked or spec.name}"
        return Standard(None, f"the encoder {spec.name} has no threshold yet; {how} makes one")
    wrong = differs(made.encoder, encoder)
    if wrong:
        said = f"the calibration at {file} is of another encoder than {spec.name} (other {wrong})"
        if given:
            raise ConfigError(f"{said}: its threshold says nothing here")
        return Standard(None, f"{said}; omokage calibrate replaces it")
    return Standard(made)
