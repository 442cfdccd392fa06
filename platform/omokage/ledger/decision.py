"""One decision, as somebody takes it."""

from dataclasses import dataclass
from typing import Final

from omokage.errors import ConfigError
from omokage.schema import Do

NEEDS: Final[dict[Do, frozenset[str]]] = {
    "keep": frozenset({"faces"}),
    "drop_face": frozenset({"faces"}),
    "drop_duplicate": frozenset({"faces", "into"}),
    "relabel": frozenset({"faces", "into"}),
    "merge": frozenset({"person", "into"}),
    "split": frozenset({"faces", "person", "into"}),
    "different": frozenset({"person", "into"}),
    "undo": frozenset({"undoes"}),
}
"""What each kind of decision must say, and all that it may say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What is to become of faces or people."""

    do: Do
    faces: tuple[str, ...] = ()
    """face_ids."""
    person: str | None = None
    """merge: who is merged; split: who is split; different: one of the two."""
    into: str | None = None
    """merge, relabel, split: the identity that they get; different: the other; drop_duplicate: face_id of the best."""
    undoes: int | None = None
    """Number of the line that no longer holds; of an undo, that holds again what it undid."""
    finding: str | None = None
    """Id of the finding that led to it."""
    why: str | None = None
    """In words."""

    def __post_init__(self) -> None:
        """Reject a decision that says too little or too much."""
        if self.do not in NEEDS:
            raise ConfigError(f"there is no decision {self.do!r}; there are {', '.join(NEEDS)}")
        said = {name for name in ("faces", "person", "into", "undoes") if getattr(self, name) not in ((), None)}
        if said != NEEDS[self.do]:
            raise ConfigError(
                f"{self.do} needs {', '.join(sorted(NEEDS[self.do]))}, and says {', '.join(sorted(said)) or 'nothing'}"
            )
        if self.do in ("merge", "different") and self.person == self.into:
            raise ConfigError(f"{self.do} needs two people, and both are {self.person}")
