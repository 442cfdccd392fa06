"""What has been decided: the ledger's lines as they come in, from this page and from others, and what follows.

Which finding is decided is known at once (``marks.py``). What becomes of each face and person needs the fold of the
whole ledger, which a thread makes anew behind the answers.

Shape key: N faces, P people, those of the source first and then those that decisions made, Q findings.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from omokage import schema
from omokage.ledger.book import Ledger
from omokage.ledger.decision import Decision
from omokage.ledger.fold import Fold, fold
from omokage.review.faces import NOBODY, Faces
from omokage.review.marks import Marks
from omokage.review.queue import KINDS, Queue

STATUS: Final = get_args(schema.FaceStatus)

OPEN: Final = 0
DECIDED: Final = 1
SETTLED: Final = 2
"""Follows from decisions about other findings."""

FOLD_SECONDS: Final = 0.05
"""How long an answer waits for the fold; most are quicker."""


@dataclass(frozen=True)
class Now:
    """What follows from the ledger up to one line."""

    line: int
    now_N: NDArray[np.int32]
    """Code of the person that a face goes by."""
    status_N: NDArray[np.uint8]
    """Place in ``STATUS``."""
    line_N: NDArray[np.int64]
    """The last line that dropped, kept or moved a face; 0 where none did."""
    goes_by_P: NDArray[np.int32]
    """Code of the person whom a person was merged into, or their own."""
    settled_Q: NDArray[np.bool_]
    folded: Fold


class State:
    """The ledger of a dataset under review."""

    def __init__(self, ledger: Ledger, faces: Faces, queue: Queue) -> None:
        self.faces, self.queue, self.ledger = faces, queue, ledger
        self.names: list[str] = list(faces.names)
        self._codes: dict[str, int] = {name: code for code, name in enumerate(self.names)}
        self.marks = Marks(queue)
        self.lines = schema.LEDGER.empty_table()
        self._lock = threading.RLock()
        self._folding = threading.Lock()
        self._work: threading.Thread | None = None
        self._take(self.ledger.table())
        self.now = self._fold(self.lines)
        self._seen_Q = self.states()
        self._log: list[NDArray[np.int64]] = []

    @property
    def line(self) -> int:
        """Number of the last line that is known here."""
        return int(self.lines.num_rows)

    def code(self, name: str) -> int:
        """Return the code of a person; one who was not there gets the next."""
        with self._lock:
            if name not in self._codes:
                self._codes[name] = len(self.names)
                self.names.append(name)
            return self._codes[name]

    def has(self, name: str) -> bool:
        """Return whether somebody is called so."""
        return name in self._codes

    def goes_by(self, code: int) -> int:
        """Return the code of the person whom a person was merged into, or their own."""
        goes_by_P = self.now.goes_by_P
        return int(goes_by_P[code]) if code < len(goes_by_P) else code

    def refresh(self) -> None:
        """Take the lines that others wrote; cheap where there are none.

        Raises:
            OmokageError: The ledger cannot be read.
        """
        if self.ledger.length() > self.line:
            self._catch()

    def append(self, decisions: Sequence[Decision], who: str) -> range:
        """Write decisions down, and return the numbers of their lines.

        Raises:
            OmokageError: The ledger cannot be written.
        """
        written = self.ledger.append(decisions, who)
        self._catch()
        return written

    def states(self) -> NDArray[np.uint8]:
        """Return what has become of each finding, shape (Q,)."""
        with self._lock:
            return np.where(self.marks.line_Q > 0, DECIDED, np.where(self.now.settled_Q, SETTLED, OPEN)).astype(
                np.uint8
            )

    @property
    def version(self) -> int:
        """How often the state of some finding has changed."""
        return len(self._log)

    def changed(self, version: int) -> NDArray[np.int64]:
        """Return the numbers of the findings whose state changed after a version."""
        with self._lock:
            return np.unique(np.concatenate([np.zeros(0, np.int64), *self._log[version:]]))

    def say(self, line: int) -> dict[str, Any] | None:
        """Return a line of the ledger in the words of the table, and whether it holds; None where there is none."""
        if not 0 < line <= self.line:
            return None
        with self._lock:
            said: dict[str, Any] = self.lines.slice(line - 1, 1).to_pylist()[0]
            return said | {"active": self.marks.active(line), "queue": self.marks.finding(line)}

    def rows_of(self, face_ids: list[str]) -> list[int]:
        """Return the rows of some faces, without those that the dataset no longer has."""
        rows = self.faces.rows_of(pa.array(face_ids, pa.string()))
        return [int(row) for row in rows if row >= 0]

    def last_of(self, who: str) -> list[int]:
        """Return the last lines of somebody that hold, without undoings: one, or all that one decision wrote."""
        with self._lock:
            lines = self.lines
            mine = pc.and_(pc.equal(lines["who"], who), pc.equal(lines["by"], "person"))
            mine = pc.and_(mine, pc.not_equal(lines["do"], "undo"))
            for line in reversed(lines["number"].filter(mine).to_pylist()):
                if self.marks.active(line):
                    return self.together(line)
        return []

    def together(self, line: int) -> list[int]:
        """Return the lines that were written with ``line`` about the same finding, and hold; ``line`` is one."""
        columns = ["who", "at", "finding"]
        with self._lock:
            first = max(0, line - 64)
            near = self.lines.slice(first, 128).select(columns).to_pylist()
            mine = near[line - 1 - first]
            low = high = line - 1 - first
            while mine["finding"] and low > 0 and near[low - 1] == mine:
                low -= 1
            while mine["finding"] and high + 1 < len(near) and near[high + 1] == mine:
                high += 1
            found = [first + at + 1 for at in range(low, high + 1)]
            return [each for each in found if each == line or self.marks.active(each)]

    def _catch(self) -> None:
        with self._lock:
            self._note(self._take(self.ledger.table(after=self.line)))
        self._refold()

    def _take(self, lines: pa.Table) -> NDArray[np.int64]:
        """Add lines, and return the findings that they touch."""
        touched = self.marks.add(lines)
        self.lines = pa.concat_tables([self.lines, lines])
        if self.lines["number"].num_chunks > 256:
            self.lines = self.lines.combine_chunks()
        return touched

    def _note(self, touched: NDArray[np.int64]) -> None:
        """Note which findings changed: those that lines touched, and those that became settled or open again."""
        states_Q = self.states()
        changed = np.union1d(touched, np.flatnonzero(states_Q != self._seen_Q))
        self._seen_Q = states_Q
        if len(changed):
            self._log.append(changed)

    def _refold(self) -> None:
        """Have the fold brought up to date; wait for it only as long as nobody notices."""
        with self._lock:
            if self._work is None or not self._work.is_alive():
                self._work = threading.Thread(target=self._catch_up, daemon=True)
                self._work.start()
            work = self._work
        work.join(FOLD_SECONDS)

    def _catch_up(self) -> None:
        with self._folding:
            while self.now.line < self.line:
                now = self._fold(self.lines)
                with self._lock:
                    self.now = now
                    self._note(np.zeros(0, np.int64))

    def _fold(self, lines: pa.Table) -> Now:
        folded = fold(lines)
        now_N, status_N, line_N = self._of_faces(folded)
        merged = {self.code(name): self.code(into) for name, into in folded.people.items()}
        goes_by_P = np.arange(len(self.names), dtype=np.int32)
        goes_by_P[list(merged)] = list(merged.values())
        now_N = np.where(now_N == NOBODY, NOBODY, goes_by_P[now_N]).astype(np.int32)
        different = {
            (self._codes[a], self._codes[b]) for a, b in folded.different if a in self._codes and b in self._codes
        }
        return Now(
            line=lines.num_rows,
            now_N=now_N,
            status_N=status_N,
            line_N=line_N,
            goes_by_P=goes_by_P,
            settled_Q=self._settled(now_N, status_N, goes_by_P, different),
            folded=folded,
        )

    def _of_faces(self, folded: Fold) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
        now_N = self.faces.was_N.copy()
        status_N = np.zeros(len(self.faces), np.uint8)
        line_N = np.zeros(len(self.faces), np.int64)
        table = folded.faces
        if table.num_rows == 0:
            return now_N, status_N, line_N
        rows = self.faces.rows_of(table["face_id"])
        table = table.filter(pa.array(rows >= 0))
        rows = rows[rows >= 0]
        status = pc.index_in(table["status"], value_set=pa.array(STATUS)).fill_null(0)
        status_N[rows] = status.to_numpy().astype(np.uint8)
        label = table["label"].to_pylist()
        moved = np.array([each is not None for each in label], np.bool_)
        now_N[rows[moved]] = [self.code(each) for each in label if each is not None]
        last = [table[name].fill_null(0).to_numpy() for name in ("status_line", "label_line")]
        line_N[rows] = np.maximum(*last)
        return now_N, status_N, line_N

    def _settled(
        self,
        now_N: NDArray[np.int32],
        status_N: NDArray[np.uint8],
        goes_by_P: NDArray[np.int32],
        different: set[tuple[int, int]],
    ) -> NDArray[np.bool_]:
        """Return which findings have nothing left to judge."""
        queue = self.queue
        settled = np.zeros(len(queue), np.bool_)
        people = np.flatnonzero(queue.kind_Q == KINDS.index("people"))
        a, b = queue.a_Q[people], queue.b_Q[people]
        settled[people] = goes_by_P[a] == goes_by_P[b]
        if different:
            pairs = np.array([(min(p), max(p)) for p in different], np.int64)
            keys = pairs[:, 0] << 32 | pairs[:, 1]
            low, high = np.minimum(a, b).astype(np.int64), np.maximum(a, b).astype(np.int64)
            settled[people] |= np.isin(low << 32 | high, keys)
        outliers = np.flatnonzero(queue.kind_Q == KINDS.index("outlier"))
        rows = queue.outlier_row_S[queue.first_Q[outliers]]
        own = goes_by_P[np.maximum(self.faces.was_N[rows], 0)]
        settled[outliers] = (status_N[rows] > 0) | (now_N[rows] != own)
        for kind in ("same_face", "alike"):
            settled[queue.kind_Q == KINDS.index(kind)] = self._few_left(kind, status_N)
        return settled

    def _few_left(self, kind: str, status_N: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which clusters of a kind have fewer than two faces left."""
        queue = self.queue
        numbers = np.flatnonzero(queue.kind_Q == KINDS.index(kind))
        kept = np.append(0, np.cumsum(status_N[queue.same_face_row_S] == 0))
        first = queue.first_Q[numbers]
        few: NDArray[np.bool_] = kept[first + queue.count_Q[numbers]] - kept[first] < 2
        return few
