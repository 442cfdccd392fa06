"""Pictures without a face, by group: against loops over people."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import biased
from omokage.assess.group_failures import failures
from omokage.assess.subject import subject
from omokage.evaluate.audit import AuditConfig
from omokage.evaluate.bootstrap import BootstrapConfig
from omokage.evaluate.groups import Groups


def test_failures_are_those_of_loops_and_of_people_of_one_group(tmp_path: Path) -> None:
    biased.crowd(people=30, faces=4).write(str(tmp_path))
    faces, few = subject(str(tmp_path)), BootstrapConfig(replicates=200)
    rng = np.random.default_rng(0)
    failed_F = np.sort(rng.choice(30, 50, p=np.where(np.arange(30) % 2, 3, 1) / 60))
    faces = replace(faces, failed_label_F=failed_F, failed_uri_F=tuple(f"{n}.jpg" for n in range(50)))
    group_N = faces.label_N % 2
    group_N[0] = 1  # person 0 has faces in two groups
    group_N[faces.label_N == 3] = -1
    groups = Groups(names=("a", "b"), group_N=group_N, misfits=4, examples=("x",), source="")
    found = failures(faces, groups, AuditConfig(), few)
    for number, group in enumerate(found):
        mine = [n for n in range(30) if n % 2 == number and n not in (0, 3)]
        failed = sum(int((failed_F == n).sum()) for n in mine)
        assert (group.failed, group.tried) == (failed, failed + 4 * len(mine))
        assert group.rate.value == pytest.approx(failed / (failed + 4 * len(mine)))
        assert group.rate.low < group.rate.value < group.rate.high
    assert found[1].rate.low > found[0].rate.value
