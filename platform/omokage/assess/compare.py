"""Two evaluations compared, and the folder with what came of it."""

from omokage.assess import comparison_page, written
from omokage.assess.compared import Comparison, compared
from omokage.assess.opened import Judged
from omokage.storage import Folder


def compare(a: str, b: str, out: str | None = None) -> Comparison:
    """Return what there is to say of B beside A; with ``out``, written to a folder too.

    Args:
        a: Folder or s3:// prefix of an evaluation.
        b: Of another.
        out: Folder or s3:// prefix for report.json, index.html and plots; an older comparison is written over.

    Raises:
        ConfigError: ``out`` holds something else.
        DatasetError: There is no such evaluation, or it is damaged.
        WorkError: The disk is full, or writing is not permitted.
    """
    folder = Folder.at(out) if out else None
    if folder is not None:
        written.free(folder, "comparison")
    sides = Judged.opened(a), Judged.opened(b)
    found = compared(*sides)
    if folder is not None:
        plots = comparison_page.drawn(found, *sides)
        written.write(folder, "comparison", found.json(), comparison_page.document(found, plots), plots)
    return found
