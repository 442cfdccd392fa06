"""What it costs on this machine to encode a set of pictures once, and to compare every pair of their faces."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from omokage.index import plan as search
from omokage.index.cores import cores
from omokage.store import Dataset

PAIR_SECONDS: Final = 0.0296
"""Seconds a pair of a published script that encoded both pictures anew for every pair, on its author's machine."""

DIM: Final = 512
"""Numbers of an embedding, where no dataset says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Seconds on this machine."""

    cores: int
    encode: float | None
    """To read, align and encode the pictures once, at the rate at which this dataset was made; None if not known."""
    compare: float
    """To compare all pairs once, at a rate measured now."""
    pairs_per_second: float
    per_pair_script: float
    """If both pictures were opened and encoded again for each pair of two people, at ``PAIR_SECONDS``."""

    def lines(self) -> list[str]:
        """Return the cost for a person."""
        encode = (
            "not known before an ingest: it reports its pictures/s"
            if self.encode is None
            else f"{spell(self.encode)}, at the rate at which this dataset was made"
        )
        return [
            f"On this machine ({self.cores} cores):",
            f"  encoding each picture once   {encode}",
            f"  comparing all pairs once     {spell(self.compare)}, at {self.pairs_per_second / 1e6:,.0f} million "
            "pairs/s, measured now",
            f"  for contrast: a script that encodes both pictures again for every pair of two people, published with "
            f"{1000 * PAIR_SECONDS:.1f} ms a pair on its author's machine, would take {spell(self.per_pair_script)}",
        ]

    def json(self) -> dict[str, Any]:
        """Return the cost as plain values, with its lines."""
        return asdict(self) | {"lines": self.lines()}


def cost(faces: int, negative: int, data: Dataset | None) -> Cost:
    """Return the cost of a set with so many faces and pairs of two people; ``data`` tells the rate of encoding."""
    count = cores()
    speed = search.speed(data.dim if data else DIM, count)
    return Cost(
        cores=count,
        encode=_encode(data, faces, count),
        compare=search.exact_seconds(faces, speed.pairs),
        pairs_per_second=speed.pairs,
        per_pair_script=PAIR_SECONDS * negative,
    )


def _encode(data: Dataset | None, faces: int, count: int) -> float | None:
    """Return the seconds that all cores take, from what the dataset's pictures took one worker each."""
    if data is None:
        return None
    pictures = sum(shard.pictures for shard in data.head.shards)
    worked = sum(sum(shard.seconds.values()) for shard in data.head.shards)
    return worked / pictures * faces / count if pictures and worked else None


def spell(seconds: float) -> str:
    """Return a duration in the unit that fits it."""
    for unit, size in (("years", 365.25 * 86400), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s" if seconds >= 0.1 else "less than 0.1 s"
