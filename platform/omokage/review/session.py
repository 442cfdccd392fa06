"""One review of one dataset: what the page may ask for, and what it may write."""

import threading
import time
import unicodedata
from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.review.faces import NOBODY, Faces
from omokage.review.items import Items
from omokage.review.judge import Judge, whole
from omokage.review.people import People
from omokage.review.queue import KINDS, Queue
from omokage.review.state import State
from omokage.sheet.words import visible
from omokage.store import Dataset

LOOK_SECONDS: Final = {True: 0.3, False: 2.0}
"""Time between two looks at the ledger for what others wrote, of a local dataset and of a remote one."""

LINES: Final = 100
"""Lines of the ledger in one answer."""

CHANGES: Final = 5_000
"""Changed findings in one answer; after more the page asks for all."""


class Session:
    """A review of one dataset by one person, in one or several browser windows."""

    def __init__(self, data: Dataset, who: str) -> None:
        """Open a dataset for review.

        Raises:
            DatasetError: Nothing was found in it yet, or something of it is damaged.
        """
        self.who = who
        self.faces = Faces(data)
        self.queue = Queue(data.folder, self.faces)
        self.state = State(Ledger.of(data.folder), self.faces, self.queue)
        self.items = Items(self.faces, self.queue, self.state)
        self.people_pages = People(self.items)
        self.written: Counter[str] = Counter()
        """Lines that this session wrote, by kind."""
        self._judge = Judge(self.items)
        self._looked = 0.0
        self._searching = threading.Lock()
        self._searched: list[str] = []
        """The names as one looks for them."""
        self._writing = threading.Lock()

    def start(self) -> dict[str, Any]:
        """Return what the page shows around the findings."""
        return {
            "who": self.who,
            "dataset": visible(self.faces.data.folder.url),
            "findings": len(self.queue),
            "stale": self.queue.stale,
            "faces": len(self.faces),
            "people": len(self.faces.names),
            "kinds": KINDS,
            **self._cursor(),
        }

    def columns(self) -> bytes:
        """Return the shown figure (float32), the kind and the state (uint8) of every finding, one after the other."""
        queue = self.queue
        return queue.shown_Q.astype("<f4").tobytes() + queue.kind_Q.tobytes() + self.state.states().tobytes()

    def item(self, number: int) -> dict[str, Any]:
        """Return a finding.

        Raises:
            RequestError: There is none of this number.
        """
        return self.items.item(whole(number, len(self.queue), "finding"))

    def where(self, finding: str) -> dict[str, Any]:
        """Return the number of the finding with an id.

        Raises:
            RequestError: There is none.
        """
        return {"n": whole(int(self.queue.numbers([finding])[0]), len(self.queue), "finding")}

    def since(self, version: int, line: int) -> dict[str, Any]:
        """Return what changed after a version and a line, whoever wrote it."""
        if time.monotonic() - self._looked > LOOK_SECONDS[self.faces.data.folder.local]:
            self.state.refresh()
            self._looked = time.monotonic()
        cursor = self._cursor()
        changed = self.state.changed(version)
        first = max(line, cursor["line"] - LINES) + 1
        if len(changed) > CHANGES:
            return cursor | {"all": True, "lines": []}
        states_Q = self.state.states()
        return cursor | {
            "changed": [[n, int(states_Q[n]), int(self.state.marks.line_Q[n])] for n in changed.tolist()],
            "lines": [self.state.say(each) for each in range(first, cursor["line"] + 1)],
        }

    def people(self, words: str) -> list[dict[str, Any]]:
        """Return the people whose name has ``words`` in it, the shortest names first."""
        has = self._named(words)
        found = sorted(np.flatnonzero(has).tolist(), key=lambda code: (len(self.state.names[code]), code))
        return [self.items.person(code) for code in found[:30]]

    def with_people(self, words: str) -> NDArray[np.uint32]:
        """Return the numbers of the findings about people whose name has ``words`` in it."""
        return self.queue.with_people(self._named(words)[: len(self.faces.names)])

    def person(self, code: int) -> dict[str, Any]:
        """Return a person and all their faces, as they are after all decisions."""
        return self.people_pages.page(whole(code, len(self.state.names), "person"))

    def near(self, code: int) -> list[dict[str, Any]]:
        """Return the people who look most like a person of the source."""
        return self.people_pages.near(whole(code, len(self.faces.names), "person"))

    def face(self, row: int) -> dict[str, Any]:
        """Return all about a face."""
        return self.people_pages.face(whole(row, len(self.faces), "face"))

    def chips(self, rows: list[int]) -> list[bytes]:
        """Return the pictures of some faces."""
        return self.faces.chips(rows)

    def ledger(self, before: int) -> dict[str, Any]:
        """Return lines of the ledger before a number, the newest first; all newest ones for 0."""
        last = min(before - 1, self.state.line) if before else self.state.line
        lines = [self._with_names(line) for line in range(last, max(0, last - LINES), -1)]
        conflicts = [[each.line, each.sentence] for each in self.state.now.folded.conflicts[:LINES]]
        return {"lines": lines, "conflicts": conflicts} | self._cursor()

    def decide(self, said: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Write down what was pressed; status 409 and who was faster, where somebody else decided meanwhile.

        Raises:
            RequestError: It cannot be a decision.
            OmokageError: The ledger cannot be written.
        """
        with self._writing:
            self.state.refresh()
            decisions = self._judge.decisions(said)
            number = said.get("n")
            known = self.state.line
            if number is not None and said.get("seen", 0) != (line := int(self.state.marks.line_Q[number])):
                return {"taken": self.state.say(line) if line else None, "seen": line} | self._cursor(), 409
            return self._write(decisions, known, number), 200

    def undo(self, said: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Undo a line and what was written with it, or the last that this person wrote; 409 where it is undone.

        Raises:
            RequestError: There is no such line.
            OmokageError: The ledger cannot be written.
        """
        with self._writing:
            self.state.refresh()
            line = said.get("line")
            if line is None:
                lines = self.state.last_of(self.who)
            else:
                line = whole(line, self.state.line + 1, "line")
                lines = self.state.together(line) if line and self.state.marks.active(line) else []
            if not lines:
                return {"error": "there is nothing to undo"} | self._cursor(), 409
            undone = self.state.say(lines[0])
            number = self.state.marks.finding(lines[0])
            decisions = [Decision(do="undo", undoes=each) for each in reversed(lines)]
            return self._write(decisions, self.state.line, number if number >= 0 else None) | {"undone": undone}, 200

    def _write(self, decisions: list[Decision], known: int, number: int | None) -> dict[str, Any]:
        written = self.state.append(decisions, self.who)
        self.written.update(decision.do for decision in decisions)
        between = [self.state.say(line) for line in range(known + 1, written.start)]
        raced = [each for each in between if each and number is not None and each["queue"] == number]
        answer = {"wrote": list(written), "n": number, "raced": raced[-1] if raced else None}
        if number is not None:
            answer |= {"state": int(self.state.states()[number]), "seen": int(self.state.marks.line_Q[number])}
        return answer | self._cursor()

    def _cursor(self) -> dict[str, Any]:
        return {"line": self.state.line, "version": self.state.version, "folded": self.state.now.line}

    def _with_names(self, line: int) -> dict[str, Any] | None:
        """Return a line of the ledger, with rows of faces whom it is about, for their pictures."""
        said = self.state.say(line)
        if said is None:
            return None
        faces = said.pop("faces") or []
        rows = self.state.rows_of(faces[:4])
        if said["do"] in ("merge", "different"):
            codes = self.faces.codes_of(pa.array([said["person"], said["into"]], pa.string()))
            rows = [int(self.faces.rows(code)[0]) for code in codes.tolist() if code != NOBODY]
        return said | {"faces": len(faces), "rows": rows}

    def _named(self, words: str) -> NDArray[np.bool_]:
        """Return whose name has ``words`` in it, however it is written."""
        names, wanted = self.state.names, searched(words)
        with self._searching:
            self._searched += map(searched, names[len(self._searched) :])
        return np.array([wanted in name for name in self._searched], np.bool_)


def searched(text: str) -> str:
    """Return a text as one looks for it: without case, and with one way to write each letter."""
    return unicodedata.normalize("NFKC", text).casefold()
