"""The fold beside a slow one that reads line by line."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omokage import schema
from omokage.ledger.fold import FACES, fold

FACE_IDS = ["f1", "f2", "f3", "f4"]
PEOPLE = ["A", "B", "C", "D", "E"]


def book(*lines: dict[str, Any]) -> pa.Table:
    rows = [{"number": number, "at": "x", "who": "me", "by": "person", **line} for number, line in enumerate(lines, 1)]
    return pa.Table.from_pylist(rows, schema=schema.LEDGER)


def keep(*faces: str) -> dict[str, Any]:
    return {"do": "keep", "faces": list(faces)}


def drop(*faces: str) -> dict[str, Any]:
    return {"do": "drop_face", "faces": list(faces)}


def duplicate(best: str, *faces: str) -> dict[str, Any]:
    return {"do": "drop_duplicate", "faces": list(faces), "into": best}


def relabel(into: str, *faces: str) -> dict[str, Any]:
    return {"do": "relabel", "faces": list(faces), "into": into}


def split(person: str, into: str, *faces: str) -> dict[str, Any]:
    return {"do": "split", "faces": list(faces), "person": person, "into": into}


def merge(person: str, into: str) -> dict[str, Any]:
    return {"do": "merge", "person": person, "into": into}


def different(a: str, b: str) -> dict[str, Any]:
    return {"do": "different", "person": a, "into": b}


def undo(line: int) -> dict[str, Any]:
    return {"do": "undo", "undoes": line}


class Slow:
    """What follows from lines, read one by one, again and again."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.lines = lines
        self.active = [self.holds(number) for number in range(1, len(lines) + 1)]
        self.faces: dict[str, dict[str, Any]] = {}
        self.clashes: set[tuple[int, int]] = set()
        for number, line in enumerate(lines, 1):
            if self.active[number - 1]:
                for face in line["faces"] or ():
                    self.read(number, line, face)
        self.groups: list[tuple[set[str], int]] = [({person}, 0) for person in self.everybody()]
        self.apart: list[tuple[str, str, int]] = []
        self.overruled: set[tuple[int, int]] = set()
        held = [number for number in range(len(lines), 0, -1) if self.active[number - 1] and self.fits(number)]
        self.people: dict[str, str] = {}
        self.people_line: dict[str, int] = {}
        self.rename(held[::-1])

    def holds(self, number: int) -> bool:
        return not any(
            line["do"] == "undo" and line["undoes"] == number and self.holds(later)
            for later, line in enumerate(self.lines[number:], number + 1)
        )

    def read(self, number: int, line: dict[str, Any], face: str) -> None:
        blank = dict.fromkeys(FACES.names) | {"face_id": face, "status": "kept"}
        row = self.faces.setdefault(face, blank)
        if line["do"] in ("keep", "drop_face", "drop_duplicate"):
            status = {"keep": "kept", "drop_face": "dropped", "drop_duplicate": "duplicate"}[line["do"]]
            if row["status_line"] not in (None, number) and (row["status"] == "kept") != (status == "kept"):
                self.clashes.add((number, row["status_line"]))
            row |= {"status": status, "into": line["into"], "status_line": number, "do": line["do"]}
        else:
            if row["label_line"] not in (None, number) and row["label"] != line["into"]:
                self.clashes.add((number, row["label_line"]))
            row |= {"label": line["into"], "label_line": number}

    def everybody(self) -> set[str]:
        about = [line for line in self.lines if line["do"] in ("merge", "different")]
        return {line[name] for line in about for name in ("person", "into")}

    def group(self, person: str) -> tuple[set[str], int]:
        return next(group for group in self.groups if person in group[0])

    def fits(self, number: int) -> bool:
        """Take a decision about people over, unless newer ones are against it."""
        line = self.lines[number - 1]
        if line["do"] not in ("merge", "different"):
            return False
        a, b = line["person"], line["into"]
        mine, other = self.group(a), self.group(b)
        if line["do"] == "different":
            if mine is other:
                self.overruled.add((self.joined(a, b), number))
            else:
                self.apart.append((a, b, number))
            return False
        against = [n for x, y, n in self.apart if {x, y} & mine[0] and {x, y} & other[0]]
        against = [n for n in against if mine is not other]
        if against:
            self.overruled.add((max(against), number))
            return False
        if mine is not other:
            self.groups = [group for group in self.groups if group not in (mine, other)]
            self.groups.append((mine[0] | other[0], number))
            self.history = [*getattr(self, "history", []), (number, [set(group) for group, _ in self.groups])]
        return True

    def joined(self, a: str, b: str) -> int:
        """Return the decision after which two people were in one group, going from the newest to the oldest."""
        return next(number for number, groups in self.history if any({a, b} <= group for group in groups))

    def rename(self, held: list[int]) -> None:
        groups: list[tuple[set[str], str]] = [({person}, person) for person in self.everybody()]
        since: dict[str, int] = {}
        named: dict[str, int] = {}
        self.renamed: set[tuple[int, int]] = set()
        for number in held:
            line = self.lines[number - 1]
            mine, other = (next(g for g in groups if line[name] in g[0]) for name in ("person", "into"))
            groups = [group for group in groups if group not in (mine, other)]
            name = line["into"] if mine is other else other[1]
            groups.append((mine[0] | other[0], name))
            if mine is not other:
                since |= dict.fromkeys(mine[0], number)
                named.setdefault(other[1], number)
            elif mine[1] != name:
                since |= dict.fromkeys(mine[0], number)
                self.renamed.add((number, named[mine[1]]))
                named[name] = number
        for members, name in groups:
            for person in members - {name}:
                self.people[person], self.people_line[person] = name, since[person]


names = st.sampled_from(PEOPLE)
some_faces = st.lists(st.sampled_from(FACE_IDS), min_size=1, max_size=3)
two = st.lists(names, min_size=2, max_size=2, unique=True)
about_people = st.one_of(two.map(lambda p: merge(*p)), two.map(lambda p: different(*p)), st.integers(1, 12).map(undo))
kinds = st.one_of(
    about_people,
    about_people,
    some_faces.map(lambda faces: keep(*faces)),
    some_faces.map(lambda faces: drop(*faces)),
    st.tuples(st.sampled_from(FACE_IDS), some_faces).map(lambda p: duplicate(p[0], *p[1])),
    st.tuples(names, some_faces).map(lambda p: relabel(p[0], *p[1])),
    st.tuples(two, some_faces).map(lambda p: split(*p[0], *p[1])),
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.lists(kinds, max_size=14), st.lists(about_people, min_size=3, max_size=14)))
@example([merge("X", "A"), merge("A", "B"), different("B", "X"), different("A", "X")])
@example([merge("X", "A"), merge("A", "B"), different("A", "X"), different("B", "X")])
@example([different("A", "C"), merge("B", "C"), merge("C", "D"), merge("A", "B")])
@example([])
@example([merge("A", "B"), merge("B", "C"), merge("C", "A")])
@example([merge("A", "B"), undo(1), undo(2), undo(3), undo(2)])
@example([different("A", "C"), merge("A", "B"), merge("B", "C")])
@example([merge("A", "B"), merge("B", "C"), different("A", "C")])
@example([merge("A", "B"), merge("C", "D"), different("B", "D"), merge("A", "C"), undo(4)])
def test_beside_the_slow_fold(lines):
    table = book(*lines)
    quick, slow = fold(table), Slow(table.to_pylist())
    assert quick.lines == len(lines)
    assert quick.active_N.tolist() == slow.active
    assert {row["face_id"]: row for row in quick.faces.to_pylist()} == slow.faces
    assert quick.faces.num_rows == len(slow.faces)
    assert quick.people == slow.people
    assert quick.people_line == slow.people_line
    assert quick.different == {tuple(sorted((a, b))) for a, b, _ in slow.apart}
    found = {
        (c.line, c.earlier) for c in quick.conflicts if "nothing is" not in c.sentence and "they stay" not in c.sentence
    }
    splits = {  # a split of whom the face was given to is no contradiction
        (late, early)
        for late, early in slow.clashes
        if lines[late - 1]["do"] == "split"
        and quick.name(lines[late - 1]["person"]) == quick.name(lines[early - 1]["into"] or "")
    }
    assert found == (slow.clashes - splits) | slow.overruled | slow.renamed


def sentences(*lines: dict[str, Any]) -> list[str]:
    return [conflict.sentence for conflict in fold(book(*lines)).conflicts]


def test_what_contradicts_is_said_in_words():
    assert sentences(keep("f1", "f2"), drop("f1")) == ["line 2 drops face f1 which line 1 keeps"]
    assert sentences(drop("f1"), duplicate("f3", "f1")) == []
    assert sentences(relabel("A", "f1", "f2"), relabel("B", "f1", "f2")) == [
        "line 2 gives to B 2 faces, f1 for one, which line 1 gives to A"
    ]
    assert sentences(relabel("A", "f1"), split("A", "A2", "f1")) == []
    assert sentences(relabel("A", "f1"), merge("A", "B"), split("B", "A2", "f1")) == []
    assert sentences(relabel("A", "f1"), split("C", "A2", "f1")) == [
        "line 2 takes out of C as A2 face f1 which line 1 gives to A"
    ]
    assert sentences(merge("A", "B"), different("B", "A")) == [
        "line 1 says that A is B, and line 2, which holds, that B and A are two people"
    ]
    assert sentences(merge("A", "B"), merge("B", "A")) == ["line 2 says that B is A; they were one already, as B"]
    assert sentences(undo(1), undo(7)) == [
        "line 2 undoes line 7, which is not before it: nothing is undone",
        "line 1 undoes line 1, which is not before it: nothing is undone",
    ]


def test_a_split_into_somebody_who_was_merged_does_nothing_and_that_is_said():
    lines = [merge("A", "B"), split("B", "A", "f1")]
    assert sentences(*lines) == ["line 2 takes faces out of B as A, and both go by B since line 1: they stay"]
    assert sentences(*reversed(lines)) == ["line 1 takes faces out of B as A, and both go by B since line 2: they stay"]
    assert sentences(*lines, undo(1)) == []


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        ([duplicate("f2", "f1"), drop("f2")], {"f1"}),
        ([drop("f2"), duplicate("f2", "f1")], {"f1"}),
        ([duplicate("f2", "f1"), duplicate("f1", "f2")], {"f1", "f2"}),
        ([duplicate("f1", "f1")], {"f1"}),
        ([duplicate("f2", "f1"), duplicate("f3", "f2")], set()),  # f3 stays
        ([duplicate("f2", "f1"), duplicate("f3", "f2"), drop("f3")], {"f1", "f2"}),
        ([duplicate("f2", "f1"), drop("f2"), keep("f2")], set()),
        ([duplicate("f2", "f1"), drop("f2"), undo(2)], set()),
    ],
)
def test_a_shot_of_which_nothing_is_left_is_said(lines, lost):
    found = [said for said in sentences(*lines) if "nothing is left of that shot" in said]
    assert {said.split()[1] for said in found} == lost


def test_a_face_is_taken_out_of_somebody_to_whom_it_did_not_belong():
    decided = fold(book(merge("A", "B"), split("B", "X", "f1", "f2", "f3", "gone"), split("C", "X", "f4"), undo(3)))
    faces = pa.table({"face_id": FACE_IDS, "was": ["A", "C", "C", "D"]})
    assert [(c.line, c.sentence) for c in decided.misplaced(faces)] == [
        (2, "line 2 takes out of B 2 faces, f2 for one, of C")
    ]


def test_a_part_of_the_book_is_refused():
    with pytest.raises(ValueError, match="from the first"):
        fold(book(keep("f1"), keep("f2")).slice(1))


def test_long_chains_of_people_are_settled_at_once():
    count = 3000
    names = [f"p{n:05d}" for n in range(count)]
    down = fold(book(*(merge(names[n], names[n + 1]) for n in range(count - 1))))
    up = fold(book(*(merge(names[n], names[n + 1]) for n in reversed(range(count - 1)))))
    assert set(down.people.values()) == set(up.people.values()) == {names[-1]}
    assert down.people_line[names[0]] == count - 1 and up.people_line[names[0]] == count - 1
    assert up.people_line[names[-2]] == 1
