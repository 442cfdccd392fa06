"""Taking the steps of a plan, forward or back; where a file lies says what is left to do."""

from collections.abc import Iterator
from typing import Final, Literal

from omokage.apply.bucket import Bucket
from omokage.apply.check import Trouble
from omokage.apply.disk import Disk
from omokage.apply.journal import Plan, Step
from omokage.apply.threads import side_by_side
from omokage.errors import WorkError
from omokage.progress import OnProgress, each_told
from omokage.source import locate
from omokage.storage import Folder

READERS: Final = 4
"""Files that are read at once."""

State = Literal["ready", "both", "done", "gone", "changed", "in_the_way"]

WORDS: Final[dict[State, str]] = {
    "gone": "is gone",
    "changed": "has changed",
    "in_the_way": "would go where something else lies now",
}


class Carrier:
    """Carries the files of one plan."""

    def __init__(self, plan: Plan, back: bool) -> None:
        """Take the plan, and whether its files are to be brought back."""
        self._source, self._quarantine = Folder.at(plan.source), Folder.at(plan.quarantine)
        self._files: Disk | Bucket = Disk() if self._source.local else Bucket(self._source)
        self._back = back
        self._steps = plan.steps[::-1] if back else plan.steps

    def troubles(self, on_progress: OnProgress) -> list[Trouble]:
        """Return which files are not as the plan left them; every one of them is read."""
        states = side_by_side(lambda step: self._state(step, thorough=True), self._steps, READERS)
        return self._told(states, "read", on_progress)

    def carry(self, on_progress: OnProgress) -> list[Trouble]:
        """Take every step that is not taken yet, and return those that cannot be.

        Raises:
            WorkError: The disk is full, or writing is not permitted; what was moved stays moved.
        """
        return self._told(side_by_side(self._settle, self._steps, self._files.threads), "moved", on_progress)

    def _told(self, states: Iterator[State], what: str, on_progress: OnProgress) -> list[Trouble]:
        """Return what is wrong, and tell how many steps have been looked at."""
        found = zip(self._steps, each_told(states, len(self._steps), what, on_progress), strict=True)
        return [Trouble(self._name(step), WORDS[state]) for step, state in found if state in WORDS]

    def _settle(self, step: Step) -> State:
        """Take a step, and return how things were before."""
        place, target = self._ends(step)
        try:
            self._files.clean(target)
            self._files.clean(place)
            state = self._state(step, thorough=False)
            if state == "ready":
                self._files.move(place, target, step)
            elif state == "both":
                self._files.remove(place)
            if state not in WORDS:
                self._files.settle(target, step)
        except OSError as error:
            raise WorkError(f"cannot move {self._name(step)!r}: {error.strerror or error}") from error
        return state

    def _state(self, step: Step, thorough: bool) -> State:
        place, target = self._ends(step)
        there = self._files.holds(target, step, thorough)
        here = self._files.holds(place, step, thorough)
        if there:
            return "both" if here else "done"
        if there is False:
            return "in_the_way"
        if here is None:
            return "gone"
        return "ready" if here else "changed"

    def _ends(self, step: Step) -> tuple[str, str]:
        """Return where the file comes from and where it goes to."""
        first = locate(self._source, step.uri)[1]
        second = locate(self._quarantine if step.quarantined else self._source, step.to)[1]
        return (second, first) if self._back else (first, second)

    def _name(self, step: Step) -> str:
        return step.to if self._back else step.uri
