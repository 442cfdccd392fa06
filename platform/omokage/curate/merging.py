"""Which people a rule may merge: only those that nothing else can be meant by.

Merging by one match has fused strangers in other people's libraries. So find's verdict is not enough here: everybody
in a group must find the best match of all in that group, at least two faces on both sides must say so, and in a group
of more than two everybody must be held for everybody. And no merge may contradict, by way of third people, what was
decided before.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omokage.curate import proposals
from omokage.ledger import people
from omokage.ledger.decision import Decision
from omokage.ledger.fold import PEOPLE, Fold

FACES: Final = 2
"""Distinct faces of each side that must take part in hits."""


def merges(pairs: pa.Table, lines: pa.Table, decided: Fold, there: set[str]) -> tuple[list[Decision], Counter[str]]:
    """Return the merges, and how many proposed pairs were left alone, by why.

    Args:
        pairs: ``schema.COLLISION_PAIRS``.
        lines: The ledger.
        decided: What follows from it.
        there: Identities that the dataset has.
    """
    rows = pairs.to_pylist()
    best = _best(rows)
    left: Counter[str] = Counter()
    found: list[tuple[dict[str, Any], str, str]] = []
    for group in _groups(rows):
        why = _objection(group, best, there)
        if why is not None:
            left[why] += len(group)
            continue
        into = _target(group)
        for row in group:
            if into in (row["identity_a"], row["identity_b"]):
                found.append((row, row["identity_a"] if row["identity_b"] == into else row["identity_b"], into))
    by_hand = _by_hand(lines, decided)
    open_ones = []
    for row, person, into in found:
        if decided.name(person) == decided.name(into):
            left["decided already"] += 1
        elif frozenset((person, into)) in by_hand:
            left["a person decided"] += 1
        else:
            open_ones.append((row, person, into))
    fitting = _fitting(open_ones, lines, decided)
    left["a person decided"] += len(open_ones) - len(fitting)
    return [_decision(*each) for each in fitting], +left


def _best(rows: list[dict[str, Any]]) -> dict[str, list[tuple[float, str]]]:
    """Return for each person the pairs that they are in, as scores and the other one, the best first."""
    best: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        for me, other in ((row["identity_a"], row["identity_b"]), (row["identity_b"], row["identity_a"])):
            best.setdefault(me, []).append((row["score"], other))
    return {me: sorted(others, reverse=True) for me, others in best.items()}


def _groups(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the pairs of each group of people who are proposed to be one."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["verdict"] == "same_person" and row["group"] is not None:
            groups.setdefault(row["group"], []).append(row)
    yield from groups.values()


def _members(group: list[dict[str, Any]]) -> set[str]:
    return {row[side] for row in group for side in ("identity_a", "identity_b")}


def _objection(group: list[dict[str, Any]], best: dict[str, list[tuple[float, str]]], there: set[str]) -> str | None:
    """Return why a group is not merged by rule; None if it is."""
    members = _members(group)
    if not members <= there:
        return "no longer in the dataset"
    if 2 * len(group) != len(members) * (len(members) - 1):
        return "not all of a group are alike"
    if min(min(row["hit_faces_a"], row["hit_faces_b"]) for row in group) < FACES:
        return f"fewer than {FACES} faces say so"
    for member in members:
        inside = max(score for score, other in best[member] if other in members)
        if any(score >= inside for score, other in best[member] if other not in members):
            return "not each other's best match"
    return None


def _target(group: list[dict[str, Any]]) -> str:
    """Return whose name the group keeps: who has the most faces, of several the first by name."""
    faces: dict[str, int] = {row[f"identity_{side}"]: row[f"faces_{side}"] for row in group for side in "ab"}
    return min(faces, key=lambda name: (-faces[name], name))


def _by_hand(lines: pa.Table, decided: Fold) -> set[frozenset[str]]:
    """Return the pairs of people about whom a person decided."""
    mine = pc.and_(pa.array(decided.active_N), pc.equal(lines["by"], "person"))
    about = lines.filter(pc.and_(mine, pc.is_in(lines["do"], value_set=pa.array(PEOPLE))))
    return {frozenset(pair) for pair in zip(about["person"].to_pylist(), about["into"].to_pylist(), strict=True)}


def _fitting(
    found: list[tuple[dict[str, Any], str, str]], lines: pa.Table, decided: Fold
) -> list[tuple[dict[str, Any], str, str]]:
    """Return the merges that do not contradict, by way of third people, any decision that holds.

    They are settled as if they were older than all of those, so that they are what gives way.
    """
    about = pc.and_(pa.array(decided.active_N), pc.is_in(lines["do"], value_set=pa.array(PEOPLE)))
    old = lines.filter(about).select(["do", "person", "into"]).to_pylist()
    number: dict[str, int] = {}
    pairs = [(person, into, True) for _, person, into in found]
    pairs += [(line["person"], line["into"], line["do"] == "merge") for line in old]
    coded = [(number.setdefault(a, len(number)), number.setdefault(b, len(number))) for a, b, _ in pairs]
    person_K, into_K = np.array(coded, np.int64).reshape(-1, 2).T
    settled = people.settle(person_K, into_K, np.array([same for *_, same in pairs], np.bool_))
    gives_way = {lost.decision for lost in settled.overruled}
    return [each for place, each in enumerate(found) if place not in gives_way]


def _decision(row: dict[str, Any], person: str, into: str) -> Decision:
    return Decision(
        do="merge",
        person=person,
        into=into,
        finding=proposals.of_people(person, into),
        why=f"rule merge-people, score {row['score']:.2f}, each other's best match, {row['hit_faces_a']} of "
        f"{row['faces_a']} and {row['hit_faces_b']} of {row['faces_b']} faces: {row['reason']}",
    )
