"""Which people a card shows: the least varied, the most suspicious, and some by chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omokage.card.blocks import Sample
from omokage.card.contents import least
from omokage.card.facts import Facts
from omokage.curate.decided import Decided
from omokage.errors import ConfigError
from omokage.sheet.choose import Group, SheetConfig, choose

MOST: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class CardConfig:
    """How many faces a card shows. A face takes about 23 kB."""

    people: int = 6
    """Of the least varied, of the most suspicious, and by chance, each; 0 (no faces at all) to 200."""

    per_person: int = 8
    """Faces, 1 to 50."""

    seed: int = 0
    """Of the people by chance."""

    def __post_init__(self) -> None:
        """Reject what no browser could open."""
        if not 0 <= self.people <= MOST:
            raise ConfigError(f"people must lie in 0 to {MOST}, got {self.people}")
        if not 1 <= self.per_person <= 50:
            raise ConfigError(f"per_person must lie in 1 to 50, got {self.per_person}")


def samples(faces: Decided, facts: Facts, config: CardConfig) -> Iterator[Sample]:
    """Yield the samples; nobody is shown twice."""
    taken: dict[str, None] = {}
    parts = []
    rng = np.random.default_rng(config.seed)
    by_chance = rng.permutation(len(facts.people)).tolist()
    known = set(facts.people.names)
    orders = (
        (
            "Least varied",
            "Whose faces are most alike on average.",
            [facts.people.names[p] for p in least(facts.people)],
        ),
        (
            "Most suspicious",
            "About whom find proposed most, and nobody decided yet.",
            [name for name in facts.suspicion if name in known],
        ),
        ("By chance", f"Drawn with the seed {config.seed}.", [facts.people.names[p] for p in by_chance]),
    )
    for title, text, order in orders:
        mine = [name for name in order if name not in taken][: config.people]
        taken |= dict.fromkeys(mine)
        parts.append((title, text, mine))
    groups = {group.identity: group for group in _groups(faces, list(taken), config)}
    for title, text, mine in parts:
        if mine:
            yield Sample(title, text, tuple(groups[name] for name in mine))


def _groups(faces: Decided, names: list[str], config: CardConfig) -> list[Group]:
    if not names:
        return []
    wanted = pc.and_(
        pc.equal(faces.version["status"], "kept"), pc.is_in(faces.version["identity"], value_set=pa.array(names))
    )
    rows = faces.version.filter(wanted)
    people = pa.table({"identity": rows["identity"], "kept": pa.array(np.ones(rows.num_rows, np.int32))})
    return choose(faces, people, SheetConfig(per_identity=config.per_person, identities=len(names)))
