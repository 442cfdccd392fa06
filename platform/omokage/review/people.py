"""A person's page: all faces as they are after all decisions, what is found about them, and who looks like them.

Shape key: n faces of the person.
"""

from typing import Any, Final

import numpy as np

from omokage.review.items import Items, plain
from omokage.review.state import STATUS

NEAR: Final = 12
"""People who are shown as looking like a person."""

FINDINGS: Final = 200


class People:
    """Pages of people."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._faces, self._queue, self._state = items.faces, items.queue, items.state

    def page(self, code: int) -> dict[str, Any]:
        """Return a person; their faces as columns, the least typical first.

        Raises:
            DatasetError: A shard is gone or damaged.
        """
        now = self._state.now
        rows = np.flatnonzero(now.now_N == code).astype(np.int32)
        near = self._items.likeness.to_rest(rows)
        order = np.lexsort((rows, np.nan_to_num(near, nan=2.0)))
        rows, near = rows[order], near[order]
        status_n = now.status_N[rows]
        about = np.flatnonzero((self._queue.a_Q == code) | (self._queue.b_Q == code))
        merged = [self._items.person(each) for each in np.flatnonzero(now.goes_by_P == code).tolist() if each != code]
        gone = self._faces.rows(code) if code < len(self._faces.names) else rows[:0]
        left = gone[now.now_N[gone] != code][:FINDINGS].tolist()
        return plain(
            self._items.person(code)
            | {
                "rows": rows.tolist(),
                "near": near.tolist(),
                "status": status_n.tolist(),
                "counts": dict(zip(STATUS, np.bincount(status_n, minlength=len(STATUS)).tolist(), strict=True)),
                "findings": self._items.titles(about[:FINDINGS].tolist()),
                "merged": merged,
                "left": left,
                "source": code < len(self._faces.names),
                "folded": now.line,
            }
        )

    def near(self, code: int) -> list[dict[str, Any]]:
        """Return the people who look most like a person, each with a typical face.

        Raises:
            DatasetError: A shard is gone or damaged.
        """
        found = []
        for other, near in self._items.likeness.people(code, NEAR):
            rows, _ = self._items.likeness.typical(other)
            found.append(self._items.person(other) | {"near": round(near, 4), "row": int(rows[0])})
        return found

    def face(self, row: int) -> dict[str, Any]:
        """Return all about a face, and who decided about it last."""
        line = int(self._state.now.line_N[row])
        was = int(self._faces.was_N[row])
        said = self._state.say(line)
        person = self._items.person(was) if was >= 0 else None
        return plain(self._items.face(row, person=person, decided=said and {k: said[k] for k in ("who", "at", "do")}))
