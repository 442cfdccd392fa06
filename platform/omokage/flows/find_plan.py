"""What ``find`` is about to do, and what that will cost on this machine."""

from omokage.curate.found import Plan
from omokage.flows.find_config import RESERVED, FindConfig
from omokage.flows.index import people
from omokage.index import plan
from omokage.store import Dataset


def planned(data: Dataset, config: FindConfig, speed: plan.Speed) -> Plan:
    """Return the plan for a dataset, by its head and the speed of this machine alone."""
    faces = sum(shard.faces for shard in data.head.shards)
    persons = people(data)
    lists = plan.choose_lists(faces, persons, data.dim, speed.pairs)
    by_lists = plan.lists_seconds(faces, persons, data.dim, speed.pairs)
    vectors = 4 * data.dim * faces
    return Plan(
        faces=faces,
        people=persons,
        pairs=faces * (faces - 1) // 2,
        lists=lists,
        method="all pairs are compared" if lists == 1 else f"{lists:,} lists, for a recall of {config.recall}",
        seconds=plan.exact_seconds(faces, speed.pairs) if lists == 1 else by_lists,
        memory=min(config.bytes, RESERVED + 2 * vectors),
        disk=vectors + vectors // 4 + 150 * faces,
    )
