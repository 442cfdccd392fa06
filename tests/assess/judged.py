"""A small crowd with planted truth and hostile names, and its evaluation as a page."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crowd import Crowd
from omokage.assess import evaluation_page, written
from omokage.assess.evaluate_config import EvaluateConfig
from omokage.assess.evaluation import Evaluation
from omokage.assess.judge import evaluation
from omokage.assess.shown import Examples, ShownConfig, examples
from omokage.assess.subject import Subject, subject
from omokage.card.page import page
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.storage import Folder
from omokage.store import Dataset

HOSTILE = "<script>document.title='owned'</script>\n\"&amp; \u202egnp.exe"

SHOWN = ShownConfig(pairs=5, worst=3, per_person=4)


class Named(Crowd):
    """A crowd of which some have names that a page could take for something else."""

    def name(self, folder: int) -> str:
        """Return a folder's name."""
        odd = {1: HOSTILE, 2: "../<img src=x onerror=alert(1)>", 3: "نور", 4: "面影 " * 30, 5: "{} $x$ _y"}
        return odd.get(folder, super().name(folder))


@dataclass(frozen=True)
class Judged:
    """An evaluation, what it is of, and where its page is."""

    data: Dataset
    subject: Subject
    found: Evaluation
    shown: Examples
    folder: Folder

    @property
    def page(self) -> Path:
        """The page's file."""
        return Path(self.folder.place(written.PAGE))


def judged(place: Path) -> Judged:
    """Return the evaluation of a new crowd: two of its folders show one person, and some faces are strangers."""
    crowd = Named(folders=40, faces=5, dim=32, splits=0.05, strangers=0.04, repeats=0.1, chips=True, seed=3)
    data = crowd.write(str(place / "data 面影"))
    of = subject(data.folder.url)
    failed = np.array([1, 1, 7], np.int64)  # pictures of two people that gave no face
    of = dataclasses.replace(of, failed_label_F=failed, failed_uri_F=("a.jpg", "b.jpg", "c.jpg"))
    config = EvaluateConfig(bootstrap=BootstrapConfig(replicates=100), fpirs=(0.3, 0.001))
    found = evaluation(of, config, threads=1)
    found = dataclasses.replace(found, warnings=(*found.warnings, f"files are under two people: {HOSTILE}"))
    shown = examples(of, evaluation_page.worst(found), SHOWN, threads=1)
    folder = Folder.at(str(place / "out"))
    put(found, shown, folder)
    return Judged(data, of, found, shown, folder)


def put(found: Evaluation, shown: Examples, folder: Folder) -> None:
    """Write a result as a flow does."""
    drawn = evaluation_page.plots(found)
    written.write(folder, "evaluation", found.json(), evaluation_page.document(found, drawn, shown), drawn)


def page_of(found: Evaluation, shown: Examples) -> str:
    """Return the page without its plots, which take longer to draw than all else."""
    return "".join(page(evaluation_page.document(found, {}, shown)))
