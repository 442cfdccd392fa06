"""A result in MLflow: its figures, its report, its page and its plots."""

from collections.abc import Iterable, Mapping

from omokage.assess.written import PAGE, PLOTS, REPORT
from omokage.storage import Folder
from omokage.tracking.tracker import About, Tracker


def track(
    uri: str | None, about: About, metrics: Mapping[str, float | None], folder: Folder, plots: Iterable[str]
) -> tuple[str, ...]:
    """Tell MLflow of a result that is written, and return what it did not take.

    Args:
        uri: Where results are tracked, as the user gave it: ``omokage.tracking.place.resolve``.
        about: What the run is of.
        metrics: Figures by name; those that are None are left out.
        folder: Of the result.
        plots: Names of its plots.

    Raises:
        ConfigError: Nothing can be tracked there.
    """
    telling = Tracker.start(uri, about)
    try:
        telling.log(0, metrics)
        for name in (REPORT, PAGE, *(f"{PLOTS}/{plot}.png" for plot in plots)):
            telling.file(name, folder.read(name))
    except BaseException as error:
        telling.broken_off(error)
        raise
    telling.end("FINISHED")
    return tuple(telling.warnings)
