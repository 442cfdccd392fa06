"""``omokage apply --move``: the source as it was decided, with a way back."""

import os
import time
from collections.abc import Callable

from omokage.apply import check, disk, journal
from omokage.apply.asked import Asked
from omokage.apply.carry import Carrier
from omokage.apply.plan import Draft, Drafting, quarantine_for
from omokage.apply.report import MoveReport, RestoreReport
from omokage.errors import ConfigError, SourceError, WorkError
from omokage.progress import OnProgress, quietly
from omokage.source import Source, check_apart
from omokage.storage import Folder
from omokage.store import Dataset


def move(
    asked: Asked,
    quarantine: str | None = None,
    dry_run: bool = False,
    on_plan: Callable[[Draft], None] = lambda _: None,
    on_progress: OnProgress = quietly,
) -> MoveReport:
    """Return the report of moving the source's files to where the decisions say; a stopped move is finished.

    Args:
        asked: The dataset, and which of its decisions.
        quarantine: Path or URL of the folder for dropped pictures; by default the source's, plus ".quarantine".
        dry_run: Make the plan and do nothing.
        on_plan: Is given the plan, if there is something in it, before anything is done.
        on_progress: Is told how many files are read, and then moved, of how many.

    Raises:
        OmokageError: The source is not what it was, cannot be written to, or the work could not go on. Then nothing
            was moved, or the same call goes on from there.
    """
    data = asked.data
    with data.locked():
        began = time.monotonic()
        entry = journal.unfinished(data.folder)
        if entry is None or not entry.applying:
            journal.refuse_unfinished(data.folder)
            journal.refuse_unread(data.folder, data.head.generation)
            entry = journal.new(data.folder)
            draft = _draft(asked, quarantine, entry.number, on_progress)
        else:
            draft = Draft(plan=entry.plan(), resumed=True)
            _check_there(draft.plan)
        if draft.plan.steps or draft.stays:
            on_plan(draft)
        skipped: list[check.Trouble] = []
        if not dry_run and draft.plan.steps:
            if not draft.resumed:
                entry = _begin(entry, draft)
            skipped = _carry(data, draft, entry, on_progress)
        return MoveReport.of(draft, entry.number, skipped, dry_run=dry_run, began=began)


def undo(
    dataset: str, number: int | None = None, partly: bool = False, on_progress: OnProgress = quietly
) -> RestoreReport:
    """Return the report of bringing every file back that the last apply moved; a stopped undo is finished.

    An apply that was stopped in the middle can be taken back, too.

    Args:
        dataset: Path or URL.
        number: Of the apply, if only that one is meant; only the last one that still holds can be taken back.
        partly: Bring back the rest although some files cannot be.
        on_progress: Is told how many files are read, and then moved, of how many.

    Raises:
        OmokageError: There is nothing to take back, files have changed since or others lie in their places, or the
            work could not go on. Then nothing was moved, or the same call goes on from there.
    """
    data = Dataset.open(dataset)
    with data.locked():
        began = time.monotonic()
        entry = _last(data, number)
        plan = entry.plan()
        _check_there(plan)
        carrier = Carrier(plan, back=True)
        if not partly:
            check.refuse(
                carrier.troubles(on_progress),
                f"what apply {entry.number} moved is not as it was left; nothing was moved now:",
                "Put these files back, or out of the way, and undo again; --partly brings back the rest.",
            )
        with check.stopped(
            f"undo of apply {entry.number}", f"omokage undo {data.folder.url} --apply goes on from here"
        ):
            if not entry.undoing:
                entry = entry.mark("undoing")
            disk.make_anew(plan.folders)
            left = carrier.carry(on_progress)
            disk.restore(plan.folders)
            entry.mark("undone", generation=data.head.generation, left=left)
        return RestoreReport.of(data, entry.number, plan, left, began)


def _draft(asked: Asked, quarantine: str | None, number: int, on_progress: OnProgress) -> Draft:
    source = Source.at(asked.data.head.source)
    if source.is_list:
        raise SourceError(
            f"{source.url} is a list: its pictures belong to no folder tree of ours to move in. "
            "Use --to OUT for a clean copy"
        )
    check_apart(source, asked.data.folder)
    place = quarantine_for(source, asked.data.folder, quarantine, number)
    return Drafting(asked.data, source, place).draft(asked.faces(), asked.version, on_progress)


def _check_there(plan: journal.Plan) -> None:
    """Check that the source's disk is there; on one that is not, every file would seem to be gone.

    Raises:
        SourceError: It is not.
    """
    root = Folder.at(plan.source)
    # In a bucket there are no folders, and all files may be in quarantine.
    if root.local and root.kind() != "directory":
        raise SourceError(f"there is no folder {plan.source}: is its disk there?")


def _carry(data: Dataset, draft: Draft, entry: journal.Entry, on_progress: OnProgress) -> list[check.Trouble]:
    plan = draft.plan
    ways = (
        f"omokage apply {data.folder.url} --move goes on from here, "
        f"omokage undo {data.folder.url} --apply takes it back"
    )
    with check.stopped(f"apply {entry.number}", ways):
        skipped = Carrier(plan, back=False).carry(on_progress)
        disk.remove_emptied(plan.folders)
        for folder in plan.folders:
            if os.path.isdir(folder.path):  # noqa: PTH112
                journal.sync(os.fsdecode(folder.path))
        entry.mark("done", skipped=skipped)
    return skipped


def _last(data: Dataset, number: int | None) -> journal.Entry:
    """Return the plan that can be taken back.

    Raises:
        ConfigError: There is none, or it is another one.
    """
    open_ones = [each for each in journal.entries(data.folder) if each.planned and not each.undone]
    if not open_ones:
        raise ConfigError(f"nothing was applied to the source of {data.folder.url} that is not undone already")
    last = open_ones[-1]
    if number is not None and number != last.number:
        raise ConfigError(f"apply {number} cannot be undone: the last one that holds is apply {last.number}")
    return last


def _begin(entry: journal.Entry, draft: Draft) -> journal.Entry:
    """Return the entry after writing the plan down, if the quarantine can be written to.

    Raises:
        WorkError: One of the two cannot be written.
    """
    hidden = Folder.at(draft.plan.quarantine)
    try:
        if not hidden.local:  # the folders of a local plan were looked at already
            hidden.write(".omokage", b"")
            hidden.remove(".omokage")
        return entry.write(draft.plan)
    except OSError as error:
        raise WorkError(f"the plan cannot be written down, and nothing was moved: {error}") from error
