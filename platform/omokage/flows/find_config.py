"""What ``find`` is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from omokage import config as settings
from omokage.curate.same_face import SameFaceConfig
from omokage.errors import ConfigError

WHAT: Final = ("collisions", "same-face", "outliers", "leaks")

LEAST: Final = 1_200_000_000
"""Bytes of memory without which nothing is found: programs, libraries, and some faces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindConfig:
    """What to look for, and how."""

    what: str = ""
    """Which of collisions, same-face, outliers, leaks, with commas; all by default, leaks with --against only."""
    against: str | None = None
    """Another dataset, an evaluation set for example, whose faces must not be in this one."""
    fmr: float = 1e-6
    """False match rate that sets the threshold, from this dataset's own different people; in (0, 0.5)."""
    threshold: float | None = None
    """Similarity from which two faces match, in (-1, 1]; in place of --fmr."""
    same_face_threshold: float = 0.95
    """Similarity from which two faces of a person are looked at as one shot, in (0, 1]."""
    recall: float = 0.999
    """Share of the pairs to find, in (0, 1), where not all can be compared."""
    most_pairs: int = 50_000_000
    """More pairs of faces than these are refused, by an estimate before they are written."""
    memory: str | None = None
    """Memory to use at most, 3GB for example. Where the faces take more, nothing is begun, and what would do is said.
    By default 4GB, or the least that the faces take where that is more."""
    csv: Path | None = None
    """Also write the collisions to this file: path_a,path_b,similarity."""
    address: str = "local"
    """"local" works on this machine, with all its cores; "auto" or ip:port spreads the lists over a Ray cluster."""
    device: Literal["cpu", "cuda"] | None = None
    """Where faces are compared; by default on a GPU if there is one."""

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        unknown = [each for each in self.kinds if each not in WHAT]
        if unknown:
            raise ConfigError(f"what: unknown {unknown[0]!r}; {settings.nearest(unknown[0], WHAT)}")
        if "leaks" in self.kinds and not self.against:
            raise ConfigError("leaks are looked for in another dataset: give it with --against")
        if not 0 < self.fmr < 0.5:
            raise ConfigError(f"fmr must lie between 0 and 0.5, got {self.fmr}")
        if self.threshold is not None and not -1 < self.threshold <= 1:
            raise ConfigError(f"threshold must lie in (-1, 1], got {self.threshold}")
        if not 0 < self.recall < 1:
            raise ConfigError(f"recall must lie between 0 and 1, got {self.recall}")
        if self.most_pairs < 1:
            raise ConfigError(f"most_pairs must be at least 1, got {self.most_pairs}")
        if self.bytes is not None and self.bytes < LEAST:
            raise ConfigError(f"memory must be at least {LEAST / 1e9:.1f}GB, got {self.memory}")
        SameFaceConfig(threshold=self.same_face_threshold)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What to look for."""
        asked = tuple(each.strip() for each in self.what.split(",") if each.strip())
        return asked or (WHAT if self.against else WHAT[:3])

    @property
    def bytes(self) -> int | None:
        """Memory to use, where it is said."""
        return None if self.memory is None else settings.size(self.memory, "memory")
