"""What a set of faces suffices for: pairs of faces, people and pictures, and what limits it.

Shape key: P people.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError

Task = Literal["none", "small", "medium", "large"]

SMALL: Final = 100
SMALL_STRICT: Final = 1_000
MEDIUM: Final = 1_000
LARGE: Final = 5_000
"""People with two pictures or more. Two articles of one author are the source, and they differ on the small task: one
asks for hundreds of people, the other for 1,000. Both ask for 1,000 to 2,000 for a medium, 5,000 for a large one."""

PICTURES: Final = 100
"""Pictures a person that the same source asks for."""

FEW: Final = 10
"""Below this many pictures a person's own variety is hardly seen."""

UNEVEN: Final = 10.0
"""Times the median that the biggest person may have before it is called uneven."""

NOTES: Final = (
    "The two articles that these sizes come from contradict each other. One says that pairs count more than people, "
    "so that 100 people with 100 pictures each serve better than 10,000 people with one; the other trained with 10 "
    "people, then with 2,000, and asks for 1,000 people with 100 pictures each.",
    "Negative pairs are never short, and more of them add little. How unlike the people are limits how well a model "
    "tells people apart whom it has never seen; a count of pairs does not show that.",
)
"""What holds for every plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suits:
    """What people and pictures suffice for."""

    task: Task
    """The biggest task that the people suffice for."""
    disputed: bool
    """Whether one of the sources asks for more people than there are."""
    usable: int
    """People with two pictures or more: only they make positive pairs."""
    full: int
    """People with ``PICTURES`` pictures or more."""

    def text(self) -> str:
        """Return it as a sentence."""
        if self.task == "none":
            return (
                f"{self.usable:,} people with two pictures or more: too few for any training task (hundreds at least)"
            )
        doubt = "; one of the sources asks for 1,000 people" if self.disputed else ""
        return (
            f"{self.usable:,} people with two pictures or more suit a {self.task} task{doubt}; "
            f"{self.full:,} of them have the {PICTURES} pictures that are asked for"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a set of faces suffices for."""

    of: str
    """The dataset, or the numbers that were given."""
    people: int
    pictures: int
    """Of these people; a face each."""
    positive: int
    """Pairs of pictures of one person."""
    negative: int
    """Pairs of pictures of two people."""
    quantiles: dict[str, float]
    """Pictures a person: min, 25%, median, 75%, max."""
    single: int
    """People with one picture."""
    few: int
    """People with two pictures or more, but fewer than ``FEW``."""
    suits: Suits
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = NOTES
    cost: dict[str, Any] | None = None
    """See ``cost.Cost``."""

    def json(self) -> str:
        """Return the plan as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the plan for a person."""
        q = self.quantiles
        lines = [
            f"{self.of}: {self.people:,} people, {self.pictures:,} pictures",
            f"  {'pairs of one person':<28}{self.positive:>18,}",
            f"  {'pairs of two people':<28}{self.negative:>18,}",
            f"  pictures a person: {q['min']:g} to {q['max']:g}, median {q['median']:g}, "
            f"half of the people {q['25%']:g} to {q['75%']:g}",
            self.suits.text(),
            *(f"Warning: {warning}" for warning in self.warnings),
            *(f"Note: {note}" for note in self.notes),
        ]
        return "\n".join([*lines, *((self.cost or {}).get("lines", ()))])


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanConfig:
    """Numbers to plan with, where there is no dataset yet."""

    people: int | None = None
    """People, 1 or more."""
    pictures: int | None = None
    """Pictures of each of them, 1 or more."""

    def __post_init__(self) -> None:
        """Reject what is no number of people."""
        for key in ("people", "pictures"):
            value = getattr(self, key)
            if value is not None and not 1 <= value <= 10**9:
                raise ConfigError(f"{key} must lie in 1 to 1,000,000,000, got {value:,}")
        if (self.people is None) != (self.pictures is None):
            raise ConfigError("--people and --pictures go together")


def plan(of: str, faces_P: NDArray[np.int64]) -> Plan:
    """Return what people with so many faces each suffice for.

    Args:
        of: What is planned, in words.
        faces_P: Faces of each person, 1 or more. Shape (P,).
    """
    values, times = np.unique(faces_P, return_counts=True)
    return counted(of, dict(zip(values.tolist(), times.tolist(), strict=True)))


def counted(of: str, people_by_faces: dict[int, int]) -> Plan:
    """Return what people suffice for, from how many people have how many faces each."""
    faces = np.array(sorted(people_by_faces), np.int64)
    people = np.array([people_by_faces[n] for n in faces.tolist()], np.int64)
    positive, negative = pairs(people_by_faces)
    usable = int(people[faces >= 2].sum())
    suits = Suits(
        task=_task(usable),
        disputed=SMALL <= usable < SMALL_STRICT,
        usable=usable,
        full=int(people[faces >= PICTURES].sum()),
    )
    single, few = int(people[faces == 1].sum()), int(people[(faces >= 2) & (faces < FEW)].sum())
    quantiles = _quantiles(faces, people)
    return Plan(
        of=of,
        people=int(people.sum()),
        pictures=sum(n * count for n, count in people_by_faces.items()),
        positive=positive,
        negative=negative,
        quantiles=quantiles,
        single=single,
        few=few,
        suits=suits,
        warnings=tuple(_warnings(positive, single, few, quantiles)),
    )


def pairs(people_by_faces: dict[int, int]) -> tuple[int, int]:
    """Return the pairs of faces of one person, and of two people.

    With n faces of each person and N of all: sum n (n - 1) / 2, and (N^2 - sum n^2) / 2. In Python's integers, since
    ten million faces make more pairs than a float can count.
    """
    total = sum(n * count for n, count in people_by_faces.items())
    squares = sum(n * n * count for n, count in people_by_faces.items())
    return (squares - total) // 2, (total * total - squares) // 2


def _task(usable: int) -> Task:
    if usable >= LARGE:
        return "large"
    if usable >= MEDIUM:
        return "medium"
    return "small" if usable >= SMALL else "none"


def _quantiles(faces: NDArray[np.int64], people: NDArray[np.int64]) -> dict[str, float]:
    """Return quantiles of faces a person, each a number that some person has."""
    if not len(faces):
        return dict.fromkeys(("min", "25%", "median", "75%", "max"), 0.0)
    upto = np.cumsum(people)
    at = {"min": 0.0, "25%": 0.25, "median": 0.5, "75%": 0.75, "max": 1.0}
    return {
        name: float(faces[min(int(np.searchsorted(upto, share * upto[-1])), len(faces) - 1)])
        for name, share in at.items()
    }


def _have(people: int) -> str:
    return "1 person has" if people == 1 else f"{people:,} people have"


def _warnings(positive: int, single: int, few: int, quantiles: dict[str, float]) -> list[str]:
    found = []
    if not positive:
        found.append("nobody has two pictures, so there is nothing to learn from about what one person looks like")
    if single:
        found.append(f"{_have(single)} one picture: that makes no positive pair, and a wrong label cannot be told")
    if few:
        found.append(f"{_have(few)} fewer than {FEW} pictures: little of how a person varies is seen")
    if quantiles["median"] and quantiles["max"] > UNEVEN * quantiles["median"]:
        found.append(
            f"uneven: one person has {quantiles['max']:,.0f} pictures, and the median is {quantiles['median']:,.0f}; "
            "pairs grow with the square, so a few people give most of them: draw people first, then pictures"
        )
    return found
