"""How an evaluation is made."""

from dataclasses import dataclass, field

from omokage.assess.searched import GallerySearchConfig
from omokage.errors import ConfigError
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.enrolment import EnrolmentConfig
from omokage.evaluate.folds import FOLDS
from omokage.evaluate.identification import FPIRS
from omokage.evaluate.verification import FMRS


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """What is compared with what, and which figures are told of it."""

    pairs_file: str | None = None
    """File of pairs to compare for 1:1, instead of all pairs: CSV with the columns a, b (face ids or uris) and same
    (1 or 0), and fold if there are folds; or a pairs.txt as Labeled Faces in the Wild has it."""
    fmrs: tuple[float, ...] = FMRS
    """False match rates to tell TAR and threshold at, each in (0, 1)."""
    prevalence: float | None = None
    """Share of pairs of one person that precision and accuracy are told for, in (0, 1); by default that of the pairs
    for precision, and 0.5 for accuracy."""
    folds: int = FOLDS
    """Groups of people for cross-validation, at least 2; fewer where people are few. A pairs file brings its own."""
    identify: bool = True
    """Also search for people in a gallery (1:N)."""
    enrolment: EnrolmentConfig = field(default_factory=EnrolmentConfig)
    gallery: str | None = None
    """File that lists who is enrolled, a face id or uri a line, instead of a rule. All other faces are searched for;
    people who are not in it are strangers."""
    probes: str | None = None
    """File that lists which faces are searched for; only with gallery."""
    sizes: tuple[int, ...] = ()
    """People of smaller galleries to tell figures for, too; by default 10, 100, 1000, and so on."""
    fpirs: tuple[float, ...] = FPIRS
    """False positive identification rates to tell FNIR at, each in (0, 1)."""
    within: int = 1
    """Ranks within which a person must be found, for FNIR; at least 1."""
    search: GallerySearchConfig = field(default_factory=GallerySearchConfig)
    templates: bool = False
    """Compare with the mean of a person's enrolled faces, not with the most similar of them."""
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)

    def __post_init__(self) -> None:
        """Reject what no figure could be told for."""
        for name in ("fmrs", "fpirs"):
            rates = getattr(self, name)
            wrong = [rate for rate in rates if not 0 < rate < 1]
            if wrong or not rates:
                raise ConfigError(f"{name} must be rates between 0 and 1, got {wrong[0] if wrong else 'none'}")
            if len(set(rates)) < len(rates):
                raise ConfigError(f"{name} must name each rate once, got {list(rates)}")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise ConfigError(f"prevalence must lie between 0 and 1, got {self.prevalence}")
        for name, least in (("folds", 2), ("within", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if any(size < 1 for size in self.sizes):
            raise ConfigError(f"sizes must be numbers of people, at least 1, got {list(self.sizes)}")
        if self.probes is not None and self.gallery is None:
            raise ConfigError("probes can only be given with gallery")
        if not self.identify and self.gallery is not None:
            raise ConfigError(
                "a gallery is for 1:N identification, which --no-identify leaves out: give one of the two"
            )
